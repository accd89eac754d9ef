"""Charts of control: curves, comparisons over classes, and predicted and measured effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.control.curves import ControlCurve
from codeclens.control.curves_by_class import ControlCurves
from codeclens.control.effects import Effects
from codeclens.control.necessity import Necessity
from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import (
    CONTROLS,
    MODE,
    WIDTH,
    blank,
    percent_axis,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^", "D", "v")
_KINDS = {"ablate": ("Ablation", "ablated"), "preserve": ("Preservation", "kept")}
_SHADE = 0.14


def control_figure(curves: ControlCurve | Iterable[ControlCurve]) -> Figure:
    """Draw the effect of a mode's units on its class and on all the others.

    `curves` is one `ControlCurve` or several (one for ablation, one for preservation), each a
    panel: accuracy against the share of units, on the mode's class (solid lines, full markers) and
    on the other classes (dashed, hollow markers); the mode is orange, controls have other colours
    and markers. Shades are 95 % bootstrap intervals, dotted lines the undisturbed network.
    (method.md §5.)

    Raises CodeclensError where there are no curves.
    """
    panels = [curves] if isinstance(curves, ControlCurve) else list(curves)
    if not panels:
        raise CodeclensError("There are no control curves to draw.")
    with styled():
        figure = blank(max(WIDTH * min(len(panels), 3) / 2, 4.2), 3.0)
        for axes, curve in zip(np.ravel(figure.subplots(1, len(panels))), panels, strict=True):
            _control(axes, curve)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        # Entries run down the columns: a pair for each condition.
        columns = min(len(labels) // 2, 2 if len(panels) == 1 else 4)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns)
    return figure


def _control(axes: Axes, curve: ControlCurve) -> None:
    share = 100 * np.asarray(curve.counts, np.float64) / curve.units
    for number, condition in enumerate(curve.conditions):
        is_mode = number == 0
        colour = MODE if is_mode else CONTROLS[(number - 1) % len(CONTROLS)]
        marker = _MARKERS[number % len(_MARKERS)]
        for estimate, line, filled in (
            (condition.target, "solid", True),
            (condition.others, "dashed", False),
        ):
            axes.plot(
                share, estimate.value, linestyle=line, color=colour, marker=marker,
                markerfacecolor=colour if filled else "white", zorder=4 if is_mode else 3,
                label=f"{condition.name}: {'the class' if filled else 'other classes'}",
            )  # fmt: skip
            axes.fill_between(
                share, estimate.low, estimate.high, color=colour, alpha=_SHADE, linewidth=0
            )
    levels = ((curve.target_before, "the class", 1.5), (curve.others_before, "other classes", 4.0))
    for before, who, gap in levels:
        axes.axhline(
            float(before.value), color="#4b5563", linewidth=0.9, linestyle=(0, (1.0, gap)),
            zorder=1, label=f"undisturbed: {who}",
        )  # fmt: skip
    kind, done = _KINDS[curve.kind]
    axes.set(title=f"{kind}: {curve.class_name}", ylabel="accuracy", ylim=(-0.03, 1.03))
    axes.set_xlabel(f"units of {curve.site} {done} (%)")
    percent_axis(axes, share)


# One for each control, different in hue and marker.
_STYLES = (
    ("#6b7280", "o"), ("#3b7dd8", "s"), ("#0f766e", "^"), ("#7c3aed", "D"), ("#a16207", "v"),
    ("#be185d", "P"), ("#1b1b1b", "X"), ("#65a30d", "<"), ("#0ea5e9", ">"), ("#78350f", "p"),
)  # fmt: skip
_DONE = {"ablate": "ablated", "preserve": "kept"}
_VERDICTS = {"better": MODE, "worse": "#3b7dd8", "undecided": "#9ca3af"}


def curves_figure(runs: ControlCurves | Iterable[ControlCurves]) -> Figure:
    """Draw the effects of units chosen by modes and by every control, as means over classes.

    `runs` is one `ControlCurves` or several (one for ablation, one for preservation), each a row of
    three charts: accuracy on the class and on all others against the share of units, modes in
    orange with their 95 % interval over classes; then how much more selective modes are than each
    control, mean over classes with its interval: orange where modes are better by the corrected
    test, blue where they are worse, grey where it is undecided. (method.md §5.)

    Raises CodeclensError where there are no curves.
    """
    rows = [runs] if isinstance(runs, ControlCurves) else list(runs)
    if not rows:
        raise CodeclensError("There are no control curves to draw.")
    with styled():
        figure = blank(WIDTH * 1.25, 2.75 * len(rows) + 0.5)
        for axes, curves in zip(figure.subplots(len(rows), 3, squeeze=False), rows, strict=True):
            for one, what, who in zip(axes, ("target", "others"), ("the class", "all others"),
                                      strict=False):  # fmt: skip
                _means(one, curves, what, who)
            _advantages(axes[2], curves)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=5)
    return figure


def necessity_figure(found: Necessity) -> Figure:
    """Draw the measured effect of every mode against the predicted one: removed, and alone.

    `found` is what `necessity` returns. Each point is a mode, the mean over the images in which it
    is active, with its 95 % interval; on the line both agree, and in the shade they are within a
    factor of two. Points are orange where prediction and measurement clearly differ.

    Raises CodeclensError where there are no modes.
    """
    if not len(found):
        raise CodeclensError("There are no modes to draw.")
    with styled():
        figure = blank(WIDTH, 3.4)
        charts = figure.subplots(1, 2)
        for axes, effects, title in zip(
            charts, (found.removed, found.alone), ("Removed", "Kept alone"), strict=True
        ):
            _scatter(axes, effects)
            axes.set(title=f"{title}: modes of {found.site}", xlabel="predicted change of target")
        charts[0].set_ylabel("measured change of target")
        handles, labels = charts[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _means(axes: Axes, curves: ControlCurves, what: str, who: str) -> None:
    first = curves[0]
    share = 100 * np.asarray(first.counts, np.float64) / first.units
    for number, name in reversed(list(enumerate(curves.names))):
        mean = curves.averaged(name, what)
        colour, marker = (MODE, "o") if number == 0 else _STYLES[(number - 1) % len(_STYLES)]
        axes.plot(
            share, mean.value, color=colour, marker=marker, markersize=3.2, label=name,
            linewidth=2.0 if number == 0 else 0.9, zorder=5 if number == 0 else 3,
        )  # fmt: skip
        if number == 0:
            axes.fill_between(share, mean.low, mean.high, color=colour, alpha=0.16, linewidth=0)
    axes.axhline(curves.before(what), color="#4b5563", linewidth=0.9, linestyle=":", zorder=1)
    done = _DONE[curves.kind]
    axes.set(
        title=f"{done.capitalize()}: on {who}", ylabel="accuracy", ylim=(-0.03, 1.03),
        xlabel=f"units of {curves.site} {done} (%)",
    )  # fmt: skip
    percent_axis(axes, share)


def _advantages(axes: Axes, curves: ControlCurves) -> None:
    found = curves.comparisons
    for place, one in enumerate(found):
        colour, gap = _VERDICTS[one.verdict], one.difference
        axes.plot([float(gap.low), float(gap.high)], [place, place], color=colour, linewidth=1.6)
        axes.plot([float(gap.value)], [place], color=colour, marker="o", markersize=4.5)
    axes.axvline(0, color="#4b5563", linewidth=0.8)
    names = [f"{one.control} ({one.verdict})" for one in found]
    axes.set_yticks(range(len(found)), names)
    axes.set_ylim(max(len(found), 1) - 0.5, -0.5)
    classes = f"{len(curves.counted)} classes" if len(curves.counted) > 1 else "one class"
    axes.set(title="How much more selective modes are", xlabel=f"difference, mean over {classes}")
    axes.grid(axis="y", visible=False)


def _scatter(axes: Axes, effects: Effects) -> None:
    count = effects.active.shape[1]
    predicted = np.array([effects.predicted(place) for place in range(count)])
    measured = [effects.measured(place) for place in range(count)]
    value = np.array([float(one.value) for one in measured])
    low = np.array([float(one.low) for one in measured])
    high = np.array([float(one.high) for one in measured])
    verdicts = [effects.verdict(place) for place in range(count)]
    differs = np.isin(verdicts, ["less", "more", "opposite"])
    known = np.isfinite(predicted)
    ends = np.array([min(0.0, float(predicted[known].min(initial=0.0))),
                     max(0.0, float(predicted[known].max(initial=0.0)))])  # fmt: skip
    axes.fill_between(ends, ends / 2, ends * 2, color="#e5e7eb", linewidth=0, zorder=1,
                      label="within a factor of 2")  # fmt: skip
    axes.plot(ends, ends, color="#4b5563", linewidth=0.8, zorder=2, label="as predicted")
    groups: Sequence[tuple[Any, str, str]] = (
        (known & ~differs, "#6b7280", "no clear difference"),
        (known & differs, MODE, "differs from prediction"),
    )
    for where, colour, name in groups:
        axes.errorbar(
            predicted[where], value[where],
            yerr=np.stack([value - low, high - value])[:, where].clip(min=0),
            color=colour, marker="o", markersize=2.6, linestyle="none", elinewidth=0.5,
            label=name, zorder=3,
        )  # fmt: skip
    axes.axhline(0, color="#9ca3af", linewidth=0.6)
    axes.axvline(0, color="#9ca3af", linewidth=0.6)
