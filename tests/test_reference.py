"""The reference itself, where the answer is known without it."""

from __future__ import annotations

import torch
from torch import nn

import networks
import reference


def test_in_a_linear_network_all_methods_agree() -> None:
    # Without biases and with a zero baseline a unit's effect is its activation times its weight.
    model = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Linear(8, 4, bias=False)).double()
    x = networks.noise(3, 6)
    target = reference.labelled([2, 0, 3])
    expected = model[0](x).detach() * model[1].weight.detach()[[2, 0, 3]]
    zero = torch.zeros_like(x)
    for rule in ("left", "trapezoid"):
        found = reference.conductance(model, x, ["0"], target, zero, [0, 0.3, 1], rule)["0"]
        assert reference.difference(found, expected) < 1e-12
    product = reference.gradient_times_activation(model, x, ["0"], target)["0"]
    assert reference.difference(product, expected) < 1e-12
    effect = reference.ablation_effect(model, x, "0", target, axis=1)
    assert reference.difference(effect, expected) < 1e-12


def test_an_ablation_replaces_one_unit_by_what_is_given() -> None:
    model, x = networks.plain_cnn().double(), networks.noise(2, 3, 12, 12)
    target = reference.predicted(model, x)
    instead = networks.noise(2, 6, 12, 12, seed=4)
    effect = reference.ablation_effect(model, x, "1", target, axis=1, replacement=instead)
    hidden = model[1](model[0](x)).detach()
    for unit in range(6):
        changed = hidden.clone()
        changed[:, unit] = instead[:, unit]
        torch.testing.assert_close(effect[:, unit], target(model(x)) - target(model[2:](changed)))


def test_a_trace_sees_each_call_and_what_was_there_before_it_was_overwritten() -> None:
    model, x = networks.called_twice().double(), networks.noise(2, 6)
    seen = reference.trace(model, x, ["shared", "first:input"], reference.predicted(model, x))
    assert set(seen.activations) == {"shared#0", "shared#1", "first:input"}
    torch.testing.assert_close(seen.activations["shared#0"], model.shared(model.first(x)).detach())
    torch.testing.assert_close(seen.activations["first:input"], x)

    overwriting = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2)).double()
    seen = reference.trace(overwriting, x, ["0"], reference.labelled([0, 1]))
    assert bool((seen.activations["0"] < 0).any())
    # Behind a rectifier the gradient is zero exactly where the activation is below zero.
    assert torch.equal(seen.gradients["0"] == 0, seen.activations["0"] < 0)


def test_positions_are_grouped_by_unit_and_by_head() -> None:
    tokens = torch.arange(8.0).reshape(1, 2, 4)  # two tokens of four features
    assert reference.by_unit(tokens, 2) == [[[0, 4], [1, 5], [2, 6], [3, 7]]]
    assert reference.by_unit(tokens, 2, heads=2) == [[[0, 4, 1, 5], [2, 6, 3, 7]]]
    assert reference.mean_over_positions(reference.by_unit(tokens, 2)).tolist() == [[2, 3, 4, 5]]
