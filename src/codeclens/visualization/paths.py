"""Path maps: what the target owes to every pixel through each mode, so that the sums are exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Baseline,
    Contributions,
    Method,
    Selector,
    Target,
)
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes, division, shares_of
from codeclens.errors import CodeclensError
from codeclens.visualization.pixels import PixelMap


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
    `contributions` does. (METHOD.md §2 and §6.)

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
