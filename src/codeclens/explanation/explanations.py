"""What an explanation is: for each site a sum over modes, as a table, in words and as pictures."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from codeclens.analysis import save_table
from codeclens.errors import CodeclensError
from codeclens.visualization import Exemplar
from codeclens.visualization.canvas import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Term:
    """One mode in the sum: what the target owes to it in this input, and what is known of it.

    `contribution` is signed, in the target's units. `loading` says how strongly the mode is
    present, `name` which classes it follows ("" where none). Where they were asked for, `effect` is
    by how much the target falls when exactly the mode's share is taken out of the activation, and
    `positive` and `negative` `(C, H, W)` are its pixel map, which sums to the contribution;
    `exemplars` are the samples in which it is strongest, and `shows` says what they show: their
    classes, or their keys where these are not known.
    """

    site: str
    mode: int
    name: str
    contribution: float
    loading: float
    effect: float | None = None
    positive: Float[Tensor, "*input"] | None = None
    negative: Float[Tensor, "*input"] | None = None
    exemplars: tuple[Exemplar, ...] = ()
    shows: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The mode's number, and what it follows where that is known."""
        return f"mode {self.mode}" + (f" · {self.name}" if self.name else "")

    def __repr__(self) -> str:
        return f"Term({self.title!r} of {self.site!r}: {self.contribution:+.3g})"


@dataclass(frozen=True, eq=False, repr=False)
class SiteExplanation:
    """The change of the target as a sum over the modes of one site, the strongest first.

    `terms` are all modes that are present. What they leave has two parts: `unexplained` passes
    through the site but belongs to no mode, since no mode has more of a unit than its loading times
    its pattern makes (`mode_shares`); `elsewhere` does not pass through it (0 up to rounding where
    the site `is_cut`, or the method's quadrature error). `r2` is that of all units' contributions
    on samples held out of training (NaN where it was not measured).
    """

    site: str
    is_cut: bool
    change: float
    terms: tuple[Term, ...]
    unexplained: float
    r2: float = float("nan")

    @property
    def explained(self) -> float:
        """What all modes contribute together."""
        return sum(term.contribution for term in self.terms)

    @property
    def elsewhere(self) -> float:
        """What reaches the target without passing through the site."""
        return self.change - self.explained - self.unexplained

    @property
    def remainder(self) -> float:
        """All that is no mode's: `change` = the sum over modes + `remainder`, exactly."""
        return self.change - self.explained

    @property
    def mapped(self) -> tuple[Term, ...]:
        """The modes that have a pixel map."""
        return tuple(term for term in self.terms if term.positive is not None)

    def __repr__(self) -> str:
        return f"SiteExplanation({self.site!r}: {len(self.terms)} modes, change {self.change:+.3g})"


class Explanation(Mapping[str, SiteExplanation]):
    """Why the network gave its output for one input: a mapping from sites to sums over modes.

    `target` and `baseline_target` are T(x) and T(x0), `words` what the target is called,
    `prediction` the class with the largest output, `picture` what the network saw. It draws itself:
    `figure()`, `save(path)` as .png, .svg, .pdf or .html, and as it is in notebooks.
    """

    def __init__(
        self,
        sites: Mapping[str, SiteExplanation],
        *,
        target: float,
        baseline_target: float,
        words: str,
        prediction: str,
        picture: UInt8[np.ndarray, "rows columns 3"] | None = None,
        unit: str = "logits",
    ) -> None:
        self._sites = dict(sites)
        self.target = target
        self.baseline_target = baseline_target
        self.words = words
        self.prediction = prediction
        self.picture = picture
        self.unit = unit

    @property
    def change(self) -> float:
        """T(x) − T(x0), which the sums of all sites share."""
        return self.target - self.baseline_target

    def __getitem__(self, key: str) -> SiteExplanation:
        try:
            return self._sites[key]
        except KeyError:
            known = ", ".join(f'"{site}"' for site in self._sites)
            raise KeyError(f'Site "{key}" is not explained; there are {known}.') from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def table(self) -> list[dict[str, Any]]:
        """One row for each mode of each site and for what they leave, plain numbers."""
        rows: list[dict[str, Any]] = []
        for site, one in self.items():
            rows += [_row(site, term) for term in one.terms]
            left = (("unexplained", one.unexplained), ("elsewhere", one.elsewhere))
            rows += [_rest(site, part, amount) for part, amount in left]
        return rows

    def to_csv(self, path: str | Path) -> Path:
        """Write the table; returns the path."""
        return save_table(path, self.table())

    def sentences(self) -> list[str]:
        """What the explanation says, in words, a sentence or two for each site."""
        words = [
            f'"{self.words}" is {self.target:.2f} {self.unit} for this input and '
            f"{self.baseline_target:.2f} for the baseline."
        ]
        for site, one in self.items():
            if not one.terms:
                words.append(f"{site}: no mode is present.")
                continue
            r2 = "" if math.isnan(one.r2) else f" (their R² on held-out samples is {one.r2:.2f})"
            words.append(
                f"{site}: {len(one.terms)} modes make {one.explained:+.2f}, of "
                f"{one.change:+.2f} in all{r2}; {round(one.unexplained, 2) + 0.0:+.2f} belongs to "
                f"no mode; {_strongest(one.terms)}."
            )
            if abs(one.unexplained) > abs(one.change) / 2:
                words.append(
                    f"{site}: what belongs to no mode is more than half of the change, so these "
                    "modes say little of it."
                )
            if not one.is_cut or abs(one.elsewhere) > 0.005 * abs(one.change):
                words.append(
                    f"{site}: {round(one.elsewhere, 2) + 0.0:+.2f} does not pass through this site."
                )
            told = [term for term in one.terms if term.effect is not None]
            if told:
                strongest = max(told, key=lambda term: abs(term.effect or 0.0))
                words.append(
                    f"{site}: taking out {strongest.title} changes the target by "
                    f"{-(strongest.effect or 0.0):+.2f}."
                )
        return words

    def figure(self, site: str | None = None, *, most: int = 6) -> Figure:
        """The waterfall of one site, or of all of them, with `most` modes one by one."""
        from codeclens.explanation.waterfall import explanation_figure

        return explanation_figure(self, site, most=most)

    def save(self, path: str | Path, site: str | None = None, *, most: int = 6) -> list[Path]:
        """Write the waterfall (.png, .svg, .pdf; PNG and SVG without ending) or a page (.html).

        Returns the paths written. Raises CodeclensError for another ending.
        """
        from codeclens.visualization import save

        ending = Path(path).suffix.lower()
        if ending in (".html", ".htm"):
            return [save_page(self, Path(path), most=most)]
        try:
            return save(self.figure(site, most=most), path)
        except CodeclensError as error:
            raise CodeclensError(f"{error} A page ends in .html; to_csv writes a table.") from None

    def _repr_html_(self) -> str:

        return fragment(self)

    def __repr__(self) -> str:
        return f"Explanation({self.words!r}: {self.change:+.3g} over modes of {', '.join(self)})"


