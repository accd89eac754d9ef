"""Flow diagrams: modes of consecutive sites as bars, the flow between them as ribbons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from codeclens.analysis.flow_results import Flow, PairFlow
from codeclens.errors import CodeclensError, require_number
from codeclens.visualization.canvas import WIDTH, blank, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

# Orange increases the target, blue decreases it: distinct in all common kinds of colour vision.
FOR, AGAINST = "#d9711c", "#2166ac"
_POOLED = "#9ca3af"
_BAR = 0.055
# Drawn ribbons of a pair of sites: the largest, up to this share of the flow and this number.
_SHOWN, _MOST = 0.9, 250
_HEIGHT = 6.2
# The height of a pool is at most this multiple of the tallest mode; its label shows its share.
_CAP = 1.5
_LETTERS = 16
_NOTE_LETTERS = 110


@dataclass
class _Column:
    """The bars of one site, top to bottom: the parts in each, its name, place and sizes."""

    site: str
    parts: list[list[int]]
    names: list[str]
    top: Float[np.ndarray, " bar"]
    height: Float[np.ndarray, " bar"]
    against: list[bool]
    pooled: list[bool]


def flow_figure(flow: Flow, *, most: int = 20, note: str = "") -> Figure:
    """Draw which modes of each site drive which of the next.

    Sites are columns from input to output. Bars are the `most` modes of each site with the largest
    contributions; their height is the mean magnitude, on one scale for all sites. The rest is
    pooled as "others", and what no mode explains is the "remainder"; both show their share of the
    site's contributions and are shortened if they would be tall. Ribbons are the flow between
    modes; their width is the share of the bar at either end. On average they increase the target
    (orange) or decrease it (blue); from and to pools they are grey. The smallest ribbons of both
    kinds, a tenth of the flow, are not drawn. A `note` is written below (method.md §4).

    Raises CodeclensError if there are no bars to draw.
    """
    require_number("most", most, least=1)
    columns = [_column(flow, site, most) for site in flow.sites]
    bars = max((len(column.names) for column in columns), default=0)
    if min(len(column.names) for column in columns) == 0:
        raise CodeclensError(
            "At one of the sites nothing contributes, so there is no flow to draw."
        )
    single = [
        float(height) for c in columns for height, pool in zip(c.height, c.pooled, strict=True)
        if not pool
    ]  # fmt: skip
    for column in columns:
        most_tall = _CAP * max(single, default=float("inf"))
        column.height = np.where(column.pooled, np.minimum(column.height, most_tall), column.height)
    tallest = max(float(column.height.sum()) for column in columns)
    _place(columns, tallest, bars)
    with styled():
        width = max(WIDTH, 1.25 * len(columns) + 1.2)
        figure = blank(width, min(_HEIGHT, 1.2 + 0.26 * bars))
        axes = figure.subplots()
        axes.set_axis_off()
        bar = _BAR * len(columns) / 4
        for number, one in enumerate(flow.values()):
            _ribbons(axes, one, columns[number], columns[number + 1], number, bar)
        for number, column in enumerate(columns):
            _bars(axes, column, number, bar)
        axes.set_xlim(-0.55, len(columns) - 1 + 0.6)
        axes.set_ylim(1.0, -0.055)
        _legend(figure, note)
    return figure


def _column(flow: Flow, site: str, most: int) -> _Column:
    magnitude, mean = flow.mean_magnitude(site), flow.mean_contribution(site)
    modes = len(magnitude) - 1
    order = np.argsort(-magnitude[:-1], kind="stable")
    present = [int(mode) for mode in order if magnitude[mode] > 0]
    single, rest = present[:most], present[most:]
    parts = [[mode] for mode in single]
    names = [flow.name(site, mode) for mode in single]
    if rest:
        parts.append(rest)
        names.append(f"{len(rest)} others, {magnitude[rest].sum() / magnitude.sum():.0%}")
    # A remainder of rounding errors is not drawn.
    if magnitude[-1] > 1e-3 * magnitude.sum():
        parts.append([modes])
        names.append(f"{flow.name(site, modes)}, {magnitude[-1] / magnitude.sum():.0%}")
    height = np.array([magnitude[part].sum() for part in parts])
    return _Column(
        site,
        parts,
        names,
        np.zeros(len(parts)),
        height,
        [float(mean[part].sum()) < 0 for part in parts],
        [number >= len(single) for number in range(len(parts))],
    )


def _place(columns: Sequence[_Column], tallest: float, bars: int) -> None:
    """Heights on one scale, and each bar below the one before with room for its name."""
    # As a share of the height: the name of a thin bar needs a line of text.
    line = 0.92 / max(bars, 12)
    for scale in np.geomspace(1.0, 0.01, 200):
        needs = [np.maximum(scale * c.height / tallest + 0.004, line).sum() for c in columns]
        if max(needs) <= 1:
            break
    for column in columns:
        column.height = scale * column.height / tallest
        pitch = np.maximum(column.height + 0.004, line)
        column.top = np.concatenate([[0.0], np.cumsum(pitch)[:-1]]) + (pitch - column.height) / 2


def _ribbons(
    axes: Axes, one: PairFlow, source: _Column, sink: _Column, number: int, bar: float
) -> None:
    """Ribbons between two columns, the largest last, so that they lie on top."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    magnitude, mean = _pooled(one.magnitude, source, sink), _pooled(one.mean, source, sink)
    pools = np.logical_or.outer(source.pooled, sink.pooled)
    own = magnitude[~pools]
    largest = float(own.max(initial=0)) or float(magnitude.max())
    # Each kind has its own limit, or pools would crowd out the flow between single modes.
    drawn = _largest(magnitude * ~pools) | _largest(magnitude * pools)
    starts = _ends(magnitude, source.height, axis=1)
    ends = _ends(magnitude, sink.height, axis=0)
    left, right = number + bar, number + 1 - bar
    grey: list[Path] = []
    coloured: list[PathPatch] = []
    for flat in np.argsort(magnitude.ravel(), kind="stable"):
        i, j = np.unravel_index(flat, magnitude.shape)
        if not drawn[i, j]:
            continue
        above = source.top[i] + starts[0][i, j], sink.top[j] + ends[0][i, j]
        below = source.top[i] + starts[1][i, j], sink.top[j] + ends[1][i, j]
        shape = _ribbon(left, right, above, below)
        if pools[i, j]:
            grey.append(shape)
            continue
        colour = FOR if mean[i, j] >= 0 else AGAINST
        strength = 0.25 + 0.55 * min(1.0, float(magnitude[i, j]) / largest)
        coloured.append(PathPatch(shape, facecolor=colour, alpha=strength, linewidth=0))
    if grey:
        # As one shape, which is evenly pale where its parts overlap.
        whole = Path.make_compound_path(*grey)
        axes.add_patch(PathPatch(whole, facecolor=_POOLED, alpha=0.2, linewidth=0))
    for patch in coloured:
        axes.add_patch(patch)


