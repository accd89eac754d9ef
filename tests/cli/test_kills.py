"""Commands that are killed: results are whole or absent, earlier ones stay, a rerun is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Told = Callable[..., tuple[int, str, str]]
SCRIPT = Path(__file__).with_name("kill_commands.py")

# Classes by brightness, so that there is an accuracy to control.
SURE = """

def sure():
    net, centres = build(), torch.tensor([0.16, 0.47, 0.78])
    with torch.no_grad():
        for layer in (net[0], net[3], net[5]):
            layer.weight.fill_(1 / layer.weight[0].numel())
            layer.bias.zero_()
        net[5].weight.mul_(centres[:, None])
        net[5].bias.copy_(-centres**2 / 2)
    return net
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork")


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["analyze", "explain", "report", "gallery", "control", "decompose"]
)
def test_killed_commands(command: str, desk: Path, told: Told) -> None:
    """Also on a terminal without UTF-8 and without a home folder."""
    with (desk / "tiny.py").open("a", encoding="utf-8") as file:
        file.write(SURE)
    model = "tiny:sure" if command == "control" else "tiny:build"
    images = "--model", model, "--images", "images", "--steps", 2
    assert told("extract", *images, "--to", "run/store.zarr")[0] == 0
    fit = "--method", "nmf", "--k", 2, "--to", "run/modes"
    assert told("decompose", "run/store.zarr", *fit)[0] == 0
    names = {"HOME", "USERPROFILE", "PYTHONUTF8"}
    plain = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), command, "4"],
        env=plain | {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed"] >= 2
    assert found["files"] > 0
    assert found["changed"], "the earlier run must differ, else nothing is tested"
    for name in ("torn", "lost", "hidden", "different"):
        assert found[name] == [], name
    assert not found["traceback"]
