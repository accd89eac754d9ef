from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import codeclens
from codeclens import CodeclensError, Conductance, ContributionStore, Site, extract
from codeclens.extraction.maps import SIGNED, map_shape, maps_of

METHOD = Conductance(4, "trapezoid", "uniform")

Run = Callable[..., ContributionStore]


def slow_maps(units: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Cell by cell, position by position, in float64."""
    samples, channels, height, width = units.shape
    signed = torch.zeros(2, samples, channels, rows, columns, dtype=torch.float64)
    for i in range(height):
        for j in range(width):
            here = units[:, :, i, j].double()
            cell = (slice(None), slice(None), i * rows // height, j * columns // width)
            signed[(0, *cell)] += here.clamp(min=0)
            signed[(1, *cell)] += here.clamp(max=0)
    return signed[0], signed[1]


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_cells_hold_what_lies_in_them(height: int, width: int, grid: tuple[int, int]) -> None:
    full = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))
    kept = map_shape(grid, (height, width))
    assert kept == (min(grid[0], height), min(grid[1], width))
    found = maps_of(Site("conv", unit_axis=1), full, SIGNED, kept)
    for name, slow in zip(SIGNED, slow_maps(full, *kept), strict=True):
        torch.testing.assert_close(found[name].double(), slow, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{"grid": (3, 2)}, {"grid": (8, 8)}, {"reduce": None}])
def test_maps_are_those_of_contributions_and_sum_to_the_units(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path, options: dict[str, object]
) -> None:
    store = run(x, tmp_path / "s.zarr", **options)
    full = codeclens.contributions(model, x, sites=["1", "3"], method=METHOD, reduce=None)
    shape = options.get("grid", (8, 8))
    for site in store.sites:
        positive, negative = slow_maps(full[site].full, *shape)
        close = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(store.maps(site, "positive"), positive, **close)
        np.testing.assert_allclose(store.maps(site, "negative"), negative, **close)
        np.testing.assert_allclose(store.maps(site), positive + negative, **close)
        for sign in ("positive", "negative"):
            whole = store.maps(site, sign).sum(axis=(2, 3))
            np.testing.assert_allclose(whole, store.view(site, sign), **close)
        np.testing.assert_array_equal(store.maps(site, rows=[7, 3]), store.maps(site)[[7, 3]])


def test_maps_resume_and_may_be_half_precision(
    run: Run, x: Tensor, tmp_path: Path, content: Callable[[Path], dict[str, bytes]]
) -> None:
    x[5] = float("nan")
    store = run(x, tmp_path / "s.zarr", grid=(2, 2), dtype="float16")
    before = content(store.path)
    (store.path / "sites" / "1" / "negative_map" / "c" / "1" / "0" / "0" / "0").unlink()
    assert list(store.verify()) == [1]
    run(x, store.path, grid=(2, 2), dtype="float16")
    assert content(store.path) == before
    single = run(x, tmp_path / "t.zarr", grid=(2, 2)).maps("1", "negative")
    np.testing.assert_array_equal(store.maps("1", "negative"), single.astype(np.float16))


def test_other_positions_are_other_settings(run: Run, x: Tensor, tmp_path: Path) -> None:
    run(x, tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match=r"positions = None, but now it is \[2, 2\]"):
        run(x, tmp_path / "s.zarr", grid=(2, 2))


def test_xarray_names_rows_and_columns(run: Run, x: Tensor, tmp_path: Path) -> None:
    site = xr.open_zarr(run(x, tmp_path / "s.zarr", grid=(3, 2)).path, group="sites/3")
    assert site["positive_map"].dims == ("sample", "unit", "row", "column")
    assert dict(site.sizes) == {"sample": 50, "unit": 6, "row": 3, "column": 2}
    assert site["column"].values.tolist() == [0, 1]


def test_tokens_are_rows_and_vectors_have_one_place(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.out = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.features(x).relu().mean(dim=1))

    torch.manual_seed(0)  # an unlucky draw changes the target so little that few steps miss it
    store = extract(
        Tokens(),
        torch.randn(5, 7, 4),
        sites=["features", "out"],
        grid=(2, 2),
        to=tmp_path / "s.zarr",
        method=METHOD,
    )
    assert store.maps("features").shape == (5, 6, 7, 1)
    assert store.maps("out").shape == (5, 2, 1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid": (7,)}, r"grid=\(7,\) must be"),
        ({"grid": (0, 7)}, r"grid=\(0, 7\) must be"),
        ({"reduce": "mean"}, "reduce='mean' is unknown"),
    ],
)
def test_bad_input_is_reported(
    run: Run, x: Tensor, tmp_path: Path, options: dict[str, object], words: str
) -> None:
    with pytest.raises(CodeclensError, match=words):
        run(x, tmp_path / "s.zarr", **options)


def test_a_store_without_positions_raises(run: Run, x: Tensor, tmp_path: Path) -> None:
    store = run(x, tmp_path / "s.zarr")
    with pytest.raises(
        CodeclensError, match='no positions at "1"; extract with, for example, grid'
    ):
        store.maps("1")
    kept = run(x, tmp_path / "t.zarr", grid=(1, 1))
    with pytest.raises(CodeclensError, match='Maps have no sign "net"'):
        kept.maps("1", "net")