def _largest(magnitude: Float[np.ndarray, "source sink"]) -> Bool[np.ndarray, "source sink"]:
    """The largest entries, which hold nearly all of the sum."""
    size = np.sort(magnitude.ravel())[::-1]
    count = min(int(np.searchsorted(np.cumsum(size), _SHOWN * size.sum())) + 1, _MOST, len(size))
    return np.asarray((magnitude >= size[count - 1]) & (magnitude > 0))


def _pooled(
    matrix: sparse.csr_array, source: _Column, sink: _Column
) -> Float[np.ndarray, "source sink"]:
    """The matrix of modes as one of bars."""
    rows, columns = matrix.tocoo().coords
    values = matrix.tocoo().data
    to_row, to_column = np.full(matrix.shape[0], -1), np.full(matrix.shape[1], -1)
    for places, column in ((to_row, source), (to_column, sink)):
        for number, part in enumerate(column.parts):
            places[part] = number
    found = np.zeros((len(source.parts), len(sink.parts)))
    i, j = to_row[rows], to_column[columns]
    kept = (i >= 0) & (j >= 0)
    np.add.at(found, (i[kept], j[kept]), values[kept])
    return found


def _ends(
    magnitude: Float[np.ndarray, "source sink"], height: Float[np.ndarray, " bar"], axis: int
) -> tuple[Float[np.ndarray, "source sink"], Float[np.ndarray, "source sink"]]:
    """Where each ribbon begins and ends on its bar; together they fill it."""
    total = magnitude.sum(axis=axis, keepdims=True)
    tall = height[:, None] if axis == 1 else height[None]
    width = magnitude / np.where(total > 0, total, 1) * tall
    below = np.cumsum(width, axis=axis)
    return below - width, below


def _ribbon(
    left: float,
    right: float,
    above: tuple[float, float],
    below: tuple[float, float],
) -> Path:
    from matplotlib.path import Path

    middle = (left + right) / 2
    points = [
        *((left, above[0]), (middle, above[0]), (middle, above[1]), (right, above[1])),
        *((right, below[1]), (middle, below[1]), (middle, below[0]), (left, below[0])),
        (left, above[0]),
    ]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return Path(points, codes)


def _bars(axes: Axes, column: _Column, number: int, bar: float) -> None:
    from matplotlib.patches import Rectangle

    # Not a halo, which would make curves of letters in an SVG.
    paper = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.4}
    for place, name in enumerate(column.names):
        top, height = column.top[place], column.height[place]
        pooled = column.pooled[place]
        colour = _POOLED if pooled else AGAINST if column.against[place] else FOR
        axes.add_patch(
            Rectangle((number - bar, top), 2 * bar, max(height, 0.001), color=colour, linewidth=0)
        )
        axes.text(
            number - bar - 0.015, top + height / 2, _short(name), ha="right", va="center",
            fontsize=5.2, color="#1f2937", style="italic" if pooled else "normal", zorder=5,
            bbox=paper,
        )  # fmt: skip
    axes.text(number, -0.02, column.site, ha="center", va="bottom", fontsize=7.5, weight="bold")


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"


def _legend(figure: Figure, note: str) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=FOR, linewidth=0, label="increases the target"),
        Patch(color=AGAINST, linewidth=0, label="decreases the target"),
        Patch(color=_POOLED, linewidth=0, label="other modes, remainder"),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        title="\n".join(wrap(note, _NOTE_LETTERS)) or None,
        title_fontsize=6.5,
    )
