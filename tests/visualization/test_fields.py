"""Receptive fields against one run for each pixel, and boxes against what they hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from codeclens import CodeclensError
from codeclens.visualization import Box, receptive_field, strongest_box
from networks import called_twice, noise, small_vit


def slow_box(model: nn.Module, x: Tensor, site: str, row: int, column: int) -> Box:
    """Every pixel in turn is made NaN; those that reach the place make the box."""
    met: list[Tensor] = []
    handle = model.get_submodule(site).register_forward_hook(lambda _m, _i, out: met.append(out))
    reach = torch.zeros(x.shape[2:], dtype=torch.bool)
    for h in range(x.shape[2]):
        for w in range(x.shape[3]):
            broken = x.clone()
            broken[:, :, h, w] = torch.nan
            with torch.no_grad():
                model(broken)
            reach[h, w] = met.pop()[0, :, row, column].isnan().any()
    handle.remove()
    rows, columns = reach.any(dim=1).nonzero().flatten(), reach.any(dim=0).nonzero().flatten()
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def layered(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).eval()


MODELS = {
    "strided": layered(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()
    ),
    "dilated": layered(
        nn.Conv2d(3, 4, 3, padding=2, dilation=2), nn.BatchNorm2d(4), nn.MaxPool2d(2)
    ),
    "grouped": layered(
        nn.Conv2d(3, 6, 2), nn.Conv2d(6, 6, 3, groups=3, stride=3), nn.AvgPool2d(2, stride=1)
    ),
    "wide": layered(*(nn.Conv2d(3, 3, 5, padding=2) for _ in range(4)), nn.MaxPool2d(2)),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_every_box_is_that_of_one_run_for_each_pixel(kind: str) -> None:
    model = MODELS[kind]
    x = noise(1, 3, 20, 17, dtype=torch.float32)
    site = str(len(model) - 1)
    field = receptive_field(model, x, site)
    places = [(0, 0), (1, 2), (2, 1), (field.grid[0] - 1, field.grid[1] - 1)]
    places += [(field.grid[0] // 2, field.grid[1] // 2)]
    for row, column in places:
        assert field.box(row, column) == slow_box(model, x, site, row, column), (row, column)


def test_behind_pooling_over_all_places_the_field_is_the_image() -> None:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.out = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            a = self.conv(x)
            found: Tensor = self.out(a * a.mean(dim=(2, 3), keepdim=True).sigmoid())
            return found

    field = receptive_field(Squeezed(), noise(1, 3, 9, 9, dtype=torch.float32), "out")
    assert field.box(4, 4) == Box(0, 0, 9, 9)


def test_units_without_a_field_are_reported() -> None:
    x = noise(1, 3, 8, 8, dtype=torch.float32)
    with pytest.raises(CodeclensError, match="only feature maps"):
        receptive_field(small_vit(), x, "blocks.0")
    with pytest.raises(CodeclensError, match="images"):
        receptive_field(called_twice(), x[0, 0], "act")
    model = layered(nn.Conv2d(3, 2, 3))
    with pytest.raises(CodeclensError, match="outside"):
        receptive_field(model, x, "0").box(6, 0)
    with pytest.raises(CodeclensError, match="means 2 sites"):
        receptive_field(layered(nn.Conv2d(3, 2, 3), nn.ReLU()), x, "*")


@given(st.integers(0, 10_000), st.floats(0.05, 1.0))
def test_a_box_holds_its_share(seed: int, share: float) -> None:
    values = np.random.default_rng(seed).gamma(0.2, size=(12, 9))
    box = strongest_box(values, share)
    assert values[box.slices].sum() >= share * values.sum() * (1 - 1e-9)
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert box.top <= row < box.bottom
    assert box.left <= column < box.right


def test_a_box_around_a_spot_is_small() -> None:
    values = np.zeros((40, 40))
    values[10:15, 20:24] = 1.0
    assert strongest_box(values, 1.0) == Box(10, 20, 15, 24)
    assert strongest_box(np.zeros((4, 4))).area == 1
    with pytest.raises(CodeclensError, match="share"):
        strongest_box(values, 0.0)
    with pytest.raises(CodeclensError, match="≥ 0"):
        strongest_box(-values)
