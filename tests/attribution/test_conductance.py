"""Conductance that refines itself: what it reports, and whether its estimate can be trusted."""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens import zoo
from codeclens.attribution import (
    Attributor,
    Conductance,
    Contributions,
    Geometric,
    Probe,
    Samples,
    Site,
    contributions,
)
from codeclens.errors import CodeclensError, CompletenessWarning

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
        placed = attributor.prepared(x).method
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


class RootMeanSquare(nn.Module):
    """Most of what it does lies at contrasts around the root of its epsilon."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.rms_norm(x, (12,), eps=1e-6)


def rms_network() -> nn.Module:
    def make() -> nn.Module:
        layers = [nn.Linear(6, 12, bias=False), RootMeanSquare(), nn.Linear(12, 12), nn.ReLU()]
        return nn.Sequential(*layers, RootMeanSquare(), nn.Linear(12, 3))

    return networks.seeded(make).double()


@pytest.mark.parametrize("nodes", ["geometric", Geometric(0.02)])
def test_a_tolerance_refines_the_first_segment_of_geometric_nodes_too(nodes: Any) -> None:
    model, x = rms_network(), networks.noise(4, 6)
    fine = [0.0, *torch.logspace(-7, 0, 600).tolist()[:-1], 1.0]
    reference = Attributor(model, sites="0", method=Conductance(nodes=fine))(x)["0"].net
    found = Attributor(model, sites="0", method=Conductance(5, nodes=nodes, tolerance=0.02))(x)
    error = (found["0"].net - reference).norm(dim=1) / reference.norm(dim=1)
    # Before, the error stayed at what the first segment left, 0.3 in some samples.
    assert (found.estimate < 0.02).all()
    assert (error < 0.03).all()


def test_geometric_nodes_are_nested_where_a_tolerance_doubles_them() -> None:
    model, x = rms_network(), networks.noise(2, 6)
    method = Conductance(4, nodes="geometric", tolerance=0.1, max_steps=16)
    with Probe(model, [Site("0")]) as probe:
        placed = method.prepare(probe, x, torch.zeros_like(x))
        coarse = Conductance(4, nodes="geometric").prepare(probe, x, torch.zeros_like(x))
    assert isinstance(placed.nodes, tuple)
    assert list(placed.nodes[::4]) == pytest.approx(coarse.nodes)
    assert len(placed.nodes) == 17
    assert placed.nodes[1] == pytest.approx(0.005 / 9)


def test_a_tolerance_that_is_not_reached_warns_once() -> None:
    x = networks.noise(4, 6)
    method = Conductance(5, nodes="uniform", tolerance=1e-4, max_steps=20)
    with pytest.warns(
        CompletenessWarning, match=r"tolerance 0\.0001 was not reached within max_steps for 4 of 4"
    ) as seen:
        contributions(rms_network(), x, sites="0", method=method)
    assert len(seen) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reached = Conductance(2, nodes="uniform", tolerance=0.9)
        contributions(
            networks.residual_cnn(),
            networks.noise(2, 3, 12, 12).float(),
            sites="layer2",
            method=reached,
        )


def test_the_steps_of_several_baselines_are_those_of_the_worst() -> None:
    model = networks.seeded(
        lambda: nn.Sequential(
            nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)
        )
    ).double()
    x = networks.noise(4, 6)
    inputs = networks.noise(6, 6) * torch.linspace(0.01, 5, 6)[:, None].double()
    method = Conductance(5, nodes="uniform", tolerance=0.02)
    whole = Attributor(model, sites="0", method=method, baseline=Samples(inputs, draws=6))(x)
    each = [Attributor(model, sites="0", method=method, baseline=row)(x) for row in inputs]
    steps = torch.stack([one.steps for one in each if one.steps is not None])
    assert len(set(steps[:, 0].tolist())) > 1
    assert whole.steps is not None
    assert torch.equal(whole.steps, steps.amax(dim=0))
    estimates = torch.stack([one.estimate for one in each])
    torch.testing.assert_close(whole.estimate, estimates.amax(dim=0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conductance(20, tolerance=0.1, max_steps=30), "room to double 20 steps.*is 30"),
        (lambda: Conductance(20, tolerance=0.1, max_steps=10), "max_steps is 10"),
        (lambda: Conductance(2, nodes=[0, 0.1, 0.3, 1], tolerance=0.1), "make 3 segments"),
        (lambda: Conductance(nodes=[0, 1], tolerance=0.1), "room to double 1 steps"),
        (lambda: Conductance(5, nodes=[0, 0.5, 1]), "steps=5 contradicts .* 2 segments"),
        (
            lambda: Conductance(tolerance="0.1"),
            r"tolerance \(='0.1'\) must be above 0; for example 0\.05",
        ),  # type: ignore
        (lambda: Conductance(tolerance=math.inf), r"tolerance \(=inf\) must be above 0"),
        (lambda: Conductance(tolerance=math.nan), r"tolerance \(=nan\) must be above 0"),
        (lambda: Conductance(10.5), r"steps \(=10\.5\) must be a whole"),  # type: ignore[arg-type]
        (lambda: Conductance(True), r"steps \(=True\) must be a whole"),
        (lambda: Conductance(max_steps=0), r"max_steps \(=0\) must be a whole number at least 1"),
        (lambda: Conductance(nodes=None), "None does not place nodes"),  # type: ignore[arg-type]
        (lambda: Conductance(nodes=Geometric), "does not place nodes"),  # type: ignore[arg-type]
        (lambda: Conductance(nodes=["a", "b"]), "must be numbers"),  # type: ignore[list-item]
    ],
)
def test_settings_that_contradict_are_refused(make: Any, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        make()


@pytest.mark.parametrize(
    "nodes", [torch.linspace(0, 1, 5), np.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]]
)
def test_nodes_may_be_a_tensor_or_an_array(nodes: Any) -> None:
    method = Conductance(nodes=nodes)
    assert method == Conductance(4, nodes=(0, 0.25, 0.5, 0.75, 1))


def test_the_steps_of_a_made_method_are_a_number() -> None:
    assert Conductance().steps == 20
    steps = Conductance(np.int64(10)).steps  # type: ignore[arg-type]
    assert steps == 10
    assert type(steps) is int
    assert Conductance(nodes=[0, 0.1, 0.2, 0.3, 0.5, 1], tolerance=0.1).steps == 1
