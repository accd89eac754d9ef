"""Secants of products: each factor's change is multiplied by the mean of the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.secant.mode import (
    COMPLEX,
    RULES,
    SecantMode,
    choosing,
    rule,
    unfinished,
    with_gradient,
)
from codeclens.attribution.secant.slopes import in_pieces

Func = Callable[..., Any]

COMPLEX.update(("mul", "div", "rdiv", "matmul", "rmatmul", "einsum", "tensordot", "mv", "inner"))


def _steady(value: Any) -> bool:
    """Whether a factor is the same at every node: a number or one of the model's parameters."""
    return not isinstance(value, Tensor) or isinstance(value, nn.Parameter)


def _partners(mode: SecantMode, u: Tensor, v: Tensor, kind: torch.dtype) -> list[Any] | None:
    """For each factor that is on the way the mean of the other over both nodes; None at the first.

    Only these are remembered: a mask or a table of angles that one factor is multiplied by, and not
    that factor.
    """
    wanted = [(v, u.requires_grad), (u, v.requires_grad)]
    before = mode.remember(*(partner for partner, needed in wanted if needed))
    if before is None:
        return None
    earlier = iter(before)
    return [mean(next(earlier), t, kind) if needed else None for t, needed in wanted]


def mean(before: Tensor, now: Tensor, kind: torch.dtype) -> Tensor:
    """The mean of a factor at both nodes, of truth values and whole numbers in the type `kind`."""
    if not (now.is_floating_point() or now.is_complex()):
        before, now = before.to(kind), now.to(kind)
    return (before + now.detach()).div_(2)


def _to_shape(gradient: Tensor, like: Tensor) -> Tensor:
    """Sum a gradient over the axes along which an input was broadcast."""
    if gradient.is_complex() and not like.is_complex():
        gradient = gradient.real
    return gradient.sum_to_size(like.shape)


@choosing("mul")
@rule("mul")
def _mul(mode: SecantMode, func: Func, u: Any, v: Any) -> Any:
    """Δ(uv) = ū Δv + v̄ Δu; truth values as the steps that they are."""
    if all(isinstance(t, Tensor) and t.dtype == torch.bool for t in (u, v)):
        return RULES["logical_and"](mode, torch.logical_and, u, v)
    u, v = (mode.steps.get(t, t) if isinstance(t, Tensor) else t for t in (u, v))
    if _steady(u) or _steady(v):
        return torch.mul(u, v)
    value = u.detach() * v.detach()
    kept = mode.between(*(t for t, other in ((v, u), (u, v)) if other.requires_grad))
    if kept is None:
        return unfinished(value, u, v)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        pairs = iter(kept)
        return tuple(_times_mean(g, *next(pairs), t) if t.requires_grad else None for t in (u, v))

    return with_gradient(value, pullback, u, v)


def _times_mean(g: Tensor, before: Tensor, now: Tensor, like: Tensor) -> Tensor:
    """The gradient at one factor, by the mean of the other at both nodes."""
    if g.shape == now.shape == like.shape and now.dtype == g.dtype and not g.is_complex():
        return in_pieces(_mean_into, g, before, now)
    return _to_shape(g * mean(before, now, g.dtype).conj(), like)


def _mean_into(out: Tensor, g: Tensor, before: Tensor, now: Tensor) -> None:
    torch.mul((before + now).div_(2), g, out=out)


@rule("div")
def _div(mode: SecantMode, func: Func, u: Any, v: Any, **kwargs: Any) -> Any:
    """Δ(u/v) = Δu · mean(1/v) − ū Δv / (v0 v1)."""
    rounding = kwargs.get("rounding_mode")
    if rounding is not None:
        with mode:
            return (u / v).floor() if rounding == "floor" else (u / v).trunc()
    if _steady(v):
        return torch.div(u, v)
    real = isinstance(u, Tensor) and not (u.is_complex() or v.is_complex())
    if v.requires_grad and real:
        return _quotient(mode, u, v)
    with mode:
        return u * _counted(v, u).reciprocal()


def _quotient(mode: SecantMode, u: Tensor, v: Tensor) -> Tensor:
    """Δ(u/v) = r̃ Δu + ũ Δr with r = 1/v and Δr = −r0 r1 Δv; the means as `balance` weighs them."""
    r = v.detach().reciprocal()
    value = u.detach() / v.detach()
    before = mode.remember(u.to(value.dtype), r)
    if before is None:
        return unfinished(value, u, v)
    weight = balance(before[1], r)
    mean_r = torch.lerp(before[1], r, weight)
    # As exact in 1 − w as in w, which may be as close to 1 as a number can be.
    at_v = torch.lerp(u.detach().to(value.dtype), before[0], weight) * (-before[1] * r)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        at_u = _to_shape(g * mean_r, u) if u.requires_grad else None
        return at_u, _to_shape(g * at_v, v)

    return with_gradient(value, pullback, u, v)


