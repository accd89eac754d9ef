"""Contributions: what must hold of them whatever the network, and what is said of mistakes."""

from __future__ import annotations

import math
import re
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

import networks
import reference
from attribution.cases import (
    METHODS,
    SITES,
    TRAPEZOID,
    assert_equal,
    attribute,
    few,
    methods,
    network,
)
from codeclens.attribution import (
    Conductance,
    Label,
    Method,
    Output,
    Predicted,
    contributions,
)
from codeclens.errors import CodeclensError, CompletenessWarning

# --- The shape of results ---


@methods
def test_signs_shapes_and_samples(method: Method) -> None:
    model, x = network("residual")
    found = attribute(model, x, sites=SITES["residual"], method=method)
    assert list(found) == SITES["residual"]
    assert len(found) == 4
    for site in found.values():
        assert site.positive.shape == site.negative.shape == site.activation.shape
        assert site.positive.shape == (5, 8 if site.site.key == "layer2.0" else 6)
        assert bool((site.positive >= 0).all())
        assert bool((site.negative <= 0).all())
        assert site.completeness.shape == (5,)
        assert torch.equal(site.net, site.positive + site.negative)
        assert site.full is None
    assert found.target.shape == found.baseline_target.shape == found.prediction.shape == (5,)
    assert found.prediction.dtype == torch.long


@methods
def test_positions_are_kept_when_asked_for(method: Method) -> None:
    model, x = network("vit")
    sites = ["blocks.0", "patch_embed", "head"]
    found = attribute(model, x, sites=sites, method=method, reduce=None)
    shapes = [site.full.shape for site in found.values() if site.full is not None]
    assert shapes == [(5, 5, 12), (5, 12, 2, 2), (5, 5)]
    for site, axis in zip(found.values(), (2, 1, 1), strict=True):
        assert site.full is not None
        positive, negative = reference.split_signs(reference.by_unit(site.full, axis))
        torch.testing.assert_close(site.positive, positive)
        torch.testing.assert_close(site.negative, negative)


def test_an_unknown_key_lists_the_known_ones() -> None:
    found = attribute(networks.plain_mlp(), torch.ones(1, 6), sites=["1", "3"], method=TRAPEZOID)
    with pytest.raises(KeyError, match='have no site "2"; the nearest names are "3", "1"'):
        found["2"]
    assert found.get("2") is None


# --- Units ---


@methods
@few
@given(order=st.permutations(range(6)))
def test_permuted_channels_have_permuted_contributions(method: Method, order: list[int]) -> None:
    model, x = network("cnn")
    permuted, _ = network("cnn")
    with torch.no_grad():
        first, second = permuted[0], permuted[3]
        first.weight.copy_(first.weight[order])
        first.bias.copy_(first.bias[order])
        second.weight.copy_(second.weight[:, order])
    plain = attribute(model, x, sites=["1", "4"], method=method)
    found = attribute(permuted, x, sites=["1", "4"], method=method)
    within = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(found["1"].positive, plain["1"].positive[:, order], **within)
    torch.testing.assert_close(found["1"].negative, plain["1"].negative[:, order], **within)
    torch.testing.assert_close(found["4"].positive, plain["4"].positive, **within)


@methods
@few
@given(dead=st.sets(st.integers(0, 5), min_size=1), how=st.sampled_from(["silent", "unread"]))
def test_dead_units_contribute_nothing(method: Method, dead: set[int], how: str) -> None:
    model, x = network("cnn")
    with torch.no_grad():
        for unit in dead:
            if how == "silent":  # its activation is zero for every input
                model[0].weight[unit], model[0].bias[unit] = 0, -1
            else:  # nobody reads it
                model[3].weight[:, unit] = 0
    found = attribute(model, x, sites="1", method=method)["1"]
    alive = [unit for unit in range(6) if unit not in dead]
    assert found.net[:, list(dead)].eq(0).all()
    assert alive == [] or found.net[:, alive].ne(0).any()


def test_two_equal_units_contribute_the_same() -> None:
    model, x = network("cnn")
    with torch.no_grad():
        model[0].weight[4], model[0].bias[4] = model[0].weight[1], model[0].bias[1]
        model[3].weight[:, 4] = model[3].weight[:, 1]
    found = attribute(model, x, sites="1", method=TRAPEZOID)["1"]
    torch.testing.assert_close(found.positive[:, 4], found.positive[:, 1])
    torch.testing.assert_close(found.negative[:, 4], found.negative[:, 1])


# --- Targets ---


