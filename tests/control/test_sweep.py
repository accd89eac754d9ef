"""Sweeps against full runs of the same batches, exactly; and what is run how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from codeclens._compat import import_timm, import_torchvision
from codeclens.attribution import Selector, Site, find_sites, frozen, select
from codeclens.control import Intervention, outputs_under, predictions_under
from codeclens.control.edits import Add, Exchange, Put, Scale
from codeclens.control.sweep import Condition, count_units
from codeclens.errors import CodeclensError


def one_by_one(
    model: nn.Module,
    x: Tensor,
    conditions: list[Condition],
    batch_size: int,
    output: Selector = None,
) -> np.ndarray:
    """Every condition and batch by a run of its own, with the hooks of the interventions alone."""
    rows = []
    for condition in [(), *conditions]:
        acts = [condition] if isinstance(condition, Intervention) else condition
        parts = []
        for batch in x.split(batch_size):
            done = [act.applied(model) for act in acts]
            with frozen(model), torch.no_grad():
                for act in done:
                    act.__enter__()
                parts.append(select(model(batch.clone()), output))
                for act in reversed(done):
                    act.__exit__(None, None, None)
        rows.append(torch.cat(parts).numpy())
    return np.stack(rows)


def several(model: nn.Module, patterns: list[str], x: Tensor) -> list[Condition]:
    """At each site: some ablated, some preserved, all scaled and moved."""
    found: list[Condition] = []
    for site in find_sites(model, patterns):
        units = count_units(model, site, x[:1])
        d = networks.noise(units).float()
        chosen = tuple(range(0, units, 3))
        found += [
            Intervention(site, "ablate", chosen),
            Intervention(site, "preserve", chosen),
            Intervention(site, Add(d, 0.3), tuple(range(units))),
            [Intervention(site, Scale(0.5), chosen), Intervention(site, "ablate", (1,))],
        ]
    return found


def assert_exact(model: nn.Module, patterns: list[str], x: Tensor, output: Selector = None) -> None:
    conditions = several(model, patterns, x)
    found = outputs_under(model, x, conditions, batch_size=3, output=output)
    expected = one_by_one(model, x, conditions, 3, output)
    assert np.abs(found - expected).max() == 0.0
    full = outputs_under(model, x, conditions, batch_size=3, output=output, replay=False)
    assert np.array_equal(full, expected)
    # Every condition does something, and none what another does.
    assert len({row.tobytes() for row in found}) == len(found)


def images(*shape: int) -> Tensor:
    return networks.noise(*shape, dtype=torch.float32)


TORCHVISION = {
    "resnet18": ["layer1.0", "layer2.0.bn1", "layer3.1", "layer4.0.relu#1", "fc:input"],
    "densenet121": ["features.denseblock2.denselayer3", "features.denseblock3.denselayer2.conv1"],
    "convnext_tiny": ["features.3.1", "features.5.3.block.5:input"],
    "efficientnet_b0": ["features.3.0", "features.5.1.block.1"],
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_networks(name: str) -> None:
    models = import_torchvision().models
    model = networks.seeded(lambda: models.get_model(name, num_classes=5))
    assert_exact(model, TORCHVISION[name], images(5, 3, 32, 32))


TIMM = {
    "vit_tiny_patch16_224": ({"img_size": 32}, ["blocks.3", "blocks.5.mlp.fc2:input", "@heads"]),
    "tf_efficientnet_lite0": ({}, ["blocks.2.1", "blocks.4.1.bn2"]),
}


@pytest.mark.parametrize("name", TIMM)
def test_timm_networks(name: str) -> None:
    settings, sites = TIMM[name]
    timm = import_timm()
    model = networks.seeded(lambda: timm.create_model(name, num_classes=5, **settings))
    sites = [*sites[:-1], "blocks.1.attn.proj:input"] if "@heads" in sites else sites
    assert_exact(model, sites, images(5, 3, 32, 32))


def test_a_network_of_transformers() -> None:
    model = networks.transformers_vit()
    block = next(name for name, _ in model.named_modules() if name.endswith(".1"))
    norm = next(name for name, _ in model.named_modules() if name.endswith(".1.layernorm_after"))
    assert_exact(model, [block, norm], images(7, 3, 16, 16), "logits")


@pytest.mark.parametrize("inplace", [False, True])
def test_in_place_and_called_twice(inplace: bool) -> None:
    sites = ["bn1", "layer1.0.relu#0", "layer1.0.relu#1", "layer1.1.bn2", "layer2.0"]
    assert_exact(networks.residual_cnn(inplace=inplace), sites, images(7, 3, 12, 12))
    assert_exact(networks.called_twice(), ["first", "shared#0", "shared#1"], images(8, 6))


def test_batches_of_any_size_and_a_last_one_of_one() -> None:
    model, x = networks.residual_cnn(inplace=True), images(7, 3, 12, 12)
    conditions = several(model, ["layer1.0", "layer2.0"], x)
    for size in (1, 2, 6, 7, 50):
        found = outputs_under(model, x, conditions, batch_size=size)
        assert np.array_equal(found, one_by_one(model, x, conditions, size)), size


def test_several_masks_at_once() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(5, 3, 12, 12)
    conditions = several(model, ["layer1.0"], x)[:2]
    masks = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    conditions.append(Intervention(Site("layer1.0"), "ablate", masks))
    expected = outputs_under(model, x, conditions, batch_size=3)
    assert expected.shape == (1 + 2 + 5, 5, 5)
    by_mask = [Intervention(Site("layer1.0"), "ablate", mask) for mask in masks]
    assert np.array_equal(
        outputs_under(model, x, by_mask, batch_size=3), expected[[0, 3, 4, 5, 6, 7]]
    )
    for at_once in (2, 3, 100):
        found = outputs_under(model, x, conditions, batch_size=3, at_once=at_once)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_values_of_each_sample_go_with_their_batch() -> None:
    model, x = networks.residual_cnn(), images(7, 3, 12, 12)
    values = images(7, 6, 12, 12)
    given = Intervention(Site("layer1.0"), Put(values), (0, 1, 2))
    found = outputs_under(model, x, [given], batch_size=3)
    for start, batch in zip((0, 3, 6), x.split(3), strict=True):
        here = Intervention(Site("layer1.0"), Put(values[start : start + 3]), (0, 1, 2))
        expected = one_by_one(model, batch, [here], 3)
        assert np.array_equal(found[:, start : start + 3], expected)
    with pytest.raises(CodeclensError, match="cannot exchange values in a sweep"):
        outputs_under(model, x, [Intervention(Site("layer1.0"), Exchange((1, 0)), (0,))])
    with pytest.raises(CodeclensError, match=r"shape \(7, 6, 12, 12\); for 6 samples"):
        outputs_under(model, x[:6], [given])


def test_several_sites_together_run_whole() -> None:
    model, x = networks.residual_cnn(), images(7, 3, 12, 12)
    one = Intervention(Site("layer1.0"), "ablate", (0,))
    both: list[Condition] = [[one, Intervention(Site("fc", "input"), "ablate", (1,))], one]
    found = outputs_under(model, x, both, batch_size=4)
    assert np.array_equal(found, one_by_one(model, x, both, 4))


def counting(forward: Callable[[Tensor], Tensor], sizes: list[int]) -> Callable[[Tensor], Tensor]:
    def counted(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return forward(x)

    return counted


def test_what_lies_before_the_sites_runs_once_for_each_batch() -> None:
    model, x = networks.residual_cnn(), images(6, 3, 12, 12)
    ran: dict[str, list[int]] = {}
    for name in ("conv1", "layer1.0.conv1", "layer1.1.conv1", "layer2.0.conv1", "fc"):
        module = model.get_submodule(name)
        module.forward = counting(module.forward, ran.setdefault(name, []))
    sites = find_sites(model, ["layer1.0", "layer1.1"])
    acts = [Intervention(site, "ablate", (u,)) for site in sites for u in range(5)]
    outputs_under(model, x, acts, batch_size=3)
    # One image to learn, and two batches.
    assert ran["conv1"] == ran["layer1.0.conv1"] == [1, 3, 3]
    # After the first site: replays to learn and to be sure, and one for each act and batch.
    assert ran["layer1.1.conv1"] == [1, 1, 3, 3, *[3] * 5, 3, *[3] * 5]
    assert len(ran["layer2.0.conv1"]) == 3 + 2 * 2 + 2 * 10


# Where it gives up


class Aliased(nn.Module):
    """Changes what lies before the site in place: a replay would not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.same = nn.Linear(6, 6), nn.Identity()
        self.site, self.drop, self.after = nn.Linear(6, 6), nn.Dropout(), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.before(x)
        same = self.same(hidden)
        same += 1
        logits: Tensor = self.after(self.drop(self.site(same)) + hidden)
        return logits


