"""Reading one site of a store: rows in any order, or all rows shuffled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float32, Int64

from codeclens.errors import CodeclensError
from codeclens.extraction.layout import Layout, SiteEntry
from codeclens.extraction.storage import Location, ObjectFolder

View = Literal["concat", "sum", "positive", "negative", "activation"]
Sign = Literal["sum", "positive", "negative"]
Rows = np.ndarray[Any, Any]
# A shuffled batch is drawn from about this many rows in memory.
SHUFFLED_ROWS = 8192
# Bytes of a long row, and the number of long rows in a block.
LONG_ROW, LONG_BLOCK = 8192, 1024
# Files that a reader maps at the same time; a process may have some ten thousand.
MOST_MAPPED = 1024

_PARTS: dict[View, tuple[str, ...]] = {
    "concat": ("positive", "negative"),
    "sum": ("positive", "negative"),
    "positive": ("positive",),
    "negative": ("negative",),
    "activation": ("activation",),
}
_KEEP: dict[Sign, Callable[[Rows], Rows]] = {
    "sum": lambda values: values,
    "positive": lambda values: values.clip(min=0),
    "negative": lambda values: values.clip(max=0),
}


class SiteReader:
    """Reads one view of one site of the store at `path`; rows are positions in the data.

    With `maps` it reads the contributions by position, each sample's as one long row.

    Chunks are uncompressed and in ascending order, so row r of a shard begins at byte
    r × row length. Memory-mapping the files is several times faster than reading through Zarr.
    A mapped file needs no file descriptor, so a store may have any number of shards.
    """

    def __init__(
        self, path: Location, layout: Layout, site: SiteEntry, view: View, maps: bool = False
    ) -> None:
        self.path = path
        self.layout = layout
        self.view = view
        names = tuple(f"{part}_map" for part in _PARTS[view]) if maps else _PARTS[view]
        # If all positions are kept, one map holds positive and negative contributions.
        self._whole = maps and len(site.maps) == 1
        if self._whole:
            names = site.maps
        self._parts = [f"sites/{site.group}/{part}" for part in names]
        self.units = math.prod(site.row(names[0]))
        self.columns = self.units * (2 if view == "concat" else 1)
        self._dtype = np.dtype(layout.dtype).newbyteorder("<")
        self._maps: dict[tuple[int, int], Rows] = {}
        self._pool = np.empty((0, self.columns), dtype=np.float32)

    def __getstate__(self) -> dict[str, Any]:
        """Without mapped files and the pool, which every process makes for itself."""
        return vars(self) | {"_maps": {}, "_pool": self._pool[:0].copy()}

    def gather(self, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows columns"]:
        """Read the given rows, in any order and possibly repeated."""
        ascending, places = np.unique(rows, return_inverse=True)
        found = np.empty((len(ascending), self.columns), dtype=np.float32)
        for part in _split(ascending, self.layout.chunk_rows):
            self._read(ascending[part], found[part])
        in_order = len(rows) == len(ascending) and bool((np.diff(places) > 0).all())
        return found if in_order else found[places]

    def shuffled(
        self, rows: Int64[np.ndarray, " rows"], batch: int, rng: np.random.Generator
    ) -> Iterator[Float32[np.ndarray, "batch columns"]]:
        """Iterate once over ascending `rows` in random batches; the last may be smaller.

        Blocks of consecutive rows are read into a pool in random order. Whenever the pool is full,
        batches are drawn from it at random, and rows that do not fill a batch stay. For long rows
        on disk the pool holds only row numbers, and each batch is gathered from the files in
        ascending order, because copying such rows twice would take most of the time.
        """
        long = self.columns * 4 >= LONG_ROW
        step = self._block_rows(long)
        blocks = _split(rows, step)
        size = max(SHUFFLED_ROWS, batch) + step
        numbers = np.empty(size, dtype=np.int64)
        pool = None if long and not isinstance(self.path, ObjectFolder) else self._free_pool(size)
        filled = 0
        order = rng.permutation(len(blocks))
        for place, number in enumerate(order):
            block = rows[blocks[number]]
            numbers[filled : filled + len(block)] = block
            if pool is not None:
                self._read(block, pool[filled : filled + len(block)])
            filled += len(block)
            last = place == len(order) - 1
            if filled + step <= size and not last:
                continue
            drawn = rng.permutation(filled)
            whole = filled if last else filled // batch * batch
            for start in range(0, whole, batch):
                chosen = drawn[start : min(start + batch, whole)]
                if long:
                    chosen = chosen[np.argsort(numbers[chosen])]
                yield self._from_files(numbers[chosen]) if pool is None else pool.take(chosen, 0)
            filled -= whole
            numbers[:filled] = numbers[drawn[whole:]]
            if pool is not None:
                pool[:filled] = pool[drawn[whole:]]
        if pool is not None:
            self._pool = pool  # reused by the next pass, because fresh memory is slow

    def _block_rows(self, long: bool) -> int:
        """The number of rows read together: larger for long rows, for few reads per batch."""
        most = min(LONG_BLOCK, self.layout.shard_rows)
        fits = self.layout.shard_rows % most == 0
        return most if long and fits else self.layout.chunk_rows

    def _free_pool(self, rows: int) -> Rows:
        pool, self._pool = self._pool, self._pool[:0]
        if len(pool) < rows:
            pool = np.empty((rows, self.columns), dtype=np.float32)
        return pool

    def _from_files(self, ascending: Int64[np.ndarray, " rows"]) -> Rows:
        found = np.empty((len(ascending), self.columns), dtype=np.float32)
        for part in _split(ascending, self.layout.shard_rows):
            self._read(ascending[part], found[part])
        return found

    def _read(self, rows: Int64[np.ndarray, " rows"], out: Rows) -> None:
        """Read ascending, distinct rows of one shard."""
        if self._whole:
            out[:] = _KEEP[cast(Sign, self.view)](self._part(0, rows))
        elif self.view == "concat":
            out[:, : self.units] = self._part(0, rows)
            # Subtract from 0, so that no result is −0.
            np.subtract(0, self._part(1, rows), out=out[:, self.units :])
        elif self.view == "sum":
            out[:] = self._part(0, rows)
            out += self._part(1, rows)
        else:
            out[:] = self._part(0, rows)

    def _part(self, number: int, rows: Int64[np.ndarray, " rows"]) -> Rows:
        """Ascending, distinct rows of one array within a shard; read-only."""
        low, count = int(rows[0]), int(rows[-1]) + 1 - int(rows[0])
        shard, row = divmod(low, self.layout.shard_rows)
        if isinstance(self.path, ObjectFolder):
            length = self.units * self._dtype.itemsize
            file = self.layout.file(self._parts[number], shard)
            raw = self._fetched(self.path, file, row * length, count * length)
            block = np.frombuffer(raw, self._dtype).reshape(count, self.units)
        else:
            block = self._mapped(number, shard)[row : row + count]
        return block if count == len(rows) else block[rows - low]

    def _mapped(self, number: int, shard: int) -> Rows:
        """One file of a store on disk, memory-mapped; not to be written."""
        found = self._maps.get((number, shard))
        if found is None:
            file = self.layout.file(self._parts[number], shard)
            rows = len(self.layout.rows(shard))
            length = rows * self.units * self._dtype.itemsize
            while len(self._maps) >= MOST_MAPPED:
                del self._maps[next(iter(self._maps))]
            # Python's mmap keeps a descriptor open for each file, torch's does not.
            try:
                mapped = torch.from_file(
                    f"{self.path}/{file}", shared=False, size=length, dtype=torch.uint8
                )
            except RuntimeError as error:
                raise CodeclensError(_not_mapped(self.path, file, length, error)) from None
            found = mapped.numpy().view(self._dtype).reshape(rows, self.units)
            found.flags.writeable = False
            self._maps[number, shard] = found
        return found

    def _fetched(self, path: ObjectFolder, file: str, offset: int, length: int) -> bytes:
        try:
            content = (path / file).read_range(offset, length)
        except FileNotFoundError:
            content = b""
        if len(content) < length:
            raise CodeclensError(damaged(path, file))
        return content


def damaged(path: Location, name: str) -> str:
    """The message for a file of a store that is missing or cannot be read."""
    return (
        f'"{name}" in the store "{path}" is missing or truncated; run the same extraction again '
        "to repair it."
    )


def _not_mapped(path: Location, name: str, length: int, error: RuntimeError) -> str:
    try:
        whole = (path / name).stat().st_size >= length
    except OSError:
        whole = False
    if not whole:
        return damaged(path, name)
    return f'"{name}" in the store "{path}" cannot be read: {error}.'


def _split(ascending: Int64[np.ndarray, " rows"], step: int) -> list[slice]:
    """Slices of ascending rows, one for each block of `step` rows."""
    edges = np.flatnonzero(np.diff(ascending // step)) + 1
    bounds = [0, *edges.tolist(), len(ascending)]
    return [slice(a, b) for a, b in pairwise(bounds) if b > a]
