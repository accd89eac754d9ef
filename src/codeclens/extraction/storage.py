"""Storage: where a store lies, in a folder on disk or behind an address in object storage."""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codeclens.errors import CodeclensError

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://")
# Behind these lie files, which are not whole by nature.
_FILES = ("file", "local")


@dataclass(frozen=True)
class _Status:
    st_size: int


@dataclass(frozen=True)
class ObjectFolder:
    """Objects whose names begin alike, with those methods of a `Path` that a store needs.

    An object is put whole or not at all, and put again it replaces the one before. Credentials and
    end points are those of the environment or of fsspec's configuration: nothing of the kind is
    kept here, so that it can be handed from machine to machine. Errors are OSErrors.

    >>> folder = ObjectFolder("memory://bucket/contributions.zarr")
    >>> (folder / "label/c/0").write_bytes(b"abc")
    >>> [item.name for item in (folder / "label/c").iterdir()], (folder / "label/c/0").read_bytes()
    (['0'], b'abc')
    """

    url: str

    def __truediv__(self, name: str) -> ObjectFolder:
        return ObjectFolder(f"{self.url.rstrip('/')}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    def exists(self) -> bool:
        """Whether there is an object of this name, or any whose names begin with it."""
        with _told(self.url) as (system, path):
            return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Whether there are objects whose names begin with this one and a slash."""
        with _told(self.url) as (system, path):
            return bool(system.isdir(path))

    def iterdir(self) -> Iterator[ObjectFolder]:
        """What lies here, not deeper."""
        with _told(self.url) as (system, path):
            names = [item.rstrip("/").rsplit("/", 1)[-1] for item in system.ls(path, detail=False)]
        return (self / name for name in names)

    def sizes(self) -> dict[str, int]:
        """The bytes of every object here and deeper, by name, in as few requests as can be."""
        with _told(self.url) as (system, path):
            found = system.find(path, detail=True)
        # Names begin with a slash or not, as the file system likes.
        start = len(path.strip("/")) + 1
        return {name.strip("/")[start:]: int(entry["size"]) for name, entry in found.items()}

    def read_bytes(self) -> bytes:
        """The content of an object."""
        with _told(self.url) as (system, path):
            return bytes(system.cat_file(path))

    def read_range(self, start: int, length: int) -> bytes:
        """Part of the content of an object, less where it ends before."""
        with _told(self.url) as (system, path):
            return bytes(system.cat_file(path, start=start, end=start + length))

    def read_several(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of objects here, read at the same time."""
        wanted = list(names)
        with _told(self.url) as (system, path):
            places = {system._strip_protocol(f"{path}/{name}"): name for name in wanted}
            found = system.cat(list(places), on_error="raise") if places else {}
        if isinstance(found, bytes):
            return dict.fromkeys(wanted, found)
        return {places[place]: bytes(content) for place, content in found.items()}

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The content of an object as a stream."""
        return io.BytesIO(self.read_bytes())

    def stat(self) -> _Status:
        """The size of an object."""
        with _told(self.url) as (system, path):
            return _Status(int(system.info(path)["size"]))

    def write_bytes(self, content: bytes) -> None:
        """Put an object, whole or not at all."""
        with _told(self.url) as (system, path):
            system.pipe_file(path, content)

    def create_bytes(self, content: bytes) -> None:
        """Put an object that is not there; raises FileExistsError if it is."""
        with _told(self.url) as (system, path):
            system.pipe_file(path, content, mode="create")

    def unlink(self, missing_ok: bool = False) -> None:
        """Take an object away."""
        try:
            with _told(self.url) as (system, path):
                system.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise


Location = Path | ObjectFolder


def locate(to: str | os.PathLike[str] | ObjectFolder) -> Location:
    """A folder on disk, or object storage where `to` is an address such as `s3://bucket/store`.

    Raises CodeclensError for an address that nothing installed can reach.

    >>> str(locate("memory://bucket/store.zarr")), locate("run/store.zarr").name
    ('memory://bucket/store.zarr', 'store.zarr')
    """
    if isinstance(to, ObjectFolder):
        return to
    text = os.fspath(to)
    found = _ADDRESS.match(text)
    if found is None:
        return Path(text)
    if found[1] in _FILES:
        raise CodeclensError(f'"{text}" lies on disk; pass its path without "{found[0]}".')
    folder = ObjectFolder(text)
    _system(folder.url)
    return folder


def zarr_store(folder: Location) -> Any:
    """What zarr and xarray open to read lazily from a folder."""
    if isinstance(folder, Path):
        return folder
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(folder.url, read_only=True)


def in_memory(folder: ObjectFolder, names: Iterable[str]) -> Any:
    """Some objects as a store of zarr's; raises FileNotFoundError where one is missing."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    found = folder.read_several(names)
    return MemoryStore(store_dict={n: buffer.from_bytes(found[n]) for n in found})


def _system(url: str) -> tuple[Any, str]:
    """The file system behind an address, and the path in it."""
    from fsspec.core import url_to_fs

    try:
        # Listings that were kept would not know what others have put since.
        system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise CodeclensError(
            f'"{url}" cannot be reached: {" ".join(str(error).split())}. For s3:// install s3fs.'
        ) from None
    return system, str(path)


@contextmanager
def _told(url: str) -> Iterator[tuple[Any, str]]:
    """The file system and the path; whatever goes wrong in the `with` is an OSError."""
    system, path = _system(url)
    try:
        yield system, path
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, " ".join(str(error).split()) or type(error).__name__) from error
