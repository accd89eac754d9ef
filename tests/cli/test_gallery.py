"""`codeclens gallery`, and the galleries in `codeclens report`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decomposed(desk: Path, told: Told) -> Path:
    where = "--images", "images", "--to", "run/store.zarr", "--steps", 3, "--sites", "1"
    assert told("extract", "--model", "tiny:build", *where)[0] == 0
    assert told("decompose", "run/store.zarr", "--method", "nmf", "--n-modes", 3,
                "--to", "run/modes")[0] == 0  # fmt: skip
    return desk


def test_a_gallery_and_a_report_with_galleries(decomposed: Path, told: Told) -> None:
    to = "--to", "run/gallery", "--modes", "run/modes", "--run-code"
    code, out, err = told("gallery", "run/store.zarr", *to, "--count", 2, "--most", 2)
    assert code == 0, err
    assert "gallery.html" in out
    page = (decomposed / "run" / "gallery" / "gallery.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 2
    code, _, err = told("report", "run/store.zarr", "--modes", "run/modes", "--to", "run/r.html",
                        "--galleries", 1, "--run-code")  # fmt: skip
    assert code == 0, err
    page = (decomposed / "run" / "r.html").read_text(encoding="utf-8")
    found = json.loads(page.partition('id="codeclens-data">')[2].partition("</script>")[0])
    titles = [section["title"] for section in found["views"]["story"]["sections"]]
    assert "The strongest modes, one by one" in titles
    assert found["pictures"]
    told = [key for key in found["views"] if key.startswith("kinds/")]
    assert len(told) == len(found["maps"]) == 1


def test_a_report_without_images_explains_why(decomposed: Path, told: Told) -> None:
    shutil.rmtree(decomposed / "images")
    code, _, err = told(
        "report", "run/store.zarr", "--modes", "run/modes", "--to", "run/r.html", "--run-code"
    )
    assert code == 0, err
    page = (decomposed / "run" / "r.html").read_text(encoding="utf-8")
    assert "No images are shown" in page
    to = "--to", "run/gallery", "--modes", "run/modes", "--run-code"
    assert told("gallery", "run/store.zarr", *to)[0] == 2
