"""Lettering: text of figures in every script, without control characters, and as it is written."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from codeclens.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_log = logging.getLogger("codeclens")
_SANS = "sans-serif"
# Fonts that are tried first, by the beginnings of their names; all others follow.
_FIRST = (
    "Noto Sans", "Source Han Sans", "WenQuanYi", "Droid Sans Fallback", "Hiragino Sans", "PingFang",
    "Microsoft YaHei", "SimHei", "Yu Gothic", "Meiryo", "Malgun Gothic", "Nirmala", "Arial Unicode",
    "Segoe UI", "Noto", "FreeSans", "Unifont",
)  # fmt: skip
# Fonts that have a box for every character.
_EMPTY = ("LastResort", "Adobe Blank", ".LastResort")
_told: set[str] = set()


@cache
def legible_figure() -> type[Figure]:
    """The class of all figures: matplotlib's, whose text is made legible before it is drawn."""
    from matplotlib.figure import Figure

    class LegibleFigure(Figure):
        """A matplotlib figure whose text is made legible before it is drawn or measured."""

        def draw(self, renderer: Any) -> None:
            """Draw the figure."""
            make_legible(self)
            with _without_repetition():
                super().draw(renderer)

        def get_tightbbox(self, *given: Any, **named: Any) -> Any:
            """The box around everything that is drawn."""
            with _without_repetition():
                return super().get_tightbbox(*given, **named)

        def _repr_png_(self) -> bytes:
            """The picture, for notebooks: they draw foreign figures only where pyplot is loaded."""
            data = io.BytesIO()
            self.savefig(data, format="png", dpi=100, bbox_inches="tight")
            return data.getvalue()

    return LegibleFigure


def make_legible(figure: Figure) -> None:
    """Change the text of a figure so that names from data are shown as they are.

    Control and direction characters become escapes, a dollar sign begins no formula, and
    characters that the usual font lacks are drawn in the fonts of this machine that have them.
    What no font has is drawn as a box, and logged once.
    """
    from matplotlib.text import Text

    # First, since tick labels are made by their axis and are among the texts afterwards.
    named: list[tuple[Any, Any]] = [
        (axes, which)
        for axes in figure.axes
        for which in ("x", "y")
        if _name_ticks(getattr(axes, f"{which}axis"))
    ]
    texts: list[Any] = figure.findobj(Text)
    for text in texts:
        text.set_text(_shown(text.get_text()))
    missing = _lacking("".join(text.get_text() for text in texts))
    if not missing:
        return
    family = [_SANS, *_families(frozenset(missing))]
    for text in texts:
        if missing & set(text.get_text()):
            text.set_fontfamily(family)
    for axes, which in named:
        axes.tick_params(axis=which, labelfontfamily=family)


class _Named:
    """The labels of an axis whose ticks have names, as `make_legible` shows them."""

    def __init__(self, names: Any) -> None:
        self.names = names

    def __call__(self, value: float, place: int | None = None) -> str:
        return _shown(str(self.names(value, place)))


def _name_ticks(axis: Any) -> bool:
    """Show the names of an axis's ticks legibly; whether they have names."""
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    labels = axis.get_major_formatter()
    if not isinstance(labels, FixedFormatter | FuncFormatter):
        return False
    if not isinstance(getattr(labels, "func", None), _Named):
        axis.set_major_formatter(FuncFormatter(_Named(labels)))
    axis.get_ticklabels()  # makes them
    return True


def _shown(text: str) -> str:
    text = visible(text, keep="\n")
    # matplotlib's own numbers are formulas; a dollar sign that is escaped already stays so.
    if "$" not in text or r"\mathdefault" in text:
        return text
    return text.replace(r"\$", "$").replace("$", r"\$")


def _lacking(text: str) -> set[str]:
    """The characters that the usual font lacks."""
    from matplotlib.font_manager import FontProperties, findfont

    usual = _characters(str(findfont(FontProperties(family=[_SANS]))))
    return {one for one in set(text) if ord(one) not in usual and not one.isspace()}


@cache
def _families(missing: frozenset[str]) -> tuple[str, ...]:
    """The names of installed fonts that together have these characters, as far as there are any."""
    left = {ord(one) for one in missing}
    found: list[str] = []
    for name, path in _candidates():
        if left & _characters(path):
            found.append(name)
            left -= _characters(path)
        if not left:
            break
    unknown = "".join(sorted(map(chr, left)))
    if left and not set(unknown) <= _told:
        _told.update(unknown)
        _log.warning(
            "No font of this machine has %d of the characters in a figure (%s); they are drawn as "
            "boxes. Fonts of the Noto family have them.", len(left), unknown[:12],
        )  # fmt: skip
    return tuple(found)


def _candidates() -> Iterator[tuple[str, str]]:
    """Names and files of the installed regular fonts, the likely ones first."""
    from matplotlib.font_manager import fontManager

    def rank(name: str) -> tuple[int, str]:
        place = (i for i, begin in enumerate(_FIRST) if name.startswith(begin))
        return next(place, len(_FIRST)), name

    seen: dict[str, str] = {}
    for entry in fontManager.ttflist:
        regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
        if regular and not entry.name.startswith(_EMPTY):
            seen.setdefault(entry.name, str(entry.fname))
    for name in sorted(seen, key=rank):
        yield name, seen[name]


@cache
def _characters(path: str) -> frozenset[int]:
    """The characters that a font has; none where it cannot be read."""
    from matplotlib.font_manager import get_font

    try:
        found: Iterable[int] = get_font(path).get_charmap()
        return frozenset(int(code) for code in found)
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@contextmanager
def _without_repetition() -> Iterator[None]:
    """Missing characters have been logged; matplotlib would warn for each, at each drawing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"(?s)Glyph .* missing from")
        yield
