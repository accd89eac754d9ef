"""Figures of quality against scikit-learn, NumPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from codeclens.decomposition import quality
from codeclens.decomposition.stability import matched
from codeclens.errors import CodeclensError

matrices = arrays(np.float64, (7, 4), elements=st.floats(-10, 10, width=32))


def test_r2_equals_scikit_learns(rng: np.random.Generator) -> None:
    from sklearn.metrics import r2_score

    X = rng.normal(size=(200, 6)) * [1, 2, 3, 4, 5, 100]
    guess = X + rng.normal(size=X.shape)
    overall = r2_score(X, guess, multioutput="variance_weighted")
    assert quality.r2(X, guess) == pytest.approx(overall, rel=1e-12)
    each = r2_score(X, guess, multioutput="raw_values")
    np.testing.assert_allclose(quality.r2_per_unit(X, guess), each, rtol=1e-12)


def test_r2_in_blocks_is_r2(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    X = rng.normal(size=(50, 3)).astype(np.float32)
    guess = X + rng.normal(size=X.shape).astype(np.float32)
    whole = quality.r2(X, guess)
    monkeypatch.setattr(quality, "_BLOCK", 7)
    assert quality.r2(X, guess) == pytest.approx(whole, rel=1e-12)


@given(matrices)
def test_means_explain_nothing_and_data_everything(X: np.ndarray) -> None:
    varies = (X[0] != X).any()
    means = np.broadcast_to(X.mean(axis=0), X.shape)
    if varies:
        assert quality.r2(X, X) == 1
        assert quality.r2(X, means) == pytest.approx(0, abs=1e-9)
    else:
        assert np.isnan(quality.r2(X, X))


def test_units_that_do_not_vary_have_no_r2() -> None:
    X = np.full((9, 2), 0.1)  # whose mean is not exactly 0.1
    X[:, 1] = np.arange(9)
    assert np.isnan(quality.r2_per_unit(X, X)).tolist() == [True, False]


def test_shapes_must_agree() -> None:
    with pytest.raises(CodeclensError, match=r"\(3, 2\) and the reconstruction \(3, 1\)"):
        quality.r2(np.zeros((3, 2)), np.zeros((3, 1)))


def test_counts_of_loadings() -> None:
    Z = np.array([[0, 1, 2, 0], [0, 0, 3, 0]], dtype=np.float32)
    assert quality.l0(Z) == 1.5
    assert quality.firing_rate(Z).tolist() == [0, 0.5, 1, 0]
    assert quality.dead_modes(Z).tolist() == [True, False, False, True]


@given(st.integers(1, 16), st.integers(17, 40))
def test_mode_sparsity_of_equal_entries(active: int, units: int) -> None:
    row = np.zeros((1, units))
    row[0, :active] = -3
    expected = (np.sqrt(units) - np.sqrt(active)) / (np.sqrt(units) - 1)
    assert quality.mode_sparsity(row)[0] == pytest.approx(expected, rel=1e-9)


def test_mode_sparsity_is_undefined_for_nothing() -> None:
    assert np.isnan(quality.mode_sparsity(np.zeros((1, 5)))).all()
    assert np.isnan(quality.mode_sparsity(np.ones((2, 1)))).all()


def test_shares_are_the_parts_of_a_non_negative_reconstruction(rng: np.random.Generator) -> None:
    Z, D = rng.random((20, 5)), rng.random((5, 8))
    parts = [np.outer(Z[:, k], D[k]).sum() for k in range(5)]
    np.testing.assert_allclose(quality.loading_share(Z, D), parts / (Z @ D).sum())
    assert quality.loading_share(np.zeros((3, 2)), np.ones((2, 4))).tolist() == [0, 0]


def test_stability_finds_a_permutation_under_scaling(rng: np.random.Generator) -> None:
    D = rng.normal(size=(9, 12))
    order = rng.permutation(9)
    found = matched(D[order] * rng.uniform(0.1, 9, (9, 1)), D)
    assert found.partner.tolist() == order.tolist()
    np.testing.assert_allclose(found.cosine, 1)
    assert found.mean == pytest.approx(1)


def test_stability_takes_the_best_total_not_the_greedy_one() -> None:
    # Row 0 is nearest to 0, but row 1 is near to nothing else.
    D = np.array([[1.0, 0.5, 0], [1, 0, 0]])
    other = np.array([[1.0, 0, 0], [0.6, 0.8, 0]])
    assert matched(D, other).partner.tolist() == [1, 0]


def test_stability_with_fewer_partners_leaves_some_alone() -> None:
    found = matched(np.eye(3), np.eye(3)[1:2])
    assert found.partner.tolist() == [-1, 0, -1]
    assert np.isnan(found.cosine).tolist() == [True, False, True]
    assert found.mean == 1
    with pytest.raises(CodeclensError, match="3 and 4 columns"):
        matched(np.eye(3), np.eye(4))


def test_indicator_correlation_equals_numpys(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    Z = rng.gamma(0.5, size=(80, 6)).astype(np.float32)
    labels = rng.integers(-1, 4, size=80)
    known = labels >= 0
    expected = [
        [np.corrcoef(Z[known, k], labels[known] == c)[0, 1] for c in range(4)] for k in range(6)
    ]
    np.testing.assert_allclose(quality.indicator_correlation(Z, labels, 4), expected, atol=1e-7)
    monkeypatch.setattr(quality, "_CACHED", 50)  # blocks that begin and end within a class
    np.testing.assert_allclose(quality.indicator_correlation(Z, labels, 4), expected, atol=1e-7)


def test_class_sums_keep_their_digits_beside_a_large_mean(rng: np.random.Generator) -> None:
    Z = rng.normal(size=(900, 3)) + np.array([0.0, 1e6, -1e9])
    labels = rng.integers(-1, 5, size=900)
    known = labels >= 0
    found = quality.class_sums(Z, labels, 5)
    deviations = Z[known] - Z[known].mean(axis=0)
    slow = [[deviations[labels[known] == c, k].sum() for k in range(3)] for c in range(5)]
    np.testing.assert_allclose(found.sums, slow, atol=1e-3)
    np.testing.assert_allclose(found.square, np.square(deviations).sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.mean, Z[known].mean(axis=0))
    assert found.size.tolist() == [int((labels == c).sum()) for c in range(5)]


def test_indicator_correlation_is_undefined_without_variation() -> None:
    Z = np.stack([np.full(6, 0.1), np.arange(6.0)], axis=1)
    found = quality.indicator_correlation(Z, np.array([0, 0, 0, 2, 2, 2]), 3)
    assert np.isnan(found).tolist() == [[True] * 3, [False, True, False]]


def test_indicator_correlation_refuses_labels_out_of_range() -> None:
    with pytest.raises(CodeclensError, match="Label 5 is out of range: there are 3 classes"):
        quality.indicator_correlation(np.zeros((2, 1)), np.array([0, 5]), 3)
    with pytest.raises(CodeclensError, match="3 labels for 2 samples"):
        quality.indicator_correlation(np.zeros((2, 1)), np.array([0, 1, 1]), 3)


def test_dense_modes_are_in_more_than_half() -> None:
    Z = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1.0]])
    assert quality.dense_modes(Z).tolist() == [True, False, False]
    assert quality.dense_modes(Z, above=0.2).tolist() == [True, True, True]


def test_redundancy_is_the_largest_cosine_with_another(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    D = rng.normal(size=(9, 5))
    unit = D / np.linalg.norm(D, axis=1, keepdims=True)
    slow = [max(float(unit[i] @ unit[j]) for j in range(9) if j != i) for i in range(9)]
    np.testing.assert_allclose(quality.redundancy(D), slow)
    monkeypatch.setattr(quality, "_BLOCK", 20)
    np.testing.assert_allclose(quality.redundancy(D), slow)
    assert np.isnan(quality.redundancy(D[:1])).all()


def test_fidelity_has_variance_about_the_mean_and_relative_errors() -> None:
    change = np.array([2.0, -4.0, 0.0, 1.0], dtype=np.float32)
    found = quality.fidelity(change, np.array([1.0, -5.0, 0.5, 1.0]))
    np.testing.assert_allclose(found.error, [0.5, 0.25, np.nan, 0])
    assert found.median_error == 0.25
    spread = np.square(change - change.mean()).sum()
    assert found.r2 == pytest.approx(1 - 2.25 / spread)
    assert np.isnan(quality.fidelity(np.zeros(2), np.zeros(2)).median_error)
    with pytest.raises(CodeclensError, match="4 changes of the target and 3 totals"):
        quality.fidelity(change, np.zeros(3))
