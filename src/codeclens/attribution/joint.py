"""Joint contributions: through one part of a site, and then through one part of the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from codeclens.attribution.capture import Probe
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.inputs import Batch
from codeclens.attribution.methods import AtInput, Method, wide
from codeclens.attribution.path import SecantWalk, follow, require_ascending
from codeclens.attribution.sites import Site
from codeclens.errors import CodeclensError

# The keys of two sites, the one nearer to the input first.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Division:
    """How the contributions of a site's units divide among A parts, for each sample.

    `positive` and `negative` `(B, A, U)` are each part's share of a unit's positive and negative
    contributions, or `(B, A, U, P)` where shares differ between positions; `excites` `(B, U, P)` is
    true at positions where the contribution is positive. If the shares of all parts sum to 1,
    everything is divided.

    >>> half = torch.full((1, 2, 3), 0.5)
    >>> Division(half, half, torch.ones(1, 3, 4, dtype=torch.bool)).field(0).shape
    torch.Size([1, 3, 4])
    """

    positive: Float[Tensor, "batch part unit *position"]
    negative: Float[Tensor, "batch part unit *position"]
    excites: Bool[Tensor, "batch unit position"]

    @property
    def parts(self) -> int:
        """The number of parts A."""
        return self.positive.shape[1]

    def field(self, part: int) -> Float[Tensor, "batch unit position"]:
        """One part's share of every unit at every position, `(B, U, P)`."""
        positive, negative = self.positive[:, part], self.negative[:, part]
        if positive.ndim == 2:
            positive, negative = positive[..., None], negative[..., None]
        return torch.where(self.excites, positive, negative)

    def is_empty(self, part: int) -> bool:
        """Whether a part has no share of anything, in no sample."""
        return not bool(self.positive[:, part].any() or self.negative[:, part].any())


def secants_of(method: Method) -> Conductance:
    """The method, if it is Conductance with secants; raises CodeclensError otherwise."""
    if (
        not isinstance(method, Conductance)
        or method.rule != "secant"
        or method.tolerance is not None
    ):
        raise CodeclensError(
            f"{method!r} has no joint contributions: their sums must be exact. Pass "
            'Conductance(steps) with rule="secant" and without a tolerance.'
        )
    return method


def joint_along(
    method: Conductance,
    probe: Probe,
    x: Batch,
    baseline: Batch,
    at_x: AtInput,
    divisions: Mapping[str, Division],
    pairs: Sequence[Pair],
) -> dict[Pair, Float[Tensor, "batch source sink"]]:
    """Contributions through every part of one site and then every part of another, for each pair.

    In every segment of the path the cotangent at the later site is restricted to a part's share,
    passed back to the earlier site by secants, multiplied by the change of the activation there,
    and divided among the parts there. The nodes of `method` must be placed.
    """
    alphas = require_ascending(method.nodes)
    walk, *_ = follow(lambda: _JointWalk(probe, at_x, divisions, pairs), alphas, x, baseline)
    found = {}
    for source, sink in pairs:
        here = divisions[source]
        arrived = torch.stack(walk.joint[source, sink], dim=1)
        found[source, sink] = torch.einsum(
            "bau,bku->bak", here.positive, arrived[..., 0]
        ) + torch.einsum("bau,bku->bak", here.negative, arrived[..., 1])
    return found


