"""Secants of softmax, normalisation and attention, by the parts they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant import slopes
from codeclens.attribution.secant.mode import SecantMode, rule, unfinished, with_gradient
from codeclens.attribution.secant.nonlinearities import rsqrt_slope
from codeclens.attribution.secant.products import balance
from codeclens.attribution.secant.slopes import in_rows

Func = Callable[..., Any]


@rule("softmax", "_softmax")
def _softmax(mode: SecantMode, func: Func, z: Tensor, dim: int = -1, *_: Any, **kw: Any) -> Tensor:
    """Δy = λ(y) (Δz − ΔL), λ(y) the logarithmic mean of y0 and y1, ΔL = Σ p Δz."""
    z = z if kw.get("dtype") is None else z.to(kw["dtype"])
    y = z.detach().softmax(dim)
    kept = mode.between(*_finite(z, y, dim))
    if kept is None:
        return unfinished(y, z)

    def pullback(out: Tensor, g: Tensor, *given: Tensor) -> None:
        half, half_of_sum, share = _shares(*given)
        # Twice the logarithmic mean, by half the difference of the logarithms.
        twice = slopes.tanh_ratio(half.sub_(half_of_sum).add_(slopes.NUDGE))
        h = twice.mul_(given[2] + given[3]).mul_(g)
        total = h.sum(-1, keepdim=True).mul_(0.5)
        torch.addcmul(h.mul_(0.5), share, total, value=-1, out=out)

    return with_gradient(y, lambda g: (_along(pullback, dim, g, *kept),), z)


@rule("log_softmax", "_log_softmax")
def _log_softmax(
    mode: SecantMode, func: Func, z: Tensor, dim: int = -1, *_: Any, **kw: Any
) -> Tensor:
    """Δy = Δz − Σ p Δz."""
    z = z if kw.get("dtype") is None else z.to(kw["dtype"])
    value = z.detach().log_softmax(dim)
    y = value.exp()
    kept = mode.between(*_finite(z, y, dim))
    if kept is None:
        return unfinished(value, z)

    def pullback(out: Tensor, g: Tensor, *given: Tensor) -> None:
        share = _shares(*given)[2]
        torch.addcmul(g, share, g.sum(-1, keepdim=True), value=-1, out=out)

    return with_gradient(value, lambda g: (_along(pullback, dim, g, *kept),), z)


@rule("logsumexp")
def _logsumexp(mode: SecantMode, func: Func, z: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """Δy = Σ p Δz."""
    if not isinstance(dim, int) and len(dim) != 1:
        dims = sorted(d % z.ndim for d in dim) or list(range(z.ndim))
        kept_dims = [d for d in range(z.ndim) if d not in dims]
        with mode:
            merged = z.permute(*kept_dims, *dims).flatten(len(kept_dims)).logsumexp(-1)
            shape = [1 if d in dims else n for d, n in enumerate(z.shape)]
            return merged.reshape(shape) if keepdim else merged
    (dim,) = (dim,) if isinstance(dim, int) else dim
    kept_value = z.detach().logsumexp(dim, keepdim=True)
    value = kept_value if keepdim else kept_value.squeeze(dim)
    y = (z.detach() - kept_value).exp()
    kept = mode.between(z, y, kept_value)
    if kept is None:
        return unfinished(value, z)

    def pullback(out: Tensor, g: Tensor, *given: Tensor) -> None:
        torch.mul(_shares(*given)[2], g, out=out)

    def whole(g: Tensor) -> tuple[Tensor]:
        return (_along(pullback, dim, g.reshape(kept_value.shape).expand_as(z), *kept),)

    return with_gradient(value, whole, z)


def _finite(z: Tensor, y: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """z without −∞, of which there is no difference, its softmax y and the log of its sum of exp.

    The last by the largest entry and its share of the sum.
    """
    z = z.detach()
    lowest, top = torch.finfo(z.dtype).min / 4, z.amax(dim, keepdim=True)
    if z.numel() and z.amin() < lowest:
        z = z.clamp(min=lowest)
    return z, y, top - y.amax(dim, keepdim=True).log_()


def _along(into: Callable[..., None], dim: int, g: Tensor, *kept: tuple[Tensor, Tensor]) -> Tensor:
    """A pullback along an axis, some rows at a time, given what was kept of both nodes."""
    given = [t.movedim(dim, -1) for t in (g, *(t for pair in kept for t in pair))]
    return in_rows(into, *given).movedim(-1, dim)


def _shares(
    z0: Tensor, z: Tensor, y0: Tensor, y: Tensor, sum0: Tensor, sum1: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """½ Δz, ½ ΔL and the p with ΔL = Σ p Δz, L the logarithm of the sum of exp z and y the softmax.

    p are the logarithmic means of the terms over that of the sums S = exp L. With the logarithmic
    mean of a and b as ½ (a + b) tanh(h) / h, where h is half the difference of the logarithms, and
    w = S1 / (S0 + S1) it is ((1 − w) y0 + w y1) times the ratio of the two tanh(h) / h.
    """
    of_sum = sum1 - sum0
    share = torch.lerp(y0, y, of_sum.sigmoid())
    half, of_sum = (z - z0).mul_(0.5).add_(slopes.NUDGE), of_sum.mul_(0.5).add_(slopes.NUDGE)
    share.mul_(slopes.tanh_ratio(half)).mul_(slopes.tanh_ratio(of_sum).reciprocal_())
    return half, of_sum, share


@rule("scaled_dot_product_attention")
def _attention(
    mode: SecantMode,
    func: Func,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Fused attention taken apart into products and a softmax, which are exact."""
    with mode:
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
        factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        scores = (query * factor) @ key.transpose(-2, -1)
        if is_causal:
            allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~allowed, -math.inf)
        if attn_mask is None:
            mixed: Tensor = scores.softmax(dim=-1) @ value
            return mixed
        if attn_mask.dtype == torch.bool:
            allowed = attn_mask
            scores = scores.masked_fill(~allowed, -math.inf)
        else:
            allowed = attn_mask.detach() != -math.inf
            scores = scores + attn_mask
        # A token that may look nowhere gets 0, as from torch's own.
        nowhere = ~allowed.any(dim=-1, keepdim=True)
        weights = scores.masked_fill(nowhere, 0.0).softmax(dim=-1).masked_fill(nowhere, 0.0)
        mixed = weights @ value
        return mixed


