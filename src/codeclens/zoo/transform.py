"""From a picture to a network's input: resize, crop, scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from codeclens.errors import CodeclensError

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
class ImageTransform:
    """Turn a picture into a tensor `(C, H, W)`: float32, scaled as the network was trained.

    The same numbers as torchvision's evaluation transforms, with Pillow and numpy alone.
    Raises `CodeclensError` for an unknown filter, a scale of zero, or what is no PIL image.

    >>> photograph = Image.new("RGB", (400, 300), "white")
    >>> x = ImageTransform(resize=256, crop=(224, 224))(photograph)
    >>> x.shape, round(x[0, 0, 0].item(), 3)
    (torch.Size([3, 224, 224]), 2.249)
    """

    resize: int | tuple[int, int] = 256
    """The shortest side in pixels (the other follows), or height and width."""
    crop: tuple[int, int] = (224, 224)
    """Height and width of the central crop; a smaller picture is padded with black."""
    mean: tuple[float, ...] = IMAGENET_MEAN
    """Subtracted per channel, from values in [0, 1]; one entry makes a grey input."""
    std: tuple[float, ...] = IMAGENET_STD
    """Divided by, per channel."""
    interpolation: str = "bilinear"
    """Pillow's filter: nearest, box, bilinear, hamming, bicubic or lanczos."""

    def __post_init__(self) -> None:
        if self.interpolation not in _FILTERS:
            raise CodeclensError(
                f"`interpolation` (={self.interpolation!r}) must be one of {', '.join(_FILTERS)}"
            )
        if len(self.mean) not in (1, 3) or len(self.mean) != len(self.std) or 0 in self.std:
            raise CodeclensError(
                f"`mean` (={self.mean}) and `std` (={self.std}) must have one entry each (grey) "
                "or three (colour), and no `std` may be 0"
            )

    def __call__(self, image: Image.Image) -> Float[Tensor, "channels rows columns"]:
        """Return the network's input for one picture."""
        pixels = np.asarray(self.picture(image), dtype=np.float32) / np.float32(255)
        pixels = pixels.reshape(*self.crop, len(self.mean))
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        scaled = (pixels - mean) / std
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))

    def picture(self, image: Image.Image) -> Image.Image:
        """Return what the network gets to see: the picture after resizing and cropping, unscaled.

        >>> ImageTransform().picture(Image.new("L", (500, 300))).size
        (224, 224)
        """
        if not isinstance(image, Image.Image):
            raise CodeclensError(
                f"A transform takes a PIL image, not {type(image).__name__}: "
                "open files with PIL.Image.open, arrays with PIL.Image.fromarray"
            )
        image = _eight_bit(image).convert("L" if len(self.mean) == 1 else "RGB")
        width, height = self._resized(*image.size)
        if (width, height) != image.size:
            image = image.resize((width, height), _FILTERS[self.interpolation])
        rows, columns = self.crop
        top, left = _offset(height, rows), _offset(width, columns)
        # Pillow fills with black where the box leaves the picture.
        return image.crop((left, top, left + columns, top + rows))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if not isinstance(self.resize, int):
            return self.resize[1], self.resize[0]
        # Truncated as torchvision does, which the published accuracies were measured with.
        if width <= height:
            return self.resize, max(1, math.trunc(self.resize * height / width))
        return max(1, math.trunc(self.resize * width / height)), self.resize


def _offset(size: int, crop: int) -> int:
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Bring 16-bit grey to 8 bits, which `convert` would clip to white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise CodeclensError(
            f'The image has mode "{image.mode}", whose range is not known: '
            "save it with 8 bits a channel"
        )
    return image
