"""Adapters against the libraries that they adapt, called by themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from captum import attr
from torch import Tensor, nn

import networks
import reference
from codeclens._compat import prepare_torchvision
from codeclens.attribution import (
    Attributor,
    Conductance,
    Contrast,
    Contributions,
    Label,
    Predicted,
    Samples,
    Site,
    TopKSum,
)
from codeclens.attribution.adapters import Captum, Zennit, _TargetModel
from codeclens.errors import CodeclensError, CompletenessWarning

# The softmax of an attention is an operation, not a module, which DeepLift does not follow.
DeepLift = partial(attr.LayerDeepLift, multiply_by_inputs=True)


class Once(nn.Module):
    """`(B, 6)` → `(B, 4)` of modules that run once each, as DeepLift needs them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.act = nn.ReLU()
        self.second = nn.Linear(8, 7)
        self.sigmoid = nn.Sigmoid()
        self.last = nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.act(self.first(x))
        logits: Tensor = self.last(self.sigmoid(self.second(hidden)))
        return logits


def once() -> tuple[Once, Tensor]:
    return networks.seeded(Once).double(), networks.noise(5, 6)


def attribute(
    model: nn.Module, x: Tensor, sites: Any, method: Any, labels: Tensor | None = None, **more: Any
) -> Contributions:
    return Attributor(model, sites=sites, method=method, reduce=None, **more)(x, labels)


ATTRIBUTIONS = [
    (attr.LayerConductance, {"n_steps": 7}),
    (attr.LayerConductance, {"n_steps": 6, "method": "riemann_trapezoid"}),
    (attr.LayerConductance, {"n_steps": 6, "internal_batch_size": 10}),
    (attr.LayerIntegratedGradients, {"n_steps": 5}),
    (attr.LayerGradientXActivation, {}),
    (attr.LayerDeepLift, {}),
    (DeepLift, {}),
    (attr.InternalInfluence, {"n_steps": 4}),
    (attr.LayerActivation, {}),
    (attr.LayerFeatureAblation, {}),
]
WITH_BASELINES = ("Conductance", "IntegratedGradients", "DeepLift", "Influence")


def named(value: Any) -> str | None:
    return getattr(value, "__name__", None) or ("DeepLift" if value is DeepLift else None)


@pytest.mark.parametrize(("factory", "settings"), ATTRIBUTIONS, ids=named)
@pytest.mark.parametrize("port", ["output", "input"])
def test_it_is_what_captum_gives(factory: Any, settings: dict[str, Any], port: Any) -> None:
    model, x = once()
    baseline = networks.noise(5, 6, seed=2) * 0.1
    classes = model(x).argmax(dim=1)
    theirs_settings = dict(settings)
    if any(kind in named(factory) for kind in WITH_BASELINES):
        theirs_settings["baselines"] = baseline
    if named(factory) != "LayerActivation":
        theirs_settings["target"] = classes
    if port == "input":
        theirs_settings["attribute_to_layer_input"] = True
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)
        theirs = factory(model, model.second).attribute(x.clone(), **theirs_settings)
    site = Site("second", port)
    found = attribute(model, x, site, Captum(factory, **settings), baseline=baseline)
    ours = found[site.key].full
    assert ours is not None
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    assert reference.difference(ours, theirs.detach()) < 1e-12


def test_convolutions_and_several_sites() -> None:
    model = networks.residual_cnn().double()
    x = networks.noise(3, 3, 12, 12)
    sites = ["layer1.0", "layer2.0"]
    found = attribute(model, x, sites, Captum(attr.LayerConductance, n_steps=4))
    classes = model(x).argmax(dim=1)
    for site in sites:
        theirs = attr.LayerConductance(model, model.get_submodule(site)).attribute(
            x, target=classes, n_steps=4
        )
        ours = found[site].full
        assert ours is not None
        assert reference.difference(ours, theirs.detach()) < 1e-12
        assert found[site].is_cut


