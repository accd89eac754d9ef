"""The attributor: several targets, memory, models inside others, and the same function twice."""

from __future__ import annotations

import weakref
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import networks
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Conductance,
    Contrast,
    Contributions,
    Method,
    Output,
    Predicted,
    Site,
    Token,
)

SECANT = Conductance(4, "secant", "uniform")
METHODS: list[Method] = [
    SECANT,
    Conductance(4, "trapezoid", "uniform"),
    Conductance(4, "left", "uniform"),
    ActivationGradient(),
]
methods = pytest.mark.parametrize("method", METHODS, ids=str)
few = settings(max_examples=12)


def attribute(model: nn.Module, x: Tensor, **given: Any) -> Contributions:
    return Attributor(model, **given)(x)


def assert_equal(found: Contributions, expected: Contributions) -> None:
    assert list(found) == list(expected)
    for key, site in expected.items():
        for name in ("positive", "negative"):
            torch.testing.assert_close(
                getattr(found[key], name), getattr(site, name), rtol=1e-8, atol=1e-11
            )
    torch.testing.assert_close(found.target, expected.target)


# --- Several targets ---


def test_several_targets_share_their_forwards() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(4, 3, 12, 12)
    forwards: list[int] = []
    model.register_forward_hook(lambda *_: forwards.append(1))
    targets = [Output(0), Predicted("probabilities"), Contrast(), lambda y: y[:, 2] ** 2]
    attributor = Attributor(model, sites=["layer1.0", "layer2.0"], method=SECANT).prepared(x)
    forwards.clear()
    together = attributor.several(x, targets)
    assert len(forwards) == 5  # nodes
    for target, found in zip(targets, together, strict=True):
        alone = attribute(model, x, sites=attributor.sites, method=SECANT, target=target)
        assert_equal(found, alone)
        assert all(site.completeness.abs().max() < 1e-12 for site in found.values())


def test_each_token_of_a_sequence_is_a_target() -> None:
    model = networks.seeded(lambda: nn.Sequential(networks.Block(12, 3), nn.Linear(12, 7))).double()
    x = networks.noise(3, 5, 12)
    targets = [Token(position, Output(4)) for position in range(5)]
    attributor = Attributor(model, sites="0", method=SECANT, reduce=None)
    found = attributor.several(x, targets)
    for position, each in enumerate(found):
        change = model(x)[:, position, 4] - model(torch.zeros_like(x))[:, position, 4]
        torch.testing.assert_close(each["0"].net.sum(dim=1), change.detach())
        # What follows the block sees one token at a time.
        full = each["0"].full
        assert full is not None
        elsewhere = [other for other in range(5) if other != position]
        assert full[:, elsewhere].eq(0).all()
        assert full[:, position].ne(0).any()
    every = attributor.several(x, [lambda y: y[:, :, 4].sum(dim=1)])[0]
    torch.testing.assert_close(every["0"].net, sum(each["0"].net for each in found))


def test_the_drive_before_the_output_nonlinearity_is_a_target() -> None:
    model = networks.seeded(
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softplus())
    ).double()
    x = networks.noise(4, 6)
    given: dict[str, Any] = {"sites": "1", "method": SECANT, "target": Output(1)}
    rate = attribute(model, x, **given)
    drive = attribute(model, x, output=Site("2"), **given)
    torch.testing.assert_close(drive.target, model[:3](x)[:, 1].detach())
    torch.testing.assert_close(rate.target, model(x)[:, 1].detach())
    expected = attribute(model[:3], x, **given)
    assert_equal(drive, expected)


# --- Preparation ---


def test_preparation_gives_a_new_attributor_and_changes_nothing() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(4, 3, 12, 12)
    attributor = Attributor(model, sites="layer1.0")
    before = dict(vars(attributor))
    prepared = attributor.prepared(x)
    assert vars(attributor) == before
    assert isinstance(prepared.method, Conductance)
    assert isinstance(prepared.method.nodes, tuple)
    assert prepared.prepared(x.flip(0)) is prepared
    forwards: list[int] = []
    model.register_forward_hook(lambda *_: forwards.append(1))
    prepared(x)
    assert len(forwards) == len(prepared.method.nodes)


def test_an_attributor_that_is_not_prepared_learns_from_every_batch() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(4, 3, 12, 12)
    attributor = Attributor(model, sites="layer1.0")
    attributor(x[:2])
    assert_equal(attributor(x[2:]), attributor.prepared(x[2:])(x[2:]))


def test_another_method_keeps_what_was_learned() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(4, 3, 12, 12)
    prepared = Attributor(model, sites="layer1.0").prepared(x)
    other = prepared.replaced(method=ActivationGradient())
    assert other.survey(x) is prepared.survey(x)
    assert isinstance(prepared.method, Conductance)
    assert_equal(other(x), attribute(model, x, sites="layer1.0", method=ActivationGradient()))


