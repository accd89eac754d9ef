"""Samples on disk: folders of images, tar archives and array files."""

from __future__ import annotations

import glob
import io
import json
import math
import os
import re
import struct
import tarfile
import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from codeclens._compat import import_timm
from codeclens.errors import CodeclensError, as_sentence, in_one_line, nearest, unknown
from codeclens.extraction.computing import free_memory, in_words
from codeclens.extraction.data import (
    SampleSource,
    as_labels,
    require_floating,
    stratified,
    to_tensor,
)
from codeclens.extraction.fingerprint import array_digest, describe, digest
from codeclens.files import at_home
from codeclens.pictures import as_rgb, extensions, open_rgb, require_file
from codeclens.text import class_labels, composed, visible

# Decoding releases the interpreter lock; more threads than this only wait for the disk.
READERS = min(4, os.cpu_count() or 1)


class EncodedImages(SampleSource):
    """Encoded images in files or parts of files, with their `keys` and `labels`."""

    kind: str
    keys: list[str]
    labels: list[int]
    transform: Callable[[Image.Image], Any] | None

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        return self.keys[index]

    def label(self, index: int) -> int:
        return self.labels[index]

    @abstractmethod
    def open(self, index: int) -> str | os.PathLike[str] | IO[bytes]:
        """A path or stream that Pillow can open."""

    @abstractmethod
    def sizes(self) -> list[int]:
        """The size of every image in bytes, −1 if unknown."""

    def read(self, index: int) -> tuple[Any, Any]:
        image = open_rgb(self.open(index))
        return (self.transform or to_tensor)(image), self.labels[index]

    def reason(self, error: Exception) -> str:
        if isinstance(error, UnidentifiedImageError):
            return "not an image that Pillow can read"
        if isinstance(error, OSError) and error.strerror:
            return f"{type(error).__name__}: {error.strerror}"
        return super().reason(error)

    def describe(self) -> dict[str, Any]:
        files = "\n".join(f"{k}\t{size}" for k, size in zip(self.keys, self.sizes(), strict=True))
        return {
            "kind": self.kind,
            "samples": len(self),
            "files": digest([files.encode()]),
            "labels": digest([str(self.labels).encode()]),
            "transform": describe(self.transform),
            "pixels": self.probe(),
        }

    def _number_folders(self, classes: Sequence[str] | None, level: int = 0) -> None:
        """Label every key by its folder at that level, if every key has a folder."""
        flat = any("/" not in key for key in self.keys)
        folders = [] if flat else sorted({key.split("/")[level] for key in self.keys})
        if classes is not None:
            self.classes = class_labels(classes)
        else:
            self.classes = class_labels(folders) or None
        own = {name: place for place, name in enumerate(folders)}
        number = own if classes is None else _numbers(folders, self.classes or [])
        self.labels = [-1 if flat else number[key.split("/")[level]] for key in self.keys]


