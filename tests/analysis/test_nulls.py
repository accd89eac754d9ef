"""Permutation nulls against labels dealt out one by one, and their p-values against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import false_discovery_control, kstest

import reference
from codeclens.analysis import (
    critical_correlation,
    false_discovery,
    nulls,
    p_values,
    permutation_nulls,
)
from codeclens.analysis.correlations import top_correlation
from codeclens.decomposition.quality import indicator_correlation
from codeclens.errors import CodeclensError

shares = arrays(np.float64, st.integers(1, 40), elements=st.floats(1e-4, 1))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def loadings(rng: np.random.Generator, density: float) -> np.ndarray:
    return np.where(rng.random((70, 4)) < density, rng.gamma(0.5, size=(70, 4)), 0.0)


@pytest.mark.parametrize("density", [1.0, 0.04], ids=["dense", "sparse"])
def test_nulls_equal_labels_dealt_out_one_by_one(
    rng: np.random.Generator, density: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    Z, labels = loadings(rng, density), rng.integers(-1, 5, size=70)
    members = rng.random((5, 3)) < 0.5
    groups = [np.flatnonzero(column).tolist() for column in members.T]
    of_classes = reference.best_by_chance(Z, labels, [[c] for c in range(5)], n=6, seed=3)
    of_groups = reference.best_by_chance(Z, labels, groups, n=6, seed=3)
    assert (nulls._sparse(Z, np.arange(70)) is None) == (density == 1)
    for small in (False, True):
        if small:  # one column, one permutation at a time
            for name in ("_CACHED", "_SUMS", "_INDICES"):
                monkeypatch.setattr(nulls, name, 1)
        found = permutation_nulls(Z, labels, 5, members=members, n=6, seed=3)
        np.testing.assert_allclose(found.classes, of_classes, atol=1e-6)
        np.testing.assert_allclose(found.superclasses, of_groups, atol=1e-6)


def test_entries_below_zero_are_not_taken_for_sparse_loadings(rng: np.random.Generator) -> None:
    Z = -loadings(rng, 0.04)
    labels = rng.integers(0, 5, size=70)
    slow = reference.best_by_chance(Z, labels, [[c] for c in range(5)], n=5, seed=0)
    np.testing.assert_allclose(permutation_nulls(Z, labels, 5, n=5).classes, slow, atol=1e-6)


def test_modes_that_do_not_vary_have_no_null(rng: np.random.Generator) -> None:
    Z, labels = np.stack([np.full(30, 0.1), rng.random(30)], axis=1), np.arange(30) % 3
    found = permutation_nulls(Z, labels, 3, n=9).classes
    assert np.isnan(found).all(axis=0).tolist() == [True, False]
    assert np.isnan(p_values(np.array([np.nan, 0.1]), found)).tolist() == [True, False]


@pytest.mark.parametrize("density", [1.0, 0.04], ids=["dense", "sparse"])
def test_p_values_are_uniform_where_labels_mean_nothing(
    rng: np.random.Generator, density: float
) -> None:
    Z = np.where(rng.random((400, 250)) < density, rng.gamma(0.3, size=(400, 250)), 0.0)
    labels = rng.integers(0, 12, size=400)
    top, _ = top_correlation(indicator_correlation(Z, labels, 12))
    p = p_values(top, permutation_nulls(Z, labels, 12, n=199).classes)
    assert kstest(p, "uniform").pvalue > 0.01
    assert (false_discovery(p) <= 0.05).sum() <= 1


def test_a_planted_class_is_found_and_a_tie_is_no_surprise(rng: np.random.Generator) -> None:
    labels = np.arange(200) % 10
    Z = rng.random((200, 3))
    Z[:, 1] += labels == 4
    Z[:, 2] = np.arange(200) == 17  # one sample alone: every permutation does as well
    top, best = top_correlation(indicator_correlation(Z, labels, 10))
    p = p_values(top, permutation_nulls(Z, labels, 10, n=99).classes)
    assert (best[1], p[1]) == (4, 0.01)
    assert p[2] == 1
    assert p[0] > 0.01


def test_what_is_critical_is_what_gives_that_p_value(rng: np.random.Generator) -> None:
    null = rng.random((199, 5)).astype(np.float32)
    critical = critical_correlation(null, 0.05)
    assert (p_values(critical + 1e-5, null) <= 0.05).all()
    assert (p_values(critical - 1e-5, null) > 0.05).all()
    assert critical_correlation(null[:18], 0.05).tolist() == [1.0] * 5


@given(shares)
def test_false_discovery_equals_scipys(p: np.ndarray) -> None:
    np.testing.assert_allclose(false_discovery(p), false_discovery_control(p))
    with_gap = false_discovery(np.insert(p, 0, np.nan))
    assert np.isnan(with_gap[0])
    np.testing.assert_allclose(with_gap[1:], false_discovery_control(p))


def test_bad_input_is_reported() -> None:
    with pytest.raises(CodeclensError, match=r"n \(=0\) must be a whole number at least 1; 1000"):
        permutation_nulls(np.zeros((2, 1)), np.array([0, 1]), 2, n=0)
    with pytest.raises(CodeclensError, match="members has 3 rows for 2 classes"):
        permutation_nulls(np.zeros((2, 1)), np.array([0, 1]), 2, members=np.ones((3, 1), bool))
