"""The waterfall: from the baseline's output to the input's, a bar and a thumbnail for each mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.explanation.explanations import Explanation, SiteExplanation, Term
from codeclens.visualization.canvas import blank, styled
from codeclens.visualization.overlays import (
    AGAINST,
    FOR,
    as_pixels,
    colour_ramp,
    common_scale,
    overlay,
    smooth,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_GREY = (0.62, 0.64, 0.67)
_DARK = (0.15, 0.15, 0.17)
# Inches. Rows with a thumbnail and without one, the title of a site, its axis.
_TALL, _LOW, _TITLE, _AXIS = 1.12, 0.27, 0.3, 0.52
# Columns: the photograph, labels, amounts, bars; what separates them and lies at the border.
_PHOTOGRAPH, _LABELS, _AMOUNTS, _BARS, _GAP = 1.9, 1.6, 0.5, 3.7, 0.1
_HEAD, _KEY = 0.36, 0.42
# Neighbouring pixels push a mode up and down in turns. What is drawn is their sum, spread over this
# share of the shorter side, so that a thumbnail's colours add up to its bar.
_SMOOTHING = 1 / 24


@dataclass(frozen=True)
class _Row:
    """One bar: from where the sum stands before it to where it stands after."""

    label: str
    start: float
    amount: float
    colour: Sequence[float]
    term: Term | None = None
    total: bool = False


def explanation_figure(
    explanation: Explanation, site: str | None = None, *, most: int = 6
) -> Figure:
    """Draw the sum over modes of one site, or of all sites below one another.

    From the target at the baseline each mode moves the sum to the right (orange) or to the left
    (blue), the strongest first, until the target of the input is reached. Bars are labelled with
    their signed amounts; a diamond shows how far the target really falls when the mode is taken
    out. The thumbnails are what pixels add through the mode, smoothed, so that their colours sum to
    its bar, with one scale for a site, which is stated. Modes beyond the `most` strongest are one
    bar. Raises CodeclensError for a site that is not explained, and where there is nothing to draw.
    """
    if site is not None and site not in explanation:
        known = ", ".join(f'"{one}"' for one in explanation)
        raise CodeclensError(f'Site "{site}" is not explained; there are {known}.')
    sites = [explanation[key] for key in (explanation if site is None else [site])]
    if not sites or most < 1:
        raise CodeclensError("There is nothing to draw: no site, or no modes (most < 1).")
    bands = [_rows(explanation, one, most) for one in sites]
    thumbs = any(_is_tall(row) for band in bands for row in band)
    pictured = explanation.picture is not None
    left = _GAP + (_PHOTOGRAPH + _GAP if pictured else 0)
    across = left + (_TALL + _GAP if thumbs else 0) + _LABELS + _AMOUNTS + _BARS + 3 * _GAP
    high = _HEAD + sum(_TITLE + sum(_heights(band)) + _AXIS for band in bands)
    high = max(high, _HEAD + _PHOTOGRAPH + 0.3 + 2 * _KEY if pictured else 0)
    with styled():
        figure = blank(across, high)
        figure.set_layout_engine("none")
        sheet = _Sheet(figure, across, high)
        title = f'Why "{explanation.words}"'
        if explanation.prediction != explanation.words:
            title += f' (the answer is "{explanation.prediction}")'
        figure.text(_GAP / across, 1 - 0.1 / high, title, fontsize=10, fontweight="bold", va="top")
        if pictured:
            _photograph(sheet, explanation, thumbs)
        top = _HEAD
        for one, rows in zip(sites, bands, strict=True):
            top = _band(sheet, explanation, one, rows, left, top, thumbs)
    return figure


@dataclass(frozen=True)
class _Sheet:
    """A figure whose axes are placed in inches from its top left corner."""

    figure: Figure
    across: float
    high: float

    def axes(self, left: float, top: float, across: float, high: float) -> Axes:
        below = self.high - top - high
        return self.figure.add_axes(
            (left / self.across, below / self.high, across / self.across, high / self.high)
        )

    def words(self, left: float, top: float, text: str, **style: Any) -> None:
        x, y = left / self.across, 1 - top / self.high
        self.figure.text(x, y, text, **style)


def _rows(explanation: Explanation, one: SiteExplanation, most: int) -> list[_Row]:
    rows = [_Row("baseline", 0.0, explanation.baseline_target, _GREY, total=True)]
    at = explanation.baseline_target

    def add(label: str, amount: float, term: Term | None = None) -> None:
        nonlocal at
        colour = _GREY if term is None else FOR if amount > 0 else AGAINST
        rows.append(_Row(label, at, amount, colour, term))
        at += amount

    for term in one.terms[:most]:
        add(_label(term), term.contribution, term)
    others = one.terms[most:]
    if others:
        count = f"{len(others)} other mode" + ("s" if len(others) > 1 else "")
        add(count, sum(term.contribution for term in others))
    add("of no mode", one.unexplained)
    if not one.is_cut or abs(one.elsewhere) > 0.005 * abs(one.change):
        add("not through this site", one.elsewhere)
    rows.append(_Row("this input", 0.0, explanation.target, _DARK, total=True))
    return rows


def _label(term: Term) -> str:
    """The mode's number, what it follows, and what it is strongest in where nothing is known."""
    lines = [f"mode {term.mode}"]
    if term.name:
        lines.append(_cut(term.name))
    elif term.shows:
        shown = list(dict.fromkeys(term.shows[:2]))
        lines += ["strongest in", *(_cut(one) + "," * (one != shown[-1]) for one in shown)]
    return "\n".join(lines)


