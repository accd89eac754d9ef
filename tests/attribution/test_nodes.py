"""Nodes: where the schedules place them, and that they can be relied on."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens import CodeclensError
from codeclens.attribution import Attributor, Conductance, Probe
from codeclens.attribution.path import SCHEDULES, ArcLength, Geometric, Nodes, Power


def placed(nodes: Any, steps: int, model: nn.Module, x: Tensor, sites: Any) -> tuple[float, ...]:
    attributor = Attributor(model, sites=sites)
    with Probe(model, attributor.survey(x).sites) as probe:
        method = Conductance(steps, nodes=nodes).prepare(probe, x, torch.zeros_like(x))
    assert isinstance(method.nodes, tuple)
    return method.nodes


def homogeneous(x: Tensor) -> tuple[nn.Module, Tensor]:
    """A network whose activation is α times that at x: relative length is known by calculus."""
    return nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 3)).double(), x


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 17])
def test_nodes_ascend_from_the_baseline_to_the_input(name: str, steps: int) -> None:
    nodes = placed(name, steps, networks.residual_cnn(), torch.randn(3, 3, 12, 12), "layer*.*")
    assert len(nodes) == steps + 1
    assert (nodes[0], nodes[-1]) == (0.0, 1.0)
    assert all(a < b for a, b in pairwise(nodes))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Power(1), [0, 0.25, 0.5, 0.75, 1]),
        (Power(2), [0, 1 / 16, 1 / 4, 9 / 16, 1]),
        (Geometric(0.001), [0, 0.001, 0.01, 0.1, 1]),
    ],
)
def test_schedules_without_a_pilot(schedule: Nodes, expected: list[float]) -> None:
    nodes = placed(schedule, 4, nn.Sequential(nn.Linear(2, 2)), torch.randn(2, 2), "0")
    assert nodes == pytest.approx(expected)


def test_arc_length_of_a_homogeneous_network_is_logarithmic() -> None:
    # ‖a(β) − a(α)‖ / mean = log β/α between fine nodes, and 2 from the baseline to the first.
    model, x = homogeneous(networks.noise(2, 4))
    start, steps = 0.01, 6
    nodes = placed(ArcLength(grid=400, start=start, crowding=1), steps, model, x, "1")
    whole = 2 - math.log(start)
    expected = []
    for step in range(1, steps):
        length = step * whole / steps
        expected.append(start * length / 2 if length < 2 else start * math.exp(length - 2))
    assert nodes[1:-1] == pytest.approx(expected, rel=1e-3)


def test_equal_lengths_lie_between_the_nodes_of_an_arc() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 12, 12)
    sites = ["layer1.0", "layer2"]
    nodes = placed(ArcLength(grid=150, crowding=1), 5, model, x, sites)
    fine = [0.0, *(10 ** (-3 + 3 * j / 150) for j in range(151))]
    lengths = [0.0] * 5
    for before, after in pairwise(fine):
        segment = max(s for s in range(5) if nodes[s] <= (before + after) / 2)
        for site in sites:
            lengths[segment] += relative_length(model, x, site, before, after)
    assert max(lengths) / min(lengths) < 1.1, lengths


def test_crowded_nodes_are_as_dense_as_a_power_of_the_length() -> None:
    # By calculus: the length per log α is 2 / log 2 on the first doubling and 1 from there on, so
    # that nodes are (2 / log 2)^p log 2 there and log 1/start on the rest.
    model, x = homogeneous(networks.noise(2, 4))
    start, steps, power = 0.01, 6, 2.0
    nodes = placed(ArcLength(grid=400, start=start, crowding=power), steps, model, x, "1")
    first = (2 / math.log(2)) ** power * math.log(2)
    whole = first - math.log(start)
    expected = []
    for step in range(1, steps):
        length = step * whole / steps
        low = start * length / first
        expected.append(low if length < first else start * math.exp(length - first))
    assert nodes[1:-1] == pytest.approx(expected, rel=2e-3)


def relative_length(model: nn.Module, x: Tensor, site: str, before: float, after: float) -> float:
    """By a hook of its own: the mean over samples of ‖Δa‖ over the mean of both norms."""
    seen: list[Tensor] = []
    handle = model.get_submodule(site).register_forward_hook(
        lambda *args: seen.append(args[2].detach().flatten(1))
    )
    with torch.no_grad():
        model(x * before)
        model(x * after)
    handle.remove()
    a, b = seen
    return float((2 * (b - a).norm(dim=1) / (a.norm(dim=1) + b.norm(dim=1))).mean())


def test_only_the_pilot_is_looked_at() -> None:
    model, x = networks.residual_cnn(), torch.randn(6, 3, 12, 12)
    other = torch.cat([x[:2], 100 * x[2:]])
    nodes = [placed(ArcLength(pilot=2), 5, model, each, "layer2") for each in (x, other)]
    assert nodes[0] == nodes[1]


def test_nodes_are_uniform_where_nothing_moves() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.zero_()
    assert placed("arc", 4, model, torch.randn(2, 2), "1") == (0, 0.25, 0.5, 0.75, 1)


def test_the_first_geometric_node_goes_down_as_steps_grow() -> None:
    firsts = [
        placed("geometric", steps, nn.Sequential(nn.Linear(2, 2)), torch.randn(2, 2), "0")[1]
        for steps in (10, 20, 40, 320)
    ]
    assert firsts == pytest.approx([0.005, 0.005, 0.0025, 0.005 / 16])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Power(-1), r"p \(=-1\) must be above 0"),
        (lambda: Power(0), "above 0"),
        (lambda: Geometric(0.0), r"start \(=0.0\) must be above 0 and below 1"),
        (lambda: Geometric(2.0), "above 0 and below 1"),
        (lambda: ArcLength(start=0), r"start \(=0\) must be above 0 and below 1"),
        (lambda: ArcLength(start=2), "above 0 and below 1"),
        (lambda: ArcLength(pilot=0), r"pilot \(=0\) must be a whole number at least 1"),
        (lambda: ArcLength(grid=1), r"grid \(=1\) must be a whole number at least 2"),
        (lambda: ArcLength(crowding=0), r"crowding \(=0\) must be above 0"),
    ],
)
def test_schedules_that_place_nothing_are_refused(make: Any, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        make()
