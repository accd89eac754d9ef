"""Figures of exemplars with their pixel maps, and of optimised pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import WIDTH, blank, styled
from codeclens.visualization.features import FeatureVisualization
from codeclens.visualization.overlays import (
    Picture,
    Values,
    as_pixels,
    colour_ramp,
    common_scale,
    overlay,
)
from codeclens.visualization.pixel_maps import PixelMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


_ACROSS = 8
# Inches: the height of the colour key.
_KEY = 0.55


def mode_figure(
    pictures: Sequence[Picture],
    maps: PixelMap | Sequence[tuple[Values, Values]],
    *,
    title: str | None = None,
    captions: Sequence[str] | None = None,
    unit: str = "logits",
    smoothing: float | None = None,
) -> Figure:
    """Draw the exemplars of a mode: each picture, and below it its pixel map through the mode.

    `pictures` are what the network saw (see `overlay`), `maps` the pixel map of the same samples,
    or a (positive, negative) pair for each. All share one scale, and the key states which
    contribution per pixel, in the target's `unit`, has full colour. Raises CodeclensError where the
    numbers of pictures, maps and captions differ.
    """
    if isinstance(maps, PixelMap):
        maps = list(zip(maps.positive, maps.negative, strict=True))
    captions = [""] * len(pictures) if captions is None else captions
    if not len(pictures) == len(maps) == len(captions) or not len(pictures):
        raise CodeclensError(
            f"There are {len(pictures)} pictures, {len(maps)} maps and {len(captions)} captions; "
            "pass one of each for every exemplar, and at least one."
        )
    scale = common_scale(maps, smoothing=smoothing)
    across = min(len(pictures), _ACROSS)
    bands = -(-len(pictures) // across)
    tile = WIDTH / _ACROSS
    width = max(across * tile, 5 * tile)
    with styled():
        figure = blank(width, bands * (2 * tile + 0.1) + _KEY + (0.25 if title else 0))
        heights = [bands * (2 * tile + 0.1), _KEY]
        top, bottom = _split(figure, 2, 1, height_ratios=heights)
        grid = top.subplots(2 * bands, across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for place, (picture, pair, caption) in enumerate(
            zip(pictures, maps, captions, strict=True)
        ):
            row, column = 2 * (place // across), place % across
            above, below = grid[row, column], grid[row + 1, column]
            above.imshow(as_pixels(picture))
            above.set_title(caption, fontsize=7, fontweight="normal", loc="center", pad=2)
            below.imshow(overlay(picture, *pair, scale=scale, smoothing=smoothing).pixels)
        if title:
            figure.suptitle(title, fontsize=9, fontweight="bold", x=0.01, ha="left")
        _key(bottom, f"0 to {scale:.2g} {unit} per pixel")
    return figure


def feature_figure(
    found: Sequence[FeatureVisualization],
    *,
    title: str | None = None,
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draw optimised pictures side by side, each with the name of its feature, or its caption.

    Raises CodeclensError without pictures, and where the number of captions differs.
    """
    if captions is None:
        captions = [f"{one.site}\n{one.feature}" for one in found]
    if len(found) != len(captions) or not found:
        raise CodeclensError(
            f"There are {len(found)} pictures and {len(captions)} captions; pass one for every "
            "picture, and at least one."
        )
    across = min(len(found), _ACROSS // 2)
    down = -(-len(found) // across)
    tile = 2 * WIDTH / _ACROSS
    with styled():
        figure = blank(across * tile, down * (tile + 0.2) + (0.25 if title else 0))
        grid = figure.subplots(down, across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, one, caption in zip(grid.flat, found, captions, strict=False):
            pixels = one.picture.movedim(0, -1).float().cpu().numpy()
            axes.imshow(pixels if pixels.shape[2] == 3 else pixels[..., 0], cmap="gray")
            axes.set_title(caption, fontsize=7, fontweight="normal", loc="center", pad=2)
        if title:
            figure.suptitle(title, fontsize=9, fontweight="bold", x=0.01, ha="left")
    return figure


def _split(figure: Figure | SubFigure, rows: int, columns: int, **ratios: Any) -> list[SubFigure]:
    return list(np.ravel(figure.subfigures(rows, columns, squeeze=False, **ratios)))


def _key(figure: SubFigure, scale: str) -> None:
    """The two colour ramps with their meaning, side by side."""
    words = ("orange: drives supporting places", "blue: drives opposing places")
    for axes, against in zip(np.ravel(figure.subplots(1, 2)), (False, True), strict=True):
        axes.imshow(colour_ramp(against), aspect="auto", extent=(0, 1, 0, 1))
        axes.set_box_aspect(0.05)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_title(words[against], fontsize=7.5, fontweight="normal", pad=3)
        axes.set_xlabel(scale, fontsize=7, labelpad=2, loc="left")