def balance(r0: Tensor, r: Tensor) -> Tensor:
    """The w of (1 − w) r0 + w r: half, or what keeps it within 1½ times the smaller of both.

    Where a sample of the baseline is flat, its r0 is ε^−½: with the plain mean the two parts of the
    change of a product with r would cancel at a thousand times their sum, in every layer once more.
    """
    small, large = torch.minimum(r0.abs(), r.abs()), torch.maximum(r0.abs(), r.abs())
    capped = (1.5 * small - r0.abs()) / (r.abs() - r0.abs())
    return torch.where((large > 2 * small) & (r0 * r > 0), capped, 0.5)


def _counted(divisor: Tensor, u: Any) -> Tensor:
    """A divisor of whole numbers in the precision of what it divides."""
    if divisor.is_floating_point() or divisor.is_complex() or not isinstance(u, Tensor):
        return divisor
    return divisor.to(u.dtype)


@rule("floor_divide")
def _floor_divide(mode: SecantMode, func: Func, u: Any, v: Any) -> Any:
    with mode:
        return (u / v).floor()


@rule("remainder")
def _remainder(mode: SecantMode, func: Func, u: Any, v: Any) -> Any:
    with mode:
        return u - v * (u / v).floor()


@rule("rdiv")
def _rdiv(mode: SecantMode, func: Func, v: Tensor, u: Any) -> Any:
    with mode:
        return v.reciprocal() * u


@rule("rpow")
def _rpow(mode: SecantMode, func: Func, exponent: Tensor, base: float) -> Any:
    with mode:
        return (exponent * math.log(base)).exp()


