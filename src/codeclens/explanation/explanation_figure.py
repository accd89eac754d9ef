"""The figure of an explanation: each mode with its place map, its effect and its contribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError, unknown
from codeclens.explanation.sums import USUALLY, SiteExplanation, SumsOverModes, Term
from codeclens.visualization.canvas import blank, styled
from codeclens.visualization.overlays import (
    AGAINST,
    FOR,
    as_pixels,
    common_scale,
    overlay,
    smooth,
)
from codeclens.visualization.place_maps import as_plane, common_place_scale, draw_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GREY = (0.62, 0.64, 0.67)
# Inches: narrow enough to be read on a telephone. Rows with a map and without one, the title of a
# site, its axis; the photograph; columns of labels, of numbers and of bars.
_ACROSS, _TALL, _LOW, _TITLE, _AXIS = 5.2, 1.02, 0.3, 0.3, 0.36
_PHOTOGRAPH, _LABELS, _NUMBERS, _GAP = 1.5, 1.3, 0.4, 0.08
# The face of a mode.
_FACE = 0.72
# Characters of a line of a name.
_LONGEST = 22
# Neighbouring pixels push a mode up and down in turns. What is drawn is their sum, spread over this
# share of the shorter side, so that the colours of a pixel map add up to the contribution.
_SMOOTHING = 1 / 24


@dataclass(frozen=True)
class _Row:
    """One part of the sum: its label, its contribution, and the mode that it is, if it is one."""

    label: str
    contribution: float
    term: Term | None = None
    sum: bool = False


@dataclass(frozen=True)
class _Sheet:
    """A figure whose axes are placed in inches from its top left corner."""

    figure: Figure
    high: float

    def axes(self, left: float, top: float, across: float, high: float) -> Axes:
        below = self.high - top - high
        return self.figure.add_axes(
            (left / _ACROSS, below / self.high, across / _ACROSS, high / self.high)
        )

    def words(self, left: float, top: float, text: str, **style: Any) -> None:
        given: dict[str, Any] = {"fontsize": 7.5, "va": "center", **style}
        self.figure.text(left / _ACROSS, 1 - top / self.high, text, **given)


def explanation_figure(
    explanation: SumsOverModes, site: str | None = None, *, most: int | None = None
) -> Figure:
    """Draw the modes of one site, or of all sites below one another, the largest effect first.

    For each mode: its place map, with the outline of the region that holds half of its
    contribution; its face, if it has one; its number and name; a thick bar for its measured effect
    and a thin one for its contribution, both to the right where the mode supports the target
    (orange), to the left where
    it opposes it (blue). One scale of colour serves all maps of a site. Modes beyond the first
    `most` (as many as were asked for in `explain`) are one row, and the last rows complete the sum.
    Raises CodeclensError for a site that is
    not explained, and where there is nothing to draw.
    """
    if site is not None and site not in explanation:
        raise unknown("site", site, explanation, "The explanation has")
    sites = [explanation[key] for key in (explanation if site is None else [site])]
    if not sites or (most is not None and most < 1):
        raise CodeclensError("There is nothing to draw: no site, or no modes (most < 1).")
    bands = [_rows(one, one.shown if most is None else most) for one in sites]
    pictured = explanation.picture is not None
    head = _PHOTOGRAPH + 0.15 if pictured else 0.85
    high = head + sum(_TITLE + sum(_heights(band, pictured)) + _AXIS for band in bands)
    with styled():
        figure = blank(_ACROSS, high)
        figure.set_layout_engine("none")
        sheet = _Sheet(figure, high)
        _heading(sheet, explanation, bands)
        top = head
        for one, rows in zip(sites, bands, strict=True):
            top = _band(sheet, explanation, one, rows, top)
    return figure


def _rows(one: SiteExplanation, most: int) -> list[_Row]:
    rows = [_Row(_label(term), term.contribution, term) for term in one.terms[:most]]
    others = one.terms[most:]
    if others:
        count = f"{len(others)} other mode" + ("s" if len(others) > 1 else "")
        rows.append(_Row(count, sum(term.contribution for term in others)))
    rows += [_Row(name, amount) for name, amount in one.parts]
    return [*rows, _Row("sum = change", one.change, sum=True)]


def _label(term: Term) -> str:
    """The mode's number and name, and in what it is most active where it has no name."""
    lines = [f"mode {term.mode}", *_lines(term.called)]
    if not term.name and not term.usually and term.shows:
        shown = list(dict.fromkeys(term.shows[:2]))
        lines += ["most active in", *(_cut(one) + "," * (one != shown[-1]) for one in shown)]
    return "\n".join(lines)


