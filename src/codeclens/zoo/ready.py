"""Ready models: a network with its input transform, class names and default sites."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.pictures import eight_bit
from codeclens.text import class_labels

Transform = Callable[[Image.Image], Tensor]
# From a text to its token ids; a tokenizer of transformers is one, too.
Tokenizer = Callable[[str], Any]
Weights = str | Path | None
RANDOM = "random"
# The longest side of an input; a larger number is a slip.
MOST_PIXELS = 16_384
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Ready:
    """A model ready for images or texts, in evaluation mode.

    >>> from codeclens.zoo import load
    >>> ready = load("digits-resnet")
    >>> x = ready.transform(Image.new("L", (28, 28)))
    >>> ready.model(x[None]).shape, ready.labels[-1], ready.sites
    (torch.Size([1, 10]), '9', 'blocks.*')
    """

    name: str
    """The name passed to `load`."""
    model: nn.Module = field(repr=False)
    """The network."""
    transform: Transform = field(repr=False)
    """Maps a PIL image to the network's input, `(C, H, W)`."""
    labels: Sequence[str] | None = field(repr=False)
    """The class name of each output, each only once, or None if unknown."""
    sites: str
    """The default sites."""
    output: str | None = None
    """The entry of the model's output with the logits, or None if the output is a tensor."""
    assumed: bool = False
    """Whether the transform is ImageNet's only because nothing says how the model was trained."""
    tokenizer: Tokenizer | None = field(default=None, repr=False)
    """Makes token ids of a text; None for a model that takes images."""

    def __post_init__(self) -> None:
        if self.labels is not None:  # as they are called in every file
            object.__setattr__(self, "labels", class_labels(self.labels))


@contextmanager
def fixed_seed() -> Iterator[None]:
    """Use seed 0 inside the `with`, and restore the random state afterwards.

    >>> with fixed_seed():
    ...     first = torch.rand(1)
    >>> with fixed_seed():
    ...     bool(torch.rand(1) == first)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def short_labels(descriptions: Sequence[str]) -> list[str]:
    """Return a short unique name for each class: its first synonym, or all of them if ambiguous.

    Names that are still ambiguous get the index of their class.

    >>> short_labels(["tench, Tinca tinca", "crane", "maillot", "maillot, tank suit", "crane"])
    ['tench', 'crane (1)', 'maillot (2)', 'maillot, tank suit', 'crane (4)']
    """
    short = [description.split(",")[0].strip() for description in descriptions]
    taken = Counter(short)
    labels = [d if taken[s] > 1 else s for d, s in zip(descriptions, short, strict=True)]
    # "maillot" is still ambiguous if there is also "maillot, tank suit".
    return [f"{label} ({i})" if taken[label] > 1 else label for i, label in enumerate(labels)]


@dataclass(frozen=True)
class ImageTransform:
    """Resizes, crops and scales an image to a float32 tensor `(C, H, W)`.

    The numbers equal those of torchvision's evaluation transforms; only Pillow and numpy are used.
    Raises `CodeclensError` for an unknown filter, a scale of zero, or anything but a PIL image.

    >>> photograph = Image.new("RGB", (400, 300), "white")
    >>> x = ImageTransform(resize=256, crop=(224, 224))(photograph)
    >>> x.shape, round(x[0, 0, 0].item(), 3)
    (torch.Size([3, 224, 224]), 2.249)
    """

    resize: int | tuple[int, int] = 256
    """The shortest side in pixels (the other side keeps the aspect ratio), or height and width."""
    crop: tuple[int, int] = (224, 224)
    """Height and width of the central crop; a smaller image is padded with black."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Mean of each channel, for values in [0, 1]; one entry makes a grey input."""
    std: tuple[float, ...] = IMAGENET_STD
    """Standard deviation of each channel."""
    interpolation: str = "bilinear"
    """Pillow's filter: nearest, box, bilinear, hamming, bicubic or lanczos."""

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise unknown("interpolation", self.interpolation, _FILTERS)
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.std) or 0 in self.std:
            raise CodeclensError(
                f"mean (={self.mean}) and std (={self.std}) must both have one entry (grey) or "
                "three (colour), and no std may be 0."
            )

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels rows columns"]:
        """Return the network's input for one image."""
        pixels = np.asarray(self.picture(image), dtype=np.float32) / np.float32(255)
        pixels = pixels.reshape(*self.crop, len(self.mean))
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        scaled = (pixels - mean) / std
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))

    def picture(self, image: Image.Image) -> Image.Image:
        """Return the image that the network sees: resized and cropped, but not scaled.

        >>> ImageTransform().picture(Image.new("L", (500, 300))).size
        (224, 224)
        """
        if not isinstance(image, Image.Image):
            raise CodeclensError(
                f"A transform takes a PIL image, not {type(image).__name__}; open files with "
                "PIL.Image.open, arrays with PIL.Image.fromarray."
            )
        image = eight_bit(image).convert("L" if len(self.mean) == 1 else "RGB")
        width, height = self._resized(*image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), _FILTERS[self.interpolation])
        rows, columns = self.crop
        top, left = _offset(height, rows), _offset(width, columns)
        # Pillow fills the parts outside the image with black.
        return image.crop((left, top, left + columns, top + rows))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if not isinstance(self.resize, int):
            return self.resize[1], self.resize[0]
        # Truncated as in torchvision, with which the published accuracies were measured.
        if width <= height:
            return self.resize, max(1, math.trunc(self.resize * height / width))
        return max(1, math.trunc(self.resize * width / height)), self.resize


@dataclass(frozen=True)
class TextOnly:
    """Stands for the transform of a model that takes texts: it refuses images."""

    name: str

    def __call__(self, image: Image.Image) -> Tensor:
        """Raise CodeclensError."""
        raise CodeclensError(
            f'"{self.name}" takes token ids, not images; on the command line pass --text FILE.'
        )


def preprocessed(
    ready: Ready,
    size: int | tuple[int, int] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    interpolation: str | None = None,
) -> Ready:
    """Return the model with these parts of its preprocessing replaced; None keeps a part.

    `size` is the side of the square input, to which the shortest side is resized, or two numbers:
    the shortest side and the side of the central crop. `mean` and `std` have one entry (grey) or
    three, for pixels in [0, 1]. Raises `CodeclensError` for numbers out of range, and if the
    transform is a function of the model's own.

    >>> from codeclens.zoo import load
    >>> preprocessed(load("digits-resnet"), size=32).transform.crop
    (32, 32)
    """
    given: dict[str, Any] = {}
    if size is not None:
        sides = (size, size) if isinstance(size, int) else tuple(size)
        for side in sides:
            require_number("size", side, least=1, most=MOST_PIXELS, whole=True)
        given |= {"resize": sides[0], "crop": (sides[-1],) * 2}
    if mean is not None:
        for value in mean:
            require_number("mean", value, least=0, most=1, hint="divide values of 0 … 255 by 255")
        given["mean"] = tuple(map(float, mean))
    if std is not None:
        for value in std:
            require_number("std", value, above=0, most=1, hint="divide values of 0 … 255 by 255")
        given["std"] = tuple(map(float, std))
    if interpolation is not None:
        given["interpolation"] = interpolation
    if not given:
        return ready
    if not isinstance(ready.transform, ImageTransform):
        raise CodeclensError(
            f'"{ready.name}" has its own transform, which {", ".join(given)} cannot change; leave '
            "the options of the preprocessing out, or change the transform."
        )
    return replace(ready, transform=replace(ready.transform, **given), assumed=False)


def _offset(size: int, crop: int) -> int:
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)
