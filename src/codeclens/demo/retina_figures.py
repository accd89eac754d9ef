"""Figures of the retina demo: the network and the circuit side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from codeclens.demo.retina_questions import Showcase
from codeclens.retina.population import sign_balance
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


def groups_figure(shown: Showcase, cell: str, together: int = 1) -> Figure:
    """Mean fields of a cell while each mode, or each pair of modes, is the strongest.

    Maps of the network and of the circuit have one scale. Signs of maps and time courses are
    aligned: the network's time course has a positive peak, and the circuit's correlates with it
    positively. A normalised time course is drawn only where a field has 5 % or more of the largest.
    """
    groups, truth = (
        (shown.groups, shown.true_groups) if together == 1 else (shown.pairs, shown.true_pairs)
    )
    mine = groups.field.sel(cell=cell)
    kinds = mode_kinds(shown)
    parts = [*_products(mine, truth.sel(cell=cell))]
    count = mine.sizes["group"]
    frames = groups.frames.to_numpy()
    step = float(np.diff(mine.x)[0])
    extent = (0, step * mine.sizes["x"], step * mine.sizes["y"], 0)
    limit = max(np.abs(maps).max() for maps, _ in parts) or 1.0
    with styled():
        figure = blank(1.4 + 1.45 * count, 4.9)
        # The last column holds the scales, so that all three rows are as wide.
        axes = figure.subplots(3, count + 1, squeeze=False, width_ratios=[1.0] * count + [0.06])
        axes[2, count].set_axis_off()
        for line, ((maps, _), name) in enumerate(zip(parts, ("network", "circuit"), strict=True)):
            for column in range(count):
                panel = axes[line, column]
                image = panel.imshow(maps[column], cmap="RdBu_r", vmin=-limit, vmax=limit,
                                     extent=extent)  # fmt: skip
                panel.grid(False)
                panel.tick_params(labelbottom=line == 1 and not column, labelleft=not column)
            axes[line, 0].set_ylabel(f"{name}, µm")
            figure.colorbar(image, cax=axes[line, count], label="Hz per contrast")
        lag = -mine.lag.to_numpy() * 1e3
        for column, group in enumerate(mine.group.to_numpy()):
            signs = " + ".join(f"{mode} ({kinds[int(mode)]})" for mode in str(group).split("+"))
            axes[0, column].set_title(f"{signs}\n{frames[column]} frames")
            below = axes[2, column]
            below.axhline(0, color="#9ca3af", linewidth=0.8)
            for (maps, courses), colour, name in zip(
                parts, (FITTED, TRUTH), ("network", "circuit"), strict=True
            ):
                if np.abs(maps[column]).max() >= 0.05 * np.abs(maps).max():
                    below.plot(lag, courses[column], color=colour, label=name)
            below.set(ylim=(-1.1, 1.1), xlabel="time (ms)")
            if column:
                below.tick_params(labelleft=False)
        axes[2, 0].set_ylabel("time course")
        labelled = {
            name: line
            for below in axes[2, :count]
            for line, name in zip(*below.get_legend_handles_labels(), strict=True)
        }
        figure.legend([*labelled.values()], [*labelled], loc="outside lower center", ncols=2)
    return figure


def mode_kinds(shown: Showcase) -> list[str]:
    """ "exc." for modes that mostly excite, "inh." for those that mostly inhibit, by mode."""
    balance = np.nan_to_num(sign_balance(shown.modes[shown.layer]))
    return ["exc." if value > 0 else "inh." for value in balance]


def _products(
    mine: xr.DataArray, true: xr.DataArray
) -> list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Maps with the size of the fields, and time courses of peak 1, with signs aligned."""
    (maps, courses), (true_maps, true_courses) = _product(mine), _product(true)
    sign = np.where((courses * true_courses).sum(axis=1) < 0, -1.0, 1.0)
    return [(maps, courses), (true_maps * sign[:, None, None], true_courses * sign[:, None])]