def _lines(name: str) -> list[str]:
    """A name, in two lines where it is long and made of two."""
    first, _, second = name.partition(" or ")
    if len(name) <= _LONGEST:
        return [name]
    if second:
        return [_cut(first), _cut(f"or {second}")]
    usual = name.removeprefix(USUALLY)
    return [_cut(name)] if usual == name else [USUALLY.rstrip(), _cut(usual)]


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plane(term: Term | None) -> Float[np.ndarray, "row column"] | None:
    return None if term is None or term.places is None else as_plane(term.places)


def _heights(rows: Sequence[_Row], pictured: bool) -> list[float]:
    return [
        _TALL
        if pictured and _plane(row.term) is not None
        else _FACE + 0.08
        if row.term is not None and row.term.face is not None
        else _LOW + 0.11 * row.label.count("\n")
        for row in rows
    ]


def _heading(sheet: _Sheet, explanation: SumsOverModes, bands: Sequence[Sequence[_Row]]) -> None:
    """The photograph, the question, the answer, and what the bars and outlines mean."""
    left = _GAP
    if explanation.picture is not None:
        axes = sheet.axes(_GAP, 0.08, _PHOTOGRAPH, _PHOTOGRAPH - 0.05)
        axes.imshow(as_pixels(explanation.picture))
        axes.axis("off")
        axes.set_anchor("NW")
        left += _PHOTOGRAPH + 0.12
    title = f'Why "{_cut(explanation.words, 34)}"'
    sheet.words(left, 0.18, title, fontsize=10, fontweight="bold")
    top = 0.37
    if explanation.prediction != explanation.words:
        sheet.words(left, top, f'the answer is "{_cut(explanation.prediction, 40)}"')
        top += 0.17
    rise = f"{_signed(explanation.baseline_target, False)} at the baseline"
    sheet.words(left, top, f"{_signed(explanation.target, False)} {explanation.unit} here, {rise}")
    terms = [row.term for rows in bands for row in rows if row.term is not None]
    key = [(0.1, "measured effect: the fall without the mode", False)]
    if all(term.effect is None for term in terms):
        key = []
    key.append((0.045, "contribution: its part of the exact sum", False))
    if explanation.picture is not None and any(_plane(term) is not None for term in terms):
        key.append((0.1, "region with half of its contribution", True))
    for place, (size, words, outlined) in enumerate(key):
        middle = top + 0.25 + 0.18 * place
        for shift, colour in ((0.0, FOR), (0.17, AGAINST)):
            swatch = sheet.axes(left + shift, middle - size / 2, 0.15, size)
            shade = (1.0, 1.0, 1.0) if outlined else _bar_colour(colour, size > 0.05)
            # Painted: a page makes the ground of axes transparent.
            swatch.axhspan(0, 1, facecolor=shade)
            swatch.set_ylim(0, 1)
            swatch.set_xticks([])
            swatch.set_yticks([])
            swatch.spines[:].set_visible(outlined)
            swatch.spines[:].set_color(colour)
        sheet.words(left + 0.4, middle, words, fontsize=7)
    colours = "orange supports it, blue opposes it"
    if any(term.face is not None for term in terms):
        colours += "; beside a map: a picture\nmade to drive the mode"
    sheet.words(left, top + 0.19 + 0.18 * len(key), colours, fontsize=7, va="top")


def _band(
    sheet: _Sheet,
    explanation: SumsOverModes,
    one: SiteExplanation,
    rows: Sequence[_Row],
    top: float,
) -> float:
    """Draw one site; returns where the next one begins."""
    picture = explanation.picture
    planes = [plane for row in rows if (plane := _plane(row.term)) is not None]
    mapped = picture is not None and bool(planes)
    full = common_place_scale(planes, picture.shape) if picture is not None and mapped else 0.0
    title = one.site + ("" if math.isnan(one.r2) else f"   held-out R² {one.r2:.2f}")
    sheet.words(_GAP, top + 0.17, title, fontsize=8.5, fontweight="bold")
    if planes and mapped:
        # A pixel's share says nothing to a reader; the share of a place is of the map's own grain.
        cell = full * picture.shape[0] * picture.shape[1] / planes[0].size  # type: ignore[union-attr]
        note = f"full colour: {cell:.2g} {explanation.unit} a place"
        sheet.words(_ACROSS - _GAP, top + 0.17, note, fontsize=6.8, ha="right")
    top += _TITLE
    heights = _heights(rows, picture is not None)
    edges = np.concatenate([[0.0], np.cumsum(heights)])
    faces = _GAP + (_TALL + _GAP if mapped else 0)
    faced = any(row.term is not None and row.term.face is not None for row in rows)
    text = faces + (_FACE + _GAP if faced else 0)
    numbers = text + _LABELS + _NUMBERS
    bars = sheet.axes(numbers + _GAP, top, _ACROSS - numbers - 2 * _GAP, float(edges[-1]))
    for row, start, high in zip(rows, edges, heights, strict=False):
        middle = top + start + high / 2
        bold = "bold" if row.sum else "normal"
        sheet.words(text, middle, row.label, linespacing=1.25, fontweight=bold)
        for amount, shift, heavy in _amounts(row):
            sheet.words(
                numbers, middle + shift, _signed(amount), fontsize=8 if heavy else 7, ha="right",
                color=_ink(amount), fontweight="bold" if heavy else "normal",
            )  # fmt: skip
        plane = _plane(row.term)
        if picture is not None and plane is not None:
            side = _TALL - 0.06
            draw_places(sheet.axes(_GAP, top + start + 0.03, side, side), picture, plane, full)
        if row.term is not None and row.term.face is not None:
            side = min(_FACE, high - 0.06)
            face = sheet.axes(faces, middle - side / 2, side, side)
            face.imshow(row.term.face)
            face.axis("off")
    _bars(bars, rows, (edges[:-1] + edges[1:]) / 2, explanation.unit)
    bars.set_ylim(float(edges[-1]), 0)
    return float(top + edges[-1] + _AXIS)


