"""Acts on whole networks: composing, undoing, gradients, and who else has hooks there."""

from __future__ import annotations

import copy
from dataclasses import replace as changed

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import Site, find_sites, tapped
from codeclens.control import (
    Intervention,
    ablate,
    activation_at,
    clamp,
    intervene,
    preserve,
    replace,
    scale,
    steer,
)
from codeclens.control.edits import Scale
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError


@pytest.fixture
def model() -> networks.ResidualCNN:
    return networks.residual_cnn(inplace=True).double()


@pytest.fixture
def images() -> Tensor:
    return networks.noise(3, 3, 12, 12)


def with_activation(model: nn.Module, site: str, activation: Tensor, x: Tensor) -> Tensor:
    """The output where the site's tensor is given by hand."""
    (place,) = find_sites(model, site)
    with tapped(model, [place], lambda *_: activation.clone()):
        return model(x)


SITES = ["layer1.0", "layer1.1.bn2", "layer2.0.conv2:input", "fc:input"]


@pytest.mark.parametrize("site", SITES)
def test_acts_equal_networks_given_the_edited_activation(
    model: nn.Module, images: Tensor, site: str
) -> None:
    a = activation_at(model, site, images)
    units = a.shape[1]
    d, rest = torch.arange(float(units)).double(), a.ndim - 2
    along = d.reshape(-1, *[1] * rest)
    expected = {
        "scale": a.clone(), "steer": a + 0.5 * along, "clamp": a.clone(), "mean": a.clone(),
        "sample": a.clone(), "other": a.clone(),
    }  # fmt: skip
    expected["scale"][:, 1] *= 3
    expected["clamp"][:, [0, 2]] = along[[0, 2]].expand_as(a[:, [0, 2]])
    expected["mean"][:, [1]] = a[:, [1]].mean(dim=0, keepdim=True)
    expected["sample"][:, 2] = a[[1, 2, 0], 2]
    expected["other"][:, 2] = a.flip(0)[:, 2]
    acts = {
        "scale": scale(model, site, 3.0, units=[1]),
        "steer": steer(model, site, d, 0.5),
        "clamp": clamp(model, site, d, units=[0, 2]),
        "mean": replace(model, site, mean=a, units=[1]),
        "sample": replace(model, site, sample=[1, 2, 0], units=[2]),
        "other": replace(model, site, sample=a.flip(0), units=[2]),
    }
    plain = model(images)
    for name, act in acts.items():
        with act:
            found = model(images)
        by_hand = with_activation(model, site, expected[name], images)
        torch.testing.assert_close(found, by_hand, rtol=0, atol=1e-14, msg=name)
        assert not torch.equal(found, plain), name
        assert torch.equal(model(images), plain), name


def test_many_masks_in_one_run(model: nn.Module, images: Tensor) -> None:
    masks = torch.tensor([[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]]).bool()
    with ablate(model, "layer1.0", units=masks):
        found = model(images.repeat(3, 1, 1, 1))
        with pytest.raises(CodeclensError, match="3 masks: the batch must hold one copy per mask"):
            model(images[:2])
    for mask, part in zip(masks, found.split(3), strict=True):
        with ablate(model, "layer1.0", units=mask):
            torch.testing.assert_close(model(images), part, rtol=0, atol=1e-13)


def test_several_sites_and_orders_of_one(model: nn.Module, images: Tensor) -> None:
    one, other = (networks.noise(6, seed=s) for s in (1, 2))
    with scale(model, "layer1.0", one, units=range(6)), steer(model, "layer1.0", other):
        multiplied_first = model(images)
    with steer(model, "layer1.0", other), scale(model, "layer1.0", one, units=range(6)):
        added_first = model(images)
    a, by = activation_at(model, "layer1.0", images), (1, 6, 1, 1)
    for found, edited in (
        (multiplied_first, a * one.view(by) + other.view(by)),
        (added_first, (a + other.view(by)) * one.view(by)),
    ):
        expected = with_activation(model, "layer1.0", edited, images)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    acts = [
        Intervention(Site("layer1.0"), Scale(2.0), (0,)),
        Intervention(Site("layer2.0"), "ablate", (1, 2)),
    ]
    with intervene(model, acts):
        together = model(images)
    with ablate(model, "layer2.0", units=[1, 2]), scale(model, "layer1.0", 2.0, units=[0]):
        assert torch.equal(model(images), together)


def test_tokens_at_chosen_positions() -> None:
    model, x = networks.small_vit().double(), networks.noise(3, 3, 8, 8)
    a = activation_at(model, "blocks.0", x)
    edited = a.clone()
    edited[:, 0, [1, 5]] = 0
    expected = with_activation(model, "blocks.0", edited, x)
    with ablate(model, "blocks.0", units=[1, 5], positions=[0]):
        assert torch.equal(model(x), expected)
    neurons, heads = find_sites(model, ["blocks.1.mlp.fc2:input", "blocks.1.attn.proj:input"])
    for site, units, positions in (
        (neurons, [0, 7], torch.tensor([True, False, True, False, False])),
        (changed(heads, heads=3), [2], [4]),
    ):
        a = activation_at(model, site, x)
        edited, places = a.clone(), [0, 2] if site is neurons else [4]
        columns = units if site is neurons else range(8, 12)
        for place in places:
            for column in columns:
                edited[:, place, column] *= -1
        with tapped(model, [site], lambda *_, edited=edited: edited.clone()):
            expected = model(x)
        with scale(model, site, -1.0, units=units, positions=positions):
            torch.testing.assert_close(model(x), expected, rtol=0, atol=1e-14)


