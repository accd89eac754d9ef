"""What leaves the way to the target and comes back changed is named, and only that."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import networks
from between import Between, Operation, attributed, gap
from codeclens.attribution import Attributor, Conductance, contributions
from codeclens.errors import CompletenessWarning

FACTOR = "with a factor that changes along the path without a gradient"
OPERAND = "with an operand that changes along the path without a gradient"


def put(z: Tensor) -> Tensor:
    return z.index_put((z < 0,), torch.zeros((), dtype=z.dtype))


def branching(z: Tensor) -> Tensor:
    return z.tanh() if z.abs().max() > 0.8 else z.sigmoid()


def without_gradient(z: Tensor) -> Tensor:
    with torch.no_grad():
        scale = z.abs().mean(1, keepdim=True)
    return z / scale.add(1)


CHANGING: dict[str, tuple[Operation, str]] = {
    "data": (lambda z: z * z.data.abs(), f"mul {FACTOR}"),
    "detached divisor": (without_gradient, f"div {FACTOR}"),
    "index put": (put, "index_put with a mask that changes along the path"),
    "select": (
        lambda z: torch.stack([r.masked_select(r > 0).sum()[None] for r in z]),
        "masked_select with a mask that changes along the path",
    ),
    "number": (lambda z: z * z.abs().max().item(), "item of a tensor that changes"),
    "branch": (branching, "bool of a tensor that changes along the path"),
}


@pytest.mark.parametrize("name", CHANGING)
def test_what_changes_without_a_gradient_is_named(name: str) -> None:
    operation, expected = CHANGING[name]
    found = attributed(operation)
    assert any(each.startswith(expected) for each in found.uncovered), found.uncovered
    assert gap(found) > 1e-6


def test_the_warning_contains_the_gap() -> None:
    model = networks.seeded(lambda: Between(lambda z: z * z.data.tanh())).double()
    with pytest.warns(CompletenessWarning, match=r"mul with a factor .* miss .* by \d") as seen:
        contributions(model, networks.noise(5, 6), sites="before", method=Conductance(3))
    assert len(seen) == 1


STEADY: dict[str, Operation] = {
    "a constant mask": lambda z: z * (torch.arange(12) > 4),
    "a mask that never changes": lambda z: z * (z.detach().abs() >= 0),
    "a shape": lambda z: z * torch.ones_like(z) + z.new_zeros(12) + z.shape[1],
    "a constant index": lambda z: z.gather(1, torch.arange(12).expand(len(z), -1)),
    "a check": lambda z: z.tanh() if torch.isfinite(z).all() else z,
    "a grid of its own": lambda z: F.grid_sample(
        z.view(-1, 1, 3, 4),
        torch.linspace(-1, 1, 12).double().view(1, 2, 3, 2).expand(len(z), -1, -1, -1),
        mode="bilinear",
        align_corners=False,
    ).flatten(1),
}


@pytest.mark.parametrize("name", STEADY)
def test_what_stays_as_it_is_is_not_named(name: str) -> None:
    found = attributed(STEADY[name])
    assert not found.uncovered
    assert gap(found) < 1e-12


def test_what_goes_round_a_site_by_gradients_is_not_named() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.site, self.last = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            z = self.first(x).tanh()
            logits: Tensor = self.last(z + z * self.site(z).tanh())
            return logits

    model = networks.seeded(Gated).double()
    found = Attributor(model, sites="site", method=Conductance(3))(networks.noise(3, 6))
    assert not found["site"].is_cut
    assert not found.uncovered


def test_a_choice_from_the_input_round_a_cut_is_named() -> None:
    class Chosen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            open_gate = (x.mean(1, keepdim=True) > 0.1).to(x)
            logits: Tensor = self.last(self.first(x).tanh()) * open_gate
            return logits

    model = networks.seeded(Chosen).double()
    found = Attributor(model, sites="first", method=Conductance(3))(networks.noise(6, 6))
    assert found.uncovered == {f"mul {FACTOR}"}


def test_a_target_that_chooses_again_at_every_node_is_followed() -> None:
    model = networks.seeded(lambda: Between(torch.tanh)).double()
    x = networks.noise(40, 6) * 3

    def chosen_anew(output: Tensor) -> Tensor:
        return output.gather(1, output.argmax(1, keepdim=True))[:, 0]

    method = Conductance(3, nodes="uniform")
    found = Attributor(model, sites="before", method=method, target=chosen_anew)(x)
    assert not found.uncovered
    change = model(x).amax(1) - model(torch.zeros_like(x)).amax(1)
    torch.testing.assert_close(found["before"].net.sum(1), change, rtol=1e-10, atol=1e-10)


def test_two_functions_at_one_place_are_another_way() -> None:
    # Both remember tensors of the same shapes.
    calls = [0]

    def alternating(z: Tensor) -> Tensor:
        calls[0] += 1
        return z.tanh() if calls[0] % 2 else z.sigmoid()

    found = attributed(alternating)
    assert "control flow that depends on the input" in found.uncovered


# Zeros at both nodes.


def masked(z: Tensor) -> Tensor:
    q = z.view(-1, 4, 3)
    mask = torch.ones(4, 4).tril().bool()
    mask[3] = False
    return F.scaled_dot_product_attention(q, q, q, attn_mask=mask).flatten(1)


def biased(z: Tensor) -> Tensor:
    q = z.view(-1, 4, 3)
    mask = torch.zeros(4, 4).double()
    mask[3] = -torch.inf
    return F.scaled_dot_product_attention(q, q, q, attn_mask=mask).flatten(1)


def dead(z: Tensor) -> Tensor:
    alive = torch.arange(12) > 3
    return (z.relu() * alive).view(-1, 6, 2)


ZEROS: dict[str, Operation] = {
    "attention that looks nowhere": masked,
    "attention that is biased from everywhere": biased,
    "norm of zeros": lambda z: dead(z).norm(dim=2),
    "vector norm of zeros": lambda z: torch.linalg.vector_norm(dead(z), dim=2),
    "normalize zeros": lambda z: F.normalize(dead(z), dim=2).flatten(1),
    "root of relu": lambda z: z.relu().sqrt(),
    "power of relu": lambda z: z.relu().pow(0.4),
    "deviation of a constant": lambda z: dead(z).std(dim=2),
}


@pytest.mark.parametrize("name", ZEROS)
@pytest.mark.parametrize("steps", [1, 4])
def test_zeros_that_stay_zero_contribute_nothing(name: str, steps: int) -> None:
    model = networks.seeded(lambda: Between(ZEROS[name])).double()
    # The layer has no bias: the baseline is zero at every unit.
    nn.init.zeros_(model.before.bias)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method = Conductance(steps, nodes="uniform")
        found = Attributor(model, sites="before", method=method)(networks.noise(5, 6))
    assert not found.uncovered
    assert gap(found) < 1e-10


def test_fully_masked_attention_matches_torch() -> None:
    z = networks.noise(2, 12)
    assert masked(z).isfinite().all()
    found = attributed(masked, Conductance(2, nodes="uniform"))
    peer = attributed(masked, Conductance(2, "trapezoid", "uniform"))
    torch.testing.assert_close(found.target, peer.target)
    torch.testing.assert_close(found.baseline_target, peer.baseline_target)
