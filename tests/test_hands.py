"""Many hands: workers of data loaders, event loops and home folders."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import codeclens as cl
from codeclens.extraction import open_samples
from codeclens.files import write_whole

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(16) % 2


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))


def extracted(data: object, to: Path, model: torch.nn.Module | None = None) -> np.ndarray:
    store = cl.extract(model or network(), data, sites="1", to=to, method=cl.Conductance(2))
    return np.column_stack([store.view("1"), store.label])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loaders_with_workers_give_the_same_numbers(start: str, tmp_path: Path) -> None:
    loader = DataLoader(
        TensorDataset(X, Y), batch_size=3, num_workers=2, multiprocessing_context=start
    )
    np.testing.assert_array_equal(
        extracted(loader, tmp_path / "a.zarr"), extracted((X, Y), tmp_path / "b.zarr")
    )


# Python's own way to silence a warning is not safe in threads.
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_running_event_loop_is_no_obstacle(tmp_path: Path) -> None:
    # Not made in the threads, which share torch's random state.
    models = [network(), network()]

    async def cell() -> np.ndarray:
        here = extracted((X, Y), tmp_path / "a.zarr")
        there = await asyncio.gather(
            *(
                asyncio.to_thread(extracted, (X, Y), tmp_path / f"{n}.zarr", model)
                for n, model in enumerate(models)
            )
        )
        for one in there:
            np.testing.assert_array_equal(one, here)
        return here

    np.testing.assert_array_equal(asyncio.run(cell()), extracted((X, Y), tmp_path / "b.zarr"))


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    extracted((X, Y), Path("~/run/a.zarr"))
    store = cl.ContributionStore("~/run/a.zarr")
    modes = cl.decompose(store, cl.NMF(n_modes=2))
    cl.decomposition.save_modes(modes, "~/run/modes")
    assert list(cl.load_modes("~/run/modes")) == ["1"]
    modes["1"].save("~/run/one")
    assert cl.Modes.load("~/run/one").site == "1"
    cl.report(store, modes, to="~/run/r.html")
    np.save(tmp_path / "run" / "x.npy", X.numpy())
    assert len(open_samples("~/run/x.npy")) == 16
    write_whole("~/run/tree.yaml", "one: [a, b]\n")
    assert cl.Hierarchy.from_file("~/run/tree.yaml")
    assert {one.name for one in tmp_path.iterdir() if one.name[0] != "."} == {"run"}
    assert (tmp_path / "run" / "r.html").is_file()
