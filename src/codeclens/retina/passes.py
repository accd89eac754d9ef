"""Passes: forwards from the stimulus through a site to the rates, with the derivatives between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from codeclens.attribution import Probe, Selector, Site, find_sites, survey
from codeclens.errors import CodeclensError


@dataclass
class Passage:
    """One forward of some windows, its graph kept: `r(a(s))` with `a` the activation of a site.

    `rates` is `(B, cells)`. Without a site only `field` is there. Derivatives come in the layout
    of what they belong to.
    """

    start: Tensor
    rates: Tensor
    activation: Tensor | None
    _pulled: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def field(self, cell: int) -> Tensor:
        """The instantaneous receptive field `∂r/∂s`, `(B, history, H, W)`."""
        return self._gradient(self.rates[:, cell].sum(), self.start)

    def gain(self, cell: int) -> Tensor:
        """What the rate gains for each unit of activation, `∂r/∂a`."""
        return self._gradient(self.rates[:, cell].sum(), self._at_site)

    def back(self, cotangent: Tensor) -> Tensor:
        """`Jᵀ g`: a cotangent at the site as a field, with `J = ∂a/∂s`."""
        return self._gradient(self._at_site, self.start, cotangent)

    def push(self, direction: Tensor) -> Tensor:
        """`J d`: how the activation changes with the stimulus in a direction.

        `Jᵀ v` is linear in v, so its derivative with respect to v is J, without forward mode.
        """
        if self._pulled is None:
            vector = torch.zeros_like(self._at_site, requires_grad=True)
            (pulled,) = torch.autograd.grad(
                self._at_site, self.start, vector, create_graph=True, materialize_grads=True
            )
            self._pulled = vector, pulled
        vector, pulled = self._pulled
        return self._gradient(pulled, vector, direction)

    @property
    def _at_site(self) -> Tensor:
        assert self.activation is not None
        return self.activation

    @staticmethod
    def _gradient(of: Tensor, by: Tensor, cotangent: Tensor | None = None) -> Tensor:
        if not of.requires_grad:
            return torch.zeros_like(by)
        (found,) = torch.autograd.grad(of, by, cotangent, retain_graph=True, materialize_grads=True)
        derivative: Tensor = found.detach()
        return derivative


class Passes:
    """A model made ready for passages through one site, or through none.

    `site` says where the units are; `is_cut` whether all that reaches the rates passes there.
    """

    def __init__(self, probe: Probe, site: Site | None, is_cut: bool, device: torch.device) -> None:
        self.site = site
        self.is_cut = is_cut
        self._probe = probe
        self._device = device

    def __call__(self, windows: Tensor) -> Passage:
        """Run some windows; raises CodeclensError where rates are not (windows, cells)."""
        start = windows.detach().to(self._device).clone().requires_grad_()
        here = self._probe(start)
        if here.output.ndim != 2 or len(here.output) != len(windows):
            raise CodeclensError(
                f"The model gives {tuple(here.output.shape)} for {len(windows)} windows; fields "
                "are those of rates (windows, cells). Pass output=… to select them."
            )
        activation = None if self.site is None else here.activations[self.site.key]
        return Passage(start, here.output, activation)


@contextmanager
def passes(
    model: nn.Module, windows: Tensor, site: str | Site | None = None, output: Selector = None
) -> Iterator[Passes]:
    """Make a model ready, in evaluation mode; it is afterwards as it was.

    With a site some windows run once to see what it is; without one nothing runs yet, so that a
    model may be changed in a way that fits these windows alone. Raises CodeclensError for a site
    that is not reached, or is several.
    """
    device = next((parameter.device for parameter in model.parameters()), windows.device)
    output = as_output(model, output)
    with torch.inference_mode(False), torch.enable_grad():
        if site is None:
            with Probe(model, [], output) as probe:
                yield Passes(probe, None, True, device)
            return
        found = survey(model, find_sites(model, site), windows[:2].to(device).clone(), output)
        if len(found.sites) > 1:
            keys = ", ".join(f'"{one.key}"' for one in found.sites[:4])
            raise CodeclensError(f'"{site}" means {len(found.sites)} sites, {keys}; name one.')
        with Probe(model, found.sites, output, found.overwritten) as probe:
            yield Passes(probe, found.sites[0], bool(found.cuts), device)


def as_output(model: nn.Module, output: Selector) -> Selector:
    """What is explained: text names a module of the model, such as `ResponseModel.drive`."""
    if isinstance(output, str | Site):
        return find_sites(model, output)[0]
    return output
