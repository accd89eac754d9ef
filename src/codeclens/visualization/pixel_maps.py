"""Pixel maps: which pixels drive the target through units or modes, signs apart."""

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
from codeclens.attribution.joint import Division
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes, division, shares_of
from codeclens.errors import CodeclensError, require_number
from codeclens.labelled import Labelled
from codeclens.visualization.overlays import smooth
from codeclens.visualization.place_maps import mode_numbers
from codeclens.visualization.tracing import AnyBaseline, Tracing, trace

if TYPE_CHECKING:
    import pandas
    import xarray

    from codeclens.decomposition import Mode


# By default the three strongest units of a mode make its map, as published.
STRONGEST = 3

Units = Sequence[int] | np.ndarray | Tensor


@dataclass(frozen=True, eq=False, repr=False)
class PixelMap(Labelled):
    """Contribution per pixel, in the target's units, through some units of a site.

    `positive` collects the places of these units that support the target, `negative` those that
    oppose it. Both have the shape of x `(B, …)` and hold gradient times input, so that a map sums
    to the contribution of its places. Both contain pixels of either sign, since a supporting place
    may be inhibited by some of its pixels. `target` `(B,)` is T(x). For a map of a mode's share of
    all units (`path_maps`), `mode` is its number and `units` is empty.
    """

    positive: Float[Tensor, "batch ..."]
    negative: Float[Tensor, "batch ..."]
    site: str
    units: tuple[int, ...]
    target: Float[Tensor, " batch"]
    mode: int | None = None

    @property
    def net(self) -> Float[Tensor, "batch ..."]:
        """The sum of both maps: gradient times input through these units."""
        return self.positive + self.negative

    @property
    def excitation(self) -> Float[Tensor, " batch"]:
        """The contribution of the supporting places in each sample, ≥ 0 up to rounding."""
        return self.positive.flatten(1).sum(dim=1)

    @property
    def suppression(self) -> Float[Tensor, " batch"]:
        """The contribution of the opposing places, ≤ 0 up to rounding."""
        return self.negative.flatten(1).sum(dim=1)

    def smoothed(self, sigma: float) -> PixelMap:
        """Both maps smoothed by a Gaussian of `sigma` pixels, with the same sums."""
        return replace(
            self, positive=smooth(self.positive, sigma), negative=smooth(self.negative, sigma)
        )

    def to_xarray(self) -> xarray.Dataset:
        """Both maps by sample and the axes of the input, and the target."""
        import xarray

        inner = self.positive.ndim - 1
        axes = ["channel", "row", "column"] if inner == 3 else [f"axis_{i}" for i in range(inner)]
        maps = {
            name: (("sample", *axes), getattr(self, name).detach().cpu().numpy())
            for name in ("positive", "negative")
        }
        target = ("sample", self.target.detach().cpu().numpy())
        return xarray.Dataset({**maps, "target": target}, attrs={"map": self.title()})

    def to_dataframe(self) -> pandas.DataFrame:
        """For each sample the target and the sums of both maps."""
        import pandas

        columns = {"target": self.target, "positive": self.excitation, "negative": self.suppression}
        return pandas.DataFrame(
            {name: values.detach().cpu().numpy() for name, values in columns.items()}
        )

    def title(self) -> str:
        """The units, or the mode, and the site."""
        if self.mode is not None:
            through = f"mode {self.mode}"
        else:
            shown = ", ".join(map(str, self.units[:4])) + (" …" if len(self.units) > 4 else "")
            through = f"units {shown}"
        shape = " × ".join(str(size) for size in self.positive.shape[1:])
        return f'Pixel map through {through} of "{self.site}", {shape} pixels'


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
    gradient that runs through it, and `c_kp = Σ_pixels J_kp · x` is its contribution. The maps are
    `Σ J_kp · x` over the places with `c_kp > 0` and over those with `c_kp < 0`. They take one
    forward-mode derivative and two masked vector-Jacobian products instead of one backward pass
    for each place. (method.md §6; arXiv 2603.06557.) A `baseline` replaces x by x − baseline.

    Choose the units by `units`, or by a `mode`, of which the `count` strongest (3) or the strongest
    `fraction` are taken. A mode also gives the `site`. `target`, `output` and `labels` are those of
    `contributions`. The model is not changed.

    Raises CodeclensError for unknown sites and units, for a site that does not depend on the
    input, and for NaN in the input.

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
    """Like `pixel_map`, for several sets of units or several modes of one site.

    All share one forward pass, one gradient and one forward-mode derivative; each map costs two
    vector-Jacobian products more.

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
                f"{traced.shape}, which has {traced.units} units; pass the site at which the mode "
                "was found, with the same heads and unit axis."
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
            f'"{site}" means {len(found)} sites ({keys} …); a pixel map is of one site, so name '
            "one of them."
        )
    strange = [name for name in named if name != found[0].key]
    if strange:
        raise CodeclensError(
            f'The mode was found at site "{strange[0]}", not at "{found[0].key}"; omit site.'
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
        given = "both" if units is not None else "neither"
        raise CodeclensError(f"Choose the units by exactly one of units and mode; got {given}.")
    if units is not None:
        if count is not None or fraction is not None:
            raise CodeclensError(
                "count and fraction choose among the units of a mode; omit them with units=…."
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
        require_number("fraction", fraction, above=0, most=1, hint="18 % of the units is 0.18")
        count = max(round(fraction * size), 1)
    elif count is None:
        count = min(STRONGEST, size)
    else:
        require_number("count", count, least=1, most=size, whole=True)
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
                f"{traced.shape}, which has {traced.units} units (0 to {traced.units - 1})."
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

    In each segment of the path the cotangent at the site is restricted to the mode's share of each
    unit and passed back to the pixels by secants. The map of a mode sums over pixels to the mode's
    contribution. `which` are numbers of modes, K for the remainder that no mode explains (all of
    them unless given); there is one map for each. `positive` holds the places where a unit excites
    in sum over the path, `negative` those where it suppresses. `method`, `target`, `baseline`,
    `output` and `labels` are those of `contributions`.

    The maps take backward passes to the pixels for each step; all modes share the forward passes.
    Raises CodeclensError for a method that is not secants along a path, for a mode that does not
    exist, and as `contributions` does. (method.md §2 and §6.)

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
    ).prepared(x)  # fmt: skip
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
    """The same at several sites at once, for an attributor that has `found` their contributions.

    The attributor keeps positions (`reduce=None`) and sums secants along a path.
    """
    chosen, divisions = _divisions(found, modes, which)
    maps = attributor.pixels(x, divisions, labels) if divisions else {}
    return {
        key: [
            PixelMap(positive, negative, key, (), found.target, number)
            for number, (positive, negative) in zip(numbers, maps.get(key, ()), strict=True)
        ]
        for key, numbers in chosen.items()
    }


def net_maps_of_modes(
    attributor: Attributor,
    x: Tensor,
    found: Contributions,
    modes: Mapping[str, Modes],
    which: Mapping[str, Sequence[int]],
    labels: Tensor | None = None,
) -> dict[str, dict[int, Tensor]]:
    """The sums of both maps of each mode, by site and mode: half of the backward passes.

    Each sums over pixels to the contribution of the mode.
    """
    chosen, divisions = _divisions(found, modes, which)
    maps = attributor.pixels(x, divisions, labels, signs=False) if divisions else {}
    return {
        key: {number: one[0] for number, one in zip(chosen[key], parts, strict=True)}
        for key, parts in maps.items()
    }


def _divisions(
    found: Contributions, modes: Mapping[str, Modes], which: Mapping[str, Sequence[int]]
) -> tuple[dict[str, list[int]], dict[str, Division]]:
    """The numbers of the modes, and how the contributions of each site divide among them."""
    chosen = {key: mode_numbers(modes[key], numbers) for key, numbers in which.items()}
    divisions = {
        key: division(
            shares_of(modes[key], found[key], most=len(modes[key])).only(numbers), found[key]
        )
        for key, numbers in chosen.items()
        if numbers
    }
    return chosen, divisions


@dataclass(frozen=True)
class Place:
    """One place of one unit: its contribution at x, and the pixels that drive it.

    `position` is its row and column (or its token); `pixels` is shaped like one sample of x and
    sums to `contribution`.
    """

    unit: int
    position: tuple[int, ...]
    contribution: float
    pixels: Float[Tensor, "*input"]


@dataclass(frozen=True)
class Places:
    """The contribution of every place of some units, and the strongest places of each sample.

    `contributions` `(B, U', h, w)` has the `units` that were asked for, on the site's grid;
    `strongest` holds a list for each sample, the largest magnitude first.
    """

    site: str
    units: tuple[int, ...]
    contributions: Float[Tensor, "batch unit *grid"]
    strongest: list[list[Place]]


def unit_places(
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
    """The contribution of single places of units, and pixel maps of the `count` strongest ones.

    The contributions are the `c_kp = Σ_pixels J_kp · x` of `pixel_map`. All of them take one
    forward-mode derivative; each map takes one backward pass. (method.md §6.) Arguments are those
    of `pixel_map`. Raises CodeclensError as it does, and for a unit that does not exist.

    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)]
    >>> found = unit_places(
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
