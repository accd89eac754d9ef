"""Verification: whether every file of a store is still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from codeclens.extraction.layout import RECORDS, Layout, finished_shards
from codeclens.extraction.storage import Place
from codeclens.extraction.writer import read_record, writing

# What makes an array readable. How another version of zarr writes the rest down is its own affair.
_TELLING = ("node_type", "shape", "data_type", "dimension_names", "chunk_grid", "codecs")


def damaged_shards(path: Place, layout: Layout) -> dict[int, list[str]]:
    """The files of each finished shard that differ from their checksums; whole shards are left out.

    All files are read.
    """
    found = {}
    for shard in finished_shards(path):
        record = read_record(path, shard)
        if record is None or set(record["files"]) != {layout.file(a, shard) for a in layout.arrays}:
            found[shard] = [f"{RECORDS}/c/{shard}"]
            continue
        bad = [file for file, entry in record["files"].items() if not _sound(path / file, entry)]
        if bad:
            found[shard] = bad
    return found


def damaged_metadata(path: Place, metadata: dict[str, Any]) -> list[str]:
    """The files that describe the arrays, and those of names, that are not what they must be."""
    files = Layout.from_metadata(metadata).build(metadata)
    return [name for name in sorted(files) if not _same(path / name, files[name].to_bytes())]


def discard(path: Place, shards: Iterable[int]) -> None:
    """Make shards absent, so that the same extraction again computes them anew.

    Raises CodeclensError if another process is writing to the store.
    """
    with writing(path, dict, lambda _: None) as writer:
        for shard in shards:
            writer.discard(shard)


def _sound(file: Place, entry: dict[str, Any]) -> bool:
    try:
        with file.open("rb") as stream:
            return bool(hashlib.file_digest(stream, "sha256").hexdigest() == entry["sha256"])
    except FileNotFoundError:
        return False


def _same(file: Place, content: bytes) -> bool:
    try:
        there = file.read_bytes()
    except FileNotFoundError:
        return False
    if file.name != "zarr.json":
        return there == content
    try:
        return list(_told(json.loads(there))) == list(_told(json.loads(content)))
    except (ValueError, TypeError, AttributeError):
        return False


def _told(document: dict[str, Any]) -> Iterator[Any]:
    for name in _TELLING:
        yield document.get(name)
