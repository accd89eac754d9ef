"""The integral along a path of inputs: nodes visited one after another, by one of several rules."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.methods import AtInput, Attributed, Explained, gradients_of, wide
from codeclens.attribution.nodes import Alphas
from codeclens.attribution.secant import SecantMode, unseen
from codeclens.attribution.targets import Bound

Rule = Literal["secant", "trapezoid", "left", "midpoint"]


def integrate(
    rule: Rule, alphas: Alphas, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput
) -> Attributed:
    """The contributions along a path, by a rule."""
    walk = RULES[rule](probe, at_x)
    target, baseline_target = follow(walk, alphas, x, baseline)
    explained = [
        Explained(*each) for each in zip(walk.totals, target, baseline_target, strict=True)
    ]
    return Attributed(explained, walk.uncovered)


def follow(
    walk: Walk, alphas: Alphas, x: Tensor, baseline: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Walk from x back to the baseline, so that the first forward fixes the targets.

    Gives every target at x and at the baseline, `(B,)` each.
    """
    ends: dict[float, list[Tensor]] = {}
    if alphas[-1] < 1:
        ends[1.0] = walk.look(x)
    for alpha in reversed(alphas):
        targets = walk.visit(_between(baseline, x, alpha))
        if alpha in (0.0, 1.0):
            ends[alpha] = targets
    if 0.0 not in ends:
        ends[0.0] = walk.look(baseline)
    return ends[1.0], ends[0.0]


class Walk:
    """Accumulates contributions along the path, one node in memory, from x to the baseline."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        self.totals: list[dict[str, Tensor]] = []
        self.uncovered: set[str] = set()
        self._probe = probe
        self._at_x = at_x
        self._bounds: list[Bound] = []
        self._activations: dict[str, Tensor] = {}
        self._gradients: dict[tuple[int, str], Tensor] = {}

    def look(self, x: Tensor) -> list[Tensor]:
        """The targets at an end of the path that is no node."""
        return [target.detach() for target in self._targets(self._probe(x))]

    def visit(self, x: Tensor) -> list[Tensor]:
        """Add the segment between the node visited before, nearer to the input, and this one."""
        here = self._probe(x)
        targets = self._targets(here)
        self._add_all(here.activations, gradients_of(targets, here.activations))
        return [target.detach() for target in targets]

    def _targets(self, here: Pass) -> list[Tensor]:
        self._fix(here)
        return [bound(here.output) for bound in self._bounds]

    def _fix(self, here: Pass) -> None:
        if not self._bounds:
            self._bounds = self._at_x(here)
            self.totals = [{} for _ in self._bounds]

    def _add_all(self, activations: dict[str, Tensor], gradients: list[dict[str, Tensor]]) -> None:
        for key, activation in activations.items():
            change = self._change(key, activation)
            for number, found in enumerate(gradients):
                self._add(number, key, wide(found.pop(key)), change)

    def _add(self, number: int, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            both = gradient + self._gradients[number, key]
            self.totals[number][key].addcmul_(both, change, value=0.5)
        self._gradients[number, key] = gradient

    def _change(self, key: str, activation: Tensor) -> Tensor | None:
        """How the activation differs from that at the node before; None at the first."""
        here = wide(activation.detach())
        before = self._activations.get(key)
        self._activations[key] = here
        if before is None:
            for total in self.totals:
                total[key] = torch.zeros_like(here)
            return None
        return before - here


class _LeftWalk(Walk):
    """The gradient of the node nearer to the baseline alone."""

    def _add(self, number: int, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            self.totals[number][key].addcmul_(gradient, change)


class _MidpointWalk(_LeftWalk):
    """The gradient halfway between two nodes, which takes one more forward a segment."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        super().__init__(probe, at_x)
        self._x: Tensor | None = None

    def visit(self, x: Tensor) -> list[Tensor]:
        end = self._probe(x)
        targets = [target.detach() for target in self._targets(end)]
        ends = {key: activation.detach() for key, activation in end.activations.items()}
        del end
        if self._x is None:
            self._add_all(ends, [])
        else:
            middle = self._probe(torch.lerp(x, self._x, 0.5))
            self._add_all(ends, gradients_of(self._targets(middle), middle.activations))
        self._x = x
        return targets


class SecantWalk(_LeftWalk):
    """Secants in place of derivatives: the sum over a segment is exact."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        super().__init__(probe, at_x)
        self._mode = SecantMode()
        self.uncovered = self._mode.uncovered

    def visit(self, x: Tensor) -> list[Tensor]:
        first = not self._bounds
        here, targets = self._forward(x)
        # At the first node there is no segment yet, hence nothing to pass back.
        gradients = [] if first else gradients_of(targets, here.activations)
        self._add_all(here.activations, gradients)
        return [target.detach() for target in targets]

    def _forward(self, x: Tensor) -> tuple[Pass, list[Tensor]]:
        """Run the model with the secants since the node before, and read the targets."""
        self._mode.step()
        first = not self._bounds
        while True:
            with self._mode:
                here = self._probe(x)
            # What fixes the targets is no part of the path.
            self._fix(here)
            with self._mode:
                targets = self._targets(here)
            if self._mode.intact():
                break
            self._mode.redo()
        if first:
            self.uncovered |= unseen(targets, self._mode.named)
            self._mode.named.clear()
        return here, targets


RULES: dict[Rule, type[Walk]] = {
    "secant": SecantWalk,
    "trapezoid": Walk,
    "left": _LeftWalk,
    "midpoint": _MidpointWalk,
}


def _between(baseline: Tensor, x: Tensor, alpha: float) -> Tensor:
    # The ends exactly as they were given, not up to rounding.
    if alpha in (0.0, 1.0):
        return x if alpha else baseline
    return torch.lerp(baseline, x, alpha)
