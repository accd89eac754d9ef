"""Conductance that refines itself: what it reports, and whether its estimate can be trusted."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens import zoo
from codeclens.attribution import Attributor, Conductance, Contributions

SITES = ["blocks.0", "blocks.2", "blocks.4"]


@cache
def digits(samples: int = 12) -> tuple[nn.Module, Tensor]:
    images, _ = zoo.digits_data("held_out")
    return zoo.load("digits-resnet").model, images[5 : 5 + samples]


def attribute(method: Conductance) -> Contributions:
    model, x = digits()
    return Attributor(model, sites=SITES, method=method)(x)


@cache
def converged() -> Contributions:
    return attribute(Conductance(48))


def true_error(found: Contributions) -> Tensor:
    """The relative L2 error over channels of every sample, at the worst site."""
    reference = converged()
    errors = [
        (found[key].net - reference[key].net).norm(dim=1) / reference[key].net.norm(dim=1)
        for key in SITES
    ]
    return torch.stack(errors).amax(dim=0)


@pytest.mark.slow
@pytest.mark.parametrize("tolerance", [0.3, 0.06])
def test_the_estimate_is_an_upper_bound_for_most_samples(tolerance: float) -> None:
    found = attribute(Conductance(2, tolerance=tolerance, max_steps=16))
    error = true_error(found)
    assert (error <= found.estimate).double().mean() >= 0.9
    # And no empty one: the error is of the estimate's order.
    assert (found.estimate < 10 * error + 0.01).double().mean() >= 0.9
    assert (error < tolerance).all()


@pytest.mark.slow
def test_each_sample_takes_the_steps_that_it_needs() -> None:
    tolerance = 0.1
    found = attribute(Conductance(2, tolerance=tolerance, max_steps=16))
    assert found.steps is not None
    assert set(found.steps.tolist()) <= {4, 8, 16}
    assert len(set(found.steps.tolist())) > 1
    unfinished = found.estimate > tolerance
    assert (found.steps[unfinished] == 16).all()
    # Its contributions are those of so many steps on the same nodes, whatever the others took.
    model, x = digits()
    for steps in set(found.steps.tolist()):
        rows = found.steps == steps
        nodes = Conductance(2, tolerance=tolerance, max_steps=16)
        attributor = Attributor(model, sites=SITES, method=nodes)
        placed = attributor.prepare(x)
        assert isinstance(placed, Conductance)
        assert isinstance(placed.nodes, tuple)
        plain = Conductance(nodes=placed.nodes[:: 16 // steps])
        expected = Attributor(model, sites=SITES, method=plain)(x)
        for key in SITES:
            torch.testing.assert_close(found[key].net[rows], expected[key].net[rows])


@pytest.mark.parametrize("steps", [2, 3, 4])
def test_given_nodes_are_refined_to_the_end_of_the_path(steps: int) -> None:
    # Ten segments: taking every third or fourth node must not leave out the last.
    model = networks.residual_cnn().double()
    x = networks.noise(3, 3, 12, 12)
    nodes = [step / 10 for step in range(11)]
    method = Conductance(steps, nodes=nodes, tolerance=1e9)
    found = Attributor(model, sites="layer1.0", method=method)(x)
    assert found["layer1.0"].completeness.abs().max() < 1e-12
    assert found.estimate.isfinite().all()
    whole = Attributor(model, sites="layer1.0", method=Conductance(nodes=nodes))(x)
    never = Conductance(steps, nodes=nodes, tolerance=1e-9)
    finest = Attributor(model, sites="layer1.0", method=never)(x)
    torch.testing.assert_close(finest["layer1.0"].net, whole["layer1.0"].net)
    assert finest.steps is not None
    assert finest.steps.tolist() == [10, 10, 10]
