"""`codeclens extract` in several processes that a launcher started: one store, one summary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeclens.extraction import ContributionStore

PYTHON = [sys.executable, "-m"]
TORCHRUN = [*PYTHON, "torch.distributed.run", "--standalone", "--nproc-per-node"]
SAMPLES, SHARDS = 520, 3


def extraction(to: str) -> list[str]:
    own = ("--model", "tiny:build", "--images", "images", "--steps", "2", "--shard-size", "256")
    return ["codeclens", "extract", *own, "--to", f"{to}/store.zarr"]


@pytest.fixture
def plenty(desk: Path) -> Path:
    """The desk with pictures for three shards, one of them damaged."""
    rng = np.random.default_rng(0)
    for number in range(SAMPLES - 12):
        pixels = rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(desk / "images" / "grey" / f"more{number}.png")
    return desk


def start(command: Sequence[str], place: Path, **environment: str) -> subprocess.Popen[str]:
    known = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "RANK", "WORLD_"))}
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join([str(place), *sys.path])
    return subprocess.Popen(
        command,
        cwd=place,
        env={**known, **one, "PYTHONPATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out, err


def content(store: Path) -> dict[str, bytes]:
    """The bytes of all files, without the time of the store's making."""
    files = (p for p in store.rglob("*") if p.is_file() and not p.name.startswith("."))
    found = {path.relative_to(store).as_posix(): path.read_bytes() for path in files}
    root = json.loads(found["zarr.json"])
    del root["attributes"]["codeclens"]["created"]
    return found | {"zarr.json": json.dumps(root).encode()}


def ranks(count: int) -> list[dict[str, str]]:
    return [{"RANK": str(n), "WORLD_SIZE": str(count)} for n in range(count)]


@pytest.mark.slow
def test_launched_processes_make_the_store_of_one(plenty: Path) -> None:
    alone, _ = ended(start([*PYTHON, *extraction("alone")], plenty))
    whole = content(plenty / "alone" / "store.zarr")
    assert len(ContributionStore(plenty / "alone" / "store.zarr")) == SAMPLES - 2
    for count in (2, 3):
        command = [*PYTHON, *extraction(str(count))]
        told = [ended(p) for p in [start(command, plenty, **rank) for rank in ranks(count)]]
        assert content(plenty / str(count) / "store.zarr") == whole
        assert told[0][0] == alone.replace("alone/", f"{count}/"), "the first speaks for all"
        assert told[1:] == [("", "")] * (count - 1)
        assert (plenty / str(count) / "config.yaml").exists()
    out, _ = ended(start([*TORCHRUN, "2", "-m", *extraction("torchrun")], plenty))
    assert content(plenty / "torchrun" / "store.zarr") == whole
    assert out == alone.replace("alone/", "torchrun/")


@pytest.mark.slow
def test_what_a_killed_rank_leaves_any_number_of_ranks_completes(plenty: Path) -> None:
    ended(start([*PYTHON, *extraction("alone")], plenty))
    command = [*PYTHON, *extraction("tasks")]
    tasks = [{"SLURM_ARRAY_TASK_ID": str(n), "SLURM_ARRAY_TASK_COUNT": "3"} for n in range(SHARDS)]
    ended(start(command, plenty, **tasks[0]))
    killed = start(command, plenty, **tasks[1])
    locks = plenty / "tasks" / "store.zarr" / "shard_record"
    while not (locks / ".lock-1").exists():
        assert killed.poll() is None, "it was done before it could be killed"
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(ContributionStore(plenty / "tasks" / "store.zarr")) < SAMPLES - 2
    for process in [start(command, plenty, **rank) for rank in ranks(2)]:
        ended(process)
    assert content(plenty / "tasks" / "store.zarr") == content(plenty / "alone" / "store.zarr")
