"""Selectivity against closed forms, intervals, tables and sentences."""

from __future__ import annotations

import json

import numpy as np
import pytest

from codeclens.control.controls import ByScore, Random
from codeclens.control.curves import (
    ControlCurve,
    Measured,
    Setting,
    compare,
    rise,
    selectivity,
)
from codeclens.control.estimates import Estimate

FRACTIONS = np.array([0.1, 0.18, 0.5])


RANKINGS = [ByScore("mode 7", np.ones(50)), Random()]


def drawn(values: np.ndarray, noise: np.ndarray) -> Measured:
    return Measured(values, values + noise)


def make(kind: str = "ablate", **changes: object) -> ControlCurve:
    """A curve with a mode that acts on its class alone and two trials that act on nothing."""
    about: dict = {
        "site": "blocks.2",
        "kind": kind,
        "members": (3,),
        "class_name": 'class "3"',
        "others": 9,
        "samples": 100,
        "seed": 0,
        "units": 50,
        "fractions": FRACTIONS,
        "counts": np.array([5, 9, 25]),
    }
    setting = Setting(**{**about, **changes})
    accuracy = np.array([[0.9, 0.8], [0.45, 0.8], [0.09, 0.8], [0.0, 0.8], [0.9, 0.8], [0.8, 0.7]])
    rows = [np.array([[1, 2, 3]]), np.array([[4, 4, 4], [5, 5, 5]])]
    noise = np.random.default_rng(0).normal(scale=0.01, size=(200, 6, 2))
    return compare(setting, RANKINGS, rows, drawn(accuracy, noise), drawn(10 * accuracy, noise))


def test_selectivity_is_zero_for_equal_loss_and_minus_one_for_the_class_alone() -> None:
    before = np.array([0.9, 0.8])
    alike = np.linspace(1, 0, 3)[:, None] * before
    assert selectivity(FRACTIONS, alike, before) == pytest.approx(0)
    alone = np.tile([0.0, 0.8], (3, 1))
    assert selectivity(FRACTIONS, alone, before) == pytest.approx(-1)


def test_selectivity_weighs_by_the_width_of_each_step() -> None:
    accuracy = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.5]])
    target, others = 0.5 * 0.08 / 0.4, (0.08 + 0.75 * 0.32) / 0.4
    expected = (target - others) / others
    assert selectivity(FRACTIONS, accuracy, np.ones(2)) == pytest.approx(expected)


def test_selectivity_is_undefined_where_nothing_is_left_to_compare() -> None:
    dead = np.tile([0.5, 0.0], (3, 1))
    assert np.isnan(selectivity(FRACTIONS, dead, np.ones(2)))
    draws = np.stack([dead, dead + 0.5])
    assert np.isnan(selectivity(FRACTIONS, draws, np.ones((2, 2)))).tolist() == [True, False]


def test_selectivity_of_draws_is_that_of_each(rng: np.random.Generator) -> None:
    draws, before = rng.random((20, 3, 2)), rng.random((20, 2))
    each = [selectivity(FRACTIONS, d, b) for d, b in zip(draws, before, strict=True)]
    np.testing.assert_allclose(selectivity(FRACTIONS, draws, before), each)


def test_estimates_leave_undefined_draws_out() -> None:
    draws = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    estimate = Estimate.of(np.array([2.0, np.nan]), draws)
    assert (estimate[0].low, estimate[0].high) == pytest.approx((1.05, 2.95))
    assert str(estimate[1]) == "undefined [undefined, undefined]"


@pytest.mark.parametrize(("low", "high", "side"), [(0.1, 0.3, 1), (-0.1, 0.3, 0), (-0.3, -0.1, -1)])
def test_estimates_know_their_side_of_zero(low: float, high: float, side: int) -> None:
    assert Estimate(np.array(0.1), np.array(low), np.array(high)).side == side


def test_conditions_average_their_trials() -> None:
    curve = make()
    random = curve["random"]
    assert random.trials == 2
    np.testing.assert_allclose(random.target.value, [0.85] * 3)
    np.testing.assert_allclose(random.others.value, [0.75] * 3)
    assert random.by_trial.shape == (2, 3, 2)
    assert curve.mode is curve["mode 7"]
    with pytest.raises(KeyError):
        curve["nothing"]


def test_intervals_hold_the_values_and_widen_with_trials() -> None:
    curve = make()
    for condition in curve.conditions:
        assert (condition.target.low <= condition.target.value).all()
        assert (condition.target.value <= condition.target.high).all()
    width = {c.name: (c.others.high - c.others.low).mean() for c in curve.conditions}
    # The trials lie 0.1 apart, ten times the spread over images.
    assert width["random"] > 0.09 > 0.05 > width["mode 7"]


