"""Writing a store: shards that are complete or absent, by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.extraction.layout import RECORDS, TOP, Layout, finished_shards, read_metadata

# Both lie in the folder of an array, where readers of Zarr list nothing.
_LOCK = f"{RECORDS}/.lock"
_PARTS = f"{RECORDS}/.parts"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class ShardWriter:
    """Writes the shards of the store at `path`, which must be locked by this process.

    A shard's arrays are written first, each file whole, then its record, with the checksums of the
    files: a shard without a record is absent.
    """

    def __init__(self, path: Path, metadata: dict[str, Any]) -> None:
        self.path = path
        self.metadata = metadata
        self.layout = Layout.from_metadata(metadata)
        self._files = self.layout.build(metadata)
        with _sentences(path):
            # What a killed process left half written.
            _remove(path, [_PARTS])
            (path / _PARTS).mkdir(parents=True)

    def write(
        self, shard: int, arrays: Mapping[str, np.ndarray[Any, Any]], made_by: dict[str, Any]
    ) -> None:
        """Write one shard: the rows of every array of the layout, and who made them."""
        rows = self.layout.rows(shard)
        files = {}
        with _sentences(self.path):
            if not (self.path / "zarr.json").exists():
                self._create()
            # The old record must not vouch for files that are being replaced.
            (self.path / f"{RECORDS}/c/{shard}").unlink(missing_ok=True)
            for name in self.layout.arrays:
                file = self.layout.file(name, shard)
                content = self._encoded(name, file, slice(rows.start, rows.stop), arrays[name])
                self._put(file, content)
                files[file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            record = json.dumps({"made_by": made_by, "files": files}, sort_keys=True)
            file = f"{RECORDS}/c/{shard}"
            text = np.array([record], dtype=object)
            self._put(file, self._encoded(RECORDS, file, slice(shard, shard + 1), text))

    def _create(self) -> None:
        # Not before the first shard: a run that was stopped before it left nothing, and may begin
        # again with other settings. The root's metadata come last and make it a store.
        _remove(self.path, TOP - {RECORDS})
        for file in sorted(self._files, key=lambda name: name == "zarr.json"):
            self._put(file, self._files[file].to_bytes())

    def _encoded(self, name: str, file: str, rows: slice, values: np.ndarray[Any, Any]) -> bytes:
        import zarr
        from zarr.storage import MemoryStore

        array = zarr.open_array(MemoryStore(store_dict=self._files), path=name, mode="r+")
        array = array.with_config({"write_empty_chunks": True})
        array[rows] = values
        content: bytes = self._files.pop(file).to_bytes()
        return content

    def _put(self, name: str, content: bytes) -> None:
        """Write one file whole or not at all, also if the machine stops."""
        part = self.path / _PARTS / name.replace("/", "%")
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        final = self.path / name
        final.parent.mkdir(parents=True, exist_ok=True)
        part.replace(final)


@contextmanager
def writing(
    path: Path, make: Callable[[], dict[str, Any]], check: Callable[[dict[str, Any]], None]
) -> Iterator[ShardWriter]:
    """Lock the store at `path` and write to it; `make` gives the metadata if there is none yet.

    `check` raises if the metadata of an existing store do not suit. Raises CodeclensError if
    another process is writing to the store, or it cannot be written.
    """
    # Before anything is made in the folder: it may be somebody else's.
    read_metadata(path)
    with _locked(path):
        metadata = read_metadata(path)
        fresh = metadata is None
        try:
            if metadata is None:
                metadata = make()
            else:
                check(metadata)
            yield ShardWriter(path, metadata)
        finally:
            _remove(path, [_PARTS])
            if fresh and read_metadata(path) is None:
                _remove(path, TOP)
                with suppress(OSError):
                    path.rmdir()


def _remove(path: Path, names: Iterable[str]) -> None:
    for name in names:
        shutil.rmtree(path / name, ignore_errors=True)


def missing_shards(path: Path, layout: Layout) -> list[int]:
    """The shards that are not there, or of which a file is gone or cut short."""
    there = set(finished_shards(path))
    return [s for s in range(layout.shards) if s not in there or not _is_whole(path, s)]


def read_record(path: Path, shard: int) -> dict[str, Any] | None:
    """The record of a shard; None where it is absent or unreadable."""
    try:
        # One text in zarr's vlen-utf8: their number and the length of the first, 4 bytes each.
        text = (path / RECORDS / "c" / str(shard)).read_bytes()[8:]
        record: dict[str, Any] = json.loads(text)
    except (FileNotFoundError, ValueError):
        return None
    return record


def _is_whole(path: Path, shard: int) -> bool:
    """Whether a shard has a record and all of its files in their full length."""
    record = read_record(path, shard)
    if record is None:
        return False
    try:
        return all((path / f).stat().st_size == e["bytes"] for f, e in record["files"].items())
    except FileNotFoundError:
        return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing; the system frees the lock if this process dies."""
    with _sentences(path):
        (path / RECORDS).mkdir(parents=True, exist_ok=True)
        stream = (path / _LOCK).open("a+b")
    with stream:
        with _sentences(path):
            _lock(stream, path)
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
            stream.flush()
        try:
            yield
        finally:
            # A store that is handed on need not tell where it was made.
            stream.truncate(0)


def _lock(stream: BinaryIO, path: Path) -> None:
    try:
        _lock_file(stream)
        if os.fstat(stream.fileno()).st_ino != (path / _LOCK).stat().st_ino:
            raise BlockingIOError(errno.EAGAIN, "the lock was taken away meanwhile")
    except FileNotFoundError:
        raise CodeclensError(f'"{path}" was removed meanwhile; run the same again.') from None
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise
        stream.seek(0)
        owner = stream.read(200).decode(errors="replace") or "it has not said which"
        raise CodeclensError(
            f'Another process is writing to "{path}" ({owner}); '
            "wait until it is done, or choose another path."
        ) from None


def _lock_file(stream: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        # Far behind the text, which others must be able to read.
        stream.seek(1 << 20)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        stream.seek(0)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Say in one sentence why nothing could be written."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise CodeclensError(
                f'The disk of "{path}" is full ({why}); free some space and run the same again: '
                "finished shards are kept."
            ) from error
        if error.errno in _FORBIDDEN:
            raise CodeclensError(
                f'"{path}" cannot be written to ({why}); choose another path or change its '
                "permissions."
            ) from error
        raise CodeclensError(
            f'Writing to "{path}" failed ({why}); finished shards are kept.'
        ) from error