@pytest.mark.parametrize("method", METHODS[:4], ids=str)
@few
@given(factor=st.floats(0.1, 8).map(lambda f: round(f, 3)), sign=st.sampled_from([1, -1]))
def test_a_scaled_target_scales_contributions(method: Method, factor: float, sign: int) -> None:
    model, x = network("vit")
    sites = SITES["vit"]
    plain = attribute(model, x, sites=sites, method=method, target=lambda y: y[:, 1])
    scaled = attribute(
        model, x, sites=sites, method=method, target=lambda y: sign * factor * y[:, 1]
    )
    for key, site in plain.items():
        ours = (scaled[key].positive, scaled[key].negative)
        theirs = (site.positive, site.negative) if sign > 0 else (-site.negative, -site.positive)
        expected = tuple(factor * part for part in theirs)
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("method", METHODS[:4], ids=str)
def test_contributions_to_a_sum_of_targets_are_the_sum(method: Method) -> None:
    model, x = network("residual")
    parts = [
        attribute(model, x, sites="@blocks", method=method, target=Output(index), reduce=None)
        for index in range(5)
    ]
    whole = attribute(
        model, x, sites="@blocks", method=method, target=lambda y: y.sum(1), reduce=None
    )
    for key, site in whole.items():
        full = [part[key].full for part in parts]
        total = sum(values for values in full if values is not None)
        assert isinstance(total, Tensor)
        assert site.full is not None
        assert reference.difference(total, site.full) < 1e-8


def test_a_constant_added_to_the_target_changes_nothing() -> None:
    model, x = network("residual")
    plain = attribute(model, x, sites="@blocks", method=TRAPEZOID, target=lambda y: y[:, 0])
    moved = attribute(model, x, sites="@blocks", method=TRAPEZOID, target=lambda y: y[:, 0] + 7)
    for key, site in plain.items():
        torch.testing.assert_close(moved[key].net, site.net)
        torch.testing.assert_close(moved[key].completeness, site.completeness)
    torch.testing.assert_close(moved.target, plain.target + 7)


@pytest.mark.parametrize("rule", ["trapezoid", "left", "secant"])
def test_the_target_is_fixed_along_the_path(rule: Any) -> None:
    # At x class 1 leads, on the first half of the path class 0: it must contribute nothing.
    model = networks.seeded(networks.Switching).double()
    x = torch.ones(2, 2, dtype=torch.float64)
    assert model(x / 4).argmax(1).tolist() == [0, 0]
    assert model(x).argmax(1).tolist() == [1, 1]
    method = Conductance(steps=30, rule=rule, nodes="uniform")
    found = attribute(model, x, sites=["hidden", "act"], method=method)
    assert found.prediction.tolist() == [1, 1]
    torch.testing.assert_close(found.target, torch.full((2,), 2.0, dtype=torch.float64))
    for site in found.values():
        assert site.net[:, 0].eq(0).all()
        assert site.completeness.abs().max() < 0.11  # one step of slope 3 at the kink
    labels = torch.tensor([0, 1])
    chosen = attribute(model, x, labels, sites="act", method=method, target=Label())
    torch.testing.assert_close(chosen["act"].net.sum(1), torch.tensor([1.0, 2.0]).double())


def test_probabilities_and_logits_are_different_targets() -> None:
    model, x = network("residual")
    on = {of: attribute(model, x, sites="layer2.0", method=TRAPEZOID, target=Predicted(of=of))
          for of in ("logits", "probabilities")}  # fmt: skip
    output = model(x)
    torch.testing.assert_close(on["logits"].target, output.max(1).values)
    torch.testing.assert_close(on["probabilities"].target, output.softmax(1).max(1).values)
    assert not torch.allclose(on["logits"]["layer2.0"].net, on["probabilities"]["layer2.0"].net)


# --- Modules and layouts ---


def test_each_call_of_a_module_is_its_own_site() -> None:
    model, x = networks.called_twice().double(), networks.noise(4, 6)
    target = reference.predicted(model, x)
    nodes = [0, 0.25, 0.5, 0.75, 1]
    zero = torch.zeros_like(x)
    expected = reference.conductance(model, x, ["shared", "act"], target, zero, nodes, "trapezoid")
    assert set(expected) == {"shared#0", "shared#1", "act#0", "act#1"}
    found = attribute(model, x, sites=["shared", "act"], method=TRAPEZOID, reduce=None)
    assert set(found) == set(expected)
    for key, theirs in expected.items():
        assert found[key].is_cut
        assert found[key].full is not None
        assert reference.difference(found[key].full, theirs) < 1e-9
    one = attribute(model, x, sites="shared#1", method=TRAPEZOID)
    torch.testing.assert_close(one["shared#1"].net, found["shared#1"].net)


