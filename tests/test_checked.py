"""The figures of docs/checked.md are those of the pages that it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FIGURE = re.compile(r"(?<![\w.])[−+-]?\d+(?:\.\d+)?(?:e[−-]\d+)?(?:\s%)?")


def lines(page: str) -> list[tuple[str, str]]:
    """What was found, and the page that says it, of every row that names a page with figures."""
    cells = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    rows = [(row[2], re.search(r"(?:\]\(|`)([^)#`]+)", row[3])) for row in cells if len(row) == 4]
    return [(found, link[1]) for found, link in rows if link]


def missing(found: str, source: str) -> list[str]:
    figures = [figure for figure in FIGURE.findall(found) if not figure.isdigit()]
    known = set(FIGURE.findall(source))
    return [figure for figure in figures if figure not in known]


ROWS = lines((DOCS / "checked.md").read_text(encoding="utf-8"))


def test_a_wrong_figure_is_found() -> None:
    assert missing("r 0.79, 58 %, 3.1e-13", "r is 0.79 and 58 % of 3.1e-13") == []
    assert missing("r 0.79, −0.01 and 58 %", "r is 0.70, 0.01 and 59 %") == [
        "0.79",
        "−0.01",
        "58 %",
    ]


def test_there_are_rows() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize(("found", "source"), ROWS)
def test_figures_are_copied_from_the_page(found: str, source: str) -> None:
    page = DOCS / source if (DOCS / source).exists() else DOCS.parent / source
    assert missing(found, page.read_text(encoding="utf-8")) == []
