"""Text on the command line: a language model and a classifier, from lines to explanations."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import codeclens as cl
from codeclens._compat import prepare_torchvision
from codeclens.errors import CodeclensError
from codeclens.extraction import TextLines
from codeclens.reporting import mode_gallery
from codeclens.zoo import load

Told = Callable[..., tuple[int, str, str]]

WORDS = ["<pad>", "a", "the", "cat", "dog", "sat", "ran", "far"]
TEXTS = [
    f"{article} {animal} {verb}" + (" far" if verb == "ran" else "")
    for article in ("a", "the") for animal in ("cat", "dog") for verb in ("sat", "ran")
] * 2  # fmt: skip

CODE = f"""
import torch
from torch import nn

WORDS = {WORDS}

class Tokenizer:
    pad_token_id = 0

    def __call__(self, text):
        return [WORDS.index(word) for word in text.split()]

    def decode(self, ids):
        return " ".join(WORDS[i] for i in ids)

tokenizer = Tokenizer()

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mix, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x):
        past = x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]
        return x + self.out(torch.relu(self.mix(past)))

class Model(nn.Module):
    def __init__(self, outputs, last):
        super().__init__()
        self.embed = nn.Embedding(8, 6)
        self.blocks = nn.ModuleList(Block(6) for _ in range(2))
        self.head, self.last = nn.Linear(6, outputs), last

    def forward(self, input_ids, attention_mask=None):
        x = self.embed(input_ids)
        for block in self.blocks:
            x = block(x)
        if self.last:
            x = (x * attention_mask[:, :, None]).sum(1)
        return self.head(x)

def language():
    torch.manual_seed(0)
    return Model(8, last=False)

