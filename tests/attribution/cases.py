"""Methods, networks and a comparison that several tests of contributions share."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

import networks
from codeclens.attribution import ActivationGradient, Attributor, Conductance, Contributions, Method

TRAPEZOID = Conductance(steps=4, rule="trapezoid", nodes="uniform")
METHODS: list[Method] = [
    TRAPEZOID,
    Conductance(steps=4, rule="left", nodes="uniform"),
    Conductance(steps=4, rule="secant", nodes="uniform"),
    ActivationGradient(),
    ActivationGradient(normalize=True),
]
methods = pytest.mark.parametrize("method", METHODS, ids=str)
few = settings(max_examples=12)


def attribute(
    model: nn.Module, x: Tensor, labels: Tensor | None = None, **given: Any
) -> Contributions:
    return Attributor(model, **given)(x, labels)


def assert_equal(found: Contributions, expected: Contributions, **within: float) -> None:
    within = within or {"rtol": 1e-9, "atol": 1e-11}
    assert list(found) == list(expected)
    for key, site in expected.items():
        for name in ("positive", "negative", "activation", "completeness"):
            ours, theirs = getattr(found[key], name), getattr(site, name)
            torch.testing.assert_close(ours, theirs, equal_nan=True, **within, msg=f"{key} {name}")
    for name in ("target", "baseline_target", "prediction"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        torch.testing.assert_close(ours, theirs, equal_nan=True, **within)


def rows(found: Contributions, index: list[int]) -> Contributions:
    """The contributions of some samples."""
    sites = {}
    for key, site in found.items():
        parts = {
            name: getattr(site, name)[index]
            for name in ("positive", "negative", "activation", "completeness")
        }
        sites[key] = type(site)(site.site, **parts, is_cut=site.is_cut)
    return Contributions(
        sites,
        *(found.target[index], found.baseline_target[index], found.prediction[index]),
        found.estimate[index],
    )


SITES = {
    "residual": ["conv1", "layer1.0", "layer1.0.conv2:input", "layer2.0"],
    "vit": ["blocks.0", "blocks.0.mlp.fc2:input", "@heads"],
    "cnn": ["@blocks"],
}


def network(kind: str) -> tuple[nn.Module, Tensor]:
    build, pixels = {
        "residual": (networks.residual_cnn, 12),
        "vit": (networks.small_vit, 8),
        "cnn": (networks.plain_cnn, 12),
    }[kind]
    return build().double(), networks.noise(5, 3, pixels, pixels)
