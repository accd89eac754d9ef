"""The document model: text as data, self-contained pages, files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeclens.errors import CodeclensError
from codeclens.pages import Facts, Figure, Image, Page, Part, Points, Section, Table, Text

SCRIPT = '</script><script src="https://evil.example/x.js">alert("1")</script>'
HOSTILE = SCRIPT + "' onload=\x00\udc80 &amp; `<i>`"


class Reader(HTMLParser):
    """Collects elements and attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data


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
                    Table([text, "n"], [[text, 1]], text),
                    Facts([(text, text)]),
                    Part("sum", {"words": text}),
                    Section(text, [Text(text, "small")]),
                ],
            )
        ],
        footer=text,
    )


def held(page: Page) -> dict[str, Any]:
    """The document that a page's file holds."""
    return json.loads(Reader(page.html()).scripts[0])["document"]


def test_hostile_text_stays_text() -> None:
    page = page_of(HOSTILE)
    reader = Reader(page.html())
    assert reader.elements == Reader(page_of("harmless `code`").html()).elements
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    assert len(reader.scripts) == 2
    found = held(page)
    assert SCRIPT in found["title"]
    assert SCRIPT in found["sections"][0]["blocks"][1]["rows"][0][0]
    assert "\x00" not in page.html()
    assert "&amp; `<i>`" in found["opening"][0]["text"], "what looks escaped stays as it is"


def test_a_page_asks_for_nothing() -> None:
    html = page_of("quiet").html()
    reader = Reader(html)
    addresses = [v for _, n, v in reader.attributes if n in {"src", "href", "srcset", "action"}]
    assert addresses == ["data:,"]
    assert not set(reader.elements) & {"iframe", "object", "base"}
    policy = next(v for t, n, v in reader.attributes if t == "meta" and "default-src" in v)
    assert policy.startswith("default-src 'none'")
    digest = re.search(r"script-src 'sha256-([^']+)';", policy)
    assert digest is not None
    script = hashlib.sha256(reader.scripts[1].encode()).digest()
    assert digest[1] == base64.b64encode(script).decode(), "the script of the policy is this one"


def test_blocks_are_plain_data() -> None:
    page = Page(
        "`a` -0.5",
        sections=[
            Section("s", [Figure(dot(7, 5), "The `site` sees <nothing>.")]),
            Section("t", [Part("curves", {"x": np.array([1.0, np.nan])}), Section("u", [])]),
        ],
    )
    found = held(page)
    assert found["title"] == "`a` −0.5"
    figure = found["sections"][0]["blocks"][0]
    assert figure["alt"] == "The site sees <nothing>.", "the caption stands in for missing words"
    assert (figure["image"]["width"], figure["image"]["height"]) == (5, 7)
    assert figure["image"]["at"].startswith("data:image/png;base64,")
    assert found["sections"][1]["blocks"][0]["content"] == {"x": [1.0, None]}
    assert found["sections"][1]["blocks"][1] == {"kind": "section", "title": "u", "blocks": []}


def test_columns_of_numbers_are_told_from_words() -> None:
    found = Table(["site", "units", "gap"], [["a", 3, None], ["b", 4, 0.5]], "c").data()
    assert found["rows"] == [["a", "3", "–"], ["b", "4", "0.5"]]
    assert found["words"] == [True, False, False]


def test_a_table_with_a_short_row_is_refused() -> None:
    with pytest.raises(CodeclensError, match=r"3 columns \(a, b, c\) got a row of 1 cells: \[1\]"):
        Table(["a", "b", "c"], [[1]], "caption")


def test_saving_replaces_the_page_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page.html"
    assert Page("first").save(path) == path
    Page("second").save(path)
    assert "<title>second</title>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    with pytest.raises(CodeclensError, match="cannot be written"):
        Page("third").save(path / "below-a-file.html")
    with pytest.raises(CodeclensError, match="cannot be written"):
        Page("third").save(path.parent)
    assert "<title>second</title>" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
