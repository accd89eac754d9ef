"""Pixelwise: what the target owes to every pixel through each part of a site, along a path."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution.capture import Probe
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.joint import Division
from codeclens.attribution.methods import AtInput, wide
from codeclens.attribution.nodes import require_ascending
from codeclens.attribution.path import SecantWalk, follow
from codeclens.attribution.sites import Site


def pixels_along(
    method: Conductance,
    probe: Probe,
    x: Tensor,
    baseline: Tensor,
    at_x: AtInput,
    divisions: Mapping[str, Division],
) -> dict[str, Float[Tensor, "part sign batch *input"]]:
    """What passes from each pixel through every part of each site, `(A, 2, B, …)` by site.

    In every segment of the path the cotangent that arrives at a site is restricted to a part's
    share, passed back to the input by secants, and multiplied by the change of the pixels. The
    first of the two signs holds the places where a unit excites on the whole, the second those
    where it suppresses. The nodes of `method` are placed.
    """
    walk = _PixelWalk(probe, at_x, divisions)
    follow(walk, require_ascending(method.nodes), x, baseline)
    return {
        key: torch.stack([torch.stack(pair) for pair in parts]) for key, parts in walk.maps.items()
    }


class _PixelWalk(SecantWalk):
    """Passes back what arrives at a site, a part at a time, to the input itself."""

    def __init__(self, probe: Probe, at_x: AtInput, divisions: Mapping[str, Division]) -> None:
        super().__init__(probe, at_x)
        self._sites: dict[str, Site] = {site.key: site for site in probe.sites}
        self._divisions = divisions
        self._x: Tensor | None = None
        self.maps: dict[str, list[list[Tensor]]] = {}

    def visit(self, x: Tensor) -> list[Tensor]:
        # The input is a leaf here, so that everything behind it is on the way and has its secant.
        start = x.detach().clone().requires_grad_()
        here, targets = self._forward(start)
        if self._x is None:
            self.maps = {
                key: [
                    [torch.zeros_like(wide(start.detach())) for _ in "+-"] for _ in range(d.parts)
                ]
                for key, d in self._divisions.items()
            }
        elif targets[0].requires_grad:
            self._pass_back(targets[0], here.activations, start, wide(self._x - x))
        self._x = x
        return [target.detach() for target in targets]

    def _pass_back(
        self, target: Tensor, activations: dict[str, Tensor], start: Tensor, change: Tensor
    ) -> None:
        keys = list(self._divisions)
        arriving = torch.autograd.grad(
            target.sum(), [activations[key] for key in keys], retain_graph=True, allow_unused=True
        )
        for key, cotangent in zip(keys, arriving, strict=True):
            division = self._divisions[key]
            if cotangent is None or not activations[key].requires_grad:
                continue
            units = self._sites[key].units(cotangent)
            for part in range(division.parts):
                field = division.field(part).to(units)
                for total, places in zip(
                    self.maps[key][part], (division.excites, ~division.excites), strict=True
                ):
                    share = field.where(places, 0)
                    if not share.any():
                        continue
                    masked = self._sites[key].restore(units * share, like=cotangent)
                    (back,) = torch.autograd.grad(
                        activations[key], start, masked, retain_graph=True, allow_unused=True
                    )
                    if back is not None:
                        total.addcmul_(wide(back), change)
