"""Extract again and again, each time killed at a random moment, until enough were killed.

Run by test_crash.py as `kill_extraction.py FOLDER KILLS`; writes what it did to stdout as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from codeclens import Conductance, ImageFolder, extract


def pictures(folder: Path) -> Path:
    """Twenty pictures, of which every seventh is none."""
    from PIL import Image

    folder.mkdir()
    for i in range(20):
        Image.effect_noise((8, 8), i).save(folder / f"{i}.png")
        if i % 7 == 3:
            (folder / f"{i}.png").write_text("no picture")
    return folder


def extraction(images: Path, to: Path) -> None:
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
    )


def child(images: Path, to: Path) -> int:
    pid = os.fork()
    if not pid:
        try:
            extraction(images, to)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return pid


def main(folder: Path, wanted: int) -> None:
    torch.set_num_threads(1)
    chance = random.Random(0)
    images = pictures(folder / "pictures")
    start = time.perf_counter()
    _, status = os.waitpid(child(images, folder / "undisturbed"), 0)
    whole = time.perf_counter() - start
    if status:
        raise SystemExit("the undisturbed run failed")
    stores, kills, after_begin = ["0"], 0, 0
    finished = False
    while kills < wanted or not finished:
        if finished:
            stores.append(str(len(stores)))
        to = folder / stores[-1]
        pid = child(images, to)
        if kills < wanted:
            time.sleep(chance.uniform(0, whole))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        finished = status == 0
        if os.WIFSIGNALED(status):
            kills += 1
            after_begin += (to / "zarr.json").exists()
        elif status:
            raise SystemExit("a resumed run failed")
    print(json.dumps({"kills": kills, "after_begin": after_begin, "stores": stores}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