def _normalized(
    mode: SecantMode,
    x: Tensor,
    eps: float,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    centred: bool = True,
) -> Tensor:
    """y = weight c r + bias along the last axis with c = x − mean(x) and r = (mean(c²) + ε)^−½.

    Δ(c r) = c̃ Δr + r̃ Δc for any two means c̃ = w c0 + (1 − w) c1 and r̃ = (1 − w) r0 + w r1;
    Δr = ρ Δv with ρ the secant of r, Δv = mean((c0 + c1) Δc).
    """
    values = x.detach().contiguous()
    value, r, middle = _normal(values, eps, weight, bias, centred)
    kept = mode.between(values, r, *([] if middle is None else [middle]))
    if kept is None:
        return unfinished(value, x)
    (x0, x1), (r0, r1), *middles = kept
    weights = balance(r0, r1)
    mean_r, slope = torch.lerp(r0, r1, weights), rsqrt_slope(r0, r1).div_(x.shape[-1])
    rows = [mean_r, slope, weights, *(t for pair in middles for t in pair)]

    def into(
        out: Tensor, g: Tensor, x0: Tensor, x1: Tensor, mean_r: Tensor, slope: Tensor, w: Tensor,
        *middles: Tensor,
    ) -> None:  # fmt: skip
        g = g if weight is None else g * weight
        c0, c1 = (x0 - middles[0], x1 - middles[1]) if middles else (x0, x1)
        at_r = (torch.lerp(c1, c0, w) * g).sum(-1, keepdim=True)
        at_c = (c0 + c1).mul_(at_r.mul_(slope)).addcmul_(g, mean_r)
        if middles:
            torch.sub(at_c, at_c.mean(-1, keepdim=True), out=out)
        else:
            out.copy_(at_c)

    return with_gradient(value, lambda g: (in_rows(into, g, x0, x1, *rows).view(x.shape),), x)


