from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import codeclens
from codeclens import CodeclensError, Conductance, ContributionStore, ImageFolder
from codeclens.extraction.plan import Plan

METHOD = Conductance(4, "trapezoid", "uniform")
USUAL: dict[str, Any] = {"sites": ["1", "3"], "method": METHOD, "batch_size": 5, "shard_size": 16}
Run = Callable[..., ContributionStore]


def size(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dtype": "float16", "grid": (3, 2)},
        {"reduce": None, "shard_size": 1024},
        {"shard_size": 256, "classes": ["a", "b", "c", "d", "e"]},
    ],
)
def test_the_size_is_that_of_the_store(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path, options: dict[str, Any]
) -> None:
    data = x.repeat(6, 1, 1, 1) if options.get("shard_size", 16) > 16 else x
    found = codeclens.plan(model, data, **(USUAL | options))
    store = run(data, tmp_path / "s.zarr", **options)
    assert found.size == pytest.approx(size(store.path), rel=0.01)
    assert (found.samples, found.missing) == (len(data), len(data))
    assert found.sites == {"1": 4, "3": 6}


def test_nothing_is_written_and_one_batch_computed(
    model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    sizes: list[int] = []
    model.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    found = codeclens.plan(model, x, to=tmp_path / "s.zarr", **USUAL)
    assert list(tmp_path.iterdir()) == []
    # Five forwards of a batch of five, and what the pilot needs.
    assert sizes.count(5) == 5
    assert sum(sizes) < 50
    assert found.computing > 0
    assert found.reading > 0
    assert found.seconds == pytest.approx(50 * (found.computing + found.reading))
    assert found.memory > 10**7


def test_finished_shards_need_no_time(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    run(x, tmp_path / "s.zarr", shards=[0, 3])
    found = codeclens.plan(model, x, to=tmp_path / "s.zarr", **USUAL)
    assert found.missing == 32
    assert "50 samples in 4 shards, 32 still to be computed" in str(found)
    run(x, tmp_path / "s.zarr")
    assert codeclens.plan(model, x, to=tmp_path / "s.zarr", **USUAL).seconds == 0
    with pytest.raises(CodeclensError, match=r"batch_size \(=0\)"):
        codeclens.plan(model, x, **(USUAL | {"batch_size": 0}))
    with pytest.raises(CodeclensError, match="dtype = 'float32', but now it is 'float16'"):
        codeclens.plan(model, x, to=tmp_path / "s.zarr", **USUAL, dtype="float16")


def test_images_that_cannot_be_read_do_not_stop_it(model: nn.Module, pictures: Path) -> None:
    found = codeclens.plan(model, ImageFolder(pictures), **(USUAL | {"batch_size": 12}))
    assert found.samples == 12


def test_it_reports_what_it_found() -> None:
    sites = {f"layer{i}": 64 for i in range(30)}
    told = str(Plan(1_281_167, 1_281_167, sites, 1252, 3 * 10**9, 0.004, 0.5, 645_000.0, 2 * 10**9))
    assert told.splitlines() == [
        "1,281,167 samples in 1,252 shards",
        "30 sites, 1,920 units",
        *(f"  layer{i}{' ' * (i < 10)}      64 units" for i in range(12)),
        "  … and 18 more",
        "3 GB on disk",
        "about 7 days 11 hours (0.50 s to compute a sample, 4.0 ms to read it)",
        "about 2 GB of memory",
    ]


def test_a_plan_is_labelled() -> None:
    found = Plan(100, 50, {"a": 4, "b": 6}, 2, 3000, 0.004, 0.5, 25.2, 2 * 10**9)
    assert repr(found) == str(found)
    assert len(str(found).splitlines()) <= 20
    table = found.to_dataframe().set_index("quantity")
    assert table.loc["units"].tolist() == [10, "units"]
    assert table.loc["size"].tolist() == [3000, "bytes"]
    data = found.to_xarray()
    assert data["units"].sel(site="b") == 6
    assert float(data["seconds"]) == 25.2
    assert "<td>memory</td>" in found._repr_html_()


def test_a_plan_warns_of_nothing(model: nn.Module) -> None:
    assert codeclens.plan(model, torch.zeros(3, 3, 8, 8), **USUAL).shards == 1
