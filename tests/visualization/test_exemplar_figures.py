"""Sheets: every picture with its map, with words next to the colours."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from codeclens import CodeclensError, pixel_map
from codeclens.visualization import (
    as_picture,
    common_scale,
    mode_figure,
    overlay,
)
from visualization.conftest import Run


def shown(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def words(figure: Figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_exemplars_stand_above_their_maps(run: Run) -> None:
    mode = run.modes["layer1.0"][0]
    x = run.x[:10]
    pictures = [as_picture(one) for one in x]
    maps = pixel_map(run.model, x, mode=mode)
    figure = mode_figure(
        pictures, maps, title="Mode 0", captions=[f"row {i}" for i in range(10)], unit="Hz"
    )
    images = shown(figure)
    assert len(images) == 22
    np.testing.assert_allclose(255 * images[0], pictures[0])
    scale = common_scale(list(zip(maps.positive, maps.negative, strict=True)))
    expected = overlay(pictures[0], maps.positive[0], maps.negative[0], scale=scale).pixels
    assert any(np.array_equal(expected, image) for image in images)
    text = words(figure)
    assert f"0 to {scale:.2g} Hz per pixel" in text
    for word in ("Mode 0", "row 9", "orange: ", "blue: "):
        assert word in text
    figure.canvas.draw()


def test_maps_may_be_pairs_of_arrays(run: Run) -> None:
    pair = (np.ones((3, 12, 12)), np.zeros((3, 12, 12)))
    assert len(shown(mode_figure([np.zeros((12, 12))], [pair]))) == 4


def test_mistakes_get_a_sentence(run: Run) -> None:
    pair = (np.ones((3, 12, 12)), np.zeros((3, 12, 12)))
    picture = np.zeros((12, 12))
    with pytest.raises(CodeclensError, match="2 pictures, 1 maps and 2 captions"):
        mode_figure([picture, picture], [pair])
    with pytest.raises(CodeclensError, match="1 pictures, 1 maps and 2 captions"):
        mode_figure([picture], [pair], captions=["a", "b"])
    with pytest.raises(CodeclensError, match="0 pictures"):
        mode_figure([], [])
