"""Interventions: networks with some units silenced, or all the others, for as long as a `with`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Site, find_sites, tapped
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError

Kind = Literal["ablate", "preserve"]
Units = Sequence[int] | np.ndarray | Tensor
Where = Mode | Site | str


@dataclass(frozen=True)
class Intervention:
    """What is done to a network: the units `chosen` at `site` are ablated or preserved.

    `ablate` and `preserve` make these; `units` is how many the site must have, where that is known.
    """

    site: Site
    kind: Kind
    chosen: tuple[int, ...]
    value: float | Tensor = 0.0
    units: int | None = None

    def __call__(self, site: Site, activation: Tensor) -> Tensor:
        """The activation `(B, …)` with `value` in place of the units that are switched off.

        Out of place and differentiable. Raises CodeclensError where the site has other units than
        were counted on, or `value` does not fit them.
        """
        values = site.units(activation)
        count = values.shape[1]
        self._check(count, activation)
        off = torch.full((count,), self.kind == "preserve", device=values.device)
        off[list(self.chosen)] = self.kind == "ablate"
        value = torch.as_tensor(self.value, dtype=values.dtype, device=values.device)
        edited = torch.where(off[:, None], value.reshape(-1, 1), values)
        return site.restore(edited, like=activation)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Do it to `model` while the `with` lasts; raises CodeclensError if the site is not met."""
        met = False

        def edit(site: Site, activation: Tensor) -> Tensor:
            nonlocal met
            met = True
            return self(site, activation)

        def confirm(*_: Any) -> None:
            # Silence here would read as "these units do not matter".
            if not met:
                raise CodeclensError(
                    f'The model ran without reaching site "{self.site.key}", so nothing was '
                    "changed; choose a module, or a call of it, that takes part in the forward."
                )

        with tapped(model, [self.site], edit):
            handle = model.register_forward_hook(confirm)
            try:
                yield
            finally:
                handle.remove()

    def _check(self, count: int, activation: Tensor) -> None:
        shape = tuple(activation.shape)
        if self.units is not None and self.units != count:
            raise CodeclensError(
                f'The mode has {self.units} units, but site "{self.site.key}" gives {shape}, which '
                f"is {count} units; take the site that the mode was found at, "
                "with the same heads and unit axis."
            )
        if self.chosen and max(self.chosen) >= count:
            raise CodeclensError(
                f'Unit {max(self.chosen)} is out of range: site "{self.site.key}" gives {shape}, '
                f"which is {count} units (0 to {count - 1})."
            )
        if isinstance(self.value, Tensor) and self.value.shape not in ((), (1,), (count,)):
            raise CodeclensError(
                f"value has shape {tuple(self.value.shape)}; pass one number, or one for each of "
                f'the {count} units of site "{self.site.key}".'
            )


@contextmanager
def ablate(
    model: nn.Module,
    where: Where,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    value: float | Tensor = 0.0,
) -> Iterator[Intervention]:
    """Set the chosen units to zero, at all positions, while the `with` lasts (METHOD.md §5).

    `where` is a mode, whose units are ranked by their entries (`Mode.top_units`), or a site (its
    name or a `Site`). Choose the units by exactly one of `fraction` (the strongest share of the
    mode's units, in [0, 1]), `count` (so many of its strongest) and `units` (indices by hand). They
    are set to `value`: one number, or one for each unit of the site `(U,)`, such as a mean
    activation.

    The intervention is out of place, gradients flow through it, several compose (nested, each sees
    what the ones before left), and it is undone when the block ends, however it ends. It yields
    the `Intervention`, which says what was chosen.

    Raises CodeclensError for an unknown site, for units that the site has not, and where the
    network runs without ever reaching the site.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with ablate(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[1., 0., 1.]])
    >>> model(torch.ones(1, 3))
    tensor([[1., 1., 1.]])
    """
    intervention = _intervention(model, where, "ablate", fraction, count, units, value)
    with intervention.applied(model):
        yield intervention


@contextmanager
def preserve(
    model: nn.Module,
    where: Where,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    value: float | Tensor = 0.0,
) -> Iterator[Intervention]:
    """Keep only the chosen units: set all the others to zero, while the `with` lasts.

    The same as `ablate` (METHOD.md §5), with the complement of the units. Two of them at one site
    leave what both keep.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with preserve(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[0., 1., 0.]])
    """
    intervention = _intervention(model, where, "preserve", fraction, count, units, value)
    with intervention.applied(model):
        yield intervention


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


def one_site(model: nn.Module, where: str | Site) -> Site:
    """The one site that a name, a key or a `Site` means.

    Raises CodeclensError where there is none (with the nearest names) or more than one.
    """
    found = find_sites(model, where)
    if len(found) != 1:
        keys = ", ".join(f'"{site.key}"' for site in found[:4])
        raise CodeclensError(
            f'"{where}" means {len(found)} sites ({keys} …); an intervention acts at one: '
            "nest one for each site."
        )
    return found[0]


def _intervention(
    model: nn.Module,
    where: Where,
    kind: Kind,
    fraction: float | None,
    count: int | None,
    units: Units | None,
    value: float | Tensor,
) -> Intervention:
    given = {"fraction": fraction, "count": count, "units": units}
    named = [name for name, choice in given.items() if choice is not None]
    if len(named) != 1:
        what = " and ".join(f"{name}={given[name]}" for name in named) or "none of them"
        raise CodeclensError(
            f"Choose the units by exactly one of fraction, count and units; got {what}."
        )
    if not isinstance(where, Mode | Site | str):
        raise CodeclensError(
            f"An intervention acts on a mode, a Site or a site's name, not on a "
            f"{type(where).__name__}; of several modes take one, such as modes[0]."
        )
    if isinstance(where, Mode):
        site, size = one_site(model, where.site), len(where.positive)
    else:
        site, size = one_site(model, where), None
    if units is not None:
        return Intervention(site, kind, _by_hand(units, site), value, size)
    if not isinstance(where, Mode):
        raise CodeclensError(
            f'{named[0]}={given[named[0]]} needs a mode to rank the units of site "{site.key}"; '
            "pass a mode, or choose by hand with units=[…]."
        )
    chosen = where.top_units(count, fraction=fraction)
    return Intervention(site, kind, tuple(int(unit) for unit in chosen), value, size)


def _by_hand(units: Units, site: Site) -> tuple[int, ...]:
    if isinstance(units, int):
        raise CodeclensError(
            f"units={units} must be a list of indices: units=[{units}] for that one unit, or "
            f"count={units} for so many of a mode's strongest."
        )
    chosen = np.asarray(units)
    if chosen.ndim != 1 or (chosen.size and not np.issubdtype(chosen.dtype, np.integer)):
        raise CodeclensError(
            f'units for site "{site.key}" have shape {chosen.shape} and type {chosen.dtype}; '
            "pass a flat list of integers."
        )
    if chosen.size and chosen.min() < 0:
        raise CodeclensError(
            f'Unit {chosen.min()} of site "{site.key}" is out of range: units count from 0.'
        )
    return tuple(int(unit) for unit in chosen)
