"""Replay against whole runs, exactly; what it keeps, where it gives up, what it leaves behind."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens._compat import import_timm, import_torchvision
from codeclens.attribution import Probe, Selector, Site, find_sites, frozen, select, tapped
from codeclens.attribution.recording import Leaf, leaves
from codeclens.attribution.replay import Replay, follow, record, released
from codeclens.errors import CodeclensError


def whole(
    model: nn.Module, site: Site, x: Tensor, activation: Tensor, output: Selector = None
) -> Tensor:
    """The output of a run of the whole model with another activation at the site."""
    edit = tapped(model, [site], lambda *_: activation.clone())
    with frozen(model), torch.no_grad(), edit:
        return select(model(x), output)


def assert_exact(
    model: nn.Module, sites: Any, x: Tensor, output: Selector = None, tolerance: float = 0.0
) -> None:
    """One copy gives what the whole model gives, exactly, and so do several.

    Some matrix products round differently for other numbers of rows: then several copies agree
    with a whole run of as many, which sums what comes before in other orders, up to `tolerance`.
    """
    for site in find_sites(model, sites):
        replay = Replay(model, site, x, output)
        assert replay.shortened, site.key
        assert torch.equal(replay(replay.activation), replay.output), site.key
        changed = replay.activation.roll(1, dims=0) * 0.5 + 0.1
        again = replay(changed)
        assert torch.equal(again, whole(model, site, x, changed, output)), site.key
        assert not torch.equal(again, replay.output), site.key
        several = torch.cat([changed, replay.activation, changed])
        many = x.repeat(3, *[1] * (x.ndim - 1))
        expected = whole(model, site, many, several, output)
        torch.testing.assert_close(replay(several), expected, rtol=0, atol=tolerance)
    assert_as_before(model)


def assert_as_before(model: nn.Module) -> None:
    for module in model.modules():
        assert "forward" not in vars(module)
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def images(*shape: int) -> Tensor:
    return networks.noise(*shape, dtype=torch.float32)


# --- The networks ---

RESIDUAL_SITES = [
    *("conv1", "bn1", "layer1.0", "layer1.0.bn1", "layer1.0.relu#0", "layer1.0.relu#1"),
    *("layer1.1.conv2:input", "layer1.1.bn2", "layer2.0", "layer2.0.downsample", "fc:input"),
]


@pytest.mark.parametrize("inplace", [False, True])
def test_blocks_and_what_lies_inside_them(inplace: bool) -> None:
    model = networks.residual_cnn(inplace=inplace).double()
    assert_exact(model, RESIDUAL_SITES, networks.noise(3, 3, 12, 12))


def test_a_single_sample() -> None:
    model = networks.residual_cnn(inplace=True).double()
    assert_exact(model, RESIDUAL_SITES[1:-1], networks.noise(1, 3, 12, 12))


def test_modules_called_twice() -> None:
    sites = ["first", "shared#0", "shared#1", "shared#1:input", "act#0", "act#1"]
    assert_exact(networks.called_twice().double(), sites[:3] + sites[4:], networks.noise(3, 6))
    site = Site("shared", port="input", call=1)
    assert_exact(networks.called_twice().double(), site, networks.noise(3, 6))


def test_tokens_and_attention() -> None:
    sites = ["patch_embed", "blocks.0", "blocks.1.attn", "blocks.1.mlp.fc2:input"]
    model = networks.small_vit().double()
    assert_exact(model, sites, networks.noise(3, 3, 8, 8), tolerance=1e-14)


@pytest.mark.parametrize("kind", ["tuple", "list", "pair", "dict", "record"])
def test_outputs_that_wrap_a_tensor(kind: str) -> None:
    # Both as the site itself and as something recorded before it.
    assert_exact(networks.wrapped(kind).double(), ["inner", "last"], networks.noise(3, 6))


TORCHVISION = {
    "resnet18": ["layer1.0", "layer2.0.bn1", "layer3.0.relu#1", "layer4.1", "fc:input"],
    "densenet121": ["features.denseblock2.denselayer3", "features.denseblock3.denselayer2.conv1"],
    "convnext_tiny": ["features.3.1", "features.5.3.block.5:input"],
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_networks(name: str) -> None:
    models = import_torchvision().models
    model = networks.seeded(lambda: models.get_model(name, num_classes=5))
    assert_exact(model, TORCHVISION[name], images(2, 3, 32, 32), tolerance=1e-6)


TIMM = {
    "vit_tiny_patch16_224": ({"img_size": 32}, ["blocks.3", "blocks.5.mlp.fc2:input"]),
    "tf_efficientnet_lite0": ({}, ["blocks.2.1", "blocks.4.1.bn2"]),
    # The output of its attention counts windows, several a sample.
    "swin_tiny_patch4_window7_224": (
        {"img_size": 32, "window_size": 4},
        ["layers.1.blocks.1", "layers.0.blocks.1.mlp"],
    ),
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_networks(name: str) -> None:
    settings, sites = TIMM[name]
    timm = import_timm()
    model = networks.seeded(lambda: timm.create_model(name, num_classes=5, **settings))
    assert_exact(model, sites, images(2, 3, 32, 32), tolerance=1e-5)


def test_transformers_networks() -> None:
    model = networks.transformers_vit()
    block = next(name for name, _ in model.named_modules() if name.endswith(".1"))
    norm = next(name for name, _ in model.named_modules() if name.endswith(".1.layernorm_after"))
    assert_exact(model, [block, norm], images(2, 3, 16, 16), "logits", tolerance=1e-6)


class SequenceFirst(nn.Module):
    """Its recurrent layer gives tensors that count samples along their second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(6, 8)
        self.first = nn.Linear(8, 8)
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        outputs, (state, _) = self.recurrent(x.transpose(0, 1))
        hidden = self.first(outputs.transpose(0, 1)[:, -1])
        logits: Tensor = self.last(hidden + state[0] + outputs[0])
        return logits


