"""Pixel maps: which pixels drive the output through given units, signs apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Baseline,
    Contributions,
    Method,
    Predicted,
    Selector,
    Site,
    Target,
    find_sites,
)
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes, division, shares_of
from codeclens.errors import CodeclensError
from codeclens.visualization.overlays import smooth
from codeclens.visualization.tracing import AnyBaseline, Tracing, trace

if TYPE_CHECKING:
    from codeclens.decomposition import Mode


# How many of a mode's strongest units make its map where the user does not say (the published
# choice: three channels).
STRONGEST = 3

Units = Sequence[int] | np.ndarray | Tensor


@dataclass(frozen=True)
class PixelMap:
    """Contribution per pixel, in the target's units, through some units of a site.

    `positive` collects the places of these units that contribute to the target, `negative` those
    that count against it; both are shaped like x `(B, …)`: gradient part times input, so that a
    map's sum over pixels is what its places contribute together. Single pixels have either sign in
    both: a place that contributes on the whole may be held back by some of its pixels. `target`
    `(B,)` is T(x). `mode` is the number of the mode where the map is of its share of all units
    (see `path_maps`), and then `units` is empty.
    """

    positive: Float[Tensor, "batch ..."]
    negative: Float[Tensor, "batch ..."]
    site: str
    units: tuple[int, ...]
    target: Float[Tensor, " batch"]
    mode: int | None = None

    @property
    def net(self) -> Float[Tensor, "batch ..."]:
        """Both maps together: gradient times input through these units."""
        return self.positive + self.negative

    @property
    def excitation(self) -> Float[Tensor, " batch"]:
        """What the contributing places add to the target of every sample, ≥ 0 up to rounding."""
        return self.positive.flatten(1).sum(dim=1)

    @property
    def suppression(self) -> Float[Tensor, " batch"]:
        """What the other places take from it, ≤ 0 up to rounding."""
        return self.negative.flatten(1).sum(dim=1)

    def smoothed(self, sigma: float) -> PixelMap:
        """Both maps under a Gaussian of `sigma` pixels, which keeps their sums."""
        return replace(
            self, positive=smooth(self.positive, sigma), negative=smooth(self.negative, sigma)
        )

    def __repr__(self) -> str:
        if self.mode is not None:
            return f"PixelMap({tuple(self.positive.shape)} of mode {self.mode} of {self.site!r})"
        shown = ", ".join(map(str, self.units[:4])) + (" …" if len(self.units) > 4 else "")
        return f"PixelMap({tuple(self.positive.shape)} through units {shown} of {self.site!r})"


def pixel_map(
    model: nn.Module,
    x: Tensor,
    *,
    site: str | Site | None = None,
    units: Units | None = None,
    mode: Mode | None = None,
    count: int | None = None,
    fraction: float | None = None,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> PixelMap:
    """Map which pixels of `x` `(B, …)` drive the target through some units of a site.

    For every unit k and place p of the site, `J_kp = ∂T/∂a_kp · ∂a_kp/∂x` is the part of the
    gradient that runs through it and `c_kp = Σ_pixels J_kp · x` its contribution. The maps are
    `Σ J_kp · x` over the places with `c_kp > 0` and over those with `c_kp < 0`: one forward-mode
    derivative and two masked vector-Jacobian products instead of one backward for each place.
    (method.md §6; arXiv 2603.06557.) With a `baseline`, x − baseline stands for x.

    Say which units: `units` by hand, or a `mode` of which the `count` strongest (3), or the
    strongest `fraction`, are taken. `site` may be left out where a mode names it. `target`,
    `output` and `labels` are those of `contributions`. The model is left as it was.

    Raises CodeclensError for unknown sites and units, for a site that does not depend on the
    input, for NaN in the input.

    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)]
    >>> model, x = nn.Sequential(*layers), torch.randn(2, 3, 9, 9)
    >>> found = pixel_map(model, x, site="1", units=[2, 5])
    >>> found.positive.shape, bool((found.excitation >= 0).all())
    (torch.Size([2, 3, 9, 9]), True)
    """
    return pixel_maps(
        model,
        x,
        site=site,
        units=None if units is None else [units],
        modes=None if mode is None else [mode],
        count=count,
        fraction=fraction,
        target=target,
        baseline=baseline,
        output=output,
        labels=labels,
    )[0]


def pixel_maps(
    model: nn.Module,
    x: Tensor,
    *,
    site: str | Site | None = None,
    units: Sequence[Units] | None = None,
    modes: Sequence[Mode] | None = None,
    count: int | None = None,
    fraction: float | None = None,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> list[PixelMap]:
    """The same as `pixel_map` for several sets of units, or several modes, of one site.

    They share one forward, one gradient and one forward-mode derivative; each costs two more
    vector-Jacobian products.

    >>> model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    >>> maps = pixel_maps(model, torch.ones(2, 4), site="1", units=[[0], [1, 2]])
    >>> [found.units for found in maps]
    [(0,), (1, 2)]
    """
    place = _one_site(model, site, modes)
    chosen = _chosen(place, units, modes, count, fraction)
    traced = trace(
        model,
        x,
        place,
        target=Predicted() if target is None else target,
        baseline=baseline,
        output=output,
        labels=labels,
    )
    for mode in modes or ():
        if len(mode.weights) != traced.units:
            raise CodeclensError(
                f'The mode has {len(mode.weights)} units, but site "{place.key}" gives '
                f"{traced.shape}, which is {traced.units} units; take the site that the mode was "
                "found at, with the same heads and unit axis."
            )
    positive, negative = traced.maps(_masks(chosen, traced))
    return [
        PixelMap(positive[m], negative[m], place.key, chosen[m], traced.target)
        for m in range(len(chosen))
    ]


def _one_site(model: nn.Module, site: str | Site | None, modes: Sequence[Mode] | None) -> Site:
    named = sorted({mode.site for mode in modes or ()})
    if site is None and not named:
        raise CodeclensError('No site was given; pass the name of a module as site="…".')
    if site is None and len(named) > 1:
        raise CodeclensError(
            f"The modes are of {len(named)} sites ({', '.join(named[:4])}); pass those of one site."
        )
    found = find_sites(model, named[0] if site is None else site)
    if len(found) != 1:
        keys = ", ".join(f'"{one.key}"' for one in found[:4])
        raise CodeclensError(
            f'"{site}" means {len(found)} sites ({keys} …); a pixel map looks through one, '
            "so name one of them."
        )
    strange = [name for name in named if name != found[0].key]
    if strange:
        raise CodeclensError(
            f'The mode was found at site "{strange[0]}", not at "{found[0].key}"; leave site out.'
        )
    return found[0]


def _chosen(
    site: Site,
    units: Sequence[Units] | None,
    modes: Sequence[Mode] | None,
    count: int | None,
    fraction: float | None,
) -> list[tuple[int, ...]]:
    """The units of every map."""
    if (units is None) == (modes is None):
        both = "both of them" if units is not None else "none of them"
        raise CodeclensError(f"Say which units by exactly one of units and mode; got {both}.")
    if units is not None:
        if count is not None or fraction is not None:
            raise CodeclensError(
                "count and fraction choose among the units of a mode; leave them out with units=…."
            )
        sets = [_by_hand(one, site) for one in units]
    else:
        sets = [_strongest(mode, count, fraction) for mode in modes or ()]
    if not sets:
        raise CodeclensError(f'No units of site "{site.key}" were given; pass at least one set.')
    return sets


def _strongest(mode: Mode, count: int | None, fraction: float | None) -> tuple[int, ...]:
    size = len(mode.weights)
    if count is not None and fraction is not None:
        raise CodeclensError(
            f"Choose a mode's units by count (={count}) or by fraction (={fraction}), not by both."
        )
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise CodeclensError(
                f"fraction (={fraction}) must lie above 0 and at most at 1; "
                "18 % of the units is 0.18."
            )
        count = max(round(fraction * size), 1)
    elif count is None:
        count = min(STRONGEST, size)
    elif not 1 <= count <= size:
        raise CodeclensError(f"count (={count}) must lie between 1 and the mode's {size} units.")
    return tuple(int(unit) for unit in mode.top_units(count=count))


def _by_hand(units: Units, site: Site) -> tuple[int, ...]:
    chosen = np.asarray(units)
    if chosen.ndim != 1 or not chosen.size or not np.issubdtype(chosen.dtype, np.integer):
        raise CodeclensError(
            f'units for site "{site.key}" are {units!r}; pass a flat list of one or more integers.'
        )
    return tuple(int(unit) for unit in chosen)


def _masks(chosen: Sequence[tuple[int, ...]], traced: Tracing) -> Bool[Tensor, "map unit"]:
    masks = torch.zeros(len(chosen), traced.units, dtype=torch.bool)
    for mask, units in zip(masks, chosen, strict=True):
        strange = [unit for unit in units if not 0 <= unit < traced.units]
        if strange:
            raise CodeclensError(
                f'Unit {strange[0]} is out of range: site "{traced.site.key}" gives '
                f"{traced.shape}, which is {traced.units} units (0 to {traced.units - 1})."
            )
        mask[list(units)] = True
    return masks


def path_maps(
    model: nn.Module,
    x: Tensor,
    modes: Modes,
    which: Sequence[int] | None = None,
    *,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: float | Tensor | Baseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> list[PixelMap]:
    """Map which pixels of `x` `(B, …)` drive the target through modes, along the path from x0.

    In every segment of the path what arrives at the site is restricted to the mode's share of each
    unit and passed back to the pixels by secants. A mode's map sums over pixels to what the mode
    contributes: pixels → mode → output add up. `which` are numbers of modes, K standing for the
    remainder that no mode explains (all of them unless given); one map for each. `positive` holds
    the places where a unit excites on the whole, `negative` those where it suppresses. `method`,
    `target`, `baseline`, `output` and `labels` are those of `contributions`.

    Two backward passes to the pixels for each step and mode; all share the forward passes. Raises
    CodeclensError for a method that is not secants along a path, a mode that there is not, and as
    `contributions` does. (method.md §2 and §6.)

    >>> import torch
    >>> from codeclens.attribution import contributions
    >>> from codeclens.decomposition import NMF
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3))
    >>> x = torch.rand(20, 1, 6, 6)
    >>> c = contributions(model, x, sites="1")["1"]
    >>> nmf = NMF(n_modes=3).fit(c.positive)
    >>> maps = path_maps(model, x[:4], Modes("1", "positive", nmf, nmf.encode(c.positive)))
    >>> total = sum(one.net for one in maps).flatten(1).sum(dim=1)
    >>> len(maps), bool(torch.allclose(total, c.net[:4].sum(dim=1), atol=1e-5))
    (4, True)
    """
    attributor = Attributor(
        model, sites=modes.site, method=method, target=target, baseline=baseline,
        output=output, reduce=None,
    )  # fmt: skip
    found = attributor(x, labels)
    wanted = range(len(modes) + 1) if which is None else which
    return maps_of_modes(attributor, x, found, {modes.site: modes}, {modes.site: wanted}, labels)[
        modes.site
    ]


def maps_of_modes(
    attributor: Attributor,
    x: Tensor,
    found: Contributions,
    modes: Mapping[str, Modes],
    which: Mapping[str, Sequence[int]],
    labels: Tensor | None = None,
) -> dict[str, list[PixelMap]]:
    """The same at several sites at once, where an attributor has `found` all contributions.

    The attributor keeps positions (`reduce=None`) and sums secants along a path.
    """
    chosen = {key: _numbers(modes[key], numbers) for key, numbers in which.items()}
    divisions = {
        key: division(
            shares_of(modes[key], found[key], most=len(modes[key])).only(numbers), found[key]
        )
        for key, numbers in chosen.items()
        if numbers
    }
    maps = attributor.pixels(x, divisions, labels) if divisions else {}
    return {
        key: [
            PixelMap(positive, negative, key, (), found.target, number)
            for number, (positive, negative) in zip(numbers, maps.get(key, ()), strict=True)
        ]
        for key, numbers in chosen.items()
    }


def _numbers(modes: Modes, which: Sequence[int]) -> list[int]:
    odd = [one for one in which if not isinstance(one, int | np.integer) or isinstance(one, bool)]
    if odd:
        raise CodeclensError(f"{odd[0]!r} is no mode; pass the numbers of modes, for example [0].")
    strange = [number for number in which if not 0 <= number <= len(modes)]
    if strange:
        raise CodeclensError(
            f'There is no mode {strange[0]} at "{modes.site}": it has {len(modes)} modes (0 to '
            f"{len(modes) - 1}, and {len(modes)} for what none of them explains)."
        )
    return [int(number) for number in which]


@dataclass(frozen=True)
class Place:
    """One place of one unit: what it contributes at x, and which pixels drive it.

    `position` is its row and column (or its token); `pixels` is shaped like one sample of x and
    sums to `contribution`.
    """

    unit: int
    position: tuple[int, ...]
    contribution: float
    pixels: Float[Tensor, "*input"]


@dataclass(frozen=True)
class Places:
    """What every place of some units contributes, and the strongest ones of every sample.

    `contributions` `(B, U', h, w)` of the `units` asked for, on the site's grid; `strongest` holds
    a list for each sample, the largest magnitude first.
    """

    site: str
    units: tuple[int, ...]
    contributions: Float[Tensor, "batch unit *grid"]
    strongest: list[list[Place]]


def place_maps(
    model: nn.Module,
    x: Tensor,
    *,
    site: str | Site,
    units: Sequence[int],
    count: int = 4,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> Places:
    """Look at single places: what each contributes, and maps of the `count` strongest ones.

    The contributions are those whose maps `pixel_map` sums, `c_kp = Σ_pixels J_kp · x`: all of them
    from one forward-mode derivative, and one backward pass for each place that is mapped.
    (method.md §6.) Arguments are those of `pixel_map`. Raises CodeclensError as it does, and for a
    unit that there is not.

    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)]
    >>> found = place_maps(
    ...     nn.Sequential(*layers), torch.randn(2, 3, 9, 9), site="1", units=[2, 5], count=1
    ... )
    >>> found.contributions.shape, found.strongest[0][0].pixels.shape
    (torch.Size([2, 2, 4, 4]), torch.Size([3, 9, 9]))
    """
    sites = find_sites(model, site)
    if len(sites) != 1:
        raise CodeclensError(f'"{site}" means {len(sites)} sites; name one of them.')
    traced = trace(
        model, x, sites[0], target=Predicted() if target is None else target,
        baseline=baseline, output=output, labels=labels,
    )  # fmt: skip
    chosen = tuple(int(unit) for unit in units)
    strange = [unit for unit in chosen if not 0 <= unit < traced.units]
    if strange or not chosen or count < 0:
        raise CodeclensError(
            f"Units {list(chosen)} and count (={count}) name no places of site "
            f'"{traced.site.key}": it has {traced.units} units (0 to {traced.units - 1}).'
        )
    grid = traced.site.grid(traced.activation)
    contributed = traced.site.units(traced.contribution)[:, list(chosen)]
    strongest = [
        _strongest_units(traced, row, chosen, values, count)
        for row, values in enumerate(contributed)
    ]
    shape = (*contributed.shape[:2], *grid)
    return Places(traced.site.key, chosen, contributed.reshape(shape), strongest)


def _strongest_units(
    traced: Tracing, row: int, units: Sequence[int], values: Tensor, count: int
) -> list[Place]:
    order = values.abs().flatten().argsort(descending=True, stable=True)[:count].tolist()
    grid = traced.site.grid(traced.activation)
    found = []
    for place in order:
        unit, position = divmod(place, values.shape[1])
        flags = torch.zeros_like(traced.site.units(traced.contribution))
        flags[row, units[unit], position] = 1.0
        cotangent = traced.site.restore(flags, like=traced.activation) * traced.gradient
        with torch.inference_mode(False):
            (through,) = torch.autograd.grad(
                traced.activation, traced.start, cotangent, retain_graph=True
            )
        where = tuple(int(i) for i in torch.unravel_index(torch.tensor(position), grid))
        pixels = (through * traced.direction)[row]
        found.append(Place(units[unit], where, float(values[unit, position]), pixels))
    return found
