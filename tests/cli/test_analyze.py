"""`codeclens analyze`: what it writes, with and without labels and a hierarchy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import codeclens as cl
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
    assert {"semantics.csv", "semantics.png", "semantics.svg", "modes.csv"} <= names
    sentences = (tmp_path / "out" / "sentences.txt").read_text(encoding="utf-8")
    assert "significance by 99 permutations" in sentences
    assert "Hoyer" in sentences
    assert all(line in out for line in sentences.splitlines())
    with (tmp_path / "out" / "modes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(cl.Modes.load(folder / view / "1"))
    for row in rows:
        assert row["name"]
        assert row["share"]
        assert 0.01 <= float(row["p"]) <= 1
        assert row["superclass"] in ("dog", "")


def test_without_labels_nothing_is_said_of_classes(told: Told, tmp_path: Path) -> None:
    contributions(tmp_path / "c.zarr", None)
    code, out, err = told("analyze", tmp_path / "c.zarr", "--to", tmp_path / "out")
    assert code == 0, err
    assert "not labelled with two classes or more" in out
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
