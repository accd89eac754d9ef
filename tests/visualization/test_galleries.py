"""Galleries against sorting everything, and that the size of a block changes nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeclens import CodeclensError
from codeclens.decomposition import Modes, TopK
from codeclens.visualization import exemplars, gallery

METHOD = TopK(n_modes=7, k=2, epochs=1).fit(
    np.random.default_rng(0).gamma(0.4, size=(60, 6)).astype(np.float32)
)
KINDS = ("strongest", "diverse", "typical", "negatives", "near_misses")


def made(samples: int, seed: int, ties: bool = False) -> tuple[Modes, Any]:
    """Modes with random loadings, and a store of as many random contributions."""
    rng = np.random.default_rng(seed)
    K = len(METHOD.dictionary)
    Z = rng.gamma(0.5, size=(samples, K)) * (rng.random((samples, K)) < 0.4)
    if ties:
        Z = np.ceil(Z)
    X = rng.gamma(0.4, size=(samples, 6)).astype(np.float32)
    labels = rng.integers(-1, 3, size=samples)
    keys = np.array([f"{i}.png" for i in range(samples)])
    modes = Modes("a", "activation", METHOD, Z.astype(np.float32), labels, ("x", "y", "z"), keys)

    class Store:
        key = keys

        def __len__(self) -> int:
            return samples

        def view(self, site: str, view: str, rows: slice) -> np.ndarray[Any, Any]:
            assert (site, view) == ("a", "activation")
            return X[rows]

    return modes, SimpleNamespace(store=Store(), X=X)


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(0, 99), st.booleans(), st.integers(1, 100))
def test_the_strongest_are_those_of_sorting_everything(
    samples: int, seed: int, ties: bool, block: int
) -> None:
    modes, _ = made(samples, seed, ties)
    found, expected = gallery(modes, count=4, block=block), exemplars(modes, 4)
    np.testing.assert_array_equal(found.strongest.sample, expected.sample)
    np.testing.assert_array_equal(found.strongest.loading, expected.loading)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 90), st.integers(0, 99), st.integers(1, 100))
def test_blocks_change_nothing(samples: int, seed: int, block: int) -> None:
    modes, other = made(samples, seed)
    found, whole = (gallery(modes, other.store, count=3, block=b) for b in (block, 1000))
    for kind in KINDS:
        np.testing.assert_array_equal(getattr(found, kind).sample, getattr(whole, kind).sample)
        np.testing.assert_allclose(
            getattr(found, kind).loading, getattr(whole, kind).loading, rtol=1e-5
        )
    np.testing.assert_array_equal(found.histogram, whole.histogram)


def test_every_kind_matches_its_definition() -> None:
    modes, other = made(400, 1)
    found = gallery(modes, other.store, count=5)
    Z, X, D = np.asarray(modes.loadings), other.X, modes.dictionary
    cosine = X @ D.T / np.linalg.norm(X, axis=1)[:, None] / np.linalg.norm(D, axis=1)
    for k in range(len(modes)):
        present = Z[:, k] > 0
        assert present[found.typical.sample[k]].all()
        assert not present[found.negatives.sample[k]].any()
        assert len(set(found.negatives.sample[k])) == 5
        ranks = np.searchsorted(np.sort(Z[present, k]), found.typical.loading[k]) / present.sum()
        assert (np.abs(ranks - 0.5) < 0.2).all()
        assert found.near_misses is not None
        expected = np.argsort(np.where(present, 1, -cosine[:, k]), kind="stable")[:5]
        np.testing.assert_array_equal(found.near_misses.sample[k], expected)
        np.testing.assert_allclose(found.near_misses.loading[k], cosine[expected, k], rtol=1e-5)
        assert found.histogram is not None
        for c in range(3):
            assert found.histogram[k, c] == (present & (modes.labels == c)).sum()
        name, count, share = found.top_classes(k, 1)[0]
        assert count == found.histogram[k].max()
        assert share == count / (modes.labels == ("x", "y", "z").index(name)).sum()
    assert list(found[0]) == ["strongest", "diverse", "typical", "near misses", "negatives"]
    assert set(found.samples()) >= set(found.typical.samples())
    assert found[2]["strongest"][0].key == f"{found.strongest.sample[2, 0]}.png"


def test_the_diverse_are_strong_and_differ_more_than_the_strongest() -> None:
    modes, _ = made(600, 3)
    found = gallery(modes, count=5)
    Z = np.asarray(modes.loadings, np.float64)

    def alike(rows: np.ndarray[Any, Any], k: int) -> float:
        codes = np.delete(Z[rows], k, axis=1)
        codes /= np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)
        return float((codes @ codes.T)[np.triu_indices(len(rows), 1)].max())

    better = 0
    for k in range(len(modes)):
        assert found.diverse.sample[k, 0] == found.strongest.sample[k, 0]
        strong = set(np.argsort(-Z[:, k], kind="stable")[:20])
        assert set(found.diverse.sample[k]) <= strong
        better += alike(found.diverse.sample[k], k) < alike(found.strongest.sample[k], k)
    assert better >= len(modes) - 1


def test_a_mode_that_is_never_or_always_there(tmp_path: Path) -> None:
    modes, _ = made(30, 2)
    Z = np.array(modes.loadings)
    Z[:, 0], Z[:, 1] = 0, 1
    found = gallery(Modes("a", "activation", METHOD, Z), count=4)
    assert found[0]["strongest"] == found[0]["typical"] == found[0]["diverse"] == []
    assert len(found[0]["negatives"]) == 4
    assert found[1]["negatives"] == []
    assert len(found[1]["typical"]) == 4
    assert found.histogram is None
    assert found.top_classes(0) == []


def test_inputs_that_do_not_match_are_reported() -> None:
    modes, _ = made(30, 2)
    with pytest.raises(CodeclensError, match="holds 31 samples"):
        gallery(modes, made(31, 2)[1].store)
    with pytest.raises(CodeclensError, match="count"):
        gallery(modes, count=0)
    Z = np.array(modes.loadings)
    Z[3, 3] = np.nan
    with pytest.raises(CodeclensError, match="NaN"):
        gallery(Modes("a", "activation", METHOD, Z))
    with pytest.raises(CodeclensError, match="no samples"):
        gallery(Modes("a", "activation", METHOD, Z[:0]))
