"""How torch's functions are called: by which names, in place or not, and what they are made of."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

_OPERATORS = {
    **{name: "mul" for name in ("__mul__", "__rmul__", "__imul__", "multiply")},
    **{name: "div" for name in ("__truediv__", "__itruediv__", "true_divide", "divide")},
    **{name: "rdiv" for name in ("__rtruediv__", "__rdiv__")},
    **{name: "pow" for name in ("__pow__", "__ipow__")},
    **{name: "matmul" for name in ("__matmul__", "bmm", "mm")},
    "__rpow__": "rpow",
    "__rmatmul__": "rmatmul",
    "__floordiv__": "floor_divide",
    "__mod__": "remainder",
    **{f"__{name}__": name for name in ("gt", "ge", "lt", "le")},
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    **{name: "bitwise_and" for name in ("__and__", "__rand__", "__iand__")},
    **{name: "bitwise_or" for name in ("__or__", "__ror__", "__ior__")},
    **{name: "bitwise_xor" for name in ("__xor__", "__ixor__")},
    **{name: "add" for name in ("__add__", "__radd__", "__iadd__")},
    **{name: "sub" for name in ("__sub__", "__isub__", "subtract")},
    "__rsub__": "rsub",
    "__neg__": "neg",
    **{name: "eq" for name in ("__eq__",)},
    **{name: "ne" for name in ("__ne__", "not_equal")},
    "__getitem__": "getitem",
    "__setitem__": "setitem",
    "__invert__": "bitwise_not",
    "__abs__": "abs",
    "absolute": "abs",
    "clip": "clamp",
    "fix": "trunc",
}
_IN_PLACE = {
    *("__imul__", "__itruediv__", "__ipow__", "__iadd__", "__isub__", "__iand__", "__ior__"),
    *("__ixor__", "__setitem__"),
}
# What an argument is called, and whether it must be given.
Names = tuple[tuple[str, bool], ...]


def plain(name: str) -> str:
    """The name of a rule for a function's name: without operator's underscores or in-place's."""
    if name in _OPERATORS:
        return _OPERATORS[name]
    base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    return _OPERATORS.get(base, base)


def tensors(*values: Any) -> Iterator[Tensor]:
    """The tensors in (nested) arguments."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(*value)
        elif isinstance(value, Mapping):
            yield from tensors(*value.values())


def positional(func: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Any) -> list[Any]:
    """The arguments by place, with those that torch allows to be named taken out of `kwargs`.

    Only what must be given and tensors: settings keep their names, by which rules know them.
    """
    args = list(args)
    if kwargs:
        for names, only_named in (*_signatures(func, name), _FALLBACK):
            if kwargs.keys() <= {*dict(names), *only_named}:
                break
        else:
            names = _FALLBACK[0]
        for place in range(len(args), len(names)):
            key, required = names[place]
            key = "self" if key == "input" and key not in kwargs else key
            if key not in kwargs or not (required or isinstance(kwargs[key], Tensor)):
                break
            args.append(kwargs.pop(key))
    return args


_FALLBACK: tuple[Names, frozenset[str]] = ((("input", True),), frozenset())


@lru_cache(maxsize=512)
def _signatures(func: Callable[..., Any], name: str) -> list[tuple[Names, frozenset[str]]]:
    """For each way to call a function its arguments in order, and those that are only named."""
    inner = inspect.unwrap(func)
    if _is_python(inner):
        given = inspect.signature(inner).parameters.values()
        by_place = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names = tuple((p.name, p.default is p.empty) for p in by_place)
        return [(names, frozenset(p.name for p in given if p.kind is p.KEYWORD_ONLY))]
    packet = getattr(torch.ops.aten, name, None)
    schemas = (
        [getattr(packet, each)._schema.arguments for each in packet.overloads()] if packet else []
    )
    return [
        (
            tuple(
                ("input" if a.name == "self" else a.name, not a.has_default_value())
                for a in schema
                if not a.kwarg_only
            ),
            frozenset(a.name for a in schema if a.kwarg_only),
        )
        for schema in schemas
    ]


@lru_cache(maxsize=256)
def _parameters(func: Callable[..., Any]) -> tuple[str, ...]:
    inner = inspect.unwrap(func)
    return tuple(inspect.signature(inner).parameters) if _is_python(inner) else ()


def _is_python(func: Any) -> bool:
    return isinstance(func, types.FunctionType)


def changes_in_place(name: str) -> bool:
    """Whether a function of this name changes its first argument."""
    return name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))


def in_place(
    func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[bool, Sequence[Any]]:
    """Whether a call changes its first argument, and the arguments without the flag for that."""
    if changes_in_place(name):
        return True, args
    flag = bool(kwargs.pop("inplace", False))
    names = _parameters(func)
    if "inplace" in names and len(args) > (place := names.index("inplace")):
        return bool(args[place]), [*args[:place], *args[place + 1 :]]
    return flag, args


def out_of_place(func: Any, name: str) -> Any:
    """The function that gives a new tensor where `func` changes its first argument."""
    if not name.endswith("_") or name == "__setitem__":
        return func
    return getattr(Tensor, plain(name), None) or getattr(torch.nn.functional, plain(name))


@lru_cache(maxsize=256)
def opened(func: Callable[..., Any]) -> Callable[..., Any] | None:
    """A copy of one of torch's Python functions that runs its body instead of asking the mode.

    Functions made of other functions (multi-head attention, say) so show their parts to the mode.
    None for functions that are not written in Python.
    """
    inner = inspect.unwrap(func)
    if not _is_python(inner):
        return None
    never = dict.fromkeys(
        ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic"),
        lambda *_: False,
    )
    copy = types.FunctionType(
        inner.__code__,
        {**inner.__globals__, **never},
        inner.__name__,
        inner.__defaults__,
        inner.__closure__,
    )
    copy.__kwdefaults__ = inner.__kwdefaults__
    return copy
