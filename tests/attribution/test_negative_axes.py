"""Gather and scatter along an axis that is counted from behind, with an index that changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import Conductance, contributions


def best_two(z: Tensor) -> Tensor:
    """A router's weights of its two best entries, along a negative axis."""
    weights = z.softmax(dim=-1)
    index = weights.topk(2, dim=-1).indices
    chosen = torch.gather(z.sin(), dim=-1, index=index)
    return chosen.sum(dim=-1, keepdim=True) * z


def best_two_added(z: Tensor) -> Tensor:
    index = z.topk(2, dim=-1).indices
    return torch.zeros_like(z).scatter_add(-1, index, z.sin().gather(-1, index))


@pytest.mark.parametrize("function", [best_two, best_two_added])
def test_sums_are_exact(function: Callable[[Tensor], Tensor]) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(5, 7), nn.Linear(7, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(function(self.first(x)))
            return out

    model = networks.seeded(Net).double()
    x = networks.noise(4, 5)
    found = contributions(model, x, sites="first", method=Conductance(2, nodes="uniform"))
    assert not found.uncovered
    site = found["first"]
    with torch.no_grad():
        at, start = model(x), model(torch.zeros_like(x))
    change = (at - start).gather(1, at.argmax(1, keepdim=True))[:, 0]
    size = (site.positive - site.negative).sum(1)
    assert ((site.net.sum(1) - change).abs() / size).max() < 1e-12
