"""Acts: ablate, preserve, scale, steer, clamp and replace units, for as long as a `with`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Site
from codeclens.control.edits import (
    Add,
    Chosen,
    Edit,
    Exchange,
    Intervention,
    Kind,
    Positions,
    Put,
    Scale,
    Units,
    as_value,
    by_hand,
    by_weight,
    one_site,
)
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError

Where = Mode | Site | str
Weights = Literal["mode"] | Sequence[float] | np.ndarray[Any, Any] | Tensor
Given = float | Sequence[float] | np.ndarray[Any, Any] | Tensor


@contextmanager
def ablate(
    model: nn.Module,
    where: Where,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
    value: Given = 0.0,
) -> Iterator[Intervention]:
    """Set the chosen units to zero while the `with` lasts (method.md §5).

    `where` is a mode, whose units are ranked by their entries (`Mode.top_units`), or a site (its
    name or a `Site`). Choose the units by exactly one of `fraction` (the strongest share of the
    mode's units, in [0, 1]), `count` (so many of its strongest), `units` (indices by hand, or a
    tensor of booleans `(U,)`) and `weights` (numbers in [0, 1] `(U,)`: how far each unit is taken
    from its value to the new one; `"mode"`: the strength of its entry, the strongest being 1).
    They are set to `value`: one number, one for each unit of the site `(U,)`, or a tensor in the
    layout of the site's activation. `positions` restricts this to some tokens (their numbers) or
    places (a mask `(H, W)`).

    Many masks at once: `units` or `weights` `(M, U)` act on M copies of the batch, one after
    another, `model(x.repeat(M, 1, 1, 1))`; `outputs_under` makes the copies itself.

    An intervention is out of place, gradients flow through it, several compose (nested, at one
    site or at many, each sees what the ones before left), and it is undone when the block ends,
    however it ends. It yields the `Intervention`, which says what was chosen.

    Raises CodeclensError for an unknown site, for units or positions that the site has not, for
    numbers that are not finite, and where the network runs without ever reaching the site.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with ablate(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[1., 0., 1.]])
    >>> model(torch.ones(1, 3))
    tensor([[1., 1., 1.]])
    """
    with _act(model, where, "ablate", fraction, count, units, weights, positions, value) as done:
        yield done


@contextmanager
def preserve(
    model: nn.Module,
    where: Where,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
    value: Given = 0.0,
) -> Iterator[Intervention]:
    """Keep only the chosen units: set all the others to zero, while the `with` lasts.

    The same as `ablate` (method.md §5), with the complement of the units. Two of them at one site
    leave what both keep.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with preserve(model, "0", units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[0., 1., 0.]])
    """
    with _act(model, where, "preserve", fraction, count, units, weights, positions, value) as done:
        yield done


@contextmanager
def scale(
    model: nn.Module,
    where: Where,
    factor: Given,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Multiply the chosen units by `factor`, one number or one for each unit of the site `(U,)`.

    Units and positions are chosen as in `ablate`, which is a factor of 0.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with scale(model, "0", 3.0, units=[1]):
    ...     model(torch.ones(1, 3))
    tensor([[1., 3., 1.]])
    """
    edit = Scale(as_value(factor))
    with _act(model, where, edit, fraction, count, units, weights, positions) as done:
        yield done


