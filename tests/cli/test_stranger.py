"""A stranger's network, data and folders: the first numbers are right, and mistakes are said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from codeclens.cli.extract_command import class_list, class_number
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

Told = Callable[..., tuple[int, str, str]]

# Predicts the class of an image exactly, but only at its own size and scale: the class is in the
# position of the single bright pixel of a 4 × 4 image.
EXACT = """
import torch
from torch import nn

class Exact(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.hidden.weight.fill_(0.25)
            self.hidden.bias.zero_()
            self.head.weight.zero_()
            self.head.bias.zero_()
            for place in range(10):
                self.head.weight[place, [place + 16 * c for c in range(4)]] = 1
    def forward(self, x):
        return self.head(self.hidden(x).flatten(1))

def build():
    return Exact()
"""
RUN = ("extract", "--model", "exact:build", "--sites", "hidden", "--steps", 1)


@pytest.fixture
def tens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `exact.py`, `images/` of ten classes, and `rows.npz`, which cycles in order."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "exact", raising=False)
    (tmp_path / "exact.py").write_text(EXACT, encoding="utf-8")
    pictures = np.zeros((60, 4, 4, 3), np.uint8)
    for row in range(60):
        pictures[row].reshape(16, 3)[row % 10] = 255
        folder = tmp_path / "images" / f"class-{row % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[row]).save(folder / f"{row}.png")
    np.savez(tmp_path / "rows.npz", images=pictures, labels=np.arange(60) % 10)
    return tmp_path


def test_a_network_of_ones_own_gets_its_preprocessing(tens: Path, told: Told) -> None:
    own = ("--size", 4, "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5")
    given = (*RUN, "--images", "images", "--to", "run/store.zarr")
    code, out, err = told(*given, *own, "--interpolation", "nearest")
    assert (code, err) == (0, "")
    assert (
        "60 samples of 10 of 10 classes; accuracy 100.0%; preprocessing: shortest side 4, "
        "crop 4 × 4, nearest, mean 0.5, 0.5, 0.5, std 0.5, 0.5, 0.5." in out
    )
    assert "accuracy 100.0%" in told("report", "run/store.zarr", "--to", "run/r.html")[1]


def test_a_file_gives_the_same_preprocessing(tens: Path, told: Told) -> None:
    options = {"size": 4, "mean": [0.5, 0.5, 0.5], "std": "0.5,0.5,0.5"}
    (tens / "own.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    arguments = (*RUN, "--images", "rows.npz", "--to", "run/store.zarr", "--config", "own.yaml")
    code, out, _ = told(*arguments)
    assert code == 0
    assert "60 samples of 10 classes; accuracy 100.0%" in out
    left = yaml.safe_load((tens / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert left["extract"]["mean"] == "0.5,0.5,0.5"


def test_a_fallback_to_imagenet_is_announced(
    tens: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    (tens / "exact.py").write_text(EXACT.replace("64, 10", "4, 10").replace(
        "flatten(1)", "mean((2, 3))").replace("[place + 16 * c for c in range(4)]", "0"),
        encoding="utf-8")  # fmt: skip
    with caplog.at_level(logging.WARNING, logger="codeclens"):
        _, out, _ = told(*RUN, "--images", "rows.npz", "--to", "run/store.zarr", "--limit", 10)
    assert "the preprocessing of ImageNet is used" in caplog.text
    assert "shortest side 256, crop 224 × 224, bilinear, mean 0.485" in out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--mean", "125,123,114"), r"mean \(=125.0\) must be .* divide values of 0 … 255 by 255"),
        (("--std", "0,0,0"), r"std \(=0.0\) must be above 0"),
        (("--size", "0"), r"size \(=0\) must be"),
        (("--size", "big"), r"size"),
        (("--mean", "1.2.3"), r"mean \(='1.2.3'\) should be"),
        (("--mean", "0.5"), r"must both have one entry"),
        (("--interpolation", "cubic"), r"the nearest names? (is|are) .*\"bicubic\""),
    ],
)
def test_a_wrong_preprocessing_is_refused(
    tens: Path, told: Told, flags: tuple[str, str], sentence: str
) -> None:
    code, _, err = told(*RUN, "--images", "images", "--to", "run/store.zarr", *flags)
    assert code == 2
    assert __import__("re").search(sentence, err), err


def test_a_model_with_a_transform_keeps_it(desk: Path, told: Told) -> None:
    arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr", "--size", 8)
    code, _, err = told("extract", *arguments)
    assert code == 2
    assert '"tiny:build" has its own transform, which resize, crop cannot change' in err


def test_a_limit_draws_from_every_class(tens: Path, told: Told) -> None:
    own = ("--size", 4, "--limit", 20, "--sites", "hidden")
    for source in ("rows.npz", "images"):
        arguments = (*RUN, *own, "--images", source, "--to", f"run/{source}.zarr")
        _, out, _ = told(*arguments)
        assert "20 samples of 10 of 10 classes" in out or "20 samples of 10 classes" in out
        store = ContributionStore(tens / "run" / f"{source}.zarr")
        assert np.bincount(store.label).tolist() == [2] * 10
    code, _, err = told(*arguments, "--seed", 1)
    assert code == 2, "another draw is another data set"
    assert "other settings" in err or "was made with" in err


def test_folders_with_names_of_their_own_are_no_alarm(
    desk: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    (desk / "images" / "dark").rename(desk / "images" / "my cat")
    (desk / "images" / "grey").rename(desk / "images" / "my dog")
    with caplog.at_level(logging.WARNING, logger="codeclens"):
        arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr")
        code, out, err = told("extract", *arguments, "--steps", 1)
    assert (code, err) == (0, "")
    assert out.count("folder names are not among") == 1
    assert "do not index" not in caplog.text


def test_folders_named_by_wordnet_are_imagenets_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    if find_spec("timm") is None:
        pytest.skip("timm is not installed")
    monkeypatch.chdir(tmp_path)
    for name, place in (("n01440764", 0), ("n07920052", 967)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (8, 8), (place % 256, 0, 0)).save(folder / "a.png")
    arguments = ("--model", "timm:test_vit", "--weights", "random", "--size", 160, "--steps", 1)
    code, out, _ = told("extract", *arguments, "--images", "photos", "--to", "s.zarr")
    assert code == 0
    store = ContributionStore(tmp_path / "s.zarr")
    assert store.label.tolist() == [0, 967]
    assert store.classes is not None
    assert store.classes[967] == "espresso"
    assert "2 samples of 2 of 1,000 classes; accuracy" in out


@pytest.mark.parametrize("target", ["bright", "BRIGHT", "2", "output:2", "output:bright"])
def test_a_target_is_a_class_by_name_or_number(desk: Path, told: Told, target: str) -> None:
    arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr")
    assert told("extract", *arguments, "--steps", 1, "--target", target)[0] == 0
    settings = ContributionStore(desk / "run" / "s.zarr").metadata["settings"]
    assert settings["target"]["index"] == 2


def test_names_with_commas_and_decomposed_accents(desk: Path, told: Told) -> None:
    """As macOS writes accents in names of folders, and as ImageNet's classes are called."""
    names = {"dark": "cafe\u0301", "grey": "tench, Tinca tinca", "bright": "owl"}
    for before, name in names.items():
        (desk / "images" / before).rename(desk / "images" / name)
    (desk / "names.txt").write_text("caf\xe9\ntench, Tinca tinca\nowl\n", encoding="utf-8")
    asked = {
        "Caf\xe9": 0, "cafe\u0301": 0, "contrast:owl,tench, tinca tinca": (2, 1), "output:owl": 2,
        "contrast:cafe\u0301,owl": (0, 2),
    }  # fmt: skip
    for number, (target, place) in enumerate(asked.items()):
        to = f"run/{number}.zarr"
        arguments = ("--model", "tiny:build", "--images", "images", "--to", to, "--steps", 1)
        code, out, err = told("extract", *arguments, "--classes", "names.txt", "--target", target)
        assert code == 0, err
        assert "3 of 3 classes; accuracy" in out
        store = ContributionStore(desk / to)
        assert store.classes == ["caf\xe9", "tench, Tinca tinca", "owl"]
        found = store.metadata["settings"]["target"]
        assert place == found.get("index", (found.get("first"), found.get("second")))


def test_groups_of_classes_with_commas() -> None:
    names = ["tench, Tinca tinca", "cat", "Tinca"]
    for text, found in (
        ("Tench,tinca tinca,cat", ["tench, Tinca tinca", "cat"]),
        ("cat, Tinca", ["cat", "Tinca"]),
        ("0,1", ["0", "1"]),
        ("tench,cat", ["tench", "cat"]),
    ):
        assert class_list(text.split(","), names) == found


def test_a_device_without_values_is_refused(desk: Path, told: Told) -> None:
    arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr")
    code, _, err = told("extract", *arguments, "--device", "meta")
    assert code == 2
    assert 'The device "meta" cannot be used here' in err


def test_a_contrast_takes_names(desk: Path, told: Told) -> None:
    arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr")
    assert told("extract", *arguments, "--steps", 1, "--target", "contrast:bright,dark")[0] == 0
    target = ContributionStore(desk / "run" / "s.zarr").metadata["settings"]["target"]
    assert (target["first"], target["second"]) == (2, 0)


def test_a_class_that_does_not_exist_is_named(desk: Path, told: Told) -> None:
    arguments = ("--model", "tiny:build", "--images", "images", "--to", "run/s.zarr")
    code, _, err = told("extract", *arguments, "--target", "bridge")
    assert code == 2
    assert 'There is no class "bridge"; the nearest names are "bright"' in err


def test_class_numbers_of_ambiguous_names() -> None:
    assert class_number("3", ["3", "1"]) == 0, "names come first"
    assert class_number("output:1", ["3", "1"]) == 1
    with pytest.raises(CodeclensError, match='2 classes are called "a"'):
        class_number("a", ["a", "a"])
    with pytest.raises(CodeclensError, match=r'Several .* "crane": "crane \(1\)"'):
        class_number("crane", ["crane (1)", "crane (4)"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("gallery", "--modes", "run/modes", "--to", "out"),
        ("control", "--modes", "run/modes", "--to", "out"),
        ("analyze", "--modes", "run/modes", "--flow", "--to", "out"),
        ("report", "--modes", "run/modes", "--to", "out/r.html"),
    ],
)
def test_code_that_a_store_names_is_not_run_without_consent(
    desk: Path, told: Told, arguments: tuple[str, ...]
) -> None:
    where = "--model", "tiny:build", "--images", "images", "--to", "run/store.zarr"
    assert told("extract", *where, "--steps", 1)[0] == 0
    modes = "--method", "nmf", "--k", 2, "--to", "run/modes"
    assert told("decompose", "run/store.zarr", *modes)[0] == 0
    config = desk / "run" / "config.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("tiny:build", "payload:build"), encoding="utf-8"
    )
    (desk / "payload.py").write_text("open('run-by-a-stranger', 'w').close()\n", encoding="utf-8")
    command, *more = arguments
    code, _, err = told(command, "run/store.zarr", *more)
    assert not (desk / "run-by-a-stranger").exists()
    if command == "report":  # it is written without images
        assert "pass --run-code if" in (desk / "out" / "r.html").read_text(encoding="utf-8")
        return
    assert code == 2
    assert 'would run the Python code "payload:build"' in err
    assert "pass --run-code if the store is your own" in err