def classifier():
    torch.manual_seed(1)
    model = Model(2, last=True)
    model.labels, model.tokenizer = ["cat", "dog"], tokenizer
    with torch.no_grad():  # it tells cats from dogs
        model.embed.weight[3, 0], model.embed.weight[4, 0] = 9, -9
        model.head.weight[:, 0] = torch.tensor([1.0, -1.0])
    return model
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "words", raising=False)
    (tmp_path / "words.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "lines.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/a.png")
    rows = [json.dumps({"text": text, "animal": text.split()[1]}) for text in TEXTS]
    (tmp_path / "lines.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return tmp_path


LANGUAGE = "--model", "words:language", "--tokenizer", "words:tokenizer"
CLASSIFIER = "--model", "words:classifier"


def extracted(told: Told, *more: object) -> tuple[int, str, str]:
    return told("extract", *more, "--steps", 2, "--sites", "blocks.*", "--to", "run/c.zarr")


def test_a_language_model_goes_through_every_command(desk: Path, told: Told) -> None:
    target = "--target", "token", "--baseline", "mean"
    code, out, err = extracted(told, *LANGUAGE, "--text", "lines.txt", *target)
    assert not code, err
    assert "warning" not in err
    assert "tokenizer: Tokenizer" in out
    store = cl.ContributionStore("run/c.zarr")
    assert store.key[1] == "2: a cat ran far"
    assert abs(store.completeness("blocks.0")).max() < 1e-5
    lines = TextLines("lines.txt", load("words:language", tokenizer="words:tokenizer").tokenizer)
    again = cl.contributions(
        load("words:language", tokenizer="words:tokenizer").model, lines.load(1).image,
        sites="blocks.0", target=cl.Token(), baseline="mean",
        method=cl.Conductance(2, nodes=store.metadata["learned"]["nodes"]),
    )  # fmt: skip
    own = torch.from_numpy(store.view("blocks.0", "positive")[1:2])
    torch.testing.assert_close(own, again["blocks.0"].positive)
    made = told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    assert made[0] == 0
    modes = "--modes", "run/modes", "--run-code"
    flow = "--flow", "--flow-images", 6, "--flow-interventions", 3
    code, out, err = told("analyze", "run/c.zarr", *modes, *flow, "--to", "run/out")
    assert not code, err
    assert "warning" not in err
    assert (desk / "run/out/flow.csv").stat().st_size > 100
    code, out, err = told("gallery", "run/c.zarr", *modes, "--count", 2, "--to", "run/gallery")
    assert not code, err
    assert "warning" not in err
    page = (desk / "run/gallery/gallery.html").read_text(encoding="utf-8")
    tokens = [token for figure in figures_of(page) for _, row in figure["rows"] for token in row]
    assert "cat" in {token for token, _, _ in tokens}
    assert all(abs(share) <= 1 for _, share, _ in tokens)
    code, out, err = told("report", "run/c.zarr", *modes, "--to", "run/report.html")
    assert not code, err
    assert "warning" not in err


def figures_of(page: str) -> list[dict[str, Any]]:
    """The figures of marked tokens in a page."""
    data = json.loads(page.partition('id="codeclens-data">')[2].partition("</script>")[0])
    found: list[dict[str, Any]] = []

    def look(part: Any) -> None:
        if isinstance(part, dict):
            if part.get("kind") == "marked":
                found.append(part)
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                look(inner)

    look(data)
    return found


def test_the_marked_tokens_of_a_gallery_sum_to_contributions(desk: Path, told: Told) -> None:
    extracted(told, *LANGUAGE, "--text", "lines.txt", "--target", "token")
    told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    store = cl.ContributionStore("run/c.zarr")
    modes = cl.load_modes("run/modes")["blocks.0"]
    ready = load("words:language", tokenizer="words:tokenizer")
    lines = TextLines("lines.txt", ready.tokenizer)
    from codeclens.reporting import Question

    asked = Question(cl.Conductance(2), cl.Token())
    found = mode_gallery(store, modes, ready.model, lines, asked, count=3)
    mode = found.shown_modes[0]
    rows = [one.sample for one in found.samples[mode]["strongest"]]
    marked = found.marked(mode)
    for place, (row, (title, pairs)) in enumerate(zip(rows, marked, strict=False)):
        assert title == f"strongest: line {row + 1}"
        assert [token for token, _ in pairs] == TEXTS[row].split()
        total = sum(value for _, value in pairs)
        assert total == pytest.approx(found.contribution[0, place], rel=1e-6, abs=1e-7)
    assert np.isfinite(found.effect[0]).all()
    assert not found.pictures


def test_a_sentence_is_explained_with_marked_tokens(desk: Path, told: Told) -> None:
    extracted(told, *LANGUAGE, "--text", "lines.txt", "--target", "token")
    told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    asked = *LANGUAGE, "--modes", "run/modes", "--steps", 3, "--to", "out", "--overwrite"
    code, out, err = told(
        "explain", "--sentence", "the dog ran", *asked, "--target", "token:-1,contrast:far,sat"
    )
    assert not code, err
    assert "warning" not in err
    with (desk / "out/explanation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ready = load("words:language", tokenizer="words:tokenizer")
    ids = torch.tensor([[2, 4, 6]])
    with torch.no_grad():
        at = ready.model(ids)[0, -1]
        zero = ready.model.head(ready.model.blocks[1](ready.model.blocks[0](torch.zeros(1, 3, 6))))
    change = float((at[7] - at[5]) - (zero[0, -1, 7] - zero[0, -1, 5]))
    for site in ("blocks.0", "blocks.1"):
        total = sum(float(row["contribution"]) for row in rows if row["site"] == site)
        assert total == pytest.approx(change, rel=1e-4)
    page = (desk / "out/explanation.html").read_text(encoding="utf-8")
    tokens = [
        token for figure in figures_of(page) for _, row in figure["rows"] for token, _, _ in row
    ]
    assert set(tokens) == {"the", "dog", "ran"}
    assert '"far − sat at the last token" is' in out
    code, out, _ = told("explain", "--sentence", "the dog ran", *asked, "--target", "token")
    assert code == 0
    word = WORDS[int(at.argmax())]
    assert f'"{word} at the last token" is' in out


def test_a_classifier_reads_labels_of_json_lines(desk: Path, told: Told) -> None:
    fields = "--text", "lines.jsonl", "--field", "text", "--label", "animal"
    code, out, err = extracted(told, *CLASSIFIER, *fields, "--target", "dog")
    assert not code, err
    assert "warning" not in err
    assert "2 of 2 classes; accuracy" in out
    store = cl.ContributionStore("run/c.zarr")
    assert store.label.tolist() == [0, 0, 1, 1] * 4
    told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    quick = "--fractions", "0.3,0.6", "--trials", 2, "--necessity", 6, "--controls", "gradient"
    given = "--modes", "run/modes", "--run-code", "--to", "control"
    code, _, err = told("control", "run/c.zarr", *given, *quick)
    assert not code, err
    assert "warning" not in err
    asked = *CLASSIFIER, "--modes", "run/modes", "--to", "out", "--instead-of", "cat"
    code, out, err = told("explain", "--sentence", "a cat ran", *asked, "--target", "dog")
    assert not code, err
    assert "warning" not in err
    assert '"dog − cat" is' in out


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("extract", "--model", "words:language", "--text", "lines.txt"), "pass --tokenizer"),
        (("extract", *LANGUAGE), "needs images: pass --images FOLDER, or --text FILE"),
        (("extract", *LANGUAGE, "--text", "lines.txt", "--images", "x"), "takes only one of"),
        (("extract", *LANGUAGE, "--images", "photos"), "takes token ids, not images"),
        (("extract", *LANGUAGE, "--text", "none.txt"), "cannot be read as text"),
        (("extract", *LANGUAGE, "--text", "lines.txt", "--baseline", "median"), "mean or token:ID"),
        (("extract", *LANGUAGE, "--text", "lines.txt", "--baseline", "token:9"), "token"),
        (("extract", *LANGUAGE, "--text", "lines.txt"), "Token"),
        (
            ("extract", "--model", "words:language", "--tokenizer", "words:WORDS", "--text", "x"),
            "is a list; name a function",
        ),
        (
            ("extract", "--model", "words:language", "--tokenizer", "nowhere", "--text", "x"),
            "There is no folder",
        ),
        (("explain", "--model", "words:language"), 'or --sentence "a text"'),
    ],
)
def test_what_is_wrong_is_one_sentence(
    desk: Path, told: Told, command: tuple[str, ...], sentence: str
) -> None:
    code, _, err = told(*command, "--sites", "blocks.0", "--to", "run/c.zarr")
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_a_tokenizer_of_code_is_only_run_with_consent(desk: Path, told: Told) -> None:
    extracted(told, *LANGUAGE, "--text", "lines.txt", "--target", "token")
    told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    code, _, err = told("gallery", "run/c.zarr", "--modes", "run/modes", "--to", "g")
    assert code == 2
    assert "--run-code" in err