@pytest.mark.parametrize("kind", ["tuple", "list", "pair", "dict", "record"])
def test_sites_inside_structures(kind: str) -> None:
    model, x = networks.wrapped(kind).double(), networks.noise(3, 6)
    plain = nn.Sequential(model.inner.layer, nn.Tanh(), model.last)
    expected = attribute(plain, x, sites="1", method=TRAPEZOID)["1"]
    item = "[0]" if kind in ("tuple", "list", "pair") else "[hidden]"
    for site in ("inner", f"inner{item}"):
        found = attribute(model, x, sites=site, method=TRAPEZOID)[site]
        assert found.is_cut
        torch.testing.assert_close(found.positive, expected.positive)
        torch.testing.assert_close(found.completeness, expected.completeness)


@methods
def test_channels_last_gives_the_same(method: Method) -> None:
    model, x = network("residual")
    plain = attribute(model, x, sites=SITES["residual"], method=method)
    last = x.to(memory_format=torch.channels_last)
    found = attribute(
        model.to(memory_format=torch.channels_last), last, sites=SITES["residual"], method=method
    )
    assert_equal(found, plain)


def test_a_model_without_gradients_inside_refuses_sites_before_that() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.last(self.first(x).detach())
            return out

    model, x = networks.seeded(Cut), torch.ones(2, 6)
    sentence = r'No gradient reaches the output from site "first": .*\.detach\(\) in the model'
    with pytest.raises(CodeclensError, match=sentence):
        attribute(model, x, sites=["first", "last"], method=TRAPEZOID)
    found = attribute(model, x, sites="last", method=TRAPEZOID)["last"]
    assert found.is_cut
    assert found.net.ne(0).any()


# --- Precision ---


@methods
@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        *((torch.float64, torch.float64), (torch.float32, torch.float32)),
        *((torch.bfloat16, torch.float32), (torch.float16, torch.float32)),
    ],
)
def test_precision_of_results(dtype: torch.dtype, kept: torch.dtype, method: Method) -> None:
    model, x = networks.plain_mlp().to(dtype), networks.noise(3, 6, dtype=dtype)
    found = attribute(model, x, sites=["1", "3"], method=method)
    for site in found.values():
        parts = (site.positive, site.negative, site.activation, site.completeness)
        assert {part.dtype for part in parts} == {kept}
    assert found.target.dtype == found.baseline_target.dtype == kept


def test_half_precision_is_accumulated_in_single_precision() -> None:
    # 512 steps of a linear network: every step adds 1/512, which bfloat16 loses from ½ on.
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(1)
    x = torch.ones(1, 1, dtype=torch.bfloat16)
    method = Conductance(steps=256, rule="trapezoid", nodes="uniform")
    found = attribute(model.bfloat16(), x, sites="0", method=method)
    assert found["0"].net.item() == pytest.approx(1, abs=1e-6)


def test_autocast_is_accumulated_in_single_precision() -> None:
    model, x = networks.plain_mlp(), networks.noise(3, 6, dtype=torch.float32)
    plain = attribute(model, x, sites=["1", "3"], method=TRAPEZOID)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attribute(model, x, sites=["1", "3"], method=TRAPEZOID)
    for key, site in found.items():
        assert site.net.dtype == torch.float32
        assert not torch.equal(site.net, plain[key].net)
        torch.testing.assert_close(site.net, plain[key].net, rtol=0.1, atol=0.02)


# --- The baseline ---


@pytest.mark.parametrize("kind", ["number", "sample", "each"])
def test_contributions_are_counted_from_the_baseline(kind: str) -> None:
    model, x = networks.plain_mlp().double(), networks.noise(3, 6)
    baseline: Any = {
        "number": 0.25,
        "sample": networks.noise(6, seed=5),
        "each": networks.noise(3, 6, seed=5),
    }[kind]
    start = torch.as_tensor(baseline).expand(3, 6).double()
    target = reference.predicted(model, x)
    nodes = [0, 0.25, 0.5, 0.75, 1]
    expected = reference.conductance(model, x, ["1"], target, start, nodes, "trapezoid")["1"]
    found = attribute(model, x, sites="1", method=TRAPEZOID, baseline=baseline)
    torch.testing.assert_close(found["1"].net, expected)
    torch.testing.assert_close(found.baseline_target, target(model(start)).detach())


def test_no_way_to_go_no_contributions() -> None:
    model, x = network("residual")
    found = attribute(model, x, sites="@blocks", method=TRAPEZOID, baseline=x)
    assert all(site.net.eq(0).all() for site in found.values())
    assert all(site.completeness.eq(0).all() for site in found.values())


def test_the_way_back_has_the_opposite_contributions() -> None:
    model, x = network("residual")
    other = networks.noise(5, 3, 12, 12, seed=8)
    labels = torch.tensor([0, 1, 2, 3, 4])
    there, back = (
        attribute(
            model, end, labels, sites="layer1.0", method=TRAPEZOID, target=Label(), baseline=start
        )["layer1.0"]
        for start, end in ((other, x), (x, other))
    )
    torch.testing.assert_close(there.positive, -back.negative)
    torch.testing.assert_close(there.negative, -back.positive)


