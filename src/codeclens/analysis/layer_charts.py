"""Charts of layer statistics and of semantics, from input to output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import (
    ACTIVATION,
    CONTRIBUTION,
    WIDTH,
    blank,
    name_sites,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SOURCES = (("contribution", CONTRIBUTION, "o"), ("activation", ACTIVATION, "s"))
_SHADE = 0.14
_MARKERS = ("o", "s", "^", "D", "v")


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
    of the samples. (method.md §4.)

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


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _above(values: Sequence[float]) -> float:
    """A little above the largest finite value."""
    return 1.05 * max(value for value in values if np.isfinite(value))


# Colour tells contributions from activations; line, marker and filling tell modes from channels.
_LINES = {
    "modes": (CONTRIBUTION, "o", "solid", "modes of contributions"),
    "activation_modes": (ACTIVATION, "o", "solid", "modes of activations"),
    "contributions": (CONTRIBUTION, "s", "dashed", "channels, net contributions"),
    "activations": (ACTIVATION, "s", "dashed", "channels, activations"),
}
# Sources stand a little apart at each site, so that equal ones are all seen.
_APART = 0.07


def semantics_figure(semantics: Any) -> Figure:
    """Draw how closely modes and channels follow classes, and which share does, by depth.

    `semantics` is what `semantics` returns. Left: the median over modes, or channels, of the
    largest correlation with a class; bars are 95 % bootstrap intervals over modes or channels.
    Then: the share of them that correlates with a class above the threshold. With a hierarchy, on
    the right: the share that follows a superclass beyond chance, more closely than any class.
    Contributions are dark, activations blue; modes are solid with full circles, channels dashed
    with hollow squares. (method.md §4; the published figure 5.)

    Raises CodeclensError where there are no sites.
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
            axes.set_ylim(-0.03 * top, 1.05 * top)  # markers at either end are seen whole
        for axes in panels:
            name_sites(axes, sites)
        handles, labels = shares.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _medians(
    axes: Axes, depth: Float[np.ndarray, " site"], spreads: Sequence[Any], style: dict[str, Any]
) -> None:
    """Medians with their intervals as bars."""
    median, low, high = (
        np.array([getattr(spread, part) for spread in spreads], np.float64)
        for part in ("median", "low", "high")
    )
    error = np.stack([median - low, high - median]).clip(min=0)
    axes.errorbar(depth, median, yerr=error, capsize=1.5, elinewidth=0.9, **style)
