"""Maps: contributions by position, pooled onto a grid separately by sign."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Site
from codeclens.errors import CodeclensError

Grid = tuple[int, int]
# All positions, the cells of a grid, or only sums.
Positions = Literal["all"] | Grid | None

WHOLE = ("contribution_map",)
SIGNED = ("positive_map", "negative_map")


def positions_of(reduce: str | None, grid: Sequence[int] | None) -> Positions:
    """The positions that `reduce` and `grid` request; raises CodeclensError for invalid values.

    >>> positions_of("sum", None), positions_of(None, None), positions_of("sum", (7, 7))
    (None, 'all', (7, 7))
    """
    if reduce not in ("sum", None):
        raise CodeclensError(f'reduce={reduce!r} is unknown; use "sum", or None for positions.')
    if grid is None:
        return "all" if reduce is None else None
    if len(grid) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in grid):
        raise CodeclensError(f"grid={grid!r} must be (rows, columns), for example (7, 7).")
    return grid[0], grid[1]


def map_shape(positions: Positions, shape: Sequence[int]) -> Grid:
    """The rows and columns kept of positions `shape`: never more than there are.

    Tokens are rows of one column whatever the grid, because only the model knows their places in
    the image. A site without positions has one row and one column.

    >>> map_shape((7, 7), (14, 4)), map_shape("all", (14, 4)), map_shape((7, 7), (197,))
    ((7, 4), (14, 4), (197, 1))
    """
    rows, columns = _rows_and_columns(shape)
    if not isinstance(positions, tuple) or len(shape) < 2:
        return rows, columns
    return min(rows, positions[0]), min(columns, positions[1])


def maps_of(
    site: Site, contributions: Float[Tensor, "batch ..."], names: Sequence[str], kept: Grid
) -> dict[str, Float[Tensor, "batch unit row column"]]:
    """The maps `names` of contributions shaped like an activation, with `kept` rows and columns.

    Positions are divided among cells as evenly as possible, and each cell sums its positive and
    its negative contributions. So the sums over all cells equal the sums over all positions.

    >>> pooled = maps_of(Site("conv"), torch.ones(1, 2, 4, 6), SIGNED, (2, 3))
    >>> pooled["positive_map"].shape, float(pooled["positive_map"][0, 0, 0, 0])
    (torch.Size([1, 2, 2, 3]), 4.0)
    """
    units = site.units(contributions)
    rows, columns = _rows_and_columns(site.grid(contributions))
    whole = units.reshape(*units.shape[:2], rows, columns)
    if tuple(names) == WHOLE:
        return {WHOLE[0]: whole}
    signed = (whole.clamp(min=0), whole.clamp(max=0))
    if kept == (rows, columns):
        return dict(zip(names, signed, strict=True))
    down, across = _membership(rows, kept[0], whole), _membership(columns, kept[1], whole)
    return {name: down.T @ part @ across for name, part in zip(names, signed, strict=True)}


def _rows_and_columns(shape: Sequence[int]) -> Grid:
    return (prod(shape[:-1]), shape[-1]) if len(shape) > 1 else (prod(shape), 1)


def _membership(size: int, cells: int, like: Tensor) -> Float[Tensor, "position cell"]:
    """The cell of each position, one-hot encoded."""
    cell = torch.arange(size, device=like.device) * cells // size
    return torch.nn.functional.one_hot(cell, cells).to(like.dtype)