def test_the_advantage_is_positive_where_the_mode_is_better_of_either_kind() -> None:
    assert make("ablate")["random"].advantage.value == pytest.approx(
        make("ablate")["random"].selectivity.value - make("ablate").mode.selectivity.value
    )
    assert make("ablate")["random"].advantage.side == 1
    assert make("preserve")["random"].advantage.side == -1
    assert make().mode.advantage is None


def test_the_table_has_one_row_for_each_condition_and_fraction() -> None:
    rows = make().rows()
    assert len(rows) == 1 + 2 * 3
    assert len({tuple(row) for row in rows}) == 1
    assert rows[0]["condition"] == "before"
    assert rows[0]["target_accuracy"] == 0.9
    assert rows[2] == {
        "site": "blocks.2",
        "kind": "ablate",
        "off": "0",
        "class": 'class "3"',
        "condition": "mode 7",
        "fraction": 0.18,
        "units": 9,
        "target_accuracy": pytest.approx(0.09),
        "target_accuracy_low": pytest.approx(0.07, abs=0.005),
        "target_accuracy_high": pytest.approx(0.11, abs=0.005),
        "others_accuracy": pytest.approx(0.8),
        "others_accuracy_low": pytest.approx(0.78, abs=0.005),
        "others_accuracy_high": pytest.approx(0.82, abs=0.005),
        "target_logit": pytest.approx(0.9),
        "target_logit_low": pytest.approx(0.88, abs=0.005),
        "target_logit_high": pytest.approx(0.92, abs=0.005),
        "others_logit": pytest.approx(8.0),
        "others_logit_low": pytest.approx(7.98, abs=0.005),
        "others_logit_high": pytest.approx(8.02, abs=0.005),
    }


def test_the_sentence_carries_the_numbers() -> None:
    text = make().sentence()
    assert "Ablating the 9 of 50 units (18 %) that rank highest in mode 7 at blocks.2" in text
    assert "(set to 0) changes accuracy" in text
    assert 'accuracy on class "3" from 0.90 to 0.09 [' in text
    assert "on the 9 other classes from 0.80 to 0.80 [" in text
    assert 'control "random" (2 trials) changes accuracy to 0.85 [' in text
    assert "; mode 7 is more selective (by 0." in text


def test_the_sentence_reports_whether_the_effect_was_expected() -> None:
    assert ": as expected, accuracy drops more for the class." in make("ablate").sentence()
    assert (
        ": contrary to expectation, accuracy drops more for the class."
        in make("preserve").sentence()
    )


def test_the_sentence_reports_when_the_mode_is_not_better() -> None:
    assert "mode 7 is less selective (by -0." in make("preserve").sentence()
    curve = make()
    measured = Measured(
        np.array([[0.9, 0.8], [0.45, 0.8], [0.09, 0.8], [0.0, 0.8]]),
        np.random.default_rng(0).normal(0.5, 0.1, size=(100, 4, 2)),
    )
    alike = compare(
        Setting(**{name: getattr(curve, name) for name in Setting.__dataclass_fields__}),
        [ByScore("mode 7", np.ones(50)), ByScore("same", np.ones(50))],
        [np.array([[1, 2, 3]])] * 2,
        measured,
        measured,
    )
    undecided = "whether mode 7 is more selective is undecided (difference 0.00 [0.00, 0.00])"
    assert undecided in alike.sentence()
    assert alike["same"].advantage.verdict == "undecided"
    assert (
        "the effects on the class and on the other classes do not differ significantly."
        in alike.sentence()
    )
    assert make(others=1).sentence().count("the other class from") == 1
    assert "Preserving only the 9" in make("preserve").sentence()


def test_the_rise_of_a_logit_is_that_of_the_class_less_that_of_the_others() -> None:
    logits = np.array([[3.0, 5.0], [1.0, 5.0], [0.0, 4.0]])
    target = (2.0 * 0.08 + 0.5 * 0.32) / 0.4
    others = (5.0 * 0.08 + 4.5 * 0.32) / 0.4
    expected = (target - 4.0) - (others - 6.0)
    assert rise(FRACTIONS, logits, np.array([4.0, 6.0])) == pytest.approx(expected)
    curve = make()
    effect = rise(FRACTIONS, curve.mode.by_trial[0] * 10, np.array([9.0, 8.0]))
    assert curve.mode.logit_effect.value == pytest.approx(effect)
    assert curve["random"].logit_advantage.side == 1


def test_a_curve_survives_json() -> None:
    curve = make()
    again = ControlCurve.from_json(json.loads(json.dumps(curve.to_json())))
    assert again.rows() == curve.rows()
    assert again.sentence() == curve.sentence()
    assert again.members == (3,)
    assert again["random"].source == "chance"
    np.testing.assert_array_equal(again["random"].by_trial, curve["random"].by_trial)


def test_rounding_is_on_no_side() -> None:
    tiny = Estimate(np.array(2e-16), np.array(1e-16), np.array(3e-16))
    assert (tiny.side, tiny.verdict) == (0, "undecided")
