"""Edits: how the values of units are changed, out of place, in any network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Site, find_sites, frozen, tapped
from codeclens.attribution.inputs import Batch, called
from codeclens.control.units import Chosen, Positions, amounts, at_positions
from codeclens.errors import CodeclensError

# One number, one for each unit (U,), one for each sample and unit (B, U), or a tensor in the
# layout of the site's activation, with one sample for all or one for each.
Value = float | Tensor
Values = Float[Tensor, "batch unit position"]


@dataclass(frozen=True, eq=False)
class Frame:
    """A site's activation `(B, …)` as `values` `(B, U, P)`, and other tensors made to fit them.

    >>> frame = Frame(Site("conv"), torch.zeros(2, 3, 4, 4))
    >>> frame.values.shape, frame.fit("value", torch.arange(3.0)).shape
    (torch.Size([2, 3, 16]), torch.Size([3, 1]))
    """

    site: Site
    activation: Tensor

    @property
    def values(self) -> Values:
        """The activation as samples, units and positions."""
        return self.site.units(self.activation)

    def fit(self, name: str, given: Value) -> Tensor:
        """A `Value` as a tensor that broadcasts to `values`; raises CodeclensError if none does."""
        values = self.values
        found = torch.as_tensor(given, dtype=values.dtype, device=values.device)
        samples, units, _ = values.shape
        if found.ndim < 2 and found.numel() in (1, units):
            return found.reshape(-1, 1)
        if found.ndim >= 2 and len(found) and samples % len(found) == 0:
            # Several copies of a batch, one after another, take the same values each.
            copies = 1 if len(found) == 1 else samples // len(found)
            if found.shape[1:] == self.activation.shape[1:]:
                return self.site.units(found).repeat(copies, 1, 1)
            if found.shape[1:] == (units,):
                return found[:, :, None].repeat(copies, 1, 1)
        raise CodeclensError(
            f"{name} has shape {tuple(found.shape)}; pass one number, or one for each of the "
            f'{units} units of site "{self.site.key}", or a tensor like its activation '
            f"{tuple(self.activation.shape)}."
        )


class Edit(Protocol):
    """The new values of a whole site; the intervention decides which of them are used."""

    def __call__(self, frame: Frame) -> Values: ...


@dataclass(frozen=True, eq=False)
class Put:
    """Other values in place of those that are there.

    >>> Put(2.0)(Frame(Site("fc"), torch.ones(1, 2))).flatten().tolist()
    [2.0, 2.0]
    """

    value: Value

    def __post_init__(self) -> None:
        finite("value", self.value)

    def __call__(self, frame: Frame) -> Values:
        values = frame.values
        return frame.fit("value", self.value).expand_as(values)


@dataclass(frozen=True, eq=False)
class Scale:
    """The values times a factor.

    >>> Scale(3.0)(Frame(Site("fc"), torch.ones(1, 2))).flatten().tolist()
    [3.0, 3.0]
    """

    factor: Value

    def __post_init__(self) -> None:
        finite("factor", self.factor)

    def __call__(self, frame: Frame) -> Values:
        return frame.values * frame.fit("factor", self.factor)


@dataclass(frozen=True, eq=False)
class Add:
    """The values and `strength` times a direction.

    >>> Add(torch.tensor([0.0, 1.0]), 2.0)(Frame(Site("fc"), torch.ones(1, 2))).flatten().tolist()
    [1.0, 3.0]
    """

    direction: Value
    strength: float

    def __post_init__(self) -> None:
        finite("strength", self.strength)
        finite("direction", self.direction)

    def __call__(self, frame: Frame) -> Values:
        return frame.values + self.strength * frame.fit("direction", self.direction)


@dataclass(frozen=True, eq=False)
class Withdraw:
    """A share of the way from the values back to what they are at the baseline.

    `a − share · (a − baseline)`: a share of 0 leaves a value exactly as it is, 1 leaves the
    baseline (up to rounding).

    >>> Withdraw(0.25, 1.0)(Frame(Site("fc"), torch.tensor([[5.0, 1.0]]))).flatten().tolist()
    [4.0, 1.0]
    """

    share: Value
    baseline: Value

    def __post_init__(self) -> None:
        finite("share", self.share)
        finite("baseline", self.baseline)

    def __call__(self, frame: Frame) -> Values:
        values = frame.values
        departure = values - frame.fit("baseline", self.baseline)
        return values - frame.fit("share", self.share) * departure


@dataclass(frozen=True, eq=False)
class Exchange:
    """The values of other samples of the same batch: sample i gets those of `order[i]`.

    >>> Exchange((1, 0))(Frame(Site("fc"), torch.tensor([[5.0], [1.0]]))).flatten().tolist()
    [1.0, 5.0]
    """

    order: tuple[int, ...]

    def __call__(self, frame: Frame) -> Values:
        values, count = frame.values, len(self.order)
        samples = len(values)
        if not count or samples % count or not all(0 <= row < count for row in self.order):
            raise CodeclensError(
                f"The order {list(self.order)[:8]} does not say for each of {samples} samples "
                f"whose values it gets; give {samples} numbers from 0 to {samples - 1}."
            )
        batches = values.reshape(samples // count, count, *values.shape[1:])
        return batches[:, list(self.order)].reshape(values.shape)


def of_samples(edit: Edit, rows: slice, total: int) -> Edit:
    """The edit for some of `total` samples: what it holds for each of them is cut accordingly.

    Raises CodeclensError for an edit that moves values between samples.

    >>> of_samples(Put(torch.zeros(6, 2)), slice(2, 4), 6).value.shape
    torch.Size([2, 2])
    """
    if isinstance(edit, Exchange):
        raise CodeclensError(
            "Samples cannot exchange values in a sweep, whose batches are parts of the data; "
            "pass the values of the other samples, in the layout of the activation."
        )
    if not isinstance(edit, Put | Scale | Add | Withdraw):
        return edit
    cut: dict[str, Any] = {}
    for field in fields(edit):
        given = getattr(edit, field.name)
        if isinstance(given, Tensor) and given.ndim >= 2 and len(given) > 1:
            if len(given) != total:
                raise CodeclensError(
                    f"{field.name} has shape {tuple(given.shape)}; for {total} samples it must "
                    "hold one sample, or as many."
                )
            cut[field.name] = given[rows]
    return replace(edit, **cut)


def finite(name: str, given: Value) -> None:
    """Raise CodeclensError where a number, or one of a tensor's, is infinite or not a number."""
    if isinstance(given, Tensor):
        if not bool(torch.isfinite(given).all()):
            raise CodeclensError(f"{name} holds numbers that are not finite; look for NaN in it.")
    elif not isinstance(given, int | float | np.number) or not math.isfinite(given):
        raise CodeclensError(f"{name}={given!r} is not a finite number; pass one, such as 1.0.")


