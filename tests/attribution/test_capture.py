"""Capture: what is seen at sites, and that the model is left as it was."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Conductance,
    Method,
    Probe,
    Site,
    find_sites,
    frozen,
    select,
    survey,
    tapped,
)
from codeclens.attribution.capture import same_randomness
from codeclens.errors import CodeclensError

METHODS: list[Method] = [
    Conductance(steps=3, rule="trapezoid", nodes="uniform"),
    Conductance(steps=3),
    ActivationGradient(),
]


def state(model: nn.Module) -> dict[str, Any]:
    """All that could have been changed about a model, and the state of the random numbers."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return {
        "training": [module.training for module in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad": [p.grad for p in model.parameters()],
        "hooks": [len(getattr(m, kind)) for m in model.modules() for kind in hooks],
        "tensors": {name: t.clone() for name, t in model.state_dict().items()},
        "random": torch.get_rng_state(),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name in ("training", "requires_grad", "grad", "hooks"):
        assert before[name] == after[name], name
    assert all(torch.equal(t, after["tensors"][key]) for key, t in before["tensors"].items())
    assert torch.equal(before["random"], after["random"])


def mixed_state(model: nn.Module) -> nn.Module:
    """Part of it trains, part of it is frozen: neither is what the library would choose."""
    model.train()
    first, *_ = model.parameters()
    first.requires_grad_(False)
    next(model.children()).eval()
    return model


# --- The model is left as it was ---


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_model_and_the_randomness_are_as_before(method: Method) -> None:
    model = mixed_state(networks.residual_cnn(inplace=True))
    before = state(model)
    Attributor(model, sites=["layer1.0", "conv1"], method=method)(
        networks.noise(2, 3, 12, 12, dtype=torch.float32)
    )
    assert_same(before, state(model))


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()], ids=repr)
def test_the_model_is_as_before_when_it_fails(error: Exception, at: int) -> None:
    # The survey, the first node and later ones.
    model = mixed_state(networks.Failing(at, error))
    before = state(model)
    method = Conductance(steps=5, rule="trapezoid", nodes="uniform")
    with pytest.raises(type(error)):
        Attributor(model, sites=["hidden", "norm"], method=method)(torch.ones(3, 6))
    assert model.forwards == at
    assert_same(before, state(model))


def test_the_model_is_as_before_when_a_site_is_wrong() -> None:
    model = mixed_state(networks.wrapped("tuple"))
    before = state(model)
    with pytest.raises(CodeclensError, match="has no item 5"):
        Attributor(model, sites="inner[5]")(torch.ones(3, 6))
    assert_same(before, state(model))


def test_a_probe_that_cannot_be_entered_leaves_nothing_behind() -> None:
    model = mixed_state(networks.plain_mlp())
    before = state(model)
    with pytest.raises(KeyError), Probe(model, [Site("not there")]):
        pass
    assert_same(before, state(model))


def test_what_the_user_hooked_still_runs() -> None:
    model = networks.plain_mlp()
    seen: list[torch.Size] = []
    model[1].register_forward_hook(lambda _m, _i, output: seen.append(output.shape))
    Attributor(model, sites="1", method=METHODS[0])(torch.ones(3, 6))
    # One survey and four nodes; the hook is there still.
    assert len(seen) == 5
    assert len(model[1]._forward_hooks) == 1


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_input_and_the_baseline_are_left_as_they_were(method: Method) -> None:
    # A model that changes what it is given in place.
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 4), nn.ReLU(inplace=True))
    x, baseline = networks.noise(3, 6).float(), networks.noise(3, 6, seed=9).float()
    kept = x.clone(), baseline.clone()
    Attributor(model, sites="1", method=method, baseline=baseline)(x)
    assert torch.equal(x, kept[0])
    assert torch.equal(baseline, kept[1])


def test_an_input_with_gradients_gets_none() -> None:
    model = networks.plain_mlp()
    x = torch.ones(2, 6, requires_grad=True)
    found = Attributor(model, sites="1", method=METHODS[0])(x)
    assert x.grad is None
    assert not found["1"].positive.requires_grad
    assert not found.target.requires_grad


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_does_not_matter(mode: Callable[[], Any]) -> None:
    model, x = networks.residual_cnn(), networks.noise(2, 3, 12, 12).float()
    expected = Attributor(model, sites="layer1.0")(x)["layer1.0"]
    assert expected.net.abs().max() > 0
    with mode():
        attributor = Attributor(model, sites="layer1.0", baseline=torch.zeros(3, 12, 12))
        found = attributor.prepared(x)(x.clone())["layer1.0"]
        torch.testing.assert_close(found.positive, expected.positive)


