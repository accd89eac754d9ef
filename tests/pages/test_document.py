"""The document model: escaping, numbering, self-containedness, files."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from codeclens.errors import CodeclensError
from codeclens.pages.document import (
    Facts,
    Figure,
    Numbering,
    Page,
    Points,
    Section,
    Table,
    Text,
    Tiles,
)
from codeclens.pages.images import Image

SCRIPT = '<script src="https://evil.example/x.js">alert("1")</script>'
HOSTILE = SCRIPT + "' onload=\x00\udc80 &amp; `<i>`"
VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Collects elements, attributes and text, and insists that elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def dot(rows: int = 4, columns: int = 6) -> Image:
    return Image.of_array(np.zeros((rows, columns)))


def page_of(text: str) -> Page:
    return Page(
        text,
        subtitle=text,
        opening=[Text(text), Points([text])],
        sections=[
            Section(
                text,
                [
                    Figure(dot(), text, alt=text),
                    Tiles([(dot(), text)], text),
                    Table([text, "n"], [[text, 1]], text),
                    Facts([(text, text)]),
                    Section(text, [Text(text, "small")]),
                ],
            )
        ],
        footer=text,
    )


def test_hostile_text_stays_text() -> None:
    page = page_of(HOSTILE)
    reader = Reader(page.html())
    assert reader.elements == Reader(page_of("harmless `code`").html()).elements
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    shown = "".join(reader.text)
    assert SCRIPT in shown
    assert "\x00" not in page.html()
    assert "&amp; <i>" in shown, "text that looks escaped is shown as it is"


def test_a_page_asks_for_nothing() -> None:
    reader = Reader(page_of("quiet").html())
    addresses = [v for _, n, v in reader.attributes if n in {"src", "href", "srcset", "action"}]
    assert addresses
    assert all(a.startswith(("data:", "#")) for a in addresses)
    assert not reader.elements.keys() & {"script", "link", "iframe", "object", "base"}
    style = page_of("quiet").html().split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(v for t, n, v in reader.attributes if t == "meta" and "default-src" in v)
    assert policy.startswith("default-src 'none'")


def test_every_link_of_the_contents_has_its_section() -> None:
    reader = Reader(page_of("x").html())
    names = [v for _, n, v in reader.attributes if n == "id"]
    links = [v for t, n, v in reader.attributes if t == "a" and n == "href"]
    assert links == ["#section-1", "#section-1-1"]
    assert {link.removeprefix("#") for link in links} <= set(names)
    assert len(names) == len(set(names))


def test_figures_tables_and_sections_are_numbered_in_order() -> None:
    inner = Section("in", [Figure(dot(), "two")])
    page = Page(
        "t",
        sections=[
            Section("a", [Figure(dot(), "one"), inner, Table(["h"], [["c"]], "first")]),
            Section("b", [Section("c", [Tiles([(dot(), "")], "three")]), Section("d")]),
        ],
    )
    text = "".join(Reader(page.html()).text)
    for words in ("Figure 1. one", "Figure 2. two", "Figure 3. three", "Table 1. first"):
        assert words in text
    assert "2.2 d" in text
    assert page.html() == page.html(), "numbers begin anew"


def test_every_image_has_words_and_a_size() -> None:
    html = Page(
        "t", sections=[Section("s", [Figure(dot(7, 5), "The `site` sees <nothing>.")])]
    ).html()
    image = [(n, v) for t, n, v in Reader(html).attributes if t == "img"]
    assert ("alt", "The site sees <nothing>.") in image, "the caption stands in for missing words"
    assert {("width", "5"), ("height", "7")} <= set(image)


def test_columns_of_numbers_stand_right_and_words_left() -> None:
    html = Table(["site", "units", "gap"], [["a", 3, None], ["b", 4, 0.5]], "c").html(Numbering())
    assert '<td class="word">a</td><td>3</td><td>–</td>' in html
    assert '<th scope="col" class="word">site</th><th scope="col">units</th>' in html


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(CodeclensError, match=r"3 columns \(a, b, c\) got a row of 1 cells: \[1\]"):
        Table(["a", "b", "c"], [[1]], "caption")


def test_saving_replaces_the_page_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    assert Page("first").save(path) == path
    Page("second").save(path)
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    with pytest.raises(CodeclensError, match="cannot be written"):
        Page("third").save(path / "below-a-file.html")
    with pytest.raises(CodeclensError, match="cannot be written"):
        Page("third").save(path.parent)
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
