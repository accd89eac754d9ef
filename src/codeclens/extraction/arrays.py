"""Arrays in files: npy, npz and Zarr, of which only the rows that are needed are read."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from codeclens.errors import CodeclensError
from codeclens.extraction.data import Samples, as_labels, require_floating, spread
from codeclens.extraction.fingerprint import array_digest, describe
from codeclens.extraction.images import as_rgb, to_tensor
from codeclens.extraction.memory import free_memory, in_words

ARRAY_FILES = (".npy", ".npz", ".zarr")
_IMAGES = ("x", "images", "image", "data", "arr_0")
_LABELS = ("y", "labels", "label", "targets", "arr_1")
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class ArrayFile(Samples):
    """Samples in the rows of an array on disk: `.npy`, `.npz` or `.zarr`.

    Rows of floating-point numbers are what the model takes. Rows of bytes are pictures, `(H, W)`,
    `(H, W, 3)` or `(3, H, W)`, which go through `transform`. In an `.npz` or a Zarr group, `images`
    and `labels` name the arrays; without them they are those that are usually called so. Arrays are
    mapped into memory, or read by row; those in a compressed `.npz` are loaded.

    Raises CodeclensError for a file that is missing or no array, and where no array has the name.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "x.npy")
    >>> np.save(file, np.zeros((5, 3, 8, 8), np.float32))
    >>> samples = ArrayFile(file)
    >>> len(samples), samples.load(2).image.shape
    (5, torch.Size([3, 8, 8]))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transform: Callable[[Image.Image], Any] | None = None,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
        images: str | None = None,
        labels: str | None = None,
    ) -> None:
        self.path = Path(path)
        self.transform = transform
        self.classes = None if classes is None else [str(name) for name in classes]
        arrays = _opened(self.path)
        x = _chosen(arrays, images, _IMAGES, self.path)
        if x is None or x.ndim < 2:
            known = ", ".join(f'"{name}" {array.shape}' for name, array in arrays.items())
            raise CodeclensError(
                f'"{self.path}" holds {known or "no arrays"}; pass images="NAME" of an array whose '
                "first axis counts samples."
            )
        self.x = x
        found = _chosen(arrays, labels, _LABELS, self.path)
        self.labels = None if found is None else as_labels(found[:], self.x.shape[0])
        self.rows = spread(self.x.shape[0], limit)
        if self.x.dtype != np.uint8:
            require_floating(self.x, f'"{self.path}"')

    def __len__(self) -> int:
        return len(self.rows)

    def key(self, index: int) -> str:
        return str(self.rows[index])

    def label(self, index: int) -> int:
        return -1 if self.labels is None else int(self.labels[self.rows[index]])

    def read(self, index: int) -> tuple[Any, Any]:
        row = np.asarray(self.x[self.rows[index]])
        if row.dtype == np.uint8:
            if row.ndim == 3 and row.shape[0] in (1, 3) and row.shape[2] not in (1, 3):
                row = row.transpose(1, 2, 0)
            picture = Image.fromarray(row[..., 0] if row.shape[2:] == (1,) else row)
            return (self.transform or to_tensor)(as_rgb(picture)), self.label(index)
        return row, self.label(index)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "array file",
            "samples": len(self),
            "shape": list(self.x.shape),
            "dtype": str(self.x.dtype),
            "labels": None if self.labels is None else array_digest(self.labels),
            "transform": describe(self.transform if self.x.dtype == np.uint8 else None),
            "pixels": self.probe(),
        }


def _opened(path: Path) -> Mapping[str, Any]:
    """The arrays of a file by name; one without a name is called "x"."""
    if not path.exists():
        raise CodeclensError(f'There is no file "{path}"; check the path.')
    try:
        if path.suffix == ".npy":
            return {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
        if path.suffix == ".npz":
            return _zipped(path)
        import zarr

        found = zarr.open(path, mode="r")
        return {"x": found} if isinstance(found, zarr.Array) else dict(found.arrays())
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(f'"{path}" cannot be read as arrays ({reason}).') from error


def _zipped(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz`, mapped into memory where they are not compressed."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if entry.compress_type == zipfile.ZIP_STORED:
                found[name] = _mapped(path, entry)
                continue
            if entry.file_size > free_memory():
                raise CodeclensError(
                    f'"{name}" in "{path}" is compressed and takes {in_words(entry.file_size)}, '
                    "more than is free; save it with numpy.savez, or as .npy."
                )
            with archive.open(entry) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _mapped(path: Path, entry: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        # The lengths of the name and of what follows it, which only this header tells.
        stream.seek(header[-2] + header[-1], os.SEEK_CUR)
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in read:
            raise ValueError(f"version {version} of npy")
        shape, by_columns, dtype = read[version](stream)
        if dtype.hasobject:
            raise ValueError("it holds objects, not numbers")
        order = "F" if by_columns else "C"
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", stream.tell(), shape, cast(Any, order))


def _chosen(
    arrays: Mapping[str, Any], asked: str | None, usual: Sequence[str], path: Path
) -> Any | None:
    if asked is not None and asked not in arrays:
        raise CodeclensError(f'"{path}" holds no "{asked}" but {", ".join(arrays) or "nothing"}.')
    return next((arrays[n] for n in ([asked] if asked else usual) if n in arrays), None)
