"""Capture: run a model with its sites tapped, and leave it as it was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError

Edit = Callable[[Site, Tensor], Tensor | None]
Selector = int | str | Site | Callable[[Any], Tensor] | None


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and parameters without gradients; both are as before afterwards.

    Compiled modules run uncompiled in the meantime: sites lie between their operations.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    >>> with frozen(model):
    ...     model.training, model[0].weight.requires_grad
    (False, False)
    >>> model.training, model[0].weight.requires_grad
    (True, True)
    """
    training = [(module, module.training) for module in model.modules()]
    gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for module, _ in training:
            # Not .eval(): modules may override it, and each call would walk the whole tree.
            module.training = False
        for parameter, _ in gradients:
            parameter.requires_grad_(False)
        with _uncompiled():
            yield
    finally:
        for module, mode in training:
            module.training = mode
        for parameter, needed in gradients:
            parameter.requires_grad_(needed)


def _uncompiled() -> AbstractContextManager[Any]:
    # Importing the compiler takes seconds; nothing is compiled before it is imported.
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
    The hooks are always removed.

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
    handles = [model.register_forward_pre_hook(lambda *_: calls.clear(), prepend=True)]

    def met(port: tuple[str, str], values: Any, listed: bool) -> Any:
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
        hint = next((f"{site.name}[{i}]" for i in _tensor_items(value)), None)
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
    items = _tensor_items(values)
    # A layer may return a state or None alongside its only tensor.
    return items[0] if len(items) == 1 else None


def _get(values: Any, key: int | str) -> Any:
    if isinstance(values, Tensor):
        raise TypeError("a structure is indexed here, not the samples of a tensor")
    if isinstance(key, str) and not isinstance(values, Mapping):
        return getattr(values, key)
    return values[key]


def _tensor_items(value: Any) -> list[int | str]:
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

    `selector` is a key, an index or a function; None if the model returns a tensor. Raises
    CodeclensError if the selection is not a tensor, naming what there is.

    >>> select({"logits": torch.zeros(2, 3)}, "logits").shape
    torch.Size([2, 3])
    """
    try:
        chosen = _selected(output, selector)
    except (KeyError, IndexError, AttributeError, TypeError):
        raise CodeclensError(
            f"output={selector!r} selects nothing: the model returns {_describe(output)}."
        ) from None
    if not isinstance(chosen, Tensor):
        items = _tensor_items(output)
        advice = f"pass output={items[0]!r}" if items else "pass a function as output=…"
        raise CodeclensError(
            f"The model returns {_describe(output)}, not a tensor; {advice} to say what to explain."
        )
    return chosen


def run(model: nn.Module, x: Tensor, selector: Selector) -> Tensor:
    """Run a model and select what is explained from its output, or from a site inside it.

    A `Site` as the selector explains a tensor inside the network, for example the drive of a cell
    before its output nonlinearity.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Softplus())
    >>> run(model, torch.ones(4, 2), Site("0")).shape
    torch.Size([4, 3])
    """
    if not isinstance(selector, Site):
        return select(model(x), selector)
    caught: list[Tensor] = []

    def catch(_: Site, tensor: Tensor) -> Tensor:
        caught.append(tensor)
        # The model continues with a copy: it may change the tensor in place.
        return tensor.clone()

    with tapped(model, [selector], catch):
        model(x)
    if not caught:
        raise CodeclensError(f'output="{selector.key}" is not reached when the model runs.')
    return caught[-1]


def _selected(output: Any, selector: Selector) -> Any:
    if selector is None:
        return output
    if isinstance(selector, Site):
        raise TypeError(selector)
    return selector(output) if callable(selector) else _get(output, selector)


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
    ) -> None:
        self.model = model
        self.sites = list(sites)
        self.output = output
        # Sites whose tensor the model changes in place afterwards, for example by an in-place ReLU.
        # The model gets copies of these, so that the kept activations do not change.
        self.overwritten = overwritten
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

    def __call__(self, x: Tensor) -> Pass:
        """Run the model on `x`; gradients flow from the output back to the sites."""
        with torch.enable_grad():
            return self._run(x)

    def look(self, x: Tensor) -> dict[str, Tensor]:
        """The activations at `x`, by a run without gradients."""
        with torch.no_grad():
            return {key: a.detach() for key, a in self._run(x).activations.items()}

    def _run(self, x: Tensor) -> Pass:
        self._kept = {}
        # The model gets a copy: it may change what it is given in place.
        with same_randomness(self.model):
            output = run(self.model, x.clone(), self.output)
        kept, self._kept = self._kept, {}
        return Pass(output, {site.key: kept[site.key] for site in self.sites})

    def _tap(self, site: Site, activation: Tensor) -> Tensor:
        if not activation.requires_grad:
            activation = activation.detach().requires_grad_()
        self._kept[site.key] = activation
        return activation.clone() if site.key in self.overwritten else activation
