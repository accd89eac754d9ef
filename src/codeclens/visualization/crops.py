"""Crops: the part of a picture that a mode sees, by its map and by its receptive field."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from codeclens.attribution import Selector, Target
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError
from codeclens.visualization.fields import Box, ReceptiveField, strongest_box
from codeclens.visualization.images import strength
from codeclens.visualization.pixels import STRONGEST, PixelMap
from codeclens.visualization.places import place_maps
from codeclens.visualization.tracing import AnyBaseline


def crop_boxes(found: PixelMap, *, share: float = 0.5, smallest: int = 16) -> list[Box]:
    """For each sample the box of pixels that holds a `share` of its map's strength.

    Around the strongest pixel, at least `smallest` pixels wide and high: what the units of the map
    really look at, which in late layers is far less than their receptive field. Raises
    CodeclensError for maps of inputs that are no images.

    >>> import torch
    >>> map_ = torch.zeros(1, 3, 64, 64)
    >>> map_[0, :, 10:20, 30:40] = 1.0
    >>> one = PixelMap(map_, 0 * map_, "conv", (0,), torch.zeros(1))
    >>> crop_boxes(one, share=0.9)
    [Box(top=8, left=28, bottom=24, right=44)]
    """
    if found.positive.ndim != 4:
        raise CodeclensError(
            f"Only images have crops; the map has shape {tuple(found.positive.shape)}."
        )
    boxes = []
    for positive, negative in zip(found.positive, found.negative, strict=True):
        values = strength(positive, smoothing=1.0) + strength(negative, smoothing=1.0)
        boxes.append(_widened(strongest_box(values, share), smallest, values.shape))
    return boxes


def field_boxes(
    model: nn.Module,
    x: Tensor,
    mode: Mode,
    field: ReceptiveField,
    *,
    count: int = STRONGEST,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
) -> list[Box]:
    """For each sample the receptive field of the place where a mode's units contribute most.

    `field` is that of the mode's site (`receptive_field`), for images like `x` `(B, C, H, W)`; the
    mode's `count` strongest units are looked at, all together. Raises CodeclensError as
    `place_maps` does, and for a field of another site.
    """
    if field.site != mode.site:
        raise CodeclensError(
            f'The receptive field is of site "{field.site}", the mode of "{mode.site}".'
        )
    units = [int(unit) for unit in mode.top_units(count=min(count, len(mode.weights)))]
    found = place_maps(
        model, x, site=mode.site, units=units, count=0, target=target,
        baseline=baseline, output=output, labels=labels,
    )  # fmt: skip
    boxes = []
    for contributed in found.contributions:
        strongest = int(contributed.sum(dim=0).abs().argmax())
        row, column = np.unravel_index(strongest, field.grid)
        boxes.append(field.box(int(row), int(column)))
    return boxes


def _widened(box: Box, smallest: int, shape: tuple[int, ...]) -> Box:
    """The box, grown evenly to `smallest` pixels and moved so that it stays in the image."""
    sides = []
    for first, last, size in (
        (box.top, box.bottom, shape[0]), (box.left, box.right, shape[1]),
    ):  # fmt: skip
        missing = max(0, min(smallest, size) - (last - first))
        start = min(max(first - missing // 2, 0), size - (last - first) - missing)
        sides.append((start, start + (last - first) + missing))
    (top, bottom), (left, right) = sides
    return Box(top, left, bottom, right)
