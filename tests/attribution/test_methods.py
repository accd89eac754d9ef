"""Methods against the slow version of the mathematics, against Captum, and against calculus."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import networks
import reference
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Conductance,
    Contributions,
    Label,
    Method,
    Site,
)
from codeclens.errors import CodeclensError
from codeclens.zoo.digits import DigitsResNet, digits_data

RULES = ("trapezoid", "left")


@cache
def digits(samples: int = 2) -> tuple[nn.Module, Tensor]:
    """The network that ships with the package, and a few real digits, in double precision."""
    model = DigitsResNet()
    weights = files("codeclens.zoo") / "weights" / "digits-resnet.safetensors"
    model.load_state_dict(load_file(str(weights)))
    images, _ = digits_data("held_out")
    return model.double().eval(), images[3 : 3 + samples].double()


def residual() -> tuple[nn.Module, Tensor]:
    return networks.residual_cnn().double(), networks.noise(3, 3, 12, 12)


def vit() -> tuple[nn.Module, Tensor]:
    return networks.small_vit().double(), networks.noise(3, 3, 8, 8)


# For each network its sites, each with the axis of its units.
RESIDUAL_SITES = {
    **dict.fromkeys(("conv1", "relu", "layer1.0", "layer1.0.conv1", "layer1.0.bn2"), 1),
    **dict.fromkeys(("layer1.0.relu#0", "layer1.0.relu#1", "layer1.0.conv2:input"), 1),
    **dict.fromkeys(("layer1.1", "layer2", "layer2.0", "layer2.0.downsample"), 1),
    **dict.fromkeys(("fc:input", "fc"), 1),
}
VIT_SITES = {
    "patch_embed": 1,
    **dict.fromkeys(("blocks.0", "blocks.1", "blocks.0.attn", "blocks.1.norm2"), 2),
    **dict.fromkeys(("blocks.0.mlp.fc2:input", "blocks.1.mlp.fc2:input"), 2),
    "blocks.1.attn.proj:input": 2,
}
DIGITS_SITES = dict.fromkeys(("blocks.0", "blocks.3", "blocks.5"), 1)
NETWORKS = {
    "residual": (residual, RESIDUAL_SITES),
    "vit": (vit, VIT_SITES),
    "digits": (digits, DIGITS_SITES),
}


def attribute(
    model: nn.Module, x: Tensor, labels: Tensor | None = None, **settings: Any
) -> Contributions:
    """`contributions` without its warning: here gaps are looked at."""
    return Attributor(model, **settings)(x, labels)


def uniform(steps: int, rule: str = "trapezoid") -> Conductance:
    """What a test relies on is named, whatever the defaults become."""
    return Conductance(steps=steps, rule=rule, nodes="uniform")


def nodes(steps: int) -> list[float]:
    return [step / steps for step in range(steps + 1)]


def modules_of(sites: dict[str, int]) -> list[str]:
    """The sites without the numbers of their calls: the reference numbers them by itself."""
    return list(dict.fromkeys(key.split("#")[0] for key in sites))


def assert_agree(found: Contributions, expected: dict[str, Tensor], axes: dict[str, int]) -> None:
    """Every position, and both signs of every unit, are those of the reference."""
    assert set(found) == set(expected) == set(axes)
    for key, theirs in expected.items():
        ours = found[key]
        assert ours.full is not None
        assert reference.difference(ours.full, theirs) < 1e-9, key
        positive, negative = reference.split_signs(reference.by_unit(theirs, axes[key]))
        assert reference.difference(ours.positive, positive) < 1e-9, key
        assert reference.difference(ours.negative, negative) < 1e-9, key


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", NETWORKS)
def test_conductance_is_that_of_the_reference(network: str, rule: str) -> None:
    build, axes = NETWORKS[network]
    model, x = build()
    baseline = networks.noise(*x.shape[1:], seed=2) * 0.1
    sites = modules_of(axes)
    target = reference.predicted(model, x)
    expected = reference.conductance(model, x, sites, target, baseline, nodes(5), rule)
    settings = {"method": uniform(5, rule), "baseline": baseline, "reduce": None}
    assert_agree(attribute(model, x, sites=sites, **settings), expected, axes)


@pytest.mark.parametrize("network", NETWORKS)
def test_per_sample_values_match_the_reference(network: str) -> None:
    build, axes = NETWORKS[network]
    model, x = build()
    sites = modules_of(axes)
    found = attribute(model, x, sites=sites, method=uniform(3), reduce=None)
    target = reference.predicted(model, x)
    at_x = reference.trace(model, x, sites, target)
    at_zero = reference.trace(model, torch.zeros_like(x), sites, target)
    assert reference.difference(found.target, at_x.target) < 1e-9
    assert reference.difference(found.baseline_target, at_zero.target) < 1e-9
    assert found.prediction.tolist() == model(x).argmax(1).tolist()
    for key, axis in axes.items():
        mean = reference.mean_over_positions(reference.by_unit(at_x.activations[key], axis))
        assert reference.difference(found[key].activation, mean) < 1e-9, key
        contributions = found[key].full
        assert contributions is not None
        gap = contributions.flatten(1).sum(1) - (at_x.target - at_zero.target)
        if found[key].is_cut:
            torch.testing.assert_close(found[key].completeness, gap, rtol=0, atol=1e-9)
        else:
            assert found[key].completeness.isnan().all()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_times_activation_is_that_of_the_reference(network: str, normalize: bool) -> None:
    build, axes = NETWORKS[network]
    model, x = build()
    sites = modules_of(axes)
    theirs = reference.normalized_gradient_times_activation
    expected = (theirs if normalize else reference.gradient_times_activation)(
        model, x, sites, reference.predicted(model, x)
    )
    method = ActivationGradient(normalize=normalize)
    found = attribute(model, x, sites=sites, method=method, reduce=None)
    assert_agree(found, expected, axes)
    assert found.baseline_target.isnan().all()
    assert all(site.completeness.isnan().all() for site in found.values())


def test_heads_are_groups_of_features() -> None:
    model, x = vit()
    key = "blocks.0.attn.proj:input"
    target = reference.labelled([1, 0, 4])
    zero = torch.zeros_like(x)
    expected = reference.conductance(model, x, [key], target, zero, nodes(4), "trapezoid")[key]
    positive, negative = reference.split_signs(reference.by_unit(expected, 2, heads=3))
    site = Site("blocks.0.attn.proj", port="input", heads=3)
    labels = torch.tensor([1, 0, 4])
    found = attribute(model, x, labels, sites=site, method=uniform(4), target=Label())[key]
    assert found.positive.shape == (3, 3)
    assert reference.difference(found.positive, positive) < 1e-9
    assert reference.difference(found.negative, negative) < 1e-9


def test_a_sample_without_gradient_contributes_nothing() -> None:
    # Normalising must not divide zero by zero: the sample's units are all dead.
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        model[0].bias.fill_(-9)
        model[2].weight.zero_()
    x = networks.noise(2, 2)
    found = attribute(model, x, sites="1", method=ActivationGradient(normalize=True))
    assert found["1"].net.eq(0).all()


# --- Completeness ---


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("rule", RULES)
def test_a_linear_network_has_no_gap(rule: str, steps: int) -> None:
    model = networks.linear_network().double()
    x = networks.noise(5, 6)
    found = attribute(model, x, sites=["0", "1", "2"], method=uniform(steps, rule))
    assert all(site.is_cut for site in found.values())
    for site in found.values():
        assert site.completeness.abs().max() < 1e-12


def gaps(network: str, rule: str, steps: list[int]) -> list[float]:
    """The median gap over samples and cuts, relative to the change of the target, by steps."""
    build, axes = NETWORKS[network]
    model, x = build()
    # Many samples: kinks may fall well or badly between the nodes of one.
    x = digits(4)[1] if network == "digits" else networks.noise(24, *x.shape[1:])
    sites = ["blocks.1", "blocks.3"] if network == "digits" else modules_of(axes)
    found = []
    for count in steps:
        here = attribute(model, x, sites=sites, method=uniform(count, rule))
        change = here.target - here.baseline_target
        cuts = [site.completeness for site in here.values() if site.is_cut]
        assert cuts
        found.append(median(float(g) for gap in cuts for g in (gap / change).abs()))
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_gap_closes_as_one_over_steps_or_better(network: str, rule: str) -> None:
    steps = [8, 16, 32, 64]
    found = gaps(network, rule, steps)
    slope, _ = np.polyfit(np.log(steps), np.log(found), 1)
    assert slope < -0.9, found
    assert all(gap * n < 2 * found[0] * steps[0] for n, gap in zip(steps, found, strict=True)), (
        found
    )


def test_the_trapezoid_of_a_smooth_network_closes_its_gap_twice_as_fast() -> None:
    found = gaps("vit", "trapezoid", [64, 128, 256])
    for before, after in pairwise(found):
        assert before / after == pytest.approx(4, rel=0.2)


# --- Captum ---


def captum_attributions(
    model: nn.Module, module: nn.Module, x: Tensor, target: Tensor, steps: int, kind: str
) -> tuple[Tensor, list[float]]:
    """Captum's LayerConductance with the nodes that it places for `kind`."""
    from captum.attr import LayerConductance
    from captum.attr._utils.approximation_methods import approximation_parameters

    theirs = LayerConductance(model, module).attribute(
        x, baselines=0, target=target, n_steps=steps, method=kind
    )
    # `steps` segments lie between steps + 1 nodes; their rule is a left sum over all of them.
    return theirs, approximation_parameters(kind)[1](steps + 1)


