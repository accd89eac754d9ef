"""The page about the circuit says what its command prints, and the figure is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.retina.physiology import draw, rows

from codeclens.retina import Circuit

PAGE = Path(__file__).parents[2] / "docs" / "retina-circuit.md"


@pytest.mark.slow
def test_the_page_holds_what_is_printed() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("−", "-")
    for row in rows(Circuit()):
        assert f"| {' | '.join(row)} |" in page


@pytest.mark.slow
def test_the_figure_is_drawn(tmp_path: Path) -> None:
    draw(Circuit(), tmp_path / "circuit.svg")
    assert "Object motion" in (tmp_path / "circuit.svg").read_text(encoding="utf-8")