class ImageFolder(EncodedImages):
    """Images in a folder, flat or with a folder for each class; subfolders are searched too.

    If `path` itself contains images, there are no labels. Otherwise the folders in `path` are the
    classes, and labels index their sorted names, or `classes` if given (for example the names of
    a model's outputs, in order; folders named by WordNet ids match ImageNet's 1,000 classes).
    `transform` maps an upright RGB image of Pillow to the model's input; without it, images become
    `(3, H, W)` in 0 … 1. `limit` keeps that many images, drawn at random with `seed`, from every
    class its share. Samples are in natural order (`2.jpg` before `10.jpg`); the key of a sample is
    its path inside the folder; what cannot be shown is written as escapes.

    Raises CodeclensError for a missing folder, a folder without images, and a folder name that is
    not in `classes`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), "cats")
    >>> folder.mkdir()
    >>> Image.new("RGB", (6, 4)).save(folder / "tom.png")
    >>> images = ImageFolder(folder.parent)
    >>> images.key(0), images.classes, images.load(0).image.shape
    ('cats/tom.png', ['cats'], torch.Size([3, 4, 6]))
    """

    kind = "image folder"

    def __init__(
        self,
        path: str | os.PathLike[str],
        transform: Callable[[Image.Image], Any] | None = None,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        self.path = at_home(path)
        self.transform = transform
        if not self.path.is_dir():
            raise CodeclensError(f'There is no folder "{self.path}"; pass a folder of images.')
        self.files = sorted(_find(self.path), key=natural)
        self.keys = [visible(file) for file in self.files]
        if not self.keys:
            raise CodeclensError(
                f'The folder "{self.path}" contains no images (.jpg, .png and the other '
                f"{len(extensions()) - 2} endings of formats that Pillow reads)."
            )
        self._number_folders(classes)
        kept = stratified(self.labels, limit, seed)
        self.files, self.keys = [self.files[i] for i in kept], [self.keys[i] for i in kept]
        self.labels = [self.labels[i] for i in kept]
        self.threads = READERS

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"ImageFolder({str(self.path)!r}: {len(self)} images{classes})"

    def open(self, index: int) -> Path:
        return self.path / self.files[index]

    def sizes(self) -> list[int]:
        return [_size(self.path / file) for file in self.files]


def _find(root: Path) -> Iterator[str]:
    """Relative paths of all images; skips hidden ones and visits linked folders once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in extensions():
                yield Path(folder, name).relative_to(root).as_posix()


def natural(key: str) -> list[tuple[tuple[int, int, str], ...]]:
    """Sort key that puts `2.jpg` before `10.jpg`."""
    # In each folder's name, runs of digits compare as numbers and come before letters.
    return [
        tuple(
            (0, int(part), part) if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", name)
            if part
        )
        for name in key.split("/")
    ]


_WORDNET_ID = re.compile(r"n\d{8}")


def is_imagenet(folders: Sequence[str], classes: Sequence[str]) -> bool:
    """Whether folders are named by WordNet ids of ImageNet's classes, and `classes` are these.

    >>> is_imagenet(["cats", "n01440764"], ["tench"] * 1000)
    False
    """
    named = len(classes) == _IMAGENET and bool(folders)
    if not named or not all(_WORDNET_ID.fullmatch(name) for name in folders):
        return False
    return set(folders) <= set(_wordnet_ids())


_IMAGENET = 1000


def _wordnet_ids() -> list[str]:
    """The WordNet ids of ImageNet's 1,000 classes in order; none without timm."""
    try:
        names = import_timm().data.ImageNetInfo("imagenet-1k").label_names()
    except CodeclensError:
        return []
    return [str(name) for name in names]


def _numbers(folders: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    names = _wordnet_ids() if is_imagenet(folders, classes) else classes
    known = {name: i for i, name in enumerate(names)}
    # As names of classes are written; a folder that is called as in a list of names stays that.
    number = {name: known.get(name, known.get(composed(name), -1)) for name in folders}
    missing = [name for name in folders if number[name] < 0]
    if missing:
        raise CodeclensError(
            f'The folder "{missing[0]}" is not one of the {len(classes)} classes (nearest: '
            f"{nearest(missing[0], classes)}); rename it, or pass the classes that the folders are "
            "named after."
        )
    return number


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Reading it will fail and record the reason.
        return -1


_LABEL = ".cls"
_LONGEST_LABEL = 64


class Member(NamedTuple):
    """The position of an image: its archive, first byte and number of bytes."""

    archive: int
    offset: int
    size: int


class TarImages(EncodedImages):
    """Images in one or several tar archives, as WebDataset writes them.

    The headers of the archives are read once; images are then read by position, in any order. The
    label of an image is the whole number in the file of the same name with the ending `.cls`. If
    there are no such files, folders in the archives are classes, as in `ImageFolder`, which has the
    same options; folders around all of them, as `tar -cf photos.tar photos` writes one, are no
    classes. Images are in the order of the archives. The key of an image is its name in the
    archive, preceded by the archive's name if there are several.

    Raises CodeclensError for an archive that is missing, truncated or compressed, for archives
    without images, for a label that is not a number, and for a folder that is not in `classes`.
    """

    kind = "tar"

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        transform: Callable[[Image.Image], Any] | None = None,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        several = [paths] if isinstance(paths, str | os.PathLike) else paths
        self.paths = sorted(map(at_home, several), key=lambda path: natural(path.as_posix()))
        self.transform = transform
        self.threads = READERS
        names: list[str] = []
        members: list[Member] = []
        numbers: dict[str, int] = {}
        for archive, path in enumerate(self.paths):
            for name, member in _images_in(path, archive, numbers):
                names.append(name)
                members.append(member)
        if not names:
            shown = ", ".join(f'"{path}"' for path in self.paths[:3])
            raise CodeclensError(f"There are no images in the archives {shown}.")
        self.keys = names
        if numbers:
            self.classes = None if classes is None else class_labels(classes)
            stems = (_stem(m.archive, name) for name, m in zip(names, members, strict=True))
            self.labels = [numbers.get(stem, -1) for stem in stems]
        else:
            self._number_folders(classes, _level_of_classes(names))
        kept = stratified(self.labels, limit, seed)
        self.members = [members[i] for i in kept]
        self.labels = [self.labels[i] for i in kept]
        self.keys = [self._key(names[i], members[i]) for i in kept]

    def __repr__(self) -> str:
        return f"TarImages({len(self.paths)} archives: {len(self)} images)"

    def open(self, index: int) -> IO[bytes]:
        member = self.members[index]
        with self.paths[member.archive].open("rb") as stream:
            stream.seek(member.offset)
            return io.BytesIO(stream.read(member.size))

    def sizes(self) -> list[int]:
        return [member.size for member in self.members]

    def _key(self, name: str, member: Member) -> str:
        return f"{self.paths[member.archive].stem}/{name}" if len(self.paths) > 1 else name


def _images_in(path: Path, archive: int, numbers: dict[str, int]) -> Iterator[tuple[str, Member]]:
    """The images of one archive; labels in `.cls` files are added to `numbers`."""
    try:
        # Not "r:*": a compressed archive cannot be read from the middle.
        if path.exists():
            require_file(path)
        with tarfile.open(path, "r:") as tar:
            end = path.stat().st_size
            for entry in tar:
                if entry.size < 0 or entry.offset_data + entry.size > end or entry.issparse():
                    raise tarfile.ReadError(f"a file of {entry.size:,} bytes is not whole")
                name = PurePosixPath(entry.name).as_posix()
                suffix = PurePosixPath(name).suffix.lower()
                if not entry.isfile() or PurePosixPath(name).name.startswith("."):
                    continue
                if suffix == _LABEL:
                    stream = tar.extractfile(entry)
                    assert stream is not None
                    text = stream.read(_LONGEST_LABEL + 1)
                    numbers[_stem(archive, name)] = _number(text, name, path)
                elif suffix in extensions():
                    yield visible(name), Member(archive, entry.offset_data, entry.size)
            if 0 < path.stat().st_size - tar.offset < tarfile.BLOCKSIZE:
                # tarfile stops silently at a truncated header.
                raise tarfile.ReadError("unexpected end of data")
    except FileNotFoundError:
        raise CodeclensError(f'There is no archive "{path}"; check the path.') from None
    except CodeclensError:
        raise
    except Exception as error:  # damaged headers raise errors of several kinds
        raise CodeclensError(
            f'"{path}" cannot be read as a tar archive ({in_one_line(error)}); archives must be '
            "complete and uncompressed."
        ) from None


def _level_of_classes(names: Sequence[str]) -> int:
    """The level of the first folders that differ; the last that all names have, if none do.

    >>> _level_of_classes(["all/cat/1.png", "all/dog/2.png"]), _level_of_classes(["cat/1.png"])
    (1, 0)
    """
    folders = [name.split("/")[:-1] for name in names]
    deepest = min(map(len, folders))
    differ = (level for level in range(deepest) if len({one[level] for one in folders}) > 1)
    return next(differ, max(deepest - 1, 0))


def _stem(archive: int, name: str) -> str:
    """The common part of the names of an image and its label: up to the first dot."""
    folder, _, file = name.rpartition("/")
    return f"{archive}/{folder}/{file.partition('.')[0]}"


def _number(text: bytes, name: str, path: Path) -> int:
    shown = visible(name)
    if not re.fullmatch(rb"\s*[+-]?[0-9]{1,9}\s*", text):
        raise CodeclensError(
            f'The label "{shown}" in "{path}" is {text[:40]!r}; a label must be one whole number.'
        )
    return int(text)


ARRAY_FILES = (".npy", ".npz", ".zarr")
_IMAGES = ("x", "images", "image", "data", "arr_0")
_LABELS = ("y", "labels", "label", "targets", "arr_1")
# What stays in memory for a sample: its label, its row and its name.
_BYTES_PER_SAMPLE = 100
_PICKLE = re.compile(r'"pickle"', re.IGNORECASE)
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")


class ArrayFile(SampleSource):
    """Samples in the rows of an array file: `.npy`, `.npz` or `.zarr`.

    Floating-point rows are the model's inputs. Rows of bytes are images, `(H, W)`, `(H, W, 3)` or
    `(3, H, W)`, and pass through `transform`. In an `.npz` or a Zarr group, `images` and `labels`
    name the arrays; by default, usual names are tried. Arrays are memory-mapped or read by row;
    only those in a compressed `.npz` are loaded.

    Raises CodeclensError for a file that is missing or contains no array, and for an unknown name.

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
        seed: int = 0,
        images: str | None = None,
        labels: str | None = None,
    ) -> None:
        self.path = at_home(path)
        self.transform = transform
        self.classes = None if classes is None else class_labels(classes)
        arrays = _opened(self.path)
        x = _chosen(arrays, images, _IMAGES, self.path)
        if x is None or x.ndim < 2:
            known = ", ".join(f'"{name}" {array.shape}' for name, array in arrays.items())
            raise CodeclensError(
                f'"{self.path}" contains {known or "no arrays"}; pass images="NAME", the name of '
                "an array whose first axis is the samples."
            )
        self.x = x
        if 0 in x.shape[1:] or x.shape[0] > free_memory() // _BYTES_PER_SAMPLE:
            raise CodeclensError(
                f'"{self.path}" claims {x.shape[0]:,} samples of shape {x.shape[1:]}, which it '
                "cannot hold; check the file."
            )
        found = _chosen(arrays, labels, _LABELS, self.path)
        if found is not None and found.shape != (x.shape[0],):  # before anything is loaded
            raise CodeclensError(
                f"Labels of shape {found.shape} and type {found.dtype} do not fit {x.shape[0]} "
                "samples; pass one integer for each sample."
            )
        self.labels = None if found is None else as_labels(found[:], self.x.shape[0])
        kinds = np.zeros(self.x.shape[0], np.int8) if self.labels is None else self.labels
        self.rows = stratified(kinds, limit, seed)
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
            "rows": None if isinstance(self.rows, range) else digest([str(self.rows).encode()]),
            "transform": describe(self.transform if self.x.dtype == np.uint8 else None),
            "pixels": self.probe(),
        }


def _opened(path: Path) -> Mapping[str, Any]:
    """The arrays of a file by name; a single array is called "x"."""
    if not path.exists():
        raise CodeclensError(f'There is no file "{path}"; check the path.')
    with as_sentence(f'"{path}" cannot be read as arrays'):
        if path.suffix != ".zarr":
            require_file(path)
        if path.suffix == ".npy":
            return {"x": np.load(path, mmap_mode="r", allow_pickle=False)}
        if path.suffix == ".npz":
            return _zipped(path)
        import zarr

        found = zarr.open(path, mode="r")
        named = {"x": found} if isinstance(found, zarr.Array) else dict(found.arrays())
        for name, array in named.items():
            if _PICKLE.search(json.dumps(array.metadata.to_dict(), default=str)):
                raise ValueError(f'"{name}" is pickled, which could run code')
        return named


def _zipped(path: Path) -> dict[str, Any]:
    """The arrays of an `.npz`, memory-mapped unless they are compressed."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if entry.compress_type == zipfile.ZIP_STORED:
                found[name] = _mapped(path, entry)
                continue
            with archive.open(entry) as stream:
                _require_size(*_header(stream), entry.file_size - stream.tell())
            if entry.file_size > free_memory():
                raise CodeclensError(
                    f'"{name}" in "{path}" is compressed and takes {in_words(entry.file_size)}, '
                    "more than the free memory; save it with numpy.savez, or as .npy."
                )
            with archive.open(entry) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _mapped(path: Path, entry: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        header = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        # Skip the name and the extra field, whose lengths stand only in this header.
        stream.seek(header[-2] + header[-1], os.SEEK_CUR)
        start = stream.tell()
        shape, by_columns, dtype = _header(stream)
        _require_size(shape, by_columns, dtype, entry.file_size - (stream.tell() - start))
        order = "F" if by_columns else "C"
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", stream.tell(), shape, cast(Any, order))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type at the beginning of an `.npy`; raises ValueError for objects."""
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in read:
        raise ValueError(f"version {version} of npy")
    shape, by_columns, dtype = read[version](stream)
    if dtype.hasobject:
        raise ValueError("it contains objects, not numbers")
    return shape, by_columns, dtype


def _require_size(
    shape: tuple[int, ...], by_columns: bool, dtype: np.dtype[Any], size: int
) -> None:
    """Raise ValueError unless an array of this shape and type has that many bytes."""
    claimed = math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or claimed != size:
        raise ValueError(f"an array claims {claimed:,} bytes of {size:,}")


def _chosen(
    arrays: Mapping[str, Any], asked: str | None, usual: Sequence[str], path: Path
) -> Any | None:
    if asked is not None and asked not in arrays:
        raise unknown("array", asked, arrays, f'"{path}" has')
    return next((arrays[n] for n in ([asked] if asked else usual) if n in arrays), None)


def open_samples(
    path: str | os.PathLike[str],
    transform: Callable[[Image.Image], Any] | None = None,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> SampleSource:
    """Samples on disk, as an `ImageFolder`, `TarImages` or an `ArrayFile`, depending on `path`.

    `path` is a folder of images, a `.tar`, a pattern such as `"train-*.tar"`, an `.npy`, an `.npz`
    or a `.zarr`. Raises CodeclensError for anything else, and as the three classes do.
    """
    file = at_home(path)
    text = os.fspath(file)
    if file.suffix in ARRAY_FILES:
        return ArrayFile(file, transform, classes, limit, seed)
    if file.is_dir():
        return ImageFolder(file, transform, classes, limit, seed)
    if any(sign in text for sign in "*?[") and not file.exists():
        found = sorted(glob.glob(text))
        if not found:
            raise CodeclensError(f'No file matches "{text}"; check the pattern.')
        return TarImages(found, transform, classes, limit, seed)
    if file.suffix == ".tar":
        return TarImages(file, transform, classes, limit, seed)
    if not file.exists():
        raise CodeclensError(f'There is no folder "{file}"; pass a folder of images.')
    raise CodeclensError(
        f'"{file}" cannot be read as images; pass a folder of images, a .tar, or one of '
        f"{', '.join(ARRAY_FILES)}."
    )
