"""All layer statistics of one large site: seconds on one thread, and memory.

A store of random contributions of 50,000 samples at 2,048 units, in 1,000 classes, is written
first. Then a new process computes its layer statistics: sparsity of samples and units, sign
correlation, spectra of samples and of class means, for contributions and activations, with their
intervals.

    python -m benchmarks.statistics
    python -m benchmarks.statistics --samples 20000 --units 512
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.store import made
from codeclens import ContributionStore, layer_statistics

SECONDS_ALLOWED, MB_ALLOWED = 60, 2048


def measured(path: Path) -> dict[str, float]:
    """CPU seconds and the growth of this process's memory; run it in a new process."""
    torch.set_num_threads(1)
    store = ContributionStore(path)
    Path("/proc/self/clear_refs").write_text("5")
    before, start = _resident("VmRSS"), time.process_time()
    layer_statistics(store)
    return {"seconds": time.process_time() - start, "MB": _resident("VmHWM") - before}


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{field}:"))) / 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--units", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.of is not None:
        print(json.dumps(measured(given.of)))
        return
    with tempfile.TemporaryDirectory() as name:
        store = made(Path(name), given.samples, given.units, classes=given.classes)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.statistics", "--of", str(store.path)],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    print(
        f"{given.samples} x {given.units}, {given.classes} classes: {found['seconds']:.1f} CPU s "
        f"(allowed {SECONDS_ALLOWED}), {found['MB']:.0f} MB added (allowed {MB_ALLOWED})"
    )


if __name__ == "__main__":
    main()
