"""Files of a run: pixels as images, sentences as text, arrays as NPZ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def save_pixels(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    """Write pixels `(H, W)` or `(H, W, 3)`, uint8, as an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def save_sentences(path: Path, sentences: Sequence[str]) -> None:
    """Write sentences, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write arrays by name as NPZ; nothing in it is pickled."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    if any(array.dtype.hasobject for array in plain.values()):
        raise TypeError("Arrays of objects would be pickled; make them text or numbers.")
    np.savez_compressed(path, allow_pickle=False, **plain)
