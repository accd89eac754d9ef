"""Overlays: a pixel map drawn over its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from codeclens.errors import CodeclensError, require_number

Values = np.ndarray | Tensor
Picture = Image.Image | np.ndarray | Tensor

# Orange and blue can be told apart without red-green vision; in grey print, labels say which is
# which.
FOR = (0.91, 0.36, 0.02)
AGAINST = (0.00, 0.37, 0.80)

# The strongest hundredth of the pixels has full colour; below this share of it pixels stay
# uncoloured, so that the picture remains visible.
_FULL = 0.99
_FLOOR = 0.12
_GAMMA = 0.8
_OPACITY = 0.94
_LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Overlay:
    """A grey picture with the maps in colour: orange supports the target, blue opposes it.

    `pixels` is `(H, W, 3)`. Full colour stands for `scale`: the magnitude of the contribution per
    pixel, smoothed over the neighbourhood, in the target's units.
    """

    pixels: UInt8[np.ndarray, "rows columns 3"]
    scale: float


def overlay(
    picture: Picture,
    positive: Values,
    negative: Values,
    *,
    scale: float | None = None,
    smoothing: float | None = None,
) -> Overlay:
    """Draw the maps of one sample, `(C, H, W)` or `(H, W)` each, over its picture.

    `picture` is what the network saw: a PIL image, or pixels `(H, W)` or `(H, W, 3)` as bytes or
    as floats in [0, 1] (`as_picture` makes them from a network's input). It is shown in grey.
    Colour shows which pixels act on the target through the units of the map: orange for pixels that
    drive supporting places, blue for pixels that drive opposing places.

    `scale` is the strength that gets full colour; set it to compare several overlays (see
    `common_scale`). By default it is the 99th percentile of this map. `smoothing` is that of
    `strength`. Raises CodeclensError where picture and maps differ in size.

    >>> picture = np.zeros((28, 28))
    >>> one = overlay(picture, np.ones((1, 28, 28)), np.zeros((1, 28, 28)))
    >>> one.pixels.shape, round(one.scale, 6)
    ((28, 28, 3), 1.0)
    """
    grey = luminance(as_pixels(picture))
    parts = [strength(part, smoothing=smoothing) for part in (positive, negative)]
    for part in parts:
        if part.shape != grey.shape:
            raise CodeclensError(
                f"The picture has {grey.shape[0]} × {grey.shape[1]} pixels and the map "
                f"{part.shape[0]} × {part.shape[1]}; pass the picture after resizing and cropping."
            )
    full = _strongest(parts) if scale is None else float(scale)
    require_number("scale", full, least=0, hint="it is the strength of full colour")
    weights = [_weight(part, full) for part in parts]
    return Overlay(_blend(grey, *weights), full)


def strength(
    pixels: Values, *, smoothing: float | None = None
) -> Float[np.ndarray, "rows columns"]:
    """How strongly the pixels of one sample act: smoothed magnitudes, in the map's units per pixel.

    `pixels` is `(C, H, W)` or `(H, W)`. Colours are summed before magnitudes are taken. Signs of
    neighbouring pixels alternate, and the overlay shows where a unit looks rather than each sign. A
    median filter removes single pixels, and a Gaussian of `smoothing` pixels removes the grain
    (method.md §6; by default 1/75 of the shorter side, at least 0.6; 0 does not smooth).

    >>> strength(np.array([[[1.0, -3.0]]]), smoothing=0)
    array([[1., 3.]])
    """
    from scipy import ndimage

    values = _array(pixels)
    if values.ndim == 3:
        values = values.sum(axis=0)
    if values.ndim != 2 or not values.size:
        raise CodeclensError(
            f"A map has shape {tuple(np.shape(pixels))}; pass that of one sample, "
            "(channels, rows, columns), for example found.positive[0]."
        )
    if not np.isfinite(values).all():
        raise CodeclensError("The map holds NaN or infinite values, so it cannot be drawn.")
    magnitude = np.abs(values)
    sigma = max(min(values.shape) / 75, 0.6) if smoothing is None else float(smoothing)
    require_number("smoothing", sigma, least=0, hint="it is a number of pixels")
    if sigma >= 1:
        magnitude = ndimage.median_filter(magnitude, size=2 * round(0.6 * sigma) + 1)
    smooth: Float[np.ndarray, "rows columns"] = ndimage.gaussian_filter(magnitude, sigma)
    return smooth


def common_scale(maps: Sequence[tuple[Values, Values]], *, smoothing: float | None = None) -> float:
    """The strength of full colour for several pairs of maps: that of the strongest pair.

    >>> weak, strong, none = np.full((8, 8), 1.0), np.full((8, 8), -2.0), np.zeros((8, 8))
    >>> common_scale([(weak, none), (none, strong)])
    2.0
    """
    return max(
        (_strongest([strength(part, smoothing=smoothing) for part in pair]) for pair in maps),
        default=0.0,
    )


def as_picture(
    x: Values, mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,)
) -> UInt8[np.ndarray, "rows columns 3"]:
    """Turn one input of a network `(C, H, W)` back into a picture: `x · std + mean`.

    `mean` and `std` are those of the network's transform, one for each channel or one for all.
    Raises CodeclensError where the result lies outside [0, 1], since then they are wrong.

    >>> as_picture(np.full((1, 2, 2), 1.0), mean=(0.5,), std=(0.5,))[0, 0]
    array([255, 255, 255], dtype=uint8)
    """
    values = _array(x)
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise CodeclensError(
            f"The input has shape {tuple(np.shape(x))}; a picture needs that of one sample with "
            "one channel or three, (C, H, W)."
        )
    for name, given in (("mean", mean), ("std", std)):
        if np.size(given) not in (1, len(values)):
            raise CodeclensError(
                f"`{name}` (={given}) holds {np.size(given)} for {len(values)} channels; "
                "pass one number for each, or one for all."
            )
    shown = values * np.reshape(std, (-1, 1, 1)) + np.reshape(mean, (-1, 1, 1))
    low, high = float(shown.min()), float(shown.max())
    # Resizing with a bicubic filter overshoots a little.
    if not (low > -0.1 and high < 1.1):
        raise CodeclensError(
            f"The picture would have values from {low:.3g} to {high:.3g} instead of 0 to 1; "
            "pass the mean and std that the network's transform uses."
        )
    return np.round(255 * as_pixels(np.moveaxis(np.clip(shown, 0, 1), 0, 2))).astype(np.uint8)


def as_pixels(picture: Picture) -> Float[np.ndarray, "rows columns 3"]:
    """A picture of any kind as floats in [0, 1] with three colours.

    Raises CodeclensError for what is not a picture.

    >>> as_pixels(Image.new("L", (4, 3), 255)).shape
    (3, 4, 3)
    """
    if isinstance(picture, Image.Image):
        picture = np.asarray(picture.convert("RGB"))
    if not isinstance(picture, np.ndarray | Tensor):
        raise CodeclensError(
            f"{picture!r} is not a picture; pass a PIL image (PIL.Image.open reads files) or "
            "pixels."
        )
    is_bytes = str(picture.dtype) in ("uint8", "torch.uint8")
    values = _array(picture)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim == 2:
        values = np.repeat(values[:, :, None], 3, axis=2)
    if values.ndim != 3 or values.shape[2] != 3 or not values.size:
        raise CodeclensError(
            f"A picture has shape {tuple(np.shape(picture))}; pass (rows, columns), "
            "(rows, columns, 3) or a PIL image."
        )
    values = values / 255 if is_bytes else values
    if not (values.min() >= 0 and values.max() <= 1):
        raise CodeclensError(
            f"The picture has values from {values.min():.3g} to {values.max():.3g}; pass bytes, "
            "or floats from 0 to 1 (as_picture undoes a network's scaling)."
        )
    return values


def luminance(
    pixels: Float[np.ndarray, "rows columns 3"],
) -> Float[np.ndarray, "rows columns"]:
    """How light the pixels of a picture are, from 0 to 1."""
    return np.asarray(pixels @ np.asarray(_LUMINANCE))


def inked(
    colour: Float[np.ndarray, "*pixels 3"], light: Float[np.ndarray, "*pixels 1"]
) -> Float[np.ndarray, "*pixels 3"]:
    """A colour on a picture of that lightness, whose relief it keeps."""
    return np.clip(colour * (0.62 + 0.38 * light) + 0.1 * light, 0, 1)


def colour_ramp(against: bool = False, steps: int = 64) -> UInt8[np.ndarray, "1 steps 3"]:
    """The colours from no strength to full strength over a middle grey: the key of an overlay.

    >>> colour_ramp().shape
    (1, 64, 3)
    """
    rise = np.linspace(0, 1, steps)[None]
    none = np.zeros_like(rise)
    weights = (none, _weight(rise, 1.0)) if against else (_weight(rise, 1.0), none)
    return _blend(np.full_like(rise, 0.7), *weights)


def _array(values: Any) -> np.ndarray[Any, Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def _strongest(parts: Sequence[Float[np.ndarray, "rows columns"]]) -> float:
    return float(np.quantile(np.maximum(*parts), _FULL))


def _weight(
    part: Float[np.ndarray, "rows columns"], full: float
) -> Float[np.ndarray, "rows columns"]:
    if full == 0:
        return np.zeros_like(part)
    weight: Float[np.ndarray, "rows columns"] = np.clip((part / full - _FLOOR) / (1 - _FLOOR), 0, 1)
    return weight**_GAMMA


def _blend(
    grey: Float[np.ndarray, "rows columns"],
    positive: Float[np.ndarray, "rows columns"],
    negative: Float[np.ndarray, "rows columns"],
) -> UInt8[np.ndarray, "rows columns 3"]:
    light = grey[:, :, None]
    opacity = _OPACITY * np.maximum(positive, negative)[:, :, None]
    share = (positive / np.maximum(positive + negative, 1e-12))[:, :, None]
    colour = share * np.asarray(FOR) + (1 - share) * np.asarray(AGAINST)
    # Pale, so that colours show on dark places too; they keep the relief of the picture.
    faded = 0.5 + 0.47 * light
    blended = (1 - opacity) * faded + opacity * inked(colour, light)
    pixels: UInt8[np.ndarray, "rows columns 3"] = np.round(255 * blended).astype(np.uint8)
    return pixels


def smooth(maps: Float[Tensor, "*lead rows columns"], sigma: float) -> Tensor:
    """Smooth maps `(…, H, W)` by a Gaussian of `sigma` pixels without changing their sums.

    The border reflects. Raises CodeclensError for maps without rows and columns and for a sigma
    below 0.

    >>> dot = torch.zeros(1, 9, 9)
    >>> dot[0, 0, 4] = 1.0
    >>> bool(smooth(dot, 1.5)[0, 0, 4] < 0.2), round(float(smooth(dot, 1.5).sum()), 5)
    (True, 1.0)
    """
    if maps.ndim < 2 or not sigma >= 0:
        raise CodeclensError(
            f"Maps of shape {tuple(maps.shape)} cannot be smoothed by {sigma} pixels; pass "
            "(…, rows, columns) and a number from 0 on."
        )
    if sigma == 0:
        return maps
    for axis in (-2, -1):
        maps = _along(maps, sigma, axis)
    return maps


def _along(maps: Tensor, sigma: float, axis: int) -> Tensor:
    size = maps.shape[axis]
    reach = max(1, int(4 * sigma + 0.5))
    offsets = torch.arange(-reach, reach + 1, device=maps.device)
    weights = (-(offsets.double() ** 2) / (2 * sigma**2)).exp()
    weights = (weights / weights.sum()).to(maps.dtype)
    # Beyond the border lies the mirror image, with the edge repeated.
    places = torch.arange(size, device=maps.device)[:, None] + offsets
    places = places.remainder(2 * size)
    places = torch.where(places >= size, 2 * size - 1 - places, places)
    matrix = torch.zeros(size, size, dtype=maps.dtype, device=maps.device)
    matrix.scatter_add_(1, places, weights.expand(size, -1).contiguous())
    return torch.movedim(torch.movedim(maps, axis, -1) @ matrix, -1, axis)
