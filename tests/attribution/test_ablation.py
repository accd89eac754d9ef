"""Ablation effects against one whole run for every unit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
import reference
from codeclens.attribution import Attributor, Label, Output, Predicted, Site
from codeclens.attribution.activation_path import AblationEffect
from codeclens.errors import CodeclensError

RESIDUAL = networks.residual_cnn, (3, 3, 12, 12)
INPLACE = (lambda: networks.residual_cnn(inplace=True)), (3, 3, 12, 12)
VIT = networks.small_vit, (3, 3, 8, 8)
# A network with the shape of its input, a site of it, and the axis of its units.
CASES = [
    *((*RESIDUAL, site, 1) for site in ("conv1", "layer1.0", "layer1.1.bn2", "layer2.0", "fc")),
    *((*INPLACE, site, 1) for site in ("bn1", "layer1.0", "layer1.1.bn2")),
    *((*VIT, site, axis) for site, axis in (("patch_embed", 1), ("blocks.0", 2))),
    (*VIT, "blocks.1.attn", 2),
]


def activation_at(model: nn.Module, site: str, x: Tensor) -> Tensor:
    found: list[Tensor] = []
    handle = model.get_submodule(site).register_forward_hook(
        lambda _m, _i, output: found.append(output.detach().clone())
    )
    model(x)
    handle.remove()
    return found[0]


@pytest.mark.parametrize("to", ["baseline", "zero"])
@pytest.mark.parametrize(("build", "shape", "site", "axis"), CASES)
def test_it_is_that_of_the_reference(
    build: Any, shape: tuple[int, ...], site: str, axis: int, to: Any
) -> None:
    model, x = build().double(), networks.noise(*shape)
    baseline = networks.noise(*shape[1:], seed=2) * 0.1
    instead: Tensor | float = 0.0
    if to == "baseline":
        instead = activation_at(model, site, baseline.expand_as(x))
    target = reference.predicted(model, x)
    expected = reference.ablation_effect(model, x, site, target, axis, instead)
    method = AblationEffect(to=to, batch_size=7)
    found = Attributor(model, sites=site, method=method, baseline=baseline)(x)
    assert reference.difference(found[site].net, expected) < 1e-9
    assert reference.difference(found.target, target(model(x)).detach()) < 1e-12
    if to == "baseline":
        assert (
            reference.difference(
                found.baseline_target, target(model(baseline.expand_as(x))).detach()
            )
            < 1e-12
        )
    else:
        assert found.baseline_target.isnan().all()
    assert found[site].completeness.isnan().all()


def test_the_effect_is_the_same_at_all_positions() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 12, 12)
    found = Attributor(model, sites="layer1.0", method=AblationEffect(), reduce=None)(x)["layer1.0"]
    full = found.full
    assert full is not None
    assert full.shape == (2, 6, 12, 12)
    torch.testing.assert_close(full, full.mean(dim=(2, 3), keepdim=True).expand_as(full))
    assert (found.positive * found.negative).eq(0).all()


@pytest.mark.parametrize("batch_size", [1, 2, 6, 64])
def test_how_many_run_at_once_does_not_matter(batch_size: int) -> None:
    model, x = networks.residual_cnn().double(), networks.noise(3, 3, 12, 12)
    sites = ["layer1.0", "layer2.0"]
    one = Attributor(model, sites=sites, method=AblationEffect(batch_size=batch_size))(x)
    for sample in range(3):
        alone = Attributor(model, sites=sites, method=AblationEffect())(x[sample : sample + 1])
        for site in sites:
            torch.testing.assert_close(alone[site].net[0], one[site].net[sample])


def test_a_call_of_a_module_and_its_input() -> None:
    model, x = networks.called_twice().double(), networks.noise(3, 6)
    sites = ["shared", "last:input"]
    found = Attributor(model, sites=sites, method=AblationEffect(to="zero"))(x)
    assert set(found) == {"shared#0", "shared#1", "last:input"}
    predicted = model(x).argmax(dim=1)
    hidden = model.act(model.shared(model.act(model.shared(model.first(x)))))
    weight = model.last.weight[predicted]
    torch.testing.assert_close(found["last:input"].net, (hidden * weight).detach())
    # What the second call gives goes through tanh alone, and tanh of zero is zero.
    torch.testing.assert_close(found["shared#1"].net, (hidden * weight).detach())
    first = model.shared(model.first(x))
    first[:, 2] = 0
    changed = model.last(model.act(model.shared(model.act(first))))
    expected = (model(x) - changed).gather(1, predicted[:, None])[:, 0]
    torch.testing.assert_close(found["shared#0"].net[:, 2], expected.detach())


def test_heads_are_ablated_as_a_whole() -> None:
    model, x = networks.small_vit().double(), networks.noise(2, 3, 8, 8)
    site = Site("blocks.1.attn.proj", port="input", heads=3)
    found = Attributor(model, sites=site, target=Output(1), method=AblationEffect(to="zero"))(x)
    assert found[site.key].net.shape == (2, 3)

    def without(_: nn.Module, args: tuple[Tensor]) -> Tensor:
        return args[0].clone().index_fill_(2, torch.arange(4, 8), 0)

    before = model(x)[:, 1]
    model.get_submodule(site.name).register_forward_pre_hook(without)
    torch.testing.assert_close(found[site.key].net[:, 1], (before - model(x)[:, 1]).detach())


def test_several_targets_share_the_runs() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(3, 3, 12, 12)
    runs: list[int] = []
    model.fc.register_forward_hook(lambda _m, args, _o: runs.append(len(args[0])))
    labels = torch.tensor([0, 4, 2])
    attributor = Attributor(model, sites="layer2.0", method=AblationEffect()).prepared(x)
    attributor(x)
    alone = len(runs)
    predicted, labelled = attributor.several(x, [Predicted(), Label()], labels)
    assert len(runs) < 2 * alone
    target = reference.labelled(labels.tolist())
    expected = reference.ablation_effect(
        model, x, "layer2.0", target, 1, activation_at(model, "layer2.0", torch.zeros_like(x))
    )
    assert reference.difference(labelled["layer2.0"].net, expected) < 1e-9
    assert not torch.equal(predicted.target, labelled.target)


def test_units_at_their_baseline_have_no_effect_and_no_run() -> None:
    model, x = networks.plain_mlp(), networks.noise(3, 6, dtype=torch.float32)
    with torch.no_grad():
        model[0].weight[::2].zero_()
        model[0].bias[::2].fill_(-1)
    rows: list[int] = []
    model[4].register_forward_hook(lambda _m, args, _o: rows.append(len(args[0])))
    found = Attributor(model, sites="1", method=AblationEffect(to="zero"))(x)
    assert found["1"].net[:, ::2].eq(0).all()
    assert found["1"].net[:, 1::2].ne(0).any()
    assert rows[-1] == 3 * 4  # four of the eight units are alive


def test_half_precision_is_accumulated_in_single() -> None:
    model = networks.plain_mlp().bfloat16()
    x = networks.noise(2, 6).bfloat16()
    found = Attributor(model, sites="3", method=AblationEffect())(x)
    assert found["3"].net.dtype == torch.float32


def test_the_model_is_left_as_it_was() -> None:
    model = networks.residual_cnn(inplace=True).train()
    Attributor(model, sites="layer1.0", method=AblationEffect())(
        networks.noise(2, 3, 12, 12, dtype=torch.float32)
    )
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    for module in model.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"to": "mean"}, r"has no to='mean'; choose \"baseline\" or \"zero\"\."),
        ({"batch_size": 0}, r"batch_size \(=0\) must be a whole number at least 1"),
        ({"batch_size": 2.5}, r"batch_size \(=2\.5\) must be a whole number at least 1"),
    ],
)
def test_mistakes(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        AblationEffect(**settings)
