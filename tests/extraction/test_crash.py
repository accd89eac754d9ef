from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("kill_extraction.py")
Content = Callable[[Path], dict[str, bytes]]


def told(*arguments: object) -> Any:
    """What the script says that it did."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def require_equal(folder: Path, stores: list[str], content: Content) -> None:
    undisturbed = content(folder / "undisturbed")
    assert stores
    for store in stores:
        assert content(folder / store) == undisturbed
        assert [path.name for path in (folder / store).rglob(".*")] == [".lock"]


@pytest.mark.parametrize(
    ("kills", "processes"),
    [
        pytest.param(4, 1, id="four"),
        pytest.param(40, 1, id="forty", marks=pytest.mark.slow),
        pytest.param(25, 3, id="one-of-three", marks=pytest.mark.slow),
    ],
)
def test_killed_processes_leave_a_store_that_resumes_to_the_same_bytes(
    tmp_path: Path, content: Content, kills: int, processes: int
) -> None:
    found = told(tmp_path, kills, processes)
    assert found["kills"] >= kills
    assert found["after_begin"] >= kills // 3, "too few kills met a store that was begun"
    require_equal(tmp_path, found["stores"], content)


def test_processes_at_the_same_shards_corrupt_nothing(tmp_path: Path, content: Content) -> None:
    found = told(tmp_path, "crowd")
    for codes in found.values():
        assert set(codes) <= {0, 3}, "those who cannot write are told so"
        assert 0 in codes
    require_equal(tmp_path, list(found), content)


def test_processes_that_share_leave_the_same_bytes(tmp_path: Path, content: Content) -> None:
    require_equal(tmp_path, told(tmp_path, 0, 3)["stores"], content)
