"""Images on disk: what all that hold them share, and a folder of them."""

from __future__ import annotations

import difflib
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.extraction.data import Samples, spread
from codeclens.extraction.fingerprint import describe, digest

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
)
# Decoding leaves the interpreter free; more threads than this find no disk to read from.
READERS = min(4, os.cpu_count() or 1)
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")


class EncodedImages(Samples):
    """Images in files or parts of files, with their `keys` and `labels`, which threads decode."""

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
        """What Pillow can open."""

    @abstractmethod
    def sizes(self) -> list[int]:
        """The bytes of every image, −1 where that is not known."""

    def read(self, index: int) -> tuple[Any, Any]:
        image = open_rgb(self.open(index))
        return (self.transform or to_tensor)(image), self.labels[index]

    def reason(self, error: Exception) -> str:
        if isinstance(error, UnidentifiedImageError):
            return "no image that Pillow can read"
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

    def _number_folders(self, classes: Sequence[str] | None) -> None:
        """Label keys by the folder that each lies in, if all of them lie in one."""
        flat = any("/" not in key for key in self.keys)
        folders = [] if flat else sorted({key.split("/")[0] for key in self.keys})
        if classes is not None:
            self.classes = [str(name) for name in classes]
        else:
            self.classes = folders or None
        number = _numbers(folders, self.classes or [])
        self.labels = [-1 if flat else number[key.split("/")[0]] for key in self.keys]


class ImageFolder(EncodedImages):
    """Images in a folder: flat, or one folder for each class; folders inside are searched too.

    Where images lie in `path` itself there are no labels. Otherwise the folders in `path` are the
    classes, and labels index their sorted names, or `classes` where it is given (all the names of
    a model's outputs in order, say). `transform` takes an RGB image of Pillow, turned upright, and
    returns what the model takes; without one, images become `(3, H, W)` in 0 … 1. `limit` keeps
    that many images, spread evenly. Samples are in natural order (`2.jpg` before `10.jpg`); the key
    of a sample is its path inside the folder.

    Raises CodeclensError for a missing folder, one without images, and a folder name that `classes`
    does not hold.

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
    ) -> None:
        self.path = Path(path)
        self.transform = transform
        if not self.path.is_dir():
            raise CodeclensError(f'There is no folder "{self.path}"; pass a folder of images.')
        self.keys = sorted(_find(self.path), key=natural)
        if not self.keys:
            known = " ".join(sorted(EXTENSIONS))
            raise CodeclensError(f'The folder "{self.path}" holds no images ({known}).')
        self._number_folders(classes)
        kept = spread(len(self.keys), limit)
        self.keys, self.labels = [self.keys[i] for i in kept], [self.labels[i] for i in kept]
        self.threads = READERS

    def __repr__(self) -> str:
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"ImageFolder({str(self.path)!r}: {len(self)} images{classes})"

    def open(self, index: int) -> Path:
        return self.path / self.keys[index]

    def sizes(self) -> list[int]:
        return [_size(self.path / key) for key in self.keys]


def open_rgb(path: str | os.PathLike[str] | IO[bytes]) -> Image.Image:
    """Open an image upright and in RGB, whatever it was; raises what Pillow raises."""
    with Image.open(path) as opened:
        opened.load()
        return as_rgb(opened)


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture upright and in RGB."""
    image = ImageOps.exif_transpose(picture)
    if image.mode in _SIXTEEN_BITS:
        # Pillow would clip: everything brighter than 1/256 of the range would be white.
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """Pixels `(3, H, W)` in 0 … 1."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32) / np.float32(255))
    return pixels.permute(2, 0, 1).contiguous()


def _find(root: Path) -> Iterator[str]:
    """Relative paths of all images; hidden ones are left out, linked folders are followed once."""
    seen = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(folder, name).relative_to(root).as_posix()


def natural(key: str) -> list[tuple[tuple[int, int, str], ...]]:
    """Sort key that puts `2.jpg` before `10.jpg`."""
    # Folder by folder; in each name, runs of digits compare as numbers and come before letters.
    return [
        tuple(
            (0, int(part), part) if part.isdecimal() else (1, 0, part)
            for part in re.split(r"(\d+)", name)
            if part
        )
        for name in key.split("/")
    ]


def _numbers(folders: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    number = {name: i for i, name in enumerate(classes)}
    missing = [name for name in folders if name not in number]
    if missing:
        near = difflib.get_close_matches(missing[0], classes, 3, 0) or list(classes[:3])
        offered = ", ".join(f'"{name}"' for name in near)
        raise CodeclensError(
            f'The folder "{missing[0]}" is none of the {len(classes)} classes (nearest are '
            f"{offered}); rename it, or pass the classes that the folders are named after."
        )
    return number


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # It will be recorded with its reason when it is read.
        return -1