def _row(site: str, term: Term) -> dict[str, Any]:
    keys = [str(one.sample if one.key is None else one.key) for one in term.exemplars]
    return {
        "site": site,
        "part": f"mode {term.mode}",
        "name": term.name,
        "contribution": term.contribution,
        "loading": term.loading,
        "effect": term.effect,
        "shows": ", ".join(term.shows),
        "exemplars": " ".join(keys),
    }


def _rest(site: str, part: str, amount: float) -> dict[str, Any]:
    row = dict.fromkeys(
        ("site", "part", "name", "contribution", "loading", "effect", "shows", "exemplars")
    )
    return row | {"site": site, "part": part, "contribution": amount}


def _strongest(terms: Sequence[Term]) -> str:
    """The strongest mode of each sign, in words."""
    told = []
    for which, sign in (("for", 1), ("against", -1)):
        of_sign = [term for term in terms if sign * term.contribution > 0]
        if of_sign:
            best = max(of_sign, key=lambda term: abs(term.contribution))
            told.append(f"strongest {which} it is {best.title} ({best.contribution:+.2f})")
    return ", ".join(told) or "none of them counts"


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}img{max-width:100%;height:auto}"
)
_TABLE = "border-collapse:collapse;font-size:0.85em;margin:0.8em 0"
_CELL = "padding:0.15em 0.7em;border-bottom:1px solid #ddd;text-align:{}"
# Nothing but what is in the file itself may be shown: no script, no request of any kind.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def save_page(explanation: Explanation, path: Path, *, most: int = 6) -> Path:
    """Write one self-contained HTML file, without scripts; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    title = escape(f"Why {explanation.words}")
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{fragment(explanation, most=most)}</body></html>\n",
        encoding="utf-8",
    )
    return path


def fragment(explanation: Explanation, *, most: int = 6) -> str:
    """The sentences, the waterfall of every site and all numbers, as a piece of HTML."""
    parts = [f"<p>{_minus(escape(sentence))}</p>" for sentence in explanation.sentences()]
    for site, one in explanation.items():
        alt = escape(f"Waterfall over the modes of {site}", quote=True)
        data = base64.b64encode(_png(explanation, site, most)).decode("ascii")
        parts.append(f'<p><img alt="{alt}" src="data:image/png;base64,{data}"></p>')
        rows = [
            (term.title, term.contribution, term.effect, ", ".join(term.shows))
            for term in one.terms
        ]
        rows += [
            ("of no mode", one.unexplained, None, ""),
            ("not through this site", one.elsewhere, None, ""),
            ("sum: T(x) − T(x0)", one.change, None, ""),
        ]
        parts.append(
            _table(("part of " + site, "contribution", "fall without it", "strongest in"), rows)
        )
    return "".join(parts)


def _png(explanation: Explanation, site: str, most: int) -> bytes:
    stream = io.BytesIO()
    figure = explanation.figure(site, most=most)
    with styled():
        figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()


def _table(heads: tuple[str, ...], rows: list[tuple[str, float, float | None, str]]) -> str:
    left, right = _CELL.format("left"), _CELL.format("right")
    styles = (left, right, right, left)
    head = "".join(
        f'<th style="{style}">{escape(name)}</th>'
        for name, style in zip(heads, styles, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{style}">{_written(cell)}</td>'
            for cell, style in zip(row, styles, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table style="{_TABLE}"><tr>{head}</tr>{body}</table>'


def _written(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return "–" if cell is None else _minus(f"{cell:+.3f}")


def _minus(text: str) -> str:
    """True minus signs before numbers."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)
