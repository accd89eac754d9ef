"""The public names and signatures are those of tests/public_api.txt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import public_api

SCRIPT = Path(public_api.__file__)


def test_the_public_interface_is_the_recorded_one() -> None:
    # In a process of its own: the shape checks of the tests change signatures.
    source = os.pathsep.join([str(SCRIPT.parents[1] / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


class Example:
    size = 3

    def __init__(self, a: int, *, b: str = "x") -> None: ...

    def method(self, c: Any = public_api.main) -> None: ...

    @property
    def wide(self) -> bool:
        return True

    def _hidden(self) -> None: ...


def test_names_methods_and_defaults_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Example, "__module__", "codeclens.example")
    assert list(public_api.described("Example", Example)) == [
        "class Example(a, *, b='x')",
        "    method(self, c=main)",
        "    wide",
    ]


def test_a_change_is_shown_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "public_api.txt"
    page.write_text("[codeclens]\nextract(model, images)\n", encoding="utf-8")
    monkeypatch.setattr(public_api, "PAGE", page)
    monkeypatch.setattr(public_api, "public_api", lambda: "[codeclens]\nextract(model, data)\n")
    assert public_api.main(check=True) == 1
    assert "-extract(model, images)\n+extract(model, data)" in capsys.readouterr().err
    assert "images" in page.read_text(encoding="utf-8")
    assert public_api.main(check=False) == 0
    assert public_api.main(check=True) == 0
