"""Integrated gradients in activation space against Captum, calculus and their own sums."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
import reference
from codeclens.attribution import Attributor, Contributions, Label, Predicted, Site
from codeclens.attribution.activation_path import ActivationPath
from codeclens.errors import CodeclensError

RULES = ("secant", "trapezoid", "left", "midpoint")


def residual() -> tuple[nn.Module, Tensor]:
    return networks.residual_cnn(inplace=True).double(), networks.noise(3, 3, 12, 12)


def vit() -> tuple[nn.Module, Tensor]:
    return networks.small_vit().double(), networks.noise(3, 3, 8, 8)


def mlp() -> tuple[nn.Module, Tensor]:
    return networks.plain_mlp().double(), networks.noise(3, 6)


NETWORKS = {
    "residual": (residual, ["bn1", "layer1.0", "layer1.1", "layer1.1.bn2", "layer2", "fc:input"]),
    "vit": (vit, ["patch_embed", "blocks.0", "blocks.1", "blocks.1.attn"]),
    "mlp": (mlp, ["0", "1", "3"]),
}


def attribute(model: nn.Module, x: Tensor, sites: Any, **settings: Any) -> Contributions:
    return Attributor(model, sites=sites, **settings)(x)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_captums_layer_integrated_gradients(network: str) -> None:
    # n steps of theirs lie at n equal nodes, ends included, with weights that sum to (n − 1) / n
    # and are single precision.
    from captum.attr import LayerIntegratedGradients

    build, sites = NETWORKS[network]
    model, x = build()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False  # theirs would fail
    baseline = networks.noise(*x.shape, seed=2) * 0.1
    classes = model(x).argmax(dim=1)
    method = ActivationPath(steps=6, rule="trapezoid")
    found = Attributor(model, sites=sites, method=method, baseline=baseline, reduce=None)(x)
    for site in sites:
        if ":" in site:
            continue
        theirs = LayerIntegratedGradients(model, model.get_submodule(site)).attribute(
            x, baseline, target=classes, n_steps=7, method="riemann_trapezoid"
        )
        ours = found[site].full
        assert ours is not None
        assert reference.difference(ours, theirs.detach() * 7 / 6) < 2e-7, site


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("network", ["vit", "mlp", "residual"])
def test_secants_sum_exactly_at_a_cut(network: str, steps: int) -> None:
    build, sites = NETWORKS[network]
    model, x = build()
    baseline = networks.noise(*x.shape, seed=2) * 0.1
    method = ActivationPath(steps=steps, rule="secant")
    found = attribute(model, x, sites, method=method, baseline=baseline)
    assert not found.uncovered
    change = found.target - found.baseline_target
    target = reference.predicted(model, x)
    torch.testing.assert_close(change, (target(model(x)) - target(model(baseline))).detach())
    cuts = [site for site in found.values() if site.is_cut]
    assert len(cuts) >= 2
    for site in cuts:
        assert site.completeness.abs().max() < 1e-12


@pytest.mark.parametrize("start", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("network", ["vit", "mlp", "residual"])
def test_a_later_start_is_the_mean_over_the_rest_of_the_way(network: str, start: float) -> None:
    build, sites = NETWORKS[network]
    model, x = build()
    baseline = networks.noise(*x.shape, seed=2) * 0.1
    key = sites[-1]
    method = ActivationPath(steps=400, rule="midpoint", start=start)
    found = attribute(model, x, key, method=method, baseline=baseline, reduce=None)[key].full
    secants = attribute(
        model, x, key, method=ActivationPath(steps=3, start=start), baseline=baseline
    )
    target = reference.predicted(model, x)
    mean, change, ends = reference.late_path(model, key, x, baseline, target, start, steps=400)
    assert found is not None
    assert reference.difference(found, mean) < 1e-6
    # Secants sum to the change of the target over that part of the way, scaled up.
    torch.testing.assert_close(secants[key].net.sum(dim=1), change, rtol=0, atol=1e-11)
    # The ends are those of the whole way, and nothing is called a gap.
    torch.testing.assert_close(secants.target - secants.baseline_target, ends, rtol=0, atol=1e-11)
    whole = secants[key].is_cut and start == 0
    assert bool(secants[key].completeness.isnan().all()) != whole


def test_beside_a_cut_it_sums_to_what_passes_through() -> None:
    # The rest of the network stays as it is at x: the sum is the effect of the whole branch.
    model, x = vit()
    found = attribute(model, x, "blocks.1.attn", method=ActivationPath(steps=3))["blocks.1.attn"]
    assert not found.is_cut
    assert found.completeness.isnan().all()
    given: list[Tensor] = []
    module = model.get_submodule("blocks.1.attn")
    handle = module.register_forward_hook(lambda _m, _i, output: given.append(output))
    model(torch.zeros_like(x))
    handle.remove()
    target = reference.predicted(model, x)
    before = target(model(x))
    module.register_forward_hook(lambda *_: given[0])
    effect = (before - target(model(x))).detach()
    torch.testing.assert_close(found.net.sum(dim=1), effect, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_all_rules_close_in_on_the_same_integral(rule: Any) -> None:
    model, x = mlp()
    fine = attribute(model, x, "0", method=ActivationPath(steps=512, rule="trapezoid"))["0"].net
    coarse, near = (
        reference.difference(
            attribute(model, x, "0", method=ActivationPath(steps=steps, rule=rule))["0"].net, fine
        )
        for steps in (4, 128)
    )
    assert near < min(coarse / 2, 0.01)


def test_a_linear_rest_takes_one_step() -> None:
    model, x = mlp()
    found = attribute(model, x, "3", method=ActivationPath(steps=1, rule="left"))["3"]
    hidden = model[:4](x) - model[:4](torch.zeros_like(x))
    weight = model[4].weight[model(x).argmax(dim=1)]
    torch.testing.assert_close(found.net, (hidden * weight).detach())


def test_several_targets_and_calls_of_a_module() -> None:
    model, x = networks.called_twice().double(), networks.noise(3, 6)
    labels = torch.tensor([3, 0, 1])
    attributor = Attributor(model, sites=["shared", Site("last", "input")], method=ActivationPath())
    both = attributor.several(x, [Predicted(), Label()], labels)
    for one, target in zip(both, (Predicted(), Label()), strict=True):
        alone = Attributor(model, sites="shared", method=ActivationPath(), target=target)(x, labels)
        assert set(one) == {"shared#0", "shared#1", "last:input"}
        for key, site in one.items():
            assert site.is_cut
            assert site.completeness.abs().max() < 1e-12
            if key in alone:
                torch.testing.assert_close(site.net, alone[key].net)


def test_operations_without_a_secant_are_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.erfcx(x)

    model = nn.Sequential(nn.Linear(6, 4), Odd(), nn.Linear(4, 2)).double()
    found = attribute(model, networks.noise(2, 6), "0", method=ActivationPath())
    assert found.uncovered == {"special_erfcx"}


def test_the_model_is_left_as_it_was() -> None:
    model, x = residual()
    model.train()
    attribute(model, x, ["layer1.0", "layer1.1.bn2"], method=ActivationPath(steps=2))
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    for module in model.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rule": "simpson"}, r'no rule "simpson"; the nearest names are "'),
        ({"steps": 0}, r"steps \(=0\) must be a whole number at least 1"),
        ({"steps": 1.5}, r"steps \(=1\.5\) must be a whole number at least 1"),
        ({"start": 1.0}, r"start \(=1\.0\) must be at least 0 and below 1"),
        ({"start": -0.5}, r"start \(=-0\.5\) must be at least 0 and below 1"),
    ],
)
def test_mistakes(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        ActivationPath(**settings)
