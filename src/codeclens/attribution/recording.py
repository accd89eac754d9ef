"""Recorded runs: what a model computes before a site, kept so that it is computed only once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from codeclens.attribution.capture import Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.inputs import Batch
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError

# Marks a call that runs the module, among calls that return recorded results.
RUN = object()
# A tensor: the number of the call that returned it, and its place in what that call returned.
Name = tuple[int, int]


@dataclass
class Leaf:
    """A tensor that a module returned: its values if something reads them, otherwise its shape.

    `axis` is the one that grows with the number of samples, None if there is none.
    """

    name: Name
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    values: Tensor | None
    axis: int | None = 0

    @classmethod
    def of(cls, name: Name, tensor: Tensor, keep: bool) -> Leaf:
        # A copy: the model may change the tensor in place.
        values = tensor.detach().clone() if keep else None
        return cls(name, tuple(tensor.shape), tensor.dtype, tensor.device, values)

    def handed(self, copies: int) -> Tensor:
        """The tensor repeated for `copies` copies of the batch, as a new tensor."""
        repeats = [1] * len(self.shape)
        if self.axis is not None and repeats:
            repeats[self.axis] = copies
        if self.values is not None:
            return self.values.repeat(repeats) if copies > 1 else self.values.clone()
        # Nothing reads it: one number takes no memory, and NaN would be noticed.
        shape = [size * times for size, times in zip(self.shape, repeats, strict=True)]
        unread = float("nan") if self.dtype.is_floating_point else 0
        return torch.full((), unread, dtype=self.dtype, device=self.device).expand(shape)


class RecordedRun:
    """One run of a model that keeps what was computed before a site.

    Run the model within `patched(recorded.forwards(model))` and call `meet` when it reaches the
    site. `wanted` names the tensors whose values are kept; None keeps all.
    """

    def __init__(self, wanted: set[Name] | None = None) -> None:
        self.wanted = wanted
        # Calls before the site in the order of their beginning, each with the calls around it.
        self.calls: list[tuple[nn.Module, tuple[int, ...]]] = []
        # What the outermost of the finished calls returned, by number.
        self.kept: dict[int, Any] = {}
        # The calls that have not finished when the site is reached.
        self.running: frozenset[int] | None = None
        self.stack: list[int] = []

    def meet(self) -> None:
        """Mark the site as reached; from here on the model runs unchanged."""
        self.running = frozenset(self.stack)

    def forwards(self, model: nn.Module) -> list[tuple[nn.Module, Callable[..., Any]]]:
        """For every module the function that runs in place of its forward and records it."""
        modules = (m for m in model.modules() if not isinstance(m, torch.jit.ScriptModule))
        return [(module, self._recorded(module, module.forward)) for module in modules]

    def _recorded(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*args: Any, **kwargs: Any) -> Any:
            if self.running is not None:
                return forward(*args, **kwargs)
            number = len(self.calls)
            self.calls.append((module, tuple(self.stack)))
            self.stack.append(number)
            try:
                given = forward(*args, **kwargs)
            finally:
                self.stack.pop()
            if self.running is None:
                self._keep(number, given)
            return given

        return recorded

    def _keep(self, number: int, given: Any) -> None:
        # With the result of the outer call, those of the calls inside are not needed.
        for inner in [n for n in self.kept if n > number]:
            del self.kept[inner]
        place = iter(range(len(list(leaves(given, Tensor)))))

        def leaf(tensor: Tensor) -> Leaf:
            name = (number, next(place))
            return Leaf.of(name, tensor, self.wanted is None or name in self.wanted)

        self.kept[number] = mapped(given, Tensor, leaf)

    def entries(self) -> list[tuple[nn.Module, list[Any]]]:
        """For every module that does not run: what each of its calls returns, or RUN."""
        found: dict[int, tuple[nn.Module, list[Any]]] = {}
        for number, (module, within) in enumerate(self.calls):
            if self.kept.keys().isdisjoint(within):
                outputs = found.setdefault(id(module), (module, []))[1]
                outputs.append(self.kept.get(number, RUN))
        return [entry for entry in found.values() if any(output is not RUN for output in entry[1])]

    def compare(self, other: RecordedRun, size: int, other_size: int) -> str | None:
        """Find the sample axes by comparison with a run on another number of samples.

        `size` is the number of samples of this run, `other_size` that of the `other`. Returns the
        reason if the axes cannot be found.
        """
        if self.calls != other.calls or self.kept.keys() != other.kept.keys():
            return "which modules run depends on the samples"
        for number, (module, _) in enumerate(self.calls):
            mine, theirs = self.kept.get(number), other.kept.get(number)
            kind = type(module).__name__
            if list(leaves(mine, (bool, int, float, str))) != list(
                leaves(theirs, (bool, int, float, str))
            ):
                return f"a {kind} returns numbers that depend on the samples"
            for leaf, its in zip(leaves(mine, Leaf), leaves(theirs, Leaf), strict=True):
                grown = [axis for axis, n in enumerate(leaf.shape) if n != its.shape[axis]]
                leaf.axis = grown[0] if grown else None
                shapes = f"{its.shape} for {other_size} and {leaf.shape} for {size} samples"
                if len(grown) > 1 or any(
                    leaf.shape[axis] * other_size != its.shape[axis] * size for axis in grown
                ):
                    return f"a {kind} returns {shapes}, so no axis counts them"
        return None


class Reads(TorchDispatchMode):
    """Records which of the watched tensors are read by any operation."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[Name] = set()
        self._names: dict[int, Name] = {}
        # As long as they are alive, no other object has their id.
        self._alive: list[Tensor] = []

    def watch(self, tensor: Tensor, name: Name) -> None:
        self._names[id(tensor)] = name
        self._alive.append(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in leaves([args, kwargs], Tensor):
            name = self._names.get(id(tensor))
            if name is not None and func is torch.ops.aten.detach.default:
                self.watch(result, name)
            elif name is not None:
                self.read.add(name)
        return result


@contextmanager
def patched(forwards: Iterable[tuple[nn.Module, Callable[..., Any]]]) -> Iterator[None]:
    """Replace the forward of modules by other functions, and restore it afterwards."""
    before = []
    try:
        for module, forward in forwards:
            before.append((module, vars(module).get("forward")))
            vars(module)["forward"] = forward
        yield
    finally:
        for module, own in reversed(before):
            if own is None:
                del vars(module)["forward"]
            else:
                vars(module)["forward"] = own


def mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """A copy of a (nested) structure in which all objects of a kind are changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, Mapping):
        return type(value)({k: mapped(v, kind, change) for k, v in value.items()})  # type: ignore
    if isinstance(value, tuple | list):
        items = [mapped(item, kind, change) for item in value]
        # Named tuples take their fields as separate arguments.
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        found = {f.name: mapped(getattr(value, f.name), kind, change) for f in fields(value)}
        return type(value)(**found)
    return value


def leaves(value: Any, kind: Any) -> Iterator[Any]:
    """All objects of a kind in a (nested) structure."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from leaves(item, kind)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item, kind)
    elif is_dataclass(value) and not isinstance(value, type | Leaf):
        for field in fields(value):
            yield from leaves(getattr(value, field.name), kind)


class UnreplayableError(CodeclensError):
    """The part of the model after `site` cannot be run on its own."""

    def __init__(self, site: Site, message: str) -> None:
        super().__init__(f'Site "{site.key}" {message}')
        self.site = site


class Watch:
    """One site during one run: its tensor, and the calls around the site and the output."""

    def __init__(self, site: Site, selector: Selector, recording: RecordedRun) -> None:
        self.site = site
        self.recording = recording
        self._selector = selector
        self._met: list[Tensor] = []
        # The calls around each call of the site, and around each of the output if it is a site.
        self._stacks: list[tuple[int, ...]] = []
        self._shown: list[tuple[int, ...]] = []

    @contextmanager
    def over(self, model: nn.Module) -> Iterator[None]:
        """Watch a run of the model."""
        stack = self.recording.stack

        def meet(_: Site, tensor: Tensor) -> None:
            if len(self._stacks) == (self.site.call or 0):
                self._met.append(tensor.detach().clone())
                self.recording.meet()
            self._stacks.append(tuple(stack))

        def show(*_: object) -> None:
            self._shown.append(tuple(stack))

        with ExitStack() as contexts:
            contexts.enter_context(patched(self.recording.forwards(model)))
            contexts.enter_context(tapped(model, [replace(self.site, call=None)], meet))
            if isinstance(self._selector, Site):
                contexts.enter_context(tapped(model, [replace(self._selector, call=None)], show))
            yield

    def activation(self, samples: int) -> Tensor:
        """The site's tensor; raises CodeclensError unless there is one for all samples."""
        if not self._met:
            raise CodeclensError(
                f'Site "{self.site.key}" is not reached when the model runs; choose another module.'
            )
        if self.site.call is None and len(self._stacks) > 1:
            raise UnreplayableError(
                self.site,
                f"runs {len(self._stacks)} times; name one of its calls, "
                f'for example "{self.site.key}#0".',
            )
        found = self._met[0]
        if found.ndim < 1 or len(found) != samples:
            raise UnreplayableError(
                self.site,
                f"returns a tensor of shape {tuple(found.shape)} for {samples} samples; "
                "its first axis does not count them. Choose another module.",
            )
        return found

    @property
    def place(self) -> Site:
        """The site with its call as a replay counts calls: some modules do not run there."""
        return self._renumbered(replace(self.site, call=self.site.call or 0), self._stacks)

    @property
    def shown(self) -> Selector:
        """What selects the output in a replay."""
        if not isinstance(self._selector, Site):
            return self._selector
        return self._renumbered(self._selector, self._shown)

    @property
    def early(self) -> bool:
        """Whether the output is a site in a part of the model that a replay does not run."""
        if not isinstance(self._selector, Site):
            return False
        call = self._selector.call
        return not self._remains(self._shown[-1 if call is None else call])

    def _renumbered(self, site: Site, stacks: Sequence[tuple[int, ...]]) -> Site:
        if site.call is None:
            return site
        return replace(site, call=sum(self._remains(stack) for stack in stacks[: site.call]))

    def _remains(self, stack: tuple[int, ...]) -> bool:
        """Whether a replay runs what lies within these calls."""
        running = self.recording.running
        return running is not None and running.issuperset(stack)


def watched(model: nn.Module, watches: Sequence[Watch], selector: Selector, x: Batch) -> Tensor:
    """Run the model on `x` once while all its sites are watched; returns the output."""
    with ExitStack() as contexts:
        contexts.enter_context(frozen(model))
        contexts.enter_context(same_randomness(model))
        for watch in watches:
            contexts.enter_context(watch.over(model))
        return run(model, x.clone(), selector)
