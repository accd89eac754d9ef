"""Sampling at computed places, and quantisation: sums are exact at any number of steps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from between import Operation, attributed, gap
from codeclens.attribution import Conductance


def sampled(mode: str, padding: str = "zeros", corners: bool = False) -> Operation:
    """An image of the features at places that the features give too."""

    def operation(z: Tensor) -> Tensor:
        image, places = z.view(-1, 1, 3, 4), 1.3 * z.view(-1, 1, 6, 2).tanh()
        return F.grid_sample(image, places, mode, padding, corners).flatten(1)

    return operation


def warped(z: Tensor) -> Tensor:
    """A fixed image at places that the features give."""
    image = torch.linspace(0, 3, 50).double().sin().view(1, 2, 5, 5).expand(len(z), -1, -1, -1)
    return F.grid_sample(image, z.view(-1, 1, 6, 2).tanh(), align_corners=True).flatten(1)


def in_a_volume(z: Tensor) -> Tensor:
    image, places = z.view(-1, 1, 2, 3, 2), z.view(-1, 1, 1, 4, 3).tanh()
    return F.grid_sample(image, places, align_corners=False).flatten(1)


SCALES, ZEROS = torch.linspace(0.05, 0.2, 12), torch.zeros(12, dtype=torch.int32)
OPERATIONS: dict[str, Operation] = {
    "bilinear": sampled("bilinear"),
    "border": sampled("bilinear", "border", True),
    "reflection": sampled("bilinear", "reflection"),
    "nearest": sampled("nearest"),
    "bicubic": sampled("bicubic"),
    "a fixed image": warped,
    "a volume": in_a_volume,
    "fake quantised": lambda z: torch.fake_quantize_per_tensor_affine(z, 0.1, 0, -8, 7),
    "fake quantised by channel": lambda z: torch.fake_quantize_per_channel_affine(
        z, SCALES, ZEROS, 1, -8, 7
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("steps", [1, 3])
def test_sums_are_exact_at_any_number_of_steps(name: str, steps: int) -> None:
    found = attributed(OPERATIONS[name], Conductance(steps, nodes="uniform"))
    assert not found.uncovered
    assert gap(found) < 1e-12


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "a fixed image"])
def test_places_have_the_integral_of_the_gradient(name: str) -> None:
    fine = attributed(OPERATIONS[name], Conductance(400, "secant", "uniform"))["before"].net
    peer = attributed(OPERATIONS[name], Conductance(2000, "trapezoid", "uniform"))["before"].net
    assert (fine - peer).norm() / peer.norm() < 1e-2
