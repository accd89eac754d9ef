"""Exports, read back by pynwb and held to a stand-in of pynapple (or itself, where it is there)."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from pynwb import NWBHDF5IO

from codeclens import CodeclensError
from codeclens.retina import Movie, RetinaCNN, movie_contributions, to_nwb, to_pynapple

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def results(rng: np.random.Generator) -> xr.Dataset:
    import torch

    frames = torch.from_numpy(rng.normal(size=(30, 8, 8)).astype(np.float32))
    movie = Movie(frames, rate=50.0, pixel=1.0, unit="deg")
    cnn = RetinaCNN(["on", "off"], rate=50.0, pixel=1.0, unit="deg", history=4, size=(8, 8),
                    channels=(3, 2), kernels=(3, 3)).eval()  # fmt: skip
    return movie_contributions(cnn, movie)


class Series:
    def __init__(self, t, d, time_units, columns=None):
        self.t, self.d, self.time_units, self.columns = t, d, time_units, columns


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("pynapple")
    for name in ("Tsd", "TsdFrame", "TsdTensor"):
        setattr(module, name, type(name, (Series,), {}))
    monkeypatch.setitem(sys.modules, "pynapple", module)
    return module


def test_axes_choose_the_kind_of_series(results: xr.Dataset, stand_in: types.ModuleType) -> None:
    rates = to_pynapple(results.rate)
    assert type(rates).__name__ == "TsdFrame"
    assert rates.columns == ["on", "off"]
    assert rates.time_units == "s"
    assert np.array_equal(rates.t, results.time)
    assert np.array_equal(rates.d, results.rate)
    one = to_pynapple(results.rate.sel(cell="on"))
    assert type(one).__name__ == "Tsd"
    named = to_pynapple(results.positive)
    assert type(named).__name__ == "TsdFrame"
    column = named.columns.index("off / second / 1")
    wanted = results.positive.sel(cell="off", layer="second", channel=1)
    assert np.array_equal(named.d[:, column], wanted)
    assert not np.isnan(named.d).any(), "channels that a layer does not have are no columns"
    tensor = to_pynapple(results.positive.transpose("cell", "time", ...), tensor=True)
    assert type(tensor).__name__ == "TsdTensor"
    assert tensor.d.shape == (27, 2, 2, 3)
    assert np.array_equal(tensor.d, results.positive, equal_nan=True)


@pytest.mark.skipif(not importlib.util.find_spec("pynapple"), reason="pynapple is not installed")
def test_pynapple_takes_them(results: xr.Dataset) -> None:
    rates = to_pynapple(results.rate)
    assert list(rates.columns) == ["on", "off"]
    assert np.allclose(rates.t, results.time)
    assert np.array_equal(rates.d, results.rate)


def test_without_pynapple_the_error_is_one_sentence(
    results: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynapple", None)
    with pytest.raises(CodeclensError, match="pip install pynapple"):
        to_pynapple(results.rate)


def test_nwb_gives_back_values_times_units_and_names(results: xr.Dataset, tmp_path: Path) -> None:
    arrays = {"rate": results.rate, "positive": results.positive}
    path = to_nwb(tmp_path / "a.nwb", arrays, session_start=START, identifier="one")
    with NWBHDF5IO(str(path), "r") as file:
        module = file.read().processing["codeclens"]
        rate, positive = module["rate"], module["positive"]
        assert np.array_equal(rate.data[:], results.rate)
        assert np.array_equal(positive.data[:], results.positive, equal_nan=True)
        assert rate.unit == positive.unit == "Hz"
        assert rate.rate == pytest.approx(50.0)
        assert rate.starting_time == pytest.approx(float(results.time[0]))
        labels = json.loads(positive.comments)
        assert labels["dims"] == ["time", "cell", "layer", "channel"]
        assert labels["coords"]["cell"] == ["on", "off"]
        assert labels["coords"]["layer"] == ["first", "second"]
        assert labels["coords"]["channel"] == [0, 1, 2]


def test_uneven_frames_keep_their_times(results: xr.Dataset, tmp_path: Path) -> None:
    some = results.rate.isel(time=[0, 1, 5, 6])
    path = to_nwb(tmp_path / "a.nwb", {"rate": some}, session_start=START, identifier="one")
    with NWBHDF5IO(str(path), "r") as file:
        rate = file.read().processing["codeclens"]["rate"]
        assert rate.rate is None
        assert np.array_equal(rate.timestamps[:], some.time)


def test_what_is_there_is_kept_unless_asked(results: xr.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "a.nwb"
    path.write_text("mine")
    about = {"session_start": START, "identifier": "one"}
    with pytest.raises(CodeclensError, match="overwrite=True"):
        to_nwb(path, {"rate": results.rate}, **about)
    # A file that cannot be completed leaves the old one, too.
    with pytest.raises(CodeclensError, match="no unit"):
        to_nwb(path, {"rate": results.rate.drop_attrs()}, **about, overwrite=True)
    assert path.read_text() == "mine"
    to_nwb(path, {"rate": results.rate}, **about, overwrite=True)
    assert path.read_bytes()[1:4] == b"HDF"
    assert [one.name for one in tmp_path.iterdir()] == ["a.nwb"]


def test_mistakes_are_named(results: xr.Dataset, tmp_path: Path) -> None:
    about = {"session_start": START, "identifier": "one"}
    with pytest.raises(CodeclensError, match="time zone"):
        to_nwb(tmp_path / "a", {"r": results.rate}, session_start=datetime(2026, 1, 1),
               identifier="one")  # fmt: skip
    with pytest.raises(CodeclensError, match="arrays is empty"):
        to_nwb(tmp_path / "a", {}, **about)
    with pytest.raises(CodeclensError, match="no time"):
        to_nwb(tmp_path / "a", {"r": results.rate.mean("time")}, **about)
    windows = results.rate.assign_coords(time=("time", np.arange(27.0), {"units": "window"}))
    with pytest.raises(CodeclensError, match="'window'"):
        to_pynapple(windows)
    for bare in (results.rate.to_numpy(), results, None):
        for export in (to_pynapple, lambda x: to_nwb(tmp_path / "a", {"r": x}, **about)):
            with pytest.raises(CodeclensError, match="has no labels; pass an xarray"):
                export(bare)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"session_start": "2026-01-01"}, "must be a datetime with a time zone"),
        ({"identifier": ""}, r"identifier \(=''\)"),
        ({"identifier": 3}, r"identifier \(=3\)"),
    ],
)
def test_a_session_is_checked(results: xr.Dataset, tmp_path: Path, change: dict, says: str) -> None:
    about = {"session_start": START, "identifier": "one"} | change
    with pytest.raises(CodeclensError, match=says):
        to_nwb(tmp_path / "a.nwb", {"rate": results.rate}, **about)


def test_names_and_places_that_nwb_does_not_take(results: xr.Dataset, tmp_path: Path) -> None:
    about: dict = {"session_start": START, "identifier": "one"}
    for name in ("on/rate", "on:rate", "", 1):
        with pytest.raises(CodeclensError, match="does not accept the name"):
            to_nwb(tmp_path / "a.nwb", {name: results.rate}, **about)
    with pytest.raises(CodeclensError, match="arrays is empty"):
        to_nwb(tmp_path / "a.nwb", results.rate, **about)
    with pytest.raises(CodeclensError, match="is a folder"):
        to_nwb(tmp_path, {"rate": results.rate}, **about, overwrite=True)
    assert not list(tmp_path.iterdir())
