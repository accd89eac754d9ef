"""Many fits: several seeds, several processes, and the same results as one after another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from codeclens.decomposition import Epoch, TopK, decompose
from codeclens.errors import CodeclensError

METHOD = TopK(n_modes=6, k=2, epochs=12)


def test_several_seeds_in_one_call(store: Any) -> None:
    found = decompose(store, METHOD, seed=[4, 1, 4])
    assert list(found) == store.sites
    for site, by_seed in found.items():
        assert list(by_seed) == [4, 1]
        for seed, modes in by_seed.items():
            alone = decompose(store, METHOD, sites=site, seed=seed)[site]
            np.testing.assert_allclose(modes.dictionary, alone.dictionary, atol=1e-4)
            assert modes.provenance["seed"] == seed
        assert not np.array_equal(by_seed[4].loadings, by_seed[1].loadings)


@pytest.mark.slow
def test_processes_give_what_one_after_another_gives(store: Any) -> None:
    told: list[tuple[str, Epoch]] = []
    side_by_side = decompose(
        store, METHOD, seed=[0, 1], workers=2, progress=lambda site, e: told.append((site, e))
    )
    one_by_one = decompose(store, METHOD, seed=[0, 1])
    assert list(side_by_side) == list(one_by_one)
    for site, by_seed in one_by_one.items():
        for seed, modes in by_seed.items():
            other = side_by_side[site][seed]
            np.testing.assert_allclose(modes.dictionary, other.dictionary, atol=1e-4)
            np.testing.assert_allclose(modes.loadings, other.loadings, atol=1e-3)
            assert modes.r2 == pytest.approx(other.r2, abs=1e-3)
    for site in store.sites:
        assert sorted(e.epoch for at, e in told if at == site) == sorted([*range(1, 13)] * 2)


@pytest.mark.slow
def test_an_error_in_a_process_names_the_site(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = np.zeros((90, 12), dtype=np.float32)
    whole = store.view
    monkeypatch.setattr(store, "view", lambda s, v: bad if s == "layer1.1" else whole(s, v))
    with pytest.raises(CodeclensError, match=r'Site "layer1\.1": All 90 × 12 values are zero'):
        decompose(store, replace(METHOD, epochs=2000), workers=2)


def test_no_workers(store: Any) -> None:
    with pytest.raises(CodeclensError, match=r"workers \(=0\) must be a whole number at least 1"):
        decompose(store, METHOD, workers=0)


def test_a_logbook_for_each_site_and_seed(store: Any, tmp_path: Any) -> None:
    first = decompose(store, METHOD, seed=[0, 7], logs=tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 3 * 2 * 2
    assert "h.0%5B1%5D.seed7.jsonl" in names
    told: list[str] = []
    again = decompose(
        store, METHOD, seed=[0, 7], logs=tmp_path, progress=lambda site, _: told.append(site)
    )
    assert told == []
    for site in store.sites:
        assert np.array_equal(first[site][7].loadings, again[site][7].loadings)
    with pytest.raises(CodeclensError, match=r'Site "layer1\.0": The checkpoint .* another run: k'):
        decompose(store, replace(METHOD, k=3), logs=tmp_path)
