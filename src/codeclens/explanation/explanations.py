"""What an explanation is: for each site a sum over modes, as a table, in words and as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import CodeclensError, counted
from codeclens.explanation.explanation_figure import explanation_figure, pixel_figure
from codeclens.explanation.sums import Reading, SiteExplanation, SumsOverModes, Term
from codeclens.labelled import Labelled, columns_of, labels, node_name, save_table
from codeclens.pages import Figure, Image, MarkedText, Page, Part, Points, Section, Table, Text
from codeclens.pages.document import Block
from codeclens.pages.notebook import bundle_of
from codeclens.pages.words import Cell, listed, plain
from codeclens.visualization.canvas import save
from codeclens.visualization.place_maps import as_plane

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure as Drawing

_COLUMNS = (
    *("site", "part", "name", "measured_effect", "contribution", "alone", "loading"),
    *("shows", "exemplars"),
)
_WHY: dict[Reading, str] = {
    "backup": "its measured effect is less than half of its contribution, yet kept alone it makes "
    "more than half of it: other modes make up for it (backup)",
    "saturation": "its measured effect is less than half of its contribution: it contributed on "
    "the path from the baseline, but at the input the target is saturated",
    "dependence": "its measured effect is more than twice its contribution: what other modes "
    "contribute depends on it",
    "opposite": "its measured effect and its contribution have different signs: what it adds on "
    "the path from the baseline is not what its removal costs at the input",
}
DEFINITIONS = (
    "Contribution: the mode's part of the change of the target from the baseline to the input; the "
    "contributions of all modes and the parts in no mode sum to that change.",
    "Measured effect: by how much the target falls when exactly the mode is removed from the "
    "activation, all else left alone.",
    "Place map: the mode's contribution at each place of the site; the outlined region holds half "
    "of it.",
)


class Explanation(Labelled, SumsOverModes):
    """Why the network gave its output for one input: a mapping from sites to sums over modes.

    `target` and `baseline_target` are T(x) and T(x0), `words` is the target's name, `prediction`
    the class with the largest output, `picture` what the network saw. It draws itself: `figure()`,
    `save(path)` as .png, .svg, .pdf or .html, and as it is in notebooks.
    """

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode of each site and for what they leave."""
        import pandas

        return pandas.DataFrame(self._rows(), columns=list(_COLUMNS))

    def to_xarray(self) -> xarray.DataTree:
        """A tree: at its root the table along `part_of_sum`, below it the place maps of each site.

        A site's `places` have the dimensions mode, row and column, or mode and place.
        """
        import xarray

        found = xarray.Dataset(
            columns_of(self._rows(), "part_of_sum"),
            attrs={
                "target": self.target, "baseline_target": self.baseline_target,
                "words": self.words, "prediction": self.prediction, "unit": self.unit,
            },
        )  # fmt: skip
        below = {}
        for site, one in self.items():
            maps = {str(t.mode): t.places for t in one.terms if t.places is not None}
            if not maps:
                continue
            stacked = np.stack(list(maps.values()))
            places = {1: ["place"], 2: ["row", "column"]}.get(
                stacked.ndim - 1, [f"place_{axis}" for axis in range(stacked.ndim - 1)]
            )
            below[node_name(site)] = xarray.Dataset(
                {"places": (("mode", *places), stacked)},
                {"mode": labels(list(maps))},
                {"site": site},
            )
        return xarray.DataTree.from_dict({"/": found, **below})

    def to_csv(self, path: str | Path) -> Path:
        """Write the table; returns the path."""
        return save_table(path, self._rows())

    def title(self) -> str:
        """The target, its change, and where it is explained."""
        return (
            f'Explanation of "{self.words}": {self.change:+.3g} {self.unit} as a sum over modes of '
            f"{', '.join(self)}"
        )

    def sentences(self) -> list[str]:
        """What was measured first, then what the sum says; a few sentences for each site."""
        words = [
            f'The target "{self.words}" is {self.target:.2f} {self.unit} for this input and '
            f"{_signless(self.baseline_target)} for the baseline."
        ]
        for site, one in self.items():
            words += [f"{site}: {sentence}" for sentence in self._of_site(one)]
        return words

    def figure(self, site: str | None = None, *, most: int | None = None) -> Drawing:
        """The first `most` modes of one site, or of all, with place maps, effects, contributions.

        Raises CodeclensError for a site that is not explained, and where there is nothing to draw.
        """
        return explanation_figure(self, site, most=most)

    def chart(self, site: str, most: int | None = None) -> Part:
        """The sum at one site as a chart of a page: bars, place maps, effects and exemplars.

        The first `most` modes have a map, by default as many as the explanation shows.
        """
        one = self[site]
        shown = one.shown if most is None else most
        picture = None if self.picture is None else Image.of_pixels(self.picture).address
        return Part(
            "sum",
            {
                "unit": self.unit,
                "picture": picture,
                "terms": {
                    "site": site,
                    "cut": one.is_cut,
                    "r2": one.r2,
                    "terms": [_drawn(term, place < shown) for place, term in enumerate(one.terms)],
                    "unexplained": one.unexplained,
                    "elsewhere": one.elsewhere,
                },
                "shown": shown,
            },
        )

    def page(self, *, most: int | None = None) -> Page:
        """A page with the sentences, the chart and the table of every site."""
        sections = []
        for site, one in self.items():
            told = [f"{sentence[0].upper()}{sentence[1:]}" for sentence in self._of_site(one)]
            blocks: list[Block | Section] = [Points(told), self.chart(site, most), self._table(one)]
            if marked := self._marked(one, most):
                blocks.insert(1, marked)
            if one.mapped:
                blocks.append(self._pixels(one))
            sections.append(Section(f"The modes of {site}", blocks))
        return Page(
            f"Why {self.words}",
            opening=[Text(self.sentences()[0], "lead"), Points(DEFINITIONS)],
            sections=sections,
        )

    def save(
        self, path: str | Path, site: str | None = None, *, most: int | None = None
    ) -> list[Path]:
        """Write the figure (.png, .svg, .pdf; PNG and SVG without ending) or the page (.html).

        Returns the paths written. Raises CodeclensError for another ending.
        """
        if Path(path).suffix.lower() in (".html", ".htm"):
            return [self.page(most=most).save(path)]
        try:
            return save(self.figure(site, most=most), path)
        except CodeclensError as error:
            raise CodeclensError(f"{error} A page ends in .html; to_csv writes a table.") from None

    def _repr_html_(self) -> str:
        # Where no widget is shown: the sentences and the figures.
        said = "".join(f"<li>{plain(sentence)}</li>" for sentence in self.sentences())
        drawn = [Image.of_figure(self.figure(site)) for site in self]
        images = [f'<p><img src="{one.address}" width="{one.width}" alt=""></p>' for one in drawn]
        return f"<ul>{said}</ul>{''.join(images)}"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The page as a widget where anywidget is installed; sentences and figures elsewhere."""
        return bundle_of(self.page().data(), self._repr_html_, repr(self), options)

    def shown(self) -> pandas.DataFrame:
        """The table on the screen."""
        return self.to_dataframe()[["site", "part", "name", "measured_effect", "contribution"]]

    def _of_site(self, one: SiteExplanation) -> list[str]:
        if not one.terms:
            return ["no mode is active."]
        measured = [term for term in one.terms if term.effect is not None]
        words = _extremes(measured, "effect", "measured effect")
        if not words:
            words = _extremes(one.terms, "contribution", "contribution")
        words += _differences(measured[: one.shown], one.change)
        r2 = (
            ""
            if math.isnan(one.r2)
            else f" (on held-out samples the modes explain R² = {one.r2:.2f})"
        )
        words.append(
            f"{counted(len(one.terms), 'active mode')} contribute {_signed(one.explained)} of the "
            f"change of {_signed(one.change)}{r2}; the unexplained remainder is "
            f"{_signed(one.unexplained)}."
        )
        if abs(one.unexplained) > abs(one.change) / 2:
            words.append(
                "the unexplained remainder is more than half of the change, so these modes explain "
                "little of it."
            )
        if len(one.parts) > 1:
            words.append(f"{_signed(one.elsewhere)} does not pass through this site.")
        return words

    def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for site, one in self.items():
            rows += [_row(term) for term in one.terms]
            left = (("unexplained", one.unexplained), ("elsewhere", one.elsewhere))
            rows += [
                dict.fromkeys(_COLUMNS) | {"site": site, "part": part, "contribution": amount}
                for part, amount in left
            ]
        return rows

    def _table(self, one: SiteExplanation) -> Table:
        rows: list[list[Cell]] = [
            [
                f"mode {term.mode}", term.called, _cell(term.effect),
                _cell(term.contribution), ", ".join(dict.fromkeys(term.shows)) or None,
            ]
            for term in one.terms
        ]  # fmt: skip
        left = (("unexplained", one.unexplained), ("elsewhere", one.elsewhere))
        rows += [[part, None, None, _cell(amount), None] for part, amount in left]
        rows.append(["sum", None, None, _cell(one.change), None])
        header = ["part", "name", "measured effect", "contribution", "most active in"]
        return Table(
            header,
            rows,
            f"All active modes of `{one.site}`, in {self.unit}. Both numbers are positive where "
            "the mode supports the target; contributions sum to the change of the target.",
            wide=True,
        )

    def _marked(self, one: SiteExplanation, most: int | None) -> MarkedText | None:
        """The tokens, marked by what each of the first modes contributes there."""
        shown = one.terms[: one.shown if most is None else most]
        rows = [
            (f"mode {term.mode} {term.called}".strip(), list(zip(self.tokens, values, strict=True)))
            for term in shown
            if (values := term.places) is not None and self.tokens is not None
            if values.shape == (len(self.tokens),)
        ]
        if not rows:
            return None
        return MarkedText(
            rows,
            f"The contribution of the modes of `{one.site}` at each token, in {self.unit}: orange "
            "supports the target, blue opposes it. The values of a row sum to the contribution of "
            "its mode.",
        )

    def _pixels(self, one: SiteExplanation) -> Figure:
        return Figure(
            Image.of_figure(pixel_figure(self, one)),
            f"Pixel maps of the modes of `{one.site}` along the path: the contribution of each "
            "pixel through the mode, smoothed; the colours sum to the mode's contribution.",
        )


def _drawn(term: Term, mapped: bool) -> dict[str, Any]:
    """A mode as the chart takes it."""
    face = None if term.face is None else Image.of_pixels(term.face).address
    places = None if term.places is None or not mapped else as_plane(term.places)
    return {
        "mode": term.mode, "name": term.called, "contribution": term.contribution,
        "loading": term.loading, "effect": term.effect, "map": places, "face": face,
        "shows": list(dict.fromkeys(term.shows)), "evidence": term.evidence,
    }  # fmt: skip


def _row(term: Term) -> dict[str, Any]:
    keys = [str(one.sample if one.key is None else one.key) for one in term.exemplars]
    return {
        "site": term.site,
        "part": f"mode {term.mode}",
        "name": term.name,
        "measured_effect": term.effect,
        "contribution": term.contribution,
        "alone": term.alone,
        "loading": term.loading,
        "shows": ", ".join(term.shows),
        "exemplars": " ".join(keys),
    }


def _extremes(terms: Sequence[Term], attribute: str, name: str) -> list[str]:
    """The mode that supports the target most and the one that opposes it most, in words."""
    told = []
    for which, sign in (("supporting", 1), ("opposing", -1)):
        of_sign = [term for term in terms if sign * getattr(term, attribute) > 0]
        if not of_sign:
            continue
        best = max(of_sign, key=lambda term: abs(getattr(term, attribute)))
        other = f", contribution {_signed(best.contribution)}" if attribute == "effect" else ""
        told.append(
            f"the largest {which} {name} is that of {best.title}: "
            f"{_signed(getattr(best, attribute))}{other}."
        )
    return told


def _differences(terms: Sequence[Term], change: float) -> list[str]:
    """One sentence for each reason why measured effects and contributions differ."""
    told = []
    for reading, why in _WHY.items():
        found = [term for term in terms if term.reading(change) == reading]
        if found:
            each = "" if len(found) == 1 else "for each, "
            which = listed([f"mode {term.mode}" for term in found])
            told.append(f"{which}: {each}{why}.")
    return told


def _cell(value: float | None) -> str | None:
    return None if value is None else f"{value + 0.0:+.3f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def _signless(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")
