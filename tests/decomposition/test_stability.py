"""Which modes are found again, and how many would be by chance."""

from __future__ import annotations

import numpy as np
import pytest
from tests.decomposition.conftest import Planted

from codeclens.decomposition import TopK
from codeclens.decomposition.stability import FOUND, chance, found_again, matched, sentence


def test_a_mode_without_a_partner_counts_as_not_found() -> None:
    found = found_again(np.eye(3), [np.eye(3), np.eye(3)[:2]])
    np.testing.assert_allclose(found, [1, 1, 0.5])
    assert np.isnan(found_again(np.eye(3), [])).all()


def test_dense_patterns_are_alike_by_chance() -> None:
    """Modes that are all nearly the mean of the data look stable, and are not."""
    rng = np.random.default_rng(0)
    dense = [1 + 0.2 * rng.random((30, 50)) for _ in range(2)]
    again = found_again(dense[0], dense[1:])
    assert (again > FOUND).all()
    level = chance(dense[0])
    assert level > 0.95
    assert (again >= level).mean() < 0.4
    told = sentence(np.full(30, 1 / 30), {"other seeds": again}, level)
    assert f"by chance {level:.2f}" in told


def test_sparse_patterns_are_not(planted: Planted) -> None:
    fits = [TopK(n_modes=32, k=3).fit(planted.X, seed=seed).dictionary for seed in (0, 1)]
    level = chance(fits[0])
    again = found_again(fits[0], fits[1:])
    assert level < 0.85
    assert (again > level).mean() > 0.4


def test_chance_is_what_shuffled_modes_reach() -> None:
    rng = np.random.default_rng(1)
    D = rng.gamma(0.5, size=(20, 12))
    slow = []
    for draw in range(40):
        own = np.random.default_rng(100 + draw)
        shuffled = np.stack([own.permutation(D[:, unit]) for unit in range(12)], axis=1)
        slow.append(matched(D, shuffled).cosine)
    assert chance(D) == pytest.approx(np.quantile(np.concatenate(slow), 0.95), abs=0.05)
    assert chance(D, seed=3) == chance(D, seed=3)