def _amounts(row: _Row) -> list[tuple[float, float, bool]]:
    """What is written and drawn in a row: the amount, how far below the middle, how heavily."""
    if row.term is None or row.term.effect is None:
        return [(row.contribution, 0.0, row.sum)]
    return [(row.term.effect, -0.075, True), (row.contribution, 0.085, False)]


def _bars(axes: Axes, rows: Sequence[_Row], middles: np.ndarray[Any, Any], unit: str) -> None:
    ends = [0.0]
    for row, middle in zip(rows, middles, strict=True):
        for amount, shift, heavy in () if row.sum else _amounts(row):
            colour = _GREY if row.term is None else FOR if amount > 0 else AGAINST
            axes.barh(middle + shift, amount, height=0.13 if heavy else 0.06,
                      color=_bar_colour(colour, heavy), zorder=2)  # fmt: skip
            ends.append(amount)
    axes.axvline(0, color="0.4", linewidth=0.7, zorder=1)
    axes.axhline(middles[-1] - _LOW / 2, color="0.75", linewidth=0.6, zorder=1)
    room = 0.06 * max(max(ends) - min(ends), 1e-9)
    axes.set_xlim(min(ends) - room, max(ends) + room)
    axes.locator_params(axis="x", nbins=4)
    axes.set_yticks([])
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="x", labelsize=6.5, length=2, pad=1.5)
    axes.set_xlabel(unit, fontsize=6.5, labelpad=1, loc="right")


def pixel_figure(explanation: SumsOverModes, one: SiteExplanation) -> Figure:
    """Draw the pixel maps of a site's modes side by side, with one scale, which is stated."""
    shown = one.mapped
    maps = [net_map(term) for term in shown]
    full = common_scale(maps, smoothing=0)
    across = min(len(shown), 4)
    with styled():
        figure = blank(_ACROSS, -(-len(shown) // across) * (_ACROSS / across + 0.32) + 0.3)
        grid = figure.subplots(-(-len(shown) // across), across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, term, pair in zip(grid.flat, shown, maps, strict=False):
            picture = explanation.picture
            if picture is None:
                picture = np.full((*pair[0].shape, 3), 200, np.uint8)
            axes.imshow(overlay(picture, *pair, scale=full, smoothing=0).pixels)
            title = f"mode {term.mode}, {_signed(term.contribution)}"
            axes.set_title(title, fontsize=7.5, fontweight="normal", pad=2)
        note = f"orange supports, blue opposes; full colour: {full:.2g} {explanation.unit} a pixel"
        figure.supxlabel(note, fontsize=7)
    return figure


def net_map(term: Term) -> tuple[Tensor, Tensor]:
    """What pixels add to the target through a mode, smoothed, and what they take from it."""
    assert term.pixels is not None
    net = term.pixels.sum(dim=0)
    spread_out = smooth(net, _SMOOTHING * min(net.shape))
    return spread_out.clamp(min=0), spread_out.clamp(max=0)


def _signed(value: float, sign: bool = True) -> str:
    # A true minus sign, as wide as the plus, and none before a zero.
    value = round(value, 2) + 0.0
    return (f"{value:+.2f}" if sign else f"{value:.2f}").replace("-", "−")


def _bar_colour(colour: Sequence[float], heavy: bool) -> tuple[float, float, float]:
    red, green, blue = (part if heavy else 1 - 0.55 * (1 - part) for part in colour)
    return red, green, blue


def _ink(amount: float) -> list[float]:
    return [0.8 * part for part in (FOR if amount > 0 else AGAINST)]
