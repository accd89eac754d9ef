"""The integral along a path of inputs: nodes visited one after another, by one of several rules."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from codeclens.attribution.capture import Probe
from codeclens.attribution.methods import AtInput, Attributed, gradients_of, wide
from codeclens.attribution.nodes import Alphas
from codeclens.attribution.secant import SecantMode
from codeclens.attribution.targets import Bound

Rule = Literal["secant", "trapezoid", "left", "midpoint"]


def integrate(
    rule: Rule, alphas: Alphas, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput
) -> Attributed:
    """Walk from x back to the baseline, so that the first forward fixes the target."""
    ends: dict[float, Tensor] = {}
    bound: Bound | None = None
    if alphas[-1] < 1:
        first = probe(x)
        bound = at_x(first)
        ends[1.0] = bound(first.output).detach()
        del first
    walk = RULES[rule](probe)
    for alpha in reversed(alphas):
        target, bound = walk.visit(_between(baseline, x, alpha), bound, at_x)
        if alpha in (0.0, 1.0):
            ends[alpha] = target
    assert bound is not None
    if 0.0 not in ends:
        ends[0.0] = bound(probe(baseline).output).detach()
    return Attributed(walk.total, ends[1.0], ends[0.0], walk.uncovered)


class _Walk:
    """Accumulates contributions along the path, one node in memory, from x to the baseline."""

    def __init__(self, probe: Probe) -> None:
        self.total: dict[str, Tensor] = {}
        self.uncovered: set[str] = set()
        self._probe = probe
        self._activations: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    def visit(self, x: Tensor, bound: Bound | None, at_x: AtInput) -> tuple[Tensor, Bound]:
        """Add the segment between the node visited before, nearer to the input, and this one."""
        here = self._probe(x)
        bound = at_x(here) if bound is None else bound
        target = bound(here.output)
        gradients = gradients_of(target, here.activations)
        for key, activation in here.activations.items():
            self._add(key, wide(gradients.pop(key)), self._change(key, activation))
        return target.detach(), bound

    def _add(self, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            self.total[key].addcmul_(gradient + self._gradients[key], change, value=0.5)
        self._gradients[key] = gradient

    def _change(self, key: str, activation: Tensor) -> Tensor | None:
        """How the activation differs from that at the node before; None at the first."""
        here = wide(activation.detach())
        before = self._activations.get(key)
        self._activations[key] = here
        if before is None:
            self.total[key] = torch.zeros_like(here)
            return None
        return before - here


class _LeftWalk(_Walk):
    """The gradient of the node nearer to the baseline alone."""

    def _add(self, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            self.total[key].addcmul_(gradient, change)


class _MidpointWalk(_LeftWalk):
    """The gradient halfway between two nodes, which takes one more forward a segment."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self._x: Tensor | None = None

    def visit(self, x: Tensor, bound: Bound | None, at_x: AtInput) -> tuple[Tensor, Bound]:
        end = self._probe(x)
        bound = at_x(end) if bound is None else bound
        target = bound(end.output).detach()
        changes = {key: self._change(key, a) for key, a in end.activations.items()}
        del end
        if self._x is not None:
            middle = self._probe(torch.lerp(x, self._x, 0.5))
            gradients = gradients_of(bound(middle.output), middle.activations)
            for key, change in changes.items():
                self._add(key, wide(gradients[key]), change)
        self._x = x
        return target, bound


class _SecantWalk(_LeftWalk):
    """Secants in place of derivatives: the sum over a segment is exact."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self._mode = SecantMode()
        self.uncovered = self._mode.uncovered

    def visit(self, x: Tensor, bound: Bound | None, at_x: AtInput) -> tuple[Tensor, Bound]:
        self._mode.step()
        while True:
            with self._mode:
                here = self._probe(x)
                bound = at_x(here) if bound is None else bound
                target = bound(here.output)
            if self._mode.intact():
                break
            self._mode.redo()
        # At the first node there is no segment yet, hence nothing to pass back.
        gradients = gradients_of(target, here.activations) if self.total else {}
        for key, activation in here.activations.items():
            change = self._change(key, activation)
            if key in gradients:
                self._add(key, wide(gradients.pop(key)), change)
        return target.detach(), bound


RULES: dict[Rule, type[_Walk]] = {
    "secant": _SecantWalk,
    "trapezoid": _Walk,
    "left": _LeftWalk,
    "midpoint": _MidpointWalk,
}


def _between(baseline: Tensor, x: Tensor, alpha: float) -> Tensor:
    # The ends exactly as they were given, not up to rounding.
    if alpha in (0.0, 1.0):
        return x if alpha else baseline
    return torch.lerp(baseline, x, alpha)