class _JointWalk(SecantWalk):
    """Passes the cotangent of each part of a site back to the earlier site."""

    def __init__(
        self,
        probe: Probe,
        at_x: AtInput,
        divisions: Mapping[str, Division],
        pairs: Sequence[Pair],
    ) -> None:
        super().__init__(probe, at_x)
        self._sites: dict[str, Site] = {site.key: site for site in probe.sites}
        self._divisions = divisions
        self._pairs = pairs
        # For each pair and each part of its sink: by unit of the source, the sums over positions
        # that excite on the whole and over those that suppress. Positions are summed at once, so
        # memory does not grow with the number of parts.
        self.joint = {
            (source, sink): [
                torch.zeros(*divisions[source].positive[:, 0].shape, 2).to(
                    divisions[source].positive
                )
                for _ in range(divisions[sink].parts)
            ]
            for source, sink in pairs
        }

    def visit(self, x: Batch) -> list[Tensor]:
        first = not self._bounds
        here, targets = self._forward(x)
        changes = {key: self._change(key, found) for key, found in here.activations.items()}
        if not first and targets[0].requires_grad:
            self._pass_back(targets[0], here.activations, changes)
        return [target.detach() for target in targets]

    def _pass_back(
        self, target: Tensor, activations: dict[str, Tensor], changes: dict[str, Tensor | None]
    ) -> None:
        sinks = list(dict.fromkeys(sink for _, sink in self._pairs))
        arriving = torch.autograd.grad(
            target.sum(),
            [activations[sink] for sink in sinks],
            retain_graph=True,
            allow_unused=True,
        )
        cotangents = dict(zip(sinks, arriving, strict=True))
        for source, sink in self._pairs:
            cotangent, change = cotangents[sink], changes[source]
            if cotangent is None or change is None:
                continue
            for part in range(self._divisions[sink].parts):
                if not self._divisions[sink].is_empty(part):
                    back = self._back(source, sink, part, cotangent, activations)
                    self._collect(source, sink, part, back * change)

    def _back(
        self, source: str, sink: str, part: int, cotangent: Tensor, activations: dict[str, Tensor]
    ) -> Tensor:
        site = self._sites[sink]
        units = site.units(cotangent)
        share = self._divisions[sink].field(part).to(units)
        masked = site.restore(units * share, like=cotangent)
        (back,) = torch.autograd.grad(
            activations[sink], activations[source], masked, retain_graph=True, allow_unused=True
        )
        if back is None:
            raise CodeclensError(
                f'Site "{sink}" does not depend on site "{source}"; name the sites in their order '
                "from input to output."
            )
        return wide(back)

    def _collect(self, source: str, sink: str, part: int, contributed: Tensor) -> None:
        values = self._sites[source].units(contributed)
        exciting = values.where(self._divisions[source].excites, 0).sum(dim=2)
        total = self.joint[source, sink][part]
        total[..., 0] += exciting
        total[..., 1] += values.sum(dim=2) - exciting


def pixels_along(
    method: Conductance,
    probe: Probe,
    x: Tensor,
    baseline: Tensor,
    at_x: AtInput,
    divisions: Mapping[str, Division],
    signs: bool = True,
) -> dict[str, Float[Tensor, "part sign batch *input"]]:
    """Contributions from each pixel through every part of each site, `(A, 2, B, …)` by site.

    In every segment of the path the cotangent at a site is restricted to a part's share, passed
    back to the input by secants, and multiplied by the change of the pixels. The first of the two
    maps is of the positions where a unit excites on the whole, the second of those where it
    suppresses. Without `signs` there is one map of all positions, `(A, 1, B, …)`, for half of the
    backward passes. The nodes of `method` must be placed.
    """
    alphas = require_ascending(method.nodes)
    walk, *_ = follow(lambda: _PixelWalk(probe, at_x, divisions, signs), alphas, x, baseline)
    return {
        key: torch.stack([torch.stack(pair) for pair in parts]) for key, parts in walk.maps.items()
    }


class _PixelWalk(SecantWalk):
    """Passes the cotangent of each part of a site back to the input."""

    def __init__(
        self, probe: Probe, at_x: AtInput, divisions: Mapping[str, Division], signs: bool
    ) -> None:
        super().__init__(probe, at_x)
        self._sites: dict[str, Site] = {site.key: site for site in probe.sites}
        self._divisions = divisions
        self._x: Tensor | None = None
        # Where each map of a part collects its positions.
        self._places = {
            key: (one.excites, ~one.excites) if signs else (torch.ones_like(one.excites),)
            for key, one in divisions.items()
        }
        self.maps: dict[str, list[list[Tensor]]] = {}

    def visit(self, x: Batch) -> list[Tensor]:
        assert isinstance(x, Tensor)
        # The input is a leaf here, so that every operation after it has its secant.
        start = x.detach().clone().requires_grad_()
        here, targets = self._forward(start)
        if self._x is None:
            self.maps = {
                key: [
                    [torch.zeros_like(wide(start.detach())) for _ in self._places[key]]
                    for _ in range(one.parts)
                ]
                for key, one in self._divisions.items()
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
                for total, places in zip(self.maps[key][part], self._places[key], strict=True):
                    share = field.where(places, 0)
                    if not share.any():
                        continue
                    masked = self._sites[key].restore(units * share, like=cotangent)
                    (back,) = torch.autograd.grad(
                        activations[key], start, masked, retain_graph=True, allow_unused=True
                    )
                    if back is not None:
                        total.addcmul_(wide(back), change)
