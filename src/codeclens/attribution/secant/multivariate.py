"""Secants of functions of two arguments, of reductions other than sums, and of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant.mode import (
    COMPLEX,
    RULES,
    SecantMode,
    rule,
    unfinished,
    with_gradient,
)

Func = Callable[..., Any]


@rule("logaddexp")
def _logaddexp(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Any:
    with mode:
        return torch.stack(torch.broadcast_tensors(u, v), dim=-1).logsumexp(-1)


@rule("logaddexp2")
def _logaddexp2(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Any:
    with mode:
        return torch.logaddexp(u * math.log(2), v * math.log(2)) / math.log(2)


@rule("logcumsumexp")
def _logcumsumexp(mode: SecantMode, func: Func, z: Tensor, dim: int) -> Any:
    """A log-sum-exp of all places up to each; takes memory for the square of the axis."""
    with mode:
        last = z.movedim(dim, -1)
        later = torch.ones(last.shape[-1], last.shape[-1], device=z.device).triu(1).bool()
        up_to = last[..., None, :].masked_fill(later, -math.inf)
        return up_to.logsumexp(-1).movedim(-1, dim)


@rule("hypot")
def _hypot(mode: SecantMode, func: Func, u: Tensor, v: Tensor) -> Any:
    with mode:
        return (u * u + v * v).sqrt()


@rule("atan2", "arctan2")
def _atan2(mode: SecantMode, func: Func, y: Tensor, x: Tensor) -> Tensor:
    """Δθ = J (x̄ Δy − ȳ Δx), J the mean of 1 / r² on the straight line between the nodes.

    With c = x0 y1 − y0 x1, which is the bracket, and d = x0 x1 + y0 y1 the angle between the nodes
    is atan2(c, d) = c J. Where the line crosses the jump from π to −π, J takes that as well.
    """
    y, x = torch.broadcast_tensors(y, x)
    value = torch.atan2(y.detach(), x.detach())
    kept = mode.between(value, y, x)
    if kept is None:
        return unfinished(value, y, x)
    (angle0, angle1), (y0, y1), (x0, x1) = kept

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        cross, dot = x0 * y1 - y0 * x1, x0 * x1 + y0 * y1
        turned, direct = angle1 - angle0, torch.atan2(cross, dot)
        turned = torch.where((turned - direct).abs() > 1, turned, direct)
        still = cross.abs() <= torch.finfo(cross.dtype).eps * dot.abs()
        mean = torch.where(still, 1 / dot, turned / cross).nan_to_num_(0.0, 0.0, 0.0) * g / 2
        return mean * (x0 + x1), -mean * (y0 + y1)

    return with_gradient(value, pullback, y, x)


@rule("angle")
def _angle(mode: SecantMode, func: Func, z: Tensor) -> Any:
    if not z.is_complex():
        return RULES["sign"](mode, func, z)  # 0 or π: a step as well
    with mode:
        return torch.atan2(z.imag, z.real)


COMPLEX.add("angle")


@rule("xlogy", "special_xlogy")
def _xlogy(mode: SecantMode, func: Func, u: Any, v: Any) -> Any:
    with mode:
        return u * (v.log() if isinstance(v, Tensor) else math.log(v))


@rule("prod")
def _prod(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Each factor changes in its turn, once from the first on and once from the last; the mean."""
    dim = kwargs.get("dim", args[0] if args else None)
    if dim is None:
        with mode:
            return z.flatten().prod(0)
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    value = z.detach().prod(dim, keepdim=keepdim)
    kept = mode.between(z)
    if kept is None:
        return unfinished(value, z)
    ((z0, z1),) = kept

    def pullback(g: Tensor) -> tuple[Tensor]:
        orders = [
            _before(a, dim) * _before(b.flip(dim), dim).flip(dim) for a, b in ((z0, z1), (z1, z0))
        ]
        return ((g if keepdim else g.unsqueeze(dim)) * (orders[0] + orders[1]) / 2,)

    return with_gradient(value, pullback, z)


def _before(z: Tensor, dim: int) -> Tensor:
    """The product of all entries before each along an axis."""
    ones = torch.ones_like(z.narrow(dim, 0, 1))
    return torch.cat([ones, z.narrow(dim, 0, z.shape[dim] - 1)], dim).cumprod(dim)


@rule("cumprod")
def _cumprod(mode: SecantMode, func: Func, z: Tensor, dim: int, **_: Any) -> Tensor:
    """Each product is the one before times the next factor: the mean of the other, step by step."""
    value = z.detach().cumprod(dim)
    kept = mode.between(z, value)
    if kept is None:
        return unfinished(value, z)
    (z0, z1), (y0, y1) = ([t.movedim(dim, 0) for t in pair] for pair in kept)

    def pullback(g: Tensor) -> tuple[Tensor]:
        g = g.movedim(dim, 0)
        at_z, at_y = torch.empty_like(z1), torch.zeros_like(z1[0])
        for place in range(len(z1) - 1, -1, -1):
            at_y = at_y + g[place]
            before = (y0[place - 1] + y1[place - 1]) / 2 if place else torch.ones_like(at_y)
            at_z[place] = at_y * before
            at_y = at_y * (z0[place] + z1[place]) / 2
        return (at_z.movedim(0, dim),)

    return with_gradient(value, pullback, z)


