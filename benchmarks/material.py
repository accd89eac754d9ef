"""Material: networks with trained weights and real images, for measuring.

The digits network and EfficientNet-Lite0 are in packages. The folder `CODECLENS_BENCH` contains
more: two residual networks for CIFAR-10 with their test images (`cifar10/`), one
photograph for each class of ImageNet (`imagenet_sample_1000/`), and many of ten classes
(`imagenette_val/`).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from codeclens import zoo

CIFAR_MEAN = (0.485, 0.456, 0.406)
CIFAR_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Material:
    """A network with images that it was not trained on.

    `sites` are its blocks, from input to output. `images(rows)` gives `(B, C, H, W)`, ready for the
    network; `labels` `(N,)` are the classes of all N images, `classes` their names.
    """

    name: str
    model: nn.Module
    sites: str
    images: Callable[[Sequence[int]], Tensor]
    labels: np.ndarray
    classes: Sequence[str]

    def spread(self, count: int, start: int = 0) -> Tensor:
        """`count` images spread evenly over the data, from `start` on."""
        step = (len(self.labels) - start) // count
        return self.images(range(start, start + step * count, step))


NAMES = ("digits-resnet", "cifar-resnet20", "cifar-resnet56", "efficientnet-lite0")


def material(name: str) -> Material:
    """The network of that name, one of `NAMES` or `efficientnet-imagenette`, with its images.

    Raises FileNotFoundError where it needs `CODECLENS_BENCH` and there is none.
    """
    if name == "digits-resnet":
        return _digits()
    if name == "efficientnet-lite0":
        return _efficientnet()
    if name == "efficientnet-imagenette":
        return _imagenette()
    return _cifar(int(name.removeprefix("cifar-resnet")))


def bench() -> Path:
    """The folder that `CODECLENS_BENCH` names."""
    folder = Path(os.environ.get("CODECLENS_BENCH", ""))
    if "CODECLENS_BENCH" not in os.environ or not folder.is_dir():
        raise FileNotFoundError("set CODECLENS_BENCH to the folder of the bench data")
    return folder


def _digits() -> Material:
    ready = zoo.load("digits-resnet")
    pixels, labels = zoo.digits_data("held_out")
    return Material(
        "digits-resnet",
        ready.model,
        "@blocks",
        lambda rows: pixels[list(rows)],
        np.asarray(labels),
        ready.labels or [],
    )


def _efficientnet() -> Material:
    ready = zoo.load("efficientnet-lite0")
    folder = bench() / "imagenet_sample_1000"
    with (folder / "labels.csv").open() as stream:
        rows_of = list(csv.DictReader(stream))

    def photographs(rows: Sequence[int]) -> Tensor:
        found = []
        for row in rows:
            with Image.open(folder / rows_of[row]["file"]) as image:
                found.append(ready.transform(image.convert("RGB")))
        return torch.stack(found)

    labels = np.array([int(row["class_index"]) for row in rows_of])
    return Material(
        "efficientnet-lite0", ready.model, "@blocks", photographs, labels, ready.labels or []
    )


def _imagenette() -> Material:
    """The same network with many photographs of ten classes, in turns of their classes."""
    ready, folder = zoo.load("efficientnet-lite0"), bench() / "imagenette_val"
    with (bench() / "imagenet_sample_1000" / "labels.csv").open() as stream:
        numbers = {row["wnid"]: int(row["class_index"]) for row in csv.DictReader(stream)}
    of_class = [sorted(path.iterdir()) for path in sorted(folder.iterdir()) if path.is_dir()]
    files = [file for turn in zip(*of_class, strict=False) for file in turn]

    def photographs(rows: Sequence[int]) -> Tensor:
        found = []
        for row in rows:
            with Image.open(files[row]) as image:
                found.append(ready.transform(image.convert("RGB")))
        return torch.stack(found)

    labels = np.array([numbers[file.parent.name] for file in files])
    return Material(
        "efficientnet-imagenette", ready.model, "@blocks", photographs, labels, ready.labels or []
    )


def _cifar(depth: int) -> Material:
    folder = bench() / "cifar10"
    (file,) = folder.glob(f"resnet{depth}-*.th")
    weights = torch.load(file, weights_only=True, map_location="cpu")["state_dict"]
    model = CifarResNet((depth - 2) // 6)
    model.load_state_dict({key.removeprefix("module."): w for key, w in weights.items()})
    data = _cifar_images(folder / "cifar10_test_jpeg.npz")
    mean, std = (torch.tensor(values)[:, None, None] for values in (CIFAR_MEAN, CIFAR_STD))

    def pictures(rows: Sequence[int]) -> Tensor:
        found = [np.asarray(Image.open(io.BytesIO(data["files"][row]))) for row in rows]
        pixels = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255
        return ((pixels - mean) / std).contiguous()

    return Material(
        f"cifar-resnet{depth}",
        model.eval(),
        "layer*.*",
        pictures,
        data["labels"].astype(np.int64),
        [str(name) for name in data["classes"]],
    )


@lru_cache(maxsize=1)
def _cifar_images(file: Path) -> dict:
    """The test images, each as the bytes of a JPEG, with their labels and the classes' names."""
    with np.load(file) as stored:
        data = {name: stored[name] for name in stored}
    pairs = zip(data["offsets"][:-1], data["offsets"][1:], strict=True)
    return data | {"files": [data["jpeg"][a:b].tobytes() for a, b in pairs]}


class CifarBlock(nn.Module):
    """Two convolutions and a shortcut that subsamples and pads with empty channels (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.padding = (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.padding:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *[self.padding] * 2))
        return F.relu(hidden + x)


class CifarResNet(nn.Module):
    """A residual network for 32 × 32 pixels with 16, 32 and 64 channels (He et al. 2016)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, 1, blocks)
        self.layer2 = self._stage(16, 32, 2, blocks)
        self.layer3 = self._stage(32, 64, 2, blocks)
        self.linear = nn.Linear(64, 10)

    @staticmethod
    def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
        later = [CifarBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
        return nn.Sequential(CifarBlock(inputs, outputs, stride), *later)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))
