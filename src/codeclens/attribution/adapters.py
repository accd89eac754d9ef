"""Adapters: attributions of other libraries as methods, at our sites and for our targets."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from codeclens.attribution.capture import Probe, Selector, run
from codeclens.attribution.inputs import Batch, Inputs, tensors_of
from codeclens.attribution.methods import AtInput, Attributed, Explained, Method, wide
from codeclens.attribution.replay import released
from codeclens.attribution.sites import Site
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError

# Arguments of Captum's `attribute` that the adapter sets itself, or needs at their defaults.
_OURS = ("additional_forward_args", "baselines", "inputs", "return_convergence_delta", "target")
_PORT = "attribute_to_layer_input"


@dataclass(frozen=True, init=False)
class Captum(Method):
    """Layer attribution by Captum, such as `Captum(LayerConductance, n_steps=20)`.

    `factory(model, layer)` makes the attribution; `settings` are passed to its `attribute`. The
    model that it gets has our target `(B,)` as its output; our baseline is passed if `attribute`
    takes `baselines`. A site is the output of a module, its input if Captum supports that, or one
    item of a tuple, by number. `complete` says whether Captum offers a convergence delta.

    Raises CodeclensError if the factory does not make a layer attribution, if `attribute` does not
    take a setting or the adapter sets it itself, if Captum cannot attribute to a site (one call of
    several, an item by name, a structure that is not all tensors), and if the attribution does not
    have the shape of the activation (such as Grad-CAM's).

    >>> from captum.attr import LayerConductance
    >>> from codeclens.attribution import contributions
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> method = Captum(LayerConductance, n_steps=100)
    >>> c = contributions(model, torch.ones(5, 4), sites="1", method=method)
    >>> c["1"].net.shape, method.complete
    (torch.Size([5, 8]), True)
    """

    factory: Callable[..., Any]
    settings: Mapping[str, Any]

    def __init__(self, factory: Callable[..., Any], **settings: Any) -> None:
        object.__setattr__(self, "factory", factory)
        object.__setattr__(self, "settings", settings)
        self._check()

    @property
    def complete(self) -> bool:
        """Whether contributions at a cut sum to T(x) − T(x0), up to quadrature."""
        attribution = self.factory(nn.Identity(), nn.Identity())
        offered = getattr(attribution, "has_convergence_delta", None)
        return offered is not None and bool(offered()) and "baselines" in _taken(attribution)

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        here = probe(x)
        bounds = at_x(here)
        targets = [bound(here.output).detach() for bound in bounds]
        shapes = {key: activation.shape for key, activation in here.activations.items()}
        del here
        ends: list[Tensor | None] = [None] * len(bounds)
        if "baselines" in _taken(self.factory(nn.Identity(), nn.Identity())):
            there = probe(baseline).output
            ends = [bound(there).detach() for bound in bounds]
            del there
        totals: list[dict[str, Tensor]] = []
        with released(probe) as model, _tidied(model):
            for bound in bounds:
                whole = _TargetModel(model, probe.output, bound, x)
                found = {site.key: self._at(site, whole, x, baseline) for site in probe.sites}
                totals.append(found)
        for key, shape in shapes.items():
            if totals[0][key].shape != shape:
                raise CodeclensError(
                    f"{self._name} returns a tensor of shape {tuple(totals[0][key].shape)} at "
                    f'"{key}", whose activation is {tuple(shape)}; choose an attribution with a '
                    "number for each entry of the activation."
                )
        return Attributed([Explained(*each) for each in zip(totals, targets, ends, strict=True)])

    @property
    def _name(self) -> str:
        return getattr(self.factory, "__name__", None) or repr(self.factory)

    def _at(self, site: Site, whole: _TargetModel, x: Batch, baseline: Batch) -> Tensor:
        """The attribution to one site, in the layout of its activation."""
        layer = whole.model.get_submodule(site.name)
        attribution = self.factory(whole, layer)
        taken = _taken(attribution)
        self._require_expressible(site, taken)
        settings = dict(self.settings)
        if "baselines" in taken:
            settings["baselines"] = _as_given(baseline)
        if site.port == "input":
            settings[_PORT] = True
        samples = torch.arange(len(x), device=x.device)
        hook = layer.register_forward_hook(lambda _m, _a, given: _require_tensors(site, given))
        try:
            with warnings.catch_warnings():
                # DeepLift warns at every call that it uses hooks and removes them.
                warnings.filterwarnings("ignore", message="Setting forward, backward hooks")
                found = attribution.attribute(
                    _as_given(x, leaves=True), additional_forward_args=(samples,), **settings
                )
        finally:
            hook.remove()
        if isinstance(found, tuple):
            found = found[int(site.item or 0)]
        return wide(found.detach())

    def _require_expressible(self, site: Site, taken: Mapping[str, Any]) -> None:
        if site.call is not None:
            raise CodeclensError(
                f'Captum does not distinguish the calls of a module, and "{site.key}" is one of '
                f'several of "{site.name}"; choose another module.'
            )
        if isinstance(site.item, str):
            raise CodeclensError(
                f'Captum cannot attribute to item {site.item!r} of "{site.name}", only to items '
                "by number; choose a module that returns a tensor."
            )
        if site.port == "input" and _PORT not in taken:
            raise CodeclensError(
                f'{self._name} cannot attribute to the input of a module, as "{site.key}" asks; '
                "choose the output of the module before it."
            )

    def _check(self) -> None:
        if not callable(self.factory):
            raise CodeclensError(
                f"{self.factory!r} is not a layer attribution of Captum; pass its class, for "
                "example Captum(captum.attr.LayerConductance)."
            )
        layer = nn.Identity()
        attribution = self.factory(nn.Identity(), layer)
        taken = _taken(attribution)
        if getattr(attribution, "layer", None) is not layer or "neuron_selector" in taken:
            raise CodeclensError(
                f"{self._name} is not a layer attribution of Captum; pass one that takes a model "
                "and a layer, for example Captum(captum.attr.LayerConductance)."
            )
        known = sorted(taken.keys() - {*_OURS, _PORT, "kwargs"})
        for name in self.settings:
            if name not in known:
                raise CodeclensError(
                    f"{self._name} takes no setting {name}={self.settings[name]!r} here; its "
                    f"settings are {', '.join(known) or 'none'}."
                )


class _TargetModel(nn.Module):
    """A model whose output is a target that is fixed for the samples of a batch."""

    def __init__(self, model: nn.Module, selector: Selector, bound: Bound, x: Batch) -> None:
        super().__init__()
        self.model = model
        self.selector = selector
        self.bound = bound
        self.x = x
        self.training = False

    def forward(self, *given: Tensor) -> Tensor:
        """The target `(R,)` of rows `(R, …)`; the last, `samples` `(R,)`, says whose each row is.

        For example one row per step of a path, in any order, equally many for every sample. There
        is one tensor of rows for each input that moves.
        """
        *moved, samples = given
        output = run(self.model, self._rows(moved, samples), self.selector)
        order = samples.argsort(stable=True)
        batches = order.reshape(len(self.x), -1).T
        values = torch.stack([self.bound(output[rows]) for rows in batches])
        return values.T.reshape(-1)[order.argsort()]

    def _rows(self, moved: list[Tensor], samples: Tensor) -> Batch:
        if not isinstance(self.x, Inputs):
            return moved[0].clone()
        places = self.x.moved
        return self.x[samples].with_moved(
            {place: tensor.clone() for place, tensor in zip(places, moved, strict=True)}
        )


@contextmanager
def _tidied(model: nn.Module) -> Iterator[None]:
    """Remove the attributes that an attribution leaves on modules when it fails half-way."""
    before = [(module, set(vars(module))) for module in model.modules()]
    try:
        yield
    finally:
        for module, names in before:
            for name in vars(module).keys() - names:
                delattr(module, name)


def _as_given(x: Batch, leaves: bool = False) -> Any:
    """What moves, as Captum takes it: a tensor, or a tuple of several."""
    copies = tuple(tensor.clone().requires_grad_(leaves) for tensor in tensors_of(x))
    return copies if len(copies) > 1 else copies[0]


def _taken(attribution: Any) -> Mapping[str, Any]:
    """The parameters of an attribution's `attribute`."""
    attribute = getattr(attribution, "attribute", None)
    return {} if attribute is None else inspect.signature(attribute).parameters


def _require_tensors(site: Site, given: Any) -> None:
    if isinstance(given, Tensor) or site.port == "input":
        return
    if not isinstance(given, tuple | list) or not all(isinstance(g, Tensor) for g in given):
        raise CodeclensError(
            f'Captum cannot attribute to "{site.key}": it returns a {type(given).__name__} that is '
            "not all tensors; choose a module that returns a tensor."
        )


@dataclass(frozen=True)
class Zennit(Method):
    """Relevance by a composite of zennit: `Zennit(zennit.composites.EpsilonPlus())`.

    The composite replaces the backward rules of the layers that it names; its canonizers, if any,
    replace layers. The backward pass starts from the relevance of the output: the output times the
    gradient of the target, that is, only the logit of the explained class. The relevance at a site
    is its contribution. There is no baseline, hence no completeness. Inputs, calls and items of
    modules work as for our own methods, and one pass covers all sites.

    Raises CodeclensError if the composite is not one of zennit. (Layer-wise relevance propagation;
    arXiv 2106.13200 for zennit.)

    >>> class Plain:
    ...     def context(self, model):
    ...         from contextlib import nullcontext
    ...         return nullcontext()
    >>> from codeclens.attribution import contributions
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> c = contributions(model, torch.ones(5, 4), sites="1", method=Zennit(Plain()))
    >>> c["1"].net.shape
    torch.Size([5, 8])
    """

    composite: Any

    def __post_init__(self) -> None:
        if isinstance(self.composite, type) or not callable(
            getattr(self.composite, "context", None)
        ):
            raise CodeclensError(
                f"{self.composite!r} is not a composite of zennit; pass an instance, for example "
                "Zennit(zennit.composites.EpsilonPlus())."
            )

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        explained = []
        with self.composite.context(probe.model):
            here = probe(x)
            sites = list(here.activations.values())
            for bound in at_x(here):
                target, seed = _relevance(here.output, bound)
                found: Any = [None] * len(sites)
                if here.output.requires_grad:
                    found = torch.autograd.grad(
                        here.output, sites, seed, retain_graph=True, allow_unused=True
                    )
                total = {
                    key: wide(torch.zeros_like(a) if relevance is None else relevance).detach()
                    for (key, a), relevance in zip(here.activations.items(), found, strict=True)
                }
                explained.append(Explained(total, target, None))
        return Attributed(explained)


def _relevance(output: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
    """The target `(B,)`, and the relevance of the output: its gradient times the output."""
    leaf = output.detach().requires_grad_()
    target = bound(leaf)
    (gradient,) = torch.autograd.grad(target.sum(), leaf)
    return target.detach(), gradient * leaf.detach()
