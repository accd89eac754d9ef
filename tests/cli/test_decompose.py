"""`codeclens decompose`: several seeds, logs that are resumed, and what cannot be."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from codeclens.cli.decompose import epochs
from codeclens.cli.progress import progress
from codeclens.decomposition import Epoch, load_modes
from codeclens.extraction import extract

Told = Callable[..., tuple[int, str, str]]
FEW = ("--n-modes", "8", "--k", "2", "--epochs", "3")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    images = torch.randn(60, 4, generator=generator)
    return extract(model, images, sites=["0", "1"], to=tmp_path / "contributions.zarr").path


def test_several_seeds_in_folders_of_their_own(store: Path, tmp_path: Path, told: Told) -> None:
    to = tmp_path / "modes"
    code, out, err = told("decompose", store, *FEW, "--seeds", "3,1", "--to", to)
    assert code == 0, err
    assert f"2 sites, for 2 seeds each, written to {to}" in out
    three, one = load_modes(to / "seed-3"), load_modes(to / "seed-1")
    assert list(three) == list(one) == ["0", "1"]
    assert three["0"].provenance["seed"] == 3
    alone = told("decompose", store, *FEW, "--seed", "3", "--to", tmp_path / "alone")
    assert alone[0] == 0
    assert np.array_equal(load_modes(tmp_path / "alone")["0"].loadings, three["0"].loadings)


def test_logs_are_kept_and_resumed(store: Path, tmp_path: Path, told: Told) -> None:
    logs = tmp_path / "logs"
    arguments = ("decompose", store, *FEW, "--logs", logs, "--to", tmp_path / "modes")
    assert told(*arguments)[0] == 0
    assert (logs / "0.seed0.jsonl").read_text().count("r2") == 3
    assert told(*arguments)[0] == 0
    code, _, err = told(*("3" if a == "2" else a for a in arguments))
    assert code == 2
    assert 'Site "0": The checkpoint' in err
    assert "belongs to another run: k is 2 there and 3 here" in err


def test_seeds_that_are_no_numbers(store: Path, told: Told) -> None:
    code, _, err = told("decompose", store, "--seeds", "1;2", "--to", "m")
    assert code == 2
    assert "seeds (='1;2') should be whole numbers separated by commas, for example 0,1,2" in err


def test_the_bar_tells_the_figures_of_an_epoch() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=200)
    with progress("modes", None, "epochs", console) as advance:
        epochs(advance, 1)("conv1", Epoch(3, 30, 0.512, 0.4567, 15.9, 3))
    assert "conv1 3/30: loss 0.512, R² 0.457, L0 15.9, 3 dead" in text.getvalue()
