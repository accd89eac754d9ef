"""Which units of a site an intervention acts on, how far, and at which positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from codeclens.attribution import Site
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError, require_number

# Indices of units, or how far each is acted on: booleans or numbers in [0, 1], (U,) or (M, U), or
# one for all units.
Chosen = tuple[int, ...] | Tensor
Indices = Sequence[int] | np.ndarray[Any, Any] | Tensor
Weights = Literal["mode"] | Sequence[float] | np.ndarray[Any, Any] | Tensor
# Numbers of tokens, or a mask in the shape of the positions.
Positions = Sequence[int] | np.ndarray[Any, Any] | Tensor


class Choice(TypedDict, total=False):
    """The fields of `Units` but `indices`, as keywords of `ablate` and its like."""

    fraction: float | None
    count: int | None
    weights: Weights | None
    positions: Positions | None


@dataclass(frozen=True, eq=False)
class Units:
    """Which units an intervention acts on: exactly one of four ways to choose them.

    - `fraction`: the highest-ranked share of a mode's units, in [0, 1]. Units are ranked by their
      net entry in the mode (`ranked_units`), the largest first.
    - `count`: so many of the highest-ranked units.
    - `indices`: indices, or a mask of booleans `(U,)`, or M masks `(M, U)`.
    - `weights`: how far each unit is moved from its value to the new one, numbers in [0, 1], `(U,)`
      or `(M, U)`. `"mode"` takes the unit's positive net entry, with 1 for the largest.

    `positions` restricts the intervention to some tokens (their numbers) or places (a mask
    `(H, W)`).

    >>> mode = Mode("fc", 0, np.array([0.2, 0.9, 0.1]), np.array([0.0, 0.0, -0.7]), np.ones(1))
    >>> Units(count=2).chosen(Site("fc"), mode)
    (1, 0)
    """

    fraction: float | None = None
    count: int | None = None
    indices: Indices | None = None
    weights: Weights | None = None
    positions: Positions | None = None

    def chosen(self, site: Site, mode: Mode | None = None) -> Chosen:
        """The chosen units of a site; raises CodeclensError unless the choice is clear."""
        given = {"fraction": self.fraction, "count": self.count, "units": self.indices,
                 "weights": self.weights}  # fmt: skip
        named = {name: choice for name, choice in given.items() if choice is not None}
        if len(named) != 1:
            what = " and ".join(f"{name}={one}" for name, one in named.items()) or "none of them"
            raise CodeclensError(
                "Choose the units by exactly one of fraction, count, units and weights; "
                f"got {what}."
            )
        if self.indices is not None:
            return by_hand(self.indices, site)
        if self.weights is not None and not isinstance(self.weights, str):
            return by_weight(self.weights, site)
        if mode is None:
            ((name, choice),) = named.items()
            raise CodeclensError(
                f'{name}={choice} needs a mode to rank the units of site "{site.key}"; '
                "pass a mode, or choose the units with units=[…]."
            )
        if self.weights is not None:
            return _entries(mode, self.weights)
        units = len(mode.positive)
        count = self.count
        if self.fraction is not None:
            count = share_to_count(self.fraction, units)
        require_number("count", count, least=0, most=units, whole=True,
                       hint="for a share of the units use fraction=")  # fmt: skip
        return tuple(int(unit) for unit in ranked_units(mode)[:count])

    @property
    def everything(self) -> bool:
        """Whether no choice is made, apart from positions."""
        return all(x is None for x in (self.fraction, self.count, self.indices, self.weights))


def ranked_units(mode: Mode) -> Int[np.ndarray, " unit"]:
    """The units of a mode by their net entry, the largest first.

    The net entry is the sum of both signs: a unit that raises the target in one place and lowers it
    in another has a large strength (`Mode.top_units`) but little effect as a whole.

    >>> mode = Mode("fc", 0, np.array([0.2, 0.9, 0.8]), np.array([0.0, 0.0, -0.7]), np.ones(1))
    >>> ranked_units(mode).tolist(), mode.top_units(3).tolist()
    ([1, 0, 2], [1, 2, 0])
    """
    return np.argsort(-mode.weights, kind="stable")


def _entries(mode: Mode, weights: str) -> Tensor:
    if weights != "mode":
        raise CodeclensError(f'weights="{weights}" is not known; write "mode", or pass numbers.')
    net = np.maximum(mode.weights, 0.0)
    return torch.from_numpy(net / max(float(net.max(initial=0.0)), 1e-300))


def by_hand(units: Indices, site: Site) -> Chosen:
    """Units as users give them: a flat list of indices, or masks `(U,)` or `(M, U)`.

    Raises CodeclensError for anything else.

    >>> by_hand([2, 0], Site("conv"))
    (2, 0)
    """
    if isinstance(units, int):
        raise CodeclensError(
            f"units={units} must be a list of indices: units=[{units}] for that one unit, or "
            f"count={units} for so many of a mode's highest-ranked units."
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
            " pass numbers between 0 and 1, one for each unit: 0 keeps it, 1 changes it fully."
        )
    return found


def amounts(
    chosen: Chosen, site: Site, activation: Tensor, complement: bool
) -> Shaped[Tensor, "batch unit 1"]:
    """How far each unit of each sample is acted on: booleans, or numbers in [0, 1].

    M masks belong to M copies of the batch, one after another. `complement` means all others.
    Raises CodeclensError for a unit that does not exist at the site and for masks of another shape.

    >>> amounts((1,), Site("fc"), torch.zeros(1, 3), complement=False).flatten().tolist()
    [False, True, False]
    """
    samples, count, _ = site.units(activation).shape
    shape = tuple(activation.shape)
    if isinstance(chosen, tuple):
        if chosen and max(chosen) >= count:
            raise CodeclensError(
                f'Unit {max(chosen)} is out of range: site "{site.key}" gives {shape}, '
                f"which has {count} units (0 to {count - 1})."
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
                f"{len(found)} masks: the batch must hold one copy per mask, one after another; "
                f'site "{site.key}" gives {shape}: repeat the input, x.repeat({len(found)}, 1, …).'
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


def share_to_count(fraction: float, units: int) -> int:
    """How many of `units` a fraction is: the nearest whole number, but one at least above zero.

    Raises CodeclensError where the fraction is not in [0, 1].

    >>> share_to_count(0.18, 64), share_to_count(0.01, 16), share_to_count(0.0, 16)
    (12, 1, 0)
    """
    if not 0.0 <= fraction <= 1.0:
        raise CodeclensError(
            f"fraction (={fraction}) must lie between 0 and 1; 18 % of the units is 0.18."
        )
    return max(round(fraction * units), 1) if fraction > 0 else 0
