"""Figures of the showcase: what the network shows beside what the circuit is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from codeclens.demo.retina_questions import Showcase
from codeclens.retina.receptive_fields import separable
from codeclens.visualization.canvas import ACTIVATION, CONTROLS, MODE, WIDTH, blank, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TRUTH, FITTED = "#1b1b1b", MODE
_GATING = CONTROLS[1]
_SHOWN, _COMBINATIONS, _BARS = 6.0, 12, 11


def fit_figure(shown: Showcase) -> Figure:
    """The rates of every cell in both, over six seconds of held-out film."""
    some = stretch(shown)
    columns = 3
    lines = -(-len(shown.model.cells) // columns)
    with styled():
        figure = blank(WIDTH, 1.25 * lines + 0.4)
        axes = figure.subplots(lines, columns, sharex=True, squeeze=False)
        for number, (one, cell) in enumerate(zip(axes.flat, shown.model.cells, strict=False)):
            one.plot(shown.times[some], shown.truth[some, number], color=TRUTH, linewidth=1.1,
                     label="circuit")  # fmt: skip
            one.plot(shown.times[some], shown.rates[some, number], color=FITTED, linewidth=1.1,
                     label="network")  # fmt: skip
            one.set_title(f"{cell}: r {shown.r[number]:.2f}")
        for empty in axes.flat[len(shown.model.cells) :]:
            empty.set_axis_off()
        for one in axes[:, 0]:
            one.set_ylabel("rate (Hz)")
        for one in axes[-1]:
            one.set_xlabel("time (s)")
        handles = axes[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper right", ncols=2)
    return figure


def stretch(shown: Showcase) -> slice:
    """The stretch of six seconds in which the circuit's cells change most together."""
    width = min(round(_SHOWN * shown.film.rate), len(shown.times))
    scaled = shown.truth / np.maximum(shown.truth.std(axis=0), 1e-9)
    lively = np.abs(np.diff(scaled, axis=0, prepend=scaled[:1])).sum(axis=1)
    starts = np.convolve(lively, np.ones(width), "valid")
    first = int(starts.argmax())
    return slice(first, first + width)