def _cut(text: str, longest: int = 28) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _is_tall(row: _Row) -> bool:
    return row.term is not None and row.term.positive is not None


def _heights(rows: Sequence[_Row]) -> list[float]:
    return [_TALL if _is_tall(row) else _LOW + 0.1 * row.label.count("\n") for row in rows]


def _photograph(sheet: _Sheet, explanation: Explanation, thumbs: bool) -> None:
    pixels = as_pixels(explanation.picture)  # type: ignore[arg-type]
    axes = sheet.axes(_GAP, _HEAD + 0.25, _PHOTOGRAPH, _PHOTOGRAPH)
    axes.imshow(pixels)
    axes.axis("off")
    axes.set_anchor("NW")
    said = f"target {_signed(explanation.target, False)} {explanation.unit}"
    sheet.words(_GAP, _HEAD + 0.2, said, fontsize=8, va="bottom")
    top = _HEAD + 0.45 + _PHOTOGRAPH * min(pixels.shape[0] / pixels.shape[1], 1.0)
    words = ("orange: pixels that add to it", "blue: pixels that take from it")
    for against, text in enumerate(words if thumbs else ()):
        sheet.words(_GAP, top + 0.12, text, fontsize=6.8, va="bottom")
        key = sheet.axes(_GAP, top + 0.15, _PHOTOGRAPH, 0.09)
        key.imshow(colour_ramp(bool(against)), aspect="auto")
        key.axis("off")
        top += _KEY - 0.06
    if thumbs:
        sheet.words(_GAP, top, "from 0 to the full colour of the site", fontsize=6.5, va="bottom")


