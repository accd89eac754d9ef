"""Labelled results: tables and arrays whose rows and columns have names, shown and saved."""

from __future__ import annotations

import csv
import html
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.files import replaced_folder, write_whole
from codeclens.text import table_cell

if TYPE_CHECKING:
    import pandas
    import xarray

# A result prints at most 20 lines: its title, the names of the columns, these rows and "...".
_ROWS = 14
_WIDTH = 110


class Labelled(ABC):
    """A result with names: as an xarray data set, as a pandas table, and short on the screen.

    A dataclass that inherits from it is declared with `repr=False`, so that this `repr` holds.
    """

    @abstractmethod
    def to_xarray(self) -> xarray.Dataset | xarray.DataTree:
        """Everything that was found, as arrays with named dimensions and coordinates."""

    @abstractmethod
    def to_dataframe(self) -> pandas.DataFrame:
        """The numbers that a reader wants first, as a table."""

    def title(self) -> str:
        """One line that says what this is."""
        return type(self).__name__

    def shown(self) -> pandas.DataFrame:
        """The table on the screen, where it is not the one of `to_dataframe`."""
        return self.to_dataframe()

    def __repr__(self) -> str:
        return table_text(self.title(), self.shown())

    def _repr_html_(self) -> str:
        return table_html(self.title(), self.shown())


def table_text(title: str, table: pandas.DataFrame) -> str:
    """A title and a table as text of at most 20 lines and about 110 columns.

    >>> import pandas
    >>> print(table_text("Two sites", pandas.DataFrame({"site": ["a", "b"], "r2": [0.91234, 0.5]})))
    Two sites
    site    r2
       a 0.912
       b 0.500
    """
    if table.empty:
        return title
    shown = table if len(table) <= _ROWS else table.iloc[:_ROWS]
    text = shown.to_string(
        index=False, line_width=None, max_cols=_columns(shown), float_format=_short, na_rep="–"
    )
    left = len(table) - len(shown)
    end = f"\n… and {left:,} more rows: to_dataframe() has all" if left else ""
    return f"{title}\n{text}{end}"


def table_html(title: str, table: pandas.DataFrame) -> str:
    """A title and the first rows of a table as HTML, every text escaped.

    >>> import pandas
    >>> "&lt;b&gt;" in table_html("One site", pandas.DataFrame({"site": ["<b>"]}))
    True
    """
    body = table.to_html(
        index=False, max_rows=30, border=0, float_format=_short, na_rep="–", escape=True
    )
    return f"<p>{html.escape(title)}</p>{body}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value and abs(value) < 1e-3 else f"{value:.3f}"


def _columns(table: pandas.DataFrame) -> int | None:
    """How many columns fit the width; None for all of them."""
    widths = [
        1 + max([len(str(name)), *(len(_cell(value)) for value in table[name])]) for name in table
    ]
    if sum(widths) <= _WIDTH:
        return None
    fitting = np.searchsorted(np.cumsum(sorted(widths, reverse=True)), _WIDTH - 4)
    return max(2, int(fitting))


def _cell(value: Any) -> str:
    return _short(value) if isinstance(value, float) else str(value)


def save_table(path: str | Path, rows: Sequence[Mapping[str, Any]] | pandas.DataFrame) -> Path:
    """Write rows with the same keys as CSV (UTF-8) and return its path; without rows it is empty.

    Text that a spreadsheet would take for a formula begins with an apostrophe; control and
    direction characters are written as escapes. Numbers are numbers.

    >>> import tempfile
    >>> save_table(Path(tempfile.mkdtemp(), "a.csv"), [{"site": "conv1", "units": 8}]).read_text()
    'site,units\\nconv1,8\\n'
    """
    if not isinstance(rows, Sequence):
        rows = rows.to_dict("records")
    text = io.StringIO(newline="")
    cells = [{table_cell(k): table_cell(value) for k, value in row.items()} for row in rows]
    writer = csv.DictWriter(text, fieldnames=list(cells[0]) if cells else [])
    writer.writeheader()
    writer.writerows(cells)
    return write_whole(path, text.getvalue())


def columns_of(
    rows: Sequence[Mapping[str, Any]], dimension: str
) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """The columns of rows with the same keys as variables of a data set, along one dimension.

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
    """Write a data set, or a tree of them, as a Zarr store in place of another; returns its path.

    It is written beside its place and moved, so that an earlier store stays whole until then.
    Raises CodeclensError if another folder or a file is there.

    >>> import tempfile, xarray
    >>> to = save_dataset(Path(tempfile.mkdtemp(), "a.zarr"), xarray.Dataset({"x": ("n", [1, 2])}))
    >>> xarray.open_zarr(to, consolidated=False).x.values.tolist()
    [1, 2]
    """
    with replaced_folder(path, "zarr.json") as part:
        dataset.to_zarr(part, mode="w", consolidated=False)
    return Path(path)
