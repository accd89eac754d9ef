"""torchvision is imported whether or not its compiled part loads, and nothing else is hidden."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codeclens import _compat
from codeclens.errors import CodeclensError

# Fails like the real one: after a submodule was imported, and only without the schemas.
BROKEN = """
import torch
import torchvision.part
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        raise RuntimeError(f"operator torchvision::{name} does not exist")
assert torchvision.part.answer == 42
"""


def python(code: str, folder: Path | None = None) -> str:
    path = f"import sys; sys.path.insert(0, {str(folder)!r});" if folder else ""
    command = [sys.executable, "-W", "error", "-c", path + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_and_timm_work_from_nothing() -> None:
    code = (
        "import codeclens._compat as c, sys, torch; assert 'torchvision' not in sys.modules;"
        "timm = c.import_timm(); tv = c.import_torchvision();"
        "m = tv.models.resnet18().eval(); print(tuple(m(torch.zeros(1, 3, 64, 64)).shape));"
        "assert c.import_timm() is timm and tv is sys.modules['torchvision']"
    )
    assert python(code) == "(1, 1000)"


def test_a_broken_torchvision_is_mended(tmp_path: Path) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(BROKEN)
    (package / "part.py").write_text("answer = 42")
    code = (
        "import codeclens._compat as c; tv = c.import_torchvision();"
        "print(tv.part.answer, len(c._declared))"
    )
    assert python(code, tmp_path) == "42 1"


def test_a_sound_torchvision_gets_no_declarations(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text("")
    code = (
        "import torch, codeclens._compat as c; c.import_torchvision();"
        "print(len(c._declared), hasattr(torch.ops.torchvision, 'nms'))"
    )
    assert python(code, tmp_path) == "0 False"


def test_another_failure_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quite_broken.py").write_text("raise RuntimeError('no such device')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CodeclensError, match=f"with torch {torch.__version__[:3]}.*no such dev"):
        _compat._imported("quite_broken")


def test_a_package_that_lacks_another_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking.py").write_text("import not_there_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        _compat._imported("lacking")


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CodeclensError, match=rf"{name} is not installed.*codeclens\[vision\]"):
        _compat.import_timm()


def test_preparing_needs_no_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    _compat.prepare_torchvision()
