"""Capture: run a model with its sites tapped, and leave it as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from codeclens.attribution.inputs import Batch, called
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError, shortened

Edit = Callable[[Site, Tensor], Tensor | None]
Selector = int | str | Site | Callable[[Any], Tensor] | None


# Held by the thread that has a module frozen. A module may be part of several models.
_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and parameters without gradients; both are as before afterwards.

    Other threads wait with `frozen` for the same model. Compiled modules run uncompiled in the
    meantime, because sites lie between their operations, checkpointed parts keep their activations,
    and the experts of a mixture run one after another instead of in one kernel.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with frozen(model):
    ...     model.training, model[0].weight.requires_grad
    (False, False)
    >>> model.training, model[0].weight.requires_grad
    (True, True)
    """
    with _alone(model):
        training = [(module, module.training) for module in model.modules()]
        gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        try:
            for module, _ in training:
                # Not .eval(): modules may override it, and each call would walk the whole tree.
                module.training = False
            for parameter, _ in gradients:
                parameter.requires_grad_(False)
            with _uncompiled(), _without_checkpoints(), _experts_apart(model):
                yield
        finally:
            for module, mode in training:
                module.training = mode
            for parameter, needed in gradients:
                parameter.requires_grad_(needed)


@contextmanager
def _experts_apart(model: nn.Module) -> Iterator[None]:
    """Experts of transformers' models run one after another, as they are written."""
    switch = "_experts_implementation"
    configurations = {
        id(found): found
        for module in model.modules()
        if getattr(found := getattr(module, "config", None), switch, None) is not None
    }
    before = [(found, getattr(found, switch)) for found in configurations.values()]
    try:
        for found, _ in before:
            setattr(found, switch, "eager")
        yield
    finally:
        for found, chosen in before:
            setattr(found, switch, chosen)


@contextmanager
def _alone(model: nn.Module) -> Iterator[None]:
    """Keeps other threads from freezing any module of the model."""
    with _LOCKS_LOCK:
        # In the same order for every thread: two that need the same modules never block each other.
        modules = sorted(set(model.modules()), key=id)
        locks = [_LOCKS.setdefault(module, threading.RLock()) for module in modules]
    with ExitStack() as held:
        for lock in locks:
            held.enter_context(lock)
        yield


class _Thread(threading.local):
    # How many contexts without checkpoints the thread is in.
    unchecked = 0


_THREAD = _Thread()


@contextmanager
def _without_checkpoints() -> Iterator[None]:
    """In this thread, checkpointed functions of torch run as they are.

    A checkpoint keeps no activations and runs its function again in the backward pass, where sites
    and secants would be met a second time.
    """
    _replace_checkpoints()
    _THREAD.unchecked += 1
    try:
        yield
    finally:
        _THREAD.unchecked -= 1


def _replace_checkpoints() -> None:
    # Both forms of torch's checkpoint look these names up when they are called, however the model
    # has imported it. In all other threads they do what they did.
    library: Any = torch.utils.checkpoint
    with _LOCKS_LOCK:
        if not isinstance(library.CheckpointFunction, _Reentrant):
            library.CheckpointFunction = _Reentrant(library.CheckpointFunction)
            library._checkpoint_without_reentrant_generator = _generator(
                library._checkpoint_without_reentrant_generator
            )


