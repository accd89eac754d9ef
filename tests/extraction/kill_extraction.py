"""Extractions in processes of their own, started from one without threads, which may be forked.

Run by the tests; each writes what it did to stdout as JSON.

    kill_extraction.py FOLDER KILLS [PROCESSES]   # killed at random moments, again and again
    kill_extraction.py FOLDER crowd               # several processes at the same shards

With several processes each takes its share of the shards, and one of them is killed at a time.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from codeclens import CodeclensError, Conductance, ImageFolder, extract


def pictures(folder: Path) -> Path:
    """Twenty pictures, of which every seventh is none."""
    from PIL import Image

    folder.mkdir()
    for i in range(20):
        Image.effect_noise((8, 8), i).save(folder / f"{i}.png")
        if i % 7 == 3:
            (folder / f"{i}.png").write_text("no picture")
    return folder


def extraction(images: Path, to: Path, shards: slice | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten()),
        nn.Linear(64, 3),
    )
    extract(
        model,
        ImageFolder(images),
        sites=["1", "3"],
        method=Conductance(4, "trapezoid", "uniform"),
        to=to,
        batch_size=2,
        shard_size=4,
        shards=shards,
    )


def child(images: Path, to: Path, shards: slice | None) -> int:
    """Start an extraction; it ends with exit code 3 for a user's mistake, 1 for another."""
    pid = os.fork()
    if not pid:
        try:
            extraction(images, to, shards)
        except CodeclensError:
            os._exit(3)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def undisturbed(images: Path, folder: Path) -> float:
    """Make the store that all others must equal; returns how many seconds that took."""
    start = time.perf_counter()
    if ended(child(images, folder / "undisturbed", None)):
        raise SystemExit("the undisturbed run failed")
    return time.perf_counter() - start


def kill(folder: Path, wanted: int, processes: int) -> dict[str, Any]:
    chance = random.Random(0)
    images = pictures(folder / "pictures")
    whole = undisturbed(images, folder) * processes
    parts = [slice(rank, None, processes) if processes > 1 else None for rank in range(processes)]
    stores, kills, after_begin = ["0"], 0, 0
    finished = False
    while kills < wanted or not finished:
        if finished:
            stores.append(str(len(stores)))
        to = folder / stores[-1]
        pids = [child(images, to, part) for part in parts]
        if kills < wanted:
            time.sleep(chance.uniform(0, whole))
            os.kill(chance.choice(pids), signal.SIGKILL)
        codes = [ended(pid) for pid in pids]
        finished = not any(codes)
        if -signal.SIGKILL in codes:
            kills += 1
            after_begin += (to / "zarr.json").exists()
        elif not finished:
            raise SystemExit(f"resumed runs ended with {codes}")
    return {"kills": kills, "after_begin": after_begin, "stores": stores}


def crowd(folder: Path) -> dict[str, Any]:
    """Four processes at once, all for all shards: alone, then shared."""
    images = pictures(folder / "pictures")
    undisturbed(images, folder)
    found = {}
    for name, shards in (("alone", None), ("shared", slice(None))):
        pids = [child(images, folder / name, shards) for _ in range(4)]
        found[name] = [ended(pid) for pid in pids]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    place, what, *rest = sys.argv[1:]
    if what == "crowd":
        print(json.dumps(crowd(Path(place))))
    else:
        print(json.dumps(kill(Path(place), int(what), int(rest[0]) if rest else 1)))