@pytest.mark.parametrize(
    "target", [Contrast(), TopKSum(2), Label("probabilities"), lambda y: y[:, 0] * y[:, 1]]
)
def test_any_target_of_ours_works(target: Any) -> None:
    # Our left sum at their nodes is their conductance, whatever the target.
    from captum.attr._utils.approximation_methods import approximation_parameters

    model, x = once()
    labels = torch.tensor([0, 3, 1, 2, 2])
    nodes = approximation_parameters("gausslegendre")[1](7)
    mine = attribute(model, x, "act", Conductance(rule="left", nodes=nodes), labels, target=target)
    theirs = attribute(
        model, x, "act", Captum(attr.LayerConductance, n_steps=6), labels, target=target
    )
    assert mine["act"].full is not None
    assert theirs["act"].full is not None
    assert reference.difference(mine["act"].full, theirs["act"].full) < 1e-10
    torch.testing.assert_close(mine.target, theirs.target)
    torch.testing.assert_close(mine.baseline_target, theirs.baseline_target)


def test_completeness_is_reported_where_captum_has_it() -> None:
    model, x = once()
    found = attribute(model, x, "act", Captum(attr.LayerDeepLift))
    change = found.target - found.baseline_target
    assert change.abs().min() > 1e-3
    assert found["act"].completeness.abs().max() < 1e-10
    assert (
        attribute(model, x, "act", Captum(attr.LayerGradientXActivation))["act"]
        .completeness.isnan()
        .all()
    )
    for factory, complete in (
        (attr.LayerConductance, True),
        (attr.LayerIntegratedGradients, True),
        (DeepLift, True),
        (attr.LayerGradientXActivation, False),
        (attr.InternalInfluence, False),
        (attr.LayerLRP, False),
    ):
        assert Captum(factory).complete is complete


def test_several_rows_a_sample() -> None:
    # By themselves, several perturbations at once and a class for each sample do not go together.
    model, x = once()
    method = Captum(attr.LayerFeatureAblation)
    one = attribute(model, x, "act", method)["act"]
    several = attribute(
        model, x, "act", Captum(attr.LayerFeatureAblation, perturbations_per_eval=3)
    )
    torch.testing.assert_close(several["act"].full, one.full)


def test_rows_find_their_samples_in_any_order(generator: torch.Generator) -> None:
    # Paths repeat the batch, noise repeats each sample before the next.
    model, x = once()
    labels = torch.tensor([0, 3, 1, 2, 2])
    whole = _TargetModel(model, None, Label().bind(model(x), labels), x)
    expected = model(x).gather(1, labels[:, None])[:, 0]
    for rows in (
        torch.arange(5).repeat(3),
        torch.arange(5).repeat_interleave(3),
        torch.arange(5).repeat(4)[torch.randperm(20, generator=generator)],
    ):
        torch.testing.assert_close(whole(x[rows], rows), expected[rows])


def test_several_targets_and_baselines() -> None:
    model, x = once()
    labels = torch.tensor([0, 3, 1, 2, 2])
    baselines = Samples(networks.noise(4, 6, seed=3), draws=2)
    attributor = Attributor(
        model, sites="act", method=Captum(attr.LayerDeepLift), baseline=baselines
    )
    both = attributor.several(x, [Predicted(), Label()], labels)
    assert not torch.equal(both[0]["act"].net, both[1]["act"].net)
    for one in both:
        assert one["act"].completeness.abs().max() < 1e-10


def test_lrp_of_captum() -> None:
    model, x = once()
    model.sigmoid = nn.ReLU()  # it has no rule for the other
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = attribute(model, x, "second", Captum(attr.LayerLRP))["second"].full
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    theirs = attr.LayerLRP(model, model.second).attribute(
        x.clone().requires_grad_(), target=model(x).argmax(dim=1)
    )
    assert found is not None
    assert reference.difference(found, theirs.detach()) < 1e-12


