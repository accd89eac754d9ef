"""The document model: a page of numbered sections with text, figures and tables, as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from codeclens.errors import CodeclensError
from codeclens.files import write_whole
from codeclens.pages.images import Image
from codeclens.pages.words import Cell, inline, is_number, plain, written

# Show only what is in the file itself: no script, no network requests.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Numbering:
    """The running numbers of sections, figures and tables while a page is written."""

    def __init__(self) -> None:
        self.figures = 0
        self.tables = 0
        self.sections: list[int] = []

    def figure(self) -> int:
        """The number of the next figure."""
        self.figures += 1
        return self.figures

    def table(self) -> int:
        """The number of the next table."""
        self.tables += 1
        return self.tables


@dataclass(frozen=True)
class Text:
    """One paragraph of plain text; the style "lead" makes it larger, "small" smaller.

    Backticks set names in a monospaced font; everything else is escaped.

    >>> Text("the site `layer1` < all").html(Numbering())
    '<p>the site <code>layer1</code> &lt; all</p>'
    """

    text: str
    style: str = ""

    def html(self, numbers: Numbering) -> str:
        """The paragraph's HTML."""
        return f"<p{_class(self.style)}>{inline(self.text)}</p>"


@dataclass(frozen=True)
class Points:
    """A bulleted list of sentences.

    >>> Points(["one", "two"]).html(Numbering())
    '<ul><li>one</li><li>two</li></ul>'
    """

    items: Sequence[str]

    def html(self, numbers: Numbering) -> str:
        """The list's HTML."""
        return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in self.items)}</ul>"


@dataclass(frozen=True)
class Facts:
    """Names with their values, such as the provenance of the numbers of a page.

    >>> Facts([("steps", 10)]).html(Numbering())
    '<dl class="facts"><div><dt>steps</dt><dd>10</dd></div></dl>'
    """

    pairs: Sequence[tuple[str, Cell]]

    def html(self, numbers: Numbering) -> str:
        """The list's HTML."""
        rows = "".join(
            f"<div><dt>{inline(name)}</dt><dd>{inline(written(value))}</dd></div>"
            for name, value in self.pairs
        )
        return f'<dl class="facts">{rows}</dl>'


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

    def html(self, numbers: Numbering) -> str:
        """The figure's HTML, numbered."""
        number = numbers.figure()
        kind = "figure wide" if self.wide else "figure"
        image = self.image.html(self.alt or self.caption)
        return (
            f'<figure class="{kind}" id="figure-{number}">{image}'
            f"<figcaption><b>Figure {number}.</b> {inline(self.caption)}</figcaption></figure>"
        )


@dataclass(frozen=True)
class Tiles:
    """Small images side by side with one number and one caption, each with a short title.

    `columns` is the number of images in a row; a narrow page shows half of them, so that rows stay
    together.
    """

    tiles: Sequence[tuple[Image, str]]
    caption: str
    columns: int = 4
    wide: bool = True

    def html(self, numbers: Numbering) -> str:
        """The HTML of all tiles."""
        number = numbers.figure()
        kind = "gallery wide" if self.wide else "gallery"
        columns = f"--columns:{int(self.columns)};--narrow:{max(2, -(-self.columns // 2))}"
        tiles = "".join(
            f"<div class=tile>{image.html(title)}<p>{inline(title)}</p></div>"
            for image, title in self.tiles
        )
        return (
            f'<figure class="{kind}" id="figure-{number}" style="{columns}">'
            f"<div class=tiles>{tiles}</div>"
            f"<figcaption><b>Figure {number}.</b> {inline(self.caption)}</figcaption></figure>"
        )


