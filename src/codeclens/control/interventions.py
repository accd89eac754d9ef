"""Interventions on units: ablate, preserve, scale, steer, clamp and replace, within a `with`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Site
from codeclens.control.edits import (
    Add,
    Edit,
    Exchange,
    Intervention,
    Kind,
    Put,
    Scale,
    Value,
    as_value,
    one_site,
)
from codeclens.control.off import Given, Off, off_value
from codeclens.control.units import Choice, Chosen, Indices, Units
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError

Where = Mode | Site | str


@contextmanager
def ablate(
    model: nn.Module,
    where: Where,
    units: Units | Indices | None = None,
    *,
    off: Off | None = None,
    images: Tensor | None = None,
    baseline: Any = 0.0,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Switch the chosen units off while the `with` lasts (method.md §5).

    `where` is a mode, or a site (its name or a `Site`). The units are chosen by exactly one of
    `fraction`, `count`, `units` (indices or masks) and `weights`, and by `positions`; or all of it
    in one value, `Units(fraction=0.1)`. A mode's units are ranked by their net entry.

    `off` is what they are set to: a number, one for each unit of the site `(U,)`, a tensor in the
    layout of the site's activation, `"baseline"` (the site's activation at the `baseline` of the
    `images` that will run) or `"mean"` (its mean over `images`). The default is 0, or
    `"baseline"` where `images` are given: contributions that count from a baseline predict what
    happens when units return to that baseline, and not to zero.

    Many masks at once: `units` or `weights` `(M, U)` act on M copies of the batch, one after
    another, `model(x.repeat(M, 1, 1, 1))`; `outputs_under` makes the copies itself.

    An intervention is out of place, and gradients flow through it. Several compose (nested, at one
    site or at many, each sees what the ones before left). It is undone when the block ends, however
    it ends. It yields the `Intervention`, which says what was chosen.

    Raises CodeclensError for an unknown site, for units or positions that do not exist at this
    site, for numbers that are not finite, and where the network runs without reaching the site.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with ablate(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[1., 0., 1.]])
    >>> with ablate(model, "0", units=[1], off="mean", images=torch.tensor([[1.0, 4.0, 1.0]])):
    ...     model(torch.ones(1, 3))
    tensor([[1., 4., 1.]])
    """
    value = _off(model, where, off, images, baseline)
    with _act(model, where, "ablate", units, choice, value) as done:
        yield done


@contextmanager
def preserve(
    model: nn.Module,
    where: Where,
    units: Units | Indices | None = None,
    *,
    off: Off | None = None,
    images: Tensor | None = None,
    baseline: Any = 0.0,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Keep only the chosen units while the `with` lasts: switch all the others off.

    The same as `ablate` (method.md §5), with the complement of the units. Two of them at one site
    leave the units that both keep.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with preserve(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[0., 1., 0.]])
    """
    value = _off(model, where, off, images, baseline)
    with _act(model, where, "preserve", units, choice, value) as done:
        yield done


@contextmanager
def scale(
    model: nn.Module,
    where: Where,
    factor: Given,
    units: Units | Indices | None = None,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Multiply the chosen units by `factor`, one number or one for each unit of the site `(U,)`.

    Units and positions are chosen as in `ablate`, which is a factor of 0.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with scale(model, "0", 3.0, units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[1., 3., 1.]])
    """
    with _act(model, where, Scale(as_value(factor)), units, choice) as done:
        yield done


@contextmanager
def steer(
    model: nn.Module,
    where: Where,
    direction: Given | None = None,
    strength: float | None = None,
    units: Units | Indices | None = None,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Add `strength` times a direction in activation space, at all positions or at chosen ones.

    - `steer(model, mode, 2.0)` adds 2.0 times the mode's own direction (`Mode.direction`, which
      `decompose` computes): what the mode looks like in activations at its typical loading. 1 adds
      as much of it as its samples have on average, −1 removes as much.
    - `steer(model, site, direction, 2.0)` adds 2.0 times a direction (1.0 if no strength is given):
      one number for each unit of the site `(U,)`, or a tensor in the layout of its activation. The
      site may be a mode's, and the direction one that `mode_direction` computed.

    The entries of a contribution mode are not activations, so they are not a direction. All units
    are moved unless some are chosen, as in `ablate`. Raises CodeclensError for a bare number as a
    direction, and for a mode without one.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with steer(model, "0", [1.0, 0.0, -1.0], strength=2.0):
    ...     model(torch.ones(1, 3))
    tensor([[ 3.,  1., -1.]])
    """
    edit = Add(*_steering(where, direction, strength))
    with _act(model, where, edit, units, choice, everything=True) as done:
        yield done


def _steering(where: Where, direction: Given | None, strength: float | None) -> tuple[Value, float]:
    """The direction and the strength that the arguments of `steer` mean."""
    bare = direction is None or np.ndim(direction) == 0
    if not bare:
        assert direction is not None
        return as_value(direction), 1.0 if strength is None else strength
    if not isinstance(where, Mode):
        raise CodeclensError(
            f"direction={direction} is not a direction; pass one number for each unit of the site, "
            "and then the strength, or a mode and its strength: steer(model, mode, 2.0)."
        )
    if (direction is None) == (strength is None):
        raise CodeclensError(
            f"steer(model, mode, strength) takes one number, the strength, and got direction="
            f"{direction} and strength={strength}; a direction has one number for each unit."
        )
    if where.direction is None:
        raise CodeclensError(
            f'Mode {where.index} of "{where.site}" has no direction in activation space, since it '
            "was not found by decompose in a store; compute one with mode_direction and pass it: "
            "steer(model, mode, direction, strength)."
        )
    amount = strength if direction is None else direction
    return as_value(where.direction), float(np.asarray(amount))


@contextmanager
def clamp(
    model: nn.Module,
    where: Where,
    values: Given,
    units: Units | Indices | None = None,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Hold the chosen units at `values` for every input.

    One number, one for each unit of the site `(U,)`, or a tensor in the layout of its activation,
    with one sample for all or one for each. Units and positions are chosen as in `ablate`.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with clamp(model, "0", [7.0, 8.0, 9.0], units=[0, 2]):
    ...     model(torch.ones(1, 3))
    tensor([[7., 1., 9.]])
    """
    with _act(model, where, Put(as_value(values)), units, choice) as done:
        yield done


