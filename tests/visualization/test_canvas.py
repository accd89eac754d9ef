"""Files, style, and names along an axis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from codeclens import CodeclensError
from codeclens.visualization.canvas import blank, name_sites, save, shared_prefix, styled


def test_the_ending_chooses_the_format(tmp_path: Path) -> None:
    with styled():
        figure = blank(2, 1)
    both = save(figure, tmp_path / "deep" / "figure")
    assert [path.name for path in both] == ["figure.png", "figure.svg"]
    with Image.open(both[0]) as image:
        assert image.size == (400, 200)
    assert both[1].read_text(encoding="utf-8").lstrip().startswith("<?xml")
    assert save(figure, tmp_path / "one.SVG") == [tmp_path / "one.SVG"]
    assert save(figure, str(tmp_path / "one.pdf")) == [tmp_path / "one.pdf"]
    # A site's name has dots that end no file name.
    assert save(figure, tmp_path / "layer1.0")[0] == tmp_path / "layer1.0.png"


def test_an_unknown_ending_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r'"figure.jpg"; use the suffix .png, .svg, .pdf'):
        save(blank(2, 1), tmp_path / "figure.jpg")


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    def drawn(name: str) -> list[bytes]:
        with styled():
            figure = blank(2, 1)
            figure.subplots().plot([1, 3, 2], label="line")
        return [path.read_bytes() for path in save(figure, tmp_path / name)]

    assert drawn("first") == drawn("second")


def test_the_users_style_is_left_alone_and_makes_no_difference(tmp_path: Path) -> None:
    with styled():
        expected = blank(2, 1).subplots().xaxis.label.get_fontsize()
    with matplotlib.rc_context({"font.size": 30, "axes.labelsize": 30}):
        before = dict(matplotlib.rcParams)
        with styled():
            assert blank(2, 1).subplots().xaxis.label.get_fontsize() == expected
        assert dict(matplotlib.rcParams) == before


def test_drawing_needs_no_pyplot() -> None:
    code = (
        "import sys, codeclens.visualization as v\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from codeclens.visualization.canvas import blank, styled\n"
        "with styled(): blank(2, 1).canvas.draw()\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (["blocks.0", "blocks.1"], "blocks."),
        (["layer1.0", "layer2.0"], ""),
        (["a.b.0", "a.b.1", "a.c"], "a."),
        (["relu"], ""),
        (["a.b", "a.b.c"], "a."),
    ],
)
def test_a_common_prefix_is_shown_once(names: list[str], prefix: str) -> None:
    assert shared_prefix(names) == prefix


def test_many_names_stand_upright() -> None:
    with styled():
        few, many = blank(4, 2).subplots(1, 2)
    name_sites(few, ["blocks.0", "blocks.1"])
    name_sites(many, [f"blocks.{i}.{j}" for i in range(8) for j in range(2)])
    assert few.get_xlabel() == "site blocks.*"
    assert [label.get_text() for label in few.get_xticklabels()] == ["0", "1"]
    assert few.get_xticklabels()[0].get_rotation() == 0
    assert many.get_xticklabels()[0].get_rotation() == 90
