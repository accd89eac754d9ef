"""Receptive fields: which pixels can reach a place of a site, as boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Selector, Site, Target, find_sites, frozen, tapped
from codeclens.attribution.capture import same_randomness
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError, require_number
from codeclens.visualization.overlays import strength
from codeclens.visualization.pixel_maps import STRONGEST, PixelMap, unit_places
from codeclens.visualization.tracing import AnyBaseline


@dataclass(frozen=True)
class Box:
    """Pixels `top ≤ row < bottom`, `left ≤ column < right` of an image.

    >>> Box(2, 0, 6, 5).slices
    (slice(2, 6, None), slice(0, 5, None))
    """

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array `(…, H, W)`."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def area(self) -> int:
        """The number of its pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True)
class ReceptiveField:
    """The receptive fields of all places of a site, for images of one size.

    `grid` `(h, w)` is the shape of the site, `image` `(H, W)` that of the input. `rows` and
    `columns` hold the begin and end of the field of each row and column of the grid.
    """

    site: str
    grid: tuple[int, int]
    image: tuple[int, int]
    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]

    def box(self, row: int, column: int) -> Box:
        """The pixels that can reach a place; raises CodeclensError outside the grid."""
        if not (0 <= row < self.grid[0] and 0 <= column < self.grid[1]):
            raise CodeclensError(
                f'Place ({row}, {column}) is outside "{self.site}", which has {self.grid[0]} × '
                f"{self.grid[1]} places."
            )
        (top, bottom), (left, right) = self.rows[row], self.columns[column]
        return Box(top, left, bottom, right)


def receptive_field(model: nn.Module, x: Tensor, site: str | Site) -> ReceptiveField:
    """Find which pixels of images like `x` `(B, C, H, W)` can reach each place of a feature map.

    Rows of the input are set to NaN: what they reach becomes NaN, even through zero weights and
    closed gates, so nothing has to be known about the layers. The first two and last two places of
    each axis are found by bisection; those between are evenly spaced. In late layers of deep
    networks, and after attention, the field is often the whole image.

    Raises CodeclensError for sites other than feature maps `(B, U, h, w)`, for inputs other than
    images, and for a site that is not reached exactly once in a run.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    >>> field = receptive_field(model, torch.zeros(1, 3, 16, 16), "2")
    >>> field.grid, field.box(0, 1), field.box(2, 3)
    ((4, 4), Box(top=0, left=3, bottom=4, right=8), Box(top=7, left=11, bottom=12, right=16))
    """
    if not isinstance(x, Tensor) or x.ndim != 4:
        raise CodeclensError(
            f"Receptive fields need images (B, C, H, W), not {tuple(np.shape(x))}."
        )
    found = find_sites(model, site)
    if len(found) != 1:
        raise CodeclensError(f'"{site}" means {len(found)} sites; name one of them.')
    place = found[0]
    seen = _Seen(model, x[:1], place)
    height, width = x.shape[2:]
    rows = _edges(lambda first, last: seen.reached(2, first, last), seen.grid[0], height)
    columns = _edges(lambda first, last: seen.reached(3, first, last), seen.grid[1], width)
    return ReceptiveField(place.key, seen.grid, (height, width), rows, columns)


def strongest_box(values: Float[np.ndarray, "rows columns"] | Tensor, share: float = 0.5) -> Box:
    """A small box that holds a share of the sum of a map.

    `values` `(H, W)` ≥ 0 is the strength of a map (see `strength`). The box starts at the strongest
    pixel and grows at the side that adds most for each pixel. Raises CodeclensError for a share
    that is not above 0 and at most 1.

    >>> values = np.zeros((9, 9))
    >>> values[2:4, 5:8] = 1.0
    >>> strongest_box(values, share=1.0)
    Box(top=2, left=5, bottom=4, right=8)
    """
    require_number("share", share, above=0, most=1)
    map_ = np.asarray(values, np.float64)
    if map_.ndim != 2 or not map_.size or not (map_ >= 0).all():
        raise CodeclensError(
            f"A box needs strengths (rows, columns) ≥ 0, not {map_.shape}; see strength()."
        )
    sums = np.zeros((map_.shape[0] + 1, map_.shape[1] + 1))
    sums[1:, 1:] = map_.cumsum(0).cumsum(1)
    top, left = (int(i) for i in np.unravel_index(map_.argmax(), map_.shape))
    box = Box(top, left, top + 1, left + 1)
    # Rounding must not make a share of 1 unreachable.
    wanted = share * sums[-1, -1] * (1 - 1e-12)
    while _held(sums, box) < wanted:
        step = max(1, round(min(map_.shape) / 32))
        box = max(_grown(box, map_.shape, step), key=lambda b: _density(sums, box, b))
    return box


def _held(sums: np.ndarray, box: Box) -> float:
    whole, above = sums[box.bottom, box.right], sums[box.top, box.right]
    return float(whole - above - sums[box.bottom, box.left] + sums[box.top, box.left])


def _density(sums: np.ndarray, before: Box, after: Box) -> float:
    return (_held(sums, after) - _held(sums, before)) / (after.area - before.area)