def _band(
    sheet: _Sheet,
    explanation: Explanation,
    one: SiteExplanation,
    rows: Sequence[_Row],
    left: float,
    top: float,
    thumbs: bool,
) -> float:
    """Draw one site; where the next one begins."""
    maps = [thumbnail_sums(term) for row in rows if (term := row.term) and _is_tall(row)]
    title = f"{one.site}"
    full = 0.0
    if not math.isnan(one.r2):
        title += f"   R² {one.r2:.2f} on held-out samples"
    if maps:
        full = common_scale(maps, smoothing=0)
        title += f"   full colour: {full:.2g} {explanation.unit} per pixel"
    sheet.words(left, top + 0.18, title, fontsize=8.5, va="bottom", fontweight="bold")
    top += _TITLE
    heights = _heights(rows)
    edges = np.concatenate([[0.0], np.cumsum(heights)])
    text = left + (_TALL + _GAP if thumbs else 0)
    bars = sheet.axes(text + _LABELS + _AMOUNTS + 2 * _GAP, top, _BARS, float(edges[-1]))
    for row, start, high in zip(rows, edges, heights, strict=False):
        middle = top + start + high / 2
        sheet.words(text, middle, row.label, fontsize=7.5, va="center", linespacing=1.25)
        amount = _signed(row.start + row.amount if row.total else row.amount, not row.total)
        sheet.words(
            text + _LABELS + _AMOUNTS, middle, amount, fontsize=8, va="center", ha="right",
            color=_ink(row.colour), fontweight="bold" if row.term or row.total else "normal",
        )  # fmt: skip
        if _is_tall(row) and row.term is not None:
            axes = sheet.axes(left, top + start + 0.03, _TALL - 0.06, _TALL - 0.06)
            axes.imshow(_thumbnail(explanation, row.term, full))
            axes.axis("off")
    _bars(bars, rows, (edges[:-1] + edges[1:]) / 2, explanation.unit)
    bars.set_ylim(float(edges[-1]), 0)
    return float(top + edges[-1] + _AXIS)


def _bars(axes: Axes, rows: Sequence[_Row], middles: np.ndarray[Any, Any], unit: str) -> None:
    ends = [value for row in rows for value in (row.start, row.start + row.amount)]
    measured = False
    for number, (row, middle) in enumerate(zip(rows, middles, strict=True)):
        end = row.start + row.amount
        axes.barh(middle, row.amount, height=0.2, left=row.start, color=row.colour, zorder=2)
        if row.term is not None and row.term.effect is not None:
            measured = True
            place = row.start + row.term.effect
            ends.append(place)
            axes.plot([row.start, place], [middle, middle], color="0.3", linewidth=0.8, zorder=3)
            axes.plot(place, middle, marker="D", markersize=3.6, color="white", zorder=4,
                      markeredgecolor="black", markeredgewidth=0.8, linestyle="none")  # fmt: skip
        if number + 1 < len(rows):
            line = [middle, middles[number + 1]]
            axes.plot([end, end], line, color="0.75", linewidth=0.6, zorder=1)
    axes.axvline(0, color="0.4", linewidth=0.7, zorder=1)
    low, high = min(ends), max(ends)
    room = 0.04 * max(high - low, 1e-9)
    axes.set_xlim(low - room, high + room)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    note = "; diamond: its fall when the mode is taken out" if measured else ""
    axes.set_xlabel(f"target ({unit}){note}", fontsize=7, loc="left")


def _thumbnail(explanation: Explanation, term: Term, scale: float) -> np.ndarray[Any, Any]:
    positive, negative = thumbnail_sums(term)
    picture = explanation.picture
    if picture is None:
        picture = np.full((*positive.shape, 3), 200, np.uint8)
    return overlay(picture, positive, negative, scale=scale, smoothing=0).pixels


def thumbnail_sums(term: Term) -> tuple[Tensor, Tensor]:
    """What pixels add to the target through a mode, smoothed, and what they take from it."""
    assert term.positive is not None
    assert term.negative is not None
    net = (term.positive + term.negative).sum(dim=0)
    spread = smooth(net, _SMOOTHING * min(net.shape))
    return spread.clamp(min=0), spread.clamp(max=0)


def _signed(value: float, sign: bool) -> str:
    # A true minus sign, as wide as the plus, and none before a zero.
    value = round(value, 2) + 0.0
    return (f"{value:+.2f}" if sign else f"{value:.2f}").replace("-", "−")


def _ink(colour: Sequence[float]) -> list[float]:
    return [0.8 * part for part in colour]