def test_samples_along_another_axis() -> None:
    model = networks.seeded(SequenceFirst).double()
    assert_exact(model, "first", networks.noise(3, 5, 6), tolerance=1e-14)


class Tabled(nn.Module):
    """Beside the site there is a table of three rows that all samples share."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Linear(6, 3)
        self.first = nn.Linear(6, 3)
        self.site = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        table = self.table(torch.eye(3, 6, dtype=x.dtype))
        logits: Tensor = self.site(self.first(x)) @ table
        return logits


def test_tensors_without_samples_are_not_copied() -> None:
    # With three samples, only the table's size for another number of them tells the two apart.
    model, x = networks.seeded(Tabled).double(), networks.noise(3, 6)
    assert_exact(model, "site", x, tolerance=1e-14)
    assert kept(Replay(model, "site", x)) == ["Linear"]


# --- What is kept and what runs ---


def kept(replay: Replay) -> list[str]:
    """The kinds of modules of whose outputs the values are kept."""
    entries = replay._entries
    assert entries is not None
    return [
        type(module).__name__
        for module, outputs in entries
        for leaf in leaves(outputs, Leaf)
        if leaf.values is not None
    ]


def test_only_what_is_read_is_kept() -> None:
    model, x = networks.residual_cnn(inplace=True), images(3, 3, 12, 12)
    assert kept(Replay(model, "layer2.0", x)) == []
    assert kept(Replay(model, "layer1.1.bn2", x)) == ["BasicBlock"]  # the shortcut


def test_nothing_before_the_site_runs() -> None:
    model, x = networks.residual_cnn(), images(3, 3, 12, 12)
    replay = Replay(model, "layer1.1", x)
    ran: list[str] = []
    for name in ("conv1", "layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "fc"):
        module = model.get_submodule(name)
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    # A skipped module's own hooks see what it gave; those of the modules inside it see nothing.
    replay(replay.activation)
    assert ran == ["conv1", "layer2.0.conv1", "fc"]


def test_gradients_reach_the_activation() -> None:
    model, x = networks.residual_cnn(inplace=True).double(), networks.noise(3, 3, 12, 12)
    for site in find_sites(model, ["bn1", "layer1.0.relu#1", "layer1.1.bn2", "layer2.0"]):
        replay = Replay(model, site, x)
        leaf = replay.activation.clone().requires_grad_()
        (ours,) = torch.autograd.grad(replay(leaf).square().sum(), leaf)
        with Probe(model, [site], overwritten=frozenset([site.key])) as probe:
            here = probe(x)
            (theirs,) = torch.autograd.grad(here.output.square().sum(), here.activations[site.key])
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        assert torch.equal(leaf, replay.activation)


def test_what_is_given_is_not_changed() -> None:
    # The model rectifies the site's tensor and adds to recorded ones in place.
    model, x = networks.residual_cnn(inplace=True), images(3, 3, 12, 12)
    replay = Replay(model, "layer1.1.bn2", x)
    given = replay.activation.clone()
    first = replay(given)
    assert torch.equal(given, replay.activation)
    assert torch.equal(replay(given), first)


def test_as_a_context_it_stays_prepared_and_then_is_gone() -> None:
    model, x = networks.residual_cnn(), images(3, 3, 12, 12)
    replay = Replay(model, "layer1.1", x)
    model.train()
    with replay:
        assert not model.training
        assert torch.equal(replay(replay.activation), replay.output)
        assert torch.equal(replay(torch.cat([replay.activation] * 2))[3:], replay.output)
    assert model.training
    assert_as_before(model)


def test_dropout_is_off_and_the_random_state_kept() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 8), nn.Dropout())
    state = torch.get_rng_state()
    replay = Replay(model, "2", images(3, 6))
    assert torch.equal(replay(replay.activation), replay.output)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


def test_an_input_made_in_inference_mode() -> None:
    model = networks.residual_cnn(inplace=True)
    with torch.inference_mode():
        x = images(3, 3, 12, 12) + 0
        replay = Replay(model, "layer1.1.bn2", x)
        assert torch.equal(replay(replay.activation + 0), replay.output)
    leaf = replay.activation.clone().requires_grad_()
    replay(leaf).sum().backward()
    assert leaf.grad is not None


def test_compiled_parts_run_module_by_module() -> None:
    model = networks.residual_cnn()
    model.layer1 = torch.compile(model.layer1, backend="eager")
    compiled, x = vars(model.layer1)["forward"], images(3, 3, 12, 12)
    for site in (Site("layer1._orig_mod.1"), Site("layer2.0")):
        replay = Replay(model, site, x)
        assert replay.shortened
        changed = replay.activation * 2
        assert torch.equal(replay(changed), whole(model, site, x, changed))
    assert vars(model.layer1)["forward"] is compiled


def test_a_scripted_part_runs_as_it_is() -> None:
    x = images(3, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing itself is deprecated
        inner = torch.jit.trace(networks.plain_mlp(), x)
    outer = nn.Sequential(nn.Linear(6, 6), inner, nn.Linear(4, 4), nn.Linear(4, 2))
    replay = Replay(outer, "2", x)
    assert replay.shortened
    changed = replay.activation * 2
    assert torch.equal(replay(changed), whole(outer, Site("2"), x, changed))


def test_the_output_may_be_a_site() -> None:
    model, x = networks.called_twice().double(), networks.noise(3, 6)
    replay = Replay(model, "shared#0", x, output=Site("act", call=1))
    assert replay.shortened
    changed = replay.activation * 2
    hidden = torch.tanh(model.shared(torch.tanh(changed)))
    assert torch.equal(replay(changed), hidden)


def test_hooks_of_the_user_are_met_once() -> None:
    model, x = networks.plain_mlp().double(), networks.noise(3, 6)
    model[0].register_forward_hook(lambda _m, _a, output: output + 1)
    replay = Replay(model, "1", x)
    assert replay.shortened
    changed = replay.activation * 2
    assert torch.equal(replay(changed), whole(model, Site("1"), x, changed))


def test_several_sites_are_recorded_in_one_run_and_go_on_to_the_next_batch() -> None:
    model, x = networks.residual_cnn(inplace=True), images(5, 3, 12, 12)
    sites = find_sites(model, ["bn1", "layer1.0.relu#1", "layer1.1.bn2", "layer2.0"])
    together = [Replay(model, site, None) for site in sites]
    # The next batches have other sizes; one sample is as many as the first run learned from.
    for batch in (x, x[:3] * 2, x[:1], x[1:4]):
        if batch is x:
            record(together, batch)
        else:
            follow(together, batch)
        for site, replay in zip(sites, together, strict=True):
            assert replay.shortened
            alone = Replay(model, site, batch)
            assert torch.equal(replay.activation, alone.activation)
            assert torch.equal(replay.output, alone.output)
            several = torch.cat([alone.activation * 2, alone.activation])
            assert torch.equal(replay(several), alone(several))
    assert_as_before(model)


class Joined(nn.Module):
    """Concatenates the input of the site to it: both must have as many samples."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.site, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.before(x)
        logits: Tensor = self.last(torch.cat([self.site(hidden), hidden], dim=1))
        return logits


