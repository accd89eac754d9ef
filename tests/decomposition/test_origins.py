"""Modes are told from those of other stores, networks and samples."""

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