def test_what_captum_leaves_on_a_model_that_it_cannot_explain_is_removed() -> None:
    model, x = once()
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    with pytest.raises(TypeError, match="Sigmoid"):
        attribute(model, x, "first", Captum(attr.LayerLRP))
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before


class Both(nn.Module):
    """A layer that gives two tensors, or one and something that is none."""

    def __init__(self, second: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 8)
        self.second = second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        hidden = self.layer(x)
        return hidden, hidden.tanh() if self.second else None


class Pairing(nn.Module):
    def __init__(self, second: bool) -> None:
        super().__init__()
        self.pair = Both(second)
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden, other = self.pair(x)
        logits: Tensor = self.last(hidden if other is None else hidden * other)
        return logits


def test_an_item_by_number() -> None:
    model, x = networks.seeded(lambda: Pairing(True)).double(), networks.noise(3, 6)
    method = Captum(attr.LayerGradientXActivation)
    found = attribute(model, x, ["pair[0]", "pair[1]"], method)
    theirs = attr.LayerGradientXActivation(model, model.pair).attribute(
        x.clone().requires_grad_(), target=model(x).argmax(dim=1)
    )
    for item in (0, 1):
        ours = found[f"pair[{item}]"].full
        assert ours is not None
        assert reference.difference(ours, theirs[item].detach()) < 1e-12


def test_sites_that_captum_cannot_look_at() -> None:
    method = Captum(attr.LayerGradientXActivation)
    x = networks.noise(3, 6)
    with pytest.raises(CodeclensError, match='"shared#0" is one of several of "shared"'):
        attribute(networks.called_twice().double(), x, "shared", method)
    with pytest.raises(CodeclensError, match="cannot attribute to item 'hidden' of \"inner\""):
        attribute(networks.wrapped("dict").double(), x, "inner[hidden]", method)
    pairing = networks.seeded(lambda: Pairing(False)).double()
    with pytest.raises(CodeclensError, match='"pair": it returns a tuple that is not all tensors'):
        attribute(pairing, x, "pair", method)
    with pytest.raises(CodeclensError, match="_NoInput cannot attribute to the input"):
        attribute(once()[0], x, "act:input", Captum(_NoInput))
    assert not any(module._forward_hooks for module in pairing.modules())


class _NoInput(attr.LayerActivation):
    """An attribution that does not offer to look at inputs."""

    def attribute(self, inputs: Any, additional_forward_args: Any = None) -> Any:
        return super().attribute(inputs, additional_forward_args)


def test_an_attribution_of_another_shape() -> None:
    model, x = networks.plain_cnn().double(), networks.noise(2, 3, 12, 12)
    with pytest.raises(
        CodeclensError,
        match=r"LayerGradCam .*\(2, 1, 6, 6\) at \"4\", whose activation is \(2, 8, 6, 6\)",
    ):
        attribute(model, x, "4", Captum(attr.LayerGradCam))


