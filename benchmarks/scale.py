"""The cost of a large data set: a rate measured here times its size, in hours and money.

Extraction runs end to end on some images. The CPU seconds of all threads between the first and the
last batch are counted (reading, decoding, computing and writing), without one-time work. CPU
seconds change little if other processes share the core.

    python -m benchmarks.scale                        # ResNet-50, 16 blocks, 20 steps; ImageNet-1k
    python -m benchmarks.scale --steps 10 --samples 50000 --price 0.05
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import codeclens as cl
from benchmarks.extraction import calibrated_resnet50
from codeclens import zoo
from codeclens.extraction.layout import Layout, SiteEntry

IMAGENET = 1_281_167
SHARD = 1024
# Dollars: assumptions, to be replaced by what a provider asks.
PRICE_OF_CORE_HOUR, PRICE_OF_GB_MONTH, PRICE_OF_1000_PUTS = 0.04, 0.023, 0.005


@dataclass(frozen=True)
class Measured:
    """CPU seconds a sample, and the store's layout for as many samples as are planned."""

    whole: float
    decoding: float
    layout: Layout

    @property
    def size(self) -> int:
        """Bytes of all arrays that are cut along the samples."""
        rows = self.layout.samples
        fixed = {"float32": 4, "float16": 2, "int64": 8, "bool": 1, "str": 0}
        return sum(
            rows * fixed[dtype] * int(np.prod(row)) for dtype, row in self.layout.arrays.values()
        )

    @property
    def objects(self) -> int:
        """Files or objects that are put: each array of each shard, and its record."""
        return self.layout.shards * (len(self.layout.arrays) + 1)


def measure(images: Path, limit: int, batch: int, samples: int, **options: Any) -> Measured:
    """Extract from some of the images, and count."""
    ready = zoo.load("torchvision:resnet50", weights="random")
    data = cl.ImageFolder(images, ready.transform, limit=limit)
    start = time.process_time()
    for index in range(limit):
        data.load(index)
    decoding = (time.process_time() - start) / limit
    told: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        store = cl.extract(
            calibrated_resnet50(),
            data,
            sites="@blocks",
            to=Path(folder, "s.zarr"),
            batch_size=batch,
            progress=lambda done, total: told.append((time.process_time(), done)),
            **options,
        )
        sites = tuple(SiteEntry(**entry) for entry in store.metadata["sites"])
    # The first batch also pays for what is allocated once.
    (began, before), (ended, after) = told[1], told[-1]
    layout = Layout(samples, store.metadata["settings"]["dtype"], SHARD, sites)
    return Measured((ended - began) / (after - before), decoding, layout)


def words(measured: Measured, price: float) -> str:
    """The plan."""
    samples = measured.layout.samples
    hours = measured.whole * samples / 3600
    size, puts = measured.size / 1e9, measured.objects
    money = hours * price
    lines = [
        f"a sample     {measured.whole:.2f} CPU seconds, of which decoding "
        f"{1000 * measured.decoding:.0f} ms; {measured.size / samples / 1000:.0f} kB",
        f"{samples:,} samples take {hours:,.0f} core hours "
        f"({hours / 64:,.1f} hours on 64 cores, {hours / 1024:,.1f} on 1,024)",
        f"the store    {size:,.0f} GB in {measured.layout.shards:,} shards, {puts:,} files",
        f"computing    ${money:,.0f} at ${price} a core hour",
        f"keeping      ${size * PRICE_OF_GB_MONTH:,.2f} a month at ${PRICE_OF_GB_MONTH} a GB, "
        f"${puts / 1000 * PRICE_OF_1000_PUTS:,.2f} to put them",
    ]
    return "\n".join(lines)


def noise(folder: Path, count: int) -> Path:
    """Pictures of the size of photographs, where there are none."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 255, (375, 500, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((500, 375)).save(folder / f"{i}.jpg")
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--limit", type=int, default=8, help="images that are extracted from")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--samples", type=int, default=IMAGENET)
    parser.add_argument("--price", type=float, default=PRICE_OF_CORE_HOUR)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16"])
    parser.add_argument("--fold", action="store_true", help="fold batch norms")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    bench = os.environ.get("CODECLENS_BENCH")
    with tempfile.TemporaryDirectory() as folder:
        if bench:
            images = Path(bench, "imagenet_sample_1000", "images")
        else:
            images = noise(Path(folder), given.limit)
        for steps in given.steps:
            options: dict[str, Any] = {"dtype": given.dtype, "fold_batchnorm": given.fold}
            # Where the nodes lie changes the results, not the time.
            method = cl.Conductance(steps, nodes="uniform")
            found = measure(
                images, given.limit, given.batch, given.samples, method=method, **options
            )
            folded = ", batch norms folded" if given.fold else ""
            print(f"ResNet-50, 224 px, 16 blocks, {steps} steps, {given.dtype}{folded}")
            print(words(found, given.price), flush=True)


if __name__ == "__main__":
    main()