def saved(folder: Path) -> Any:
    """A small model of transformers with a tokenizer, saved in a folder."""
    prepare_torchvision()
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<pad>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>").save_pretrained(
        folder
    )
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=8, n_positions=16, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config)
    bars = transformers.utils.logging
    bars.disable_progress_bar()
    model.save_pretrained(folder)
    bars.enable_progress_bar()
    return model


def test_a_saved_language_model_brings_its_tokenizer(desk: Path, told: Told) -> None:
    model = saved(desk / "gpt")
    ready = load(f"hf:{desk / 'gpt'}")
    assert type(ready.model).__name__ == "GPT2LMHeadModel"
    assert ready.labels is None
    with pytest.raises(CodeclensError, match="takes token ids, not images"):
        ready.transform(None)
    code, _, err = told(
        "extract", "--model", "hf:gpt", "--text", "lines.txt", "--target", "token", "--steps", 2,
        "--to", "run/c.zarr",
    )  # fmt: skip
    assert not code, err
    assert "warning" not in err
    store = cl.ContributionStore("run/c.zarr")
    assert store.sites == ["transformer.h.0", "transformer.h.1"]
    assert abs(store.completeness("transformer.h.0")).max() < 1e-4
    # Modes can be explained without consent: no code of the user's own is run.
    told("decompose", "run/c.zarr", "--method", "nmf", "--k", 2, "--to", "run/modes")
    code, out, err = told(
        "explain", "--sentence", "the dog ran", "--model", "hf:gpt", "--modes", "run/modes",
        "--target", "token", "--to", "out",
    )  # fmt: skip
    assert not code, err
    assert "warning" not in err
    with torch.no_grad():
        best = WORDS[int(model(torch.tensor([[2, 4, 6]])).logits[0, -1].argmax())]
    assert f'"{best} at the last token"' in out