def test_one_warning_and_full_runs_where_replay_cannot_be() -> None:
    model, x = networks.seeded(Aliased).train(), images(8, 6)
    conditions: list[Condition] = [Intervention(Site("site"), "ablate", (u,)) for u in range(4)]
    conditions.append(Intervention(Site("after"), "ablate", (1,)))
    with pytest.warns(UserWarning, match='Replay at "site" runs the whole model') as warned:
        found = outputs_under(model, x, conditions, batch_size=3)
    assert len(warned) == 1
    assert np.array_equal(found, one_by_one(model, x, conditions, 3))
    assert model.training


def test_an_act_at_every_call_runs_whole_and_others_do_not() -> None:
    model, x = networks.called_twice(), images(8, 6)
    conditions: list[Condition] = [
        Intervention(Site("act"), "ablate", (1, 2)),
        Intervention(Site("first"), "ablate", (0,)),
    ]
    with pytest.warns(
        UserWarning, match=r'The whole model runs .* Site "act" runs 2 times'
    ) as seen:
        found = outputs_under(model, x, conditions, batch_size=3)
    assert len(seen) == 1
    assert np.array_equal(found, one_by_one(model, x, conditions, 3))


def test_dropout_is_off_and_the_random_state_kept() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(), nn.Linear(8, 8), nn.Dropout())
    x, state = images(5, 6), torch.get_rng_state()
    conditions: list[Condition] = [Intervention(Site("2"), "ablate", (1,))]
    found = outputs_under(model, x, conditions, batch_size=2)
    assert np.array_equal(found, one_by_one(model, x, conditions, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


# What comes back


def test_a_function_of_the_outputs_and_the_progress() -> None:
    model, x = networks.residual_cnn(), images(7, 3, 12, 12)
    conditions = several(model, ["layer1.0"], x)
    told: list[tuple[int, int]] = []
    found = outputs_under(
        model, x, conditions, batch_size=3,
        reduce=lambda logits: logits[:, 2], progress=lambda *n: told.append(n),
    )  # fmt: skip
    whole = outputs_under(model, x, conditions, batch_size=3)
    assert np.array_equal(found, whole[:, :, 2])
    assert told == [(n, 15) for n in range(1, 16)]
    predicted = predictions_under(model, x, conditions, batch_size=3)
    assert predicted.dtype == np.int64
    assert np.array_equal(predicted, whole.argmax(axis=2))
    assert outputs_under(model, x, [], batch_size=4).shape == (1, 7, 5)


def test_mistakes() -> None:
    model, x = networks.residual_cnn(), images(4, 3, 12, 12)
    act = Intervention(Site("layer1.0"), "ablate", (0,))

    def refuse(message: str, *given: Any, **settings: Any) -> None:
        with pytest.raises(CodeclensError, match=message):
            outputs_under(model, x, *given, **settings)

    refuse(r"batch_size \(=0\)", [act], batch_size=0)
    refuse(r"at_once \(=0\)", [act], at_once=0)
    refuse("axis must count them", [act], output=lambda logits: logits.sum())
    refuse("Unit 9 is out of range", [Intervention(Site("layer1.0"), "ablate", (9,))])
    refuse('"layer1.0#1" is not reached', [Intervention(Site("layer1.0", call=1), "ablate", (0,))])
    refuse('no site "layer9"', [Intervention(Site("layer9"), "ablate", (0,))])


def test_a_module_called_twice_named_by_hand_runs_the_whole_model() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.fc = nn.Conv2d(3, 3, 1), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.relu(self.a(torch.relu(self.a(x)))).mean((2, 3)))

    torch.manual_seed(0)
    model, x = Twice().eval(), torch.randn(4, 3, 5, 5)
    acting = [Intervention(Site("a"), "ablate", (0,))]
    with pytest.warns(UserWarning, match="whole model runs"):
        found = outputs_under(model, x, acting)
    np.testing.assert_array_equal(found, outputs_under(model, x, acting, replay=False))
