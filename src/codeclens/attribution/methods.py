"""Methods: how the contribution of every hidden unit is computed for one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.secant import SecantMode
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError

# Called once with the forward at x, before any gradient: it fixes the target and keeps what is
# wanted of the activations, so that a method holds no more than it needs.
AtInput = Callable[[Pass], Bound]


@dataclass(frozen=True)
class Attributed:
    """What a method computed for one batch.

    `contributions` by site key, in the layout of each activation `(B, …)`; `target` and
    `baseline_target` `(B,)`, the latter None where the method has no baseline.
    """

    contributions: dict[str, Tensor]
    target: Tensor
    baseline_target: Tensor | None


class Method(Protocol):
    """A method turns one batch into contributions at every site, in one pass for all sites."""

    @property
    def complete(self) -> bool:
        """Whether contributions at a cut sum to T(x) − T(x0), up to quadrature."""
        ...

    def attribute(self, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput) -> Attributed:
        """Compute the contributions of `x` `(B, …)` counted from `baseline`, of the same shape."""
        ...


@dataclass(frozen=True)
class Conductance:
    """Integrated gradients along the input path, at hidden units (layer conductance).

    `C = ∫₀¹ ∂T/∂a (x(α)) ⊙ da(x(α))/dα dα` with `x(α) = x0 + α (x − x0)`, by `steps` segments
    between equally spaced nodes, or between the given `nodes` (ascending, in [0, 1]). Rules:
    `"trapezoid"` (as published: `Σ ½ (g_s + g_{s+1}) ⊙ (a_{s+1} − a_s)`) and `"left"`
    (`Σ g_s ⊙ (a_{s+1} − a_s)`). One node is in memory at a time. Raises CodeclensError for an
    unknown rule, for fewer than one step and for nodes that do not ascend. (arXiv 2603.06557.)

    >>> Conductance(steps=4).alphas
    (0.0, 0.25, 0.5, 0.75, 1.0)
    """

    steps: int = 10
    rule: Literal["trapezoid", "left", "secant"] = "trapezoid"
    nodes: Literal["uniform"] | Sequence[float] = "uniform"

    complete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule not in ("trapezoid", "left", "secant"):
            raise CodeclensError(
                f"Conductance has no rule {self.rule!r}; "
                'the rules are "secant", "trapezoid" and "left".'
            )
        if not isinstance(self.steps, int) or self.steps < 1:
            raise CodeclensError(f"Conductance needs at least one step, not steps={self.steps!r}.")
        nodes = self.alphas
        ascending = all(a < b for a, b in pairwise(nodes))
        if len(nodes) < 2 or not ascending or nodes[0] < 0 or nodes[-1] > 1:
            raise CodeclensError(
                f"Nodes must be two or more numbers that ascend from 0 (baseline) to 1 (input), "
                f"not {nodes}."
            )

    @property
    def alphas(self) -> tuple[float, ...]:
        """The nodes of the path, ascending."""
        if isinstance(self.nodes, str):
            return tuple(s / self.steps for s in range(self.steps + 1))
        return tuple(float(a) for a in self.nodes)

    def attribute(self, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput) -> Attributed:
        # From x back to the baseline, so that the first forward fixes the target.
        nodes = self.alphas[::-1]
        ends: dict[float, Tensor] = {}
        bound: Bound | None = None
        if nodes[0] < 1:
            first = probe(x)
            bound = at_x(first)
            ends[1.0] = bound(first.output).detach()
            del first
        walk = _SecantWalk(probe) if self.rule == "secant" else _Walk(probe, self.rule == "left")
        for alpha in nodes:
            target, bound = walk.visit(_between(baseline, x, alpha), bound, at_x)
            if alpha in (0.0, 1.0):
                ends[alpha] = target
        if 0.0 not in ends:
            assert bound is not None
            ends[0.0] = bound(probe(baseline).output).detach()
        return Attributed(walk.total, ends[1.0], ends[0.0])


@dataclass(frozen=True)
class ActivationGradient:
    """Gradient times activation at x: `C = a ⊙ ∂T/∂a`, by one forward and one backward.

    With `normalize=True` the gradient is divided by its norm over all units and positions of the
    site, `C = a ⊙ g / ‖g‖₂`, for each sample (`act_normgrad` in the published code; a sample whose
    gradient is zero contributes zero). There is no baseline, hence no completeness.
    """

    normalize: bool = False

    complete: ClassVar[bool] = False

    def attribute(self, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput) -> Attributed:
        here = probe(x)
        target = at_x(here)(here.output)
        gradients = _gradients(target, here.activations)
        total = {}
        for key, activation in here.activations.items():
            gradient = wide(gradients[key])
            if self.normalize:
                norm = gradient.flatten(1).norm(dim=1).reshape(-1, *[1] * (gradient.ndim - 1))
                gradient = gradient / norm.masked_fill(norm == 0, 1)
            total[key] = wide(activation.detach()) * gradient
        return Attributed(total, target.detach(), None)


class _Walk:
    """Accumulates contributions along the path, one node in memory, from x to the baseline."""

    def __init__(self, probe: Probe, left: bool = False) -> None:
        self.total: dict[str, Tensor] = {}
        self._probe = probe
        self._left = left
        self._activations: dict[str, Tensor] = {}
        self._gradients: dict[str, Tensor] = {}

    def visit(self, x: Tensor, bound: Bound | None, at_x: AtInput) -> tuple[Tensor, Bound]:
        """Add the segment between the node visited before, nearer to the input, and this one."""
        here = self._probe(x)
        bound = at_x(here) if bound is None else bound
        target = bound(here.output)
        gradients = _gradients(target, here.activations)
        for key, activation in here.activations.items():
            gradient = wide(gradients.pop(key))
            change = self._change(key, activation)
            if change is not None and self._left:
                self.total[key].addcmul_(gradient, change)
            elif change is not None:
                self.total[key].addcmul_(gradient + self._gradients[key], change, value=0.5)
            if not self._left:
                self._gradients[key] = gradient
        return target.detach(), bound

    def _change(self, key: str, activation: Tensor) -> Tensor | None:
        """How the activation differs from that at the node before; None at the first."""
        here = wide(activation.detach())
        before = self._activations.get(key)
        self._activations[key] = here
        if before is None:
            self.total[key] = torch.zeros_like(here)
            return None
        return before - here


class _SecantWalk(_Walk):
    """The same with secants in place of derivatives: a segment's sum is exact."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(probe)
        self.mode = SecantMode()

    def visit(self, x: Tensor, bound: Bound | None, at_x: AtInput) -> tuple[Tensor, Bound]:
        self.mode.step()
        while True:
            with self.mode:
                here = self._probe(x)
                bound = at_x(here) if bound is None else bound
                target = bound(here.output)
            if self.mode.intact():
                break
            self.mode.redo()
        first = not self.total
        # At the first node there is no segment yet, hence nothing to pass back.
        gradients = {} if first else _gradients(target, here.activations)
        for key, activation in here.activations.items():
            change = self._change(key, activation)
            if change is not None:
                self.total[key].addcmul_(wide(gradients.pop(key)), change)
        return target.detach(), bound


def wide(values: Tensor) -> Tensor:
    """At least single precision: half precision is accumulated in float32."""
    return values if values.dtype == torch.float64 else values.float()


def _between(baseline: Tensor, x: Tensor, alpha: float) -> Tensor:
    # The ends exactly as they were given, not up to rounding.
    if alpha in (0.0, 1.0):
        return x if alpha else baseline
    return torch.lerp(baseline, x, alpha)


def _gradients(target: Tensor, activations: dict[str, Tensor]) -> dict[str, Tensor]:
    """∂T/∂a of every site; zero where the target does not depend on a site."""
    if not target.requires_grad:
        return {key: torch.zeros_like(a) for key, a in activations.items()}
    found = torch.autograd.grad(target.sum(), list(activations.values()), allow_unused=True)
    return {
        key: torch.zeros_like(a) if gradient is None else gradient
        for (key, a), gradient in zip(activations.items(), found, strict=True)
    }