def combinations_figure(together: xr.Dataset) -> Figure:
    """How often modes are active together: counts of both halves of the film, and chance."""
    some = together.isel(combination=slice(0, _COMBINATIONS))
    rows = np.arange(some.sizes["combination"])
    with styled():
        figure = blank(WIDTH * 0.7, 1.0 + 0.24 * max(len(rows), 1))
        axes = figure.subplots()
        axes.barh(rows, some["first"], 0.7, color=MODE, label="first half")
        axes.barh(rows, some["second"], 0.7, left=some["first"], color="#f0b48f",
                  label="second half")  # fmt: skip
        axes.plot(some.expected, rows, "|", color="black", markersize=11, markeredgewidth=1.6,
                  label="by chance")  # fmt: skip
        names = some.combination.to_numpy()
        axes.set_yticks(
            rows,
            [f"{n} *" if q < 0.05 else n for n, q in zip(names, some.q.to_numpy(), strict=True)],
        )
        axes.invert_yaxis()
        axes.grid(True, axis="x")
        axes.grid(False, axis="y")
        axes.set(xlabel="frames in which all are active", ylabel="modes")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def groups_figure(shown: Showcase, cell: str) -> Figure:
    """The mean field of a cell while each mode prevails: the network's map, the circuit's, time."""
    mine = shown.groups.field.sel(cell=cell)
    true = shown.true_groups.sel(cell=cell)
    parts = [(*_product(one), FITTED, "network") for one in (mine,)]
    parts.append((*_product(true), TRUTH, "circuit"))
    count = mine.sizes["group"]
    names = mine.group.to_numpy()
    frames = shown.groups.frames.to_numpy()
    step = float(np.diff(mine.x)[0])
    extent = (0, step * mine.sizes["x"], step * mine.sizes["y"], 0)
    with styled():
        figure = blank(1.4 + 1.45 * count, 4.9)
        # The last column holds the scales, so that all three rows are as wide.
        axes = figure.subplots(3, count + 1, squeeze=False, width_ratios=[1.0] * count + [0.06])
        axes[2, count].set_axis_off()
        for line, (maps, _, _, name) in enumerate(parts):
            limit = np.abs(maps).max() or 1.0
            for column in range(count):
                panel = axes[line, column]
                image = panel.imshow(maps[column], cmap="RdBu_r", vmin=-limit, vmax=limit,
                                     extent=extent)  # fmt: skip
                panel.grid(False)
                panel.tick_params(labelbottom=line == 1 and not column, labelleft=not column)
            axes[line, 0].set_ylabel(f"{name}, µm")
            figure.colorbar(image, cax=axes[line, count], label="Hz per contrast")
        lag = -mine.lag.to_numpy() * 1e3
        for column in range(count):
            axes[0, column].set_title(f"mode {names[column]}\n{frames[column]} frames")
            below = axes[2, column]
            below.axhline(0, color="#9ca3af", linewidth=0.8)
            for _, courses, colour, name in parts:
                below.plot(lag, courses[column], color=colour, label=name)
            below.set(ylim=(-1.1, 1.1), xlabel="time (ms)")
            if column:
                below.tick_params(labelleft=False)
        axes[2, 0].set_ylabel("time course")
        figure.legend(*axes[2, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _product(fields: xr.DataArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Maps that carry the size, and time courses of peak 1 whose sign makes the peak positive."""
    split = separable(fields)
    courses = split.temporal.to_numpy()
    size = np.abs(courses).max(axis=1)
    peak = courses[np.arange(len(courses)), np.abs(courses).argmax(axis=1)]
    sign = np.where(peak < 0, -1.0, 1.0)
    maps = split.spatial.to_numpy() * (sign * size)[:, None, None]
    return maps, courses * (sign / np.where(size > 0, size, 1))[:, None]


def moments_figure(shown: Showcase) -> Figure:
    """The field of the changed cell before and after, and the difference: network and circuit."""
    place = [int(np.flatnonzero(shown.rows == row)[0]) for row in shown.pair]
    # At one lag, that at which the truth changed most, so that differences are those of maps.
    moved = shown.true_fields.sel(cell=shown.changed).isel(time=place).diff("time")
    lag = int(np.abs(moved.to_numpy()).max(axis=(0, 2, 3)).argmax())
    with styled():
        figure = blank(WIDTH * 0.85, 3.9)
        axes = figure.subplots(2, 3)
        for line, (name, fields) in enumerate(
            (("network", shown.fields), ("circuit", shown.true_fields))
        ):
            two = fields.sel(cell=shown.changed).isel(time=place)
            before, after = two.isel(lag=lag).to_numpy()
            limit = np.abs([before, after, after - before]).max() or 1.0
            step = float(np.diff(two.x)[0])
            extent = (0, step * two.sizes["x"], step * two.sizes["y"], 0)
            titles = [f"at {float(t):.2f} s" for t in two.time] + ["change"]
            for column, values in enumerate((before, after, after - before)):
                panel = axes[line, column]
                image = panel.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent)
                panel.grid(False)
                panel.set_title(f"{name}, {titles[column]}")
                panel.tick_params(labelleft=column == 0, labelbottom=line == 1)
            axes[line, 0].set_ylabel(f"µm ({1e3 * float(two.lag[lag]):.0f} ms before)")
            figure.colorbar(image, ax=list(axes[line]), shrink=0.9, label="Hz per contrast")
    return figure


def carriers_figure(shown: Showcase) -> Figure:
    """Who carried the change: modes and channels of the network, interneurons of the circuit."""
    with styled():
        lengths = [one.sizes[str(one.share.dims[-1])] for one in shown.changes.values()]
        figure = blank(WIDTH, 1.1 + 0.22 * min(max(lengths), _BARS))
        panels = figure.subplots(1, len(shown.changes))
        for panel, (name, found) in zip(panels, shown.changes.items(), strict=True):
            kind = str(found.share.dims[-1])
            one = found.isel(pair=0, cell=0)
            order = np.argsort(-np.abs(np.nan_to_num(one.share.to_numpy())), kind="stable")[:_BARS]
            rows = np.arange(len(order))
            for shift, what, colour in ((-0.2, "gain", MODE), (0.2, "gating", _GATING)):
                panel.barh(rows + shift, one[what].to_numpy()[order], 0.36, color=colour,
                           label=what)  # fmt: skip
            panel.plot(one.share.to_numpy()[order], rows, "o", color="black", label="both")
            panel.axvline(0, color="#9ca3af", linewidth=0.8)
            panel.set_yticks(rows, [_short(str(part)) for part in one[kind].to_numpy()[order]])
            panel.invert_yaxis()
            panel.grid(True, axis="x")
            panel.grid(False, axis="y")
            whose = "circuit" if name == "interneurons" else "network"
            panel.set(title=f"{whose}: {name}", xlabel="share of the change")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _short(name: str) -> str:
    return name.removeprefix("bipolar.").removeprefix("amacrine.").replace("starburst", "sb")


def removal_figure(shown: Showcase) -> Figure:
    """Foretold and measured changes of rates: of modes, and of true blocks."""
    with styled():
        figure = blank(WIDTH * 0.9, 3.1)
        left, right = figure.subplots(1, 2)
        _scatter(left, shown.removals, "network: a mode removed")
        _scatter(right, shown.blocks.sel(cell=list(shown.looked)), "circuit: a true block")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), markerscale=4)
    return figure


def _scatter(axes: Axes, effects: xr.Dataset, title: str) -> None:
    random = np.random.default_rng(0)
    limits: Float[np.ndarray, " two"] = np.array([0.0, 0.0])
    for number, cell in enumerate(effects.cell.to_numpy()):
        x, y = (
            effects[name].sel(cell=cell).to_numpy().ravel()
            for name in ("rate_predicted", "rate_measured")
        )
        few = random.permutation(len(x))[:600]
        colour = (MODE, ACTIVATION, *CONTROLS)[number % 7]
        axes.plot(x[few], y[few], ".", markersize=2.5, alpha=0.6, color=colour, label=str(cell),
                  rasterized=True)  # fmt: skip
        low, high = np.quantile(np.concatenate([x, y]), [0.002, 0.998])
        limits = np.array([min(limits[0], low), max(limits[1], high)])
    axes.plot(limits, limits, color="#9ca3af", linewidth=0.8, zorder=0)
    axes.set(title=title, xlabel="predicted (Hz)", ylabel="measured (Hz)", xlim=limits, ylim=limits)