def test_randomness_of_the_model_is_the_same_at_every_node() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(6, 8)
            self.last = nn.Linear(8, 3)
            self.drawn: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.drawn.append(torch.randn(8))
            out: Tensor = self.last(torch.tanh(self.hidden(x)) + self.drawn[-1])
            return out

    model = networks.seeded(Noisy)
    before = torch.get_rng_state()
    found = Attributor(model, sites="hidden", method=METHODS[0])(torch.ones(2, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert len(model.drawn) == 5
    assert all(torch.equal(drawn, model.drawn[0]) for drawn in model.drawn)
    # Noise that changed from node to node would move the target without any contribution.
    gap = found["hidden"].completeness / (found.target - found.baseline_target)
    assert gap.abs().max() < 0.2


def test_frozen_and_its_exceptions() -> None:
    model = mixed_state(networks.residual_cnn())
    before = state(model)
    with frozen(model):
        assert not any(module.training for module in model.modules())
        assert not any(p.requires_grad for p in model.parameters())
    assert_same(before, state(model))
    with pytest.raises(ZeroDivisionError), frozen(model):
        _ = 1 / 0
    assert_same(before, state(model))


def test_same_randomness_survives_an_exception() -> None:
    model = nn.Linear(1, 1)
    before = torch.get_rng_state()
    with pytest.raises(IndexError), same_randomness(model):
        torch.rand(5)[9]
    assert torch.equal(before, torch.get_rng_state())


# --- What is seen ---


def test_every_call_of_a_module_is_met_in_order() -> None:
    model = networks.called_twice()
    met: list[tuple[str, Tensor]] = []
    x = torch.ones(2, 6)
    sites = [Site("shared"), Site("act", call=1), Site("shared", port="input", call=0)]
    with tapped(model, sites, lambda site, tensor: met.append((site.key, tensor))):
        model(x)
        first = [key for key, _ in met]
        met.clear()
        model(x)
    assert first == ["shared:input#0", "shared", "shared", "act#1"]
    assert [key for key, _ in met] == first
    hidden = model.first(x)
    expected = [hidden, model.shared(hidden), model.shared(model.act(model.shared(hidden)))]
    for (_, tensor), value in zip(met, expected, strict=False):
        torch.testing.assert_close(tensor, value)


def test_what_an_edit_returns_is_used_instead() -> None:
    model, x = networks.plain_mlp(), torch.ones(2, 6)
    with tapped(model, [Site("1")], lambda site, tensor: tensor * 0):
        edited = model(x)
    with tapped(model, [Site("2", port="input")], lambda site, tensor: tensor * 0):
        torch.testing.assert_close(model(x), edited)
    with tapped(model, [Site("1")], lambda site, tensor: None):
        torch.testing.assert_close(model(x), deepcopy(model)(x))
    assert not torch.allclose(model(x), edited)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        *(("tuple", 0), ("tuple", None), ("list", 0), ("list", None), ("pair", 0)),
        *(("pair", "hidden"), ("pair", None), ("dict", "hidden"), ("dict", None)),
        *(("record", "hidden"), ("record", None)),
    ],
)
def test_a_tensor_inside_a_structure_is_seen_and_replaced(kind: str, item: Any) -> None:
    model, x = networks.wrapped(kind), torch.ones(2, 6)
    site = Site("inner", item=item)
    given: list[Tensor] = []
    plain = model(x)

    def double(_site: Site, tensor: Tensor) -> Tensor:
        given.append(tensor)
        return tensor * 2

    with tapped(model, [site], double):
        doubled = model(x)
    torch.testing.assert_close(given[0], torch.tanh(model.inner.layer(x)))
    torch.testing.assert_close(doubled - model.last.bias, 2 * (plain - model.last.bias))


def test_inputs_given_by_name_and_by_place() -> None:
    class Named(nn.Module):
        def __init__(self, named: bool) -> None:
            super().__init__()
            self.bilinear = nn.Bilinear(6, 6, 3)
            self.named = named

        def forward(self, x: Tensor) -> Tensor:
            call = self.bilinear
            out: Tensor = call(input1=x, input2=x + 1) if self.named else call(x, x + 1)
            return out

    x = torch.ones(2, 6)
    cases: list[tuple[bool, int | str | None, Tensor]] = [
        *((True, None, x), (True, "input2", x + 1), (False, None, x), (False, 1, x + 1)),
    ]
    for named, item, expected in cases:
        model = networks.seeded(lambda named=named: Named(named))
        met: list[Tensor] = []
        site = Site("bilinear", port="input", item=item)
        with tapped(model, [site], lambda _site, tensor, met=met: met.append(tensor)):
            model(x)
        torch.testing.assert_close(met, [expected])
        with tapped(model, [site], lambda _site, tensor: tensor * 0):
            # With one of two factors gone, the bias alone is left.
            torch.testing.assert_close(model(x), model.bilinear.bias.expand(2, -1))


@pytest.mark.parametrize(
    "wrong",
    [
        Site("inner", item="middle"),
        Site("inner", item=4),
        Site("last", item=0),
        Site("last", item="a"),
    ],
)
def test_an_item_that_is_not_there(wrong: Site) -> None:
    model = networks.wrapped("tuple")
    sentence = (
        rf'Site "{wrong.name}\[.*\]" has no item {wrong.item!r}: it returns a t.*(of 2|\(2, 4\))'
    )
    with (
        pytest.raises(CodeclensError, match=sentence),
        tapped(model, [wrong], lambda _site, tensor: tensor),
    ):
        model(torch.ones(2, 6))


