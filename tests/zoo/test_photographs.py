"""The demo's photographs: colour, named, from the wheel alone."""

from __future__ import annotations

import sys
from importlib.metadata import files

import pytest

from codeclens.errors import CodeclensError
from codeclens.zoo import demo_photographs, photographs


def test_photographs_are_in_colour_and_named_once() -> None:
    shown = demo_photographs()
    names = [name for name, _ in shown]
    assert len(set(names)) == len(names) >= 5
    assert {"chelsea", "coffee", "rocket", "motorcycle"} <= set(names)
    assert all(image.mode == "RGB" and min(image.size) >= 300 for _, image in shown)


def test_all_are_files_of_the_wheel() -> None:
    listed = files("scikit-image")
    assert listed is not None
    wheel = {file.name for file in listed if file.parent.as_posix() == "skimage/data"}
    assert set(photographs._FILES.values()) <= wheel


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(CodeclensError, match=r"scikit-image.*pip install \"codeclens\[demo\]\""):
        demo_photographs()


def test_a_lost_photograph_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(photographs._FILES, "moon", "not-there.png")
    with pytest.raises(CodeclensError, match=r"no photograph not-there\.png"):
        demo_photographs()
