"""Charts of control over classes: every number drawn is the number that was given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from codeclens import CodeclensError
from codeclens.control import (
    ControlCurves,
    control_curves,
    curves_figure,
    necessity,
    necessity_figure,
)
from codeclens.decomposition import NMF, Modes
from codeclens.visualization.canvas import MODE


@pytest.fixture(scope="module")
def modes() -> tuple[nn.Module, torch.Tensor, torch.Tensor, Modes]:
    model = nn.Sequential(nn.Identity(), nn.Linear(6, 6, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(6))
    labels = torch.arange(60) % 6
    x = torch.eye(6)[labels] + 0.2 * torch.rand(60, 6, generator=torch.Generator().manual_seed(0))
    method = NMF(n_modes=6).fit(x)
    return model, x, labels, Modes("0", "sum", method, method.encode(x), labels=labels.numpy())


@pytest.fixture(scope="module")
def runs(modes) -> list[ControlCurves]:
    model, x, labels, found = modes
    return [
        control_curves(model, (x, labels), found, kind=kind, fractions=[0.2, 0.4, 0.6])
        for kind in ("ablate", "preserve")
    ]


def test_curves_are_means_over_classes(runs: list[ControlCurves]) -> None:
    figure = curves_figure(runs)
    assert len(figure.axes) == 6
    for row, curves in enumerate(runs):
        for column, what in enumerate(("target", "others")):
            axes = figure.axes[3 * row + column]
            lines = {line.get_label(): line for line in axes.lines}
            for name in ("modes", "random"):
                drawn = np.asarray(lines[name].get_ydata())
                np.testing.assert_allclose(drawn, curves.averaged(name, what).value)
            assert to_hex(lines["modes"].get_color()) == MODE
            assert "%" in axes.get_xlabel()
        advantages = figure.axes[3 * row + 2]
        (one,) = curves.comparisons
        assert [label.get_text() for label in advantages.get_yticklabels()] == [
            f"random ({one.verdict})"
        ]
        assert advantages.lines[1].get_xdata()[0] == pytest.approx(float(one.difference.value))
    figure.canvas.draw()


def test_a_single_run_is_a_figure_too(runs: list[ControlCurves]) -> None:
    assert len(curves_figure(runs[0]).axes) == 3
    with pytest.raises(CodeclensError, match="no control curves"):
        curves_figure([])


def test_necessity_shows_every_mode(modes) -> None:
    model, x, _, found = modes
    made = necessity(model, x, found)
    figure = necessity_figure(made)
    for axes, effects in zip(figure.axes, (made.removed, made.alone), strict=True):
        points = np.concatenate(
            [np.stack(bars.lines[0].get_data(), axis=1) for bars in axes.containers]
        )
        expected = [
            (effects.predicted(k), float(effects.measured(k).value)) for k in range(len(made))
        ]
        np.testing.assert_allclose(np.sort(points, axis=0), np.sort(expected, axis=0))
    figure.canvas.draw()
