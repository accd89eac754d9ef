"""Surveys: one forward pass that inspects the sites before contributions are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parameter import is_lazy

from codeclens.attribution.capture import (
    Selector,
    SiteNotReachedError,
    frozen,
    run,
    same_randomness,
    tapped,
    tensor_items,
)
from codeclens.attribution.dependence import Dependence
from codeclens.attribution.inputs import Batch, leaves_of, shape_words, tensors_of
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError


@dataclass(frozen=True)
class Survey:
    """What one forward of one or two samples shows about sites.

    `sites` are the requested ones, one for each call if a module is called several times; `cuts`
    are the keys of those through which every path from the input to the output passes;
    `overwritten` are the keys of those whose tensor is changed in place later. `memory` is the
    approximate number of bytes per sample: the graph of one node, and each site's activation,
    gradient and contributions. `interrupted` says for each site from which no gradient reaches the
    output what stops it, and nothing if the output does not depend on the site. `parted` are the
    interruptions on a part of the way from the other sites to the output. `first_is_cut` says
    whether the site met first is a cut, so that its sum shows any error at the others too.
    `lowest` is the least precise floating-point type that the model computes with. `shapes` are
    those of the sites' activations for one sample. `secants_only` are the sites behind which an
    operation has no derivative but a secant rule.
    """

    sites: list[Site]
    cuts: frozenset[str]
    overwritten: frozenset[str]
    memory: int
    interrupted: dict[str, str] = field(default_factory=dict)
    parted: frozenset[str] = frozenset()
    first_is_cut: bool = False
    lowest: torch.dtype = torch.float32
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    secants_only: frozenset[str] = frozenset()

    @staticmethod
    def joined(parts: Sequence[Survey]) -> Survey:
        """The surveys of several sites as one, for a model in which no input reaches all."""
        first, *_ = parts
        return Survey(
            [site for part in parts for site in part.sites],
            frozenset().union(*(part.cuts for part in parts)),
            frozenset().union(*(part.overwritten for part in parts)),
            max(part.memory for part in parts),
            {key: words for part in parts for key, words in part.interrupted.items()},
            frozenset().union(*(part.parted for part in parts)),
            False,
            first.lowest,
            {key: shape for part in parts for key, shape in part.shapes.items()},
            frozenset().union(*(part.secants_only for part in parts)),
        )


def survey(model: nn.Module, sites: Sequence[Site], x: Batch, output: Selector = None) -> Survey:
    """Survey the sites of a model, by one forward of `x` with gradients from the input.

    Raises CodeclensError for a model that does not run on `x` or does not return a tensor with a
    sample axis, and for a site that is never reached, is not a tensor or has no sample axis.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    >>> found = survey(model, [Site("0"), Site("1")], torch.ones(1, 2))
    >>> sorted(found.cuts), sorted(found.overwritten)
    (['0', '1'], ['0'])
    """
    _require_visible(model, sites)
    if any(site.found for site in sites):
        sites = _resolved(model, sites, x, output)
    met: list[_Met] = []

    def note(site: Site, activation: Tensor) -> Tensor:
        if activation.ndim < 2 or len(activation) != len(x):
            raise SiteNotReachedError(
                f'Site "{site.key}" returns a tensor of shape {tuple(activation.shape)} for '
                f"{len(x)} samples; its first axis does not count them. Choose another module, or "
                "pass x[None] for a single sample."
            )
        # Behind an interruption a site begins a graph of its own. The node of this copy stands for
        # this call of this site only; if the model changes the tensor in place later, the version
        # of the copy increases.
        on_the_way = activation.requires_grad
        with torch.enable_grad(), torch._C.DisableTorchFunction():
            given = activation if on_the_way else activation.detach().requires_grad_()
            copy = given.clone()
        depends.passed(len(met), activation, copy)
        met.append(_Met(site, copy, copy._version, copy.grad_fn))
        return copy

    start, leaves = leaves_of(x)
    graph = _Kept(model)
    depends = Dependence(model)
    with (
        frozen(model),
        tapped(model, sites, note),
        same_randomness(model),
        torch.enable_grad(),
        saved_tensors_hooks(graph.pack, graph.unpack),
    ):
        copy_of_start = start.clone()
        for tensor in tensors_of(copy_of_start):
            depends.begin(tensor)
        with depends:
            result = _run(model, copy_of_start, output)
    if result.ndim == 0 or len(result) != len(x):
        raise CodeclensError(
            f"The model returns a tensor of shape {tuple(result.shape)} for {len(x)} samples "
            f"{_each(x)}; its first axis must count the samples. Pass output=… to select another "
            "one, and x[None] for a single sample."
        )
    at_sites = sum(one.copy.nbytes for one in met)
    # The graph holds the sites' copies and the originals: one of them too many.
    memory = (graph.bytes + 2 * at_sites) // len(x)
    return _described(sites, met, depends, result, leaves, memory)


def _resolved(model: nn.Module, sites: Sequence[Site], x: Batch, output: Selector) -> list[Site]:
    """Of sites that a preset has found those that run, each with the tensor that goes on.

    A module may return several tensors: the first that is a cut is the site, or else the first that
    reaches the output.
    """
    several: dict[str, list[int | str]] = {}
    met: set[str] = set()
    names = {site.name for site in sites if site.found}
    modules = {name: module for name, module in model.named_modules() if name in names}

    def note(name: str, values: Any) -> None:
        met.add(name)
        several[name] = tensor_items(values) if isinstance(values, tuple | list) else []

    hooks = [
        module.register_forward_hook(lambda _m, _x, y, name=name: note(name, y))
        for name, module in modules.items()
    ]
    try:
        with frozen(model), same_randomness(model), torch.no_grad():
            _run(model, x.clone(), output)
    except CodeclensError:
        # A model may need gradients; the survey itself reports everything else.
        return list(sites)
    finally:
        for hook in hooks:
            hook.remove()
    kept = [site for site in sites if not site.found or site.name in met]
    if not kept:
        return list(sites)
    chosen: list[Site] = []
    for site in kept:
        items = several.get(site.name, []) if site.found and site.item is None else []
        if len(items) < 2:
            chosen.append(site)
            continue
        given = [replace(site, item=item, found=False) for item in items]
        found = survey(model, given, x, output)
        reached = [each for each in found.sites if each.key not in found.interrupted]
        cuts = [each for each in reached if each.key in found.cuts]
        best = next(iter((*cuts, *reached, *given)))
        chosen.append(next((each for each in given if each.key == best.key), given[0]))
    return chosen


@dataclass(frozen=True)
class _Met:
    """One call of a site: the copy that the model went on with, as it was then."""

    site: Site
    copy: Tensor
    version: int
    node: Any


def _described(
    sites: Sequence[Site],
    met: Sequence[_Met],
    depends: Dependence,
    result: Tensor,
    leaves: Sequence[Tensor],
    memory: int,
) -> Survey:
    """What the graph and the dependence of `result` say about the sites that were met."""
    reached = _ancestors(result.grad_fn)
    # Quantised layers have no derivative; rounding has none either, but a secant.
    bare = {node for node in reached if "NotImplemented" in node.name()}
    without = _ancestors(*(bare - depends.ruled))
    by_secants_alone = _ancestors(*(bare & depends.ruled))

    def is_cut(place: int) -> bool:
        separates = _separates(met[place].node, result, leaves)
        return separates and not depends.passes_around(place, result)

    resolved: dict[str, Site] = {}
    cuts: set[str] = set()
    overwritten: set[str] = set()
    interrupted: dict[str, str] = {}
    parted: set[str] = set()
    secants_only: set[str] = set()
    shapes: dict[str, tuple[int, ...]] = {}
    for site in sites:
        calls = [(place, one) for place, one in enumerate(met) if one.site == site]
        if not calls:
            raise SiteNotReachedError(
                f'Site "{site.key}" is not reached when the model runs; choose another module.'
            )
        for number, (place, one) in enumerate(calls):
            called = replace(site, call=number) if len(calls) > 1 else site
            key = called.key
            resolved[key] = called
            shapes[key] = tuple(one.copy.shape[1:])
            if one.copy._version != one.version:
                overwritten.add(key)
            if one.node not in reached:
                interrupted[key] = _what_stops(depends, place, result)
                continue
            if one.node in without:
                interrupted[key] = "operations without a derivative, such as quantised layers"
                continue
            if one.node in by_secants_alone:
                secants_only.add(key)
            parted |= depends.interruptions(place, result)
            if is_cut(place):
                cuts.add(key)
    return Survey(
        list(resolved.values()),
        frozenset(cuts),
        frozenset(overwritten),
        memory,
        interrupted,
        frozenset(parted),
        bool(met) and met[0].node in reached and is_cut(0),
        depends.lowest or leaves[0].dtype,
        shapes,
        frozenset(secants_only),
    )


def _what_stops(depends: Dependence, place: int, result: Tensor) -> str:
    """What keeps the gradient from a site, in words; nothing if the result does not need it."""
    if not depends.reaches(place, result):
        return ""
    found = sorted(depends.interruptions(place, result))
    return ", ".join(found) or "a choice (an index, a comparison or rounding)"


def _ancestors(*nodes: Any) -> set[Any]:
    """Nodes of the graph and all behind them."""
    seen: set[Any] = set()
    queue = list(nodes)
    while queue:
        node = queue.pop()
        if node is not None and node not in seen:
            seen.add(node)
            queue.extend(parent for parent, _ in node.next_functions)
    return seen


def _require_visible(model: nn.Module, sites: Sequence[Site]) -> None:
    """Raise CodeclensError for models that have no values yet, or whose inside cannot be seen."""
    if isinstance(model, torch.jit.ScriptModule):
        raise CodeclensError(
            "The model is scripted or traced (torch.jit), so its inside cannot be seen; pass the "
            "model that it was made from."
        )
    scripted = {n for n, m in model.named_modules() if isinstance(m, torch.jit.ScriptModule)}
    for site in sites:
        outer = next((n for n in scripted if site.name.startswith(f"{n}.")), None)
        if outer is not None or (site.name in scripted and site.port == "input"):
            raise CodeclensError(
                f'Site "{site.key}" lies in a scripted or traced part ("{outer or site.name}"), '
                "whose inside cannot be seen; replace it by the module that it was made from, or "
                "take its output as the site."
            )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise CodeclensError(
                f'The parameter "{name}" has no shape yet (a lazy module); run the model once on '
                "an input."
            )
        if tensor.is_meta:
            raise CodeclensError(
                f'"{name}" is on the device "meta" and has no values; load the weights first, for '
                "example with model.to_empty(device=…) and load_state_dict."
            )


class _Kept:
    """Counts the bytes that a graph keeps for its backward, except the model's own tensors."""

    def __init__(self, model: nn.Module) -> None:
        self.bytes = 0
        own = [*model.parameters(), *model.buffers()]
        strided = [tensor for tensor in own if tensor.layout is torch.strided]
        self._seen = {tensor.untyped_storage().data_ptr() for tensor in strided}

    def pack(self, tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided:
            # Sparse tensors are small, and have no storage of their own.
            return tensor.detach()
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        # Detached: a graph that keeps its own output would never be freed.
        return tensor.detach()

    def unpack(self, tensor: Tensor) -> Tensor:
        return tensor


def _run(model: nn.Module, x: Batch, output: Selector) -> Tensor:
    """Run the model; an input that does not fit gives one sentence instead of a traceback."""
    try:
        return run(model, x, output)
    except CodeclensError:
        raise
    except Exception as error:  # anything that a forward raises, for example for other shapes
        first = next(iter(str(error).strip().splitlines()), "")
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
        raise CodeclensError(
            f"The model does not run on an input {shape_words(x)} (the first axis counts samples; "
            f"pass x[None] for a single one): {reason}"
        ) from error


def _each(x: Batch) -> str:
    return f"of shape {tuple(x.shape[1:])}" if isinstance(x, Tensor) else shape_words(x)


def _separates(node: Any, result: Tensor, leaves: Sequence[Tensor]) -> bool:
    """Whether every path of the graph from the `leaves` to `result` passes through `node`."""
    if node is None or result.grad_fn is None:
        return False
    seen = {node}
    queue = [result.grad_fn]
    while queue:
        step = queue.pop()
        if step in seen:
            continue
        seen.add(step)
        variable = getattr(step, "variable", None)
        if any(variable is leaf for leaf in leaves):
            return False
        queue.extend(parent for parent, _ in step.next_functions if parent is not None)
    return True
