"""Secants of softmax, normalisation and attention, by the parts they are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant.mode import SecantMode, rule, unfinished, with_gradient
from codeclens.attribution.secant.nonlinearities import rsqrt_slope
from codeclens.attribution.secant.products import balance

Func = Callable[..., Any]


@rule("softmax", "_softmax")
def _softmax(mode: SecantMode, func: Func, z: Tensor, dim: int = -1, *_: Any, **kw: Any) -> Tensor:
    """Δy = λ(y) (Δz − Σ p Δz), λ(y) the logarithmic mean of y0 and y1."""
    z = z if kw.get("dtype") is None else z.to(kw["dtype"])
    log_y = z.detach().log_softmax(dim)
    before = mode.remember(z, log_y)
    if before is None:
        return unfinished(log_y.exp(), z)
    share = _shares(before[0], z.detach(), dim)
    slope = _exp_slope(before[1], log_y)

    def pullback(g: Tensor) -> tuple[Tensor]:
        h = g * slope
        return (h - share * h.sum(dim, keepdim=True),)

    return with_gradient(log_y.exp(), pullback, z)


@rule("log_softmax")
def _log_softmax(
    mode: SecantMode, func: Func, z: Tensor, dim: int = -1, *_: Any, **kw: Any
) -> Tensor:
    """Δy = Δz − Σ p Δz."""
    z = z if kw.get("dtype") is None else z.to(kw["dtype"])
    value = z.detach().log_softmax(dim)
    before = mode.remember(z)
    if before is None:
        return unfinished(value, z)
    share = _shares(before[0], z.detach(), dim)
    return with_gradient(value, lambda g: (g - share * g.sum(dim, keepdim=True),), z)


@rule("logsumexp")
def _logsumexp(mode: SecantMode, func: Func, z: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    kept = z.detach().logsumexp(dim, keepdim=True)
    value = kept if keepdim else z.detach().logsumexp(dim)
    before = mode.remember(z)
    if before is None:
        return unfinished(value, z)
    share = _shares(before[0], z.detach(), dim)
    return with_gradient(value, lambda g: (g.reshape(kept.shape) * share,), z)


def _exp_slope(z0: Tensor, z: Tensor) -> Tensor:
    """Δ exp(z) / Δz = exp(max) (1 − e^−|Δz|) / |Δz|, the logarithmic mean; 0 where both are −∞."""
    top = torch.maximum(z0, z)
    change = (z - z0).abs().nan_to_num_(nan=0.0, posinf=torch.finfo(z.dtype).max)
    ratio = torch.where(change < 1e-4, 1 - change / 2, -torch.expm1(-change) / change)
    return top.exp() * ratio


def _shares(z0: Tensor, z: Tensor, dim: int) -> Tensor:
    """The p with Δ logsumexp(z) = Σ p Δz: logarithmic means of the terms over that of the sums."""
    # Both nodes are taken relative to one common largest value, or the difference of sums is lost.
    top = torch.maximum(z0, z).amax(dim, keepdim=True)
    z0, z = z0 - top, z - top
    sums = _exp_slope(z0.logsumexp(dim, keepdim=True), z.logsumexp(dim, keepdim=True))
    return _exp_slope(z0, z) / sums


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
    mode: SecantMode, x: Tensor, dims: list[int], eps: float, centred: bool = True
) -> Tensor:
    """y = c r with c = x − mean(x) and r = (mean(c²) + ε)^−½.

    Δy = c̃ Δr + r̃ Δc for any two means c̃ = w c0 + (1 − w) c1 and r̃ = (1 − w) r0 + w r1;
    Δr = ρ Δv with ρ the secant of r, Δv = mean((c0 + c1) Δc).
    """
    values = x.detach()
    c = values - values.mean(dims, keepdim=True) if centred else values
    r = (c.square().mean(dims, keepdim=True) + eps).rsqrt()
    before = mode.remember(c, r)
    if before is None:
        return unfinished(c * r, x)
    sum_c, slope, weight = before[0] + c, rsqrt_slope(before[1], r), balance(before[1], r)
    mean_c, mean_r = torch.lerp(c, before[0], weight), torch.lerp(before[1], r, weight)

    def pullback(g: Tensor) -> tuple[Tensor]:
        at_r = (g * mean_c).sum(dims, keepdim=True)
        count = g.numel() // at_r.numel()
        at_c = g * mean_r + sum_c * (at_r * slope / count)
        return (at_c - at_c.mean(dims, keepdim=True) if centred else at_c,)

    return with_gradient(c * r, pullback, x)


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
    dims = list(range(-len(tuple(normalized_shape)), 0))
    return _affine(_normalized(mode, x, dims, eps), weight, bias)


@rule("rms_norm")
def _rms_norm(
    mode: SecantMode,
    func: Func,
    x: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    dims = list(range(-len(tuple(normalized_shape)), 0))
    small = torch.finfo(x.dtype).eps if eps is None else eps
    return _affine(_normalized(mode, x, dims, small, centred=False), weight, None)


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
    y = _normalized(mode, grouped, [-1], eps).reshape(x.shape)
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
    y = _normalized(mode, x, list(range(2, x.ndim)), eps)
    return _affine(y, *(_per_channel(p, x) for p in (weight, bias)))


def _per_channel(values: Tensor | None, x: Tensor) -> Tensor | None:
    return None if values is None else values.reshape(1, -1, *[1] * (x.ndim - 2))


@rule("batch_norm")
def _batch_norm(mode: SecantMode, func: Func, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    training = kwargs.get("training", args[4] if len(args) > 4 else False)
    if training:
        mode.uncovered.add("batch_norm by batch statistics")
    return func(x, *args, **kwargs)


@rule("norm", "linalg_vector_norm", "vector_norm")
def _norm(
    mode: SecantMode,
    func: Func,
    z: Tensor,
    p: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    **_: Any,
) -> Any:
    p = _.get("ord", p)
    if p not in (2, 2.0, "fro", None):
        mode.uncovered.add(f"norm of order {p}")
        return func(z, p, dim, keepdim)
    dims = list(range(z.ndim)) if dim is None else dim
    with mode:
        return z.square().sum(dims, keepdim=keepdim).sqrt()


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
