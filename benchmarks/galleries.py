"""Galleries of all modes of a site in one pass, compared with a search for the strongest samples.

Random loadings are sparse, like those of encoders: `--present` modes per sample. The floor only
finds the strongest samples of each mode by a partial sort of its column of loadings. A gallery also
finds diverse, typical and absent samples and counts classes.

    python -m benchmarks.galleries
    python -m benchmarks.galleries --samples 50000 --modes 6000 --pairs 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.timing import paired
from codeclens.decomposition import Modes
from codeclens.visualization import gallery

COUNT, CLASSES = 8, 1000


def drawn(samples: int, modes: int, present: int) -> Modes:
    """Modes of a site whose loadings are drawn; only their number and sparsity matter."""
    random = np.random.default_rng(0)
    # A gallery without a store never asks how the modes were found.
    method: Any = SimpleNamespace(dictionary=np.ones((modes, 1), np.float32))
    loadings = np.zeros((samples, modes), np.float32)
    where = random.integers(0, modes, (samples, present))
    np.put_along_axis(loadings, where, random.gamma(1.0, size=where.shape).astype(np.float32), 1)
    labels = random.integers(0, CLASSES, samples)
    return Modes("site", "positive", method, loadings, labels)


def strongest(modes: Modes) -> np.ndarray:
    """The floor: row numbers of the strongest samples of every mode."""
    found = [
        np.argpartition(-modes.loadings[:, k], COUNT)[:COUNT]
        for k in range(modes.loadings.shape[1])
    ]
    return np.stack(found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print seconds of both and their ratio."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--modes", type=int, default=1000)
    parser.add_argument("--present", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args(arguments)
    modes = drawn(given.samples, given.modes, given.present)
    times = paired(lambda: gallery(modes, count=COUNT), lambda: strongest(modes), pairs=given.pairs)
    print(f"gallery / strongest alone: {times}")


if __name__ == "__main__":
    main()
