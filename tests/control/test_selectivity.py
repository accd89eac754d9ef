"""Selectivity over classes: what one curve after another says, and its interval."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codeclens.control import Selectivity, control_curve, selectivity_of_modes
from codeclens.decomposition import NMF, Modes
from codeclens.errors import CodeclensError


@pytest.fixture
def model() -> nn.Module:
    """A network that sees class c by its unit c alone."""
    return nn.Sequential(nn.Identity())


@pytest.fixture
def data(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    labels = torch.arange(80) % 4
    return torch.eye(4)[labels] * (0.5 + torch.rand(80, 1, generator=generator)), labels


@pytest.fixture
def modes(data: tuple[Tensor, Tensor]) -> Modes:
    x, labels = data
    method = NMF(n_modes=4).fit(x)
    return Modes("0", "activation", method, method.encode(x), labels=labels.numpy())


def test_it_is_what_one_curve_after_another_says(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    found = selectivity_of_modes(model, data, modes, fractions=[0.25, 0.5], classes=[1, 3])
    assert found.classes.tolist() == [1, 3]
    for place, which in enumerate((1, 3)):
        curve = control_curve(
            model, data, modes, class_index=which, fractions=[0.25, 0.5], trials=3
        )
        assert found.modes[place] == curve.mode.selectivity.value == -1
        assert found.random[place] == curve["random"].selectivity.value
    assert found.mean == -1
    assert found.interval == (-1, -1)


def test_all_classes_with_images_unless_some_are_named(
    model: nn.Module, data: tuple[Tensor, Tensor], modes: Modes
) -> None:
    kept = selectivity_of_modes(model, data, modes, kind="preserve", fractions=[0.25, 0.5])
    assert kept.classes.tolist() == [0, 1, 2, 3]
    assert (kept.modes > 0).all()
    with pytest.raises(CodeclensError, match="No classes were given"):
        selectivity_of_modes(model, data, modes, classes=[])


def test_the_interval_is_students(rng: np.random.Generator) -> None:
    from scipy.stats import ttest_1samp

    values = rng.normal(size=7)
    found = Selectivity("ablate", np.arange(7), values, values)
    expected = ttest_1samp(values, 0).confidence_interval()
    assert found.interval == pytest.approx((expected.low, expected.high))
    alone = Selectivity("ablate", np.arange(1), values[:1], values[:1])
    assert np.isnan(alone.interval).all()
