"""Secants of what is selected by indices and masks that jump.

An index that jumps is a sum over all entries, each times its one-hot number. Entries selected by a
mask are, for as long as they are apart, all entries; where they are written back, those that the
mask does not choose stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from codeclens.attribution.secant.arguments import tensors
from codeclens.attribution.secant.mode import RULES, SecantMode, choosing
from codeclens.attribution.secant.orders import IndexChoice

Func = Callable[..., Any]


def of_each(choice: IndexChoice, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A number that depends on an index: the sum over all entries, each times its one-hot number.

    `function` takes the numbers of all entries `(N,)` and gives a number for each, along the last
    axis.
    """
    one_hot = choice.one_hot()
    each = function(torch.arange(one_hot.shape[-1], device=one_hot.device)).to(one_hot.dtype)
    return (one_hot * each).sum(-1)


def outer(value: Any) -> Any:
    """A tensor with one more axis, along which it is the same."""
    return value[..., None] if isinstance(value, Tensor) else value


@choosing("detached")
def _detached(mode: SecantMode, func: Func, *args: Any, **kwargs: Any) -> Any:
    """An operation on detached tensors is that on what they were detached from."""
    return _instead(mode, func, args, kwargs, lambda t: t.is_floating_point())


def _instead(
    mode: SecantMode, func: Func, args: Any, kwargs: Any, wanted: Callable[[Tensor], bool]
) -> Any:
    """Run an operation with tensors that change replaced by their numbers with a gradient."""
    given, named = _replaced(mode, (args, kwargs), wanted)
    before = [t for t in tensors(args, kwargs) if t.requires_grad]
    plain = None if before else func(*args, **kwargs)
    if plain is not None and not any(True for _ in tensors(plain)):
        return plain
    result = mode.run(func, given, named)
    if plain is None:
        return result
    pairs = list(zip(tensors(plain), tensors(result), strict=True))
    if not args[0].is_floating_point() and all(t.is_floating_point() for t, _ in pairs):
        # Truth values as numbers have a gradient.
        return result
    for real, number in pairs:
        if number.requires_grad:
            mode.steps[real] = number
        elif mode.changes(number):
            return result
    return plain


def _replaced(mode: SecantMode, values: Any, wanted: Callable[[Tensor], bool]) -> Any:
    if isinstance(values, Tensor):
        return mode.steps[values] if values in mode.steps and wanted(values) else values
    if isinstance(values, tuple | list):
        return type(values)(_replaced(mode, each, wanted) for each in values)
    if isinstance(values, dict):
        return {key: _replaced(mode, each, wanted) for key, each in values.items()}
    return values


# --- Truth values and whole numbers in sums and in other shapes ---


@choosing("add", "sub", "rsub", "neg", "div", "rdiv", "mean", "cumsum", "matmul", "einsum")
@choosing("tensordot", "linear", "mv", "dot", "outer", "pow", "lerp", "diff", "abs", "square")
@choosing("clamp", "clamp_min", "clamp_max", "maximum", "minimum", "amax", "amin", "prod")
@choosing("cat", "concat", "stack", "hstack", "vstack", "triu", "tril", "sqrt", "remainder")
@choosing("floor_divide", "new_tensor")
def _numbers(mode: SecantMode, func: Func, *args: Any, **kwargs: Any) -> Any:
    mode.watch(func.__name__, [t for t in tensors(args, kwargs) if not mode.changes(t)])
    if any(t in mode.choices for t in tensors(args, kwargs)):
        args, kwargs = _numbered(mode, (args, kwargs))
    return _instead(mode, func, args, kwargs, lambda _: True)


def _numbered(mode: SecantMode, values: Any) -> Any:
    """Note of every index that is a choice the number that it is, among what changes."""
    for t in tensors(*values):
        if t in mode.choices and t not in mode.steps:
            mode.steps[t] = of_each(mode.choices[t], lambda each: each)
    return values


