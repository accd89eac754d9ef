"""`codeclens analyze --flow` on a user's own model and images."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

import codeclens as cl

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decomposed(desk: Path, told: Told) -> Path:
    """A store and modes of two sites in the folder `run`."""
    where = "--images", "images", "--to", "run/store.zarr", "--steps", 3, "--sites", "1,4"
    assert told("extract", "--model", "tiny:build", *where)[0] == 0
    to = "--method", "nmf", "--k", 3, "--to", "run/modes"
    assert told("decompose", "run/store.zarr", *to)[0] == 0
    return desk / "run"


def flow(told: Told, *more: object) -> tuple[int, str, str]:
    where = "--modes", "run/modes", "--to", "run/analysis"
    return told("analyze", "run/store.zarr", *where, "--flow", "--run-code", *more)


def test_flow_is_written_and_summarised(decomposed: Path, told: Told) -> None:
    code, out, err = flow(told, "--flow-images", 6, "--flow-interventions", 3)
    assert (code, err) == (0, "")
    to = decomposed / "analysis"
    with (to / "flow.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {(row["source"], row["sink"]) for row in rows} == {("1", "4")}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1)
    with (to / "flow-completeness.csv").open(encoding="utf-8") as file:
        gaps = [abs(float(row["total_gap"])) for row in csv.DictReader(file)]
    assert len(gaps) == 6
    assert max(gaps) < 1e-4
    for ending in ("png", "svg"):
        assert (to / f"flow.{ending}").stat().st_size > 1000
    words = (to / "flow.txt").read_text(encoding="utf-8")
    assert "Single modes were removed at 1 in 3 samples" in words
    assert "differ from those in the store by at most" in words
    assert words.splitlines()[0] in out
    assert "This is from 3 samples" in words
    assert "too few for reliable numbers" in words
    assert "they explain R²" in (to / "sentences.txt").read_text(encoding="utf-8")
    data = xarray.open_zarr(to / "flow.zarr", consolidated=False)
    for name in ("flow", "share", "samples"):
        np.testing.assert_array_equal(data[f"edge_{name}"], [float(row[name]) for row in rows])
    assert data.edge_source_mode.values.tolist() == [row["source_mode"] for row in rows]
    np.testing.assert_allclose(np.abs(data.total_gap[0]), gaps)
    with (to / "flow-agreement.csv").open(encoding="utf-8") as file:
        ranks = [float(row["rho"]) for row in csv.DictReader(file)]
    data = xarray.open_zarr(to / "flow-agreement.zarr", consolidated=False)
    np.testing.assert_array_equal(data.rank_rho, ranks)


def test_without_interventions_none_are_made(decomposed: Path, told: Told) -> None:
    assert flow(told, "--flow-images", 2, "--flow-interventions", 0)[0] == 0
    assert not (decomposed / "analysis" / "flow-agreement.csv").exists()
    # What was flow's stays out of a run without it.
    code, _, err = told("analyze", "run/store.zarr", "--modes", "run/modes", "--to", "run/analysis")
    assert code == 2
    assert "holds flow.csv, flow.zarr, flow-completeness.csv, flow.txt, flow.png, flow.svg" in err


def test_what_flow_needs_is_looked_at_first(
    decomposed: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long(*_: object, **__: object) -> None:
        pytest.fail("the long part has begun")

    monkeypatch.setattr(cl, "layer_statistics", long)
    code, _, err = told("analyze", "run/store.zarr", "--to", "run/analysis", "--flow")
    assert code == 2
    assert "at least two sites" in err
    image = next((decomposed.parent / "images").rglob("0.png"))
    Image.new("L", (8, 8)).save(image)
    code, _, err = flow(told)
    assert code == 2
    assert "names other images" in err
    image.unlink()
    assert flow(told)[0] == 2
    (decomposed / "config.yaml").unlink()
    assert "no config.yaml" in flow(told)[2]


def test_missing_input_is_reported(decomposed: Path, told: Told) -> None:
    code, _, err = told("analyze", "run/store.zarr", "--to", "run/analysis", "--flow")
    assert code == 2
    assert "pass --modes FOLDER with modes of more sites" in err
    tiny = decomposed.parent / "tiny.py"
    tiny.write_text(tiny.read_text(encoding="utf-8").replace("seed(0)", "seed(1)"), "utf-8")
    __import__("sys").modules.pop("tiny", None)
    code, _, err = flow(told)
    assert code == 2
    assert "names other weights" in err
    (decomposed / "config.yaml").unlink()
    code, _, err = flow(told)
    assert code == 2
    assert "there is no config.yaml of codeclens extract next to" in err
