"""Tables: rows of named values, as files, and datasets that hold the same with their names."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray


def save_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with the same keys as CSV (UTF-8) and return its path; without rows it is empty.

    >>> import tempfile
    >>> save_table(Path(tempfile.mkdtemp(), "a.csv"), [{"site": "conv1", "units": 8}]).read_text()
    'site,units\\nconv1,8\\n'
    """
    to = Path(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return to


def columns_of(
    rows: Sequence[Mapping[str, Any]], dimension: str
) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """The columns of rows with the same keys as variables of a dataset, along one dimension.

    Text stays text, None becomes NaN.

    >>> columns_of([{"site": "conv1", "units": 8}], "row")["units"]
    ('row', array([8]))
    """
    return {name: (dimension, labels([row[name] for row in rows])) for name in (rows or [{}])[0]}


def labels(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Values of one kind as an array that Zarr has a specification for; None is NaN.

    >>> labels(["a", "bc"]).dtype, labels([1.0, None]).tolist()
    (dtype('O'), [1.0, nan])
    """
    # Text as objects: of a fixed length it has no specification in Zarr 3.
    if any(isinstance(value, str) for value in values):
        return np.array([str(value) for value in values], object)
    return np.array([np.nan if value is None else value for value in values])


def save_dataset(path: str | Path, dataset: xarray.Dataset | xarray.DataTree) -> Path:
    """Write a dataset, or a tree of them, as a Zarr store in place of another; returns its path.

    >>> import tempfile, xarray
    >>> to = save_dataset(Path(tempfile.mkdtemp(), "a.zarr"), xarray.Dataset({"x": ("n", [1, 2])}))
    >>> xarray.open_zarr(to, consolidated=False).x.values.tolist()
    [1, 2]
    """
    to = Path(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    dataset.to_zarr(to, mode="w", consolidated=False)
    return to
