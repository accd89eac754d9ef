"""Gradients that stop inside a model: named, and what lies behind them keeps its numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import (
    AblationEffect,
    Attributor,
    Conductance,
    Contributions,
    contributions,
    find_sites,
    survey,
)
from codeclens.errors import CodeclensError, CompletenessWarning


class Net(nn.Module):
    """A backbone, a body and a head, put together by a function."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6))
        self.body = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.aside = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)
        self.way = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


def frozen_backbone(net: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        h = net.backbone(x)
    return net.head(net.body(h))


def detached(net: Any, x: Tensor) -> Tensor:
    return net.head(net.body(net.backbone(x).detach()))


def data(net: Any, x: Tensor) -> Tensor:
    return net.head(net.body(net.backbone(x).data))


def gradients_inside(net: Any, x: Tensor) -> Tensor:
    z = x.requires_grad_()
    (force,) = torch.autograd.grad(net.backbone(z).square().sum(), z)
    return net.head(net.aside(force).relu())


def choice(net: Any, x: Tensor) -> Tensor:
    chosen = nn.functional.one_hot(net.backbone(x).argmax(dim=1), 6)
    return net.head(net.body(chosen.to(x)))


def in_part(net: Any, x: Tensor) -> Tensor:
    h = net.body(net.backbone(x))
    return net.head(h + h.square().data)


def detached_in_part(net: Any, x: Tensor) -> Tensor:
    h = net.body(net.backbone(x))
    return net.head(h + (h.round() - h).detach())


def around(net: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        other = net.aside(x)
    return net.head(net.body(net.backbone(x)) + other)


def made(way: Callable[[Any, Tensor], Tensor]) -> tuple[Net, Tensor]:
    return networks.seeded(lambda: Net(way)).double(), networks.noise(3, 4).double()


def exact(model: nn.Module, x: Tensor, site: str) -> Contributions:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = contributions(model, x, sites=site, method=Conductance(steps=2), baseline=0.3)
    assert found[site].is_cut
    change = model(x) - model(torch.full_like(x, 0.3))
    expected = change.gather(1, model(x).argmax(1, keepdim=True))[:, 0].detach()
    torch.testing.assert_close(found[site].net.sum(1), expected, rtol=1e-12, atol=1e-12)
    return found


@pytest.mark.parametrize(
    ("way", "reason", "behind"),
    [
        (frozen_backbone, r"torch\.no_grad\(\) in \"backbone\.2\"", "body.0"),
        (detached, r"\.detach\(\) in the model's forward", "body.0"),
        (data, r"\.data in the model's forward", "body.0"),
        (gradients_inside, r"torch\.autograd\.grad in the model's forward", "aside"),
        (choice, "a choice", "body.0"),
    ],
)
def test_a_site_before_an_interruption_is_refused_and_one_behind_is_exact(
    way: Callable[[Any, Tensor], Tensor], reason: str, behind: str
) -> None:
    model, x = made(way)
    for method in (Conductance(steps=2), Conductance(2, "trapezoid")):
        sentence = f'No gradient reaches the output from site "backbone.1".*{reason}.*{behind}'
        with pytest.raises(CodeclensError, match=sentence):
            contributions(model, x, sites=["backbone.1", behind], method=method)
    exact(model, x, behind)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_an_interruption_does_not_matter_to_ablation() -> None:
    model, x = made(frozen_backbone)
    found = contributions(model, x, sites="backbone.1", method=AblationEffect(to="zero"))
    assert found["backbone.1"].net.abs().sum() > 0


def test_a_part_of_the_way_without_a_gradient_is_named() -> None:
    model, x = made(in_part)
    with pytest.warns(CompletenessWarning, match=r"There is no .*\.data in the model's"):
        found = contributions(model, x, sites="backbone.1", method=Conductance(steps=2))
    assert found["backbone.1"].is_cut
    assert any(".data" in name for name in found.uncovered)
    exact(model, x, "head")


def test_secants_follow_a_part_that_is_detached() -> None:
    model, x = made(detached_in_part)
    exact(model, x, "backbone.1")
    with pytest.warns(CompletenessWarning, match=r"\.detach\(\) in the model's"):
        contributions(model, x, sites="backbone.1", method=Conductance(2, "trapezoid"))


def test_a_way_around_a_site_without_a_gradient_makes_it_no_cut() -> None:
    model, x = made(around)
    found = survey(model, find_sites(model, ["backbone.1", "body", "head"]), x)
    assert found.cuts == {"head"}
    assert not found.interrupted


def test_a_custom_function_is_no_interruption() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, z: Tensor) -> Tensor:
            return z * 2 + z.detach() * 0

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return gradients[0] * 2

    model, x = made(lambda net, x: net.head(net.body(Double.apply(net.backbone(x)))))
    found = survey(model, find_sites(model, ["backbone.1", "body"]), x)
    assert found.cuts == {"backbone.1", "body"}
    assert not found.parted


def test_gradients_inside_a_forward_behind_a_site() -> None:
    def forces(net: Any, x: Tensor) -> Tensor:
        z = net.backbone(x)
        (force,) = torch.autograd.grad(net.body(z).square().sum(), z, create_graph=True)
        return force[:, :3]

    model, x = made(forces)
    with pytest.raises(CodeclensError, match="takes gradients inside its forward"):
        contributions(model, x, sites="backbone.1", method=Conductance(steps=2))
    method = Conductance(400, "trapezoid", "uniform")
    found = contributions(model, x, sites="backbone.1", method=method)
    change = found.target - found.baseline_target
    torch.testing.assert_close(found["backbone.1"].net.sum(1), change, rtol=1e-4, atol=1e-5)


def test_a_target_without_a_gradient_is_refused() -> None:
    model, x = made(lambda net, x: net.head(net.body(net.backbone(x))))
    for target in (lambda o: o.detach().sum(1), lambda o: o.argmax(1).to(o)):
        with pytest.raises(CodeclensError, match="has no gradient"):
            Attributor(model, sites="body", target=target)(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_exact_has_no_names(dtype: torch.dtype) -> None:
    def way(net: Any, x: Tensor) -> Tensor:
        h = net.backbone(x)
        # A choice that stays, and a maximum whose gradient is not needed.
        h = h - h.amax(dim=1, keepdim=True).detach() * 0
        return net.head(net.body(h.flip(1).sort(dim=1, stable=True).values.flip(1)))

    torch.manual_seed(0)
    model = Net(way).to(dtype)
    with torch.no_grad():
        model.backbone[2].bias.copy_(torch.arange(6) * 100.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = networks.noise(3, 4).to(dtype)
        found = contributions(model, x, sites="backbone.1", method=Conductance(steps=2))
    assert not found.uncovered


def test_cancelling_contributions_are_called_rounding() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
    x = torch.randn(2, 4)
    with torch.no_grad():
        # Pairs of units that cancel up to a change far below their rounding.
        model[0].weight[32:], model[0].bias[32:] = model[0].weight[:32], model[0].bias[:32]
        model[2].weight[:, 32:] = -model[2].weight[:, :32] * (1 + 1e-7)
        model[2].weight *= 1e4
    with pytest.warns(CompletenessWarning, match=r"^This is rounding, \d.*e-\d+ of the sum of"):
        contributions(model, x, sites="1", method=Conductance(steps=2))


def test_a_cast_inside_the_model_is_named() -> None:
    class Casts(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            h = self[1](self[0](x))
            return self[2](h.bfloat16().float() - 0.999 * h)

    torch.manual_seed(0)
    model = Casts(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 1))
    with pytest.warns(CompletenessWarning, match="rounding by a cast to bfloat16 inside the model"):
        contributions(model, torch.randn(3, 4), sites="1", method=Conductance(steps=2))
