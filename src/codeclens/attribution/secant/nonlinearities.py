"""Secants of elementwise nonlinearities, and the registration of user-defined ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.secant import slopes
from codeclens.attribution.secant.mode import (
    AT_ONCE,
    COMPLEX,
    RULES,
    SecantMode,
    rule,
    unfinished,
    with_gradient,
)
from codeclens.attribution.secant.slopes import Into, in_pieces

Func = Callable[..., Any]
aten: Any = torch.ops.aten

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
    # The slope of a jump is not bounded, nor is that of a root at 0 (its derivative is infinite).
    steep = ((value - value0)[small].abs() > _JUMP) | ~torch.isfinite(spare)
    bounded = torch.where(steep, quotient, bounded)
    # Where nothing changes there is no quotient, and where there is no derivative nothing to pass.
    middle = ((ends[0] + ends[1]) / 2).nan_to_num_(0.0, 0.0, 0.0)
    slope[small] = torch.where(quotient.isnan(), middle, bounded)
    return slope


for _name in (
    *("rrelu", "softsign", "tan", "sinh", "cosh", "asinh", "nan_to_num", "exp2", "logit"),
    *("erfinv", "special_erfinv", "lgamma", "digamma", "sinc", "special_sinc", "special_entr"),
    *("special_i0", "special_i0e", "special_i1", "special_i1e", "i0", "special_ndtr"),
    *("special_log_ndtr", "special_ndtri", "special_gammaln", "special_psi", "fmod"),
):
    elementwise(_name)
elementwise("heaviside", lambda z, at_zero: torch.heaviside(z.detach(), at_zero) + 0 * z)


def _closed(*names: str, keep_value: bool = False) -> Callable[[Callable[..., Into]], None]:
    """Register nonlinearities whose secant has a closed form.

    What is decorated takes the settings of a call and gives what writes the gradient from that of
    the value and from z at both nodes, after the values at both where `keep_value`.
    """

    def register(made: Callable[..., Into]) -> None:
        def secant(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            value: Tensor = func(z.detach(), *args, **kwargs)
            kept = mode.between(value, z) if keep_value else mode.between(z)
            if kept is None:
                return unfinished(value, z)
            into, given = made(*args, **kwargs), [t for pair in kept for t in pair]
            return with_gradient(value, lambda g: (in_pieces(into, g, *given),), z)

        RULES.update(dict.fromkeys(names, secant))
        AT_ONCE.add(secant)

    return register


def _by_slope(slope: slopes.Slope, *settings: Any) -> Into:
    def into(out: Tensor, g: Tensor, *given: Tensor) -> None:
        torch.mul(slope(*given, *settings), g, out=out)

    return into


@_closed("relu")
def _relu() -> Into:
    return _by_slope(slopes.of_relu)


@_closed("relu6")
def _relu6() -> Into:
    return _by_slope(slopes.of_clamp, 0.0, 6.0)


@_closed("hardtanh")
def _hardtanh(min_val: float = -1.0, max_val: float = 1.0) -> Into:
    return _by_slope(slopes.of_clamp, min_val, max_val)


@_closed("leaky_relu")
def _leaky_relu(negative_slope: float = 0.01) -> Into:
    return _by_slope(slopes.of_leaky_relu, negative_slope)


@_closed("hardsigmoid")
def _hardsigmoid() -> Into:
    return _by_slope(lambda z0, z: slopes.of_clamp(z0, z, -3.0, 3.0).div_(6))


@_closed("hardswish")
def _hardswish() -> Into:
    return _by_slope(slopes.of_hardswish)


@_closed("softshrink")
def _softshrink(lambd: float = 0.5) -> Into:
    return _by_slope(lambda z0, z: slopes.of_clamp(z0, z, -lambd, lambd).neg_().add_(1))


@_closed("threshold", keep_value=True)
def _threshold(threshold: float, value: float) -> Into:
    return _by_slope(slopes.of_jumps, lambda z: z.gt(threshold).to(z))


@_closed("hardshrink", keep_value=True)
def _hardshrink(lambd: float = 0.5) -> Into:
    return _by_slope(slopes.of_jumps, lambda z: z.abs().gt(lambd).to(z))


@_closed(
    *("sign", "sgn", "floor", "ceil", "round", "trunc"),
    *("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"),
    keep_value=True,
)
def _steps(*_: Any, **__: Any) -> Into:
    """Their secant is what they jump by, where torch's derivative is 0 everywhere."""
    return _by_slope(slopes.of_jumps, 0.0)


