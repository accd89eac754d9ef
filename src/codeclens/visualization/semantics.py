"""Charts of semantics: how closely modes and channels follow classes, from input to output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    with hollow squares. (METHOD.md §4; the published figure 5.)

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
