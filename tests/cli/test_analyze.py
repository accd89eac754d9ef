"""`codeclens analyze`: what it writes, with and without labels and a hierarchy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray

import codeclens as cl
from codeclens.cli.analyze_command import LAYERS, MODES, SEMANTICS, modes_sentences
from codeclens.decomposition import save_modes

Told = Callable[..., tuple[int, str, str]]


def contributions(to: Path, labels: torch.Tensor | None) -> cl.ContributionStore:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    images = torch.randn(90, 4, generator=torch.Generator().manual_seed(0))
    data = images if labels is None else (images, labels)
    return cl.extract(model, data, sites="1", to=to, classes=["beagle", "pug", "cup"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of labelled samples, modes of it, and a tree over its classes."""
    folder = tmp_path_factory.mktemp("run")
    store = contributions(folder / "c.zarr", torch.arange(90) % 3)
    for view in ("concat", "activation"):
        modes = cl.decompose(store, cl.TopK(n_modes=4, k=2, epochs=3), view=view)
        save_modes(modes, folder / view)
    (folder / "tree.yaml").write_text("dog: [beagle, pug]\ndish: [cup]\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("view", ["concat", "activation"])
def test_tables_figures_and_sentences(folder: Path, view: str, told: Told, tmp_path: Path) -> None:
    code, out, err = told(
        "analyze", folder / "c.zarr", "--modes", folder / view, "--to", tmp_path / "out",
        "--hierarchy", folder / "tree.yaml", "--permutations", 99,
    )  # fmt: skip
    assert code == 0, err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {*LAYERS, *SEMANTICS, *MODES, "config.yaml"}
    sentences = (tmp_path / "out" / "sentences.txt").read_text(encoding="utf-8")
    assert "significance by 99 permutations" in sentences
    assert "Hoyer" in sentences
    assert all(line in out for line in sentences.splitlines())
    what = "activations" if view == "activation" else "contributions"
    r2 = cl.Modes.load(folder / view / "1").r2
    assert f"they explain R² = {r2:.3f} of the {what} at 1" in sentences
    with (tmp_path / "out" / "modes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(cl.Modes.load(folder / view / "1"))
    for row in rows:
        assert row["name"]
        assert row["share"]
        assert 0.01 <= float(row["p"]) <= 1
        assert row["superclass"] in ("dog", "")


@pytest.mark.parametrize("view", ["concat", "activation"])
def test_zarr_holds_what_csv_holds(folder: Path, view: str, told: Told, tmp_path: Path) -> None:
    code, _, err = told(
        "analyze", folder / "c.zarr", "--modes", folder / view, "--to", tmp_path,
        "--hierarchy", folder / "tree.yaml", "--permutations", 99,
    )  # fmt: skip
    assert code == 0, err
    modes, rows = stored(tmp_path / "modes.zarr"), table(tmp_path / "modes.csv")
    assert modes.mode_number.values.tolist() == [int(row["mode"]) for row in rows]
    for name in ("share", "firing_rate", "class_correlation", "q", "superclass_correlation"):
        np.testing.assert_array_equal(modes[name], numbers(rows, name), err_msg=name)
    for name in ("name", "class", "top_units", "superclass"):
        assert modes[name].values.tolist() == [row[name] for row in rows]
    assert float(modes.r2.sel(site="1")) == float(rows[0]["r2"])
    semantics, rows = stored(tmp_path / "semantics.zarr"), table(tmp_path / "features.csv")
    for name in ("class_correlation", "critical", "p", "q", "gini", "superclass_q"):
        np.testing.assert_array_equal(semantics[name], numbers(rows, name), err_msg=name)
    np.testing.assert_allclose(
        semantics.correlation.max("class"), semantics.class_correlation, rtol=1e-5
    )
    for row in table(tmp_path / "semantics.csv"):
        here = semantics.sel(site=row["site"], source=row["source"])
        for name in ("top_correlation_low", "above", "superclass_closer"):
            assert float(here[name]) == float(row[name])
    layers = stored(tmp_path / "layers.zarr")
    (row,) = table(tmp_path / "layers.csv")
    here = layers.sel(site="1", source="activation")
    for name in ("class_participation", "class_participation_low", "sparsity_high"):
        assert float(here[name]) == float(row[f"activation_{name}"])


def stored(path: Path) -> xarray.Dataset:
    return xarray.open_zarr(path, consolidated=False)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def test_an_earlier_run_is_not_left_beside_this_one(
    folder: Path, told: Told, tmp_path: Path
) -> None:
    plain = "analyze", folder / "c.zarr", "--to", tmp_path, "--permutations", 9
    assert told(*plain, "--modes", folder / "concat")[0] == 0
    before = (tmp_path / "layers.csv").read_bytes()
    (tmp_path / "layers.csv").write_bytes(before + b"earlier")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    code, _, err = told(*plain)
    assert code == 2
    assert "holds modes.csv, modes.zarr of an earlier run" in err
    assert (tmp_path / "layers.csv").read_bytes() == before + b"earlier"  # nothing was touched
    code, out, err = told(*plain, "--overwrite")
    assert code == 0, err
    assert "Removed modes.csv, modes.zarr of an earlier run" in out
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {*LAYERS, *SEMANTICS, "config.yaml", "notes.txt"}
    assert (tmp_path / "layers.csv").read_bytes() == before
    assert told(*plain)[0] == 0  # the same again asks nothing


def test_a_run_that_stops_leaves_an_earlier_one_whole(
    folder: Path, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = "analyze", folder / "c.zarr", "--to", tmp_path, "--permutations", 9
    assert told(*run)[0] == 0
    before = content(tmp_path)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cl, "semantics", stop)
    assert told(*run, "--seed", 1)[0] == 130
    assert content(tmp_path) == before
    assert {*LAYERS, *SEMANTICS, "config.yaml"} == {path.name for path in tmp_path.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_store_is_not_taken_for_a_result(told: Told, tmp_path: Path) -> None:
    contributions(tmp_path / "layers.zarr", None)
    code, _, err = told("analyze", tmp_path / "layers.zarr", "--to", tmp_path, "--overwrite")
    assert code == 2
    assert "layers.zarr is a store of contributions" in err
    assert len(cl.ContributionStore(tmp_path / "layers.zarr")) == 90


def test_modes_that_explain_little_are_reported(folder: Path) -> None:
    (one,) = cl.load_modes(folder / "concat").values()
    poor = replace(one, quality=one.quality | {"r2": 0.31})
    assert modes_sentences({"1": poor})[1].startswith(
        "Caution: R² is below 0.5 at 1 (0.31); the modes"
    )
    good = replace(one, quality=one.quality | {"r2": 0.61})
    assert len(modes_sentences({"1": good})) == 1
    unknown = {name: value for name, value in one.quality.items() if name != "r2"}
    (line,) = modes_sentences({"1": replace(one, quality=unknown)})
    assert "how much of the contributions they explain was not measured" in line


def test_wordnets_numbers_are_called_by_its_titles(told: Told, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    data = torch.randn(60, 4), torch.arange(60) % 3
    numbers = ["n00000002", "n00000003", "n00000004"]
    cl.extract(model, data, sites="1", to=tmp_path / "c.zarr", classes=numbers)
    (tmp_path / "data.noun").write_text(
        "00000001 05 n 01 animal 0 000 | all\n"
        "00000002 05 n 01 tench 0 001 @ 00000001 n 0000 | a fish\n"
        "00000003 05 n 02 great_grey_owl 0 owl 0 001 @ 00000001 n 0000 | a bird\n"
        "00000004 05 n 01 cup 0 000 | a thing\n",
        encoding="utf-8",
    )
    code, _, err = told(
        "analyze", tmp_path / "c.zarr", "--to", tmp_path / "out", "--permutations", 9,
        "--hierarchy", tmp_path / "data.noun",
    )  # fmt: skip
    assert code == 0, err
    named = {row["class"] for row in table(tmp_path / "out" / "classes.csv")}
    assert named == {"tench", "great grey owl", "cup"}
    assert {row["class"] for row in table(tmp_path / "out" / "features.csv")} <= {*named, ""}


def test_without_labels_classes_are_not_mentioned(told: Told, tmp_path: Path) -> None:
    contributions(tmp_path / "c.zarr", None)
    code, out, err = told("analyze", tmp_path / "c.zarr", "--to", tmp_path / "out")
    assert code == 0, err
    assert "have fewer than two labelled classes" in out
    assert not (tmp_path / "out" / "semantics.csv").exists()
    assert (tmp_path / "out" / "layers.csv").exists()


def test_a_hierarchy_that_does_not_fit_is_one_sentence(
    folder: Path, told: Told, tmp_path: Path
) -> None:
    (tmp_path / "tree.yaml").write_text("dog: [beagle, poodle]\n", encoding="utf-8")
    code, _, err = told(
        "analyze", folder / "c.zarr", "--to", tmp_path, "--hierarchy", tmp_path / "tree.yaml"
    )
    assert code == 2
    assert 'The hierarchy has no class "pug"' in err
    assert not (tmp_path / "layers.csv").exists()  # before anything is computed


def test_modes_of_other_samples_are_refused_before_anything_is_computed(
    folder: Path, told: Told, tmp_path: Path
) -> None:
    contributions(tmp_path / "other.zarr", (torch.arange(90) + 1) % 3)
    to = tmp_path / "out"
    code, out, err = told(
        "analyze", tmp_path / "other.zarr", "--modes", folder / "concat", "--to", to
    )
    assert code == 2
    assert "found in other samples than those of the store" in err
    assert "labels differ, first in sample 0: 0, not 1" in err
    assert out == ""
    assert not to.exists()


def test_results_are_not_written_into_a_store(folder: Path, told: Told) -> None:
    before = sorted(path.name for path in (folder / "c.zarr").iterdir())
    code, _, err = told("analyze", folder / "c.zarr", "--to", folder / "c.zarr")
    assert code == 2
    assert "is a store of contributions; results cannot be written into it" in err
    assert sorted(path.name for path in (folder / "c.zarr").iterdir()) == before


def test_a_folder_of_seeds_names_the_modes_folders(
    folder: Path, told: Told, tmp_path: Path
) -> None:
    save_modes(cl.load_modes(folder / "concat"), tmp_path / "m" / "seed-3")
    code, _, err = told("analyze", folder / "c.zarr", "--modes", tmp_path / "m", "--to", tmp_path)
    assert code == 2
    assert "itself; those of one seed are in" in err
    assert "seed-3" in err