def _grown(box: Box, shape: Sequence[int], step: int) -> list[Box]:
    """The box with one of its sides moved outwards, inside the image."""
    moved = [
        Box(max(box.top - step, 0), box.left, box.bottom, box.right),
        Box(box.top, max(box.left - step, 0), box.bottom, box.right),
        Box(box.top, box.left, min(box.bottom + step, shape[0]), box.right),
        Box(box.top, box.left, box.bottom, min(box.right + step, shape[1])),
    ]
    return [one for one in moved if one != box]


class _Seen:
    """Which rows and columns of a site some rows and columns of the input reach."""

    def __init__(self, model: nn.Module, x: Tensor, site: Site) -> None:
        self._model, self._x, self._site = model, x.detach(), site
        self._known: dict[tuple[int, int, int], list[bool]] = {}
        activation = self._run(self._x)
        grid = site.grid(activation)
        if activation.ndim != 4 or len(grid) != 2:
            raise CodeclensError(
                f'Site "{site.key}" gives {tuple(activation.shape)}; only feature maps (samples, '
                "units, rows, columns) have receptive fields as boxes."
            )
        self.grid = (int(grid[0]), int(grid[1]))

    def reached(self, axis: int, first: int, last: int) -> list[bool]:
        """Which rows (axis 2) or columns (3) of the grid are reached by first … last − 1 of x."""
        key = (axis, first, last)
        if key not in self._known:
            x = self._x.clone()
            x.narrow(axis, first, last - first).fill_(torch.nan)
            units = self._site.units(self._run(x)).isnan().any(dim=1)[0].reshape(self.grid)
            self._known[key] = units.any(dim=3 - axis).tolist()
        return self._known[key]

    def _run(self, x: Tensor) -> Tensor:
        met: list[Tensor] = []
        with (
            torch.no_grad(),
            frozen(self._model),
            same_randomness(self._model),
            tapped(self._model, [self._site], lambda _, a: met.append(a.clone())),
        ):
            self._model(x.clone())
        if len(met) != 1:
            raise CodeclensError(
                f'Site "{self._site.key}" is reached {len(met)} times in one run; name one call '
                f'of a module that runs, such as "{self._site.key}#0".'
            )
        return met[0]


def _edges(
    reached: Callable[[int, int], list[bool]], places: int, size: int
) -> tuple[tuple[int, int], ...]:
    """The begin and end of the field of each place of one axis."""

    def end(place: int) -> int:
        # The smallest number of last rows that still reach the place.
        return size - _first(lambda n: reached(size - n, size)[place], size) + 1

    def begin(place: int) -> int:
        return _first(lambda n: reached(0, n)[place], size) - 1

    probed = sorted({0, min(1, places - 1), max(places - 2, 0), places - 1})
    begins = {place: begin(place) for place in probed}
    ends = {place: end(place) for place in probed}
    if places <= 4:
        return tuple((begins[place], ends[place]) for place in range(places))
    # Borders cut fields, but never at both ends of the axis alike.
    step = size / places
    if ends[1] < size:
        step = float(ends[1] - ends[0])
    elif begins[places - 2] > 0:
        step = float(begins[places - 1] - begins[places - 2])
    last = places - 1
    inner = [
        (
            max(round(begins[last] - step * (last - place)), 0),
            min(round(ends[0] + step * place), size),
        )
        for place in range(places)
    ]
    return tuple(
        (begins[place], ends[place]) if place in begins else inner[place] for place in range(places)
    )


def _first(holds: Callable[[int], bool], most: int) -> int:
    """The smallest number ≥ 1 for which `holds` is true, as it is for all larger ones."""
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def crop_boxes(found: PixelMap, *, share: float = 0.5, smallest: int = 16) -> list[Box]:
    """For each sample the box of pixels that holds a `share` of its map's strength.

    The box contains the strongest pixel and is at least `smallest` pixels wide and high. It shows
    what the units really use, which in late layers is far less than their receptive field. Raises
    CodeclensError for maps of inputs other than images.

    >>> import torch
    >>> map_ = torch.zeros(1, 3, 64, 64)
    >>> map_[0, :, 10:20, 30:40] = 1.0
    >>> one = PixelMap(map_, 0 * map_, "conv", (0,), torch.zeros(1))
    >>> crop_boxes(one, share=0.9)
    [Box(top=8, left=28, bottom=24, right=44)]
    """
    if found.positive.ndim != 4:
        raise CodeclensError(
            f"Only maps of images have crops; this map has shape {tuple(found.positive.shape)}."
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

    `field` is that of the mode's site (`receptive_field`), for images like `x` `(B, C, H, W)`. The
    contributions of the mode's `count` strongest units are summed. Raises CodeclensError as
    `unit_places` does, and for a field of another site.
    """
    if field.site != mode.site:
        raise CodeclensError(
            f'The receptive field is of site "{field.site}", the mode of "{mode.site}".'
        )
    units = [int(unit) for unit in mode.top_units(count=min(count, len(mode.weights)))]
    found = unit_places(
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
    """The box, enlarged evenly to `smallest` pixels and moved into the image."""
    sides = []
    for first, last, size in (
        (box.top, box.bottom, shape[0]), (box.left, box.right, shape[1]),
    ):  # fmt: skip
        missing = max(0, min(smallest, size) - (last - first))
        start = min(max(first - missing // 2, 0), size - (last - first) - missing)
        sides.append((start, start + (last - first) + missing))
    (top, bottom), (left, right) = sides
    return Box(top, left, bottom, right)