@dataclass(frozen=True)
class Table:
    """Rows under a header; columns of numbers are right-aligned, the first column left-aligned.

    Raises CodeclensError if the number of cells in a row differs from the header.

    >>> "<td>0.5</td>" in Table(["name", "share"], [["a", 0.5]], "One row.").html(Numbering())
    True
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

    def html(self, numbers: Numbering) -> str:
        """The table's HTML, in a box that scrolls horizontally on a narrow screen."""
        number = numbers.table()
        wordy = [
            column == 0 or not all(is_number(written(row[column])) for row in self.rows)
            for column in range(len(self.header))
        ]
        classes = [' class="word"' if word else "" for word in wordy]
        head = "".join(
            f'<th scope="col"{kind}>{inline(name)}</th>'
            for name, kind in zip(self.header, classes, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{kind}>{inline(written(cell))}</td>"
                for cell, kind in zip(row, classes, strict=True)
            )
            + "</tr>"
            for row in self.rows
        )
        kind = "table wide" if self.wide else "table"
        return (
            f'<figure class="{kind}" id="table-{number}"><figcaption><b>Table {number}.</b> '
            f'{inline(self.caption)}</figcaption><div class=scroll tabindex=0 role="region" '
            f'aria-label="Table {number}"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div></figure>"
        )


@dataclass(frozen=True)
class Section:
    """A titled part of a page: blocks and further sections, in order.

    `finding` is its result in one sentence, for the opening of the page.
    """

    title: str
    blocks: Sequence[Block | Section] = field(default_factory=list)
    finding: str = ""

    def html(self, numbers: Numbering) -> str:
        """The section's HTML, numbered by its place."""
        depth = len(numbers.sections)
        name = ".".join(str(n) for n in numbers.sections)
        level = min(depth + 1, 6)
        inner, count = [], 0
        for block in self.blocks:
            if isinstance(block, Section):
                count += 1
                numbers.sections.append(count)
                inner.append(block.html(numbers))
                numbers.sections.pop()
            else:
                inner.append(block.html(numbers))
        return (
            f'<section id="section-{name.replace(".", "-")}"><h{level}><span class=number>{name}'
            f"</span> {inline(self.title)}</h{level}>{''.join(inner)}</section>"
        )


Block = Text | Points | Facts | Figure | Tiles | Table


@dataclass(frozen=True)
class Page:
    """A whole page: a title, an opening, a table of contents and numbered sections.

    `html()` is one self-contained file that makes no requests: it contains its styles, its images
    are data addresses, and there is no script. The reader's device chooses light or dark.

    >>> page = Page("Modes & <layers>", sections=[Section("First", [Text("Hello.")])])
    >>> "<h1>Modes &amp; &lt;layers&gt;</h1>" in page.html()
    True
    """

    title: str
    subtitle: str = ""
    opening: Sequence[Block] = ()
    sections: Sequence[Section] = ()
    footer: str = ""

    def html(self) -> str:
        """The page as one HTML file."""
        numbers = Numbering()
        opening = "".join(block.html(numbers) for block in self.opening)
        body = []
        for place, section in enumerate(self.sections, 1):
            numbers.sections = [place]
            body.append(section.html(numbers))
        style = files("codeclens.pages").joinpath("page.css").read_text(encoding="utf-8")
        subtitle = f"<p class=subtitle>{inline(self.subtitle)}</p>" if self.subtitle else ""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{plain(self.title)}</title>\n<style>\n{style}</style></head>\n"
            f"<body><header><h1>{inline(self.title)}</h1>{subtitle}</header>\n"
            f"{self._contents()}<main>{opening}\n{chr(10).join(body)}</main>\n"
            f"<footer><p>{inline(self.footer)}</p></footer></body></html>\n"
        )

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

    def _contents(self) -> str:
        items = "".join(_entry([place], section) for place, section in enumerate(self.sections, 1))
        if not items:
            return ""
        return f'<nav aria-label="Contents"><h2>Contents</h2><ol>{items}</ol></nav>\n'


def _entry(place: list[int], section: Section) -> str:
    inner: Iterable[Section] = (block for block in section.blocks if isinstance(block, Section))
    below = "".join(_entry([*place, n], part) for n, part in enumerate(inner, 1))
    name = "-".join(str(n) for n in place)
    link = f'<a href="#section-{name}"><span class=number>{".".join(map(str, place))}</span> '
    return f"<li>{link}{inline(section.title)}</a>{f'<ol>{below}</ol>' if below else ''}</li>"


def _class(style: str) -> str:
    return f' class="{plain(style)}"' if style else ""