class _Reentrant:
    """Stands for torch's CheckpointFunction."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def apply(self, run_function: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        if _THREAD.unchecked:
            return run_function(*args)
        return self._function.apply(run_function, preserve, *args)


def _generator(original: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any, **kwargs: Any) -> Any:
        return _nothing() if _THREAD.unchecked else original(*args, **kwargs)

    return made


def _nothing() -> Iterator[None]:
    # The caller runs the function between the two steps.
    yield


def _uncompiled() -> AbstractContextManager[Any]:
    # Without torch._dynamo imported, nothing is compiled, so the import (seconds) is skipped.
    stance = getattr(torch.compiler, "set_stance", None)
    loaded = stance is not None and "torch._dynamo" in sys.modules
    return stance("force_eager") if stance is not None and loaded else nullcontext()


@contextmanager
def same_randomness(model: nn.Module) -> Iterator[None]:
    """Restores the random state afterwards, on the CPU and on the devices of the model.

    >>> with same_randomness(nn.Linear(1, 1)):
    ...     first = torch.rand(3)
    >>> bool((torch.rand(3) == first).all())
    True
    """
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices, key=str)):
        yield


@contextmanager
def tapped(model: nn.Module, sites: Sequence[Site], edit: Edit) -> Iterator[None]:
    """Call `edit(site, tensor)` at every site in every forward, and use the tensor it returns.

    A site with `call=None` stands for every call of its module, `call=1` for the second one only.
    The hooks act in this thread only, and are always removed.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with tapped(model, [Site("0")], lambda site, t: torch.zeros_like(t)):
    ...     model(torch.ones(1, 2))
    tensor([[0., 0., 0.]])
    """
    modules = dict(model.named_modules())
    by_port: dict[tuple[str, str], list[Site]] = {}
    for site in sites:
        by_port.setdefault((site.name, site.port), []).append(site)
    calls: dict[tuple[str, str], int] = {}
    thread = threading.get_ident()

    def begin(*_: Any) -> None:
        if threading.get_ident() == thread:
            calls.clear()

    handles = [model.register_forward_pre_hook(begin, prepend=True)]

    def met(port: tuple[str, str], values: Any, listed: bool) -> Any:
        if threading.get_ident() != thread:
            return values
        call = calls.get(port, 0)
        calls[port] = call + 1
        for site in by_port[port]:
            if site.call is None or site.call == call:
                tensor = _item(site, values, listed)
                edited = edit(site, tensor)
                if edited is not None:
                    values = _replaced(site, values, edited, listed)
        return values

    try:
        handles.extend(_hook(modules[port[0]], port, met) for port in by_port)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(module: nn.Module, port: tuple[str, str], met: Callable[..., Any]) -> Any:
    if port[1] == "output":
        return module.register_forward_hook(lambda _m, _args, output: met(port, output, False))

    def before(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return met(port, args, True), kwargs
        return args, met(port, kwargs, True)

    return module.register_forward_pre_hook(before, with_kwargs=True)


def _item(site: Site, values: Any, listed: bool) -> Tensor:
    """The site's tensor among the inputs (`listed`) or the outputs of its module."""
    key = _key(site, values, listed)
    try:
        value = values if key is None else _get(values, key)
    except (KeyError, IndexError, TypeError, AttributeError):
        raise CodeclensError(
            f'Site "{site.key}" has no item {key!r}: it returns {_describe(values)}.'
        ) from None
    if not isinstance(value, Tensor):
        hint = next((f"{site.name}[{i}]" for i in tensor_items(value)), None)
        advice = f'name the tensor in it, for example "{hint}"' if hint else "choose another module"
        raise CodeclensError(
            f'Site "{site.key}" returns {_describe(value)}, not a tensor; {advice}.'
        )
    if not value.is_floating_point():
        raise CodeclensError(
            f'Site "{site.key}" is {value.dtype}, which has no gradient; choose another module.'
        )
    return value


def _replaced(site: Site, values: Any, edited: Tensor, listed: bool) -> Any:
    key = _key(site, values, listed)
    if key is None:
        return edited
    if isinstance(values, tuple | list):
        items = list(values)
        fields_of = getattr(values, "_fields", None)
        items[fields_of.index(key) if isinstance(key, str) and fields_of else int(key)] = edited
        # Named tuples take their fields as separate arguments.
        return type(values)(items) if fields_of is None else type(values)(*items)
    if is_dataclass(values) and not isinstance(values, type):
        return replace(values, **{str(key): edited})
    return type(values)({**values, key: edited})


def _key(site: Site, values: Any, listed: bool) -> int | str | None:
    """The place of the site's tensor among the values; None if they are the tensor itself."""
    if site.item is not None:
        return site.item
    if listed:
        # The inputs of a module are a tuple or dict; the first one is the site.
        return next(iter(values)) if isinstance(values, dict) else 0
    items = tensor_items(values)
    # A layer may return a state or None alongside its only tensor.
    return items[0] if len(items) == 1 or (site.found and items) else None


def _get(values: Any, key: int | str) -> Any:
    if isinstance(values, Tensor):
        raise TypeError("a structure is indexed here, not the samples of a tensor")
    if isinstance(key, str) and not isinstance(values, Mapping):
        return getattr(values, key)
    return values[key]


def tensor_items(value: Any) -> list[int | str]:
    pairs: Any = []
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, tuple | list):
        pairs = enumerate(value)
    elif is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in fields(value))
    return [k for k, v in pairs if isinstance(v, Tensor) and v.is_floating_point()]


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(repr(k) for k in value)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def select(output: Any, selector: Selector) -> Tensor:
    """Select the one tensor that is explained from the output of a model.

    `selector` is a key, an index or a function; None if the model returns a tensor, or an object
    whose tensor `logits` is meant, as the models of transformers do. Raises
    CodeclensError if the selection is not a tensor, naming what there is.

    >>> select({"logits": torch.zeros(2, 3)}, "logits").shape
    torch.Size([2, 3])
    """
    try:
        chosen = _selected(output, selector)
    except (KeyError, IndexError, AttributeError, TypeError):
        raise CodeclensError(
            f"output={shortened(selector)} selects nothing: the model returns {_describe(output)}."
        ) from None
    if not isinstance(chosen, Tensor):
        items = tensor_items(output)
        advice = f"pass output={items[0]!r}" if items else "pass a function as output=…"
        raise CodeclensError(
            f"The model returns {_describe(output)}, not a tensor; {advice} to say what to explain."
        )
    return chosen


