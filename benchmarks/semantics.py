"""Correlation with classes compared with the plain matrix product: time and memory.

The correlations of N samples' loadings of K modes with C classes need the product
`(N, K)ᵀ (N, C)` with the indicators. Both are timed in turns on one thread, in float32 as in a
store; memory is the peak of a separate process, including the loadings. Then the cost of one
permutation of the labels, for dense channels and for sparse loadings.

    python -m benchmarks.semantics
    python -m benchmarks.semantics --samples 5000 --modes 600 --classes 100
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.timing import Paired, paired
from codeclens.analysis import permutation_nulls
from codeclens.decomposition.quality import indicator_correlation

RATE_NEEDED = 0.7
MEMORY_NEEDED = 4 * 2**30
# Loadings of a TopK code: the number of active modes in a sample.
PRESENT = 16
PERMUTATIONS = 4


def material(samples: int, modes: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Random loadings `(N, K)` in float32 and labels `(N,)`."""
    random = np.random.default_rng(0)
    return random.random((samples, modes), np.float32), random.integers(classes, size=samples)


def compare(samples: int, modes: int, classes: int, pairs: int) -> Paired:
    """Seconds of the plain product against seconds of all correlations: the ratio is our rate."""
    Z, labels = material(samples, modes, classes)
    indicator = np.zeros((samples, classes), np.float32)
    indicator[np.arange(samples), labels] = 1
    return paired(
        lambda: Z.T @ indicator,
        lambda: indicator_correlation(Z, labels, classes),
        pairs=pairs,
    )


def peak(samples: int, modes: int, classes: int) -> int:
    """Peak memory, in bytes, of a process that makes loadings and correlates them."""
    shape = f"{samples}, {modes}, {classes}"
    code = f"from benchmarks.semantics import correlate; print(correlate({shape}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def correlate(samples: int, modes: int, classes: int) -> int:
    """Correlate, and return the peak memory of this process in bytes."""
    Z, labels = material(samples, modes, classes)
    indicator_correlation(Z, labels, classes)
    status = Path("/proc/self/status")
    if status.exists():  # the system's own count begins with the memory of the parent
        (line,) = [one for one in status.read_text().splitlines() if one.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def permutation_seconds(samples: int, modes: int, classes: int, sparse: bool) -> float:
    """Seconds for one more permutation, without the work that is done once."""
    Z, labels = material(samples, modes, classes)
    if sparse:
        chosen = np.random.default_rng(1).integers(modes, size=(samples, min(PRESENT, modes)))
        kept = Z[np.arange(samples)[:, None], chosen]
        Z[:] = 0
        Z[np.arange(samples)[:, None], chosen] = kept
    taken = []
    for n in (1, 1 + PERMUTATIONS):
        start = time.process_time()
        permutation_nulls(Z, labels, classes, n=n)
        taken.append(time.process_time() - start)
    return (taken[1] - taken[0]) / PERMUTATIONS


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--modes", type=int, default=6000)
    parser.add_argument("--channels", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args(arguments)
    shape = given.samples, given.modes, given.classes
    print(f"{given.samples:,} samples × {given.modes:,} modes × {given.classes:,} classes")
    bytes_ = peak(*shape)
    print(f"  memory {bytes_ / 2**30:.2f} GiB; allowed {MEMORY_NEEDED / 2**30:.0f} GiB")
    print(f"  product / correlation: {compare(*shape, given.pairs)}; needed {RATE_NEEDED}")
    for words, columns, sparse in (
        ("sparse modes", given.modes, True), ("dense channels", given.channels, False),
    ):  # fmt: skip
        seconds = permutation_seconds(given.samples, columns, given.classes, sparse)
        print(f"  one permutation, {columns:,} {words}: {seconds:.3f} s", flush=True)


if __name__ == "__main__":
    main()
