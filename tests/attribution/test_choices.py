"""Comparisons, masks and what they choose: a jump counts, and sums are exact."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import networks
from between import Between, Operation, attributed, gap
from codeclens.attribution import Attributor, Conductance


def spline(z: Tensor) -> Tensor:
    """B-splines of the second order on a grid, by comparisons, as Kolmogorov–Arnold networks do."""
    grid = torch.linspace(-3, 3, 9).double()
    z = z[..., None]
    bases = ((z >= grid[:-1]) & (z < grid[1:])).to(z.dtype)
    for k in (1, 2):
        left = (z - grid[: -k - 1]) / (grid[k:-1] - grid[: -k - 1]) * bases[..., :-1]
        right = (grid[k + 1 :] - z) / (grid[k + 1 :] - grid[1:-k]) * bases[..., 1:]
        bases = left + right
    return bases.flatten(1)


OPERATIONS: dict[str, Operation] = {
    "truth values": lambda z: z * (z > 0),
    "truth values first": lambda z: (z > 0.1) * z,
    "a mask of numbers": lambda z: z * (z > 0).to(z),
    "a mask as float": lambda z: z * (z.flip(1) >= 0.1).double(),
    "a mask alone": lambda z: (z > 0).double() + z,
    "by whole numbers": lambda z: z * (z > 0).long(),
    "function by name": lambda z: z * torch.less(input=z, other=0.2),
    "two compared": lambda z: z * (z > z.flip(1)),
    "a constant compared": lambda z: z * torch.gt(torch.linspace(-1, 1, 12).double(), z),
    "where": lambda z: torch.where(z > 0, z, z * 0.1),
    "where with a jump": lambda z: torch.where(z > 0.1, z * z + 1, z),
    "where with a number": lambda z: torch.where(z > 0.1, 2.0, z),
    "method where": lambda z: z.where(z < 0.1, z * 2),
    "where by broadcast": lambda z: torch.where(z.mean(1, keepdim=True) > 0, z, -z),
    "where never infinite": lambda z: torch.where(z > -99, z, torch.inf),
    "masked fill": lambda z: z.masked_fill(z < 0, 0.0),
    "masked fill in place": lambda z: (z * 1.0).masked_fill_(z < 0, -1.0),
    "and": lambda z: z * ((z > -0.3) & (z < 0.3)),
    "or not": lambda z: z * (~(z > -0.3) | (z > 0.5)),
    "xor": lambda z: z * torch.logical_xor(z > -0.3, z.flip(1) > 0.5),
    "and a constant": lambda z: z * ((z > 0) & (torch.arange(12) > 4)),
    "an infinite bound": lambda z: z * (z > -torch.inf) + z * (z < torch.tensor(torch.inf)),
    "splines": spline,
}
JUMPING = {
    *("a mask as float", "a mask alone", "two compared", "a constant compared", "and", "or not"),
    *("xor", "where with a jump", "where with a number", "method where", "where by broadcast"),
    *("masked fill in place", "truth values first", "function by name"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_choice_is_exact_at_any_number_of_steps(name: str) -> None:
    for steps in (1, 3):
        found = attributed(OPERATIONS[name], Conductance(steps, nodes="uniform"))
        assert not found.uncovered
        assert gap(found) < 1e-12


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - JUMPING))
def test_a_continuous_choice_converges_to_the_integral(name: str) -> None:
    fine = attributed(OPERATIONS[name], Conductance(200, "secant", "power"))["before"].net
    peer = attributed(OPERATIONS[name], Conductance(1000, "trapezoid", "power"))["before"].net
    assert (fine - peer).norm() / peer.norm() < 2e-2


@given(name=st.sampled_from(sorted(OPERATIONS)), seed=st.integers(0, 999), steps=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_sums_are_exact_for_any_input(name: str, seed: int, steps: int) -> None:
    model = networks.seeded(lambda: Between(OPERATIONS[name])).double()
    x = networks.noise(3, 6, seed=seed) * (1 + seed % 3)
    found = Attributor(model, sites="before", method=Conductance(steps, nodes="uniform"))(x)
    size = (found["before"].positive - found["before"].negative).sum(1)
    assert (found["before"].completeness.abs() / size.clamp(min=1e-9)).max() < 1e-9


def test_a_network_of_gates_is_exact() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.gate, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            z = self.first(x).tanh()
            logits: Tensor = self.last(torch.where(self.gate(z) > 0, z, z.square()))
            return logits

    model = networks.seeded(Gated).double()
    found = Attributor(model, sites="first", method=Conductance(3))(networks.noise(4, 6))
    assert not found.uncovered
    assert gap(found, "first") < 1e-12