def as_value(given: float | Sequence[float] | np.ndarray[Any, Any] | Tensor) -> Value:
    """A value as users pass it, as a number or a tensor."""
    if isinstance(given, Tensor):
        return given
    if isinstance(given, np.ndarray):
        return torch.from_numpy(given)
    return torch.tensor(given) if isinstance(given, list | tuple) else given  # type: ignore


Kind = Literal["ablate", "preserve"]


@dataclass(frozen=True, eq=False)
class Intervention:
    """An edit of some units at `site`; all others stay as they are.

    `kind` is an `Edit` of the units `chosen`, or `"ablate"`: these are set to `value`, or
    `"preserve"`: all others are. `chosen` are indices, or a tensor of booleans or of numbers in
    [0, 1] `(U,)` or `(M, U)`: how far each unit is edited, with M masks for M copies of the batch,
    one after another. `units` is the number of units that the site must have, where it is known;
    `positions` are numbers of tokens or a mask `(H, W)`, None for all. `ablate` and the other
    interventions make these.
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
        """The edited activation `(B, …)`.

        Out of place and differentiable. Raises CodeclensError where the site has another number of
        units than expected, or where masks, positions or values do not fit them.
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
        """The edit of the units that are acted on."""
        return Put(self.value) if isinstance(self.kind, str) else self.kind

    def split(self) -> list[Intervention]:
        """One intervention for each mask, where there are M of them."""
        if isinstance(self.chosen, tuple) or self.chosen.ndim < 2:
            return [self]
        return [replace(self, chosen=mask) for mask in self.chosen]

    def of_samples(self, rows: slice, total: int) -> Intervention:
        """The same for some of `total` samples, where there are values for each of them."""
        edit = of_samples(self.edit, rows, total)
        if isinstance(edit, Put) and isinstance(self.kind, str):
            return replace(self, value=edit.value)
        return replace(self, kind=edit)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Apply it to `model` within a `with`; raises CodeclensError if the site is not met."""
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
            # Without an error this would look as if these units did not matter.
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
                f"{tuple(activation.shape)}, which has {count} units; take the site that the mode "
                "was found at, with the same heads and unit axis."
            )


@contextmanager
def intervene(model: nn.Module, interventions: Sequence[Intervention]) -> Iterator[None]:
    """Apply several interventions at once, at one site or at many, while the `with` lasts.

    At one site they follow each other in order: each sees what those before it left.

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


def activation_at(model: nn.Module, site: str | Site, x: Batch) -> Tensor:
    """The activation of a site for the input `x` `(B, …)`, as the network lays it out.

    In evaluation mode, without gradients. Use it for baselines, means and other samples' values.
    Raises CodeclensError for an unknown site, and for one that is not reached or runs several
    times.

    >>> activation_at(nn.Sequential(nn.Linear(2, 5), nn.ReLU()), "1", torch.zeros(3, 2)).shape
    torch.Size([3, 5])
    """
    place = one_site(model, site)
    kept: list[Tensor] = []
    device = next((parameter.device for parameter in model.parameters()), x.device)
    look = tapped(model, [place], lambda _, found: kept.append(found.detach().clone()))
    with frozen(model), torch.no_grad(), look:
        called(model, x.to(device))
    if len(kept) != 1:
        raise CodeclensError(
            f'Site "{place.key}" runs {len(kept)} times when the model runs; name a call of a '
            f'module that takes part in the forward, such as "{place.name}#0".'
        )
    return kept[0]


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