@contextmanager
def replace(
    model: nn.Module,
    where: Where,
    units: Units | Indices | None = None,
    *,
    mean: Tensor | None = None,
    sample: Tensor | Sequence[int] | None = None,
    **choice: Unpack[Choice],
) -> Iterator[Intervention]:
    """Replace the chosen units by their mean, or by their values for other samples.

    `mean` is activations of the site `(N, …)`, as `activation_at` gives them: their mean over
    samples is used, at each position its own. `sample` is activations of other samples `(B, …)`,
    one for each that will run, or the numbers of samples of the running batch itself: sample i
    gets the values of sample `sample[i]`, and gradients flow back to it. Give exactly one of them.
    Units and positions are chosen as in `ablate`.

    >>> model, x = nn.Sequential(nn.Identity(), nn.Flatten()), torch.tensor([[1.0, 2], [5, 6]])
    >>> with replace(model, "0", mean=x, units=[0]):
    ...     model(x)
    tensor([[3., 2.],
            [3., 6.]])
    >>> with replace(model, "0", sample=[1, 0], units=[0]):
    ...     model(x)
    tensor([[5., 2.],
            [1., 6.]])
    """
    with _act(model, where, _replacement(mean, sample), units, choice) as done:
        yield done


def _replacement(mean: Tensor | None, sample: Tensor | Sequence[int] | None) -> Edit:
    if (mean is None) == (sample is None):
        raise CodeclensError(
            "Replace units by exactly one of mean=activations and sample=…; "
            f"got {'neither' if mean is None else 'both'}."
        )
    if mean is not None:
        if not isinstance(mean, Tensor) or mean.ndim < 2 or not len(mean):
            raise CodeclensError(
                f"mean is {_shown(mean)}; pass activations of the site (samples, …), "
                "as activation_at gives them."
            )
        return Put(mean.mean(dim=0, keepdim=True))
    if isinstance(sample, Tensor) and sample.is_floating_point():
        return Put(sample)
    order = np.asarray(sample)
    if order.ndim != 1 or not np.issubdtype(order.dtype, np.integer):
        raise CodeclensError(
            f"sample is {_shown(sample)}; pass activations of the site, one for each sample, or a "
            "flat list of numbers of samples."
        )
    return Exchange(tuple(int(row) for row in order))


def _shown(given: object) -> str:
    if isinstance(given, Tensor | np.ndarray):
        return f"a {type(given).__name__} of shape {tuple(given.shape)}, {given.dtype}"
    return repr(given)


def _place(model: nn.Module, where: Where) -> Site:
    if not isinstance(where, Mode | Site | str):
        raise CodeclensError(
            f"An intervention acts on a mode, a Site or a site's name, not on a "
            f"{type(where).__name__}; pass a single mode, for example modes[0]."
        )
    return one_site(model, where.site if isinstance(where, Mode) else where)


def _off(
    model: nn.Module, where: Where, off: Off | None, images: Tensor | None, baseline: Any
) -> Given:
    if off is None:
        off = 0.0 if images is None else "baseline"
    return off_value(model, _place(model, where), images, off, baseline)


@contextmanager
def _act(
    model: nn.Module,
    where: Where,
    kind: Kind | Edit,
    units: Units | Indices | None,
    choice: Choice,
    value: Given = 0.0,
    everything: bool = False,
) -> Iterator[Intervention]:
    site = _place(model, where)
    if isinstance(units, Units):
        if any(one is not None for one in choice.values()):
            raise CodeclensError(
                f"Units(…) says which units are meant; leave out {', '.join(choice)}."
            )
    else:
        units = Units(indices=units, **choice)
    mode = where if isinstance(where, Mode) else None
    chosen: Chosen
    if everything and units.everything:
        chosen = torch.ones((), dtype=torch.bool)
    else:
        chosen = units.chosen(site, mode)
    size = None if mode is None else len(mode.positive)
    intervention = Intervention(site, kind, chosen, as_value(value), size, units.positions)
    intervention.edit  # noqa: B018 — raises for values that are not finite, before anything runs
    with intervention.applied(model):
        yield intervention
