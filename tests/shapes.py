"""Shapes, checked while the tests run: what a function took and gave must fit its annotations.

`watch("codeclens")` rewrites the package as it is imported, so that each call is held against those
of its annotations that speak of arrays (`Float[Tensor, "batch unit"]`, alone or inside `tuple[…]`,
`… | None` and the like), with one meaning for a dimension's name throughout the call; the fields
of a dataclass likewise. jaxtyping's own hook checks every annotation before the body runs. This
one waits until the call has succeeded, so that a user's mistake still meets the package's own
error, and a mistake that the package lets through is found here.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, get_args

from beartype.door import is_bearable
from jaxtyping import AbstractArray, jaxtyped


class ShapeError(TypeError):
    """An array whose shape or type contradicts its annotation: a mistake in the package."""


def watch(package: str) -> None:
    """Check the functions of `package` from its next import on."""
    sys.meta_path.insert(0, _Finder(package))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hold every successful call of `function` against its array annotations."""
    if inspect.isgeneratorfunction(function):
        return function  # a call only makes the generator; its body has not run yet
    where = f"{function.__module__}.{function.__qualname__}"

    @functools.cache
    def expected() -> tuple[inspect.Signature, dict[str, Any]]:
        return inspect.signature(function), _arrays(function.__annotations__, function.__globals__)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        signature, hints = expected()
        if hints:
            _compare(where, hints, signature.bind(*args, **kwargs).arguments | {"return": result})
        return result

    return wrapper


def checked_class(cls: type) -> type:
    """Hold the fields of every new instance against their array annotations, if a dataclass."""
    if is_dataclass(cls):
        build = cls.__init__
        where = f"{cls.__module__}.{cls.__qualname__}"
        names = [field.name for field in fields(cls)]

        @functools.wraps(build)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            build(self, *args, **kwargs)
            hints = _arrays(cls.__annotations__, vars(sys.modules[cls.__module__]))
            _compare(where, hints, {name: getattr(self, name) for name in names if name in hints})

        cls.__init__ = wrapper
    return cls


def _arrays(annotations: Mapping[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Return the annotations that speak of arrays, without those that only type checkers see."""
    found = {}
    for name, hint in annotations.items():
        try:
            resolved = eval(hint, names) if isinstance(hint, str) else hint
        except NameError:
            continue
        if _speaks_of_arrays(resolved):
            found[name] = resolved
    return found


def _speaks_of_arrays(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_speaks_of_arrays(part) for part in get_args(hint))


def _compare(where: str, hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    seen = []
    with jaxtyped("context"):
        for name, hint in hints.items():
            if name not in values:
                continue
            shape = getattr(values[name], "shape", None)
            seen.append(f"{name}: {type(values[name]).__name__} {shape and tuple(shape)}")
            if not is_bearable(values[name], hint):
                raise ShapeError(f"{where}: {name} is not {hint} ({'; '.join(seen)})")


class _Finder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        # Compiled afresh each time: the rewritten code must not reach the cache that users read.
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), filename=path)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.decorator_list.append(_decorator("checked", node))
            elif isinstance(node, ast.ClassDef):
                node.decorator_list.insert(0, _decorator("checked_class", node))
        return compile(tree, path, "exec", dont_inherit=True)


def _decorator(name: str, node: ast.FunctionDef | ast.ClassDef) -> ast.expr:
    expression = ast.parse(f"__import__({__name__!r}).{name}", mode="eval").body
    for part in ast.walk(expression):
        ast.copy_location(part, node)
    return expression
