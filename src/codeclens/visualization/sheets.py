"""Figures of pictures with pixel maps: the exemplars of a mode, the channels of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Contributions, Given, Selector, Target
from codeclens.attribution.baselines import as_baseline
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError, require_number
from codeclens.visualization.canvas import WIDTH, blank, styled
from codeclens.visualization.features import FeatureVisualization
from codeclens.visualization.overlays import (
    AGAINST,
    FOR,
    Picture,
    Values,
    as_pixels,
    colour_ramp,
    common_scale,
    overlay,
)
from codeclens.visualization.pixel_maps import PixelMap, pixel_maps
from codeclens.visualization.tracing import AnyBaseline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


@dataclass(frozen=True)
class ChannelMap:
    """One unit of a site in one input: its contribution, and the pixels that drive it.

    `contribution` is its net contribution in the target's units; `positive` and `negative`
    `(C, H, W)` are the pixel map through this unit alone.
    """

    site: str
    unit: int
    contribution: float
    positive: Float[Tensor, "*input"]
    negative: Float[Tensor, "*input"]

    @property
    def at_input(self) -> float:
        """The sum of the map: the contribution of the unit by the derivative at x alone."""
        return float((self.positive + self.negative).sum())


def channel_maps(
    model: nn.Module,
    x: Tensor,
    found: Contributions,
    *,
    sample: int = 0,
    count: int = 3,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> list[ChannelMap]:
    """Map the units that support the target of one sample most, and those that oppose it most.

    `found` are the contributions of the batch `x` `(B, …)`. At each of its sites the `count` units
    with the largest net contribution above zero and the `count` with the smallest below zero are
    mapped, in this order. Pass the same `target`, `baseline`, `output` and `labels` as to
    `contributions`.

    A contribution sums over the path from the baseline; its map is the derivative at x, whose sum
    is `at_input`. Where the network saturates on the path the two differ, also in sign: for about
    30 % of the strongest channels of EfficientNet-Lite0 in its demo photographs. Place maps
    (`place_maps`) do not have this problem.

    >>> import torch
    >>> from codeclens import contributions
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Softplus(), nn.Flatten(), nn.Linear(96, 3))
    >>> x = torch.rand(2, 1, 6, 6)
    >>> maps = channel_maps(model, x, contributions(model, x, sites="1"), count=1)
    >>> maps[0].site, maps[0].contribution > 0, maps[0].positive.shape
    ('1', True, torch.Size([1, 6, 6]))
    """
    samples = len(found.target)
    if len(x) != samples:
        raise CodeclensError(
            f"There are {len(x)} inputs and contributions of {samples} samples; "
            "pass the batch of the contributions."
        )
    require_number("sample", sample, least=0, below=samples, whole=True)
    require_number("count", count, least=1, whole=True)
    here = slice(sample, sample + 1)
    maps: list[ChannelMap] = []
    for key, site in found.items():
        net = site.net[sample]
        chosen = _extremes(net, count)
        if not chosen:
            continue
        drawn = pixel_maps(
            model,
            x[here],
            site=site.site,
            units=[[unit] for unit in chosen],
            target=target,
            baseline=_of_sample(baseline, x, here),
            output=output,
            labels=None if labels is None else labels[here],
        )
        maps += [
            ChannelMap(key, unit, float(net[unit]), one.positive[0], one.negative[0])
            for unit, one in zip(chosen, drawn, strict=True)
        ]
    return maps


def _of_sample(baseline: AnyBaseline, x: Tensor, here: slice) -> AnyBaseline:
    """The baseline of one sample, if each has its own."""
    given = as_baseline(baseline)
    if isinstance(given, Given) and given.values.ndim == x.ndim and len(given.values) == len(x):
        return given.values[here]
    return given


def _extremes(net: Float[Tensor, " unit"], count: int) -> list[int]:
    """The units with the largest values above zero, then the smallest below; descending."""
    order = net.argsort(descending=True, stable=True).tolist()
    best = [unit for unit in order[:count] if net[unit] > 0]
    worst = [unit for unit in order[-count:] if net[unit] < 0 and unit not in best]
    return best + worst


_ACROSS = 8
# Inches: the map of a channel, the photograph, the height of a colour key.
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
        _key(bottom, f"0 to {scale:.2g} {unit} per pixel", rows=1)
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


def channel_figure(
    picture: Picture,
    channels: Sequence[ChannelMap],
    *,
    title: str,
    unit: str = "logits",
    smoothing: float | None = None,
) -> Figure:
    """Draw the channels that support and oppose the target of one picture, with a pixel map each.

    `channels` is what `channel_maps` returns for this picture. There is a row for each site, with
    supporting channels left and opposing ones right. The titles give the number of the channel, its
    net contribution along the path in `unit`, and the sum of its map, which is the derivative at
    the picture (see `channel_maps`). Each row states its own scale of colour.

    Raises CodeclensError without channels.
    """
    if not channels:
        raise CodeclensError("There are no channels to draw: none contributes to the target.")
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
    """The two colour ramps with their meaning, side by side or one below the other."""
    words = ("orange: drives supporting places", "blue: drives opposing places")
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
