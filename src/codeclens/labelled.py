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
_LONGEST = 40  # characters of a cell
_MISSING = "–"


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


def table_text(title: str, table: pandas.DataFrame, rows: int | None = None) -> str:
    """A title and a table as text of at most 20 lines and about 110 columns.

    What is the same in all rows of a table that is too wide stands once, above it; then columns
    are left out from the right. A last line counts what is not shown. `rows` is the length of the
    whole table, where `table` holds only its first rows.

    >>> import pandas
    >>> print(table_text("Two sites", pandas.DataFrame({"site": ["a", "b"], "r2": [0.91234, 0.5]})))
    Two sites
    site    r2
       a 0.912
       b 0.500
    """
    if table.empty:
        return title
    shown = table.iloc[:_ROWS]
    cells = {str(name): [_cell(value) for value in column] for name, column in shown.items()}
    widths = {name: max(map(len, (name, *column))) for name, column in cells.items()}
    lines = title.splitlines()
    if len(_fitting(widths)) < len(widths) and len(table) > 1:
        same = {name: column[0] for name, column in cells.items() if len(set(column)) == 1}
        cells = {name: column for name, column in cells.items() if name not in same}
        known = [f"{name} {value}" for name, value in same.items() if value != _MISSING]
        lines += [_cut(", ".join(known), _WIDTH)] if known else []
    fitting = _fitting({name: widths[name] for name in cells})
    lines.append("  ".join(name.rjust(widths[name]) for name in fitting))
    for row in range(len(shown)):
        lines.append("  ".join(cells[name][row].rjust(widths[name]) for name in fitting))
    left = {
        "rows": (rows or len(table)) - len(shown),
        "columns": len(cells) - len(fitting),
    }
    if any(left.values()):
        more = " and ".join(f"{n:,} more {_number_of(what, n)}" for what, n in left.items() if n)
        lines.append(f"… {more}; to_dataframe() returns all of them")
    return "\n".join(lines)


def _number_of(what: str, count: int) -> str:
    return what.removesuffix("s") if count == 1 else what


def _fitting(widths: Mapping[str, int]) -> list[str]:
    """The first columns that fit on a line together, one at least."""
    ends = np.cumsum([width + 2 for width in widths.values()])
    return list(widths)[: max(1, int(np.searchsorted(ends, _WIDTH + 2, side="right")))]


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


def _cell(value: Any) -> str:
    """A value in a column: numbers to three digits, long text cut, nothing as a dash."""
    if value is None:
        return _MISSING
    if isinstance(value, float | np.floating):
        return _MISSING if np.isnan(value) else _short(float(value))
    return _cut(" ".join(str(value).split()), _LONGEST)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


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


def node_name(site: str) -> str:
    """A site's name as that of a node in a tree of data sets, in which a slash would be a level.

    >>> node_name("blocks.0"), node_name("we/ird")
    ('blocks.0', 'we%2Fird')
    """
    return site.replace("/", "%2F")


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