# --- Memory ---


@pytest.mark.parametrize("rule", ["trapezoid", "left", "secant"])
def test_no_more_than_two_nodes_are_in_memory_at_a_time(rule: Any) -> None:
    alive: set[int] = set()
    most = 0

    class Weighed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = networks.plain_mlp()
            self.runs = 0

        def forward(self, x: Tensor) -> Tensor:
            nonlocal most
            hidden = self.body[1](self.body[0](x))
            run, self.runs = self.runs, self.runs + 1
            alive.add(run)
            weakref.finalize(hidden, alive.discard, run)
            most = max(most, len(alive))
            rest: Tensor = self.body[2:](hidden)
            return rest

    model = networks.seeded(Weighed)
    for steps in (3, 30):
        method = Conductance(steps, rule, "uniform")
        attribute(model, networks.noise(3, 6).float(), sites="body.1", method=method)
        assert most <= 2


# --- Networks inside others ---


@methods
def test_parents_that_are_compiled_or_parallel_change_nothing(method: Method) -> None:
    x = networks.noise(3, 3, 12, 12)
    plain = attribute(networks.residual_cnn().double(), x, sites="@blocks", method=method)
    part = networks.residual_cnn().double()
    part.layer1 = torch.compile(part.layer1, backend="eager")  # type: ignore[assignment]
    ran = networks.residual_cnn().double()
    ran.compile(backend="eager")
    ran(x)  # compiled before our taps are there
    wrapped: list[tuple[nn.Module, list[str]]] = [
        (nn.DataParallel(networks.residual_cnn().double()), ["module."] * 3),
        (part, ["layer1._orig_mod.", "layer1._orig_mod.", ""]),
        (torch.compile(networks.residual_cnn().double(), backend="eager"), ["_orig_mod."] * 3),
        (ran, [""] * 3),
    ]
    for model, prefixes in wrapped:
        names = [
            name.replace("layer1.", prefix) if prefix.startswith("layer1") else prefix + name
            for prefix, name in zip(prefixes, plain, strict=True)
        ]
        found = attribute(model, x, sites=names, method=method)
        for name, key in zip(names, plain, strict=True):
            # DataParallel computes on a GPU where there is one.
            torch.testing.assert_close(found[name].positive.cpu(), plain[key].positive)
            torch.testing.assert_close(found[name].negative.cpu(), plain[key].negative)


# --- The same function, written differently ---


class Otherwise(nn.Module):
    """A residual block `z + tanh(w relu(v z) / s)`, written in one way or the other."""

    def __init__(self, other: bool, scale: float, split: int) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.v, self.w = nn.Linear(8, 8, bias=False), nn.Linear(8, 8)
        self.last = nn.Linear(8, 4)
        self.other, self.scale, self.split = other, scale, split

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x)
        if not self.other:
            return self.last(z + torch.tanh(self.w(self.v(z).relu()) / self.scale))
        parts = self.v.weight.split([self.split, 8 - self.split])
        hidden = torch.cat([F.relu(z @ part.T, inplace=True) for part in parts], dim=1)
        hidden = torch.einsum("bi,oi->bo", hidden, self.w.weight * (1 / self.scale))
        hidden.add_(self.w.bias / self.scale)
        twice = 2 * (2 * hidden).sigmoid().sub(0.5)  # another way to say tanh
        return F.linear(z, self.last.weight, self.last.bias) + F.linear(twice, self.last.weight)


@pytest.mark.parametrize("method", METHODS, ids=str)
@few
@given(scale=st.floats(0.3, 3).map(lambda f: round(f, 2)), split=st.integers(1, 7))
def test_equal_networks_contribute_equally_however_written(
    method: Method, scale: float, split: int
) -> None:
    x = networks.noise(4, 6) * 2
    one, other = (
        attribute(
            networks.seeded(lambda o=other: Otherwise(o, scale, split)).double(),
            x,
            sites="first",
            method=method,
        )
        for other in (False, True)
    )
    assert_equal(other, one)


@given(seed=st.integers(0, 99))
@few
def test_a_folded_batch_norm_contributes_nothing_of_its_own(seed: int) -> None:
    model = networks.residual_cnn(seed).double()
    x = networks.noise(2, 3, 12, 12, seed=seed)
    plain = attribute(model, x, sites="@blocks", method=SECANT)
    folded = networks.residual_cnn(seed).double()
    folded.conv1 = fuse_conv_bn_eval(folded.conv1, folded.bn1)
    folded.bn1 = nn.Identity()
    for block in (*folded.layer1, *folded.layer2):
        block.conv1 = fuse_conv_bn_eval(block.conv1, block.bn1)
        block.conv2 = fuse_conv_bn_eval(block.conv2, block.bn2)
        block.bn1 = block.bn2 = nn.Identity()
    assert_equal(attribute(folded, x, sites="@blocks", method=SECANT), plain)
