"""Secants of comparisons and of what they choose: a truth value is a step, and a jump counts.

A comparison gives truth values, as torch does, and the mode knows with them the same numbers 0 and
1 as a function of what was compared, with a secant. Products, `where`, fills and logical operations
take that function in place of the truth values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant import slopes
from codeclens.attribution.secant.mode import COMPLEX, SecantMode, rule, unfinished, with_gradient
from codeclens.attribution.secant.slopes import in_pieces

Func = Callable[..., Any]


@rule("gt", "ge", "lt", "le")
def _comparison(mode: SecantMode, func: Func, u: Any, v: Any) -> Tensor:
    plain = [t.detach() if isinstance(t, Tensor) else t for t in (u, v)]
    chosen: Tensor = func(*plain)
    if mode.is_apart(u, v):
        return chosen
    with mode:
        apart = u - v
    value = chosen.to(apart.dtype)
    kept = mode.between(value, apart)
    if kept is None:
        mode.steps[chosen] = unfinished(value, apart)
        return chosen
    given = [t for pair in kept for t in pair]

    def into(out: Tensor, g: Tensor, *given: Tensor) -> None:
        m0, m1, z0, z1 = given
        # From what is compared with an infinite bound there is no difference.
        slope = slopes.of_jumps(m0, m1, z0, z1, 0.0).nan_to_num_(0.0, 0.0, 0.0)
        torch.mul(slope, g, out=out)

    mode.steps[chosen] = with_gradient(value, lambda g: (in_pieces(into, g, *given),), apart)
    return chosen


@rule("where")
def _where(mode: SecantMode, func: Func, chosen: Tensor, *values: Any) -> Any:
    """Δy = m̄ Δu + (1 − m̄) Δv + (ū − v̄) Δm with m the step of the condition."""
    if len(values) == 2 and isinstance(values[0], Tensor) and chosen.dtype != torch.bool:
        chosen, values = values[0], (chosen, values[1])  # the method's order
        func = torch.where
    if not values or chosen not in mode.steps:
        return func(chosen, *values)
    step = mode.steps[chosen]
    plain = [t.detach() if isinstance(t, Tensor) else t for t in values]
    value: Tensor = torch.where(chosen, plain[0], plain[1])
    u, v = (torch.as_tensor(t, device=step.device).to(value.dtype) for t in values)
    kept = mode.between(step, u, v)
    if kept is None:
        return unfinished(value, step, u, v)
    (m0, m1), (u0, u1), (v0, v1) = kept

    def pullback(g: Tensor) -> tuple[Tensor | None, ...]:
        share = (m0 + m1) / 2
        # Where the choice stays, the value that is not chosen may be anything, infinite too.
        change = torch.where(m0 == m1, 0.0, (u0 + u1 - v0 - v1) / 2)
        return (
            (g * change).to(step.dtype).sum_to_size(step.shape),
            (g * share).sum_to_size(u.shape) if u.requires_grad else None,
            (g * (1 - share)).sum_to_size(v.shape) if v.requires_grad else None,
        )

    return with_gradient(value, pullback, step, u, v)


@rule("masked_fill")
def _masked_fill(mode: SecantMode, func: Func, z: Tensor, chosen: Tensor, value: Any) -> Any:
    if chosen not in mode.steps:
        return func(z, chosen, value)
    with mode:
        return torch.where(chosen, value, z)


@rule("logical_and", "logical_or", "logical_xor", "logical_not")
@rule("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
def _logical(mode: SecantMode, func: Func, *chosen: Any) -> Any:
    """The same of steps as numbers: a b, a + b − a b, a + b − 2 a b, 1 − a."""
    result = func(*chosen)
    steps = [mode.steps.get(t) for t in chosen if isinstance(t, Tensor)]
    unknown = [t for t, step in zip(chosen, steps, strict=False) if step is None]
    if result.dtype != torch.bool or len(steps) < len(chosen) or mode.is_apart(*unknown):
        return result
    kind = next(step.dtype for step in steps if step is not None)
    a, *others = (
        t.to(kind) if step is None else step for t, step in zip(chosen, steps, strict=True)
    )
    name = func.__name__.strip("_")
    with mode:
        if not others:
            mode.steps[result] = 1 - a
        elif name.endswith("and"):
            mode.steps[result] = a * others[0]
        else:
            twice = 2 if name.endswith("xor") else 1
            mode.steps[result] = a + others[0] - twice * (a * others[0])
    return result


@rule("to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long")
def _converted(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Truth values as numbers are their step; a step in whole numbers remains one."""
    result = func(z, *args, **kwargs)
    if z not in mode.steps:
        return result
    step = mode.steps[z]
    if result.is_floating_point():
        return step.to(result.dtype)
    mode.steps[result] = step
    return result


COMPLEX.update(("where", "masked_fill", "to", "type", "type_as", "double", "float", "half"))
