"""Commands in processes of their own, killed at random moments and run again.

Started by the tests in a folder with a model, images, a store and modes; writes JSON to stdout.

    kill_commands.py COMMAND KILLS
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from codeclens.cli import main

STORE = ("run/store.zarr", "--modes", "run/modes")
# Options of an earlier run, and of the run that is killed and repeated.
COMMANDS: dict[str, tuple[list[str] | None, list[str]]] = {
    "analyze": (
        ["analyze", *STORE, "--to", "OUT", "--permutations", "20"],
        ["analyze", *STORE, "--to", "OUT", "--permutations", "20", "--seed", "1"],
    ),
    "explain": (
        ["explain", "images/dark/0.png", "--model", "tiny:build", "--modes", "run/modes", "--to",
         "OUT", "--steps", "2"],
        ["explain", "images/dark/0.png", "--model", "tiny:build", "--modes", "run/modes", "--to",
         "OUT", "--steps", "3", "--overwrite"],
    ),
    "report": (
        ["report", *STORE, "--to", "OUT/r.html", "--run-code", "--galleries", "1"],
        ["report", *STORE, "--to", "OUT/r.html", "--run-code", "--galleries", "1", "--seed", "1"],
    ),
    "gallery": (
        ["gallery", *STORE, "--to", "OUT", "--run-code", "--count", "2"],
        ["gallery", *STORE, "--to", "OUT", "--run-code", "--count", "3"],
    ),
    "control": (
        None,
        ["control", *STORE, "--to", "OUT", "--run-code", "--trials", "1", "--fractions", "0.2,0.5",
         "--necessity", "4"],
    ),
    "decompose": (
        None,
        ["decompose", "run/store.zarr", "--n-modes", "6", "--k", "2", "--epochs", "30", "--logs",
         "OUT/logs", "--to", "OUT/modes"],
    ),
}  # fmt: skip


def child(arguments: list[str], out: str) -> int:
    """Run a command in a process of its own, in which nothing has been started yet."""
    pid = os.fork()
    if not pid:
        nowhere = os.open(f"{out}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            main([one.replace("OUT", out) for one in arguments])
        except SystemExit as end:
            os._exit(int(end.code or 0))
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def whole(arguments: list[str], out: str) -> float:
    start = time.perf_counter()
    code = ended(child(arguments, out))
    if code:
        raise SystemExit(f"{arguments} ended with {code}: {Path(f'{out}.txt').read_text()[-2000:]}")
    return time.perf_counter() - start


def data_of(path: Path) -> bytes:
    """The content of a file; of an .npz that of its arrays, since it holds the time as well."""
    if path.suffix != ".npz" or path.name.startswith("."):
        return path.read_bytes()
    with np.load(path) as arrays:
        return b"".join(name.encode() + arrays[name].tobytes() for name in arrays)


def content(out: str) -> dict[str, bytes]:
    """All results; options hold the name of the folder, and logs and parts are no results."""
    files = (path for path in Path(out).rglob("*") if path.is_file())
    found = {path.relative_to(out).as_posix(): data_of(path) for path in files}
    return {
        name: data
        for name, data in found.items()
        if not name.endswith("config.yaml")
        and not any(part.startswith(".") or part in ("logs",) for part in name.split("/"))
    }


def kill(command: str, kills: int) -> dict[str, object]:
    chance = random.Random(0)
    earlier, now = COMMANDS[command]
    took = whole(now, "undisturbed")
    right = content("undisturbed")
    before: dict[str, bytes] = {}
    if earlier is not None:
        whole(earlier, "out")
        before = content("out")
    killed, torn, lost = 0, [], []
    for _ in range(kills):
        pid = child(now, "out")
        time.sleep(chance.uniform(0, took))
        os.kill(pid, signal.SIGKILL)
        killed += ended(pid) == -signal.SIGKILL
        after = content("out")
        whole_ones = [(before.get(name), right.get(name)) for name in after]
        torn += [n for n, known in zip(after, whole_ones, strict=True) if after[n] not in known]
        lost += [name for name in before if name not in after]
    whole(now, "out")
    hidden = [path.name for path in Path("out").rglob(".*") if path.suffix in (".part", ".old")]
    told = Path("out.txt").read_text(encoding="utf-8", errors="replace")
    return {
        "killed": killed, "torn": torn, "lost": lost, "hidden": hidden, "changed": right != before,
        "different": [name for name in right if content("out").get(name) != right[name]],
        "traceback": "Traceback" in told, "files": len(right),
    }  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.path.insert(0, os.getcwd())
    print(json.dumps(kill(sys.argv[1], int(sys.argv[2]))))
