"""The pages of the site, without building it: links, notebooks, the reference."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))

sys.path.append(str(DOCS))
links = import_module("links")
api_pages = import_module("api_pages")


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        (folder / f"{name}.html").write_text(f"<html><body>{body}</body></html>")
    return folder


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    site(
        tmp_path,
        index='<a href="other.html#there">x</a><a href="https://example.org/a">y</a><p id="here">',
        other='<p id="there"><a href="index.html#gone">x</a><img src="none.png">'
        '<a href="http://example.org">y</a><a href="#there">z</a>',
    )
    assert links.broken(tmp_path) == [
        "other.html: index.html#gone (no such anchor)",
        "other.html: none.png (no such file)",
        "other.html: http://example.org (not an https address)",
    ]


def test_a_folder_without_a_site_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert links.main(tmp_path) == 1
    assert "make docs" in capsys.readouterr().err


def test_the_six_tutorials_are_notebooks_and_in_the_contents() -> None:
    assert len(TUTORIALS) == 6
    contents = (DOCS / "index.md").read_text(encoding="utf-8")
    for path in TUTORIALS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("---\nfile_format: mystnb\n"), path.name
        assert f"\ntutorials/{path.stem}\n" in contents
        cells = re.findall(r"^```\{code-cell\} python3\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert cells
        for cell in cells:
            compile(cell, path.name, "exec")


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_use_no_private_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.findall(r"(?:from|import) codeclens[\w.]*\._\w+|import _\w+", text) == []


def test_every_public_name_is_described_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_pages, "FOLDER", tmp_path / "reference")
    api_pages.write_pages()
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*/*.md")}
    described = re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", "\n".join(pages.values()), re.M)
    assert len(described) == len(set(described))
    package = import_module("codeclens")
    named = {f"codeclens.{name}" for name in package.__all__} - {"codeclens.__version__"}
    assert named <= set(described)
    for module in pages:
        for name in import_module(module).__all__:
            assert re.search(rf"\b{re.escape(name)}\b", pages[module]) or name == "__version__"
    assert (
        "Used in :doc:`/how-to/ready-modes`" in pages["codeclens"]
        or ":doc:`/" in pages["codeclens"]
    )
