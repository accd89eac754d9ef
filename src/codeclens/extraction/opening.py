"""Opening: samples on disk, by what their path is."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from codeclens.errors import CodeclensError
from codeclens.extraction.arrays import ARRAY_FILES, ArrayFile
from codeclens.extraction.data import Samples
from codeclens.extraction.images import ImageFolder
from codeclens.extraction.tars import TarImages


def open_samples(
    path: str | os.PathLike[str],
    transform: Callable[[Image.Image], Any] | None = None,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
) -> Samples:
    """Samples on disk: an `ImageFolder`, `TarImages` or an `ArrayFile`, by what `path` is.

    `path` is a folder of images, a `.tar`, a pattern of several (`"train-*.tar"`), an `.npy`, an
    `.npz` or a `.zarr`. Raises CodeclensError for anything else, and as the three do.
    """
    text = os.fspath(path)
    place = Path(text)
    if place.suffix in ARRAY_FILES:
        return ArrayFile(place, transform, classes, limit)
    if place.is_dir():
        return ImageFolder(place, transform, classes, limit)
    if any(sign in text for sign in "*?[") and not place.exists():
        found = sorted(glob.glob(text))
        if not found:
            raise CodeclensError(f'Nothing on disk matches "{text}"; check the pattern.')
        return TarImages(found, transform, classes, limit)
    if place.suffix == ".tar":
        return TarImages(place, transform, classes, limit)
    if not place.exists():
        raise CodeclensError(f'There is no folder "{place}"; pass a folder of images.')
    raise CodeclensError(
        f'"{place}" holds no images that can be read by index; pass a folder of images, a .tar, or '
        f"one of {', '.join(ARRAY_FILES)}."
    )
