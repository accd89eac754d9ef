"""Fingerprints: the options of a run in JSON, so that two runs can be compared."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Reprs of functions and objects contain memory addresses, which differ between runs.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_DEEPEST = 6
_ROWS_AT_ONCE = 1024


def without_addresses(text: str) -> str:
    """A text without memory addresses, so that it is the same in every run.

    >>> without_addresses("<function f at 0x7f00c0ffee>")
    '<function f>'
    """
    return _ADDRESS.sub("", text)


def digest(parts: Iterable[bytes | memoryview]) -> str:
    """The SHA-256 of the concatenated parts, in hexadecimal."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def array_digest(array: np.ndarray[Any, Any] | Tensor) -> str:
    """The SHA-256 of the values of an array or tensor in C order, read in blocks of rows.

    >>> array_digest(np.zeros(2)) == array_digest(torch.zeros(2, dtype=torch.float64))
    True
    """
    return digest(_bytes(array))


def model_fingerprint(model: nn.Module) -> dict[str, str]:
    """Class, structure and state of a model, to recognize a model that computes the same.

    `structure` is a SHA-256 of the names, classes and settings of all modules, `state` one of the
    names, types, shapes and bytes of all parameters and buffers. The code of `forward` is not
    included.

    >>> model = nn.Linear(2, 3)
    >>> before = model_fingerprint(model)
    >>> _ = nn.init.zeros_(model.weight)
    >>> [part for part, value in model_fingerprint(model).items() if value != before[part]]
    ['state']
    """
    structure = "\n".join(
        f"{name}: {type(module).__qualname__}({without_addresses(module.extra_repr())})"
        for name, module in model.named_modules()
    )
    return {
        "class": type(model).__qualname__,
        "structure": digest([structure.encode()]),
        "state": digest(_state(model)),
    }


def describe(value: Any, depth: int = 0) -> Any:
    """An option in JSON: dataclasses by field, arrays by digest, functions by code.

    >>> from codeclens.attribution import Conductance
    >>> describe(Conductance(steps=4))
    {'class': 'Conductance', 'steps': 4, ...}
    >>> describe(torch.zeros(2))["shape"]
    [2]
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.generic):
        number = float(value)
        return number if np.isfinite(number) else str(number)
    if isinstance(value, Tensor | np.ndarray):
        shape, dtype = list(value.shape), str(value.dtype).removeprefix("torch.")
        return {"shape": shape, "dtype": dtype, "sha256": array_digest(value)}
    if depth > _DEEPEST:
        return without_addresses(repr(value))
    below = depth + 1
    if is_dataclass(value) and not isinstance(value, type):
        items = {f.name: describe(getattr(value, f.name), below) for f in fields(value)}
        return {"class": type(value).__qualname__, **items}
    if isinstance(value, Mapping):
        return {str(k): describe(v, below) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [describe(v, below) for v in value]
    if isinstance(value, set | frozenset):
        # The order of a set differs between processes.
        return sorted((describe(v, below) for v in value), key=repr)
    return _describe_object(value, below)


def differences(stored: Any, asked: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every setting in which two descriptions differ, with both values.

    >>> list(differences({"method": {"steps": 10}}, {"method": {"steps": 20}}))
    [('method.steps', 10, 20)]
    """
    if isinstance(stored, dict) and isinstance(asked, dict):
        for key in dict.fromkeys([*stored, *asked]):
            below = f"{name}.{key}" if name else str(key)
            yield from differences(stored.get(key), asked.get(key), below)
    elif stored != asked:
        yield name, stored, asked


def plain(value: Any) -> Any:
    """A value after a round trip through JSON: tuples become lists, keys become text."""
    return json.loads(json.dumps(value, allow_nan=False))


def _describe_object(value: Any, depth: int) -> Any:
    if isinstance(value, nn.Module):
        return model_fingerprint(value)
    if isinstance(value, functools.partial):
        inner = [value.func, list(value.args), value.keywords]
        return {"class": "partial", "of": describe(inner, depth)}
    if inspect.ismethod(value):
        return {"method": value.__name__, "of": describe(value.__self__, depth)}
    if isinstance(value, FunctionType):
        return _describe_function(value, depth)
    if isinstance(value, type) or inspect.isbuiltin(value):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if _ADDRESS.search(text) is None:
        return text
    held = getattr(value, "__dict__", {})
    return {
        "class": type(value).__qualname__,
        "text": without_addresses(text),
        "holds": describe(held, depth),
    }


def _describe_function(function: FunctionType, depth: int) -> dict[str, Any]:
    # By code, because different lambdas have the same name.
    captured = inspect.getclosurevars(function).nonlocals
    return {
        "function": f"{function.__module__}.{function.__qualname__}",
        "code": digest(_code(function.__code__)),
        "captured": describe([captured, function.__defaults__, function.__kwdefaults__], depth),
    }


def _code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(describe(constant)).encode()


def _state(model: nn.Module) -> Iterator[bytes | memoryview]:
    for kind in (model.named_parameters, model.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            yield f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode()
            yield from _bytes(tensor)


def _bytes(array: np.ndarray[Any, Any] | Tensor) -> Iterator[memoryview]:
    """The values in C order; arrays, which may be large memory maps, in blocks of rows."""
    if isinstance(array, Tensor):
        # As bytes, because numpy lacks some types of torch (bfloat16).
        flat = array.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        yield flat.numpy().data
        return
    if array.ndim == 0:
        array = array[None]
    for start in range(0, len(array), _ROWS_AT_ONCE):
        rows = np.ascontiguousarray(array[start : start + _ROWS_AT_ONCE])
        yield rows.reshape(-1).view(np.uint8).data