@pytest.mark.parametrize("kind", ["riemann_trapezoid", "gausslegendre"])
@pytest.mark.parametrize("network", NETWORKS)
def test_our_left_sum_is_captums_conductance(network: str, kind: str) -> None:
    build, _ = NETWORKS[network]
    model, x = build()
    x = x[:2]
    sites = {"residual": ["layer1.0", "layer2"], "vit": ["blocks.0"], "digits": ["blocks.2"]}
    classes = model(x).argmax(dim=1)
    for site in sites[network]:
        module = model.get_submodule(site)
        theirs, at = captum_attributions(model, module, x, classes, 9, kind)
        method = Conductance(rule="left", nodes=at)
        found = attribute(model, x, sites=site, method=method, reduce=None)
        assert found[site].full is not None
        assert reference.difference(found[site].full, theirs.detach()) < 1e-10


@pytest.mark.parametrize("network", NETWORKS)
def test_gradient_times_activation_is_captums(network: str) -> None:
    from captum.attr import LayerGradientXActivation

    build, axes = NETWORKS[network]
    model, x = build()
    classes = model(x).argmax(dim=1)
    site = next(key for key in axes if "#" not in key and ":" not in key)
    theirs = LayerGradientXActivation(model, model.get_submodule(site)).attribute(x, target=classes)
    found = attribute(model, x, sites=site, method=ActivationGradient(), reduce=None)
    assert found[site].full is not None
    assert reference.difference(found[site].full, theirs.detach()) < 1e-10


# --- Mistakes ---


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rule": "simpson"}, r'Conductance has no rule "simpson"; the nearest names are "'),
        ({"steps": 0}, r"steps \(=0\) must be a whole number at least 1"),
        ({"steps": -3}, r"steps \(=-3\) must be a whole number at least 1"),
        ({"steps": 2.5}, r"steps \(=2\.5\) must be a whole number at least 1"),
        ({"nodes": [0.5]}, r"ascend from 0 \(baseline\) to 1 \(input\), not \(0\.5,\)\."),
        ({"nodes": [0.0, 0.7, 0.3, 1.0]}, r"not \(0\.0, 0\.7, 0\.3, 1\.0\)\."),
        ({"nodes": [0.0, 1.5]}, r"not \(0\.0, 1\.5\)\."),
        ({"nodes": [-0.1, 1.0]}, r"not \(-0\.1, 1\.0\)\."),
    ],
)
def test_conductance_rejects_unsupported_settings(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        Conductance(**settings)


def test_methods_can_be_compared_and_shown() -> None:
    method: Method = Conductance(steps=4, rule="left")
    assert method == Conductance(steps=4, rule="left")
    assert method != Conductance(steps=5, rule="left")
    assert "steps=4" in repr(method)