@rule("cdist")
def _cdist(
    mode: SecantMode, func: Func, u: Tensor, v: Tensor, p: float = 2.0, *_: Any, **__: Any
) -> Any:
    with mode:
        return torch.linalg.vector_norm(u[..., :, None, :] - v[..., None, :, :], p, dim=-1)


@rule("pdist")
def _pdist(mode: SecantMode, func: Func, z: Tensor, p: float = 2.0) -> Any:
    first, second = torch.triu_indices(len(z), len(z), 1, device=z.device)
    with mode:
        return torch.linalg.vector_norm(z[first] - z[second], p, dim=-1)


@rule("pairwise_distance")
def _pairwise_distance(
    mode: SecantMode,
    func: Func,
    u: Tensor,
    v: Tensor,
    p: float = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Any:
    with mode:
        return torch.linalg.vector_norm(u - v + eps, p, dim=-1, keepdim=keepdim)


@rule("norm", "linalg_vector_norm", "vector_norm")
def _norm(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    p: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    **given: Any,
) -> Any:
    """Norms of vectors of any order but 0, which counts."""
    p = given.get("ord", p)
    p = 2 if p is None or p == "fro" else p
    if isinstance(p, str) or p == 0:
        mode.uncovered.add(f"norm of order {p}")
        return func(z, p, dim, keepdim)
    with mode:
        if dim is None:
            flat = torch.linalg.vector_norm(z.flatten(), p, dim=0)
            return flat.reshape([1] * z.ndim) if keepdim else flat
        if p == 2:
            return z.square().sum(dim, keepdim=keepdim).sqrt()
        size = z.abs()
        if math.isinf(p):
            return size.amax(dim, keepdim) if p > 0 else size.amin(dim, keepdim)
        if p == 1:
            return size.sum(dim, keepdim=keepdim)
        return size.pow(p).sum(dim, keepdim=keepdim).pow(1 / p)


@rule("linalg_norm")
def _linalg_norm(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    **_: Any,
) -> Any:
    dims = dim if dim is not None or ord is None else tuple(range(-z.ndim, 0))
    with mode:
        if dims is None or isinstance(dims, int) or len(dims) == 1:
            return torch.linalg.vector_norm(z, 2 if ord is None else ord, dims, keepdim)
        return torch.linalg.matrix_norm(z, "fro" if ord is None else ord, dims, keepdim)


@rule("linalg_matrix_norm")
def _matrix_norm(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    **_: Any,
) -> Any:
    """The largest sum of an axis, or of all squares; singular values have no rule."""
    if ord not in ("fro", 1, -1, math.inf, -math.inf):
        mode.uncovered.add(f"matrix norm of order {ord}")
        return func(z, ord, dim, keepdim)
    rows, columns = dim
    with mode:
        if ord == "fro":
            return torch.linalg.vector_norm(z, 2, dim, keepdim)
        along, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = z.abs().sum(along, keepdim=True)
        found = sums.amax(over, True) if ord > 0 else sums.amin(over, True)
        return found if keepdim else found.squeeze((rows, columns))


@rule("inverse", "linalg_inv")
def _inverse(mode: SecantMode, func: Func, matrix: Tensor) -> Tensor:
    """ΔX = −½ (X1 ΔA X0 + X0 ΔA X1) with X = A⁻¹."""
    value = torch.linalg.inv(matrix.detach())
    kept = mode.between(value)
    if kept is None:
        return unfinished(value, matrix)
    ((x0, x1),) = kept
    return with_gradient(value, lambda g: ((x1.mT @ g @ x0.mT + x0.mT @ g @ x1.mT) / -2,), matrix)


@rule("linalg_solve")
def _solve(mode: SecantMode, func: Func, matrix: Tensor, right: Tensor, **kwargs: Any) -> Any:
    """ΔX = ½ (A1⁻¹ (ΔB − ΔA X0) + A0⁻¹ (ΔB − ΔA X1)) with X = A⁻¹ B."""
    if not kwargs.get("left", True):
        with mode:
            return torch.linalg.solve(matrix.mT, right.mT).mT
    single = right.ndim == 1 or right.shape == matrix.shape[:-1]
    if single:
        with mode:
            return torch.linalg.solve(matrix, right[..., None])[..., 0]
    matrix, right = (
        t.expand(*torch.broadcast_shapes(matrix.shape[:-2], right.shape[:-2]), *t.shape[-2:])
        for t in (matrix, right)
    )
    value: Tensor = torch.linalg.solve(matrix.detach(), right.detach())
    kept = mode.between(matrix, value)
    if kept is None:
        return unfinished(value, matrix, right)
    (a0, a1), (x0, x1) = kept

    def pullback(g: Tensor) -> tuple[Tensor, Tensor]:
        at_0, at_1 = (torch.linalg.solve(a.mT, g / 2) for a in (a0, a1))
        return -(at_1 @ x0.mT + at_0 @ x1.mT), at_0 + at_1

    return with_gradient(value, pullback, matrix, right)
