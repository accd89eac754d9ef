"""Flow diagrams: bars as high as contributions, ribbons as wide as what passes, pools named."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch, Rectangle
from scipy import sparse

from codeclens.analysis import Flow, PairFlow, flow_figure
from codeclens.analysis.flow_chart import _POOLED, AGAINST, FOR
from codeclens.errors import CodeclensError


def flow_of(joint: np.ndarray) -> Flow:
    """The flow of one sample between two sites, by its matrix with the remainder last."""
    rows, columns = joint.shape
    pair = PairFlow(
        "in", "out", (rows - 1, columns - 1), sparse.csr_array(joint.reshape(1, -1)),
        np.zeros(1), np.zeros((1, 2)), True,
    )  # fmt: skip
    contributions = {
        "in": sparse.csr_array(joint.sum(axis=1)[None]),
        "out": sparse.csr_array(joint.sum(axis=0)[None]),
    }
    names = {"in": [f"i{n}" for n in range(rows - 1)], "out": [f"o{n}" for n in range(columns - 1)]}
    change = np.array([joint.sum()])
    return Flow((pair,), contributions, np.zeros(1, np.int64), change, 0 * change, names)


def words(figure: object) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]  # type: ignore[attr-defined]


def test_bars_and_ribbons_are_the_numbers_given() -> None:
    joint = np.array([[3.0, 0, 0], [1.0, -2.0, 0], [0, 0, 0]])
    axes = flow_figure(flow_of(joint)).axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    heights = np.array([bar.get_height() for bar in bars])
    # in: 3 and |1 − 2| = 1; out: 4 and 2, on one scale.
    np.testing.assert_allclose(heights / heights[0], [1, 1 / 3, 4 / 3, 2 / 3])
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [FOR, AGAINST, FOR, AGAINST]
    ribbons = [patch for patch in axes.patches if isinstance(patch, PathPatch)]
    assert sorted(to_hex(ribbon.get_facecolor()) for ribbon in ribbons) == sorted(
        [FOR, FOR, AGAINST]
    )
    top = max(ribbons, key=lambda ribbon: ribbon.get_alpha())
    vertices = top.get_path().vertices
    assert vertices[7][1] - vertices[0][1] == pytest.approx(heights[0])
    assert vertices[4][1] - vertices[3][1] == pytest.approx(0.75 * heights[2])


def test_the_rest_is_pooled_and_the_remainder_is_named() -> None:
    random = np.random.default_rng(0)
    figure = flow_figure(flow_of(random.gamma(1.0, size=(31, 26))))
    said = words(figure)
    assert sum("others" in word for word in said) == 2
    assert any(word.startswith("10 others, ") for word in said)
    assert sum(word.startswith("remainder") for word in said) == 2
    assert {"in", "out"} <= set(said)
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(bars) == 2 * 22
    assert sum(to_hex(bar.get_facecolor()) == _POOLED for bar in bars) == 4
    # No bar lies on another, and none leaves the picture.
    for place in (0.0, 1.0):
        own = sorted((b.get_y(), b.get_height()) for b in bars if abs(b.get_x() - place) < 0.5)
        assert all(y + h <= y2 for (y, h), (y2, _) in pairwise(own))
        assert own[0][0] >= 0
        assert sum(own[-1]) <= 1.001


def test_nothing_to_draw_is_reported() -> None:
    with pytest.raises(CodeclensError, match="no flow to draw"):
        flow_figure(flow_of(np.zeros((3, 3))))
    with pytest.raises(CodeclensError, match=r"most \(=0\)"):
        flow_figure(flow_of(np.ones((3, 3))), most=0)
