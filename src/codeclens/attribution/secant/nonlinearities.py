"""Secants of elementwise nonlinearities, and the door through which users add theirs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codeclens.attribution.secant.mode import (
    COMPLEX,
    RULES,
    SecantMode,
    rule,
    unfinished,
    with_gradient,
)

Func = Callable[..., Any]

# A change of the value that is no rounding where that of the input is.
_JUMP = 0.01


def elementwise(name: str, function: Func | None = None) -> None:
    """Register an elementwise nonlinearity by the name of its torch function or method.

    `function` computes it from the tensor and the other arguments; torch's own where none is
    given. Its secant slope needs nothing more.

    >>> elementwise("special_erfcx")
    """

    def secant(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        def call(t: Tensor) -> Tensor:
            result: Tensor = (function or func)(t, *args, **kwargs)
            return result

        with torch.no_grad():
            value = call(z)
        before = mode.remember(z, value)
        if before is None:
            return unfinished(value, z)
        # Bounds or slopes by channel have their places: they go with the whole tensor alone.
        placed = any(isinstance(a, Tensor) and a.ndim for a in (*args, *kwargs.values()))
        slope = _slope(call, before, (z.detach(), value), placed)
        return with_gradient(value, lambda g: (g * slope,), z)

    RULES[name] = secant


def _slope(
    call: Func, before: tuple[Tensor, ...], now: tuple[Tensor, ...], placed: bool = False
) -> Tensor:
    """(φ(z) − φ(z0)) / (z − z0); of small differences no further than φ' at the two ends.

    Without these bounds rounding would make slopes of any size; φ' alone would miss what a kink
    between the ends does to the sum.
    """
    (z0, value0), (z, value) = before, now
    change = z - z0
    slope = (value - value0).div_(change)
    little = torch.finfo(z.dtype).eps ** (1 / 3)
    small = change.abs_().lt_(little).bool()
    if not small.any():
        return slope

    def derivative(at: Tensor) -> Tensor:
        point = (at if placed else at[small]).detach().requires_grad_()
        with torch.enable_grad():
            found: Tensor = torch.autograd.grad(call(point).sum(), point)[0]
        return found[small] if placed else found

    quotient, ends = slope[small], (derivative(z0), derivative(z))
    # Torch's own derivatives are not exact to the last place.
    spare = little * torch.maximum(ends[0].abs(), ends[1].abs())
    bounded = quotient.clamp(torch.minimum(*ends) - spare, torch.maximum(*ends) + spare)
    # A jump is as steep as it is, and so is a root at 0, whose derivative is infinite.
    steep = ((value - value0)[small].abs() > _JUMP) | ~torch.isfinite(spare)
    bounded = torch.where(steep, quotient, bounded)
    # Where nothing changes there is no quotient, and where there is no derivative nothing to pass.
    middle = ((ends[0] + ends[1]) / 2).nan_to_num_(0.0, 0.0, 0.0)
    slope[small] = torch.where(quotient.isnan(), middle, bounded)
    return slope


for _name in (
    *("leaky_relu", "elu", "selu", "celu", "gelu", "silu", "hardswish", "hardsigmoid", "mish"),
    *("sigmoid", "tanh", "softplus", "softsign", "logsigmoid", "hardshrink", "softshrink"),
    *("tanhshrink", "threshold", "prelu", "rrelu", "exp", "expm1", "log", "log1p", "log2", "log10"),
    *("sin", "cos", "tan", "atan", "arctan", "erf", "erfc", "sinh", "cosh", "asinh", "clamp"),
    *("clamp_min", "clamp_max", "special_erf", "log_sigmoid", "nan_to_num", "exp2", "logit"),
    *("expit", "special_expit", "erfinv", "special_erfinv", "lgamma", "digamma", "sinc"),
    # Steps: their secant is what they jump by, where torch's derivative is 0 everywhere.
    *("sign", "sgn", "floor", "ceil", "round", "trunc", "frac"),
):
    elementwise(_name)
elementwise("relu6", lambda z: F.relu6(z))
elementwise("swish", F.silu)
elementwise("hardtanh")
elementwise("heaviside", lambda z, at_zero: torch.heaviside(z.detach(), at_zero) + 0 * z)
elementwise("magnitude", torch.abs)
_MAGNITUDE = RULES.pop("magnitude")
COMPLEX.update(("abs", "reciprocal"))


@rule("abs")
def _abs(mode: SecantMode, func: Func, z: Tensor) -> Any:
    if not z.is_complex():
        return _MAGNITUDE(mode, torch.abs, z)
    with mode:
        return torch.view_as_real(z).square().sum(-1).sqrt()


@rule("relu")
def _relu(mode: SecantMode, func: Func, z: Tensor, *_: Any, **__: Any) -> Tensor:
    before = mode.remember(z)
    value = torch.relu(z.detach())
    if before is None:
        return unfinished(value, z)
    slope = _gate(before[0], z.detach())
    return with_gradient(value, lambda g: (g * slope,), z)


def _gate(z0: Tensor, z: Tensor) -> Tensor:
    """The secant of relu: 1 or 0 where both have one sign, else the share of the way above zero."""
    width = (z - z0).abs_().add_(torch.finfo(z.dtype).tiny)
    return torch.maximum(z0, z).div_(width).clamp_(0, 1)


@rule("square")
def _square(mode: SecantMode, func: Func, z: Tensor) -> Tensor:
    before = mode.remember(z)
    value = z.detach().square()
    if before is None:
        return unfinished(value, z)
    total = before[0] + z.detach()
    return with_gradient(value, lambda g: (g * total,), z)


@rule("reciprocal")
def _reciprocal(mode: SecantMode, func: Func, z: Tensor) -> Tensor:
    value = z.detach().reciprocal()
    before = mode.remember(value)
    if before is None:
        return unfinished(value, z)
    slope = -(before[0] * value).conj()
    return with_gradient(value, lambda g: (g * slope,), z)


@rule("sqrt")
def _sqrt(mode: SecantMode, func: Func, z: Tensor) -> Tensor:
    value = z.detach().sqrt()
    before = mode.remember(value)
    if before is None:
        return unfinished(value, z)
    total = before[0] + value
    # Twice 0: nothing changes, and nothing may become 0/0 further back.
    total.masked_fill_(total == 0, torch.inf)
    return with_gradient(value, lambda g: (g / total,), z)


@rule("rsqrt")
def _rsqrt(mode: SecantMode, func: Func, z: Tensor) -> Tensor:
    value = z.detach().rsqrt()
    before = mode.remember(value)
    if before is None:
        return unfinished(value, z)
    slope = rsqrt_slope(before[0], value)
    return with_gradient(value, lambda g: (g * slope,), z)


def rsqrt_slope(r0: Tensor, r: Tensor) -> Tensor:
    """Δ(v^−½) / Δv = −(r0 r1)² / (r0 + r1) with r = v^−½."""
    return -(r0 * r).square() / (r0 + r)


@rule("pow")
def _pow(mode: SecantMode, func: Func, z: Any, exponent: Any) -> Any:
    simple: dict[float, Func] = {2: _square, 0.5: _sqrt, -1: _reciprocal, -0.5: _rsqrt}
    if isinstance(exponent, nn.Parameter):
        exponent = exponent.detach()
    if isinstance(exponent, Tensor) and exponent.requires_grad:
        if not isinstance(z, Tensor):
            with mode:
                return (exponent * math.log(z)).exp()
        mode.uncovered.add("pow with an exponent that is on the way")
        return torch.pow(z, exponent)
    if isinstance(exponent, Tensor):
        return _POWER(mode, torch.pow, z, exponent)
    if exponent == 1:
        return z
    if exponent in simple:
        return simple[exponent](mode, func, z)
    return _POWER(mode, torch.pow, z, exponent)


elementwise("power")
_POWER = RULES.pop("power")