@contextmanager
def steer(
    model: nn.Module,
    where: Where,
    direction: Given,
    strength: float = 1.0,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Add `strength` times a direction in activation space, at all positions or at chosen ones.

    `direction` is one number for each unit of the site `(U,)`, or a tensor in the layout of its
    activation. The entries of a contribution mode are no activations, so they are no direction;
    `mode_direction` finds what the mode looks like in activations, scaled so that a strength of 1
    adds as much as there is of the mode, on average, where it is present, and −1 takes as much
    away. Without a choice all units are moved; otherwise as in `ablate`.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with steer(model, "0", [1.0, 0.0, -1.0], strength=2.0):
    ...     model(torch.ones(1, 3))
    tensor([[ 3.,  1., -1.]])
    """
    edit = Add(as_value(direction), strength)
    with _act(model, where, edit, fraction, count, units, weights, positions, everything=True) as d:
        yield d


@contextmanager
def clamp(
    model: nn.Module,
    where: Where,
    values: Given,
    *,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Hold the chosen units at `values`, whatever the input.

    One number, one for each unit of the site `(U,)`, or a tensor in the layout of its activation,
    with one sample for all or one for each. Units and positions are chosen as in `ablate`.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> with clamp(model, "0", [7.0, 8.0, 9.0], units=[0, 2]):
    ...     model(torch.ones(1, 3))
    tensor([[7., 1., 9.]])
    """
    edit = Put(as_value(values))
    with _act(model, where, edit, fraction, count, units, weights, positions) as done:
        yield done


@contextmanager
def replace(
    model: nn.Module,
    where: Where,
    *,
    mean: Tensor | None = None,
    sample: Tensor | Sequence[int] | None = None,
    fraction: float | None = None,
    count: int | None = None,
    units: Units | None = None,
    weights: Weights | None = None,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Replace the chosen units by their mean, or by what they are for other samples.

    `mean` is activations of the site `(N, …)`, as `activation_at` gives them: their mean over
    samples is put in, at each position its own. `sample` is activations of other samples `(B, …)`,
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
    edit = _replacement(mean, sample)
    with _act(model, where, edit, fraction, count, units, weights, positions) as done:
        yield done


def _replacement(mean: Tensor | None, sample: Tensor | Sequence[int] | None) -> Edit:
    if (mean is None) == (sample is None):
        raise CodeclensError(
            "Say what units are replaced by, by exactly one of mean=activations and sample=…; "
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


@contextmanager
def _act(
    model: nn.Module,
    where: Where,
    kind: Kind | Edit,
    fraction: float | None,
    count: int | None,
    units: Units | None,
    weights: Weights | None,
    positions: Positions | None,
    value: Given = 0.0,
    everything: bool = False,
) -> Iterator[Intervention]:
    given = {"fraction": fraction, "count": count, "units": units, "weights": weights}
    named = {name: choice for name, choice in given.items() if choice is not None}
    if not isinstance(where, Mode | Site | str):
        raise CodeclensError(
            f"An intervention acts on a mode, a Site or a site's name, not on a "
            f"{type(where).__name__}; of several modes take one, such as modes[0]."
        )
    site = one_site(model, where.site if isinstance(where, Mode) else where)
    size = len(where.positive) if isinstance(where, Mode) else None
    chosen = _everything() if everything and not named else _chosen(where, site, named)
    intervention = Intervention(site, kind, chosen, as_value(value), size, positions)
    intervention.edit  # noqa: B018 — complains of values that cannot be, before anything runs
    with intervention.applied(model):
        yield intervention


def _everything() -> Tensor:
    return torch.ones((), dtype=torch.bool)


def _chosen(where: Where, site: Site, named: dict[str, Any]) -> Chosen:
    if len(named) != 1:
        what = " and ".join(f"{name}={choice}" for name, choice in named.items()) or "none of them"
        raise CodeclensError(
            f"Choose the units by exactly one of fraction, count, units and weights; got {what}."
        )
    ((name, choice),) = named.items()
    if name == "units":
        return by_hand(choice, site)
    if name == "weights" and not isinstance(choice, str):
        return by_weight(choice, site)
    if not isinstance(where, Mode):
        raise CodeclensError(
            f'{name}={choice} needs a mode to rank the units of site "{site.key}"; '
            "pass a mode, or choose by hand with units=[…]."
        )
    if name != "weights":
        return tuple(int(unit) for unit in where.top_units(**named))
    if choice != "mode":
        raise CodeclensError(f'weights="{choice}" is not known; write "mode", or pass numbers.')
    strength = np.maximum(where.positive, -where.negative)
    return torch.from_numpy(strength / max(float(strength.max(initial=0.0)), 1e-300))
