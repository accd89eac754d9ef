"""Pixel maps against the slow version, and what users get wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens import CodeclensError, Label, Output
from codeclens.attribution import Site
from codeclens.visualization import pixel_map, pixel_maps
from networks import called_twice, residual_cnn, returning, small_vit
from visualization.slow_pixels import slow_maps


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return build().double().eval()


class Tangle(nn.Module):
    """`(B, 3, 14, 14)` → `(B, 5)`: strided, grouped and dilated convolutions and both poolings."""

    def __init__(self) -> None:
        super().__init__()
        self.strided = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.dilated = nn.Conv2d(8, 12, 3, padding=2, dilation=2)
        self.maximum = nn.MaxPool2d(2)
        self.average = nn.AvgPool2d(2, stride=1)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.strided(x)))
        x = self.maximum(torch.nn.functional.silu(self.dilated(self.act(self.grouped(x)))))
        logits: Tensor = self.head(self.average(x).mean(dim=(2, 3)))
        return logits


@dataclass(frozen=True)
class Case:
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    site: str
    unit_axis: int = 1


CASES = [
    Case(Tangle, (3, 14, 14), "norm"),  # an in-place ReLU follows
    Case(Tangle, (3, 14, 14), "grouped"),
    Case(Tangle, (3, 14, 14), "dilated"),
    Case(Tangle, (3, 14, 14), "maximum"),
    Case(Tangle, (3, 14, 14), "average"),
    Case(lambda: residual_cnn(inplace=True), (3, 12, 12), "layer1.0"),
    Case(lambda: residual_cnn(inplace=True), (3, 12, 12), "layer1.1.bn1"),
    Case(residual_cnn, (3, 12, 12), "layer2.0"),
    Case(small_vit, (3, 8, 8), "blocks.0", -1),
    Case(small_vit, (3, 8, 8), "blocks.1.attn", -1),
    Case(small_vit, (3, 8, 8), "blocks.1.mlp.act", -1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.build.__name__}-{case.site}")
def test_maps_equal_one_backward_for_each_place(case: Case, generator: torch.Generator) -> None:
    model = seeded(case.build)
    x = torch.randn(2, *case.shape, dtype=torch.float64, generator=generator)
    found = pixel_map(model, x, site=case.site, units=[0, 3, 4])
    expected = slow_maps(model, x, case.site, [0, 3, 4], unit_axis=case.unit_axis)
    for map_, slow in zip((found.positive, found.negative), expected, strict=True):
        assert slow.abs().max() > 0
        assert (map_ - slow).norm() <= 1e-9 * slow.norm()
        large = slow.abs() > 1e-12 * slow.abs().max()
        assert torch.equal(map_.sign()[large], slow.sign()[large])


@pytest.mark.parametrize("call", [0, 1])
def test_each_call_of_a_module_is_a_site_of_its_own(call: int, generator: torch.Generator) -> None:
    model = seeded(called_twice)
    x = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    found = pixel_map(model, x, site=f"act#{call}", units=range(8))
    positive, negative = slow_maps(model, x, "act", range(8), unit_axis=-1, call=call)
    torch.testing.assert_close(found.positive, positive, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(found.negative, negative, rtol=1e-9, atol=1e-15)


def test_a_baseline_moves_the_zero(generator: torch.Generator) -> None:
    model = seeded(Tangle)
    x = torch.randn(1, 3, 14, 14, dtype=torch.float64, generator=generator)
    found = pixel_map(model, x, site="grouped", units=[1], baseline=0.5)
    positive, negative = slow_maps(model, x, "grouped", [1], baseline=0.5)
    torch.testing.assert_close(found.positive, positive, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(found.negative, negative, rtol=1e-9, atol=1e-15)
    same = pixel_map(model, x, site="grouped", units=[1], baseline=torch.full((14, 14), 0.5))
    torch.testing.assert_close(same.positive, found.positive, rtol=1e-12, atol=1e-15)


def test_all_units_of_a_cut_give_gradient_times_input(generator: torch.Generator) -> None:
    model = seeded(residual_cnn)
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=generator)
    found = pixel_map(model, x, site="layer1.1", units=range(6), target=Output(2))
    start = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(start)[:, 2].sum(), start)
    torch.testing.assert_close(found.net, gradient * x, rtol=1e-9, atol=1e-14)
    assert (found.excitation > 0).all()
    assert (found.suppression < 0).all()
    torch.testing.assert_close(found.target, model(x)[:, 2].detach())


def test_targets_are_those_of_contributions(generator: torch.Generator) -> None:
    model = seeded(residual_cnn)
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=generator)
    labels = torch.tensor([4, 1])
    found = pixel_map(model, x, site="layer1.0", units=[2], target=Label(), labels=labels)
    for sample, label in enumerate(labels.tolist()):
        one = slow_maps(model, x[sample : sample + 1], "layer1.0", [2], class_index=label)
        torch.testing.assert_close(found.positive[sample], one[0][0], rtol=1e-9, atol=1e-15)


def test_several_sets_share_one_pass(generator: torch.Generator) -> None:
    model = seeded(residual_cnn)
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64, generator=generator)
    forwards = []
    handle = model.register_forward_hook(lambda *_: forwards.append(1))
    together = pixel_maps(model, x, site="layer1.0", units=[[0], [1, 4], range(6)])
    handle.remove()
    assert len(forwards) == 1
    for units, found in zip([[0], [1, 4], range(6)], together, strict=True):
        alone = pixel_map(model, x, site="layer1.0", units=units)
        assert found.units == tuple(units)
        assert torch.equal(found.positive, alone.positive)
        assert torch.equal(found.negative, alone.negative)


def test_heads_are_units(generator: torch.Generator) -> None:
    model = seeded(small_vit)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator)
    by_head = pixel_map(model, x, site=Site("blocks.0.attn.proj", port="input", heads=3), units=[1])
    features = pixel_map(model, x, site="blocks.0.attn.proj:input", units=range(4, 8))
    torch.testing.assert_close(by_head.positive, features.positive, rtol=1e-9, atol=1e-15)
    torch.testing.assert_close(by_head.negative, features.negative, rtol=1e-9, atol=1e-15)


@dataclass
class SomeMode:
    """As much of a mode as a map needs."""

    site: str
    weights: np.ndarray

    def top_units(self, count: int) -> np.ndarray:
        return np.argsort(-np.abs(self.weights), kind="stable")[:count]


MODE = SomeMode("layer1.0", np.array([0.1, -0.9, 0.0, 0.4, 0.5, 0.2]))


@pytest.mark.parametrize(
    ("choice", "units"),
    [
        ({}, (1, 4, 3)),
        ({"count": 1}, (1,)),
        ({"fraction": 0.34}, (1, 4)),
        ({"fraction": 0.01}, (1,)),
        ({"fraction": 1.0}, (1, 4, 3, 5, 0, 2)),
    ],
)
def test_a_mode_gives_its_strongest_units(
    choice: dict[str, float], units: tuple[int, ...], generator: torch.Generator
) -> None:
    x = torch.randn(1, 3, 12, 12, generator=generator)
    found = pixel_map(residual_cnn(), x, mode=MODE, **choice)
    assert found.units == units
    by_hand = pixel_map(residual_cnn(), x, site="layer1.0", units=units)
    assert torch.equal(found.net, by_hand.net)


def test_the_model_is_left_as_it_was(generator: torch.Generator) -> None:
    model = residual_cnn(inplace=True).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(2, 3, 12, 12, generator=generator)
    kept = x.clone()
    random = torch.get_rng_state()
    pixel_map(model, x, site="layer1.0", units=[0])
    with pytest.raises(CodeclensError):
        pixel_map(model, x, site="layer1.0", units=[99])
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), random)


def test_a_target_that_passes_the_site_by_gives_empty_maps() -> None:
    model = seeded(small_vit)
    x = torch.ones(1, 3, 8, 8, dtype=torch.float64)
    found = pixel_map(
        model, x, site="blocks.0", units=[0], target=lambda out: 0 * out.detach()[:, 0]
    )
    assert not found.positive.any()
    assert not found.negative.any()


X = torch.ones(1, 3, 12, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"site": "layer9", "units": [0]}, 'no site "layer9"; the nearest names are'),
        ({"units": [0]}, "No site was given"),
        ({"site": "layer*.*", "units": [0]}, r'"layer\*.\*" means 3 sites'),
        ({"site": "layer1.0"}, "exactly one of units and mode; got neither"),
        ({"site": "layer1.0", "units": [0], "mode": MODE}, "got both"),
        ({"site": "layer1.0", "units": []}, r"are \[\]; pass a flat list"),
        ({"site": "layer1.0", "units": 3}, "are 3; pass a flat list"),
        ({"site": "layer1.0", "units": [0.5]}, r"are \[0.5\]; pass a flat list"),
        ({"site": "layer1.0", "units": [6]}, r"Unit 6 is out of range.*6 units \(0 to 5\)"),
        ({"site": "layer1.0", "units": [-1]}, "Unit -1 is out of range"),
        ({"site": "layer1.0", "units": [0], "fraction": 0.1}, "omit them with units"),
        ({"mode": MODE, "fraction": 18}, r"fraction \(=18\) must be above"),
        ({"mode": MODE, "fraction": 0.0}, r"fraction \(=0.0\) must be above"),
        (
            {"mode": MODE, "count": 0},
            r"count \(=0\) must be a whole number .* at most 6",
        ),
        ({"mode": MODE, "count": 2, "fraction": 0.1}, "not by both"),
        ({"mode": MODE, "site": "layer1.1"}, 'found at site "layer1.0", not at "layer1.1"'),
        ({"mode": SomeMode("layer2.0", np.ones(6))}, "mode has 6 units, but .* 8 units"),
        ({"site": "layer1.0", "units": [0], "target": Label()}, "needs labels"),
        ({"site": "layer1.0", "units": [0], "target": Output(7)}, "out of range"),
        ({"site": "layer1.0", "units": [0], "baseline": torch.ones(7)}, r"baseline has shape \(7,"),
        ({"site": "layer1.0", "units": [0], "baseline": torch.full((1,), torch.nan)}, "NaN"),
    ],
)
def test_a_mistake_gets_a_sentence(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        pixel_map(residual_cnn(), X, **arguments)


def test_modes_of_several_sites_have_no_common_map() -> None:
    with pytest.raises(CodeclensError, match=r"modes are of 2 sites \(layer1.0, layer2.0\)"):
        pixel_maps(residual_cnn(), X, modes=[MODE, SomeMode("layer2.0", np.ones(8))])
    with pytest.raises(CodeclensError, match="pass at least one set"):
        pixel_maps(residual_cnn(), X, site="layer1.0", units=[])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.full((2, 3, 12, 12), torch.nan), "NaN or infinite values in 2 of 2 samples"),
        (torch.ones(2, 3, 12, 12, dtype=torch.uint8), "torch.uint8"),
        (torch.ones(0, 3, 12, 12), r"\(0, 3, 12, 12\)"),
        (np.ones((1, 3, 12, 12)), "ndarray"),
    ],
)
def test_an_unusable_input_gets_a_sentence(x: object, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        pixel_map(residual_cnn(), x, site="layer1.0", units=[0])


def test_a_wrapped_output_needs_a_selector(generator: torch.Generator) -> None:
    model = returning(lambda logits: {"logits": logits, "loss": None})
    x = torch.randn(2, 6, generator=generator)
    with pytest.raises(CodeclensError, match="pass output='logits'"):
        pixel_map(model, x, site="body.1", units=[0, 1])
    found = pixel_map(model, x, site="body.1", units=[0, 1], output="logits")
    assert found.positive.shape == x.shape
