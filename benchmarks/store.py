"""Shuffled blocks of a store compared with a memory map of the same arrays, as training reads them.

All readers return every row once, in shuffled batches of float32 `[positive, −negative]`. The
memory map is two plain files with the arrays of the store; each batch gathers random rows in
ascending order and joins them. The store reads its files block by block. The third reader uses one
file with joined rows, which would first have to be made from the store. All files are in the
system's cache, and each is opened once, as in a training with many epochs.

    python -m benchmarks.store
    python -m benchmarks.store --samples 40960 --units 512 --batches 256 2048
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Paired, paired
from codeclens import ContributionStore
from codeclens.extraction.layout import Layout, SiteEntry
from codeclens.extraction.shards import blank
from codeclens.extraction.writer import writing

SPEED_NEEDED = 0.8


def plain_metadata(layout: Layout, **settings: Any) -> dict[str, Any]:
    """Valid metadata of a store whose contributions no model made."""
    unknown = dict.fromkeys(("method", "target", "baseline", "output", "positions", "computing"))
    return {
        "format": 1,
        "samples": layout.samples,
        "sample_shape": [1],
        "settings": {
            "model": {"class": "none"}, "data": {}, "sites": {}, **unknown, "classes": None,
            "dtype": layout.dtype, "shard_size": layout.shard_rows, **settings,
        },
        "sites": [vars(site) for site in layout.sites],
        "learned": {},
        "created": "",
        "versions": {},
    }  # fmt: skip


def made(
    folder: Path, samples: int, units: int, shard_rows: int = 1024, classes: int = 0
) -> ContributionStore:
    """A store of one site with random contributions, labelled in turns if there are classes."""
    site = SiteEntry("site", "site", units, True)
    layout = Layout(samples, "float32", shard_rows, (site,))
    metadata = plain_metadata(layout)
    rng = np.random.default_rng(0)
    path = folder / "s.zarr"
    with writing(path, lambda: metadata, lambda _: None) as writer:
        for shard in range(layout.shards):
            arrays = blank(layout, len(layout.rows(shard)))
            for name, sign in (("positive", 1), ("negative", -1), ("activation", 1)):
                values = arrays[f"sites/site/{name}"]
                values[:] = sign * np.abs(rng.standard_normal(values.shape, np.float32))
            arrays["valid"][:] = True
            if classes:
                arrays["label"][:] = np.arange(len(values)) * 7 % classes
            with writer.claim(shard):
                writer.write(shard, arrays, {})
    return ContributionStore(path)


def mapped(folder: Path, store: ContributionStore) -> list[np.ndarray]:
    """The two arrays of the site, each in one file that is mapped into memory."""
    found = []
    for part in ("positive", "negative"):
        np.save(folder / f"{part}.npy", store.view("site", part))
        found.append(np.load(folder / f"{part}.npy", mmap_mode="r"))
    return found


def batches_of(arrays: Sequence[np.ndarray], batch: int, seed: int) -> Iterator[np.ndarray]:
    """Every row once, gathered at random, as `[positive, −negative]`."""
    positive, negative = arrays
    units = positive.shape[1]
    order = np.random.default_rng(seed).permutation(len(positive))
    for start in range(0, len(positive), batch):
        rows = np.sort(order[start : start + batch])
        found = np.empty((len(rows), 2 * units), dtype=np.float32)
        found[:, :units] = positive[rows]
        np.negative(negative[rows], out=found[:, units:])
        yield found


def joined_batches(x: np.ndarray, batch: int, seed: int) -> Iterator[np.ndarray]:
    """The same from one file that holds rows `[positive, −negative]` already."""
    order = np.random.default_rng(seed).permutation(len(x))
    for start in range(0, len(x), batch):
        yield x[np.sort(order[start : start + batch])]


def compare(samples: int, units: int, batch: int, pairs: int) -> tuple[Paired, Paired]:
    """Seconds of one pass: maps of the two arrays, then of joined rows, each against the store."""
    with tempfile.TemporaryDirectory() as name:
        store = made(Path(name), samples, units)
        arrays = mapped(Path(name), store)
        np.save(Path(name, "joined.npy"), store.view("site"))
        joined = np.load(Path(name, "joined.npy"), mmap_mode="r")

        def from_maps() -> None:
            for rows in batches_of(arrays, batch, seed=1):
                rows.sum()

        def from_joined() -> None:
            for rows in joined_batches(joined, batch, seed=1):
                rows.sum()

        reader = store.reader("site", "concat")
        every = np.arange(samples)

        def from_store() -> None:
            for rows in reader.shuffled(every, batch, np.random.default_rng(1)):
                rows.sum()

        return (
            paired(from_maps, from_store, pairs=pairs),
            paired(from_joined, from_store, pairs=pairs),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_480)
    parser.add_argument("--units", type=int, nargs="+", default=[64, 512, 2048])
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 2048])
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args(arguments)
    for units in given.units:
        for batch in given.batches:
            found, joined = compare(given.samples, units, batch, given.pairs)
            print(f"{given.samples} × {2 * units} values, batch {batch}")
            print(f"  memory map / store: {found}; needed {SPEED_NEEDED}")
            print(f"  map of joined rows / store: {joined}", flush=True)


if __name__ == "__main__":
    main()