@_closed("frac", keep_value=True)
def _frac() -> Into:
    return _by_slope(slopes.of_jumps, 1.0)


@_closed("elu")
def _elu(alpha: float = 1.0) -> Into:
    return _by_slope(slopes.of_elu, alpha)


@_closed("celu")
def _celu(alpha: float = 1.0) -> Into:
    return _by_slope(slopes.of_elu, alpha, 1.0, 1 / alpha)


@_closed("selu")
def _selu() -> Into:
    return _by_slope(slopes.of_elu, 1.6732632423543772, 1.0507009873554805)


@_closed("sigmoid", "expit", "special_expit", keep_value=True)
def _sigmoid() -> Into:
    return _by_slope(slopes.of_sigmoid)


@_closed("tanh", keep_value=True)
def _tanh() -> Into:
    return _by_slope(slopes.of_tanh)


@_closed("tanhshrink")
def _tanhshrink() -> Into:
    return _by_slope(lambda z0, z: slopes.of_tanh(z0.tanh(), z.tanh(), z0, z).neg_().add_(1))


@_closed("exp", keep_value=True)
def _exp() -> Into:
    return _by_slope(slopes.of_exp)


@_closed("expm1", "special_expm1")
def _expm1() -> Into:
    return _by_slope(lambda z0, z: slopes.of_exp(z0.exp(), z.exp(), z0, z))


@_closed("log", keep_value=True)
def _log() -> Into:
    return _by_slope(slopes.of_log)


@_closed("log1p", "special_log1p", keep_value=True)
def _log1p() -> Into:
    return _by_slope(slopes.of_log, 1.0)


@_closed("log2")
def _log2() -> Into:
    return _by_slope(lambda z0, z: slopes.of_log(z0.log(), z.log(), z0, z).div_(math.log(2)))


@_closed("log10")
def _log10() -> Into:
    return _by_slope(lambda z0, z: slopes.of_log(z0.log(), z.log(), z0, z).div_(math.log(10)))


@_closed("sin")
def _sin() -> Into:
    return _by_slope(slopes.of_sin)


@_closed("cos")
def _cos() -> Into:
    return _by_slope(slopes.of_sin, math.pi / 2)


@_closed("atan", "arctan")
def _atan() -> Into:
    return _by_slope(slopes.of_atan)


@_closed("gelu", keep_value=True)
def _gelu(approximate: str = "none") -> Into:
    return slopes.smooth(lambda g, z: aten.gelu_backward(g, z, approximate=approximate))


@_closed("silu", "swish", keep_value=True)
def _silu() -> Into:
    return slopes.smooth(aten.silu_backward)


@_closed("mish", keep_value=True)
def _mish() -> Into:
    return slopes.smooth(aten.mish_backward)


@_closed("softplus", keep_value=True)
def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Into:
    return slopes.smooth(lambda g, z: aten.softplus_backward(g, z, beta, threshold), 1 / beta)


@_closed("logsigmoid", "log_sigmoid", keep_value=True)
def _logsigmoid() -> Into:
    return slopes.smooth(lambda g, z: g * torch.sigmoid(-z))


@_closed("erf", "special_erf", keep_value=True)
def _erf() -> Into:
    return slopes.smooth(lambda g, z: g * z.square().neg_().exp_() * (2 / math.sqrt(math.pi)))


@_closed("erfc", "special_erfc", keep_value=True)
def _erfc() -> Into:
    return slopes.smooth(lambda g, z: g * z.square().neg_().exp_() * (-2 / math.sqrt(math.pi)))


