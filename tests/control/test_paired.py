"""Paired tests against scipy, and what a correction promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from codeclens.control.estimates import compare_pairs, holm, mean_estimate, sign_flip
from codeclens.errors import CodeclensError
from reference import holm_by_steps


@pytest.mark.parametrize("pairs", [3, 8, 12])
def test_sign_flips_agree_with_scipy(rng: np.random.Generator, pairs: int) -> None:
    gap = rng.normal(0.4, size=pairs)
    expected = permutation_test(
        (gap,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip(gap) == pytest.approx(expected.pvalue)


def test_many_pairs_are_sampled(rng: np.random.Generator) -> None:
    from scipy.stats import ttest_1samp

    gap = rng.normal(0.15, size=60)
    assert sign_flip(gap) == pytest.approx(ttest_1samp(gap, 0).pvalue, abs=0.02)
    assert sign_flip(gap, seed=1) != sign_flip(gap, seed=2)
    assert sign_flip(np.ones(40)) == pytest.approx(1 / 10_001)


def test_without_differences_p_is_not_small() -> None:
    assert sign_flip(np.zeros(9)) == 1
    assert np.isnan(sign_flip(np.zeros(0)))


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_what_its_steps_say(p: list[float]) -> None:
    found = holm(np.array(p))
    np.testing.assert_allclose(found, holm_by_steps(p))
    assert (found >= np.array(p)).all()


def test_holm_leaves_undefined_tests_out() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04])


@pytest.mark.slow
def test_false_findings_are_held_in_check(rng: np.random.Generator) -> None:
    """Among controls that are no different, one in twenty studies finds any."""
    studies = 200
    wrong = 0
    for _ in range(studies):
        tested = rng.normal(size=10)
        controls = {str(i): rng.normal(size=10) for i in range(5)}
        wrong += any(one.verdict != "undecided" for one in compare_pairs(tested, controls))
    assert wrong / studies < 0.09


def test_pairs_without_a_value_are_left_out() -> None:
    tested = np.array([1.0, np.nan, 3.0, 4.0])
    (one,) = compare_pairs(tested, {"c": np.array([0.0, 0.0, np.nan, 5.0])})
    assert (one.pairs, one.wins, one.losses) == (2, 1, 1)
    (none,) = compare_pairs(tested, {"c": np.full(4, np.nan)})
    assert none.verdict == "undecided"
    assert np.isnan(none.difference.value)
    assert not none.decidable
    with pytest.raises(CodeclensError, match='"c" has 3 values for 4 pairs'):
        compare_pairs(tested, {"c": np.zeros(3)})


def test_the_interval_of_a_mean_is_that_of_bootstrap(rng: np.random.Generator) -> None:
    values = rng.normal(2.0, size=(50, 3))
    values[0, 1] = np.nan
    found = mean_estimate(values)
    np.testing.assert_allclose(found.value, np.nanmean(values, axis=0))
    half = 1.96 * np.nanstd(values, axis=0) / np.sqrt(50)
    np.testing.assert_allclose(found.high - found.value, half, rtol=0.15)
    np.testing.assert_allclose(found.value - found.low, half, rtol=0.15)