@pytest.mark.parametrize(
    ("factory", "settings", "sentence"),
    [
        (3, {}, r"3 is not a layer attribution of Captum; pass its class"),
        (attr.IntegratedGradients, {}, r"IntegratedGradients is not a layer attribution"),
        (attr.NeuronConductance, {}, r"NeuronConductance is not a layer attribution"),
        (attr.LayerConductance, {"steps": 4}, r"takes no setting steps=4 here; .* n_steps"),
        (attr.LayerConductance, {"target": 1}, r"LayerConductance takes no setting target=1 here"),
    ],
)
def test_mistakes(factory: Any, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        Captum(factory, **settings)


def test_the_model_is_left_as_it_was() -> None:
    model, x = once()
    model.train()
    attribute(model, x, "act", Captum(attr.LayerDeepLift))
    assert model.training
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert module.training
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- zennit ---


@pytest.fixture
def composites() -> Any:
    prepare_torchvision()  # zennit imports it
    return pytest.importorskip("zennit.composites")


def zennits_own(model: nn.Module, x: Tensor, site: str, composite: Any) -> Tensor:
    """As zennit's documentation gets the relevance inside a network."""
    found: list[Tensor] = []

    def keep(_m: nn.Module, _a: Any, output: Tensor) -> None:
        output.retain_grad()
        found.append(output)

    with composite.context(model):
        handle = model.get_submodule(site).register_forward_hook(keep)
        output = model(x.clone().requires_grad_())
        handle.remove()
        relevance = torch.zeros_like(output)
        for sample, k in enumerate(output.argmax(dim=1).tolist()):
            relevance[sample, k] = output[sample, k].detach()
        output.backward(relevance)
    grad = found[0].grad
    assert grad is not None
    return grad


@pytest.mark.parametrize("name", ["EpsilonPlus", "EpsilonAlpha2Beta1", "EpsilonGammaBox"])
def test_it_is_the_relevance_of_zennit(composites: Any, name: str) -> None:
    settings = {"low": -3.0, "high": 3.0} if name == "EpsilonGammaBox" else {}
    composite = getattr(composites, name)(**settings)
    model, x = networks.plain_cnn().double(), networks.noise(3, 3, 12, 12)
    sites = ["0", "1", "4", "6"]
    found = attribute(model, x, sites, Zennit(composite))
    for site in sites:
        ours = found[site].full
        assert ours is not None
        assert reference.difference(ours, zennits_own(model, x, site, composite)) < 1e-12
    assert found.baseline_target.isnan().all()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_relevance_is_passed_on_and_not_lost(composites: Any) -> None:
    model, x = networks.plain_cnn().double(), networks.noise(3, 3, 12, 12)
    for layer in model:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.zeros_(layer.bias)  # a bias takes its share
    found = attribute(model, x, ["1", "4", "6"], Zennit(composites.EpsilonPlus()))
    for site in found.values():
        torch.testing.assert_close(site.net.sum(dim=1), found.target, rtol=1e-3, atol=1e-6)


def test_inputs_calls_and_several_targets(composites: Any) -> None:
    model, x = networks.called_twice().double(), networks.noise(3, 6)
    sites = ["act", Site("last", "input")]
    attributor = Attributor(model, sites=sites, method=Zennit(composites.EpsilonPlus()))
    labels = torch.tensor([1, 2, 0])
    predicted, labelled = attributor.several(x, [Predicted(), Label()], labels)
    assert set(predicted) == {"act#0", "act#1", "last:input"}
    alone = attributor(x)
    for key in predicted:
        torch.testing.assert_close(predicted[key].net, alone[key].net)
        assert not torch.allclose(predicted[key].net, labelled[key].net)
    torch.testing.assert_close(predicted["act#1"].net, predicted["last:input"].net)


class _Nothing:
    """A composite that leaves the gradient as it is."""

    def context(self, model: nn.Module) -> Any:
        from contextlib import nullcontext

        return nullcontext()


def test_without_rules_it_is_the_gradient_times_the_output() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(3, 6)
    found = attribute(model, x, "1", Zennit(_Nothing()))
    seen = reference.trace(model, x, ["1"], reference.predicted(model, x))
    expected = seen.gradients["1"] * seen.target[:, None]
    assert reference.difference(found["1"].net, expected) < 1e-12


def test_a_site_that_the_target_does_not_need() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(6, 4), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            self.unused(x)
            logits: Tensor = self.used(x)
            return logits

    with pytest.warns(CompletenessWarning, match='does not depend on "unused"'):
        found = attribute(Beside().double(), networks.noise(2, 6), "*used", Zennit(_Nothing()))
    assert found["unused"].net.eq(0).all()
    assert found["used"].net.ne(0).any()


@pytest.mark.parametrize("wrong", [_Nothing, "EpsilonPlus", None])
def test_what_is_no_composite(wrong: Any) -> None:
    with pytest.raises(CodeclensError, match="is not a composite of zennit; pass an instance"):
        Zennit(wrong)
