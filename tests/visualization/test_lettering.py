"""Names from data in figures: every script, no control characters, no formulas, well-formed SVG."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib import font_manager
from PIL import Image

from codeclens.visualization import lettering, save
from codeclens.visualization.canvas import blank, styled

NASTY = [
    "a\x1b[31mb", "over\u202eride", "line\nbreak", "\x00\x0b", "half\udce9", "a<b>&\"'", "\ufffe",
]  # fmt: skip


def words(names: list[str], to: Path) -> list[str]:
    """The text of an SVG figure whose title, legend and tick labels are these names."""
    with styled():
        figure = blank(4, 3)
        axes = figure.subplots()
        for place, name in enumerate(names):
            axes.plot([0, 1], [place, place], label=f"is {name}")
        axes.set_yticks(range(len(names)), names)
        axes.set_title(names[0])
        axes.legend()
    save(figure, to / "a.png")
    save(figure, to / "a.svg")
    return ["".join(one.itertext()) for one in ElementTree.parse(to / "a.svg").iter()]


def test_svg_is_well_formed_and_has_no_control_characters(tmp_path: Path) -> None:
    found = words(NASTY, tmp_path)
    assert r"a\x1b[31mb" in found
    assert r"over\u202eride" in found
    assert r"half\xe9" in found
    assert "a<b>&\"'" in found
    assert not {"\x1b", "\u202e"} & set((tmp_path / "a.svg").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["cost $5", "$5 or $6", r"$\bad{$", r"a\$b", "__", "#=[],'"])
def test_a_name_is_no_formula(name: str, tmp_path: Path) -> None:
    found = words([name], tmp_path)
    assert name.replace(r"\$", "$") in found
    assert f"is {name}".replace(r"\$", "$") in found


def test_a_font_that_has_the_characters_is_used(tmp_path: Path) -> None:
    usual = lettering._characters(font_manager.findfont("DejaVu Sans"))
    more = {code for _, path in lettering._candidates() for code in lettering._characters(path)}
    letters = [chr(code) for code in sorted(more - usual) if chr(code).isalnum()]
    if not letters:
        pytest.skip("all fonts of this machine have the same letters")
    letter = letters[-1]
    lettering._families.cache_clear()
    words([f"a {letter}"], tmp_path)
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    chosen = lettering._families(frozenset(letter))
    assert chosen
    assert all(name in svg for name in chosen)


def test_what_no_font_has_is_logged_once_and_still_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lettering, "_candidates", lambda: iter(()))
    monkeypatch.setattr(lettering, "_told", set())
    lettering._families.cache_clear()
    with caplog.at_level(logging.WARNING, logger="codeclens"):
        found = words(["猫", "犬"], tmp_path)
        words(["猫", "犬"], tmp_path)
    lettering._families.cache_clear()
    assert "猫" in found
    assert [r.getMessage().count("No font of this machine has 2") for r in caplog.records] == [1]


def test_numbers_of_axes_stay_formulas(tmp_path: Path) -> None:
    with styled():
        figure = blank(3, 2)
        axes = figure.subplots()
        axes.plot([1, 1000], [1, 2])
        axes.set_xscale("log")
    for _ in range(2):
        save(figure, tmp_path / "a.svg")
    text = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "mathdefault" not in text
    assert "$" not in text


def test_a_figure_draws_itself_in_a_notebook_without_pyplot() -> None:
    with styled():
        figure = blank(4, 3)
        figure.subplots().plot([0, 1])
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:  # type: ignore[attr-defined]
        assert 300 < picture.width < 500
        assert picture.convert("L").getextrema()[0] < 128
