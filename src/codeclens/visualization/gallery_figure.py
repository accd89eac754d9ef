"""The figure of a mode in a gallery: where it acts in its strongest samples, and other samples."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError, require_number
from codeclens.visualization.canvas import MODE, blank, styled
from codeclens.visualization.fields import Box
from codeclens.visualization.galleries import Exemplar, Gallery
from codeclens.visualization.overlays import Picture, as_pixels
from codeclens.visualization.place_maps import common_place_scale, draw_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches: narrow enough to be read on a telephone.
_ACROSS, _GAP, _TITLE, _LINE, _HEADING, _CAPTION, _BARS = 5.2, 0.06, 0.34, 0.155, 0.19, 0.15, 1.15
_WHAT = {
    "strongest": "most active in (loading)",
    "maps": "where it acts in these: the outline holds half of its contribution",
    "crops": "the outlined regions",
    "diverse": "active in, and as different as possible (loading)",
    "typical": "typical: loadings near the median",
    "near misses": "near misses: inactive, contributions most similar (cosine)",
    "negatives": "inactive in",
}
KINDS = ("strongest", "maps", "crops", "diverse", "typical", "near misses")


def gallery_figure(
    gallery: Gallery,
    mode: int,
    pictures: Mapping[int, Picture],
    *,
    maps: Mapping[int, Float[np.ndarray, "row column"]] | None = None,
    boxes: Mapping[int, Box] | None = None,
    captions: Mapping[int, str] | None = None,
    loadings: Float[np.ndarray, " sample"] | None = None,
    name: str = "",
    facts: Sequence[str] = (),
    kinds: Sequence[str] = KINDS,
    count: int = 6,
    unit: str = "logits",
) -> Figure:
    """Draw the samples that show a mode and those that do not: `count` pictures of each kind.

    `pictures` maps rows of the modes' samples to what the network saw, `maps` to the mode's place
    maps (`place_maps`) and `boxes` to crops of the strongest samples. One scale of colour serves
    all maps. `captions` name samples, `loadings` `(N,)` of the mode give a histogram, `facts` are
    lines below the title. Bars count the classes in whose samples the mode is active. Raises
    CodeclensError for pictures that are missing, and for an unknown kind.
    """
    require_number("count", count, least=1, whole=True)
    rows = _rows(gallery, mode, kinds, count, maps, boxes)
    shown = {one.sample for _, found in rows for one in found}
    missing = sorted(shown - set(pictures))
    if missing:
        raise CodeclensError(
            f"{len(missing)} of {len(shown)} pictures are missing (first: row {missing[0]}); pass "
            "those of gallery.samples()."
        )
    classes = gallery.top_classes(mode, 6)
    lines = [line for fact in facts for line in textwrap.wrap(fact, 92)]
    tile = (_ACROSS - _GAP) / count - _GAP
    heights = [_HEADING + tile + (_CAPTION if _is_captioned(kind) else 0.04) for kind, _ in rows]
    charts = _BARS + 0.22 if classes or loadings is not None else 0.0
    high = _TITLE + _LINE * len(lines) + sum(heights) + charts
    with styled():
        figure = blank(_ACROSS, high)
        figure.set_layout_engine("none")

        def words(left: float, top: float, text: str, **given: Any) -> None:
            style: dict[str, Any] = {"va": "top", "fontsize": 7.5, **given}
            figure.text(left / _ACROSS, 1 - top / high, text, **style)

        def axes_at(left: float, top: float, across: float, tall: float) -> Axes:
            return figure.add_axes(
                (left / _ACROSS, 1 - (top + tall) / high, across / _ACROSS, tall / high)
            )

        title = f"{gallery.site}, mode {mode}" + (f": {name}" if name else "")
        words(_GAP, 0.08, title, fontsize=10, fontweight="bold")
        for place, line in enumerate(lines):
            words(_GAP, _TITLE + _LINE * place, line, fontsize=7)
        top = _TITLE + _LINE * len(lines)
        scale = _scale(rows, pictures, maps)
        for (kind, found), tall in zip(rows, heights, strict=True):
            words(_GAP, top + 0.04, _heading(kind, found, pictures, maps, scale, unit), fontsize=7)
            for place, one in enumerate(found):
                left = _GAP + place * (tile + _GAP)
                axes = axes_at(left, top + _HEADING, tile, tile)
                _draw(axes, kind, one, pictures, maps, boxes, scale)
                if _is_captioned(kind):
                    text = _caption(kind, one, captions, 15 if count > 5 else 20)
                    words(left, top + _HEADING + tile + 0.02, text, fontsize=5.8)
            top += tall
        if classes:
            _class_bars(axes_at(1.35, top + 0.22, 1.0, 0.17 * len(classes)), classes)
            words(_GAP, top + 0.05, "active in the samples of", fontsize=7)
        if loadings is not None:
            _histogram(axes_at(3.2, top + 0.22, 1.85, _BARS - 0.25), loadings)
            words(3.2, top + 0.05, "samples by loading (0 omitted)", fontsize=7)
    return figure


def _rows(
    gallery: Gallery,
    mode: int,
    kinds: Sequence[str],
    count: int,
    maps: Mapping[int, Any] | None,
    boxes: Mapping[int, Box] | None,
) -> list[tuple[str, list[Exemplar]]]:
    """The kinds in their order with their samples, without those that have none."""
    strange = [kind for kind in kinds if kind not in _WHAT]
    if strange:
        raise CodeclensError(f'There is no kind "{strange[0]}"; choose among {", ".join(_WHAT)}.')
    found = {kind: samples[:count] for kind, samples in gallery[mode].items()}
    for kind, known in (("maps", maps), ("crops", boxes)):
        found[kind] = [one for one in found["strongest"] if known and one.sample in known]
    return [(kind, found[kind]) for kind in kinds if found.get(kind)]


def _is_captioned(kind: str) -> bool:
    return kind not in ("maps", "crops")


def _scale(
    rows: Sequence[tuple[str, list[Exemplar]]],
    pictures: Mapping[int, Picture],
    maps: Mapping[int, Float[np.ndarray, "row column"]] | None,
) -> float:
    mapped = [one.sample for kind, found in rows if kind == "maps" for one in found]
    if maps is None or not mapped:
        return 0.0
    return common_place_scale([maps[row] for row in mapped], as_pixels(pictures[mapped[0]]).shape)


def _heading(
    kind: str,
    found: Sequence[Exemplar],
    pictures: Mapping[int, Picture],
    maps: Mapping[int, Float[np.ndarray, "row column"]] | None,
    scale: float,
    unit: str,
) -> str:
    if kind != "maps" or maps is None:
        return _WHAT[kind]
    first = found[0].sample
    shape = as_pixels(pictures[first]).shape
    cell = scale * shape[0] * shape[1] / maps[first].size
    return f"{_WHAT[kind]}; full colour: {cell:.2g} {unit} a place"


def _draw(
    axes: Axes,
    kind: str,
    one: Exemplar,
    pictures: Mapping[int, Picture],
    maps: Mapping[int, Float[np.ndarray, "row column"]] | None,
    boxes: Mapping[int, Box] | None,
    scale: float,
) -> None:
    picture = as_pixels(pictures[one.sample])
    axes.axis("off")
    if kind == "maps" and maps is not None:
        draw_places(axes, picture, maps[one.sample], scale, width=0.9)
    else:
        cut = kind == "crops" and boxes is not None
        axes.imshow(picture[boxes[one.sample].slices] if cut and boxes is not None else picture)


def _caption(kind: str, one: Exemplar, captions: Mapping[int, str] | None, longest: int) -> str:
    number = "" if kind == "negatives" else f"{one.loading:.2g} "
    named = "" if captions is None else captions.get(one.sample, "")
    return number + (named if len(named) <= longest else named[: longest - 1] + "…")


def _class_bars(axes: Axes, classes: Sequence[tuple[str, int, float]]) -> None:
    names = [name if len(name) <= 22 else name[:21] + "…" for name, _, _ in classes]
    places = np.arange(len(classes))
    axes.barh(places, [share for _, _, share in classes], color=MODE, height=0.6)
    axes.set_yticks(places, names, fontsize=6.5)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.grid(False)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, pad=1)
    axes.spines[:].set_visible(False)
    for place, (_, count, share) in zip(places, classes, strict=True):
        text = f"{count} ({share:.0%})"
        axes.annotate(text, (share, place), xytext=(3, 0), textcoords="offset points",
                      va="center", fontsize=6.2)  # fmt: skip


def _histogram(axes: Axes, loadings: Float[np.ndarray, " sample"]) -> None:
    active = np.asarray(loadings)[np.asarray(loadings) > 0]
    axes.hist(active, bins=24, color=MODE, log=len(active) > 50)
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.set_ylabel("samples", fontsize=6.2, labelpad=1)
