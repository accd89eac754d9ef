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

from codeclens.attribution.secant.mode import (
    COMPLEX,
    SecantMode,
    choosing,
    rule,
    unfinished,
    with_gradient,
)
from codeclens.attribution.secant.orders import stepped
from codeclens.attribution.secant.selection import entries, of_each, outer

Func = Callable[..., Any]


@choosing("gt", "ge", "lt", "le", "eq", "ne")
@rule("gt", "ge", "lt", "le", "eq", "ne")
def _comparison(mode: SecantMode, func: Func, u: Any, v: Any) -> Tensor:
    chosen: Tensor = func(*(t.detach() if isinstance(t, Tensor) else t for t in (u, v)))
    if u in mode.choices and not mode.is_apart(v):
        mode.steps[chosen] = of_each(mode.choices[u], lambda each: func(each, outer(v)))
        return chosen
    if mode.is_apart(u, v):
        return chosen
    u, v = (mode.steps.get(t, t) if isinstance(t, Tensor) else t for t in (u, v))
    with mode:
        apart = u - v
    mode.steps[chosen] = stepped(mode, chosen.to(apart.dtype), apart)
    return chosen


@choosing("where")
@rule("where")
def _where(mode: SecantMode, func: Func, chosen: Tensor, *values: Any) -> Any:
    """Δy = m̄ Δu + (1 − m̄) Δv + (ū − v̄) Δm with m the step of the condition."""
    if len(values) == 2 and isinstance(values[0], Tensor) and chosen.dtype != torch.bool:
        chosen, values = values[0], (chosen, values[1])  # the method's order
        func = torch.where
    if not values:
        return entries(mode, func, chosen)
    if chosen not in mode.steps:
        mode.watch("where", chosen, *values)
        return func(chosen, *values)
    step = mode.steps[chosen]
    plain = [t.detach() if isinstance(t, Tensor) else t for t in values]
    value: Tensor = torch.where(chosen, plain[0], plain[1])
    values = tuple(mode.steps.get(t, t) if isinstance(t, Tensor) else t for t in values)
    if not (value.is_floating_point() or value.is_complex()):
        with mode:
            mode.steps[value] = step * values[0] + (1 - step) * values[1]
        return value
    u, v = (torch.as_tensor(t, device=step.device).to(value.dtype) for t in values)
    u, v = (_finite(t) if t.is_floating_point() else t for t in (u, v))
    value = torch.where(chosen, u.detach(), v.detach())
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


def _finite(t: Tensor) -> Tensor:
    """Infinite numbers as large ones: an entry that is chosen at one node jumps to the other."""
    bound = min(1e4, torch.finfo(t.dtype).max / 2)
    return t.nan_to_num(torch.nan, bound, -bound) if bool(torch.isinf(t.detach()).any()) else t


@choosing("masked_fill")
@rule("masked_fill")
def _masked_fill(mode: SecantMode, func: Func, z: Tensor, chosen: Tensor, value: Any) -> Any:
    if chosen not in mode.steps:
        mode.watch("masked_fill", chosen)
        return func(z, chosen, value)
    with mode:
        return torch.where(chosen, value, z)


@choosing("logical_and", "logical_or", "logical_xor", "logical_not")
@choosing("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
@rule("logical_and", "logical_or", "logical_xor", "logical_not")
@rule("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
def _logical(mode: SecantMode, func: Func, *chosen: Any) -> Any:
    """The same of steps as numbers: a b, a + b − a b, a + b − 2 a b, 1 − a."""
    result = func(*chosen)
    steps = [mode.steps.get(t) for t in chosen if isinstance(t, Tensor)]
    unknown = [t for t, step in zip(chosen, steps, strict=False) if step is None]
    kinds = [step.dtype for step in steps if step is not None]
    if result.dtype != torch.bool or len(steps) < len(chosen) or mode.is_apart(*unknown):
        return result
    if not kinds:
        return result
    (kind, *_) = kinds
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


@choosing("to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool")
@rule("to", "type", "type_as", "float", "double", "half", "bfloat16", "int", "long", "bool")
def _converted(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    """Truth values as numbers are their step; a step in whole numbers remains one."""
    result = func(z, *args, **kwargs)
    if z in mode.choices:
        found = mode.choices[z]
        if not result.is_floating_point():
            mode.choices[result] = found
            return result
        return of_each(found, lambda each: each).to(result.dtype)
    if result.dtype == torch.bool and z.is_floating_point() and z not in mode.steps:
        with mode:
            return z != 0
    if z not in mode.steps:
        return result
    step = mode.steps[z]
    if result.is_floating_point():
        return step.to(result.dtype)
    if result.dtype == torch.bool and z.dtype != torch.bool:
        with mode:
            return z != 0
    mode.steps[result] = step
    return result


COMPLEX.update(("where", "masked_fill", "to", "type", "type_as", "double", "float", "half"))