def run(model: nn.Module, x: Batch, selector: Selector) -> Tensor:
    """Run a model and select what is explained from its output, or from a site inside it.

    A `Site` as the selector explains a tensor inside the network, for example the drive of a cell
    before its output nonlinearity.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Softplus())
    >>> run(model, torch.ones(4, 2), Site("0")).shape
    torch.Size([4, 3])
    """
    if not isinstance(selector, Site):
        return select(called(model, x), selector)
    caught: list[Tensor] = []

    def catch(_: Site, tensor: Tensor) -> Tensor:
        caught.append(tensor)
        # The model continues with a copy: it may change the tensor in place.
        return tensor.clone()

    with tapped(model, [selector], catch):
        called(model, x)
    if not caught:
        raise CodeclensError(f'output="{selector.key}" is not reached when the model runs.')
    return caught[-1]


def _selected(output: Any, selector: Selector) -> Any:
    if selector is None:
        # What the models of transformers return has other entries beside them.
        logits = None if isinstance(output, Tensor) else getattr(output, "logits", None)
        return logits if isinstance(logits, Tensor) else output
    if isinstance(selector, Site):
        raise TypeError(selector)
    return selector(output) if callable(selector) else _get(output, selector)


def leaf(values: Tensor) -> Tensor:
    """The same values, where a graph begins.

    Modes do not see it: to them a graph that begins while the model runs is the model's own.
    """
    with torch._C.DisableTorchFunction():
        return values.detach().requires_grad_()


class SiteNotReachedError(CodeclensError):
    """A site that the samples of a batch do not reach, or not all of them."""


@dataclass(frozen=True)
class Pass:
    """The result of one forward: the selected output, and the activation of every site by key."""

    output: Tensor
    activations: dict[str, Tensor]


class Probe:
    """A model with its sites tapped, for forwards whose gradients reach the sites and stop there.

    Use it as a context; inside, `probe(x)` runs the model. The activations of the earliest sites
    are leaves, so the backward stops there; later ones stay part of the graph. A model that draws
    random numbers draws the same ones in every forward.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sequence[Site],
        output: Selector = None,
        overwritten: frozenset[str] = frozenset(),
        partial: bool = False,
    ) -> None:
        self.model = model
        self.sites = list(sites)
        self.output = output
        # Sites whose tensor the model changes in place afterwards, for example by an in-place ReLU.
        # The model gets copies of these, so that the kept activations do not change.
        self.overwritten = overwritten
        # If `partial`, sites that an input does not reach are left out of its `Pass`, and noted.
        self.partial = partial
        self.missed: set[str] = set()
        self._count = 0
        self._kept: dict[str, Tensor] = {}
        self._contexts = ExitStack()

    def __enter__(self) -> Probe:
        with ExitStack() as entered:
            entered.enter_context(frozen(self.model))
            entered.enter_context(tapped(self.model, self.sites, self._tap))
            # Nothing failed: the contexts are closed by __exit__, not here.
            self._contexts = entered.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._kept = {}
        self._contexts.close()

    def __call__(self, x: Batch) -> Pass:
        """Run the model on `x`; gradients flow from the output back to the sites."""
        with torch.enable_grad():
            return self._run(x)

    def look(self, x: Batch) -> dict[str, Tensor]:
        """The activations at `x`, by a run without gradients."""
        try:
            with torch.no_grad():
                found = self._run(x)
        except RuntimeError:
            # A model that takes gradients inside its forward needs them.
            found = self(x)
        return {key: a.detach() for key, a in found.activations.items()}

    def _run(self, x: Batch) -> Pass:
        self._kept, self._count = {}, len(x)
        # The model gets a copy: it may change what it is given in place.
        with same_randomness(self.model):
            output = run(self.model, x.clone(), self.output)
        kept, self._kept = self._kept, {}
        missed = [site.key for site in self.sites if site.key not in kept]
        if missed and not self.partial:
            raise SiteNotReachedError(
                f'Site "{missed[0]}" is not reached by some inputs on the path from the baseline; '
                "choose a site that every input reaches."
            )
        self.missed.update(missed)
        return Pass(output, {site.key: kept[site.key] for site in self.sites if site.key in kept})

    def _tap(self, site: Site, activation: Tensor) -> Tensor:
        if self.partial and len(activation) != self._count:
            # Only some samples of the batch are here, or none.
            return activation
        if not activation.requires_grad:
            activation = leaf(activation)
        self._kept[site.key] = activation
        return activation.clone() if site.key in self.overwritten else activation
