"""Make the modes of EfficientNet-Lite0 that ship with codeclens.

Contributions of `LIMIT` photographs, one of a class each, are extracted into a folder (a killed run
goes on), every block is decomposed, and the modes are written with their card. The same photographs
give the same files again.

    CODECLENS_BENCH=… python -m benchmarks.ready_modes extract --folder cache
    python -m benchmarks.ready_modes compare --folder cache --to comparison.csv
    python -m benchmarks.ready_modes write --folder cache
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import codeclens as cl
from benchmarks.material import bench
from codeclens import zoo
from codeclens.extraction import Samples

NAME = "efficientnet-lite0"
LIMIT = 500
STEPS = 3


class Photographs(Samples):
    """`limit` photographs of imagenet_sample_1000, spread evenly over the classes.

    They come in a drawn order, so that neighbours in the order are no neighbours in meaning.
    Their keys are the names of the files without folder and ending, so that nothing tells where
    they lay.
    """

    def __init__(self, transform: Any, classes: Any, limit: int) -> None:
        folder = bench() / "imagenet_sample_1000"
        with (folder / "labels.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        order = np.random.default_rng(0).permutation(limit)
        self.rows = [rows[i * len(rows) // limit] for i in order]
        self.folder, self.transform, self.classes = folder, transform, list(classes)

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, index: int) -> str:
        return Path(self.rows[index]["file"]).stem

    def label(self, index: int) -> int:
        return int(self.rows[index]["class_index"])

    def read(self, index: int) -> tuple[Any, Any]:
        with Image.open(self.folder / self.rows[index]["file"]) as image:
            return self.transform(image.convert("RGB")), self.label(index)

    def describe(self) -> dict[str, Any]:
        return {"kind": "photographs", "samples": len(self), "pixels": self.probe()}


def extract(folder: Path, limit: int) -> cl.ContributionStore:
    """The contributions at all blocks to the predicted class; completed where they are not."""
    ready = zoo.load(NAME)
    torch.set_num_threads(1)  # the number of threads changes the last digits
    return cl.extract(
        ready.model,
        Photographs(ready.transform, ready.labels, limit),
        sites=ready.sites,
        method=cl.Conductance(steps=STEPS),
        to=folder / "contributions.zarr",
        batch_size=10,
        shard_size=50,
        progress=lambda done, total: print(done, "of", total, flush=True),
    )


def main() -> None:
    """Run one step from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["extract"])
    parser.add_argument("--folder", type=Path, required=True, help="where contributions are kept")
    parser.add_argument("--limit", type=int, default=LIMIT, help="photographs")
    options = parser.parse_args()
    extract(options.folder, options.limit)


if __name__ == "__main__":
    main()
