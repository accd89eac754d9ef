"""Figures: receptive fields and their changes, modes with rates and cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError
from codeclens.retina.population import CellClusters, Loadings, loadings_of
from codeclens.retina.receptive_fields import separable
from codeclens.visualization.canvas import CONTROLS, MODE, WIDTH, blank, styled

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIGNED = "RdBu_r"
_MOMENTS = 8
_BARS = 12
_ROWS = 40
_GATING = CONTROLS[1]


def fields_figure(fields: xarray.DataArray, cell: str | int = 0) -> Figure:
    """Draw receptive fields of one cell at several moments: maps above, time courses below.

    `fields` is `(time | group, cell, lag, y, x)` of at most 8 moments; of a film in colour choose
    one colour, `fields.sel(colour="green")`. Each is drawn as the best
    product of a map and a time course, with its share of the field's power. All maps have the same
    scale. The time course is normalised, and is not drawn for a field below 1 % of the largest one.
    Raises CodeclensError for more moments.

    >>> import torch
    >>> from codeclens.retina import Movie, receptive_fields
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(180, 2))
    >>> movie = Movie(torch.randn(20, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5, frames=[0, 5])
    >>> len(fields_figure(fields).axes)
    5
    """
    one = fields.sel(cell=cell) if isinstance(cell, str) else fields.isel(cell=cell)
    if "colour" in one.dims:
        raise CodeclensError(
            f"The fields have the colours {', '.join(map(str, one.colour.to_numpy()))}; choose "
            'one, fields.sel(colour="…").'
        )
    if not 1 <= len(one) <= _MOMENTS:
        raise CodeclensError(
            f"The figure shows at most {_MOMENTS} time points, got {len(one)}; select some, as "
            "with fields.isel(time=[0, 10])."
        )
    split = separable(one)
    # The maps have the size of the fields; the time courses have norm 1.
    size = abs(split.temporal).max("lag").to_numpy()
    maps = split.spatial.to_numpy() * size[:, None, None]
    sign = np.sign(_at_peak(split.temporal.to_numpy()))
    maps = maps * sign[:, None, None]
    courses = split.temporal.to_numpy() / np.where(size > 0, size, 1)[:, None] * sign[:, None]
    limit = np.abs(maps).max() or 1.0
    lag, unit = one.lag.to_numpy() * 1e3, one.x.attrs.get("units", "")
    names = {"um": "µm", "deg": "°"}
    with styled():
        figure = blank(max(WIDTH * len(one) / 6, 3.4), 2.9)
        axes = np.atleast_2d(figure.subplots(2, len(one), squeeze=False))
        for column, above in enumerate(axes[0]):
            step = float(np.diff(one.x)[0]) if one.sizes["x"] > 1 else 1.0
            extent = (0, step * one.sizes["x"], step * one.sizes["y"], 0)
            image = above.imshow(maps[column], cmap=_SIGNED, vmin=-limit, vmax=limit, extent=extent)
            above.grid(False)
            above.set_title(_moment(one, column))
            below = axes[1, column]
            below.axhline(0, color="#9ca3af", linewidth=0.8)
            if size[column] > 0.01 * size.max():
                below.plot(-lag, courses[column], color=MODE)
            below.set_ylim(-1.1, 1.1)
            below.set_title(f"rank 1: {float(split.power[column]):.0%}", fontweight="normal")
            below.set_xlabel("time (ms)")
            if column:
                above.tick_params(labelleft=False, labelbottom=False)
                below.tick_params(labelleft=False)
        axes[0, 0].set_ylabel(names.get(unit, unit))
        axes[1, 0].set_ylabel("time course")
        figure.colorbar(image, ax=list(axes[0]), label=one.attrs.get("units", ""), shrink=0.9)
    return figure


def changes_figure(changes: xarray.Dataset) -> Figure:
    """Draw the shares of a site's parts in the change of receptive fields, by gain and gating.

    `changes` is the result of `movie_changes`. There is one panel for each cell, with the 12 parts
    with the largest share in any of them. Bars are gain and gating, which may have opposite signs;
    the mark is their sum with its 95 % interval.

    >>> import torch
    >>> from codeclens.retina import Movie, movie_changes
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(5, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    ... )
    >>> movie = Movie(torch.randn(40, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> figure = changes_figure(movie_changes(model, movie, "1", history=5, count=30, block=0.1))
    >>> len(figure.axes)
    2
    """
    kind = str(changes.share.dims[-1])
    strength = np.nan_to_num(np.abs(changes.share.to_numpy())).max(axis=0)
    order = [n for n in np.argsort(-strength, kind="stable") if changes.part[n] == kind]
    chosen = np.sort(order[:_BARS])
    some = changes.isel({kind: chosen})
    cells = some.cell.to_numpy()
    rows = np.arange(len(chosen))
    with styled():
        figure = blank(max(min(WIDTH, 1.8 * len(cells) + 0.8), 3.2), 0.9 + 0.24 * len(chosen))
        panels = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
        for number, axes in enumerate(panels):
            one = some.isel(cell=number)
            for offset, name, colour in ((-0.2, "gain", MODE), (0.2, "gating", _GATING)):
                axes.barh(rows + offset, one[name], 0.36, color=colour, label=name)
            bounds = np.stack([one.share - one.share_low, one.share_high - one.share])
            axes.errorbar(
                one.share, rows, xerr=np.maximum(bounds, 0), fmt="o", color="black", label="both"
            )
            axes.axvline(0, color="#9ca3af", linewidth=0.8)
            axes.grid(True, axis="x")
            axes.grid(False, axis="y")
            axes.set_title(str(cells[number]))
            axes.set_xlabel("share of the change")
        panels[0].set_yticks(rows, [str(name) for name in some[kind].to_numpy()])
        panels[0].set_ylabel(kind)
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure


def matrix_figure(matrix: xarray.Dataset, clusters: CellClusters | None = None) -> Figure:
    """Draw the correlations of modes with cells, with a dot where q < 0.05.

    `matrix` is the result of `mode_cell_matrix`. Modes are ordered by the cell that they correlate
    with most, cells by their `clusters` where these are given, with lines between clusters.

    >>> from codeclens.retina import mode_cell_matrix
    >>> random = np.random.default_rng(0)
    >>> matrix = mode_cell_matrix(random.random((200, 5)), random.random((200, 4)))
    >>> len(matrix_figure(matrix).axes)
    2
    """
    cells = np.arange(matrix.sizes["cell"]) if clusters is None else clusters.order
    ordered = matrix.isel(cell=cells)
    values = ordered.correlation.to_numpy()
    known = np.nan_to_num(values)
    rows = np.lexsort((-known.max(axis=1), known.argmax(axis=1)))
    values, q = values[rows], ordered.q.to_numpy()[rows]
    limit = np.nanmax(np.abs(values), initial=0.05)
    with styled():
        height = min(max(1.2 + 0.16 * len(rows), 2.4), 8.0)
        figure = blank(max(min(WIDTH, 1.8 + 0.3 * len(cells)), 3.2), height)
        axes = figure.subplots()
        image = axes.imshow(values, cmap=_SIGNED, vmin=-limit, vmax=limit, aspect="auto")
        axes.grid(False)
        marked = np.argwhere(q < 0.05)
        axes.plot(marked[:, 1], marked[:, 0], ".", color="black", markersize=2.5)
        axes.set_xticks(range(len(cells)), ordered.cell.to_numpy(), rotation=90)
        shown = range(0, len(rows), -(-len(rows) // _ROWS))
        axes.set_yticks(list(shown), [str(ordered.mode.to_numpy()[rows[row]]) for row in shown])
        axes.set(xlabel="cell", ylabel="mode")
        if clusters is not None:
            for border in np.flatnonzero(np.diff(clusters.labels[cells])):
                axes.axvline(border + 0.5, color="black", linewidth=1.0)
            axes.set_title(
                f"{clusters.count} clusters, silhouette {clusters.score:.2f} (p {clusters.p:.2g})"
            )
        figure.colorbar(image, ax=axes, label="correlation over time")
    return figure


def loadings_figure(
    modes: Loadings,
    rates: Float[np.ndarray, "time cell"],
    times: Float[np.ndarray, " time"],
    *,
    cells: Sequence[str] | None = None,
    spikes: Sequence[Sequence[float] | np.ndarray[Any, Any]] | None = None,
    count: int = 15,
) -> Figure:
    """Draw the loadings of the strongest modes over time, spike rasters if given, and rates.

    `modes` are Modes or loadings `(time, modes)`, `rates` `(time, cell)` in Hz, `times` in s;
    `spikes` are the times of each cell's spikes in s. Each mode is scaled to its own largest
    loading. Raises CodeclensError where lengths differ.

    >>> random = np.random.default_rng(0)
    >>> loadings, rates = random.random((50, 4)), random.random((50, 2))
    >>> len(loadings_figure(loadings, rates, np.arange(50) / 50, spikes=[[0.1, 0.5], [0.2]]).axes)
    3
    """
    Z = loadings_of(modes)
    if not len(Z) == len(rates) == len(times) or len(times) < 2:
        raise CodeclensError(
            f"There are {len(Z)} loadings, {len(rates)} rates and {len(times)} times; pass one of "
            "each for each of two frames or more."
        )
    strongest = np.argsort(-Z.sum(axis=0), kind="stable")[:count]
    shown = Z[:, strongest].T
    shown = shown / np.maximum(shown.max(axis=1, keepdims=True), 1e-300)
    names = [str(n) for n in range(rates.shape[1])] if cells is None else list(cells)
    step = float(times[1] - times[0])
    heights = [max(1.0, 0.13 * len(strongest)), *([0.5] if spikes else []), 1.0]
    with styled():
        figure = blank(WIDTH, 1.4 * sum(heights) + 0.6)
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        extent = (times[0], times[-1] + step, len(strongest) - 0.5, -0.5)
        panels[0].imshow(shown, aspect="auto", cmap="Greys", extent=extent, vmin=0, vmax=1)
        panels[0].grid(False)
        panels[0].set_yticks(range(len(strongest)), [str(mode) for mode in strongest])
        panels[0].set(ylabel="mode", title="Loadings")
        colours = (MODE, *CONTROLS)
        if spikes:
            _raster(panels[1], spikes, colours)
        for number, name in enumerate(names):
            colour = colours[number % len(colours)]
            panels[-1].plot(times, rates[:, number], color=colour, label=name, linewidth=1.0)
        panels[-1].set(ylabel="rate (Hz)", xlabel="time (s)")
        figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside right center")
    return figure


def explained_figure(table: xarray.Dataset) -> Figure:
    """Draw the explained share of the change of receptive fields by predictor on held-out film.

    `table` is the result of `variance_explained`. There is a row for each predictor and a mark with
    a 95 % interval for each cell.

    >>> import torch
    >>> from codeclens.retina import Movie, held_out_blocks, receptive_fields, variance_explained
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(5, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 2)
    ... )
    >>> movie = Movie(torch.randn(64, 6, 6), rate=50.0, pixel=50.0, unit="um")
    >>> fields = receptive_fields(model, movie, history=5)
    >>> rates = model(movie.windows(5)).detach().numpy()
    >>> table = variance_explained(fields, rates, {}, held_out_blocks(60, blocks=3, gap=4))
    >>> explained_figure(table).axes[0].get_xlabel()[:19]
    'share of the change'
    """
    names, cells = table.predictor.to_numpy(), table.cell.to_numpy()
    rows = np.arange(len(names))
    with styled():
        figure = blank(WIDTH * 0.75, 0.9 + 0.3 * len(names))
        axes = figure.subplots()
        colours = (MODE, *CONTROLS)
        for number, cell in enumerate(cells):
            one = table.isel(cell=number)
            offset = (number - (len(cells) - 1) / 2) * 0.6 / len(cells)
            bounds = np.stack([one.r2 - one.r2_low, one.r2_high - one.r2])
            axes.errorbar(
                one.r2,
                rows + offset,
                xerr=np.maximum(np.nan_to_num(bounds), 0),
                fmt="o",
                color=colours[number % len(colours)],
                label=str(cell),
            )
        axes.axvline(0, color="#9ca3af", linewidth=0.8)
        axes.set_yticks(rows, [str(name) for name in names])
        axes.invert_yaxis()
        axes.grid(True, axis="x")
        axes.set_xlabel("share of the change about the static field (R², held-out film)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", title="cell")
    return figure


def _raster(axes: Axes, spikes: Sequence[Any], colours: Sequence[str]) -> None:
    shown = [np.asarray(one, np.float64) for one in spikes]
    axes.eventplot(
        shown,
        colors=[colours[number % len(colours)] for number in range(len(shown))],
        linewidths=0.6,
        linelengths=0.8,
    )
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_yticks([])
    axes.set_ylabel("spikes")


def _at_peak(courses: Float[np.ndarray, "moment lag"]) -> Float[np.ndarray, " moment"]:
    peak = np.abs(courses).argmax(axis=1)
    return np.asarray(courses[np.arange(len(courses)), peak])


def _moment(fields: xarray.DataArray, number: int) -> str:
    value = fields[str(fields.dims[0])].to_numpy()[number]
    if fields.dims[0] != "time":
        return f"mode {value}"
    unit = "s" if fields.time.attrs.get("units") == "s" else ""
    return f"{value:.2f} {unit}".strip()
