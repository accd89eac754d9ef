"""Sheets: pictures with their pixel maps, for a mode's exemplars and for a picture's channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import WIDTH, blank, styled
from codeclens.visualization.channels import ChannelMap
from codeclens.visualization.features import FeatureVisualization
from codeclens.visualization.images import (
    AGAINST,
    FOR,
    Picture,
    Values,
    as_pixels,
    colour_ramp,
    common_scale,
    overlay,
)
from codeclens.visualization.pixels import PixelMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_ACROSS = 8
# Inches: a map among channels, the photograph beside them, the height of one colour's key.
_TILE = 1.2
_PHOTOGRAPH = 2.2
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
    or a (positive, negative) pair for each. All share one scale, which the key states: how much a
    pixel acts at full colour, in the target's `unit`. Colours and words tell positive from
    negative. Raises CodeclensError where pictures, maps and captions are not equally many.
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
        _key(bottom, f"0 to {scale:.2g} {unit} per pixel", rows=1)
    return figure


def feature_figure(
    found: Sequence[FeatureVisualization],
    *,
    title: str | None = None,
    captions: Sequence[str] | None = None,
) -> Figure:
    """Draw optimised pictures side by side, each with what it drives, or with its caption.

    Raises CodeclensError where there are none, or not as many captions.
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


def channel_figure(
    picture: Picture,
    channels: Sequence[ChannelMap],
    *,
    title: str,
    unit: str = "logits",
    smoothing: float | None = None,
) -> Figure:
    """Draw one picture's channels for and against its target, a pixel map each.

    `channels` is what `channel_maps` returns for this picture: a row for each site; left the
    channels that contribute to the target, right those that count against it. Above each stand its
    number, its net contribution in `unit`, counted along the path from the baseline, and the sum
    of its map, which is the derivative at the picture (see `channel_maps`). Full colour is a
    strength of its own in each row, stated there.

    Raises CodeclensError where there are no channels.
    """
    if not channels:
        raise CodeclensError("There are no channels to draw; none contributes to the target.")
    rows: dict[str, list[ChannelMap]] = {}
    for channel in channels:
        rows.setdefault(channel.site, []).append(channel)
    supporters = max(sum(one.contribution > 0 for one in row) for row in rows.values())
    opponents = max(sum(one.contribution <= 0 for one in row) for row in rows.values())
    across = supporters + opponents
    wide = _TILE * max(across, 3)
    high = max(len(rows) * (_TILE + 0.52), _PHOTOGRAPH + 2 * _KEY) + 0.3
    with styled():
        figure = blank(_PHOTOGRAPH + wide, high)
        left, right = _split(figure, 1, 2, width_ratios=[_PHOTOGRAPH, wide])
        above, below = _split(left, 2, 1, height_ratios=[high - 2 * _KEY, 2 * _KEY])
        whole = above.subplots()
        whole.imshow(as_pixels(picture))
        whole.axis("off")
        whole.set_anchor("N")
        bands = _split(right, len(rows), 1)
        for band, (site, row) in zip(bands, rows.items(), strict=True):
            pairs = [(one.positive, one.negative) for one in row]
            scale = common_scale(pairs, smoothing=smoothing)
            band.suptitle(
                f"{site}: full colour at {scale:.2g} {unit} per pixel",
                fontsize=8, x=0.01, ha="left",
            )  # fmt: skip
            grid = band.subplots(1, across, squeeze=False)[0]
            for axes in grid:
                axes.axis("off")
            for sign, start in ((True, 0), (False, supporters)):
                chosen = [one for one in row if (one.contribution > 0) == sign]
                for axes, one in zip(grid[start:], chosen, strict=False):
                    _channel(axes, picture, one, scale, smoothing)
        figure.suptitle(title, fontsize=9, fontweight="bold", x=0.01, ha="left")
        _key(below, "0 to full colour (derivative at the picture)", rows=2)
    return figure


def _split(figure: Figure | SubFigure, rows: int, columns: int, **ratios: Any) -> list[SubFigure]:
    return list(np.ravel(figure.subfigures(rows, columns, squeeze=False, **ratios)))


def _channel(
    axes: Axes, picture: Picture, one: ChannelMap, scale: float, smoothing: float | None
) -> None:
    drawn = overlay(picture, one.positive, one.negative, scale=scale, smoothing=smoothing)
    axes.imshow(drawn.pixels)
    word, colour = ("for", FOR) if one.contribution > 0 else ("against", AGAINST)
    # A true minus sign, as wide as the plus.
    amount, here = (f"{v:+.2f}".replace("-", "−") for v in (one.contribution, one.at_input))
    axes.set_title(
        f"channel {one.unit}\n{word} {amount}\nmap {here}",
        fontsize=7, fontweight="normal", loc="center",
        color=[0.75 * part for part in colour], pad=3,
    )  # fmt: skip


def _key(figure: SubFigure, scale: str, rows: int) -> None:
    """The two ramps of colour with what they mean, side by side or one below the other."""
    words = ("orange: drives places that count for it", "blue: drives places that count against it")
    for axes, against in zip(
        np.ravel(figure.subplots(rows, 2 // rows)), (False, True), strict=True
    ):
        axes.imshow(colour_ramp(against), aspect="auto", extent=(0, 1, 0, 1))
        axes.set_box_aspect(0.05)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.set_title(words[against], fontsize=7.5, fontweight="normal", pad=3)
        axes.set_xlabel(scale, fontsize=7, labelpad=2, loc="left")
