"""Stores of text: lines or JSON lines by a tokenizer, and dicts of tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import codeclens as cl
import networks
from codeclens.attribution import Inputs
from codeclens.errors import CodeclensError
from codeclens.extraction import TextLines
from codeclens.visualization.galleries import exemplars

WORDS = ["<pad>", "a", "the", "cat", "dog", "sat", "ran", "far"]
TEXTS = [
    f"{article} {animal} {verb}" + (" far" if verb == "ran" else "")
    for article in ("a", "the") for animal in ("cat", "dog") for verb in ("sat", "ran")
] * 2  # fmt: skip


def tokenizer(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


def json_lines(folder: Path) -> Path:
    file = folder / "lines.jsonl"
    rows = [json.dumps({"text": text, "animal": text.split()[1]}) for text in TEXTS]
    file.write_text("\n".join(rows))
    return file


OPTIONS: dict[str, Any] = {
    "sites": "layers.*", "target": cl.Token(), "baseline": "mean", "method": cl.Conductance(2),
    "reduce": None,
}  # fmt: skip


def test_a_store_of_text_holds_texts_positions_and_exact_sums(tmp_path: Path) -> None:
    lines = TextLines(json_lines(tmp_path), tokenizer, field="text", label="animal")
    model = networks.language_model().float()
    store = cl.extract(model, lines, to=tmp_path / "c.zarr", batch_size=3, **OPTIONS)
    assert store.key[1] == "2: a cat ran far"
    assert store.classes == ["cat", "dog"]
    assert store.label.tolist() == [0, 0, 1, 1] * 4
    assert abs(store.completeness("layers.0")).max() < 1e-5
    maps = store.maps("layers.0")
    assert maps.shape == (16, 8, 4, 1)
    # The first text has three tokens; its fourth place is padding.
    assert not maps[0, :, 3].any()
    method = cl.Conductance(nodes=store.metadata["learned"]["nodes"])
    alone = cl.contributions(model, lines.load(1).image, **(OPTIONS | {"method": method}))
    torch.testing.assert_close(
        torch.from_numpy(store.view("layers.0", "positive")[1:2]), alone["layers.0"].positive
    )
    modes = cl.decompose(store, cl.NMF(n_modes=2))["layers.0"]
    keys = exemplars(modes, 3).to_dataframe()["key"]
    assert set(keys) <= {lines.key(row) for row in range(16)}


def test_dicts_of_tensors_give_the_same_store(tmp_path: Path) -> None:
    lines = TextLines(json_lines(tmp_path), tokenizer, field="text")
    model = networks.language_model().float()
    data = Inputs.joined([lines.load(row).image for row in range(len(lines))])
    first = cl.extract(model, lines, to=tmp_path / "a.zarr", **OPTIONS)
    second = cl.extract(model, (data, [0, 1] * 8), to=tmp_path / "b.zarr", **OPTIONS)
    assert second.label.tolist() == [0, 1] * 8
    assert (first.view("layers.1") == second.view("layers.1")).all()
    third = cl.extract(model, dict(data.values), to=tmp_path / "c.zarr", **OPTIONS)
    assert (first.view("layers.1") == third.view("layers.1")).all()


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        ("", {}, "has no text; write one sample in each line"),
        ("a cat", {"label": "kind"}, "Labels are a field of JSON lines"),
        ("a cat", {"field": "text"}, "Line 1 of .* is not a JSON object"),
        ('{"txt": "a"}', {"field": "text"}, 'has no field "text"; the nearest name is "txt"'),
        ('{"text": 1}', {"field": "text"}, 'The field "text" of line 1'),
        ("a cat", {"tokenizer": lambda text: text}, "The tokenizer gives str for line 1"),
        ("a cat", {"tokenizer": "nowhere"}, 'There is no folder "nowhere"'),
        ("a cat", {"most": 0}, "most .* must be"),
    ],
)
def test_mistakes_in_text_are_one_sentence(
    tmp_path: Path, content: str, options: dict[str, Any], sentence: str
) -> None:
    file = tmp_path / "lines.txt"
    file.write_text(content)
    with pytest.raises(CodeclensError, match=sentence):
        TextLines(file, **({"tokenizer": tokenizer} | options))
