"""Charts: every number that is drawn is the number that was given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from codeclens import CodeclensError
from codeclens.analysis import layer_figure
from codeclens.control import control_figure
from codeclens.visualization.canvas import ACTIVATION, CONTRIBUTION, CONTROLS, MODE
from visualization.conftest import Run


def line(lines: list[Line2D], colour: str, **style: str) -> np.ndarray:
    """Return the heights of the one line of that colour and style."""
    found = [
        one
        for one in lines
        if to_hex(one.get_color()) == colour
        and len(one.get_ydata()) > 2
        and one.get_linestyle() not in ("None", "")
        and all(one.get_linestyle() == value for value in style.values())
    ]
    assert len(found) == 1
    return np.asarray(found[0].get_ydata())


def test_layers_are_drawn_side_by_side(run: Run) -> None:
    figure = layer_figure(run.statistics)
    sparsity, dimensions, signs = figure.axes
    layers = list(run.statistics.values())
    for source, colour in (("contribution", CONTRIBUTION), ("activation", ACTIVATION)):
        populations = [getattr(layer, source) for layer in layers]
        medians = [p.spreads["sparsity"].median for p in populations]
        np.testing.assert_allclose(line(sparsity.lines, colour), medians)
        components = [p.numbers["class_components"] for p in populations]
        np.testing.assert_allclose(line(dimensions.lines, colour), components)
    correlations = [layer.signs.number("sign_correlation") for layer in layers]
    np.testing.assert_allclose(line(signs.lines, CONTRIBUTION), correlations)


def test_the_axes_are_labelled(run: Run) -> None:
    sparsity, dimensions, signs = layer_figure(run.statistics).axes
    assert [label.get_text() for label in sparsity.get_xticklabels()] == list(run.statistics)
    assert sparsity.get_xlabel() == "site, from input to output"
    assert "Hoyer" in sparsity.get_ylabel()
    assert "95 %" in dimensions.get_ylabel()
    assert "correlation" in signs.get_ylabel()


def test_the_legend_names_sources_and_intervals(run: Run) -> None:
    (legend,) = layer_figure(run.statistics).legends
    words = " ".join(text.get_text() for text in legend.get_texts())
    assert "contributions" in words
    assert "activations" in words
    assert "95 % interval" in words


def test_intervals_are_drawn(run: Run) -> None:
    sparsity = layer_figure(run.statistics).axes[0]
    bars = sparsity.containers[0].lines[2][0].get_segments()
    for bar, layer in zip(bars, run.statistics.values(), strict=True):
        spread = layer.contribution.spreads["sparsity"]
        np.testing.assert_allclose(sorted(bar[:, 1]), [spread.low, spread.high])
    dimensions = layer_figure(run.statistics).axes[1]
    bars = dimensions.containers[0].lines[2][0].get_segments()
    for bar, layer in zip(bars, run.statistics.values(), strict=True):
        interval = layer.contribution.intervals["class_components"]
        np.testing.assert_allclose(sorted(bar[:, 1]), interval)


def test_a_site_without_a_value_leaves_a_gap(run: Run) -> None:
    layers = list(run.statistics.layers)
    signs = layers[1].signs
    nothing = replace(signs.spreads["sign_correlation"], median=np.nan, low=np.nan, high=np.nan)
    layers[1] = replace(layers[1], signs=replace(signs, spreads={"sign_correlation": nothing}))
    figure = layer_figure(replace(run.statistics, layers=tuple(layers)))
    drawn = line(figure.axes[2].lines, CONTRIBUTION)
    assert np.isnan(drawn).tolist() == [False, True, False]
    figure.canvas.draw()


def test_one_site_is_enough(run: Run) -> None:
    layer_figure(replace(run.statistics, layers=run.statistics.layers[:1])).canvas.draw()


def test_control_shows_mode_and_control_on_both_kinds_of_class(run: Run) -> None:
    figure = control_figure(run.curves)
    assert len(figure.axes) == 2
    for axes, curve in zip(figure.axes, run.curves, strict=True):
        for condition, colour in zip(curve.conditions, (MODE, CONTROLS[0]), strict=True):
            solid = line(axes.lines, colour, style="-")
            np.testing.assert_allclose(solid, condition.target.value)
            dashed = line(axes.lines, colour, style="--")
            np.testing.assert_allclose(dashed, condition.others.value)
        assert axes.lines[0].get_xdata() == pytest.approx(100 * curve.counts / curve.units)
        assert "accuracy" in axes.get_ylabel()
        assert curve.site in axes.get_xlabel()
        assert "%" in axes.get_xlabel()
        levels = [one.get_ydata()[0] for one in axes.lines if len(one.get_ydata()) == 2]
        assert levels == [float(curve.target_before.value), float(curve.others_before.value)]
    assert figure.axes[0].get_title(loc="left").startswith("Ablation")
    assert figure.axes[1].get_title(loc="left").startswith("Preservation")
    (legend,) = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert f"{run.curves[0].conditions[1].name}: other classes" in words


def test_a_single_curve_is_a_figure_too(run: Run) -> None:
    figure = control_figure(run.curves[0])
    assert len(figure.axes) == 1
    figure.canvas.draw()


def test_nothing_to_draw_gets_a_sentence(run: Run) -> None:
    with pytest.raises(CodeclensError, match="no sites to draw"):
        layer_figure(replace(run.statistics, layers=()))
    with pytest.raises(CodeclensError, match="no control curves"):
        control_figure([])
