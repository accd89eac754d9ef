"""Modes of several sites: printed as tables, and checked against stores and samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codeclens.attribution import Conductance
from codeclens.decomposition import (
    NMF,
    Modes,
    ModesBySeed,
    ModesBySite,
    decompose,
    require_modes_of,
    require_samples_of,
)
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, extract


def stored(to: Path, seed: int = 0, labels: int = 3, steps: int = 2) -> ContributionStore:
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    for number, parameter in enumerate(model.parameters()):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))
    images = torch.randn(40, 4, generator=torch.Generator().manual_seed(seed))
    return extract(
        model, (images, torch.arange(40) % labels), sites="1", to=to, method=Conductance(steps)
    )


def modes_of(store: ContributionStore) -> dict[str, Modes]:
    return decompose(store, NMF(n_modes=3))


def test_modes_of_the_store_itself(tmp_path: Path) -> None:
    store = stored(tmp_path / "a")
    require_modes_of(store, modes_of(store))
    require_samples_of(store, modes_of(store))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "made with another data"),
        ({"labels": 2}, "labels differ, first in sample 2: 2, not 0"),
        ({"steps": 3}, "made with another method"),
    ],
)
def test_modes_of_other_samples(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    found = modes_of(stored(tmp_path / "a"))
    other = stored(tmp_path / "b", **changed)
    require_modes_of(other, found)  # of the same network: they may be looked at
    with pytest.raises(CodeclensError, match=said):
        require_samples_of(other, found)


def test_fewer_samples_and_other_keys(tmp_path: Path) -> None:
    store = stored(tmp_path / "a")
    found = modes_of(store)["1"]
    few = replace(found, loadings=found.loadings[:9], labels=None, keys=None)
    with pytest.raises(CodeclensError, match="9 of them, not 40"):
        require_samples_of(store, {"1": few})
    renamed = replace(found, keys=np.array([f"photo {i}" for i in range(40)]))
    with pytest.raises(CodeclensError, match="keys differ, first in sample 0: photo 0"):
        require_samples_of(store, {"1": renamed})
    without_any_origin = replace(found, labels=None, keys=None, provenance={})
    require_samples_of(store, {"1": without_any_origin})


def test_modes_of_several_sites_print_as_a_table(tmp_path: Path) -> None:
    store = stored(tmp_path / "a.zarr")
    found = decompose(store, NMF(n_modes=2))
    assert isinstance(found, ModesBySite)
    assert list(found) == store.sites
    assert found == {site: found[site] for site in store.sites}
    table = found.to_dataframe()
    assert table["site"].tolist() == store.sites
    assert table["r2"].tolist() == [one.r2 for one in found.values()]
    assert len(repr(found).splitlines()) == 2 + len(found)
    assert found._repr_html_().count("<tr") == 1 + len(found)
    data = found.to_xarray()
    assert data.site.values.tolist() == store.sites
    np.testing.assert_array_equal(data.r2, table["r2"])
    rows = found.modes_dataframe()
    assert len(rows) == sum(len(one) for one in found.values())
    many = ModesBySite({f"layer{number}": found[store.sites[0]] for number in range(40)})
    assert len(repr(many).splitlines()) <= 20
    for nothing in (ModesBySite({}), ModesBySeed({})):
        assert len(nothing.to_dataframe()) == 0
        assert len(repr(nothing).splitlines()) <= 20
    assert len(ModesBySite({}).modes_dataframe()) == 0


def test_modes_of_several_seeds_print_as_a_table(tmp_path: Path) -> None:
    store = stored(tmp_path / "a.zarr")
    found = decompose(store, NMF(n_modes=2), seed=[3, 5])
    assert isinstance(found, ModesBySeed)
    site = store.sites[0]
    assert list(found[site]) == [3, 5]
    assert found.of_seed(5)[site] is found[site][5]
    assert found.to_dataframe()["seed"].tolist() == [3, 5] * len(store.sites)
    assert dict(found.to_xarray().sizes) == {"fit": 2 * len(store.sites)}
    assert repr(found).startswith(f"Modes of {len(found)} sites from the seeds 3, 5")
