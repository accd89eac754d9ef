"""Methods: how the contribution of every hidden unit is computed for one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.inputs import Batch
from codeclens.attribution.targets import Bound

# Called once with the forward at x, before any gradient. It fixes the targets and keeps what is
# needed of the activations, so that the method need not keep them.
AtInput = Callable[[Pass], list[Bound]]


@dataclass(frozen=True)
class Explained:
    """The result of a method for one target and one batch.

    `contributions` by site key, in the layout of each activation `(B, …)`; `target` and
    `baseline_target` `(B,)`, the latter None if the method has no baseline.
    """

    contributions: dict[str, Tensor]
    target: Tensor
    baseline_target: Tensor | None


@dataclass(frozen=True)
class Attributed:
    """The result of a method for one batch, with one entry of `explained` for each target.

    `uncovered` names the operations that have no secant rule. If the method adapts to a tolerance,
    `steps` and `estimate` `(B,)` are its number of steps and its estimate of the relative error.
    """

    explained: list[Explained]
    uncovered: set[str] = field(default_factory=set)
    steps: Tensor | None = None
    estimate: Tensor | None = None


class Method(Protocol):
    """Computes the contributions of one batch, in one pass for all sites.

    A method of your own may inherit the defaults from this class and define `attribute` only. One
    that needs no gradients at the sites sets `by_gradients = False`.
    """

    @property
    def complete(self) -> bool:
        """Whether contributions at a cut sum to T(x) − T(x0), up to quadrature."""
        return False

    @property
    def pilot(self) -> int:
        """The number of samples that `prepare` needs, 0 for none."""
        return 0

    def prepare(self, probe: Probe, x: Batch, baseline: Batch) -> Method:
        """The same method with all that it learns once from the first samples of a data set."""
        return self

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        """Compute the contributions of `x` `(B, …)` relative to a `baseline` of its shape.

        Both are tensors, or both `Inputs` where a model takes several inputs or token ids.
        """
        ...


def is_exact(method: object) -> bool:
    """Whether sums at a cut are exact at any number of steps, up to rounding."""
    return getattr(method, "rule", None) == "secant"


@dataclass(frozen=True)
class ActivationGradient(Method):
    """Gradient times activation at x: `C = a ⊙ ∂T/∂a`, by one forward and one backward.

    With `normalize=True` the gradient of each sample is divided by its norm over all units and
    positions of the site, `C = a ⊙ g / ‖g‖₂` (`act_normgrad` in the published code; contributions
    are zero where the gradient is). There is no baseline, hence no completeness.

    >>> from torch import nn
    >>> from codeclens.attribution import contributions
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> c = contributions(model, torch.ones(4, 2), sites="1", method=ActivationGradient())
    >>> c["1"].positive.shape, bool(c["1"].completeness.isnan().all())
    (torch.Size([4, 3]), True)
    """

    normalize: bool = False

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        here = probe(x)
        targets = [bound(here.output) for bound in at_x(here)]
        explained = []
        for target, found in zip(targets, gradients_of(targets, here.activations), strict=True):
            total = {
                key: wide(activation.detach()) * self._scaled(wide(found[key]))
                for key, activation in here.activations.items()
            }
            explained.append(Explained(total, target.detach(), None))
        return Attributed(explained)

    def _scaled(self, gradient: Tensor) -> Tensor:
        if not self.normalize:
            return gradient
        norm = gradient.flatten(1).norm(dim=1).reshape(-1, *[1] * (gradient.ndim - 1))
        scaled: Tensor = gradient / norm.masked_fill(norm == 0, 1)
        return scaled


def wide(values: Tensor) -> Tensor:
    """Convert half precision to float32, in which contributions are accumulated."""
    return values if values.dtype == torch.float64 else values.float()


def gradients_of(
    targets: Sequence[Tensor], activations: dict[str, Tensor]
) -> list[dict[str, Tensor]]:
    """∂T/∂a of every target at every site; zero if a target does not depend on a site."""
    return [
        _gradients(target, activations, keep_graph=number + 1 < len(targets))
        for number, target in enumerate(targets)
    ]


def _gradients(
    target: Tensor, activations: dict[str, Tensor], keep_graph: bool
) -> dict[str, Tensor]:
    if not target.requires_grad:
        return {key: torch.zeros_like(a) for key, a in activations.items()}
    found = torch.autograd.grad(
        target.sum(), list(activations.values()), allow_unused=True, retain_graph=keep_graph
    )
    return {
        key: torch.zeros_like(a) if gradient is None else gradient
        for (key, a), gradient in zip(activations.items(), found, strict=True)
    }
