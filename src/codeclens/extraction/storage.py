"""Storage: a folder on disk, or an address in object storage."""

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
from codeclens.files import at_home

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://")
# Files are not written atomically, unlike objects.
_FILES = ("file", "local")


@dataclass(frozen=True)
class _Status:
    st_size: int


@dataclass(frozen=True)
class ObjectFolder:
    """Objects with a common prefix in object storage, with the methods of `Path` that a store uses.

    Writing an object is atomic and replaces an earlier one. Credentials and endpoints come from
    the environment or the configuration of fsspec and are not kept here, so an instance may be
    sent to other machines. All errors are OSErrors.

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
        """The part after the last slash."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    def exists(self) -> bool:
        """Whether there is an object with this name or prefix."""
        with _opened(self.url) as (system, path):
            return bool(system.exists(path))

    def is_dir(self) -> bool:
        """Whether there are objects with this name and a slash as their prefix."""
        with _opened(self.url) as (system, path):
            return bool(system.isdir(path))

    def iterdir(self) -> Iterator[ObjectFolder]:
        """The objects and folders directly in this folder."""
        with _opened(self.url) as (system, path):
            names = [item.rstrip("/").rsplit("/", 1)[-1] for item in system.ls(path, detail=False)]
        return (self / name for name in names)

    def sizes(self) -> dict[str, int]:
        """The size in bytes of every object in this folder and below, by relative name."""
        with _opened(self.url) as (system, path):
            found = system.find(path, detail=True)
        # In some file systems names begin with a slash.
        start = len(path.strip("/")) + 1
        return {name.strip("/")[start:]: int(entry["size"]) for name, entry in found.items()}

    def read_bytes(self) -> bytes:
        """The content of an object."""
        with _opened(self.url) as (system, path):
            return bytes(system.cat_file(path))

    def read_range(self, start: int, length: int) -> bytes:
        """Part of the content of an object; shorter if the object ends before."""
        with _opened(self.url) as (system, path):
            return bytes(system.cat_file(path, start=start, end=start + length))

    def read_several(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of objects in this folder, read in parallel."""
        wanted = list(names)
        with _opened(self.url) as (system, path):
            paths = {system._strip_protocol(f"{path}/{name}"): name for name in wanted}
            found = system.cat(list(paths), on_error="raise") if paths else {}
        if isinstance(found, bytes):
            return dict.fromkeys(wanted, found)
        return {paths[one]: bytes(content) for one, content in found.items()}

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The content of an object as a stream."""
        return io.BytesIO(self.read_bytes())

    def stat(self) -> _Status:
        """The size of an object."""
        with _opened(self.url) as (system, path):
            return _Status(int(system.info(path)["size"]))

    def write_bytes(self, content: bytes) -> None:
        """Write an object atomically."""
        with _opened(self.url) as (system, path):
            system.pipe_file(path, content)

    def create_bytes(self, content: bytes) -> None:
        """Write an object atomically; raises FileExistsError if it exists."""
        with _opened(self.url) as (system, path):
            system.pipe_file(path, content, mode="create")

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete an object."""
        try:
            with _opened(self.url) as (system, path):
                system.rm_file(path)
        except FileNotFoundError:
            if not missing_ok:
                raise


Location = Path | ObjectFolder


def locate(to: str | os.PathLike[str] | ObjectFolder) -> Location:
    """A folder on disk, or in object storage if `to` is an address such as `s3://bucket/store`.

    Raises CodeclensError for an address that the installed packages cannot reach.

    >>> str(locate("memory://bucket/store.zarr")), locate("run/store.zarr").name
    ('memory://bucket/store.zarr', 'store.zarr')
    """
    if isinstance(to, ObjectFolder):
        return to
    text = os.fspath(to)
    found = _ADDRESS.match(text)
    if found is None:
        return at_home(text)
    if found[1] in _FILES:
        raise CodeclensError(f'"{text}" is on disk; pass its path without "{found[0]}".')
    folder = ObjectFolder(text)
    _system(folder.url)
    return folder


def zarr_store(folder: Location) -> Any:
    """The folder in a form that zarr and xarray open for lazy reading."""
    if isinstance(folder, Path):
        return folder
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(folder.url, read_only=True)


def in_memory(folder: ObjectFolder, names: Iterable[str]) -> Any:
    """Some objects as a zarr store in memory; raises FileNotFoundError if one is missing."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.storage import MemoryStore

    buffer = default_buffer_prototype().buffer
    found = folder.read_several(names)
    return MemoryStore(store_dict={n: buffer.from_bytes(found[n]) for n in found})


def _system(url: str) -> tuple[Any, str]:
    """The file system behind an address, and the path in it."""
    from fsspec.core import url_to_fs

    try:
        # Cached listings would miss objects that other processes have written.
        system, path = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise CodeclensError(
            f'"{url}" cannot be reached: {" ".join(str(error).split())}. For s3:// install s3fs.'
        ) from None
    return system, str(path)


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """The file system and the path; any error in the `with` is raised as an OSError."""
    system, path = _system(url)
    try:
        yield system, path
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, " ".join(str(error).split()) or type(error).__name__) from error