@_closed("square")
def _square() -> Into:
    return _by_slope(torch.add)


@_closed("whole power")
def _whole_power(exponent: int) -> Into:
    return _by_slope(slopes.of_whole_power, int(exponent))


_WHOLE_POWER = RULES.pop("whole power")


@_closed("magnitude")
def _magnitude() -> Into:
    return _by_slope(slopes.of_abs)


_MAGNITUDE = RULES.pop("magnitude")
COMPLEX.update(("abs", "reciprocal"))


@rule("abs")
def _abs(mode: SecantMode, func: Func, z: Tensor) -> Any:
    if not z.is_complex():
        return _MAGNITUDE(mode, torch.abs, z)
    with mode:
        return torch.view_as_real(z).square().sum(-1).sqrt()


@rule("clamp", "clamp_min", "clamp_max")
def _clamp(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    low, high = (kwargs.get(key) for key in ("min", "max"))
    if args and func.__name__.rstrip("_").endswith("max"):
        (high,) = args
    elif args:
        low, high = (*args, high)[:2]
    kept = mode.between(z)
    value: Tensor = func(z.detach(), *args, **kwargs)
    if kept is None:
        return unfinished(value, z)
    ((z0, now),) = kept
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        # Bounds by channel broadcast against the whole tensor, not against parts of it.
        return with_gradient(value, lambda g: (g * slopes.of_clamp(z0, now, low, high),), z)
    into = _by_slope(slopes.of_clamp, low, high)
    return with_gradient(value, lambda g: (in_pieces(into, g, z0, now),), z)


@rule("prelu")
def _prelu(mode: SecantMode, func: Func, z: Tensor, weight: Tensor) -> Tensor:
    kept = mode.between(z)
    value = torch.prelu(z.detach(), weight.detach())
    if kept is None:
        return unfinished(value, z)
    ((z0, now),) = kept
    shape = (-1, *[1] * (z.ndim - 2)) if weight.numel() > 1 else ()
    below = weight.detach().reshape(shape)
    return with_gradient(value, lambda g: (g * slopes.of_leaky_relu(z0, now, below),), z)


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
    simple: dict[float, Func] = {0.5: _sqrt, -1: _reciprocal, -0.5: _rsqrt}
    if isinstance(exponent, nn.Parameter):
        exponent = exponent.detach()
    if isinstance(exponent, Tensor) and exponent.requires_grad:
        if not isinstance(z, Tensor):
            with mode:
                return (exponent * math.log(z)).exp()
        return _computed_power(mode, z, exponent)
    if isinstance(exponent, Tensor):
        return _POWER(mode, torch.pow, z, exponent)
    if exponent == 1:
        return z
    if exponent in simple:
        return simple[exponent](mode, func, z)
    whole = exponent in range(2, 9)
    return (_WHOLE_POWER if whole else _POWER)(mode, torch.pow, z, exponent)


elementwise("power")
_POWER = RULES.pop("power")


def _computed_power(mode: SecantMode, base: Tensor, exponent: Tensor) -> Tensor:
    """Base and exponent change in their turns, once in each order; the mean."""
    base, exponent = torch.broadcast_tensors(base, exponent)
    value = torch.pow(base.detach(), exponent.detach())
    kept = mode.between(base, exponent)
    if kept is None:
        return unfinished(value, base, exponent)
    (b0, b1), (e0, e1) = kept

    def of(call: Func, before: Tensor, now: Tensor) -> Tensor:
        return _slope(call, (before, call(before)), (now, call(now)), placed=True)

    def pullback(g: Tensor) -> tuple[Tensor, ...]:
        at_base = [of(lambda t, e=e: torch.pow(t, e), b0, b1) for e in (e0, e1)]
        at_exponent = [of(lambda t, b=b: torch.pow(b, t), e0, e1) for b in (b0, b1)]
        return g * (at_base[0] + at_base[1]) / 2, g * (at_exponent[0] + at_exponent[1]) / 2

    return with_gradient(value, pullback, base, exponent)