# --- The warning ---


def test_a_large_gap_is_warned_of_with_its_size() -> None:
    model = networks.seeded(networks.Switching)
    method = Conductance(steps=1, rule="left", nodes="uniform")
    # At the baseline the class that is explained is silent: its gradient there is zero.
    with pytest.warns(
        CompletenessWarning, match=r'contributions at "hidden" miss .* by 100'
    ) as seen:
        contributions(model, torch.ones(2, 2), sites=["hidden"], method=method)
    assert len(seen) == 1


def test_sites_that_are_no_cuts_are_not_warned_of() -> None:
    method = Conductance(steps=1, rule="left", nodes="uniform")
    found = contributions(
        networks.small_vit(), networks.noise(2, 3, 8, 8).float(), sites="@mlp", method=method
    )
    assert all(site.completeness.isnan().all() for site in found.values())


# --- Mistakes ---


MISTAKES: list[tuple[dict[str, Any], str]] = [
    (
        {"sites": "layer3.0"},
        r'The model has no site "layer3\.0"; the nearest names are "layer\d\.\d", "layer\d\.\d", ',
    ),
    ({"sites": []}, r'No sites were given; pass a module name, a glob or "@blocks"\.'),
    ({"sites": "@block"}, r'There is no preset "@block"; the nearest names are "@blocks"'),
    (
        {"x": torch.ones(2, 3, 12, 12, dtype=torch.uint8)},
        r"The input is torch\.uint8; contributions need a floating-point input",
    ),
    ({"x": torch.ones(7)}, r"The input has shape \(7,\); pass a batch, for example x\[None\]\."),
    ({"x": torch.ones(0, 3, 12, 12)}, r"The input has shape \(0, 3, 12, 12\); pass a batch"),
    (
        {"x": torch.ones(3, 3, 12, 12).index_fill_(0, torch.tensor([1]), math.nan)},
        r"The input holds NaN or infinite values in 1 of 3 samples \(first: sample 1\); clean or",
    ),
    (
        {"x": torch.full((2, 3, 12, 12), math.inf)},
        r"NaN or infinite values in 2 of 2 samples \(first: sample 0\)",
    ),
    (
        {"baseline": torch.zeros(3, 5, 5)},
        r"The baseline has shape \(3, 5, 5\), which does not fit inputs of shape \(2, 3, 12, 12\); "
        r"pass one sample \(3, 12, 12\) or one for each\.",
    ),
    (
        {"baseline": torch.zeros(4, 3, 12, 12)},
        r"The baseline has shape \(4, 3, 12, 12\), which does",
    ),
    ({"baseline": math.nan}, r"The baseline holds NaN or infinite values\."),
    (
        {"baseline": torch.full((3, 12, 12), math.inf)},
        r"The baseline holds NaN or infinite values\.",
    ),
    (
        {"target": Label(), "labels": torch.tensor([1, 5])},
        r"Label 5 is out of range: the model has 5 classes \(0 to 4\)\.",
    ),
    (
        {"target": Label()},
        r"The target Label\(\) needs labels; pass labels, or use Predicted\(\)\.",
    ),
    (
        {"target": Label(), "labels": torch.tensor([1])},
        r"Labels have shape \(1,\) for 2 samples; pass one integer for each sample\.",
    ),
    ({"target": Output(9)}, r"Output\(9\) is out of range: the model has 5 outputs \(0 to 4\)\."),
    ({"target": lambda y: y}, r"gives \(2, 5\) for an output of shape \(2, 5\); it must give one"),
    ({"output": "logits"}, r"output='logits' selects nothing: the model returns a tensor of shape"),
]


@pytest.mark.parametrize("method", [TRAPEZOID, Conductance(steps=2)], ids=["trapezoid", "default"])
@pytest.mark.parametrize(("wrong", "sentence"), MISTAKES)
def test_bad_input_raises_one_sentence(
    wrong: dict[str, Any], sentence: str, method: Method
) -> None:
    given: dict[str, Any] = {"sites": "layer1.0", "x": torch.ones(2, 3, 12, 12), "method": method}
    given.update(wrong)
    with pytest.raises(CodeclensError, match=sentence) as error:
        contributions(networks.residual_cnn(), **given)
    assert re.search(r"[^\n]\.$", str(error.value)), "a sentence, on one line"


def test_a_model_that_overflows() -> None:
    class Overflowing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return (self.first(x) * 1e4).exp()

    with pytest.raises(
        CodeclensError, match=r'at "first" are NaN or infinite although the input is'
    ):
        attribute(networks.seeded(Overflowing), torch.ones(2, 6), sites="first", method=TRAPEZOID)
