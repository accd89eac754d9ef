"""Smoothing: maps under a Gaussian that moves what pixels contribute and loses none of it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError


def smooth(maps: Float[Tensor, "*lead rows columns"], sigma: float) -> Tensor:
    """Spread every value of `(…, H, W)` over its neighbours by a Gaussian of `sigma` pixels.

    What would leave at the border is reflected back, so that sums stay what they were. Raises
    CodeclensError for maps without rows and columns and for a sigma below 0.

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
    # Beyond the border the row is continued by its mirror image, whose edge counts twice.
    places = torch.arange(size, device=maps.device)[:, None] + offsets
    places = places.remainder(2 * size)
    places = torch.where(places >= size, 2 * size - 1 - places, places)
    matrix = torch.zeros(size, size, dtype=maps.dtype, device=maps.device)
    matrix.scatter_add_(1, places, weights.expand(size, -1).contiguous())
    return torch.movedim(torch.movedim(maps, axis, -1) @ matrix, -1, axis)
