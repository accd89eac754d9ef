"""Reading one site of a store: rows in order, some rows, or all of them shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64

from codeclens.errors import CodeclensError
from codeclens.extraction.layout import Layout, SiteEntry

View = Literal["concat", "sum", "positive", "negative", "activation"]
# A shuffled batch draws from about this many rows that lie in memory.
SHUFFLED_ROWS = 8192


class SiteReader:
    """Reads one view of one site of the store at `path`; rows are positions in the data.

    Chunks are not compressed and lie in ascending order, so that row r of a shard begins at byte
    r × row length. Reading the files straight is several times faster than through Zarr.
    """

    def __init__(self, path: Path, layout: Layout, site: SiteEntry, view: View) -> None:
        self.path = path
        self.layout = layout
        self.site = site
        self.view = view
        self.columns = site.units * (2 if view == "concat" else 1)
        self._dtype = np.dtype(layout.dtype).newbyteorder("<")

    def gather(self, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows columns"]:
        """Read the given rows, in any order."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found = np.empty((len(rows), self.columns), dtype=np.float32)
        in_order = bool((np.diff(rows) >= 0).all())
        for part in _split(ascending, self.layout.shard_rows):
            if in_order:
                self._into(found[part], ascending[part])
            else:
                block = np.empty((part.stop - part.start, self.columns), dtype=np.float32)
                self._into(block, ascending[part])
                found[order[part]] = block
        return found

    def shuffled(
        self, rows: Int64[np.ndarray, " rows"], batch: int, rng: np.random.Generator
    ) -> Iterator[Float32[np.ndarray, "batch columns"]]:
        """Go once through ascending `rows` in random batches; the last may be smaller.

        Blocks of consecutive rows are read in random order into a pool; batches are drawn from
        the pool at random whenever it is full, and what does not fill a batch stays in it.
        """
        chunk = self.layout.chunk_rows
        blocks = _split(rows, chunk)
        pool = np.empty((max(SHUFFLED_ROWS, batch) + chunk, self.columns), dtype=np.float32)
        filled = 0
        order = rng.permutation(len(blocks))
        for place, number in enumerate(order):
            block = rows[blocks[number]]
            self._into(pool[filled : filled + len(block)], block)
            filled += len(block)
            last = place == len(order) - 1
            if filled + chunk <= len(pool) and not last:
                continue
            drawn = rng.permutation(filled)
            whole = filled if last else filled // batch * batch
            for start in range(0, whole, batch):
                yield pool[drawn[start : min(start + batch, whole)]]
            rest = pool[drawn[whole:]]
            filled = len(rest)
            pool[:filled] = rest

    def _into(self, out: np.ndarray[Any, Any], rows: Int64[np.ndarray, " rows"]) -> None:
        """Read ascending rows of one shard."""
        low, high = int(rows[0]), int(rows[-1]) + 1
        if (np.diff(rows) == 1).all():
            self._read(low, out)
        else:
            block = np.empty((high - low, self.columns), dtype=np.float32)
            self._read(low, block)
            out[:] = block[rows - low]

    def _read(self, low: int, out: np.ndarray[Any, Any]) -> None:
        if self.view == "concat":
            units = self.site.units
            out[:, :units] = self._part("positive", low, len(out))
            # Zero minus, not minus: no −0 among numbers that are all ≥ 0.
            np.subtract(0, self._part("negative", low, len(out)), out=out[:, units:])
        elif self.view == "sum":
            self._part("positive", low, len(out), out)
            out += self._part("negative", low, len(out))
        else:
            self._part(self.view, low, len(out), out)

    def _part(
        self, part: str, low: int, count: int, out: np.ndarray[Any, Any] | None = None
    ) -> np.ndarray[Any, Any]:
        """Rows from `low` on, all in one shard, of one array; into `out` where it is given."""
        shard, row = divmod(low, self.layout.shard_rows)
        name = self.layout.file(f"sites/{self.site.group}/{part}", shard)
        straight = out is not None and out.dtype == self._dtype
        raw = out if straight else np.empty((count, self.site.units), self._dtype)
        assert raw is not None
        buffer = raw.reshape(-1).view(np.uint8).data
        done = 0
        try:
            with (self.path / name).open("rb", buffering=0) as stream:
                stream.seek(row * self.site.units * self._dtype.itemsize)
                while done < len(buffer) and (read := stream.readinto(buffer[done:])):
                    done += read
        except FileNotFoundError:
            done = -1
        if done < len(buffer):
            raise CodeclensError(damaged(self.path, name))
        if out is not None and not straight:
            out[:] = raw
        return raw


def damaged(path: Path, name: str) -> str:
    """The sentence on a file of a store that is gone or cannot be read."""
    return (
        f'"{name}" in the store "{path}" is missing or cut short; run the same extraction again '
        "to mend it."
    )


def _split(ascending: Int64[np.ndarray, " rows"], step: int) -> list[slice]:
    """Where ascending rows fall into one block of `step` rows after another."""
    edges = np.flatnonzero(np.diff(ascending // step)) + 1
    bounds = [0, *edges.tolist(), len(ascending)]
    return [slice(a, b) for a, b in pairwise(bounds) if b > a]