def test_gradients_are_those_of_the_edited_network(model: nn.Module, images: Tensor) -> None:
    leaf = images.clone().requires_grad_()
    factor = networks.noise(6).requires_grad_()
    with scale(model, "layer1.1.bn2", factor, units=range(6)):
        grads = torch.autograd.grad(model(leaf).square().sum(), [leaf, factor])

    def by_hand(x: Tensor, f: Tensor) -> Tensor:
        edit = tapped(model, [Site("layer1.1.bn2")], lambda _, t: t * f[:, None, None])
        with edit:
            return model(x).square().sum()

    expected = torch.autograd.grad(by_hand(leaf, factor), [leaf, factor])
    for found, theirs in zip(grads, expected, strict=True):
        torch.testing.assert_close(found, theirs, rtol=0, atol=1e-10)
    with replace(model, "layer1.0", sample=[1, 0, 2], units=range(6)):
        (through,) = torch.autograd.grad(model(leaf)[0].sum(), leaf)
    assert through[1].abs().sum() > 0


ACTS = {
    "scale": lambda m: scale(m, "layer1.0", 2.0, units=[99]),
    "steer": lambda m: steer(m, "layer1.0", [1.0, 2.0]),
    "clamp": lambda m: clamp(m, "layer1.0", torch.zeros(7), units=[1]),
    "replace": lambda m: replace(m, "layer1.0", sample=[0, 9], units=[1]),
}


@pytest.mark.parametrize("name", ACTS)
def test_all_is_undone_after_failures(model: nn.Module, images: Tensor, name: str) -> None:
    own: list[int] = []
    model.layer1[0].register_forward_hook(lambda *_: own.append(1))
    before, state = model(images), copy.deepcopy(model.state_dict())
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    with pytest.raises(CodeclensError), ACTS[name](model):
        model(images)
    assert hooks == [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    assert torch.equal(model(images), before)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert len(own) == 3


def test_a_copy_made_meanwhile_is_free_afterwards(model: nn.Module, images: Tensor) -> None:
    plain = model(images)
    with ablate(model, "layer1.0", units=range(6)):
        twin = copy.deepcopy(model)
        edited = model(images)
        assert torch.equal(twin(images), edited)
    assert torch.equal(twin(images), plain)
    before = copy.deepcopy(model)
    with ablate(model, "layer1.0", units=range(6)):
        assert torch.equal(before(images), plain)
        assert not torch.equal(edited, plain)


def test_every_run_must_reach_the_site() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x) if len(x) > 1 else x

    model = Sometimes()
    with scale(model, "act", 2.0, units=[0]):
        model(torch.ones(2, 1))
        with pytest.raises(CodeclensError, match='without reaching site "act"'):
            model(torch.ones(1, 1))


def test_a_modes_weights(model: nn.Module, images: Tensor) -> None:
    positive = np.array([0.2, 0.0, 0.1, 0.0, 4.0, 0.3])
    negative = np.array([0.0, -2.0, 0.0, 0.0, -1.0, -0.3])
    mode = Mode("layer1.0", 0, positive, negative, np.ones(1))
    a = activation_at(model, "layer1.0", images)
    net = torch.tensor([0.2, -2.0, 0.1, 0.0, 3.0, 0.0], dtype=torch.float64)
    strength = (net.clamp(min=0) / 3).view(1, 6, 1, 1)
    for act, edited in ((ablate, a * (1 - strength)), (preserve, a * strength)):
        with act(model, mode, weights="mode"):
            found = model(images)
        expected = with_activation(model, "layer1.0", edited, images)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    with scale(model, mode, 0.0, fraction=0.3):
        scaled = model(images)
    with ablate(model, "layer1.0", units=[4, 0]):
        assert torch.equal(model(images), scaled)
    with pytest.raises(CodeclensError, match='weights="modes" is not known'), ablate(
        model, mode, weights="modes"
    ):  # fmt: skip
        pass


def test_mistakes(model: nn.Module, images: Tensor) -> None:
    a = activation_at(model, "layer1.0", images)
    for act, message in (
        (lambda: replace(model, "layer1.0", units=[0]), "by exactly one of .* got neither"),
        (lambda: replace(model, "layer1.0", mean=a, sample=a, units=[0]), "got both"),
        (lambda: replace(model, "layer1.0", mean=a[0, 0, 0], units=[0]), r"shape \(12,\), torch"),
        (lambda: replace(model, "layer1.0", sample=["a"], units=[0]), r"sample is \['a'\]"),
        (lambda: scale(model, "layer1.0", float("nan"), units=[0]), "factor=nan is not a finite"),
        (lambda: steer(model, "layer1.0", [1.0] * 6, float("inf")), "strength=inf is not a finite"),
        (lambda: ablate(model, "layer1.0", units=[0], off=float("nan")), "off=nan"),
        (lambda: scale(model, "layer1.0", 2.0), "got none of them"),
        (lambda: ablate(model, "layer1.0", weights="mode"), "weights=mode needs a mode"),
    ):
        with pytest.raises(CodeclensError, match=message), act():
            pass
    with pytest.raises(CodeclensError, match=r'Site "relu" runs 1 times|Site "layer1.0.relu" ru'):
        activation_at(model, "layer1.0.relu", images)
