"""The page as a whole: what it says of its data, and modes that do not belong to them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

import codeclens as cl
from codeclens.decomposition import require_modes_of
from codeclens.errors import CodeclensError


def network(units: int = 6, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, units), nn.ReLU(), nn.Linear(units, 3))


def extracted(folder: Path, units: int = 6, seed: int = 0, samples: int = 40):
    data = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
    return cl.extract(
        network(units, seed), data, sites="1", to=folder / f"{units}-{seed}-{samples}.zarr"
    )


@pytest.fixture
def store(tmp_path: Path):
    return extracted(tmp_path)


def decomposed(store):
    return cl.decompose(store, cl.TopK(n_modes=8, k=2, epochs=3))


def test_the_first_sentence_holds_for_samples_without_labels(store, tmp_path: Path) -> None:
    page = cl.report(store, to=tmp_path / "report.html").read_text()
    assert "The network (Sequential) was analysed on 40 samples." in page
    single = cl.report(extracted(tmp_path, samples=1), to=tmp_path / "one.html").read_text()
    assert "The network (Sequential) was analysed on 1 sample." in single


def test_modes_of_another_width_are_refused(store, tmp_path: Path) -> None:
    modes = decomposed(extracted(tmp_path, units=5))
    with pytest.raises(CodeclensError, match=r"patterns of 5 units, but the store .* has 6 there"):
        cl.report(store, modes, to=tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_modes_of_another_network_are_refused(store, tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match="were found in another network than the store"):
        require_modes_of(store, decomposed(extracted(tmp_path, seed=1)))
    require_modes_of(store, decomposed(store))
    # The same network, shown other data: these modes may be used with this store.
    require_modes_of(store, decomposed(extracted(tmp_path, samples=39)))


def test_modes_of_an_unknown_site_are_refused(store) -> None:
    with pytest.raises(CodeclensError, match='are of site "2", which the store'):
        require_modes_of(store, {"2": decomposed(store)["1"]})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_what_is_no_file_is_not_replaced_by_one(store, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.html"
    os.mkfifo(pipe)
    with pytest.raises(CodeclensError, match=re.escape(f'"{pipe}" cannot be written')):
        cl.report(store, to=pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
