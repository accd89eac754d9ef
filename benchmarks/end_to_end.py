"""From JPEG files to a store, compared with contributions of tensors in memory.

EfficientNet-Lite0, all blocks, 10 steps, photographs of `imagenette_val` in the folder
`CODECLENS_BENCH`. The first run decodes, transforms, attributes and writes; the second only
attributes the same images, in batches of the same size with the same memory layout. Then a separate
process measures the growth of memory from the first shard on, over one run.

    CODECLENS_BENCH=… python -m benchmarks.end_to_end
    CODECLENS_BENCH=… python -m benchmarks.end_to_end --images 48 --options   # what options bring
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.material import bench
from benchmarks.timing import Work, paired
from codeclens import Conductance, ImageFolder, extract, zoo
from codeclens.attribution import Attributor
from codeclens.extraction.computing import folded

RATIO_ALLOWED = 1.10
STEPS = 10
OPTIONS: dict[str, dict[str, Any]] = {
    "channels last": {"channels_last": True},
    "folded batch norms": {"fold_batchnorm": True},
    "channels last, folded": {"channels_last": True, "fold_batchnorm": True},
    "bfloat16": {"autocast": "bfloat16"},
}


class Sides:
    """Both ways of getting the contributions of some photographs."""

    def __init__(self, images: int, batch: int) -> None:
        ready = zoo.load("efficientnet-lite0")
        self.model = ready.model
        self.batch = batch
        self.folder = ImageFolder(bench() / "imagenette_val", ready.transform, limit=images)
        loaded = [self.folder.load(i).image for i in range(images)]
        self.x = torch.stack([image for image in loaded if image is not None])
        # Nodes that are placed already: the pilot is not what is compared.
        pilot = Attributor(self.model, sites="@blocks", method=Conductance(STEPS))
        self.method: Any = pilot.prepared(self.x[:: max(1, images // 4)]).method

    def end_to_end(self, **options: Any) -> None:
        """From files to a store."""
        with tempfile.TemporaryDirectory() as name:
            extract(
                self.model,
                self.folder,
                sites="@blocks",
                method=self.method,
                batch_size=self.batch,
                to=Path(name, "s.zarr"),
                **options,
            )

    def alone(self, channels_last: bool = False, fold: bool = False) -> Work:
        """Contributions of tensors in memory."""
        x = self.x.contiguous(memory_format=torch.channels_last) if channels_last else self.x
        model = folded(self.model, x[:2]) if fold else self.model
        attributor = Attributor(model, sites="@blocks", method=self.method)
        attributor = attributor.prepared(x[: self.batch])

        def work() -> None:
            for part in x.split(self.batch):
                attributor(part)

        return work


def growth(images: int, batch: int) -> dict[str, float]:
    """Peaks of this process, in MB, as each quarter of a run ends; for a process of its own."""
    torch.set_num_threads(1)
    sides = Sides(images, batch)
    peaks: dict[int, float] = {}

    def note(done: int, total: int) -> None:
        quarter = 4 * done // total
        peaks.setdefault(quarter, _peak())

    sides.end_to_end(progress=note, shard_size=max(1, images // 4))
    return {f"{quarter}/4": peak for quarter, peak in peaks.items()}


def _peak() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1000


def memory(images: int, batch: int) -> dict[str, float]:
    """The peaks of a fresh process."""
    numbers = ["--images", str(images), "--batch", str(batch), "--memory-only"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.end_to_end", *numbers],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory-images", type=int, default=96)
    parser.add_argument("--options", action="store_true", help="compare options instead")
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory_only:
        print(json.dumps(growth(given.images, given.batch)))
        return
    sides = Sides(given.images, given.batch)
    if given.options:
        for name, options in OPTIONS.items():
            usual = {"channels_last": False} | options
            found = paired(
                lambda usual=usual: sides.end_to_end(**usual),
                lambda: sides.end_to_end(channels_last=False),
                pairs=given.pairs,
            )
            print(f"{name} / plain: {found}", flush=True)
        return
    found = paired(sides.end_to_end, sides.alone(channels_last=True), pairs=given.pairs)
    print(f"end to end / contributions alone: {found}; allowed {RATIO_ALLOWED}", flush=True)
    peaks = memory(given.memory_images, given.batch)
    told = ", ".join(f"{part}: {peak:.0f} MB" for part, peak in peaks.items())
    print(f"peak of memory by part of a run of {given.memory_images} images: {told}")


if __name__ == "__main__":
    main()
