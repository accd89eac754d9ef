"""One operation between two linear layers, and how far the sum of its contributions is off."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import Attributor, Conductance, Contributions

Operation = Callable[[Tensor], Tensor]


class Between(nn.Module):
    """Twelve features go through an operation, which may give any number of them."""

    def __init__(self, operation: Operation) -> None:
        super().__init__()
        self.before = nn.Linear(6, 12)
        self.operation = operation
        with torch.no_grad():
            features = operation(torch.randn(5, 12).double()).shape[1]
        self.after = nn.Linear(features, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.after(self.operation(self.before(x)))
        return logits


def attributed(operation: Operation, method: Conductance | None = None) -> Contributions:
    """Contributions of five samples at the layer before an operation."""
    model = networks.seeded(lambda: Between(operation)).double()
    method = Conductance(3, nodes="uniform") if method is None else method
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Attributor(model, sites="before", method=method)(networks.noise(5, 6))


def gap(found: Contributions, site: str = "before") -> float:
    """The largest miss of the sum, relative to the largest change of the target."""
    change = (found.target - found.baseline_target).abs().max()
    return float(found[site].completeness.abs().max() / change)