def test_as_many_samples_as_were_learned_from_are_learned_from_anew() -> None:
    model, x = networks.seeded(Joined).double(), networks.noise(3, 6)
    replay = Replay(model, "site", x)
    follow([replay], x[:1])
    twice = torch.cat([replay.activation, replay.activation * 2])
    expected = whole(model, Site("site"), x[[0, 0]], twice)
    torch.testing.assert_close(replay(twice), expected, rtol=0, atol=1e-14)


def test_what_gave_up_is_left_as_it_is() -> None:
    model, x = networks.seeded(lambda: Layered(aliased)).double(), networks.noise(3, 6)
    replay = Replay(model, "site", None)
    with pytest.warns(UserWarning, match="runs the whole model every time"):
        record([replay], x)
    follow([replay], x)  # a second warning would be an error
    assert not replay.shortened


# --- Where it gives up, and runs the whole model ---


class Layered(nn.Module):
    """`(B, 6)` → `(B, 4)` by what `way` makes of it; `before`, `site` and `after` are layers."""

    def __init__(self, way: Callable[[Layered, Tensor], Tensor]) -> None:
        super().__init__()
        self.before = nn.Linear(6, 6)
        self.same = nn.Identity()
        self.pair = Numbered()
        self.cross = Crossed()
        self.site = nn.Linear(6, 6)
        self.after = nn.Linear(6, 4)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


