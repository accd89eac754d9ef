"""Secant propagation: gradients whose products with finite changes sum exactly.

Between two nodes of a path the change of every intermediate tensor is finite. Where the backward
pass multiplies by the secant slope of a nonlinearity instead of its derivative, and by the mean of
the other factor in a product, the changes of a cut site times the gradients that arrive there sum
to the change of the target, at any number of nodes. Linear operations stay as they are. The rules
themselves are in the files beside this one, by kind of operation.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# From the gradient at an operation's value, the gradient at each of its inputs.
Pullback = Callable[[Tensor], tuple[Tensor | None, ...]]
# Computes one operation out of place, with its secant for a gradient.
Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
LINEAR: set[str] = set()

_OPERATORS = {
    **{name: "mul" for name in ("__mul__", "__rmul__", "__imul__", "multiply")},
    **{name: "div" for name in ("__truediv__", "__itruediv__", "true_divide", "divide")},
    **{name: "rdiv" for name in ("__rtruediv__", "__rdiv__")},
    **{name: "pow" for name in ("__pow__", "__ipow__")},
    **{name: "matmul" for name in ("__matmul__", "bmm", "mm")},
    "__rpow__": "rpow",
    "__rmatmul__": "rmatmul",
    "__abs__": "abs",
    "absolute": "abs",
    "clip": "clamp",
}
_IN_PLACE = {"__imul__", "__itruediv__", "__ipow__"}


class SecantMode(TorchFunctionMode):
    """While active, every operation on the way from a site to the target passes secants back.

    Run the model at one node after another and call `step()` before each. At every nonlinear
    operation the mode remembers its inputs, and in the next run takes the secant between them
    and the new ones: one node is in memory at a time, and no tensor's layout matters. `uncovered`
    names the operations met that have no rule: these pass back their derivative, and the sum is
    exact up to what that leaves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.uncovered: set[str] = set()
        self._before: list[tuple[Tensor, ...]] = []
        self._now: list[tuple[Tensor, ...]] = []
        self._versions: list[tuple[int, ...]] = []
        self._copied: set[int] = set()

    def step(self) -> None:
        """Begin the run at the next node: what was remembered becomes what came before."""
        self._before = self._now
        self.redo()

    def redo(self) -> None:
        """Begin the run at the same node again."""
        self._now, self._versions = [], []

    def intact(self) -> bool:
        """Whether the model has left alone what was remembered in this run.

        A model that changes a tensor in place after it went through a nonlinearity changes our
        memory too. Such tensors are copied from then on, and this run must be repeated.
        """
        remembered = zip(self._now, self._versions, strict=True)
        changed = {
            number
            for number, (tensors, versions) in enumerate(remembered)
            if tuple(t._version for t in tensors) != versions
        }
        self._copied |= changed
        return not changed

    def remember(self, *tensors: Tensor) -> tuple[Tensor, ...] | None:
        """Keep the inputs of one operation; gives those at the node before, None at the first."""
        number = len(self._now)
        kept = tuple(t.detach() for t in tensors)
        if number in self._copied:
            kept = tuple(t.clone() for t in kept)
        self._now.append(kept)
        self._versions.append(tuple(t._version for t in kept))
        if number >= len(self._before):
            return None
        before = self._before[number]
        if [t.shape for t in before] != [t.shape for t in kept]:
            # The model took another way than at the node before: there is no secant.
            self.uncovered.add("control flow that depends on the input")
            return None
        return before

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in LINEAR or not torch.is_grad_enabled() or not follows([*args, *kwargs.values()]):
            return func(*args, **kwargs)
        plain = _plain(name)
        if plain in RULES:
            return self._apply(RULES[plain], func, name, args, kwargs)
        opened = _opened(func)
        if opened is not None:
            with self:
                return opened(*args, **kwargs)
        result = func(*args, **kwargs)
        if follows([result]):
            self.uncovered.add(name)
        return result

    def _apply(
        self, rule: Rule, func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        in_place, args = _in_place(func, name, args, kwargs)
        if not in_place:
            return rule(self, func, *args, **kwargs)
        # What is remembered must outlive the change, and the result go where it would have gone.
        into = args[0] if args else kwargs.pop("input")
        result = rule(self, _out_of_place(func, name), into.clone(), *args[1:], **kwargs)
        return into.copy_(result)


class _Backward(torch.autograd.Function):
    """A value whose gradient at its inputs is what a pullback says."""

    @staticmethod
    def forward(ctx: Any, given: list[Tensor], pullback: Pullback, *inputs: Tensor) -> Tensor:
        ctx.pullback = pullback
        # In a list: a tensor that came as such would leave as a view, which no model could change.
        return given.pop()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return None, None, *ctx.pullback(gradients[0])


def with_gradient(value: Tensor, pullback: Pullback, *inputs: Tensor) -> Tensor:
    """Give `value` the gradient `pullback` at `inputs`, whatever its own would be."""
    result: Tensor = _Backward.apply([value.detach()], pullback, *inputs)
    return result


def unfinished(value: Tensor, *inputs: Tensor) -> Tensor:
    """At the first node nothing is passed back, but the graph must show what depends on what."""
    return with_gradient(value, lambda _: tuple(torch.zeros_like(z) for z in inputs), *inputs)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for torch functions and methods by name (in-place forms come with them).

    A rule takes the mode, torch's out-of-place function and its arguments. It asks
    `mode.remember(inputs)` for the inputs at the node before and returns `with_gradient`.
    """

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def follows(values: Any) -> bool:
    """Whether any tensor in (nested) arguments is on the way from a site to the target."""
    if isinstance(values, Tensor):
        return values.requires_grad
    if isinstance(values, list | tuple):
        return any(follows(value) for value in values)
    return False


def _plain(name: str) -> str:
    """The name of a rule for a function's name: without operator's underscores or in-place's."""
    if name in _OPERATORS:
        return _OPERATORS[name]
    base = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    return _OPERATORS.get(base, base)


@lru_cache(maxsize=256)
def _parameters(func: Callable[..., Any]) -> tuple[str, ...]:
    inner = inspect.unwrap(func)
    return tuple(inspect.signature(inner).parameters) if _is_python(inner) else ()


def _is_python(func: Any) -> bool:
    return isinstance(func, types.FunctionType)


def _in_place(
    func: Any, name: str, args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[bool, Sequence[Any]]:
    """Whether a call changes its first argument, and the arguments without the flag for that."""
    if name in _IN_PLACE or (name.endswith("_") and not name.endswith("__")):
        return True, args
    flag = bool(kwargs.pop("inplace", False))
    names = _parameters(func)
    if "inplace" in names and len(args) > (place := names.index("inplace")):
        return bool(args[place]), [*args[:place], *args[place + 1 :]]
    return flag, args


def _out_of_place(func: Any, name: str) -> Any:
    """The function that gives a new tensor where `func` changes its first argument."""
    if not name.endswith("_"):
        return func
    plain = _plain(name)
    return getattr(Tensor, plain, None) or getattr(torch.nn.functional, plain)


@lru_cache(maxsize=256)
def _opened(func: Callable[..., Any]) -> Callable[..., Any] | None:
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
