"""Canvases: matplotlib figures in one style, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError
from codeclens.files import replaced
from codeclens.visualization.lettering import legible_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: the text width of a page, on which type of 8 points is readable.
WIDTH = 7.2
# The sources that every chart distinguishes, also by marker and by name.
CONTRIBUTION = "#1b1b1b"
ACTIVATION = "#3b7dd8"
MODE = "#c2410c"
# Greys and muted hues for controls, so that the mode stands out.
CONTROLS = ("#6b7280", "#0f766e", "#7c3aed", "#a16207", "#be185d")

FORMATS = (".png", ".svg", ".pdf")
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.8,
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    # Text stays text, and the same figure gives the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "codeclens",
}


@contextmanager
def styled() -> Iterator[None]:
    """The style of all figures while the `with` lasts; the user's own settings stay as they are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        parameters: Any = matplotlib.rcParams
        parameters.update(_STYLE)
        yield


def blank(width: float, height: float) -> Figure:
    """A figure of that size in inches with automatic layout; use it inside `styled`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = legible_figure()(figsize=(width, height), layout="constrained", dpi=200)
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure and return the paths written: PNG and SVG where `path` has no suffix.

    The suffix .png, .svg or .pdf chooses one format; missing folders are created. Raises
    CodeclensError for another suffix.

    >>> import tempfile
    >>> with styled():
    ...     figure = blank(2, 1)
    >>> [one.name for one in save(figure, Path(tempfile.mkdtemp()) / "empty")]
    ['empty.png', 'empty.svg']
    """
    whole = Path(path)
    known = whole.suffix.lower() in FORMATS
    if whole.suffix and not known and whole.suffix[1:].isalpha():
        raise CodeclensError(
            f'A figure cannot be written as "{whole.name}"; use the suffix {", ".join(FORMATS)}, '
            "or none for both PNG and SVG."
        )
    paths = [whole] if known else [Path(f"{whole}{suffix}") for suffix in FORMATS[:2]]
    with styled():
        for one in paths:
            kind = one.suffix[1:].lower()
            # Without a date the same figure gives the same file.
            day = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
            with replaced(one) as part:
                figure.savefig(part, format=kind, metadata=day)
    return paths


def name_sites(axes: Axes, sites: list[str]) -> None:
    """Label the x axis with the names of sites; their common prefix goes into the axis label."""
    common = shared_prefix(sites)
    names = [site.removeprefix(common) for site in sites]
    crowded = sum(map(len, names)) > 22 or max(map(len, names)) > 6
    axes.set_xticks(range(len(sites)), names, rotation=90 if crowded else 0)
    axes.set_xlabel(f"site {common}*" if common else "site, from input to output")
    axes.set_xlim(-0.4, len(sites) - 0.6)


def shared_prefix(names: list[str]) -> str:
    """The common prefix of all names, up to a dot; empty where a name would be left empty.

    >>> shared_prefix(["blocks.0.0", "blocks.1.0"]), shared_prefix(["stem", "blocks.0"])
    ('blocks.', '')
    """
    first, last = min(names), max(names)
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[: first.rfind(".", 0, same) + 1] if len(names) > 1 else ""


def percent_axis(axes: Axes, share: Float[np.ndarray, " fraction"]) -> None:
    """A logarithmic axis with plain numbers, since small shares matter as much as large ones."""
    positive = share[share > 0]
    if not len(positive) or positive.max() < 4 * positive.min():
        return
    axes.set_xscale("log")
    ticks = [
        t for t in (1, 2, 5, 10, 20, 50, 100) if 0.8 * positive.min() <= t <= 1.2 * share.max()
    ]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
