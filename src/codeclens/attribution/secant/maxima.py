"""Secants of maxima and minima: pooling, amax, maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclens.attribution.secant.mode import RULES, SecantMode, rule, unfinished, with_gradient
from codeclens.attribution.secant.orders import index_of

Func = Callable[..., Any]


def _from_two(mode: SecantMode, z: Tensor, value: Tensor, index: Tensor, dim: int) -> Tensor:
    """A maximum over places: the largest at node 0 shares with the largest at node 1.

    Let a and b be these two places. On the straight line between the nodes a leads until the two
    cross at t = (a0 − b0) / ((a0 − b0) + (b1 − a1)), so Δmax = t Δa + (1 − t) Δb: exactly, whatever
    the other places do in between, and without any order among them.
    """
    flat = z.detach().flatten(dim)
    shape = index.shape
    index = index.flatten(dim)
    before = mode.remember(flat, index)
    if before is None:
        return unfinished(value, z)
    flat0, index0 = before
    lead0 = flat0.gather(dim, index0) - flat0.gather(dim, index)
    lead1 = flat.gather(dim, index) - flat.gather(dim, index0)
    total = lead0 + lead1
    share = torch.where(total > 0, lead0 / total, 0.5).reshape(shape)

    def pullback(g: Tensor) -> tuple[Tensor]:
        back = torch.zeros_like(flat)
        back.scatter_add_(dim, index0, (g * share).flatten(dim))
        back.scatter_add_(dim, index, (g * (1 - share)).flatten(dim))
        return (back.reshape(z.shape),)

    return with_gradient(value, pullback, z)


def _pooling(name: str, pool: Func) -> None:
    def secant(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
        with_index = kwargs.pop("return_indices", False)
        value, index = pool(z.detach(), *args, **kwargs, return_indices=True)
        batched = z.ndim - (1 if "1d" in name else 2 if "2d" in name else 3)
        result = _from_two(mode, z, value, index, batched)
        return (result, index) if with_index else result

    RULES[name] = RULES[f"{name}_with_indices"] = secant


for _name in (
    *("max_pool1d", "max_pool2d", "max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
):
    _pooling(_name, getattr(F, _name))


@rule("amax")
def _amax(mode: SecantMode, func: Func, z: Tensor, dim: Any = (), keepdim: bool = False) -> Any:
    dims = [dim] if isinstance(dim, int) else list(dim)
    if len(dims) != 1:
        dims = sorted(d % z.ndim for d in dims) or list(range(z.ndim))
        kept = [d for d in range(z.ndim) if d not in dims]
        with mode:
            merged = z.permute(*kept, *dims).flatten(len(kept)).amax(-1)
            shape = [1 if d in dims else n for d, n in enumerate(z.shape)]
            return merged.reshape(shape) if keepdim else merged
    return _max_along(mode, z, dims[0], keepdim)[0]


@rule("amin")
def _amin(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    with mode:
        return -(-z).amax(*args, **kwargs)


@rule("max")
def _max(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    dim = kwargs.get("dim", args[0] if args else None)
    with mode:
        if dim is None:
            return z.amax()
        if isinstance(dim, Tensor) or "other" in kwargs:
            return torch.maximum(z, kwargs.get("other", dim))
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    return torch.return_types.max(_max_along(mode, z, dim, keepdim))


@rule("min")
def _min(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    with mode:
        if isinstance(kwargs.get("other", args[0] if args else None), Tensor):
            return torch.minimum(z, *args, **kwargs)
        largest = torch.max(-z, *args, **kwargs)
        if isinstance(largest, Tensor):
            return -largest
        return torch.return_types.min((-largest[0], largest[1]))


def _max_along(mode: SecantMode, z: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, Tensor]:
    with mode:
        last = z.movedim(dim, -1)
    value, index = last.detach().max(dim=-1, keepdim=True)
    result = _from_two(mode, last, value, index, last.ndim - 1)
    index = index_of(mode, z, index.movedim(-1, dim), True, dim)
    with mode:
        result = result.movedim(-1, dim)
        return (result, index) if keepdim else (result.squeeze(dim), index.squeeze(dim))


@rule("maximum", "fmax")
def _maximum(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Any:
    """max(u, v) = v + relu(u − v)."""
    with mode:
        return v + torch.relu(u - v)


@rule("minimum", "fmin")
def _minimum(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Any:
    """min(u, v) = v − relu(v − u)."""
    with mode:
        return v - torch.relu(v - u)
