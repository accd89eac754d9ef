"""Secants of products: each factor's change is multiplied by the mean of the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.secant.mode import SecantMode, rule, unfinished, with_gradient

Func = Callable[..., Any]


def _steady(value: Any) -> bool:
    """Whether a factor is the same at every node: a number or one of the model's parameters."""
    return not isinstance(value, Tensor) or isinstance(value, nn.Parameter)


def _to_shape(gradient: Tensor, like: Tensor) -> Tensor | None:
    """Sum a gradient over the axes along which an input was broadcast."""
    return gradient.sum_to_size(like.shape) if like.requires_grad else None


@rule("mul")
def _mul(mode: SecantMode, func: Func, u: Any, v: Any) -> Any:
    """Δ(uv) = ū Δv + v̄ Δu."""
    if _steady(u) or _steady(v):
        return torch.mul(u, v)
    value = u.detach() * v.detach()
    before = mode.remember(u, v)
    if before is None:
        return unfinished(value, u, v)
    mean_u, mean_v = mean(before[0], u), mean(before[1], v)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        return _to_shape(g * mean_v, u), _to_shape(g * mean_u, v)

    return with_gradient(value, pullback, u, v)


@rule("div")
def _div(mode: SecantMode, func: Func, u: Any, v: Any, **kwargs: Any) -> Any:
    """Δ(u/v) = Δu · mean(1/v) − ū Δv / (v0 v1)."""
    if kwargs.get("rounding_mode"):
        mode.uncovered.add("div with rounding")
        return torch.div(u, v, **kwargs)
    if _steady(v):
        return torch.div(u, v)
    with mode:
        return u * v.reciprocal()


@rule("rdiv")
def _rdiv(mode: SecantMode, func: Func, v: Tensor, u: Any) -> Any:
    with mode:
        return v.reciprocal() * u


@rule("rpow")
def _rpow(mode: SecantMode, func: Func, exponent: Tensor, base: float) -> Any:
    with mode:
        return (exponent * math.log(base)).exp()


def mean(before: Tensor, now: Tensor) -> Tensor:
    return (before + now.detach()).div_(2)


@rule("matmul", "einsum_pair")
def _matmul(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Tensor:
    return _bilinear(mode, torch.matmul, u, v)


@rule("rmatmul")
def _rmatmul(mode: SecantMode, func: Func, v: Tensor, u: Tensor) -> Tensor:
    return _bilinear(mode, torch.matmul, u, v)


@rule("einsum")
def _einsum(mode: SecantMode, func: Func, equation: str, *operands: Any) -> Any:
    given = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    )
    if len(given) == 2:
        return _bilinear(mode, lambda u, v: torch.einsum(equation, u, v), *given)
    if len(given) > 2:
        mode.uncovered.add("einsum of more than two tensors")
    return torch.einsum(equation, *given)


@rule("baddbmm", "addmm", "addbmm")
def _baddbmm(
    mode: SecantMode,
    func: Func,
    bias: Tensor,
    u: Tensor,
    v: Tensor,
    *,
    beta: Any = 1,
    alpha: Any = 1,
) -> Any:
    with mode:
        product = torch.matmul(u, v)
        product = product.sum(dim=0) if func.__name__ == "addbmm" else product
        return product * alpha if beta == 0 else bias * beta + product * alpha


def _bilinear(mode: SecantMode, product: Func, u: Tensor, v: Tensor) -> Tensor:
    """Δ f(u, v) = f(ū, Δv) + f(Δu, v̄) for any f that is linear in each of its two arguments."""
    if _steady(u) or _steady(v):
        result: Tensor = product(u, v)
        return result
    value = product(u.detach(), v.detach())
    before = mode.remember(u, v)
    if before is None:
        return unfinished(value, u, v)
    means = mean(before[0], u), mean(before[1], v)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            inputs = [m.requires_grad_(t.requires_grad) for m, t in zip(means, (u, v), strict=True)]
            wanted = [m for m in inputs if m.requires_grad]
            found = iter(torch.autograd.grad(product(*inputs), wanted, g))
        return tuple(next(found) if m.requires_grad else None for m in inputs)

    return with_gradient(value, pullback, u, v)


@rule("addcmul")
def _addcmul(
    mode: SecantMode, func: Func, bias: Tensor, u: Tensor, v: Tensor, *, value: float = 1
) -> Any:
    with mode:
        return bias + u * v * value


@rule("addcdiv")
def _addcdiv(
    mode: SecantMode, func: Func, bias: Tensor, u: Tensor, v: Tensor, *, value: float = 1
) -> Any:
    with mode:
        return bias + u / v * value


@rule("lerp")
def _lerp(mode: SecantMode, func: Func, start: Tensor, end: Tensor, weight: Any) -> Any:
    with mode:
        return start + (end - start) * weight


@rule("glu")
def _glu(mode: SecantMode, func: Func, z: Tensor, dim: int = -1) -> Any:
    with mode:
        value, gate = z.chunk(2, dim)
        return value * gate.sigmoid()
