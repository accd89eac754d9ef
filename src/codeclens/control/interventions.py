"""Interventions: an edit of some units at a site, done to a network for as long as a `with`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from codeclens.attribution import Site, find_sites, frozen, tapped
from codeclens.control.edits import Edit, Frame, Put, Value, of_samples
from codeclens.control.masks import Chosen, Positions, amounts, at_positions
from codeclens.errors import CodeclensError

Kind = Literal["ablate", "preserve"]


@dataclass(frozen=True, eq=False)
class Intervention:
    """What is done to a network: some units at `site` are edited, the rest stays as it is.

    `kind` is an `Edit` that is done to the units `chosen`, or `"ablate"`: those are set to `value`,
    or `"preserve"`: all others are. `chosen` are indices, or a tensor of booleans or of numbers in
    [0, 1] `(U,)` or `(M, U)`: how far each unit is edited, M masks for M copies of the batch, one
    after another. `units` is how many the site must have, where that is known; `positions` are
    numbers of tokens or a mask `(H, W)`, None for all. `ablate` and its like make these.
    """

    site: Site
    kind: Kind | Edit
    chosen: Chosen
    value: Value = 0.0
    units: int | None = None
    positions: Positions | None = None

    def __post_init__(self) -> None:
        if isinstance(self.kind, str) and self.kind not in get_args(Kind):
            raise CodeclensError(
                f'There is no kind of intervention "{self.kind}"; it is "ablate" or "preserve", '
                "or an edit."
            )

    def __call__(self, site: Site, activation: Tensor) -> Tensor:
        """The activation `(B, …)` with the edit done to it.

        Out of place and differentiable. Raises CodeclensError where the site has other units than
        were counted on, or where masks, positions or values do not fit them.
        """
        frame = Frame(site, activation)
        values = frame.values
        self._check(values.shape[1], activation)
        edited = self.edit(frame)
        amount = amounts(self.chosen, site, activation, self.kind == "preserve")
        if amount.dtype != torch.bool:
            # Exact at both ends, where a mixture would be so only up to rounding.
            edited = torch.where(amount < 1, values + amount * (edited - values), edited)
            amount = amount > 0
        if self.positions is not None:
            amount = amount & at_positions(self.positions, site, activation)
        return site.restore(torch.where(amount, edited, values), like=activation)

    @property
    def edit(self) -> Edit:
        """What is done to the units that are acted on."""
        return Put(self.value) if isinstance(self.kind, str) else self.kind

    def split(self) -> list[Intervention]:
        """One intervention for each mask, where there are M of them."""
        if isinstance(self.chosen, tuple) or self.chosen.ndim < 2:
            return [self]
        return [replace(self, chosen=mask) for mask in self.chosen]

    def of_samples(self, rows: slice, total: int) -> Intervention:
        """The same for some of `total` samples, where values are given for each of them."""
        edit = of_samples(self.edit, rows, total)
        if isinstance(edit, Put) and isinstance(self.kind, str):
            return replace(self, value=edit.value)
        return replace(self, kind=edit)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Do it to `model` while the `with` lasts; raises CodeclensError if the site is not met."""
        # A copy of the model made within the block keeps its hooks: they do nothing afterwards.
        met, over = False, False

        def edit(site: Site, activation: Tensor) -> Tensor | None:
            nonlocal met
            met = True
            return None if over else self(site, activation)

        def begin(*_: Any) -> None:
            nonlocal met
            met = False

        def confirm(*_: Any) -> None:
            # Silence here would read as "these units do not matter".
            if not met and not over:
                raise CodeclensError(
                    f'The model ran without reaching site "{self.site.key}", so nothing was '
                    "changed; choose a module, or a call of it, that takes part in the forward."
                )

        with ExitStack() as hooks:
            hooks.enter_context(tapped(model, [self.site], edit))
            # Before all other hooks: the site may be the input of the model itself.
            hooks.callback(model.register_forward_pre_hook(begin, prepend=True).remove)
            hooks.callback(model.register_forward_hook(confirm).remove)
            try:
                yield
            finally:
                over = True

    def _check(self, count: int, activation: Tensor) -> None:
        if self.units is not None and self.units != count:
            raise CodeclensError(
                f'The mode has {self.units} units, but site "{self.site.key}" gives '
                f"{tuple(activation.shape)}, which is {count} units; take the site that the mode "
                "was found at, with the same heads and unit axis."
            )


@contextmanager
def intervene(model: nn.Module, interventions: Sequence[Intervention]) -> Iterator[None]:
    """Do several interventions at once, at one site or at many, while the `with` lasts.

    At one site they follow each other in their order: each sees what those before it left.

    >>> model = nn.Sequential(nn.Identity(), nn.Identity())
    >>> double, clear = Put(2.0), Intervention(Site("1"), "ablate", (0,))
    >>> with intervene(model, [Intervention(Site("0"), double, (0, 1)), clear]):
    ...     model(torch.ones(1, 3))
    tensor([[0., 2., 1.]])
    """
    with ExitStack() as contexts:
        for one in interventions:
            contexts.enter_context(one.applied(model))
        yield


def activation_at(model: nn.Module, site: str | Site, x: Tensor) -> Tensor:
    """The activation of a site for the input `x` `(B, …)`, as the network lays it out.

    In evaluation mode, without gradients: baselines to return to, means and other samples' values
    to put in. Raises CodeclensError for an unknown site, and one that is not reached or runs
    several times.

    >>> activation_at(nn.Sequential(nn.Linear(2, 5), nn.ReLU()), "1", torch.zeros(3, 2)).shape
    torch.Size([3, 5])
    """
    place = one_site(model, site)
    kept: list[Tensor] = []
    device = next((parameter.device for parameter in model.parameters()), x.device)
    look = tapped(model, [place], lambda _, found: kept.append(found.detach().clone()))
    with frozen(model), torch.no_grad(), look:
        model(x.to(device))
    if len(kept) != 1:
        raise CodeclensError(
            f'Site "{place.key}" runs {len(kept)} times when the model runs; name a call of a '
            f'module that takes part in the forward, such as "{place.name}#0".'
        )
    return kept[0]


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
