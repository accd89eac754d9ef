"""HDF5 files: opened with one clear sentence where that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from codeclens.errors import CodeclensError


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """An HDF5 file to read from; raises CodeclensError without h5py, or if it cannot be read."""
    try:
        import h5py
    except ImportError as error:
        raise CodeclensError('HDF5 files need h5py: pip install "codeclens[retina]".') from error
    file = Path(path)
    if file.suffix in (".pkl", ".pickle", ".p"):
        raise CodeclensError(
            f'"{file}" is a pickle, which can run code and is never loaded; write its arrays to '
            "HDF5 first."
        )
    if not file.is_file():
        raise CodeclensError(f'There is no file "{file}".')
    try:
        content = h5py.File(file, "r")
    except (OSError, RuntimeError, KeyError) as error:
        raise CodeclensError(f'"{file}" is no HDF5 file, or it is damaged.') from error
    with content:
        try:
            yield content
        except (OSError, RuntimeError, KeyError) as error:
            # What is wrong inside shows where it is read.
            raise CodeclensError(
                f'"{file}" is damaged and cannot be read; copy or download it again.'
            ) from error


def array(content: Any, name: str, path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """One array of a file as float32; raises CodeclensError where it has none of that name."""
    if name not in content or not hasattr(content[name], "shape"):
        near = content
        for part in name.split("/")[:-1]:
            near = near.get(part, None) if hasattr(near, "get") else None
            if near is None:
                break
        there = ", ".join(near) if hasattr(near, "keys") else ", ".join(content)
        raise CodeclensError(f'"{path}" has no array "{name}"; there are {there or "none"}.')
    if content[name].dtype.kind not in "biuf":
        raise CodeclensError(f'"{name}" in "{path}" holds no numbers, but {content[name].dtype}.')
    return np.asarray(content[name], dtype=np.float32)


def chosen(
    rates: np.ndarray[Any, Any], cells: Sequence[int] | None, path: str | os.PathLike[str]
) -> tuple[np.ndarray[Any, Any], list[str]]:
    """Rows of `(cells, time)` by number, and the names that keep these numbers."""
    numbers = list(range(len(rates))) if cells is None else [int(cell) for cell in cells]
    bad = [number for number in numbers if not 0 <= number < len(rates)]
    if bad or not numbers:
        raise CodeclensError(
            f'"{path}" has cells 0 to {len(rates) - 1}, and not {bad[0] if bad else "none at all"}.'
        )
    return rates[numbers], [f"cell {number}" for number in numbers]
