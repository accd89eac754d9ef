"""The chart of semantics: what is drawn is what was given, sources distinguished."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from codeclens import CodeclensError
from codeclens.analysis import (
    Closest,
    Criteria,
    Meaning,
    Semantics,
    Specificity,
    Spread,
    semantics_figure,
)
from codeclens.draws import Draws
from codeclens.visualization.canvas import ACTIVATION, CONTRIBUTION

SOURCES = {
    "modes": (CONTRIBUTION, "-"),
    "activation_modes": (ACTIVATION, "-"),
    "contributions": (CONTRIBUTION, "--"),
    "activations": (ACTIVATION, "--"),
}


def meaning(site: str, source: str, level: float) -> Meaning:
    some = np.array([level - 0.1, level, level + 0.1])
    closest = Closest(some, np.zeros(3, int), some, some, np.zeros(3))
    above = replace(closest, correlation=some + np.array([0.1, -0.1, 0.1]))
    return Meaning(
        site, source, np.stack([some, 0 * some], axis=1), closest, (some > 0.2).astype(int),
        Specificity(some, some, some), 1, 2, Spread.of(some, Draws(50)), closest_superclass=above,
    )  # fmt: skip


def made(sources: dict[str, list[float]], superclasses: tuple[str, ...] = ()) -> Semantics:
    count = len(next(iter(sources.values())))
    sites = {
        f"blocks.{i}": {s: meaning(f"blocks.{i}", s, at[i]) for s, at in sources.items()}
        for i in range(count)
    }
    return Semantics(sites, ("a", "b"), superclasses, 9, Criteria(), {})


def line(lines: list[Line2D], colour: str, style: str) -> Line2D:
    (one,) = [
        one
        for one in lines
        if to_hex(one.get_color()) == colour
        and one.get_linestyle() == style
        and one.get_marker() in "os"
    ]
    return one


def test_what_is_drawn_is_what_was_given() -> None:
    levels = {source: [0.1 + 0.05 * n, 0.2 + 0.1 * n, 0.5] for n, source in enumerate(SOURCES)}
    semantics = made(levels)
    closeness, shares = semantics_figure(semantics).axes
    for source, (colour, style) in SOURCES.items():
        np.testing.assert_allclose(line(closeness.lines, colour, style).get_ydata(), levels[source])
        above = [100 * one.count_above / 3 for one in semantics.of(source)]
        drawn = line(shares.lines, colour, style)
        np.testing.assert_allclose(drawn.get_ydata(), above)
        np.testing.assert_allclose(drawn.get_xdata(), np.arange(3), atol=0.2)
    bars = closeness.containers[0].lines[2][0].get_segments()
    spread = semantics["blocks.0"]["modes"].spread
    np.testing.assert_allclose(sorted(bars[0][:, 1]), [spread.low, spread.high])


def test_superclasses_have_a_panel_of_their_own() -> None:
    semantics = made({"modes": [0.1, 0.3], "activations": [0.1, 0.2]}, ("dog",))
    *_, broader = semantics_figure(semantics).axes
    assert "superclass" in broader.get_title(loc="left")
    drawn = line(broader.lines, CONTRIBUTION, "-")
    np.testing.assert_allclose(drawn.get_ydata(), [200 / 3, 200 / 3])
    assert broader.get_ylabel() == "% of modes or channels"


def test_words_and_sources() -> None:
    figure = semantics_figure(made({"contributions": [0.1, 0.3], "activations": [0.1, 0.2]}))
    closeness, shares = figure.axes
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "channels, net contributions", "channels, activations",
    ]  # fmt: skip
    assert "correlation" in closeness.get_ylabel()
    assert shares.get_ylabel() == "% of modes or channels"
    assert "0.2" in shares.get_title(loc="left")
    assert closeness.get_xlabel() == "site blocks.*"
    with pytest.raises(CodeclensError, match="no sites to draw"):
        semantics_figure(Semantics({}, (), (), 0, Criteria(), {}))
