from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_extraction.py")


def killed(folder: Path, kills: int) -> list[Path]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(kills)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= kills
    assert found["after_begin"] >= kills // 3, "too few kills met a store that was begun"
    return [folder / name for name in found["stores"]]


@pytest.mark.parametrize(
    "kills", [pytest.param(5, id="five"), pytest.param(40, id="forty", marks=pytest.mark.slow)]
)
def test_killed_processes_leave_a_store_that_resumes_to_the_same_bytes(
    tmp_path: Path, content: Callable[[Path], dict[str, bytes]], kills: int
) -> None:
    stores = killed(tmp_path, kills)
    undisturbed = content(tmp_path / "undisturbed")
    assert stores
    for store in stores:
        assert content(store) == undisturbed
