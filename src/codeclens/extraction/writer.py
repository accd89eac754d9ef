"""Writing a store: every shard is complete or absent, and written by one process at a time."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.extraction.layout import RECORDS, TOP, Layout, finished_shards, read_metadata
from codeclens.extraction.locks import Lock
from codeclens.extraction.storage import Location, ObjectFolder

# In the folder of an array, where readers of Zarr list nothing. Names for one shard end in a dash
# and its number.
_LOCK = f"{RECORDS}/.lock"
_PARTS = f"{RECORDS}/.parts"
_BEGIN = f"{_LOCK}-begin"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class ShardWriter:
    """Writes claimed shards of the store at `path`.

    The arrays of a shard are written first, each file atomically, and then its record with the
    checksums of the files. A shard without a record is absent. Unless `shared`, a writer has
    exclusive access to the whole store.
    """

    def __init__(self, path: Location, metadata: dict[str, Any], shared: bool = False) -> None:
        self.path = path
        self.metadata = metadata
        self.shared = shared
        self.layout = Layout.from_metadata(metadata)
        self._files = self.layout.build(metadata)

    @contextmanager
    def claim(self, shard: int) -> Iterator[None]:
        """Lock a shard; raises CodeclensError if another process is writing it."""
        if isinstance(self.path, ObjectFolder):
            # Object storage has no locks. Two writers of one shard write the same objects.
            yield
            return
        with ExitStack() as stack:
            with _write_errors(self.path):
                if self.shared:
                    what = f'shard {shard} of "{self.path}"'
                    file = self.path / f"{_LOCK}-{shard}"
                    stack.enter_context(Lock(file, what, kept=False))
                # Partial files of a killed process.
                _remove(self.path, [f"{_PARTS}-{shard}"])
            stack.callback(_remove, self.path, [f"{_PARTS}-{shard}"])
            yield

    def write(
        self, shard: int, arrays: Mapping[str, np.ndarray[Any, Any]], made_by: dict[str, Any]
    ) -> None:
        """Write one claimed shard: the rows of every array, and how they were computed."""
        rows = self.layout.rows(shard)
        files = {}
        with _write_errors(self.path):
            # Not earlier, so that a run stopped before its first shard leaves nothing and may
            # start again with other settings.
            self.create()
            # The old record must not describe files that are being replaced.
            (self.path / f"{RECORDS}/c/{shard}").unlink(missing_ok=True)
            for name in self.layout.arrays:
                file = self.layout.file(name, shard)
                content = self._encoded(name, file, slice(rows.start, rows.stop), arrays[name])
                self._put(file, content, f"{_PARTS}-{shard}")
                files[file] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            record = sealed({"made_by": made_by, "files": files})
            file = f"{RECORDS}/c/{shard}"
            text = np.array([record], dtype=object)
            content = self._encoded(RECORDS, file, slice(shard, shard + 1), text)
            self._put(file, content, f"{_PARTS}-{shard}")

    def discard(self, shard: int) -> None:
        """Mark a shard as absent."""
        with _write_errors(self.path):
            (self.path / f"{RECORDS}/c/{shard}").unlink(missing_ok=True)

    def create(self) -> None:
        """Write the metadata unless they exist; the root is last, and completes the store."""
        if (self.path / "zarr.json").exists():
            return
        if isinstance(self.path, ObjectFolder):
            # The root is first, because only the creation of one object can be made exclusive.
            (self.path / "zarr.json").create_bytes(self._files["zarr.json"].to_bytes())
            self.restore(name for name in self._files if name != "zarr.json")
            return
        _remove(self.path, TOP - {RECORDS})
        self.restore(sorted(self._files, key=lambda name: name == "zarr.json"))

    def restore(self, files: Iterable[str] | None = None) -> None:
        """Write these files of the metadata in this order, by default all, the root last."""
        if files is None:
            files = sorted(self._files, key=lambda name: name == "zarr.json")
        with _write_errors(self.path):
            for file in files:
                self._put(file, self._files[file].to_bytes(), _PARTS)
            if isinstance(self.path, Path):
                _remove(self.path, [_PARTS])

    def _encoded(self, name: str, file: str, rows: slice, values: np.ndarray[Any, Any]) -> bytes:
        import zarr
        from zarr.storage import MemoryStore

        array = zarr.open_array(MemoryStore(store_dict=self._files), path=name, mode="r+")
        array = array.with_config({"write_empty_chunks": True})
        array[rows] = values
        content: bytes = self._files.pop(file).to_bytes()
        return content

    def _put(self, name: str, content: bytes, parts: str) -> None:
        """Write one file atomically, even if the machine stops."""
        if isinstance(self.path, ObjectFolder):
            (self.path / name).write_bytes(content)
            return
        part = self.path / parts / name.replace("/", "%")
        part.parent.mkdir(exist_ok=True)
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        final = self.path / name
        final.parent.mkdir(parents=True, exist_ok=True)
        part.replace(final)


@contextmanager
def writing(
    path: Location,
    make: Callable[[], dict[str, Any]],
    check: Callable[[dict[str, Any]], None],
    shared: bool = False,
) -> Iterator[ShardWriter]:
    """Lock the store at `path` for writing; `make` returns the metadata of a new store.

    `check` raises an error if the metadata of an existing store do not match. Several processes
    may write to one store if all of them pass `shared`: the first makes the metadata while the
    others wait, and each claims the shards that it writes. Raises CodeclensError if another process
    is writing to the store, or if it cannot be written.
    """
    # Refuse a foreign folder before anything is created in it.
    read_metadata(path)
    if isinstance(path, ObjectFolder):
        yield _begun_objects(path, make, check)
        return
    with _write_errors(path):
        (path / RECORDS).mkdir(parents=True, exist_ok=True)
        lock = Lock(path / _LOCK, f'to "{path}"', shared=shared)
    with lock:
        try:
            yield _begun(path, make, check, shared)
        finally:
            if read_metadata(path) is None and (not shared or lock.alone()):
                _remove(path, TOP)
                with suppress(OSError):
                    path.rmdir()


def _begun(
    path: Path,
    make: Callable[[], dict[str, Any]],
    check: Callable[[dict[str, Any]], None],
    shared: bool,
) -> ShardWriter:
    """A writer to a store with matching metadata; if `shared`, they are already written."""
    with ExitStack() as stack:
        with _write_errors(path):
            if shared:
                beginning = Lock(path / _BEGIN, f'to "{path}"', wait=True, kept=False)
                stack.enter_context(beginning)
            else:
                # Leftovers of killed processes; no other process is writing.
                left = [*path.glob(f"{_PARTS}*"), *path.glob(f"{_LOCK}-*")]
                _remove(path, [item.relative_to(path).as_posix() for item in left])
        metadata = read_metadata(path)
        if metadata is not None:
            check(metadata)
        writer = ShardWriter(path, make() if metadata is None else metadata, shared)
        if shared:
            # All processes use the metadata that the first one learned from the data.
            with _write_errors(path):
                writer.create()
        return writer


def _begun_objects(
    path: ObjectFolder, make: Callable[[], dict[str, Any]], check: Callable[[dict[str, Any]], None]
) -> ShardWriter:
    """A writer to object storage, with matching metadata that are already written."""
    metadata = read_metadata(path)
    if metadata is None:
        writer = ShardWriter(path, make())
        try:
            with _write_errors(path):
                writer.create()
            return writer
        except FileExistsError:
            metadata = read_metadata(path)
    assert metadata is not None
    check(metadata)
    return ShardWriter(path, metadata)


def _remove(path: Path, names: Iterable[str]) -> None:
    for name in names:
        shutil.rmtree(path / name, ignore_errors=True)
        if (path / name).is_file():
            (path / name).unlink(missing_ok=True)


def missing_shards(
    path: Location, layout: Layout, shards: Iterable[int] | slice | None = None
) -> list[int]:
    """The shards, of all or the given ones, that are absent or lack a complete file."""
    there = set(finished_shards(path))
    wanted = chosen_shards(layout, shards)
    sizes = path.sizes() if isinstance(path, ObjectFolder) else None
    return [s for s in wanted if s not in there or not _is_whole(path, s, sizes)]


def chosen_shards(layout: Layout, shards: Iterable[int] | slice | None) -> list[int]:
    """The selected shards by number; raises CodeclensError for a number out of range."""
    every = range(layout.shards)
    if shards is None or isinstance(shards, slice):
        return list(every[shards or slice(None)])
    numbers = list(dict.fromkeys(shards))
    for number in numbers:
        if number not in every:
            raise CodeclensError(
                f"There is no shard {number}: the {layout.samples} samples are in "
                f"{layout.shards} shards, 0 to {layout.shards - 1}."
            )
    return numbers


def read_record(path: Location, shard: int) -> dict[str, Any] | None:
    """The record of a shard, or None if it is absent or unreadable."""
    try:
        # vlen-utf8 begins with the number of texts and the length of the first, 4 bytes each.
        content = (path / RECORDS / "c" / str(shard)).read_bytes()
        text = content[8:].decode("utf-8")
        record: dict[str, Any] = json.loads(text)
        sound = all({"bytes", "sha256"} <= set(entry) for entry in record["files"].values())
        sound = sound and content[:8] == struct.pack("<II", 1, len(content) - 8)
        plain = {name: record[name] for name in ("made_by", "files")}
        # Records of earlier versions have no checksum.
        sound = sound and text in (sealed(plain), json.dumps(plain, sort_keys=True))
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return record if sound else None


def sealed(record: dict[str, Any]) -> str:
    """A record as JSON with the checksum of its other entries."""
    plain = json.dumps(record, sort_keys=True)
    sum_of = hashlib.sha256(plain.encode()).hexdigest()
    return json.dumps({**record, "sha256": sum_of}, sort_keys=True)


def _is_whole(path: Location, shard: int, sizes: Mapping[str, int] | None) -> bool:
    """Whether a shard has a record, and all its files have their full length."""
    record = read_record(path, shard)
    if record is None:
        return False
    if sizes is not None:
        return all(sizes.get(file) == entry["bytes"] for file, entry in record["files"].items())
    try:
        return all((path / f).stat().st_size == e["bytes"] for f, e in record["files"].items())
    except FileNotFoundError:
        return False


@contextmanager
def _write_errors(path: Location) -> Iterator[None]:
    """Raise CodeclensError, with the reason, if writing fails."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise CodeclensError(
                f'The disk of "{path}" is full ({why}); free some space and run the same again. '
                "Finished shards are kept."
            ) from error
        if error.errno in _FORBIDDEN:
            raise CodeclensError(
                f'"{path}" is not writable ({why}); choose another path or change its permissions.'
            ) from error
        raise CodeclensError(
            f'Writing to "{path}" failed ({why}); finished shards are kept.'
        ) from error
