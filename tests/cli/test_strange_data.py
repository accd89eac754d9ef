"""Few samples, few classes and strange names: every command runs, or says a sentence."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

import codeclens as cl

Told = Callable[..., tuple[int, str, str]]
NAMES = [
    "a,b", 'say "hi"', "[x] #1", "k=v", "=1+1", "\x1b[31mred", "over\u202e", "two\nlines", "猫",
    "$x_1$", "_hidden", "cat", "cat", "",
]  # fmt: skip


def store(to: Path, labels: list[int], names: list[str] | None) -> cl.ContributionStore:
    torch.manual_seed(0)
    outputs = len(names) if names else 3
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 6), torch.nn.ReLU(),
        torch.nn.Linear(6, outputs),
    )  # fmt: skip
    x = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    return cl.extract(
        model, (x, labels), sites=["1", "3"], to=to, classes=names, method=cl.Conductance(2)
    )


@pytest.mark.parametrize(
    ("labels", "names"),
    [([0], ["a"]), ([0], None), ([0, 0], ["a", "b"]), ([0, 1], ["a", "b"]), ([-1, -1, -1], None),
     ([0] * 12, ["a"]), ([0, 1] * 6, ["a", "b"])],
    ids=["one", "one unnamed", "two of one", "two", "unlabelled", "one class", "two classes"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["nmf", "topk"])
def test_few_samples_and_classes(
    labels: list[int], names: list[str] | None, method: str, told: Told, tmp_path: Path
) -> None:
    store(tmp_path / "s.zarr", labels, names)
    fit = "--method", method, "--k", 1, "--to", tmp_path / "modes"
    runs = [
        ("decompose", tmp_path / "s.zarr", *fit),
        ("analyze", tmp_path / "s.zarr", "--to", tmp_path / "a", "--permutations", 9),
        ("report", tmp_path / "s.zarr", "--to", tmp_path / "r.html"),
    ]
    if (tmp_path / "modes").exists():
        runs.append(
            ("analyze", tmp_path / "s.zarr", "--modes", tmp_path / "modes", "--to", tmp_path)
        )
    for run in runs:
        code, out, err = told(*run)
        assert code in (0, 2), err
        assert out if code == 0 else err.count("\n") == 1


def test_strange_names_are_the_same_in_every_file(told: Told, tmp_path: Path) -> None:
    labels = list(np.arange(56) % len(NAMES))
    made = store(tmp_path / "s.zarr", [int(one) for one in labels], NAMES)
    shown = [
        "a,b", 'say "hi"', "[x] #1", "k=v", "=1+1", r"\x1b[31mred", r"over\u202e", r"two\nlines",
        "猫", "$x_1$", "_hidden", "cat (11)", "cat (12)", "class 13",
    ]  # fmt: skip
    assert made.classes == shown
    run = tmp_path / "s.zarr", "--modes", tmp_path / "modes"
    fit = "--method", "nmf", "--k", 4, "--to", tmp_path / "modes"
    assert told("decompose", run[0], *fit)[0] == 0
    code, out, err = told("analyze", *run, "--to", tmp_path / "a", "--permutations", 9)
    assert code == 0, err
    assert not {"\x1b", "\u202e"} & set(out + err)
    assert told("report", *run, "--to", tmp_path / "r.html")[0] == 0

    in_tables = {"'=1+1" if name == "=1+1" else name for name in shown}
    for table in (tmp_path / "a").glob("*.csv"):
        with table.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            assert None not in row, "all rows have the columns of the header"
            assert row.get("class", "") in {*in_tables, "", "all"}, table
    with (tmp_path / "a" / "classes.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["class"] for row in csv.DictReader(stream)} == in_tables
    for drawing in (tmp_path / "a").glob("*.svg"):
        ElementTree.parse(drawing)
    for file in [*(tmp_path / "a").glob("*.*"), tmp_path / "r.html"]:
        if file.suffix in (".csv", ".svg", ".html", ".txt"):
            text = file.read_text(encoding="utf-8")
            assert not {"\x1b", "\u202e", "\x00"} & set(text), file
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert r"over\\u202e" in page, "as JSON writes it"