class Numbered(nn.Module):
    """A layer that returns the number of samples with its tensor."""

    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        return x, len(x)


class Crossed(nn.Module):
    """A layer that gives a tensor of samples by samples."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ x.T


def aliased(net: Layered, x: Tensor) -> Tensor:
    hidden = net.before(x)
    same = net.same(hidden)
    same += 1  # changes `hidden` too
    logits: Tensor = net.after(net.site(same) + hidden)
    return logits


def random(net: Layered, x: Tensor) -> Tensor:
    hidden = net.site(net.draw(net.before(x)))
    logits: Tensor = net.after(hidden + torch.rand_like(hidden))
    return logits


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def counted(net: Layered, x: Tensor) -> Tensor:
    hidden, count = net.pair(net.before(x))
    logits: Tensor = net.after(net.site(hidden) / count)
    return logits


def crossed(net: Layered, x: Tensor) -> Tensor:
    logits: Tensor = net.after(net.site(x) + net.cross(x).sum(1, keepdim=True))
    return logits


def crossed_before(net: Layered, x: Tensor) -> Tensor:
    between = net.cross(x).sum(1, keepdim=True)
    logits: Tensor = net.after(net.site(x) + between)
    return logits


def branching(net: Layered, x: Tensor) -> Tensor:
    hidden = net.before(x) if len(x) > 1 else x
    logits: Tensor = net.after(net.site(hidden))
    return logits


def fixed(net: Layered, x: Tensor) -> Tensor:
    hidden = net.before(x).reshape(3, 6)
    logits: Tensor = net.after(net.site(hidden))
    return logits


REASONS = {
    aliased: "the part after the site gives another output",
    random: "the part after the site gives another output",
    counted: "a Numbered returns numbers that depend on the samples",
    crossed_before: r"a Crossed returns \(1, 1\) for 1 and \(3, 3\) for 3 samples",
    branching: "which modules run depends on the samples",
    fixed: "RuntimeError: shape '\\[3, 6\\]' is invalid for input of size 6",
}


@pytest.mark.parametrize("way", REASONS, ids=lambda way: way.__name__)
def test_the_reason_for_running_the_whole_model_is_reported(way: Callable[..., Tensor]) -> None:
    model = networks.seeded(lambda: Layered(way)).double()
    model.draw = Noisy()
    x = networks.noise(3, 6)
    with pytest.warns(UserWarning, match=f'Replay at "site" runs the whole .*: {REASONS[way]}'):
        replay = Replay(model, "site", x)
    assert not replay.shortened
    changed = replay.activation * 2
    with torch.random.fork_rng():
        expected = whole(model, Site("site"), x, changed)
    assert torch.equal(replay(changed), expected)
    with replay:
        assert torch.equal(replay(changed), expected)
    leaf = changed.clone().requires_grad_()
    replay(leaf).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.ne(0).any()
    assert_as_before(model)


def test_what_grows_with_the_batch_after_the_site_is_no_matter() -> None:
    model = networks.seeded(lambda: Layered(crossed)).double()
    assert Replay(model, "site", networks.noise(3, 6)).shortened


def test_an_output_before_the_site_does_not_depend_on_it() -> None:
    model, x = networks.plain_mlp(), images(3, 6)
    replay = Replay(model, "2", x, output=Site("1"))
    assert torch.equal(replay(replay.activation * 2), replay.output)
    inner = nn.Sequential(networks.plain_mlp(), nn.Linear(4, 4))
    with pytest.warns(UserWarning, match="the selected output is computed before the site"):
        replay = Replay(inner, "1", x, output=Site("0.1"))
    assert torch.equal(replay(replay.activation * 2), replay.output)


# --- Mistakes, and what they leave behind ---


def test_mistakes() -> None:
    model, x = networks.called_twice(), images(3, 6)
    with pytest.raises(CodeclensError, match=r'Site "shared" runs 2 times; .* "shared#0"'):
        Replay(model, "shared", x)
    with pytest.raises(CodeclensError, match='"shared#2" is not reached'):
        Replay(model, "shared#2", x)
    with pytest.raises(CodeclensError, match='no site "frist"; the nearest names are "first"'):
        Replay(model, "frist", x)
    with pytest.raises(CodeclensError, match=r'from one site, .* several: "first", "last"'):
        Replay(model, "*st", x)
    with pytest.raises(CodeclensError, match='"0" returns a tuple of 2, not a tensor; name'):
        Replay(nn.Sequential(Twice()), "0", x, output=0)
    turned = nn.Sequential(nn.Unflatten(1, (6, 1)), Turned(), nn.Flatten())
    with pytest.raises(CodeclensError, match=r'"1" returns a tensor of shape \(1, 3, 6\) for 3'):
        Replay(turned, "1", x)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(-1, 0)


@pytest.mark.parametrize(
    ("wrong", "shape"),
    [
        (torch.zeros(3, 7), r"\(3, 7\)"),
        (torch.zeros(4, 8), r"\(4, 8\)"),
        (torch.zeros(0, 8), r"\(0, 8\)"),
        (torch.zeros(3, 8, dtype=torch.float64), r"\(3, 8\), torch.float64"),
    ],
)
def test_an_activation_that_does_not_fit(wrong: Tensor, shape: str) -> None:
    replay = Replay(networks.called_twice(), "first", images(3, 6))
    with pytest.raises(CodeclensError, match=rf'shape {shape}.* "first", \(3, 8\)'):
        replay(wrong)


def replay_at_once(model: nn.Module) -> None:
    replay = Replay(model, "norm", images(3, 6))
    replay(replay.activation)


@pytest.mark.parametrize("forward", [1, 2, 3, 4, 5])
def test_the_model_is_left_as_it_was_when_it_fails(forward: int) -> None:
    # The pilot's two runs, the recording, the first replay and then a replay of ours.
    model = networks.Failing(at=forward, error=KeyboardInterrupt())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(KeyboardInterrupt):
        replay_at_once(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert_as_before(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_forward_of_the_instance_is_given_back() -> None:
    model, x = networks.plain_mlp(), images(3, 6)
    model[1].forward = mine = lambda x: x.clamp(min=0.1)
    replay = Replay(model, "2", x)
    assert torch.equal(replay(replay.activation), model(x))
    assert model[1].forward is mine


def test_a_probe_is_released_for_a_while() -> None:
    model, x = networks.plain_mlp(), images(3, 6)
    with Probe(model, [Site("1")]) as probe:
        with released(probe) as same:
            assert same is model
            assert_as_before(model)
        assert probe(x).activations["1"].requires_grad
        with pytest.raises(KeyError), released(probe):
            raise KeyError
        assert probe(x).activations["1"].requires_grad
    assert_as_before(model)
