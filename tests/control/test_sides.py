"""Accuracies by class against loops, and their draws against what bootstrap promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeclens.control import measurements
from codeclens.control.measurements import Sides, mean_height
from codeclens.draws import Draws
from codeclens.errors import CodeclensError

LABELS = np.array([0] * 20 + [1] * 50 + [4] * 30)


@pytest.fixture
def correct(rng: np.random.Generator) -> np.ndarray:
    return rng.random((3, 100)) < np.array([[0.9], [0.5], [0.2]])


def by_loops(correct: np.ndarray, labels: np.ndarray, class_index: int) -> list[tuple]:
    rows = []
    for hits in correct:
        others = [hits[labels == c].mean() for c in np.unique(labels) if c != class_index]
        rows.append((hits[labels == class_index].mean(), sum(others) / len(others)))
    return rows


@pytest.mark.parametrize("class_index", [0, 1, 4])
def test_accuracy_gives_every_other_class_the_same_weight(
    correct: np.ndarray, class_index: int
) -> None:
    groups = Sides(LABELS, (class_index,))
    assert groups.others == 2
    np.testing.assert_allclose(groups.measure(correct), by_loops(correct, LABELS, class_index))


def test_a_superclass_gives_each_of_its_classes_the_same_weight(correct: np.ndarray) -> None:
    sides = Sides(LABELS, (0, 4))
    assert sides.others == 1
    for hits, (target, others) in zip(correct, sides.measure(correct), strict=True):
        assert target == pytest.approx((hits[LABELS == 0].mean() + hits[LABELS == 4].mean()) / 2)
        assert others == pytest.approx(hits[LABELS == 1].mean())
    with pytest.raises(CodeclensError, match="All images have the labels 0, 1, 4"):
        Sides(LABELS, (0, 1, 4))


def test_any_value_of_an_image_has_a_mean(rng: np.random.Generator) -> None:
    values = rng.normal(size=(1, 100)).astype(np.float32)
    ((target, _),) = Sides(LABELS, (1,)).measure(values)
    assert target == pytest.approx(values[0, LABELS == 1].astype(np.float64).mean())


def test_draws_are_resampled_images_of_each_class(
    correct: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurements, "_BLOCK", 700)
    groups = Sides(LABELS, (1,))
    draws = groups.redraw(correct, Draws(5000, 0))
    assert draws.shape == (5000, 3, 2)
    measured = groups.measure(correct)
    np.testing.assert_allclose(draws.mean(axis=0), measured, atol=0.005)
    error = np.sqrt(measured[:, 0] * (1 - measured[:, 0]) / 50)
    np.testing.assert_allclose(draws[..., 0].std(axis=0), error, rtol=0.05)
    # 20 and 30 images stand behind the two halves of the mean over the other classes.
    spread = sum(correct[:, c == LABELS].var(axis=1) / (c == LABELS).sum() for c in (0, 4))
    np.testing.assert_allclose(draws[..., 1].std(axis=0), np.sqrt(spread) / 2, rtol=0.05)


def test_draws_are_paired_and_repeatable(correct: np.ndarray) -> None:
    groups = Sides(LABELS, (1,))
    draws = groups.redraw(np.concatenate([correct, correct[:1]]), Draws(50, 1))
    # Up to rounding: a product of other sizes may add in another order.
    np.testing.assert_allclose(draws[:, 0], draws[:, 3], rtol=1e-12)
    np.testing.assert_allclose(draws[:, :3], groups.redraw(correct, Draws(50, 1)), rtol=1e-12)
    assert not np.array_equal(draws[:, :3], groups.redraw(correct, Draws(50, 2)))


def test_a_class_without_images_names_those_with() -> None:
    with pytest.raises(CodeclensError, match=r"label class_index=3; .* occur are 0, 1, 4\."):
        Sides(LABELS, (3,))
    with pytest.raises(CodeclensError, match=r"occur are 0, .*, 9 …\."):
        Sides(np.arange(12), (77,))


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(CodeclensError, match="All images have the label 4"):
        Sides(np.full(3, 4), (4,))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6, unique=True), st.floats(0, 1))
def test_mean_height_of_a_level_curve_is_its_level(places: list[float], level: float) -> None:
    places.sort()
    assert mean_height(np.array(places), np.full(len(places), level)) == pytest.approx(level)


def test_mean_height_is_the_trapezoid_rule() -> None:
    places = np.array([0.1, 0.2, 0.2, 0.6])
    heights = np.array([[1.0, 0.5, 0.5, 0.0], places])
    assert mean_height(places, heights) == pytest.approx([0.175 / 0.5, 0.35])


def test_mean_height_at_one_place_is_the_mean() -> None:
    assert mean_height(np.array([0.2, 0.2]), np.array([1.0, 0.5])) == pytest.approx(0.75)
