"""Trends: Spearman against scipy, draws against slow versions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from codeclens.analysis import class_means, components_for_variance, trend
from codeclens.analysis.spectrum import spectrum_components, spectrum_participation
from codeclens.analysis.trend import ClassResampler, Trend, rank_correlation, redrawn_medians
from codeclens.draws import Draws
from codeclens.errors import CodeclensError


def test_rank_correlation_is_spearmans_with_ties(rng: np.random.Generator) -> None:
    values, depth = rng.integers(0, 5, size=(20, 9)), np.arange(9)
    expected = [spearmanr(row, depth).statistic for row in values]
    np.testing.assert_allclose(rank_correlation(values, depth), expected, atol=1e-12)


def test_rank_correlation_is_undefined_for_constants_and_nan() -> None:
    values = np.array([[2.0, 2.0, 2.0], [1.0, np.nan, 3.0], [1.0, np.inf, 3.0], [1.0, 2.0, 3.0]])
    assert np.isnan(rank_correlation(values, np.arange(3))).tolist() == [True, True, True, False]


def test_rank_correlation_needs_equal_lengths() -> None:
    with pytest.raises(CodeclensError, match=r"\(4, 3\) and order \(2,\)"):
        rank_correlation(np.ones((4, 3)), np.arange(2))


def test_medians_are_drawn_with_the_same_samples_at_all_sites(rng: np.random.Generator) -> None:
    values = rng.normal(size=101)
    draws = redrawn_medians([values, values + 5, -values], Draws(200))
    np.testing.assert_allclose(draws[:, 1], draws[:, 0] + 5)
    np.testing.assert_allclose(draws[:, 2], -draws[:, 0])
    assert len(np.unique(draws[:, 0])) > 5


def test_medians_leave_undefined_samples_out(rng: np.random.Generator) -> None:
    values = rng.normal(size=50)
    holes = np.where(np.arange(50) < 10, np.nan, values)
    draws = redrawn_medians([values, holes, np.full(50, np.nan)], Draws(30))
    assert np.isfinite(draws[:, :2]).all()
    assert np.isnan(draws[:, 2]).all()


def test_medians_do_not_depend_on_blocks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = list(rng.normal(size=(3, 40)))
    whole = redrawn_medians(values, Draws(20))
    monkeypatch.setattr("codeclens.analysis.statistics._BLOCK", 300)
    np.testing.assert_array_equal(redrawn_medians(values, Draws(20)), whole)


def test_class_means_are_drawn_again_with_their_standard_error(rng: np.random.Generator) -> None:
    labels = np.repeat([2, 5], [400, 90])
    X = rng.normal(size=(490, 3)) + labels[:, None]
    resampler = ClassResampler(labels, Draws(2000))
    groups, _ = class_means(X, resampler.group)
    draws = np.stack([resampler._drawn_means(groups, seed) for seed in range(2000)])
    means, _ = class_means(X, labels)
    np.testing.assert_allclose(draws.mean(axis=0), means, atol=0.03)
    error = np.array([[1 / 20], [1 / np.sqrt(90)]])
    # With 16 groups the variance is that of 15 independent ones, and the groups' own spread is one
    # draw of chance: right to some tens of per cent.
    np.testing.assert_allclose(draws.std(axis=0) / error, 1, atol=0.45)


def test_redrawn_dimensions_surround_the_measured_one(rng: np.random.Generator) -> None:
    labels = np.repeat(np.arange(10), 60)
    X = rng.normal(size=(10, 8))[labels] * np.linspace(2, 0.1, 8)
    X += rng.normal(scale=0.3, size=X.shape)
    resampler = ClassResampler(labels, Draws(60))
    groups, _ = class_means(X, resampler.group)
    np.testing.assert_allclose(resampler.class_means(groups), class_means(X, labels)[0])
    draws = resampler.drawn(groups, [spectrum_components, spectrum_participation])
    assert draws.shape == (60, 2)
    measured = components_for_variance(class_means(X, labels)[0])
    assert draws[:, 0].min() <= measured <= draws[:, 0].max()


def test_small_and_large_classes_are_dealt_into_groups() -> None:
    labels = np.repeat([0, 3, 9], [1, 5, 100])
    resampler = ClassResampler(labels, Draws(1))
    sizes = [np.unique(resampler.group[labels == c], return_counts=True)[1] for c in (0, 3, 9)]
    assert [len(size) for size in sizes] == [1, 5, 16]
    assert sizes[2].max() - sizes[2].min() <= 1
    assert resampler.varies
    assert not ClassResampler(np.arange(5), Draws(1)).varies
    assert not ClassResampler(np.full(5, -1), Draws(1)).varies


def test_many_classes_stay_within_the_most_groups() -> None:
    labels = np.repeat(np.arange(1000), 20)
    assert len(np.unique(ClassResampler(labels, Draws(1)).group)) <= trend._MOST_GROUPS


def test_a_trend_reads_its_direction_off_its_interval(rng: np.random.Generator) -> None:
    values = np.arange(6.0)
    noise = rng.normal(size=(100, 6))
    assert Trend.of(values, values + 0.1 * noise).direction == "rises"
    assert Trend.of(-values, -values + 0.1 * noise).direction == "falls"
    assert Trend.of(values, noise).direction == "shows no clear trend"
    assert Trend.of(values, values + 0.1 * noise).rho == pytest.approx(1)


def test_a_trend_needs_three_sites_and_draws() -> None:
    two = Trend.of(np.arange(2.0), np.ones((4, 2)))
    assert np.isnan([two.rho, two.low, two.high]).all()
    undrawn = Trend.of(np.arange(3.0), np.empty((0, 3)))
    assert undrawn.rho == pytest.approx(1)
    assert np.isnan([undrawn.low, undrawn.high]).all()


def test_draws_in_which_nothing_changes_count_as_no_trend() -> None:
    values = np.array([0.9, 1.0, 1.0])
    draws = np.array([[0.9, 1.0, 1.0]] * 60 + [[1.0, 1.0, 1.0]] * 40)
    trend = Trend.of(values, draws)
    assert trend.low == 0
    assert trend.direction == "shows no clear trend"


def test_words_do_not_contradict_the_ends() -> None:
    sites = list("abcdefgh")
    falls = Trend(np.array([0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]), 0.33, 0.33, 0.33)
    assert falls.words(sites).startswith("rises overall, although it goes from 0.90")
    same = Trend(np.array([0.996, 0.99, 0.999]), 0.5, 0.5, 0.5)
    assert "although it goes from 1.00" in same.words(sites[:3])
    few = Trend(np.array([0.1, 0.2, 0.3]), 1.0, 1.0, 1.0)
    assert few.words(sites[:3]).endswith("[1.00, 1.00]; three sites are few")


def test_no_trend_at_all_is_none() -> None:
    """Ranks whose products with depth cancel, which floating point does not quite see."""
    orders = [order for order in permutations(range(7)) if not _products(order)]
    for order in orders[:200]:
        ranks = np.array(order, float)
        assert rank_correlation(ranks / 7, np.arange(7)) == 0
        trend = Trend.of(ranks, np.tile(ranks / 3, (20, 1)))
        assert trend.direction == "shows no clear trend"


def _products(order: tuple[int, ...]) -> int:
    """Spearman's numerator: zero where there is no trend."""
    return sum((2 * rank - 6) * (2 * place - 6) for place, rank in enumerate(order))
