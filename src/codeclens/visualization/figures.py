"""Figures: charts of layer statistics and of control curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import (
    ACTIVATION,
    CONTRIBUTION,
    CONTROLS,
    MODE,
    WIDTH,
    blank,
    name_sites,
    percent_axis,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SOURCES = (("contribution", CONTRIBUTION, "o"), ("activation", ACTIVATION, "s"))
_SHADE = 0.14
_MARKERS = ("o", "s", "^", "D", "v")
_KINDS = {"ablate": ("Ablation", "ablated"), "preserve": ("Preservation", "kept")}


class Estimated(Protocol):
    """A value with its 95 % interval, arrays of one shape."""

    @property
    def value(self) -> Float[np.ndarray, "*shape"]: ...
    @property
    def low(self) -> Float[np.ndarray, "*shape"]: ...
    @property
    def high(self) -> Float[np.ndarray, "*shape"]: ...


def layer_figure(statistics: Mapping[str, Any]) -> Figure:
    """Draw how contributions and activations change with depth.

    `statistics` is what `layer_statistics` returns. Three charts over the sites in the order of
    depth: Hoyer sparsity (0 even to 1 one unit alone), dimensionality of the class means (number of
    principal components), and the correlation over units of positive contributions with the size of
    negative ones.
    Contributions are dark with round markers, activations blue with square ones. Bars are 95 %
    bootstrap intervals of the median, or of the number of components, shades hold the middle half
    of the samples. (METHOD.md §4.)

    Raises CodeclensError where there are no sites.
    """
    sites = list(statistics)
    if not sites:
        raise CodeclensError("There are no sites to draw; the statistics are empty.")
    layers = [statistics[site] for site in sites]
    from matplotlib.patches import Patch

    with styled():
        figure = blank(WIDTH, 2.75)
        sparsity, dimensions, signs = figure.subplots(1, 3)
        for source, colour, marker in _SOURCES:
            populations = [getattr(layer, source) for layer in layers]
            name = f"{source}s (with 95 % interval)"
            _spread(sparsity, [p.sparsity for p in populations], colour, marker, name)
            _components(dimensions, populations, colour, marker)
        _spread(signs, [layer.sign_correlation for layer in layers], CONTRIBUTION, "o")
        signs.axhline(0, color="#9ca3af", linewidth=0.8)
        share = f"{100 * getattr(statistics, 'share', 0.95):g} %"
        sparsity.set(title="Sparsity", ylabel="Hoyer sparsity (0 to 1)")
        dimensions.set(title="Dimensionality", ylabel=f"components ({share} of variance)")
        signs.set(title="Sign correlation", ylabel="correlation of C⁺ with |C⁻|")
        sparsity.set_ylim(0, _above([sparsity.dataLim.y1, 0.5]))
        dimensions.set_ylim(0, None)
        signs.set_ylim(min(-0.05, signs.dataLim.y0 - 0.05), 1.05)
        for axes in (sparsity, dimensions, signs):
            name_sites(axes, sites)
        _whole_numbers(dimensions)
        half = Patch(color=CONTRIBUTION, alpha=_SHADE, linewidth=0, label="middle half of samples")
        handles, _ = sparsity.get_legend_handles_labels()
        figure.legend(handles=[*handles, half], loc="outside upper center", ncols=3)
    return figure


def control_figure(curves: Any) -> Figure:
    """Draw what acting on a mode's units does to its class and to all the others.

    `curves` is one `ControlCurve` or several (one for ablation, one for preservation), each a
    panel: accuracy against the share of units, on the mode's class (solid lines, full markers) and
    on the other classes (dashed, hollow markers); the mode is orange, controls have other colours
    and markers. Shades are 95 % bootstrap intervals, dotted lines the undisturbed network.
    (METHOD.md §5.)

    Raises CodeclensError where there are no curves.
    """
    panels = list(curves) if isinstance(curves, Iterable) else [curves]
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


def _spread(
    axes: Axes, spreads: Sequence[Any], colour: str, marker: str, label: str | None = None
) -> None:
    """Medians with their intervals as bars, and quartiles as a shade."""
    depth = np.arange(len(spreads))
    median, low, high, q25, q75 = (
        np.array([getattr(spread, part) for spread in spreads], np.float64)
        for part in ("median", "low", "high", "q25", "q75")
    )
    axes.fill_between(depth, q25, q75, color=colour, alpha=_SHADE, linewidth=0)
    axes.errorbar(
        depth, median, yerr=np.stack([median - low, high - median]).clip(min=0), color=colour,
        marker=marker, capsize=1.5, elinewidth=0.9, label=label,
    )  # fmt: skip


def _components(axes: Axes, populations: Sequence[Any], colour: str, marker: str) -> None:
    """Numbers of components with their intervals as bars, as everywhere else in the figure."""
    axes.plot([p.class_components for p in populations], color=colour, marker=marker)
    low, high = np.array([p.intervals["class_components"] for p in populations]).T
    # Drawn by themselves: where samples are few the interval lies below the value.
    middle, half = (low + high) / 2, (high - low) / 2
    axes.errorbar(
        np.arange(len(low)), middle, yerr=half, color=colour, linestyle="none", capsize=1.5,
        elinewidth=0.9,
    )  # fmt: skip


def _control(axes: Axes, curve: Any) -> None:
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


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _above(values: Sequence[float]) -> float:
    """A little above the largest finite value."""
    return 1.05 * max(value for value in values if np.isfinite(value))
