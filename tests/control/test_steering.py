"""Steering along a mode: its direction, its strength, and arguments that mean something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens import steer
from codeclens.attribution import ActivationGradient, Label
from codeclens.control import activation_at
from codeclens.decomposition import NMF, Mode, Modes, decompose
from codeclens.errors import CodeclensError
from codeclens.extraction import extract

CLASSES, UNITS = 3, 6


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Class c is seen by the units 2 c and 2 c + 1."""
    head = nn.Linear(UNITS, CLASSES, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.eye(CLASSES).repeat_interleave(2, dim=1))
    return nn.Sequential(nn.Identity(), head)


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    labels = torch.arange(90) % CLASSES
    size = torch.rand(90, 1, generator=torch.Generator().manual_seed(0))
    noise = 0.05 * torch.rand(90, UNITS, generator=torch.Generator().manual_seed(1))
    return torch.eye(CLASSES).repeat_interleave(2, dim=1)[labels] * (1 + size) + noise, labels


@pytest.fixture(scope="module")
def modes(
    model: nn.Module, data: tuple[Tensor, Tensor], tmp_path_factory: pytest.TempPathFactory
) -> Modes:
    store = extract(
        model, data, sites="0", target=Label(), method=ActivationGradient(),
        to=tmp_path_factory.mktemp("steering") / "c.zarr",
    )  # fmt: skip
    return decompose(store, NMF(n_modes=CLASSES))["0"]


def test_the_direction_is_the_slope_at_the_typical_loading(
    modes: Modes, data: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    activation = data[0].numpy().astype(np.float64)
    for mode in modes:
        assert mode.direction is not None
        z = mode.loadings.astype(np.float64)
        typical = z[z > 0].mean()
        for unit in range(UNITS):
            slope = np.polyfit(z, activation[:, unit], 1)[0]
            assert mode.direction[unit] == pytest.approx(slope * typical, rel=1e-4, abs=1e-5)
    modes.save(tmp_path / "modes")
    again = Modes.load(tmp_path / "modes")
    np.testing.assert_array_equal(again[1].direction, modes[1].direction)


def test_a_mode_is_raised_and_lowered(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    x, labels = data
    for which in range(CLASSES):
        mode = modes.for_class(which)
        probability = {}
        for strength in (-1.0, 0.0, 1.0):
            with steer(model, mode, strength):
                probability[strength] = model(x).softmax(dim=1)[:, which].mean().item()
        assert probability[-1.0] < probability[0.0] < probability[1.0]
        # Removing as much as there is on average leaves about nothing of the class.
        member = labels == which
        with steer(model, mode, -1.0):
            left = model(x[member])[:, which].mean() / x[member].sum(dim=1).mean()
        assert abs(left) < 0.25


def test_it_adds_the_direction(model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes) -> None:
    x, mode = data[0], modes[0]
    direction = torch.as_tensor(mode.direction)
    expected = model[1](x + 2.5 * direction)
    for arguments in ((2.5,), (direction, 2.5), (np.float64(2.5),)):
        with steer(model, mode, *arguments):
            torch.testing.assert_close(model(x), expected)
    with steer(model, mode, strength=2.5):
        torch.testing.assert_close(model(x), expected)
    with steer(model, mode, 2.5, units=[1]):
        only = x.clone()
        only[:, 1] += 2.5 * direction[1]
        torch.testing.assert_close(model(x), model[1](only))
    assert torch.equal(activation_at(model, "0", x), x)


def test_arguments_that_mean_something_else(model: nn.Module, modes: Modes) -> None:
    bare = Mode("0", 4, np.ones(UNITS), np.zeros(UNITS), np.ones(2))
    for arguments, message in (
        ((modes[0], 2.0, 3.0), "takes one number, the strength"),
        ((modes[0],), "takes one number, the strength"),
        (("0", 2.0), r"direction=2.0 is not a direction; pass one number for each unit"),
        (("0",), "direction=None is not a direction"),
        ((bare, 2.0), 'Mode 4 of "0" has no direction .* mode_direction'),
        ((modes[0], float("nan")), "strength=nan is not a finite number"),
    ):
        with pytest.raises(CodeclensError, match=message), steer(model, *arguments):
            pass
