"""Masks: which units of a site are acted on, how far, and at which positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from codeclens.attribution import Site
from codeclens.errors import CodeclensError

# Indices of units, or how far each is acted on: booleans or numbers in [0, 1], (U,) or (M, U), or
# one for all units.
Chosen = tuple[int, ...] | Tensor
Units = Sequence[int] | np.ndarray[Any, Any] | Tensor
# Numbers of tokens, or a mask in the shape of the positions.
Positions = Sequence[int] | np.ndarray[Any, Any] | Tensor


def by_hand(units: Units, site: Site) -> Chosen:
    """Units as users give them: a flat list of indices, or masks `(U,)` or `(M, U)`.

    Raises CodeclensError for anything else.

    >>> by_hand([2, 0], Site("conv"))
    (2, 0)
    """
    if isinstance(units, int):
        raise CodeclensError(
            f"units={units} must be a list of indices: units=[{units}] for that one unit, or "
            f"count={units} for so many of a mode's strongest."
        )
    chosen = units.detach().cpu().numpy() if isinstance(units, Tensor) else np.asarray(units)
    if chosen.dtype == bool and chosen.ndim in (1, 2) and isinstance(units, Tensor | np.ndarray):
        return torch.from_numpy(chosen)
    if chosen.ndim != 1 or (chosen.size and not np.issubdtype(chosen.dtype, np.integer)):
        raise CodeclensError(
            f'units for site "{site.key}" have shape {chosen.shape} and type {chosen.dtype}; '
            "pass a flat list of integers, or a tensor of booleans (units) or (masks, units)."
        )
    if chosen.size and chosen.min() < 0:
        raise CodeclensError(
            f'Unit {chosen.min()} of site "{site.key}" is out of range: units count from 0.'
        )
    return tuple(int(unit) for unit in chosen)


def by_weight(weights: Any, site: Site) -> Tensor:
    """How far each unit is acted on, `(U,)` or `(M, U)` in [0, 1]; raises CodeclensError if not."""
    found = torch.as_tensor(np.asarray(weights) if not isinstance(weights, Tensor) else weights)
    ranged = found.numel() and float(found.min()) >= 0 and float(found.max()) <= 1
    if found.ndim not in (1, 2) or not ranged or not found.is_floating_point():
        raise CodeclensError(
            f'weights for site "{site.key}" have shape {tuple(found.shape)} and type {found.dtype};'
            " pass numbers between 0 and 1, one for each unit: 0 leaves it, 1 acts on it in full."
        )
    return found


def amounts(
    chosen: Chosen, site: Site, activation: Tensor, complement: bool
) -> Shaped[Tensor, "batch unit 1"]:
    """How far each unit of each sample is acted on: booleans, or numbers in [0, 1].

    M masks belong to M copies of the batch, one after another. `complement` means all others.
    Raises CodeclensError for a unit that the site has not and for masks that do not fit.

    >>> amounts((1,), Site("fc"), torch.zeros(1, 3), complement=False).flatten().tolist()
    [False, True, False]
    """
    samples, count, _ = site.units(activation).shape
    shape = tuple(activation.shape)
    if isinstance(chosen, tuple):
        if chosen and max(chosen) >= count:
            raise CodeclensError(
                f'Unit {max(chosen)} is out of range: site "{site.key}" gives {shape}, '
                f"which is {count} units (0 to {count - 1})."
            )
        found = torch.zeros(1, count, dtype=torch.bool)
        found[0, list(chosen)] = True
    else:
        found = torch.atleast_2d(chosen.expand(count) if chosen.ndim == 0 else chosen)
        if found.shape[1] != count:
            raise CodeclensError(
                f'Masks of shape {tuple(chosen.shape)} do not fit site "{site.key}", which gives '
                f"{shape}: {count} units. Their last axis counts the units."
            )
        if not len(found) or samples % len(found):
            raise CodeclensError(
                f"{len(found)} masks need as many copies of the batch, one after another, but site "
                f'"{site.key}" gives {shape}: repeat the input, x.repeat({len(found)}, 1, …).'
            )
        found = found.repeat_interleave(samples // len(found) if len(found) > 1 else 1, dim=0)
    if complement:
        found = ~found if found.dtype == torch.bool else 1 - found
    found = found[:, :, None].to(activation.device)
    return found if found.dtype == torch.bool else found.to(activation.dtype)


def at_positions(positions: Positions, site: Site, activation: Tensor) -> Shaped[Tensor, " place"]:
    """Which positions of a site are acted on, `(P,)` booleans.

    `positions` are numbers of tokens, or a mask in the shape of the positions: `(H, W)` of a
    feature map, `(T,)` of tokens. Raises CodeclensError where they do not fit.

    >>> at_positions([0], Site("h"), torch.zeros(2, 3, 8)).tolist()
    [True, False, False]
    """
    # A head's features lie along the first axis of its grid; they have no positions of their own.
    grid = site.grid(activation)
    places = grid if site.heads is None else grid[1:]
    given = positions if isinstance(positions, Tensor) else torch.as_tensor(np.asarray(positions))
    given = given.to(activation.device)
    what = f'site "{site.key}" gives {tuple(activation.shape)}, whose positions are {places}'
    if given.dtype == torch.bool:
        if tuple(given.shape) != places:
            raise CodeclensError(
                f"The mask of positions has shape {tuple(given.shape)}, but {what}."
            )
        mask = given
    else:
        # What is empty has no type of its own.
        if len(places) != 1 or given.ndim != 1 or (len(given) and given.is_floating_point()):
            raise CodeclensError(
                f"positions of shape {tuple(given.shape)} and type {given.dtype} do not fit: "
                f"{what}; pass a mask of booleans of that shape, or, of tokens, their numbers."
            )
        if given.numel() and not 0 <= int(given.min()) <= int(given.max()) < places[0]:
            wrong = int(given.max() if given.min() >= 0 else given.min())
            raise CodeclensError(f"Position {wrong} is out of range: {what}, counted from 0.")
        mask = torch.zeros(places, dtype=torch.bool, device=activation.device)
        mask[given.long()] = True
    return mask.expand(grid).reshape(-1)
