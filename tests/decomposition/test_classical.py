"""Classical methods against scikit-learn, against slow versions, and in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn import decomposition

from codeclens.decomposition import ICA, NMF, PCA, KMeans, SemiNMF, classical, quality
from codeclens.decomposition.classical import (
    best_dictionary,
    multiplied,
    non_negative_least_squares,
)
from codeclens.errors import CodeclensError
from reference import semi_nmf_step

Array = np.ndarray[Any, Any]


def test_pca_is_scikit_learns(small: Array) -> None:
    method = PCA(n_modes=3, held_out=0).fit(small)
    peer = decomposition.PCA(n_components=3).fit(small)
    cosine = np.abs((method.dictionary * peer.components_).sum(axis=1))
    np.testing.assert_allclose(cosine, 1, rtol=1e-5)
    theirs = peer.inverse_transform(peer.transform(small))
    np.testing.assert_allclose(method.decode(method.encode(small)), theirs, atol=1e-5)
    np.testing.assert_allclose(method.offset, small.mean(axis=0), rtol=1e-5)


def test_no_linear_method_explains_more_than_pca(small: Array) -> None:
    best = PCA(n_modes=4, held_out=0).fit(small).r2
    for other in (ICA(n_modes=4, held_out=0), NMF(n_modes=4, held_out=0)):
        assert other.fit(small).r2 <= best + 1e-6


def test_components_of_data_with_fewer_dimensions() -> None:
    X = np.random.default_rng(0).normal(size=(50, 2)) @ np.eye(2).repeat(3, axis=1)
    for method in (PCA(n_modes=5), ICA(n_modes=5)):
        fitted = method.fit(X)
        assert len(fitted.dictionary) == 2
        assert fitted.n_dropped == 3
        assert fitted.r2 == pytest.approx(1)


def test_more_components_than_columns(small: Array) -> None:
    with pytest.raises(
        CodeclensError, match=r"9 modes are more than PCA can find in 120 .* 8 columns.*n_modes=8"
    ):
        PCA(n_modes=9).fit(small)


def test_nmf_needs_one_sign(small: Array) -> None:
    with pytest.raises(CodeclensError, match=r'NMF needs data of one sign.*view "concat"'):
        NMF(n_modes=3).fit(small - small.mean(axis=0))
    fitted = NMF(n_modes=3).fit(-small)
    assert (fitted.dictionary <= 0).all()
    assert fitted.r2 == pytest.approx(NMF(n_modes=3).fit(small).r2, abs=1e-6)


def test_nmf_explains_as_much_as_scikit_learns(small: Array) -> None:
    X = small.astype(np.float64)
    peer = decomposition.NMF(4, init="nndsvda", random_state=0, max_iter=1000).fit(X)
    theirs = quality.r2(X, peer.transform(X) @ peer.components_)
    ours = NMF(n_modes=4, held_out=0, iterations=1000).fit(small).r2
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_overcomplete_factors(small: Array) -> None:
    for method in (NMF(n_modes=20), SemiNMF(n_modes=20)):
        assert method.fit(small).r2 > 0.95


def test_loadings_are_the_least_squares(rng: np.random.Generator) -> None:
    X, D = rng.normal(size=(30, 9)), rng.normal(size=(5, 9))
    Z = non_negative_least_squares(X, D)
    slow = np.stack([nnls(D.T, row)[0] for row in X])
    np.testing.assert_allclose(Z, slow, atol=1e-5)
    assert non_negative_least_squares(X, np.zeros((2, 9))).tolist() == [[0, 0]] * 30


def test_a_step_of_semi_nmf_is_the_published_one(rng: np.random.Generator) -> None:
    X, Z = rng.normal(size=(7, 5)), rng.random((7, 3))
    D = best_dictionary(X, Z)
    np.testing.assert_allclose(Z.T @ Z @ D, Z.T @ X, atol=1e-10)  # the normal equations
    np.testing.assert_allclose(multiplied(X, Z, D), semi_nmf_step(X, Z, D), rtol=1e-10)


def test_semi_nmf_never_gets_worse(rng: np.random.Generator) -> None:
    X, Z = rng.normal(size=(40, 6)), rng.random((40, 3))
    errors = []
    for _ in range(30):
        D = best_dictionary(X, Z)
        errors.append(float(np.square(X - Z @ D).sum()))
        Z = multiplied(X, Z, D)
        errors.append(float(np.square(X - Z @ D).sum()))
    assert (np.diff(errors) <= 1e-9 * errors[0]).all()
    assert errors[-1] < 0.9 * errors[0]


def test_semi_nmf_has_modes_of_both_signs(small: Array) -> None:
    fitted = SemiNMF(n_modes=5).fit(small - small.mean(axis=0))
    assert fitted.encode(small).min() >= 0
    assert fitted.dictionary.min() < 0 < fitted.dictionary.max()
    np.testing.assert_allclose(np.linalg.norm(fitted.dictionary, axis=1), 1, rtol=1e-5)


def test_every_sample_is_in_its_nearest_cluster(small: Array) -> None:
    fitted = KMeans(n_modes=6).fit(small)
    Z = fitted.encode(small)
    assert (Z.sum(axis=1) == 1).all()
    distance = np.linalg.norm(small[:, None] - fitted.dictionary[None], axis=2)
    assert np.array_equal(Z.argmax(axis=1), distance.argmin(axis=1))
    assert fitted.encode(small[:0]).shape == (0, len(fitted.dictionary))


def test_large_data_go_through_batches(small: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {m: m.fit(small).r2 for m in (PCA(n_modes=4), ICA(n_modes=4), NMF(n_modes=4))}
    monkeypatch.setattr(classical, "LARGE", 50)
    monkeypatch.setattr(classical, "_BATCH", 30)
    for method, r2 in whole.items():
        found = method.fit(small)
        assert found.r2 != r2
        assert found.r2 > r2 - 0.25
    for method in (KMeans(n_modes=6), SemiNMF(n_modes=4)):
        assert method.fit(small).r2 > 0.3


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(CodeclensError, match=r"NMF.iterations \(=0\) must be"):
        NMF(n_modes=3, iterations=0)
    with pytest.raises(CodeclensError, match=r"PCA.held_out \(=1\) must be"):
        PCA(n_modes=3, held_out=1)
    with pytest.raises(CodeclensError, match=r"KMeans needs either n_modes or expansion"):
        KMeans()
