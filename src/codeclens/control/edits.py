"""Edits: what is done to the values of units, out of place, whatever the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Site
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
    """What becomes of all values of a site; which of them it is asked for is not its business."""

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
        raise CodeclensError(f"{name}={given!r} is no finite number; pass one, such as 1.0.")


def as_value(given: float | Sequence[float] | np.ndarray[Any, Any] | Tensor) -> Value:
    """What users give for a value, as a number or a tensor."""
    if isinstance(given, Tensor):
        return given
    if isinstance(given, np.ndarray):
        return torch.from_numpy(given)
    return torch.tensor(given) if isinstance(given, list | tuple) else given  # type: ignore
