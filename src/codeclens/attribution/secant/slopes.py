"""Secant slopes in closed form: (φ(z) − φ(z0)) / (z − z0) from a tensor at two nodes.

Each is exact to rounding at any difference, and the derivative where the difference is 0. They are
evaluated in the backward pass, one piece at a time that fits a processor's cache: from the forward
pass only the tensors at the two nodes are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# Elements of a piece: all temporary tensors of one piece together fit into a level-2 cache.
PIECE = 2**15
# Added to a difference, so that 0/0 becomes the limit; it changes no difference that matters.
NUDGE = 1e-30

Slope = Callable[..., Tensor]
# Writes the gradient at an input, from that at the value and from what was kept of both nodes.
Into = Callable[..., None]
Bound = float | Tensor


def in_pieces(into: Into, *given: Tensor) -> Tensor:
    """A new tensor that `into(out, *given)` writes elementwise, piece by piece.

    The tensors have one shape; half precision is computed in single.
    """
    like = given[-1]
    if not all(_same_layout(t, like) for t in given):
        given = tuple(t.contiguous() for t in given)
    result = torch.empty_like(given[-1])
    out, *flat = (t.as_strided((t.numel(),), (1,)) for t in (result, *given))
    _write(into, out, flat, PIECE)
    return result


def in_rows(into: Into, *given: Tensor) -> Tensor:
    """A new tensor like the first that `into(out, *given)` writes some rows at a time.

    A row is the last axis; what has one number a row may be among the tensors.
    """
    length = given[0].shape[-1]
    result = torch.empty_like(given[0], memory_format=torch.contiguous_format)
    out, *flat = (t.reshape(-1, t.shape[-1]) for t in (result, *given))
    _write(into, out, flat, max(1, PIECE // max(1, length)))
    return result


def _write(into: Into, out: Tensor, given: list[Tensor], size: int) -> None:
    if out.dtype.itemsize < 4:
        whole = torch.empty_like(out, dtype=torch.float32)
        into(whole, *(t.float() for t in given))
        out.copy_(whole)
    elif out.device.type != "cpu" or len(out) <= size:
        into(out, *given)
    else:
        for piece in zip(*(t.split(size) for t in (out, *given)), strict=True):
            into(*piece)


def _same_layout(tensor: Tensor, like: Tensor) -> bool:
    """Whether both lie in memory alike and without gaps."""
    if tensor.stride() != like.stride():
        return False
    return tensor.is_contiguous() or (
        tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def of_relu(z0: Tensor, z: Tensor) -> Tensor:
    """1 or 0 where both have one sign, else the share of the way above zero."""
    width = (z - z0).abs_().add_(torch.finfo(z.dtype).tiny)
    return torch.maximum(z0, z).div_(width).clamp_(0, 1)


def of_clamp(z0: Tensor, z: Tensor, low: Bound | None, high: Bound | None) -> Tensor:
    """The share of the way between the bounds."""
    top, bottom = torch.maximum(z0, z), torch.minimum(z0, z)
    width = (top - bottom).add_(torch.finfo(z.dtype).tiny)
    within: Tensor | None = None
    if low is not None:
        within = top if _is_zero(low) else top.sub_(low)
    if high is not None:
        below = torch.rsub(bottom, high)
        within = below if within is None else torch.minimum(within, below, out=within)
    assert within is not None, "there is a bound"
    if low is not None and high is not None:
        # Where the way crosses both bounds; of bounds in the wrong order the upper one counts.
        gap: Any = high - low
        within = within.minimum(gap) if isinstance(gap, Tensor) else within.clamp_(max=gap)
    return within.div_(width).clamp_(0, 1)


def _is_zero(bound: Bound) -> bool:
    return not isinstance(bound, Tensor) and bound == 0


def of_leaky_relu(z0: Tensor, z: Tensor, below: Bound) -> Tensor:
    gate = of_relu(z0, z)
    return gate.mul_(1 - below).add_(below)


def of_abs(z0: Tensor, z: Tensor) -> Tensor:
    """(z + z0) / (|z| + |z0|): a sign where both have the same."""
    return (z0 + z).div_(z0.abs().add_(z.abs()).add_(torch.finfo(z.dtype).tiny))


def of_hardswish(z0: Tensor, z: Tensor) -> Tensor:
    """z h with h = clamp(z / 6 + ½, 0, 1): the mean of h and that of z times the slope of h."""
    mean = (z0 + 3).clamp_(0, 6).add_((z + 3).clamp_(0, 6))
    return mean.addcmul_(z0 + z, of_clamp(z0, z, -3.0, 3.0)).div_(12)


def tanh_ratio(h: Tensor) -> Tensor:
    """tanh(h) / h of numbers that are not 0."""
    return torch.tanh(h).div_(h)


def of_sigmoid(y0: Tensor, y: Tensor, z0: Tensor, z: Tensor) -> Tensor:
    """½ tanh(h) / h · (y (1 − y0) + y0 (1 − y)) with h = d / 2 and y the sigmoid of z."""
    half = (z - z0).mul_(0.5).add_(NUDGE)
    return (y0 + y).mul_(0.5).addcmul_(y0, y, value=-1).mul_(tanh_ratio(half))


def of_tanh(y0: Tensor, y: Tensor, z0: Tensor, z: Tensor) -> Tensor:
    """tanh(d) / d · (1 − y y0) with y = tanh z."""
    return torch.rsub(y0 * y, 1).mul_(tanh_ratio((z - z0).add_(NUDGE)))


def of_exp(y0: Tensor, y: Tensor, z0: Tensor, z: Tensor) -> Tensor:
    """The logarithmic mean of y = exp z: ½ (y + y0) tanh(h) / h with h = d / 2."""
    half = (z - z0).nan_to_num_(0.0).mul_(0.5).add_(NUDGE)
    return tanh_ratio(half).mul_(y0 + y).mul_(0.5)


def of_elu(z0: Tensor, z: Tensor, alpha: float, scale: float = 1.0, rate: float = 1.0) -> Tensor:
    """scale · (z above 0, α (exp(rate z) − 1) below): each for its share of the way."""
    n0, n = (t.clamp(max=0).mul_(rate) for t in (z0, z))
    below = of_exp(n0.exp(), n.exp(), n0, n).mul_(alpha * rate)
    gate = of_relu(z0, z)
    return below.lerp_(torch.ones_like(gate), gate).mul_(scale)


def of_log(y0: Tensor, y: Tensor, z0: Tensor, z: Tensor, offset: float = 0.0) -> Tensor:
    """Of y = log(offset + z): 2 atanh(x) / d with x = d / (z + z0), or of distant nodes Δy / d."""
    change, total = z - z0, (z + z0).add_(2 * offset)
    x = (change / total).add_(NUDGE)
    near = torch.atanh(x).div_(x).div_(total).mul_(2)
    far = (y - y0).div_(change).nan_to_num_(0.0, torch.inf, -torch.inf)
    return torch.where(x.abs_() < 0.3, near, far)


def of_sin(z0: Tensor, z: Tensor, shift: float = 0.0) -> Tensor:
    """Of sin(z + shift): cos(middle + shift) sin(d / 2) / (d / 2)."""
    half = (z - z0).div_(2).add_(NUDGE)
    middle = (z + z0).div_(2).add_(shift).cos_()
    return middle.mul_(half.sin().div_(half))


def of_atan(z0: Tensor, z: Tensor) -> Tensor:
    """The angle between (1, z0) and (1, z), over d."""
    change = (z - z0).add_(NUDGE)
    return torch.atan2(change, (z * z0).add_(1)).div_(change)


def of_whole_power(z0: Tensor, z: Tensor, exponent: int) -> Tensor:
    """z^(n−1) + z^(n−2) z0 + … + z0^(n−1)."""
    total, power = torch.ones_like(z), torch.ones_like(z)
    for _ in range(exponent - 1):
        power.mul_(z0)
        total.mul_(z).add_(power)
    return total


def of_jumps(y0: Tensor, y: Tensor, z0: Tensor, z: Tensor, derivative: Any) -> Tensor:
    """Of a function made of straight pieces that may jump: Δy / d, or where d is 0 its slope."""
    change = z - z0
    slope = derivative(z) if callable(derivative) else derivative
    return torch.where(change == 0, slope, (y - y0).div_(change))


def smooth(derivative: Callable[[Tensor, Tensor], Tensor], scale: float = 1.0) -> Into:
    """What writes g · slope of a smooth function: Δy / d, or of a small d the derivative halfway.

    `derivative(g, z)` gives g φ'(z). A difference is small where rounding harms the quotient more
    than the curvature of the function, which bends within `scale`, harms the derivative. Up to
    there the two are blended: a choice for each element would take a processor far longer.
    """

    def into(out: Tensor, g: Tensor, y0: Tensor, y: Tensor, z0: Tensor, z: Tensor) -> None:
        change = (z - z0).add_(NUDGE)
        far = (y - y0).div_(change).mul_(g)
        near = derivative(g, (z + z0).div_(2))
        little = scale * torch.finfo(z.dtype).eps ** (1 / 3)
        weight = change.div_(little).square_().clamp_(max=1)
        torch.lerp(near, far, weight, out=out)

    return into