@rule("matmul", "einsum_pair")
def _matmul(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Tensor:
    if u.ndim < 2 or v.ndim < 2 or _steady(u) or _steady(v):
        return _bilinear(mode, torch.matmul, u, v)
    value: Tensor = u.detach() @ v.detach()
    kept = mode.between(*(t for t, other in ((v, u), (u, v)) if other.requires_grad))
    if kept is None:
        return unfinished(value, u, v)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        means = iter(kept)
        g = g / 2
        at_u = _to_shape(g @ torch.add(*next(means)).mH, u) if u.requires_grad else None
        at_v = _to_shape(torch.add(*next(means)).mH @ g, v) if v.requires_grad else None
        return at_u, at_v

    return with_gradient(value, pullback, u, v)


@rule("rmatmul")
def _rmatmul(mode: SecantMode, func: Func, v: Tensor, u: Tensor) -> Tensor:
    product: Tensor = _matmul(mode, func, u, v)
    return product


@rule("mv", "dot", "vdot", "inner", "outer", "ger", "kron")
def _other_products(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Tensor:
    return _bilinear(mode, func, u, v)


@rule("tensordot")
def _tensordot(mode: SecantMode, func: Func, u: Tensor, v: Tensor, dims: Any = 2, **_: Any) -> Any:
    return _bilinear(mode, lambda u, v: torch.tensordot(u, v, dims), u, v)


@rule("linear")
def _linear(
    mode: SecantMode, func: Func, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Linear as it is, unless the weight is computed: then a product."""
    if not weight.requires_grad:
        plain: Tensor = func(x, weight, bias)
        return plain
    product = _bilinear(mode, func, x, weight)
    return product if bias is None else product + bias


@rule("conv1d", "conv2d", "conv3d")
@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _convolution(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    if not weight.requires_grad:
        plain: Tensor = func(x, weight, bias, *args, **kwargs)
        return plain
    product = _bilinear(mode, lambda x, w: func(x, w, None, *args, **kwargs), x, weight)
    return product if bias is None else product + bias.reshape(-1, *[1] * (weight.ndim - 2))


@rule("grouped_mm", "_grouped_mm")
def _grouped_mm(mode: SecantMode, func: Func, x: Tensor, weight: Tensor, **kwargs: Any) -> Tensor:
    """Each group of rows times a matrix of its own; `offs` are the ends of the groups."""
    return _bilinear(mode, lambda x, w: func(x, w, **kwargs), x, weight)


@rule("bilinear")
def _bilinear_layer(
    mode: SecantMode, func: Func, u: Tensor, v: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    product = _multilinear(mode, torch.bilinear, u, v, weight)
    return product if bias is None else product + bias


@rule("grid_sample", "grid_sampler")
def _grid_sample(
    mode: SecantMode, func: Func, x: Tensor, grid: Tensor, /, *args: Any, **kw: Any
) -> Any:
    """Linear in the image; the coordinates of a place change in their turns, in both orders."""
    if not grid.requires_grad:
        return func(x, grid, *args, **kw)

    def sample(image: Tensor, places: Tensor) -> Tensor:
        found: Tensor = func(image, places, *args, **kw)
        return found

    value = sample(x.detach(), grid.detach())
    kept = mode.between(x, grid)
    if kept is None:
        return unfinished(value, x, grid)
    (x0, x1), (p0, p1) = kept

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        at_x = None
        if x.requires_grad:
            first, last = (_gradients(sample, (x1, p), (True, False), g / 2)[0] for p in (p0, p1))
            at_x = None if first is None or last is None else first + last
        middle = (x0 + x1) / 2
        at_places = torch.zeros_like(p1)
        for axis in range(p1.shape[-1]):
            jump = torch.zeros_like(p1[..., axis])
            for first, last in ((p0, p1), (p1, p0)):
                # The axes before this one have changed already, in the other order those after it.
                places = torch.cat([last[..., :axis], first[..., axis:]], dim=-1)
                for end, sign in ((p1, 1), (p0, -1)):
                    places[..., axis] = end[..., axis]
                    jump += sign * (g * sample(middle, places)).sum(1)
            change = p1[..., axis] - p0[..., axis]
            at_places[..., axis] = torch.where(change == 0, 0.0, jump / (2 * change))
        return at_x, at_places

    return with_gradient(value, pullback, x, grid)


@rule("scatter")
def _scatter(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    if kwargs.get("reduce"):
        mode.uncovered.add(f"scatter with reduce={kwargs['reduce']!r}")
    return torch.scatter(z, *args, **kwargs)


@rule("einsum")
def _einsum(mode: SecantMode, func: Func, equation: Any, *operands: Any) -> Any:
    if not isinstance(equation, str):
        mode.uncovered.add("einsum of operands with lists of axes")
        return torch.einsum(equation, *operands)
    given = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    )
    if len(given) == 2:
        return _bilinear(mode, lambda u, v: torch.einsum(equation, u, v), *given)
    return _multilinear(mode, lambda *factors: torch.einsum(equation, *factors), *given)


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
    means = _partners(mode, u, v, value.dtype)
    if means is None:
        return unfinished(value, u, v)
    # The product is linear in a factor that is on the way: any value of it has the same gradient.
    factors = [t.detach() if m is None else m for t, m in zip((u, v), reversed(means), strict=True)]
    needed = [u.requires_grad, v.requires_grad]

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(product, factors, needed, g)

    return with_gradient(value, pullback, u, v)


def _multilinear(mode: SecantMode, product: Func, *factors: Tensor) -> Tensor:
    """Of several factors each changes in its turn, once from the first on and once from the last.

    Δ f(u, v, …) = f(Δu, v1, …) + f(u0, Δv, …) + … and the same from behind; their mean.
    """
    moving = [t.requires_grad or not _steady(t) for t in factors]
    if sum(moving) < 2:
        result: Tensor = product(*factors)
        return result
    now = [t.detach() for t in factors]
    value = product(*now)
    before = mode.remember(*now)
    if before is None:
        return unfinished(value, *factors)

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        found: list[Tensor | None] = [None] * len(now)
        for place, factor in enumerate(factors):
            if factor.requires_grad:
                only = [p == place for p in range(len(now))]
                orders = [[*a[:place], *b[place:]] for a, b in ((before, now), (now, before))]
                for order in orders:
                    (part,) = [t for t in _gradients(product, order, only, g / 2) if t is not None]
                    so_far = found[place]
                    found[place] = part if so_far is None else so_far + part
        return tuple(found)

    return with_gradient(value, pullback, *factors)


def _gradients(
    product: Func, factors: Sequence[Tensor], needed: Sequence[bool], g: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of a product at those of its factors that need one."""
    with torch.enable_grad():
        pairs = zip(factors, needed, strict=True)
        inputs = [t.detach().requires_grad_() if each else t.detach() for t, each in pairs]
        wanted = [t for t in inputs if t.requires_grad]
        found = iter(torch.autograd.grad(product(*inputs), wanted, g))
    return tuple(next(found) if each else None for each in needed)


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
