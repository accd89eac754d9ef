"""Extractions on a Ray cluster of two nodes, in a process of their own; run by the tests.

    ray_extraction.py FOLDER

Makes 2,000 pictures in FOLDER and stores of them: `alone` by this process, `cluster` by workers of
which one is killed, `objects` by way of a server like S3, copied from there. Writes what happened
to stdout as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import ray
import torch
from moto.server import ThreadedMotoServer
from PIL import Image
from ray.cluster_utils import Cluster
from torch import Tensor, nn

from codeclens import CodeclensError, Conductance, ContributionStore, RayEngine, extract
from codeclens.extraction import ImageFolder, ObjectFolder

SAMPLES, SHARD = 2000, 256
MEMORY = 100_000_000
HERE = os.getpid()


def pictures(folder: Path) -> Path:
    """Pictures of which every 301st is none."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(SAMPLES):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        if i % 301 == 3:
            (folder / f"{i}.png").write_text("no picture")
    return folder


class Noted:
    """A transform that leaves a note of the process in which it runs."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, image: Image.Image) -> Tensor:
        if os.getpid() != HERE:
            (self.notes / str(os.getpid())).touch()
        pixels = torch.tensor(list(image.tobytes()), dtype=torch.float32)
        return pixels.reshape(3, 8, 8) / 255


class Deadly(Noted):
    """A transform that kills every process but this one."""

    def __call__(self, image: Image.Image) -> Tensor:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(image)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(64, 3))


def wider() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU())


def extracted(images: ImageFolder, to: Path | str, **options: Any) -> ContributionStore:
    return extract(
        network(),
        images,
        sites=["1", "3"],
        method=Conductance(4, "trapezoid", "uniform"),
        to=to,
        shard_size=SHARD,
        batch_size=32,
        **options,
    )


class Killer:
    """Progress that kills a worker once, in the middle."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.killed = 0
        self.told: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))
        if done and not self.killed:
            newest = max(self.notes.iterdir(), key=lambda note: note.stat().st_mtime_ns)
            os.kill(int(newest.name), signal.SIGKILL)
            self.killed = int(newest.name)


def sentence(*arguments: Any, **options: Any) -> str:
    """The error message of an extraction."""
    try:
        extracted(*arguments, **options)
    except CodeclensError as error:
        return str(error)
    return "nothing was wrong"


def on_the_cluster(folder: Path) -> dict[str, Any]:
    notes = folder / "notes"
    notes.mkdir()
    images = ImageFolder(pictures(folder / "pictures"), Noted(notes))
    extracted(images, folder / "alone")
    killer = Killer(notes)
    extracted(images, folder / "cluster", engine=RayEngine(workers=2), progress=killer)
    fsspec.filesystem("s3").mkdir("bucket")
    address = "s3://bucket/run/contributions.zarr"
    build = {"build": network, "decoders": 1}
    extracted(images, address, engine=RayEngine(workers=2, **build))
    objects = ObjectFolder(address)
    for name, content in objects.read_several(objects.sizes()).items():
        (folder / "objects" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "objects" / name).write_bytes(content)
    store = ContributionStore(address)
    np.testing.assert_array_equal(
        store.to_xarray("3")["positive"].values, store.view("3", "positive")
    )
    deadly = ImageFolder(folder / "pictures", Deadly(notes))
    return {
        "killed": killer.killed,
        "told": killer.told,
        "workers": len(list(notes.iterdir())),
        "skipped": len(store.skipped),
        "another": sentence(images, folder / "a", engine=RayEngine(workers=1, build=wider)),
        "strict": sentence(images, folder / "b", engine=RayEngine(workers=1), strict=True),
        "deadly": sentence(deadly, folder / "c", engine=RayEngine(workers=1, retries=1)),
        "crowded": sentence(images, folder / "d", engine=RayEngine(workers=4, decoders=1)),
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    # Before the cluster starts: its workers take the environment over.
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    node = {"num_cpus": 2, "object_store_memory": MEMORY}
    cluster = Cluster(True, head_node_args={"include_dashboard": False, **node})
    try:
        cluster.add_node(**node)
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        try:
            print(json.dumps(on_the_cluster(folder)))
        finally:
            ray.shutdown()
    finally:
        cluster.shutdown()
        server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
