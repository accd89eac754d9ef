"""Surveys: one forward pass that inspects the sites before contributions are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from codeclens.attribution.capture import Selector, frozen, run, same_randomness, tapped
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError


@dataclass(frozen=True)
class Survey:
    """What one forward of one or two samples shows about sites.

    `sites` are the requested ones, one for each call if a module is called several times; `cuts`
    are the keys of those through which every path from the input to the output passes;
    `overwritten` are the keys of those whose tensor is changed in place later. `memory` is the
    approximate number of bytes per sample: the graph of one node, and each site's activation,
    gradient and contributions.
    """

    sites: list[Site]
    cuts: frozenset[str]
    overwritten: frozenset[str]
    memory: int


def survey(model: nn.Module, sites: Sequence[Site], x: Tensor, output: Selector = None) -> Survey:
    """Survey the sites of a model, by one forward of `x` with gradients from the input.

    Raises CodeclensError for a model that does not run on `x` or does not return a tensor with a
    sample axis, and for a site that is never reached, is not a tensor or has no sample axis.

    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    >>> found = survey(model, [Site("0"), Site("1")], torch.ones(1, 2))
    >>> sorted(found.cuts), sorted(found.overwritten)
    (['0', '1'], ['0'])
    """
    met: dict[Site, list[tuple[Tensor, int, Any]]] = {}

    def note(site: Site, activation: Tensor) -> Tensor:
        if activation.ndim < 2 or len(activation) != len(x):
            raise CodeclensError(
                f'Site "{site.key}" returns a tensor of shape {tuple(activation.shape)} for '
                f"{len(x)} samples; its first axis does not count them. Choose another module, or "
                "pass x[None] for a single sample."
            )
        # The graph node of this copy stands for this call of this site only; if the model changes
        # the tensor in place later, the version of the copy increases.
        copy = activation.clone()
        met.setdefault(site, []).append((copy, copy._version, copy.grad_fn))
        return copy

    start = x.detach().requires_grad_()
    graph = _Kept(model)
    with (
        frozen(model),
        tapped(model, sites, note),
        same_randomness(model),
        torch.enable_grad(),
        saved_tensors_hooks(graph.pack, graph.unpack),
    ):
        result = _run(model, start.clone(), output)
    if result.ndim == 0 or len(result) != len(x):
        raise CodeclensError(
            f"The model returns a tensor of shape {tuple(result.shape)} for {len(x)} samples of "
            f"shape {tuple(x.shape[1:])}; its first axis must count the samples. Pass output=… to "
            "select another one, and x[None] for a single sample."
        )
    resolved: dict[str, Site] = {}
    cuts: set[str] = set()
    overwritten: set[str] = set()
    for site in sites:
        if site not in met:
            raise CodeclensError(
                f'Site "{site.key}" is not reached when the model runs; choose another module.'
            )
        for number, (copy, version, node) in enumerate(met[site]):
            one = replace(site, call=number) if len(met[site]) > 1 else site
            resolved[one.key] = one
            if _separates(node, result, start):
                cuts.add(one.key)
            if copy._version != version:
                overwritten.add(one.key)
    at_sites = sum(copy.nbytes for calls in met.values() for copy, _, _ in calls)
    # The graph holds the sites' copies and the originals: one of them too many.
    memory = (graph.bytes + 2 * at_sites) // len(x)
    return Survey(list(resolved.values()), frozenset(cuts), frozenset(overwritten), memory)


class _Kept:
    """Counts the bytes that a graph keeps for its backward, except the model's own tensors."""

    def __init__(self, model: nn.Module) -> None:
        self.bytes = 0
        own = [*model.parameters(), *model.buffers()]
        self._seen = {tensor.untyped_storage().data_ptr() for tensor in own}

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        # Detached: a graph that keeps its own output would never be freed.
        return tensor.detach()

    def unpack(self, tensor: Tensor) -> Tensor:
        return tensor


def _run(model: nn.Module, x: Tensor, output: Selector) -> Tensor:
    """Run the model; an input that does not fit gives one sentence instead of a traceback."""
    try:
        return run(model, x, output)
    except CodeclensError:
        raise
    except Exception as error:  # anything that a forward raises, for example for other shapes
        first = next(iter(str(error).strip().splitlines()), "")
        reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
        raise CodeclensError(
            f"The model does not run on an input of shape {tuple(x.shape)}, {x.dtype} on "
            f"{x.device} (the first axis counts samples; pass x[None] for a single one): {reason}"
        ) from error


def _separates(node: Any, result: Tensor, start: Tensor) -> bool:
    """Whether every path of the graph from `start` to `result` passes through `node`."""
    if node is None or result.grad_fn is None:
        return False
    seen = {node}
    queue = [result.grad_fn]
    while queue:
        step = queue.pop()
        if step in seen:
            continue
        seen.add(step)
        if getattr(step, "variable", None) is start:
            return False
        queue.extend(parent for parent, _ in step.next_functions if parent is not None)
    return True