@choosing("sum")
def _sum(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    result = func(z, *args, **kwargs)
    if z in mode.steps:
        step = mode.steps[z]
        mode.steps[result] = mode.run(torch.sum, (step, *args), kwargs)
    return result


@choosing("count_nonzero")
def _count_nonzero(mode: SecantMode, func: Func, z: Tensor, dim: Any = None) -> Any:
    with mode:
        return (z != 0).sum() if dim is None else (z != 0).sum(dim)


@choosing("any")
def _any(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    result = func(z, *args, **kwargs)
    if z in mode.steps and z.dtype == torch.bool:
        mode.steps[result] = mode.run(torch.amax, (mode.steps[z], *args), kwargs)
    return result


@choosing("all")
def _all(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    result = func(z, *args, **kwargs)
    if z in mode.steps and z.dtype == torch.bool:
        mode.steps[result] = mode.run(torch.amin, (mode.steps[z], *args), kwargs)
    return result


@choosing("reshape", "view", "permute", "transpose", "swapaxes", "movedim", "moveaxis", "flatten")
@choosing("unflatten", "squeeze", "unsqueeze", "expand", "expand_as", "view_as", "broadcast_to")
@choosing("contiguous", "clone", "detach", "repeat", "repeat_interleave", "tile", "flip", "roll")
@choosing("chunk", "split", "unbind", "narrow", "select", "t", "T", "mT", "cpu", "reshape_as")
def _shape(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    result = func(z, *args, **kwargs)
    if z in mode.steps:
        found = mode.run(func, (mode.steps[z], *args), kwargs)
        mode.steps.update(zip(tensors(result), tensors(found), strict=True))
    elif z in mode.choices and isinstance(result, Tensor):
        mode.choices[result] = mode.choices[z].reshaped(lambda t: func(t, *args, **kwargs))
    elif z in mode.packed and isinstance(result, Tensor) and len(result) == len(z):
        mode.packed[result] = mode.packed[z]
    return result


# --- Indices that jump ---


@choosing("one_hot")
def _one_hot(mode: SecantMode, func: Func, index: Tensor, num_classes: int = -1) -> Any:
    result = func(index, num_classes)
    if index not in mode.choices:
        mode.watch("one_hot", index)
        return result
    one_hot = mode.choices[index].one_hot()
    classes, known = result.shape[-1], one_hot.shape[-1]
    mode.steps[result] = torch.nn.functional.pad(one_hot, (0, classes - known))
    return result


@choosing("gather", "take_along_dim")
def _gather(mode: SecantMode, func: Func, z: Tensor, *args: Any, **kwargs: Any) -> Any:
    dim, index = _dim_and_index(args, kwargs)
    if index not in mode.choices or dim is None:
        mode.watch(func.__name__, index)
        return _instead(mode, func, (z, *args), kwargs, lambda _: True)
    z = mode.steps.get(z, z)
    with mode:
        one_hot = (
            mode.choices[index].one_hot().movedim(dim, -2)
            if index.ndim > 1
            else (mode.choices[index].one_hot())
        )
        last = z.movedim(dim, -1)[tuple(slice(n) for n in one_hot.shape[:-2])]
        found = (one_hot.to(z.dtype) @ last[..., None])[..., 0]
        return found.movedim(-1, dim)


def _dim_and_index(args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int | None, Any]:
    index = next(a for a in (*args, *kwargs.values()) if isinstance(a, Tensor))
    dim = kwargs.get("dim", next((a for a in args if type(a) is int), None))
    # From the front: the one-hot numbers of an index have one more axis behind.
    return dim if dim is None or not index.ndim else dim % index.ndim, index


@choosing("scatter")
def _scatter(
    mode: SecantMode, func: Func, z: Tensor, dim: int, index: Tensor, src: Any = None, **kw: Any
) -> Any:
    """Where an index points to an entry that entry is new, else it stays."""
    src = kw.get("value", kw.get("src", src))
    if index not in mode.choices or kw.get("reduce"):
        mode.watch("scatter", index)
        return RULES["scatter"](mode, func, z, dim, index, src, **kw)
    dim %= index.ndim
    one_hot = mode.choices[index].one_hot().movedim(dim, -2)
    with mode:
        written = one_hot.sum(-2).movedim(-1, dim)
        if isinstance(src, Tensor):
            src = mode.steps.get(src, src).movedim(dim, -1)
            src = src[tuple(slice(n) for n in one_hot.shape[:-1])]
            new = (one_hot.to(src.dtype) * src[..., None]).sum(-2).movedim(-1, dim)
        else:
            new = torch.full_like(written, src)
        chosen = written.detach() > 0.5
        mode.steps[chosen] = written
        return torch.where(chosen, new.to(z.dtype) if z.is_floating_point() else new, z)


@choosing("scatter_add", "index_add")
def _add_to(
    mode: SecantMode, func: Func, z: Tensor, dim: int, index: Tensor, src: Any, **kw: Any
) -> Any:
    dim %= z.ndim
    if index in mode.choices and func.__name__.startswith("scatter"):
        one_hot = mode.choices[index].one_hot().movedim(dim, -2)
        with mode:
            src = src.movedim(dim, -1)[tuple(slice(n) for n in one_hot.shape[:-1])]
            new = (one_hot.to(src.dtype) * src[..., None]).sum(-2)
            return z + new.movedim(-1, dim)
    if index in mode.choices:
        with mode:
            new = torch.tensordot(mode.choices[index].one_hot().T, src.movedim(dim, 0), 1)
            return z + new.movedim(0, dim)
    if index in mode.packed and index.ndim == 1:
        step = mode.packed[index]
        with mode:
            src = src * step.to(src.dtype).reshape(-1, *[1] * (src.ndim - 1 - dim % src.ndim))
    else:
        mode.watch(func.__name__, index)
    return func(z, dim, index, src, **kw)


@choosing("embedding")
def _embedding(
    mode: SecantMode, func: Func, index: Tensor, weight: Tensor, *_: Any, **__: Any
) -> Any:
    if index not in mode.choices:
        mode.watch("embedding", index)
        return func(index, weight)
    return _rows(mode, weight, index)


def _rows(mode: SecantMode, table: Tensor, index: Tensor) -> Any:
    """The rows of a table that an index of any shape chooses."""
    one_hot = mode.choices[index].one_hot()
    with mode:
        return torch.tensordot(one_hot.to(table.dtype), mode.steps.get(table, table), 1)


@choosing("index_select")
def _index_select(mode: SecantMode, func: Func, z: Tensor, dim: int, index: Tensor) -> Any:
    if index not in mode.choices:
        mode.watch("index_select", index)
        return func(z, dim, index)
    with mode:
        return _rows(mode, z.movedim(dim, 0), index).movedim(0, dim)


# --- Entries by indices and masks in brackets ---


@choosing("getitem")
def _getitem(mode: SecantMode, func: Func, z: Tensor, index: Any) -> Any:
    places = index if isinstance(index, tuple) else (index,)
    chosen = [t for t in tensors(places) if mode.changes(t)]
    if not chosen or all(t in mode.packed for t in chosen):
        mode.watch("getitem", [t for t in tensors(places) if not mode.changes(t)])
        return _shape(mode, func, z, index)
    (first, *others) = places
    if isinstance(first, Tensor) and not others:
        if first in mode.choices and z.is_floating_point():
            return _rows(mode, z, first)
        if first in mode.steps and first.dtype == torch.bool and mode.dense:
            mode.densified = True
            with mode:
                return z.clone().flatten(0, first.ndim - 1)
    last = places[-1]
    constant = all(isinstance(t, Tensor) and t.ndim == 1 for t in places) and z.ndim >= 2
    if len(places) == 2 and constant and last in mode.choices and not mode.changes(first):
        one_hot = mode.choices[last].one_hot()
        with mode:
            return torch.einsum("bn,bn...->b...", one_hot.to(z.dtype), z[first])
    mode.watch("getitem", list(tensors(places)))
    return func(z, index)


@choosing("setitem")
def _setitem(mode: SecantMode, func: Func, z: Tensor, index: Any, value: Any) -> Tensor:
    places = index if isinstance(index, tuple) else (index,)
    (first, *others) = places
    value = mode.steps.get(value, value) if isinstance(value, Tensor) else value
    if isinstance(first, Tensor) and not others and first in mode.steps:
        wide = first.reshape(*first.shape, *[1] * (z.ndim - first.ndim))
        mode.steps[wide] = mode.steps[first].reshape(wide.shape)
        if isinstance(value, Tensor) and value.ndim == 1 + z.ndim - first.ndim:
            if not mode.dense or len(value) not in (1, first.numel()):
                # Values for the chosen entries alone.
                mode.watch("setitem", first)
                z[index] = value
                return z
            if len(value) == first.numel():
                value = value.reshape(first.shape + value.shape[1:])
        with mode:
            return torch.where(wide, value, z)
    packed = [mode.packed[t] for t in tensors(places) if t in mode.packed]
    if packed:
        with mode:
            # A place may come several times; the mask chooses it once.
            old = z[index]
            change = (value - old) * packed[0].to(z.dtype).reshape(-1, *[1] * (old.ndim - 1))
            return z.index_put(places, change, accumulate=True)
    if any(mode.changes(t) for t in tensors(places)):
        mode.watch("setitem", list(tensors(places)))
    # `z` is a copy, which the caller writes back.
    with mode:
        z[index] = value
    return z


@choosing("nonzero", "argwhere")
def _nonzero(mode: SecantMode, func: Func, z: Tensor, **kwargs: Any) -> Any:
    if kwargs.get("as_tuple"):
        return entries(mode, func, z)
    if z not in mode.steps or not mode.dense:
        return func(z)
    everything = torch.ones_like(z, dtype=torch.bool).nonzero()
    mode.densified = True
    mode.packed[everything] = mode.steps[z].flatten()
    return everything


def entries(mode: SecantMode, func: Func, z: Tensor) -> Any:
    """The places at which a mask is true: all places, with the step at each."""
    if z not in mode.steps or not mode.dense:
        return torch.where(z)
    mode.densified = True
    everything = torch.where(torch.ones_like(z, dtype=torch.bool))
    mode.packed.update(dict.fromkeys(everything, mode.steps[z].flatten()))
    return everything
