"""The document model: a page of sections with text, figures and tables, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codeclens.errors import CodeclensError
from codeclens.files import write_whole
from codeclens.pages.front_end import plain_numbers, self_contained
from codeclens.pages.images import Image
from codeclens.pages.words import Cell, is_number, shown, written

Data = dict[str, Any]


@dataclass(frozen=True)
class Text:
    """One paragraph of plain text; the style "lead" makes it larger, "small" smaller.

    Backticks set names in a monospaced font.

    >>> Text("the site `layer1` < all").data()
    {'kind': 'text', 'text': 'the site `layer1` < all', 'style': ''}
    """

    text: str
    style: str = ""

    def data(self) -> Data:
        """The paragraph as plain data."""
        return {"kind": "text", "text": shown(self.text), "style": self.style}


@dataclass(frozen=True)
class Points:
    """A bulleted list of sentences.

    >>> Points(["one", "two"]).data()
    {'kind': 'points', 'items': ['one', 'two']}
    """

    items: Sequence[str]

    def data(self) -> Data:
        """The list as plain data."""
        return {"kind": "points", "items": [shown(item) for item in self.items]}


@dataclass(frozen=True)
class Facts:
    """Names with their values, such as the provenance of the numbers of a page.

    >>> Facts([("steps", 10)]).data()
    {'kind': 'facts', 'pairs': [['steps', '10']]}
    """

    pairs: Sequence[tuple[str, Cell]]

    def data(self) -> Data:
        """The pairs as plain data."""
        return {
            "kind": "facts",
            "pairs": [[shown(name), shown(written(value))] for name, value in self.pairs],
        }


@dataclass(frozen=True)
class Figure:
    """An image with a caption, and a description for those who cannot see it.

    `alt` is the description, by default the caption. `wide` lets the image extend beyond the column
    of text.
    """

    image: Image
    caption: str = ""
    alt: str = ""
    wide: bool = False

    def data(self) -> Data:
        """The figure as plain data."""
        return {
            "kind": "figure",
            "image": self.image.data_of(),
            "caption": shown(self.caption),
            "alt": shown((self.alt or self.caption).replace("`", "")),
            "wide": self.wide,
        }


@dataclass(frozen=True)
class MarkedText:
    """Texts whose tokens are marked by a number each: orange above 0, blue below.

    `rows` are titles with tokens and their numbers. One scale serves all rows; the number of a
    token is shown under the pointer.

    >>> MarkedText([("a", [("cat", 0.5), ("s", -1.0)])], "One text.").data()["rows"]
    [['a', [['cat', 0.5, '0.5'], ['s', -1.0, '−1']]]]
    """

    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]]
    caption: str

    def data(self) -> Data:
        """The texts as plain data: each token with its share of the largest number, and the number.

        The front end counts the block as a figure.
        """
        full = max((abs(value) for _, marked in self.rows for _, value in marked), default=0.0)
        note = f" Full colour: {written(float(full))}." if full > 0 else ""
        rows = [
            [
                shown(title),
                [[shown(t) or " ", v / (full or 1.0), written(float(v))] for t, v in marked],
            ]
            for title, marked in self.rows
        ]
        return {"kind": "marked", "rows": rows, "caption": shown(self.caption + note)}


@dataclass(frozen=True)
class Table:
    """Rows under a header; columns of numbers are right-aligned, the first column left-aligned.

    Raises CodeclensError if the number of cells in a row differs from the header.

    >>> Table(["name", "share"], [["a", 0.5]], "One row.").data()["rows"]
    [['a', '0.5']]
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    wide: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise CodeclensError(
                    f"A table with {len(self.header)} columns ({', '.join(self.header)}) got a "
                    f"row of {len(row)} cells: {list(row)}."
                )

    def data(self) -> Data:
        """The table as plain data; `words` says which columns hold words."""
        rows = [[written(cell) for cell in row] for row in self.rows]
        words = [
            column == 0 or not all(is_number(row[column]) for row in rows)
            for column in range(len(self.header))
        ]
        return {
            "kind": "table",
            "header": [shown(name) for name in self.header],
            "rows": [[shown(cell) for cell in row] for row in rows],
            "words": words,
            "caption": shown(self.caption),
            "wide": self.wide,
        }


@dataclass(frozen=True)
class Part:
    """A chart that the front end draws from data, by the name of the chart.

    The names are those of `Block.svelte`: "sum" is the waterfall of an explanation, "curves" the
    accuracy under interventions, "layers" the charts of the layers, "modes" cards of modes.
    """

    name: str
    content: Mapping[str, Any] = field(default_factory=dict)

    def data(self) -> Data:
        """The chart as plain data."""
        return {"kind": "part", "name": self.name, "content": plain_numbers(self.content)}


@dataclass(frozen=True)
class Section:
    """A titled part of a page: blocks and further sections, in order.

    `finding` is its result in one sentence, for the opening of the page.
    """

    title: str
    blocks: Sequence[Block | Section] = field(default_factory=list)
    finding: str = ""

    def data(self) -> Data:
        """The section as plain data; the front end numbers it."""
        return {
            "kind": "section",
            "title": shown(self.title),
            "blocks": [block.data() for block in self.blocks],
        }


Block = Text | Points | Facts | Figure | MarkedText | Table | Part


@dataclass(frozen=True)
class Page:
    """A whole page: a title, an opening, a table of contents and numbered sections.

    Its file is self-contained: the front end of the explorer with the page as data. It makes no
    requests, and opens from disk.

    >>> page = Page("Modes & <layers>", sections=[Section("First", [Text("Hello.")])])
    >>> page.data()["sections"][0]["title"]
    'First'
    """

    title: str
    subtitle: str = ""
    opening: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    footer: str = ""

    def data(self) -> Data:
        """The page as plain data."""
        return {
            "title": shown(self.title),
            "subtitle": shown(self.subtitle),
            "opening": [block.data() for block in self.opening],
            "sections": [section.data() for section in self.sections],
            "footer": shown(self.footer),
        }

    def html(self) -> str:
        """The page as one HTML file."""
        return self_contained({"document": self.data()}, self.title)

    def save(self, path: str | Path) -> Path:
        """Write the page to `path` atomically; returns the path.

        Raises CodeclensError if the file cannot be written.
        """
        path = Path(path)
        try:
            write_whole(path, self.html())
        except OSError as error:
            raise CodeclensError(f"The page {path} cannot be written: {error}.") from error
        return path