def _normal(
    x: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None, centred: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The normalised tensor along its last axis, and by row r and, if it is centred, the mean."""
    if centred:
        value, middle, r = torch.native_layer_norm(x, x.shape[-1:], weight, bias, eps)
        return value, r, middle
    r = (x.square().mean(-1, keepdim=True) + eps).rsqrt()
    value = x * r
    return (value if weight is None else value.mul_(weight)), r, None


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@rule("layer_norm")
def _layer_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    return _by_rows(mode, x, normalized_shape, eps, weight, bias)


@rule("rms_norm")
def _rms_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    small = torch.finfo(x.dtype).eps if eps is None else eps
    return _by_rows(mode, x, normalized_shape, small, weight, centred=False)


def _by_rows(
    mode: SecantMode,
    x: Tensor,
    normalized_shape: Any,
    eps: float,
    weight: Tensor | None,
    bias: Tensor | None = None,
    centred: bool = True,
) -> Tensor:
    """Normalise over the last axes, as many as `normalized_shape` has."""
    axes = len(tuple(normalized_shape))
    flat = x.flatten(-axes)
    if any(t is not None and t.requires_grad for t in (weight, bias)):
        y = _normalized(mode, flat, eps, centred=centred).view(x.shape)
        with mode:
            return _affine(y, weight, bias)
    flat_weight, flat_bias = (t if t is None else t.flatten() for t in (weight, bias))
    return _normalized(mode, flat, eps, flat_weight, flat_bias, centred).view(x.shape)


@rule("group_norm")
def _group_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Tensor:
    grouped = x.reshape(x.shape[0], num_groups, -1)
    y = _normalized(mode, grouped, eps).reshape(x.shape)
    return _affine(y, *(_per_channel(p, x) for p in (weight, bias)))


@rule("instance_norm")
def _instance_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    if not use_input_stats:
        return func(x, running_mean, running_var, weight, bias, False, momentum, eps)
    y = _normalized(mode, x.flatten(2), eps).reshape(x.shape)
    return _affine(y, *(_per_channel(p, x) for p in (weight, bias)))


def _per_channel(values: Tensor | None, x: Tensor) -> Tensor | None:
    return None if values is None else values.reshape(1, -1, *[1] * (x.ndim - 2))


@rule("batch_norm")
def _batch_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> Any:
    """By running statistics a scale for each channel, which needs nothing of x kept."""
    if training or running_var is None:
        mode.uncovered.add("batch_norm by batch statistics")
        return func(x, running_mean, running_var, weight, bias, training, momentum, eps)
    if any(t is not None and t.requires_grad for t in (weight, bias)):
        plain = func(x, running_mean, running_var, None, None, False, momentum, eps)
        with mode:
            return _affine(plain, *(_per_channel(p, x) for p in (weight, bias)))
    value = func(x.detach(), running_mean, running_var, weight, bias, False, momentum, eps)
    scale = (running_var + eps).rsqrt()
    scale = (scale if weight is None else scale * weight).reshape(-1, *[1] * (x.ndim - 2))
    return with_gradient(value, lambda g: (g * scale,), x)


@rule("var")
def _var(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Sum of squares about the mean, over the count less the correction."""
    dim = kwargs.get("dim", args[0] if args and not isinstance(args[0], bool) else None)
    dims = list(range(z.ndim)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    flags = [a for a in args if isinstance(a, bool)]
    unbiased = kwargs.get("unbiased", flags[0] if flags else True)
    keepdim = kwargs.get("keepdim", flags[1] if len(flags) > 1 else False)
    correction = kwargs.get("correction", 1 if unbiased else 0)
    count = math.prod(z.shape[d] for d in dims)
    with mode:
        centred = z - z.mean(dims, keepdim=True)
        total = centred.square().sum(dims, keepdim=bool(keepdim))
        return total / (count - correction)


@rule("std")
def _std(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    with mode:
        return z.var(*args, **kwargs).sqrt()


@rule("var_mean", "std_mean")
def _spread_and_mean(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    spread = torch.var if func.__name__ == "var_mean" else torch.std
    dim = kwargs.get("dim", args[0] if args and not isinstance(args[0], bool) else None)
    flags = [a for a in args if isinstance(a, bool)]
    keepdim = kwargs.get("keepdim", flags[1] if len(flags) > 1 else False)
    dims = list(range(z.ndim)) if dim is None else dim
    with mode:
        return spread(z, *args, **kwargs), z.mean(dims, keepdim=keepdim)


@rule("cosine_similarity")
def _cosine_similarity(
    mode: SecantMode, func: Func, x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8
) -> Any:
    with mode:
        lengths = [torch.linalg.vector_norm(x, dim=dim).clamp_min(eps) for x in (x1, x2)]
        return (x1 * x2).sum(dim) / (lengths[0] * lengths[1])
