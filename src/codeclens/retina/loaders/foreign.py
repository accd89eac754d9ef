"""Foreign files: checkpoints as tensors and plain values, and arrays of HDF5 files."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from codeclens.errors import CodeclensError

# The functions that rebuild numbers and arrays, under the names of NumPy 1 and 2.
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
# The errors of torch and pickle for files that are not checkpoints.
_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError),
    *(AttributeError, AssertionError, OSError, MemoryError, ImportError),
)


class StandIn:
    """Replaces an object of a class that is not installed: its state without its code."""

    def __new__(cls, *given: Any, **named: Any) -> StandIn:
        self = super().__new__(cls)
        self.given = given
        return self

    given: tuple[Any, ...]

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


def read_checkpoint(path: str | os.PathLike[str], *, strange: Sequence[str]) -> dict[str, Any]:
    """Read a file of `torch.save` with `weights_only=True`: no code of the file is run.

    NumPy's numbers and arrays are allowed by name; classes of the packages in `strange` become
    stand-ins. Raises CodeclensError for a missing file, for other objects that could run code, and
    for a file without a dictionary.
    """
    file = Path(path)
    if not file.is_file():
        raise CodeclensError(f'There is no checkpoint at "{file}".')
    if not file.stat().st_size:
        raise CodeclensError(f'"{file}" is empty; copy or download it again.')
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise CodeclensError(
            "Checkpoints of other packages are read with torch 2.6 or newer, not "
            f"{torch.__version__}."
        )
    try:
        named = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    except _UNREADABLE:
        named = []  # the old format has no list of names; it may still hold plain values
    allowed: list[Any] = _numbers()
    known = {name for _, name in allowed if isinstance(name, str)}
    refused = []
    for name in named:
        if name in known:
            continue
        if any(name == part or name.startswith(f"{part}.") for part in strange):
            allowed.append((type("StandIn", (StandIn,), {}), name))
        else:
            refused.append(name)
    if refused:
        raise CodeclensError(
            f'The checkpoint "{file}" holds objects of {", ".join(refused[:3])}, which could run '
            "code; save its weights and plain values alone."
        )
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        # Not torch's own message, which advises to run the file's code.
        global_ = re.search(r"Unsupported global: GLOBAL (\S+)", str(error))
        why = (
            f"it holds {global_[1]}, which could run code"
            if global_
            else "it is damaged, or torch.save did not write it"
        )
        raise CodeclensError(
            f'"{file}" cannot be read as a checkpoint of tensors and plain values; {why}.'
        ) from error
    if not isinstance(content, dict):
        raise CodeclensError(
            f'"{file}" holds a {type(content).__name__}, not the dictionary of a checkpoint.'
        )
    return content


def _numbers() -> list[Any]:
    array = np.array([1.0])
    # The same functions have different names in different versions of NumPy.
    scalar = np.float64(1.0).__reduce__()[0]
    rebuild = array.__reduce__()[0]
    found: list[Any] = []
    for home in _NUMPY:
        found += [(scalar, f"{home}.scalar"), (rebuild, f"{home}._reconstruct")]
    found += [(np.ndarray, "numpy.ndarray"), (np.dtype, "numpy.dtype")]
    for kind in (np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_):
        dtype = type(np.dtype(kind))
        found.append((dtype, f"numpy.dtypes.{dtype.__name__}"))
    return found


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an HDF5 file; raises CodeclensError without h5py, or if the file cannot be read."""
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
        raise CodeclensError(f'"{file}" is not an HDF5 file, or it is damaged.') from error
    with content:
        try:
            yield content
        except (OSError, RuntimeError, KeyError) as error:
            # Damage can appear late, when an array is read.
            raise CodeclensError(
                f'"{file}" is damaged and cannot be read; copy or download it again.'
            ) from error


def array(content: Any, name: str, path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """One array of a file as float32; raises CodeclensError where it does not exist."""
    if name not in content or not hasattr(content[name], "shape"):
        near = content
        for part in name.split("/")[:-1]:
            near = near.get(part, None) if hasattr(near, "get") else None
            if near is None:
                break
        there = ", ".join(near) if hasattr(near, "keys") else ", ".join(content)
        raise CodeclensError(f'"{path}" has no array "{name}"; there are {there or "none"}.')
    if content[name].dtype.kind not in "biuf":
        raise CodeclensError(f'"{name}" in "{path}" is {content[name].dtype}, not numbers.')
    return np.asarray(content[name], dtype=np.float32)


def chosen(
    rates: np.ndarray[Any, Any], cells: Sequence[int] | None, path: str | os.PathLike[str]
) -> tuple[np.ndarray[Any, Any], list[str]]:
    """The chosen rows of `(cells, time)`, and names that contain their numbers."""
    numbers = list(range(len(rates))) if cells is None else [int(cell) for cell in cells]
    bad = [number for number in numbers if not 0 <= number < len(rates)]
    if bad or not numbers:
        raise CodeclensError(
            f'"{path}" has cells 0 to {len(rates) - 1}; cells= names {bad[0] if bad else "none"}.'
        )
    return rates[numbers], [f"cell {number}" for number in numbers]
