"""Functions of two arguments, reductions and matrices: exact sums that converge to the integral."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import networks
from between import Between, Operation, attributed, gap
from codeclens.attribution import Attributor, Conductance

steady = torch.linspace(-1, 1, 12).double()


def square(z: Tensor) -> Tensor:
    """Matrices far from singular."""
    return z[:, :9].reshape(-1, 3, 3).tanh() + 3 * torch.eye(3).double()


OPERATIONS: dict[str, Operation] = {
    "logaddexp": lambda z: torch.logaddexp(z, z.flip(1) * 2),
    "logaddexp with a constant": lambda z: torch.logaddexp(z, steady),
    "logaddexp2": lambda z: torch.logaddexp2(z, z.flip(1)),
    "logcumsumexp": lambda z: z.logcumsumexp(1),
    "logcumsumexp of large": lambda z: (z * 100).view(-1, 3, 4).logcumsumexp(1).flatten(1) / 100,
    "hypot": lambda z: torch.hypot(z, z.flip(1) + 1),
    "atan2": lambda z: torch.atan2(z, z.flip(1) + 4),
    "atan2 of rays": lambda z: torch.atan2(z.abs() * 0.5, z.abs()) + z,
    "atan2 around": lambda z: torch.atan2(z, z.flip(1) - 0.1),
    "angle": lambda z: torch.fft.rfft(z).add(20).angle(),
    "angle of real": lambda z: z.angle() + z,
    "xlogy": lambda z: torch.xlogy(z, z * z + 0.5),
    "prod": lambda z: (z + 1).view(-1, 3, 4).prod(1),
    "prod kept": lambda z: z.prod(1, keepdim=True) * z,
    "prod with zeros": lambda z: (z.relu() + steady.relu()).view(-1, 4, 3).prod(dim=2),
    "cumprod": lambda z: (z + 1).cumprod(1),
    "computed exponent": lambda z: (z * z + 0.1).pow(z.flip(1)),
    "computed exponent by operator": lambda z: (z * z + 0.1) ** z.mean(1, keepdim=True),
    "cdist": lambda z: torch.cdist(z.view(-1, 4, 3), z.view(-1, 3, 4)[:, :, :3] + 1).flatten(1),
    "cdist of order 1": lambda z: torch.cdist(
        z.view(-1, 4, 3), z.view(-1, 4, 3).flip(1) + 1, p=1.0
    ).flatten(1),
    "pairwise distance": lambda z: F.pairwise_distance(z, z.flip(1) * 2, keepdim=True),
    "pairwise distance of order 3": lambda z: F.pairwise_distance(
        z, z.flip(1) * 2, p=3.0, keepdim=True
    ),
    "pdist": lambda z: torch.stack([F.pdist(r.view(4, 3)) for r in z]),
    "norm of order 1": lambda z: z.norm(1, dim=1, keepdim=True),
    "norm of order 3": lambda z: z.norm(p=3, dim=1, keepdim=True),
    "norm of order inf": lambda z: z.norm(float("inf"), dim=1, keepdim=True),
    "norm of order -inf": lambda z: torch.linalg.vector_norm(z, -float("inf"), 1, True),
    "norm of order 1.5": lambda z: torch.linalg.vector_norm(z, 1.5, dim=1, keepdim=True),
    "norm of all": lambda z: z * z.norm(),
    "linalg norm": lambda z: torch.linalg.norm(z, dim=1, keepdim=True),
    "matrix norm": lambda z: torch.linalg.norm(z.view(-1, 3, 4), dim=(1, 2))[:, None],
    "matrix norm of order 1": lambda z: torch.linalg.matrix_norm(z.view(-1, 3, 4), 1)[:, None],
    "matrix norm of order inf": lambda z: torch.linalg.norm(
        z.view(-1, 3, 4), float("inf"), dim=(1, 2), keepdim=True
    ).flatten(1),
    "solve": lambda z: torch.linalg.solve(square(z), z[:, 9:, None]).flatten(1),
    "solve a vector": lambda z: torch.linalg.solve(square(z), z[:, 9:]),
    "solve from the right": lambda z: torch.linalg.solve(
        square(z), z[:, None, 9:], left=False
    ).flatten(1),
    "solve by a constant": lambda z: torch.linalg.solve(
        torch.eye(3).double() + 0.1, z.view(-1, 3, 4)
    ).flatten(1),
    "inverse": lambda z: torch.linalg.inv(square(z)).flatten(1),
    "method inverse": lambda z: square(z).inverse().flatten(1),
}
# All samples go through one number, so that each sample's sum is not its own.
SHARED = {"norm of all"}
# Their jumps and corners are where no number of nodes lies.
JUMPING = {"atan2 around", "angle of real", "norm of order -inf"}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - SHARED))
def test_an_operation_is_exact_at_any_number_of_steps(name: str) -> None:
    for steps in (1, 3):
        found = attributed(OPERATIONS[name], Conductance(steps, nodes="uniform"))
        assert not found.uncovered
        size = (found["before"].positive - found["before"].negative).sum(1)
        assert (found["before"].completeness.abs() / size).max() < 1e-9
        assert gap(found) < 1e-9


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - SHARED - JUMPING))
def test_it_converges_to_what_the_trapezoid_converges_to(name: str) -> None:
    fine = attributed(OPERATIONS[name], Conductance(60, "secant", "power"))["before"].net
    peer = attributed(OPERATIONS[name], Conductance(400, "trapezoid", "power"))["before"].net
    assert (fine - peer).norm() / peer.norm() < 1e-2


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_samples_share_is_exact_over_all_of_them(name: str) -> None:
    found = attributed(OPERATIONS[name], Conductance(2, nodes="uniform"))
    miss = found["before"].completeness.sum().abs()
    assert miss / (found.target - found.baseline_target).abs().sum() < 1e-12


@given(
    name=st.sampled_from(sorted(set(OPERATIONS) - SHARED)),
    seed=st.integers(0, 999),
    steps=st.integers(1, 4),
)
@settings(max_examples=30, deadline=None)
def test_sums_are_exact_for_any_input(name: str, seed: int, steps: int) -> None:
    model = networks.seeded(lambda: Between(OPERATIONS[name])).double()
    x = networks.noise(3, 6, seed=seed) * (1 + seed % 3)
    found = Attributor(model, sites="before", method=Conductance(steps, nodes="uniform"))(x)
    size = (found["before"].positive - found["before"].negative).sum(1)
    assert (found["before"].completeness.abs() / size).max() < 1e-9


def test_a_small_network_of_them_is_exact() -> None:
    class Distances(nn.Module):
        """Distances to prototypes, turned to evidence by products and a soft maximum."""

        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(6, 8), nn.Linear(4, 3)
            self.prototypes = nn.Parameter(torch.randn(4, 8))

        def forward(self, x: Tensor) -> Tensor:
            z = self.embed(x).tanh()
            near = torch.cdist(z, self.prototypes)
            logits: Tensor = self.head(torch.logaddexp(-near, near.cumprod(1).neg()))
            return logits

    model = networks.seeded(Distances).double()
    found = Attributor(model, sites="embed", method=Conductance(2))(networks.noise(4, 6))
    assert not found.uncovered
    assert gap(found, "embed") < 1e-12
