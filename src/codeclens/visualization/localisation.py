"""Localisation: in images put together of two, whether a map lies in the half that it should."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.visualization.fields import Box


def side_by_side(left: Tensor, right: Tensor) -> tuple[Tensor, tuple[Box, Box]]:
    """Put the middle halves of two images `(B, C, H, W)` side by side, and say where each is.

    >>> both, (first, second) = side_by_side(torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8))
    >>> both[0, 0, 0].tolist(), second
    ([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], Box(top=0, left=4, bottom=8, right=8))
    """
    if left.shape != right.shape or left.ndim != 4:
        raise CodeclensError(
            f"Images of shapes {tuple(left.shape)} and {tuple(right.shape)} cannot be put side by "
            "side; pass (batch, channels, rows, columns), both alike."
        )
    height, width = left.shape[2:]
    half = width // 2
    start = (width - half) // 2
    parts = left[..., start : start + half], right[..., start : start + width - half]
    return torch.cat(parts, dim=3), (Box(0, 0, height, half), Box(0, half, height, width))


def share_inside(maps: Tensor, box: Box) -> Float[Tensor, " batch"]:
    """What share of a map's magnitude lies in a box, for each sample of `(B, …, H, W)`.

    Colours are added before magnitudes are taken; NaN where a map is 0 everywhere.

    >>> share_inside(torch.ones(1, 3, 4, 4), Box(0, 0, 4, 1)).tolist()
    [0.25]
    """
    strengths = (maps.sum(dim=1) if maps.ndim == 4 else maps).abs()
    if strengths.ndim != 3:
        raise CodeclensError(
            f"Maps have shape {tuple(maps.shape)}; pass (batch, rows, columns), or with colours."
        )
    if not isinstance(box, Box):
        raise CodeclensError(
            f"{box!r} is no box; pass Box(top, left, bottom, right), or one of side_by_side."
        )
    rows, columns = box.slices
    inside: Tensor = strengths[:, rows, columns].sum(dim=(1, 2)) / strengths.sum(dim=(1, 2))
    return inside