def _product(fields: xr.DataArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Maps with the size of the fields, and time courses whose largest deflection is 1."""
    split = separable(fields)
    courses = split.temporal.to_numpy()
    size = np.abs(courses).max(axis=1)
    peak = courses[np.arange(len(courses)), np.abs(courses).argmax(axis=1)]
    sign = np.where(peak < 0, -1.0, 1.0)
    maps = split.spatial.to_numpy() * (sign * size)[:, None, None]
    return maps, courses * (sign / np.where(size > 0, size, 1))[:, None]


def kernels_figure(shown: Showcase) -> Figure:
    """The mean white noise before each mode: map and time course, with sign and best cell."""
    kernels, kinds = shown.kernels, mode_kinds(shown)
    split = separable(kernels)
    maps, courses = _product(kernels)
    limit = np.abs(maps).max() or 1.0
    columns = min(len(kernels), 5)
    lines = -(-len(kernels) // columns)
    lag = -kernels.lag.to_numpy() * 1e3
    step = float(np.diff(kernels.x)[0])
    extent = (0, step * kernels.sizes["x"], step * kernels.sizes["y"], 0)
    with styled():
        figure = blank(WIDTH, 2.3 * lines + 0.3)
        axes = figure.subplots(2 * lines, columns, squeeze=False)
        for panel in axes.flat:
            panel.set_axis_off()
        for number, mode in enumerate(kernels.mode.to_numpy()):
            line, column = divmod(number, columns)
            above, below = axes[2 * line, column], axes[2 * line + 1, column]
            for panel in (above, below):
                panel.set_axis_on()
            image = above.imshow(
                maps[number], cmap="RdBu_r", vmin=-limit, vmax=limit, extent=extent
            )
            above.grid(False)
            above.tick_params(labelleft=False, labelbottom=False)
            above.set_title(f"mode {mode}, {kinds[int(mode)]}\n{mode_cells(shown, int(mode), 1)}")
            below.axhline(0, color="#9ca3af", linewidth=0.8)
            if np.abs(maps[number]).max() >= 0.05 * limit:
                below.plot(lag, courses[number], color=MODE)
            below.set(ylim=(-1.1, 1.1))
            below.set_title(f"rank 1: {float(split.power[number]):.0%}", fontweight="normal")
            below.tick_params(labelleft=not column)
            if number + columns >= len(kernels):
                below.set_xlabel("time (ms)")
        figure.colorbar(image, ax=list(axes.flat), label="contrast", shrink=0.5)
    return figure


def mode_cells(shown: Showcase, mode: int, most: int = 3) -> str:
    """The cells whose rates correlate most with a mode, beyond chance, or "no cell"."""
    one = shown.matrix.isel(mode=mode)
    r = np.where(one.q.to_numpy() < 0.05, np.nan_to_num(one.correlation.to_numpy()), -1.0)
    chosen = [n for n in np.argsort(-r, kind="stable")[:most] if r[n] > 0]
    return ", ".join(str(one.cell.to_numpy()[n]) for n in chosen) or "no cell"


def moments_figure(shown: Showcase) -> Figure:
    """The field of the changed cell before and after, and the difference: network and circuit."""
    place = [int(np.flatnonzero(shown.rows == row)[0]) for row in shown.pair]
    # At one lag, that at which the truth changed most, so that differences are those of maps.
    moved = shown.true_fields.sel(cell=shown.changed).isel(time=place).diff("time")
    lag = int(np.abs(moved.to_numpy()).max(axis=(0, 2, 3)).argmax())
    pair = [
        fields.sel(cell=shown.changed).isel(time=place, lag=lag).to_numpy()
        for fields in (shown.fields, shown.true_fields)
    ]
    limit = max(np.abs([*two, two[1] - two[0]]).max() for two in pair) or 1.0
    with styled():
        figure = blank(WIDTH * 0.85, 3.9)
        axes = figure.subplots(2, 3)
        for line, (name, fields) in enumerate(
            (("network", shown.fields), ("circuit", shown.true_fields))
        ):
            two = fields.sel(cell=shown.changed).isel(time=place)
            before, after = two.isel(lag=lag).to_numpy()
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
    """Shares in the change: modes and channels of the network, interneurons of the circuit."""
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
    """Predicted and measured changes of rates: by removing modes, and by blocking interneurons."""
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