class Odd(nn.Module):
    """Its site `inner` gives what `make` makes of the input; the output does not care."""

    def __init__(self, make: Callable[[Tensor], object]) -> None:
        super().__init__()

        class Inner(nn.Module):
            def forward(self, x: Tensor) -> object:
                return make(x)

        self.inner = Inner()
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.inner(x)
        out: Tensor = self.last(x)
        return out


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda x: (x, x),
            r'Site "inner" returns a tuple of 2, not a tensor; name the tensor in it, for example '
            r'"inner\[0\]"\.',
        ),
        (
            lambda x: {"ids": x.long(), "a": x, "b": x},
            r"returns a dict with 'ids', 'a', 'b', not a tensor; name the tensor in it, "
            r'for example "inner\[a\]"\.',
        ),
        (lambda x: None, r'Site "inner" returns a NoneType, not a tensor; choose another module\.'),
        (lambda x: "text", r'Site "inner" returns a str, not a tensor; choose another module\.'),
        (lambda x: x.argmax(1), r'Site "inner" is torch.int64, which has no gradient; choose'),
    ],
)
def test_a_site_that_gives_no_tensor(make: Callable[[Tensor], object], sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        Attributor(Odd(make), sites="inner")(torch.ones(2, 6))


# --- In-place operations after a site ---


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_in_place_operations_after_a_site_change_nothing(method: Method) -> None:
    sites = [
        "conv1",
        "bn1",
        "relu",
        "layer1.0.bn1",
        "layer1.0.bn2",
        "layer1.0",
        "layer2.0.downsample",
    ]
    x = networks.noise(2, 3, 12, 12)
    found = [
        Attributor(networks.residual_cnn(inplace=inplace).double(), sites=sites, method=method)(x)
        for inplace in (True, False)
    ]
    assert list(found[0]) == list(found[1])
    for key in found[0]:
        torch.testing.assert_close(found[0][key].positive, found[1][key].positive)
        torch.testing.assert_close(found[0][key].negative, found[1][key].negative)
        torch.testing.assert_close(found[0][key].activation, found[1][key].activation)


def test_only_sites_that_are_overwritten_are_copied() -> None:
    model = networks.residual_cnn(inplace=True)
    sites = find_sites(model, ["bn1", "layer1.0", "layer1.0.bn2", "layer1.0.conv1"])
    found = survey(model, sites, torch.ones(1, 3, 12, 12))
    assert found.overwritten == {"bn1", "layer1.0.bn2"}


# --- The output ---


@pytest.mark.parametrize(
    ("wrap", "selector"),
    [
        (lambda y: y, None),
        (lambda y: {"logits": y, "aux": y * 2}, "logits"),
        (lambda y: (y * 2, y), 1),
        (lambda y: (y, None), 0),
        (lambda y: [y], -1),
        (lambda y: networks.Pair(y, "n"), "hidden"),
        (lambda y: networks.Record(y), "hidden"),
        (lambda y: {"out": [None, y]}, lambda output: output["out"][1]),
    ],
)
def test_the_output_is_selected(wrap: Callable[[Tensor], object], selector: Any) -> None:
    x = torch.ones(2, 6)
    method = METHODS[0]
    plain = Attributor(networks.returning(lambda y: y), sites="body.1", method=method)(x)
    found = Attributor(networks.returning(wrap), sites="body.1", method=method, output=selector)(x)
    torch.testing.assert_close(found["body.1"].positive, plain["body.1"].positive)
    torch.testing.assert_close(found.target, plain.target)


@pytest.mark.parametrize(
    ("output", "selector", "sentence"),
    [
        (
            *({"logits": torch.ones(1, 2)}, None),
            r"The model returns a dict with 'logits', not a tensor; pass output='logits' to say",
        ),
        (
            *((None, torch.ones(1, 2)), None),
            r"The model returns a tuple of 2, not a tensor; pass output=1 to say what to explain",
        ),
        (
            *(networks.Record(torch.ones(1, 2)), None),
            r"The model returns a Record, not a tensor; pass output='hidden' to say",
        ),
        ("text", None, r"returns a str, not a tensor; pass a function as output=… to say"),
        (
            *({"logits": torch.ones(1, 2)}, "logit"),
            r"output='logit' selects nothing: the model returns a dict with 'logits'\.",
        ),
        ((1, 2), 2, r"output=2 selects nothing: the model returns a tuple of 2\."),
        (
            *(torch.ones(1, 2), 0),
            r"output=0 selects nothing: the model returns a tensor of shape \(1, 2\)\.",
        ),
        ({"a": {"b": 1}}, "a", r"returns a dict with 'a', not a tensor"),
    ],
)
def test_an_output_that_is_no_tensor(output: object, selector: Any, sentence: str) -> None:
    with pytest.raises(CodeclensError, match=sentence):
        select(output, selector)
