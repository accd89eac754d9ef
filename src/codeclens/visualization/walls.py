"""Walls: a mode's gallery as one sheet, with maps, crops and the classes that show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.visualization.canvas import blank, styled
from codeclens.visualization.exemplars import Exemplar
from codeclens.visualization.fields import Box
from codeclens.visualization.galleries import Gallery
from codeclens.visualization.images import (
    FOR,
    Picture,
    Values,
    as_pixels,
    common_scale,
    overlay,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches: a picture, the words on the left, the classes below, the title.
_TILE, _WORDS, _CLASSES, _TITLE = 1.0, 1.15, 0.2, 0.4
_CAPTION = 0.17
_WHAT = {
    "strongest": "strongest",
    "maps": "where it looks\nin these",
    "crops": "what it sees\nof these",
    "diverse": "strong and\ndifferent",
    "typical": "typical",
    "near misses": "near misses\n(absent; cosine)",
    "negatives": "absent",
}


def gallery_figure(
    gallery: Gallery,
    mode: int,
    pictures: Mapping[int, Picture],
    *,
    maps: Mapping[int, tuple[Values, Values]] | None = None,
    boxes: Mapping[int, Box] | None = None,
    name: str = "",
    count: int = 6,
    unit: str = "logits",
) -> Figure:
    """Draw what shows a mode and what does not: a row of `count` pictures for each kind.

    `pictures` maps rows to what the network saw, `maps` to pixel maps through the mode and `boxes`
    to crops (see `pixel_map` and `crop_boxes`), which stand below the strongest samples; the scale
    of the maps is stated. Captions are loadings (the cosine for near misses), and bars count the
    classes in whose samples the mode is present. Raises CodeclensError for pictures that are
    missing.
    """
    if count < 1:
        raise CodeclensError(f"count (={count}) pictures of each kind are none; pass 1 or more.")
    kinds = {kind: found[:count] for kind, found in gallery[mode].items()}
    shown = {one.sample for found in kinds.values() for one in found}
    missing = sorted(shown - set(pictures))
    if missing:
        raise CodeclensError(
            f"{len(missing)} of {len(shown)} pictures are missing (first: row {missing[0]}); pass "
            "those of gallery.samples()."
        )
    strongest = kinds["strongest"]
    rows = [("strongest", strongest)]
    if maps is not None:
        rows.append(("maps", [one for one in strongest if one.sample in maps]))
    if boxes is not None:
        rows.append(("crops", [one for one in strongest if one.sample in boxes]))
    rows += [(kind, found) for kind, found in kinds.items() if kind != "strongest"]
    rows = [(kind, found) for kind, found in rows if found]
    pairs = [maps[one.sample] for one in strongest if maps is not None and one.sample in maps]
    scale = common_scale(pairs)
    classes = gallery.top_classes(mode, 6)
    across = _WORDS + count * (_TILE + 0.06)
    high = _TITLE + len(rows) * (_TILE + _CAPTION + 0.06) + 0.35 + _CLASSES * len(classes)
    with styled():
        figure = blank(across, high)
        figure.set_layout_engine("none")

        def words(left: float, top: float, text: str, **given: Any) -> None:
            style: dict[str, Any] = {"va": "top", "fontsize": 7.5, **given}
            figure.text(left / across, 1 - top / high, text, **style)

        title = f"{gallery.site}, mode {mode}" + (f": {name}" if name else "")
        words(0.08, 0.1, title, fontsize=10, fontweight="bold")
        top = _TITLE
        for kind, found in rows:
            note = ""
            if kind == "maps":
                note = "\norange: for it\nblue: against it\nfull colour:"
                note += f"\n{scale:.1g} {unit} a pixel"
            words(0.08, top + 0.05, _WHAT[kind] + note, linespacing=1.3)
            for place, one in enumerate(found):
                left = _WORDS + place * (_TILE + 0.06)
                axes = figure.add_axes(
                    (left / across, 1 - (top + _TILE) / high, _TILE / across, _TILE / high)
                )
                axes.imshow(_tile(kind, one, pictures, maps, boxes, scale))
                axes.axis("off")
                if kind not in ("maps", "crops", "negatives"):
                    words(left, top + _TILE + 0.03, f"{one.loading:.2f}", fontsize=6.5)
            top += _TILE + _CAPTION + 0.06
        if classes:
            words(0.08, top + 0.12, "present in")
            _class_bars(figure, gallery, classes, top + 0.1, across, high)
    return figure


def _tile(
    kind: str,
    one: Exemplar,
    pictures: Mapping[int, Picture],
    maps: Mapping[int, tuple[Values, Values]] | None,
    boxes: Mapping[int, Box] | None,
    scale: float,
) -> np.ndarray[Any, Any]:
    picture = as_pixels(pictures[one.sample])
    if kind == "maps" and maps is not None:
        return overlay(picture, *maps[one.sample], scale=scale).pixels
    if kind == "crops" and boxes is not None:
        return picture[boxes[one.sample].slices]
    return picture


def _class_bars(
    figure: Figure,
    gallery: Gallery,
    classes: list[tuple[str, int, float]],
    top: float,
    across: float,
    high: float,
) -> None:
    size = _CLASSES * len(classes)
    left, wide = _WORDS + 1.3, across - _WORDS - 1.3 - 1.2
    axes = figure.add_axes((left / across, 1 - (top + size) / high, wide / across, size / high))
    names = [name if len(name) <= 24 else name[:23] + "…" for name, _, _ in classes]
    places = np.arange(len(classes))
    axes.barh(places, [share for _, _, share in classes], color=FOR, height=0.6)
    axes.set_yticks(places, names, fontsize=7)
    axes.set_xlim(0, 1.3)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    for place, (_, count, share) in zip(places, classes, strict=True):
        plural = "" if count == 1 else "s"
        text = f"{count} sample{plural}, {share:.0%} of the class"
        axes.annotate(text, (share, place), xytext=(4, 0), textcoords="offset points",
                      va="center", fontsize=6.5)  # fmt: skip
