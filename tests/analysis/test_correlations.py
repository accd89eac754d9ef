"""Array-level semantics against closed forms, slow definitions and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import reference
from codeclens.analysis import (
    best_follower,
    class_profile,
    counts_above,
    coverage,
    membership_correlation,
    specificity,
)
from codeclens.errors import CodeclensError

profiles = arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(2, 9)), elements=st.floats(0, 99)
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_profile_is_the_mean_of_every_class(rng: np.random.Generator) -> None:
    Z = rng.normal(size=(60, 4)) + 1e6
    labels = rng.integers(-1, 5, size=60)
    found = class_profile(Z, labels, 7)
    slow = [[Z[labels == c, k].mean() for c in range(5)] for k in range(4)]
    np.testing.assert_allclose(found[:, :5], slow, rtol=1e-12)
    assert np.isnan(found[:, 5:]).all()


def test_specificity_of_k_equal_classes_among_c() -> None:
    for count, equal in ((10, 1), (10, 2), (10, 10), (1000, 25)):
        profile = np.zeros((1, count))
        profile[0, :equal] = 3.0
        entropy, gini, top = specificity(profile, k=5)
        np.testing.assert_allclose(entropy, np.log(equal) / np.log(count), atol=1e-12)
        np.testing.assert_allclose(gini, 1 - equal / count, atol=1e-12)
        np.testing.assert_allclose(top, min(1, 5 / equal), atol=1e-12)


def test_specificity_equals_scipys_entropy_and_the_slow_gini(rng: np.random.Generator) -> None:
    from scipy.stats import entropy

    profile = rng.normal(size=(6, 30))
    shares = np.abs(profile) / np.abs(profile).sum(axis=1, keepdims=True)
    found = specificity(profile, k=3)
    np.testing.assert_allclose(found.entropy, entropy(shares, axis=1) / np.log(30))
    np.testing.assert_allclose(found.gini, [reference.gini(row) for row in shares])
    np.testing.assert_allclose(found.top, np.sort(shares, axis=1)[:, -3:].sum(axis=1))


def test_classes_without_samples_do_not_count() -> None:
    some = specificity(np.array([[1.0, np.nan, 1.0]]))
    np.testing.assert_allclose([some.entropy[0], some.gini[0]], [1.0, 0.0], atol=1e-12)
    assert np.isnan(specificity(np.zeros((1, 3))).entropy).all()


@given(profiles, st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_specificity_knows_neither_scale_nor_order(profile, scale, random) -> None:
    order = list(range(profile.shape[1]))
    random.shuffle(order)
    for one, other in zip(
        specificity(profile), specificity(scale * profile[:, order]), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-9)
        assert np.isnan(one).tolist() == (profile.sum(axis=1) == 0).tolist()
        assert ((one[~np.isnan(one)] >= 0) & (one[~np.isnan(one)] <= 1)).all()


def test_membership_by_samples_and_by_classes_is_the_correlation(rng: np.random.Generator) -> None:
    Z = rng.gamma(0.5, size=(90, 5)).astype(np.float32)
    labels = rng.integers(-1, 6, size=90)
    of_classes = rng.random((6, 4)) < 0.5
    known = labels >= 0
    of_samples = of_classes[labels[known]]
    slow = [
        [
            reference.correlation_with_group(Z[known, k].astype(float), of_samples[:, s])
            for s in range(4)
        ]
        for k in range(5)
    ]
    np.testing.assert_allclose(membership_correlation(Z, of_classes, labels), slow, atol=1e-7)
    np.testing.assert_allclose(membership_correlation(Z[known], of_samples), slow, atol=1e-7)
    whole = np.ones((6, 1), bool)
    assert np.isnan(membership_correlation(Z, whole, labels)).all()


def test_membership_reports_bad_input() -> None:
    with pytest.raises(CodeclensError, match="must be a matrix of True and False"):
        membership_correlation(np.zeros((2, 1)), np.ones((2, 1)))
    with pytest.raises(CodeclensError, match="members has 3 rows for 2 samples"):
        membership_correlation(np.zeros((2, 1)), np.ones((3, 1), bool))


def test_coverage_and_counts_are_above_not_at_the_threshold() -> None:
    correlation = np.array([[0.2, 0.3, np.nan, -0.9], [0.21, 0.1, np.nan, -0.9]])
    assert coverage(correlation, 0.2).tolist() == [True, True, False, False]
    assert counts_above(correlation, 0.2).tolist() == [1, 1]
    assert coverage(np.zeros((0, 3))).tolist() == [False] * 3


def test_the_best_of_many_by_chance_is_not_best_on_the_other_half(rng: np.random.Generator) -> None:
    values, labels = rng.normal(size=(400, 300)), rng.integers(0, 4, size=400)
    half = rng.random(400) < 0.5
    values[:, 7] += 2 * (labels == 2)
    found = best_follower(values, labels, 5, half)
    assert found[2] > 0.5
    assert np.abs(found[[0, 1, 3]]).max() < 0.25
    assert np.isnan(found[4])
