"""Shuffled blocks of a store against a memory map of the same array: what training reads.

Both sides give every row once, in shuffled batches of float32 `[positive, −negative]`. The memory
map is one plain file of that very array, from which each batch gathers rows at random, in ascending
order within the batch; the store reads its two files block by block. Files lie in the system's
cache on both sides.

    python -m benchmarks.store
    python -m benchmarks.store --samples 40960 --units 512 --batches 256 2048
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.timing import Paired, paired
from codeclens import ContributionStore
from codeclens.extraction.layout import Layout, SiteEntry
from codeclens.extraction.shards import blank
from codeclens.extraction.writer import writing

SPEED_NEEDED = 0.8


def made(folder: Path, samples: int, units: int, shard_rows: int = 1024) -> ContributionStore:
    """A store of one site with random contributions."""
    site = SiteEntry("site", "site", units, True)
    layout = Layout(samples, "float32", shard_rows, (site,))
    settings = {"dtype": "float32", "shard_size": shard_rows, "classes": None}
    metadata = {"format": 1, "samples": samples, "settings": settings, "sites": [vars(site)]}
    rng = np.random.default_rng(0)
    path = folder / "s.zarr"
    with writing(path, lambda: metadata, lambda _: None) as writer:
        for shard in range(layout.shards):
            arrays = blank(layout, len(layout.rows(shard)))
            for name, sign in (("positive", 1), ("negative", -1), ("activation", 1)):
                values = arrays[f"sites/site/{name}"]
                values[:] = sign * np.abs(rng.standard_normal(values.shape, np.float32))
            arrays["valid"][:] = True
            with writer.claim(shard):
                writer.write(shard, arrays, {})
    return ContributionStore(path)


def mapped(folder: Path, store: ContributionStore) -> np.ndarray:
    """The same array in one file, mapped into memory."""
    np.save(folder / "x.npy", store.view("site"))
    return np.load(folder / "x.npy", mmap_mode="r")


def batches_of(x: np.ndarray, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Every row once, gathered at random."""
    order = np.random.default_rng(seed).permutation(len(x))
    for start in range(0, len(x), batch):
        yield x[np.sort(order[start : start + batch])]


def compare(samples: int, units: int, batch: int, pairs: int) -> Paired:
    """Seconds of the memory map and of the store, for one pass over all samples."""
    with tempfile.TemporaryDirectory() as name:
        store = made(Path(name), samples, units)
        x = mapped(Path(name), store)

        def from_map() -> None:
            for rows in batches_of(x, batch, seed=1):
                rows.sum()

        def from_store() -> None:
            for rows in store.batches("site", batch=batch, seed=1):
                rows.sum()

        return paired(from_map, from_store, pairs=pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_480)
    parser.add_argument("--units", type=int, nargs="+", default=[64, 512, 2048])
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 2048])
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args(arguments)
    for units in given.units:
        for batch in given.batches:
            found = compare(given.samples, units, batch, given.pairs)
            what = f"{given.samples} × {2 * units} values, batch {batch}: memory map / store"
            print(f"{what}: {found}; needed {SPEED_NEEDED}", flush=True)


if __name__ == "__main__":
    main()
