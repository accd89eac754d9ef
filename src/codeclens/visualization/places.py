"""Places: where in a feature map some units contribute, and the map of each place alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Predicted, Selector, Site, Target, find_sites
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError
from codeclens.visualization.tracing import AnyBaseline, Tracing, trace


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
    (METHOD.md §6.) Arguments are those of `pixel_map`. Raises CodeclensError as it does, and for a
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
        _strongest(traced, row, chosen, values, count) for row, values in enumerate(contributed)
    ]
    shape = (*contributed.shape[:2], *grid)
    return Places(traced.site.key, chosen, contributed.reshape(shape), strongest)


def _strongest(
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
