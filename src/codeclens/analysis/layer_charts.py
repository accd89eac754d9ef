"""Charts of layer statistics and of semantics, from input to output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.analysis.layers import STATISTICS, LayerStatistics, Population, SiteStatistic
from codeclens.analysis.semantics_results import Semantics
from codeclens.analysis.statistics import Spread
from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import (
    ACTIVATION,
    CONTRIBUTION,
    CONTROLS,
    WIDTH,
    blank,
    name_sites,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour and marker of each source; statistics of both signs are drawn like contributions.
_SOURCES = {
    "contribution_": (CONTRIBUTION, "o"),
    "activation_": (ACTIVATION, "s"),
    "": (CONTRIBUTION, "o"),
}
_SHADE = 0.14


def layer_figure(statistics: LayerStatistics) -> Figure:
    """Draw how contributions and activations change with depth.

    One panel over the sites, in the order of depth, for each statistic with a title (see
    `SiteStatistic`): Hoyer sparsity (0 for equal units to 1 for one unit alone), dimensionality of
    the class means (number of principal components), and the correlation over units between
    positive contributions and the magnitude of negative ones. Contributions are dark with round
    markers, activations blue with square ones. Bars are 95 % bootstrap intervals over samples,
    shades hold the middle half of the samples; dotted is the dimensionality of class means with
    shuffled labels (method.md §4).

    Raises CodeclensError if there are no sites.
    """
    if not len(statistics):
        raise CodeclensError("There are no sites to draw; the statistics are empty.")
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    drawn = [one for one in STATISTICS if one.title]
    with styled():
        figure = blank(WIDTH * max(1.0, len(drawn) / 3), 2.75)
        panels = figure.subplots(1, len(drawn), squeeze=False)[0]
        for axes, one in zip(panels, drawn, strict=True):
            _panel(axes, statistics, one)
        half = Patch(color=CONTRIBUTION, alpha=_SHADE, linewidth=0, label="middle half of samples")
        handles, _ = panels[0].get_legend_handles_labels()
        null = Line2D([], [], color=CONTROLS[0], linestyle=":", label="shuffled labels")
        figure.legend(handles=[*handles, half, null], loc="outside upper center", ncols=4)
    return figure


def _panel(axes: Axes, statistics: LayerStatistics, one: SiteStatistic) -> None:
    """One statistic of all sites, with its interval, and the quartiles of a spread."""
    layers = statistics.layers
    for prefix in layers[0].of(one):
        colour, marker = _SOURCES[prefix]
        populations = [layer.of(one)[prefix] for layer in layers]
        label = f"{prefix[:-1]}s (with 95 % interval)" if prefix else None
        _with_intervals(axes, one.name, populations, colour, marker, label)
    if one.over == "signs":
        axes.axhline(0, color="#9ca3af", linewidth=0.8)
    low, high = one.least
    top, bottom = float(axes.dataLim.y1), float(axes.dataLim.y0)
    axes.set(title=one.title, ylabel=statistics.fill(one.label))
    axes.set_ylim(min(low, bottom - 0.05) if low < 0 else 0, max(high, 1.05 * top) or None)
    name_sites(axes, list(statistics))
    if one.over in ("class means", "all samples"):
        from matplotlib.ticker import MaxNLocator

        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _with_intervals(
    axes: Axes,
    name: str,
    populations: Sequence[Population],
    colour: str,
    marker: str,
    label: str | None,
) -> None:
    depth = np.arange(len(populations))
    values = [p.number(name) for p in populations]
    low, high = np.array([p.bounds(name) for p in populations], np.float64).T
    if name in populations[0].spreads:
        quartiles = [(p.spreads[name].q25, p.spreads[name].q75) for p in populations]
        axes.fill_between(depth, *np.array(quartiles).T, color=colour, alpha=_SHADE, linewidth=0)
    if name in populations[0].shuffled:
        null = [p.shuffled[name].mean() for p in populations]
        axes.plot(depth, null, color=CONTROLS[0], linestyle=":", zorder=1)
    axes.plot(depth, values, color=colour, marker=marker, label=label)
    # Drawn separately, because an interval of few samples may lie below its value.
    axes.errorbar(
        depth, (low + high) / 2, yerr=(high - low) / 2, color=colour, linestyle="none",
        capsize=1.5, elinewidth=0.9,
    )  # fmt: skip


# Colour distinguishes contributions and activations; line and marker modes and channels.
_LINES = {
    "modes": (CONTRIBUTION, "o", "solid", "modes of contributions"),
    "activation_modes": (ACTIVATION, "o", "solid", "modes of activations"),
    "contributions": (CONTRIBUTION, "s", "dashed", "channels, net contributions"),
    "activations": (ACTIVATION, "s", "dashed", "channels, activations"),
}
# Sources are shifted a little at each site, so that equal ones are all visible.
_APART = 0.07


def semantics_figure(semantics: Semantics) -> Figure:
    """Draw how selective modes and channels are for classes, and how many are, by depth.

    Left: the median over modes, or channels, of the largest correlation with a class; bars are
    95 % bootstrap intervals over modes or channels. Then: the share of them that correlates with a
    class above the threshold. With a hierarchy, right: the share that is selective for a superclass
    beyond chance, and more so than for any class. Contributions are dark, activations blue; modes
    are solid with full circles, channels dashed with hollow squares (method.md §4; the published
    figure 5).

    Raises CodeclensError if there are no sites.
    """
    sites = list(semantics)
    if not sites:
        raise CodeclensError("There are no sites to draw; the semantics are empty.")
    with styled():
        figure = blank(WIDTH, 2.9)
        alpha = semantics.criteria.alpha
        panels = figure.subplots(1, 3 if semantics.superclasses else 2)
        closeness, shares = panels[:2]
        for number, (source, (colour, marker, line, name)) in enumerate(_LINES.items()):
            places = [place for place, site in enumerate(sites) if source in semantics[site]]
            if not places:
                continue
            found = [semantics[sites[place]][source] for place in places]
            depth = np.array(places) + _APART * (number - (len(_LINES) - 1) / 2)
            style = {
                "color": colour, "marker": marker, "linestyle": line, "label": name,
                "markerfacecolor": colour if line == "solid" else "white",
            }  # fmt: skip
            _medians(closeness, depth, [one.spread for one in found], style)
            shares.plot(depth, [100 * one.share_above for one in found], **style)
            for axes in panels[2:]:
                broader = [one.broader(alpha) for one in found]
                axes.plot(
                    depth, [100 * which.mean() if len(which) else 0 for which in broader], **style
                )
        closeness.set(title="Top class correlation", ylabel="correlation, median")
        closeness.set_ylim(min(0.0, closeness.dataLim.y0), None)
        threshold = f"{semantics.criteria.threshold:g}"
        shares.set(title=f"Class correlation above {threshold}")
        for axes in panels[2:]:
            axes.set(title="Closer to a superclass")
        for axes in panels[1:]:
            axes.set(ylabel="% of modes or channels")
            top = max(1.0, axes.dataLim.y1)
            axes.set_ylim(-0.03 * top, 1.05 * top)  # no marker is cut off
        for axes in panels:
            name_sites(axes, sites)
        handles, labels = shares.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _medians(
    axes: Axes, depth: Float[np.ndarray, " site"], spreads: Sequence[Spread], style: dict[str, Any]
) -> None:
    """Medians with their intervals as bars."""
    median, low, high = (
        np.array([getattr(spread, part) for spread in spreads], np.float64)
        for part in ("median", "low", "high")
    )
    error = np.stack([median - low, high - median]).clip(min=0)
    axes.errorbar(depth, median, yerr=error, capsize=1.5, elinewidth=0.9, **style)
