"""The benchmark of semantics measures what it says, at a tiny size."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import semantics

from codeclens.decomposition.quality import indicator_correlation


def test_the_product_is_what_correlation_is_made_of() -> None:
    Z, labels = semantics.material(200, 5, 3)
    indicator = np.eye(3)[labels]
    size = indicator.sum(axis=0)
    centred = Z.T.astype(float) @ indicator - np.outer(Z.mean(axis=0, dtype=float), size)
    spread = np.sqrt(np.outer(200 * Z.var(axis=0, dtype=float), size * (1 - size / 200)))
    np.testing.assert_allclose(indicator_correlation(Z, labels, 3), centred / spread, atol=1e-6)


def test_both_are_timed_and_memory_is_that_of_a_process() -> None:
    assert semantics.compare(300, 8, 4, pairs=1).ratio > 0
    small, large = semantics.peak(10, 8, 4), semantics.peak(40_000, 800, 4)
    assert large - small > 4 * 40_000 * 800 * 0.5


@pytest.mark.parametrize("sparse", [False, True])
def test_a_permutation_is_timed(sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(Z: np.ndarray, labels: np.ndarray, classes: int, n: int) -> None:
        counts.append(n)
        assert (np.count_nonzero(Z) < 0.2 * Z.size) == sparse

    monkeypatch.setattr(semantics, "permutation_nulls", counted)
    semantics.permutation_seconds(50, 200, 4, sparse)
    assert counts == [1, 1 + semantics.PERMUTATIONS]
