"""Exports: labelled results as time series of pynapple and of Neurodata Without Borders."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import CodeclensError
from codeclens.files import replaced

if TYPE_CHECKING:
    import xarray

# Frames within this many frames of an even clock are written with a start and a rate.
_EVEN = 1e-3


def to_pynapple(data: xarray.DataArray, *, tensor: bool = False) -> Any:
    """Loadings, rates or contributions over `time` (s) as a series of pynapple.

    One value a frame gives a `Tsd`. One more axis gives a `TsdFrame` with that axis's labels (names
    of cells, numbers of modes) as columns. More axes give a `TsdFrame` with a column for each
    combination of labels, such as "on / first / 3", without those that are NaN throughout; with
    `tensor=True` they give a `TsdTensor` `(time, …)` in the order of `data.dims`, which has no
    labels in pynapple.

    Raises CodeclensError where pynapple is not installed, and for data without a time in s.

    >>> import xarray
    >>> to_pynapple(xarray.DataArray(np.zeros(2), dims="cell"))
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no time in ('cell',); pass data over "time" in s.
    """
    data = _over_time(data)
    try:
        import pynapple
    except ImportError as error:
        raise CodeclensError("Series of pynapple need it: pip install pynapple.") from error
    t, d = data.time.to_numpy().astype(np.float64), data.to_numpy()
    if d.ndim == 1:
        return pynapple.Tsd(t=t, d=d, time_units="s")
    if d.ndim == 2:
        columns = _labels(data, str(data.dims[1]))
        return pynapple.TsdFrame(t=t, d=d, time_units="s", columns=columns)
    if tensor:
        return pynapple.TsdTensor(t=t, d=d, time_units="s")
    axes = [_labels(data, str(axis)) for axis in data.dims[1:]]
    names = [" / ".join(map(str, one)) for one in product(*axes)]
    flat = d.reshape(len(d), -1)
    used = np.flatnonzero(~np.isnan(flat).all(axis=0))
    columns = [names[number] for number in used]
    return pynapple.TsdFrame(t=t, d=flat[:, used], time_units="s", columns=columns)


def to_nwb(
    path: str | os.PathLike[str],
    arrays: Mapping[str, xarray.DataArray],
    *,
    session_start: datetime,
    identifier: str,
    description: str = "Results of codeclens",
    overwrite: bool = False,
) -> Path:
    """Write labelled arrays over `time` as time series of an NWB file, and return its path.

    They are in the processing module "codeclens" under their names, `(time, …)` in the unit of
    their attribute `units`; times are in s from `session_start`, which needs a time zone. Evenly
    spaced frames are written with a start and a rate, others with timestamps. NWB has no place for
    the labels of other axes: `comments` holds them as JSON, `{"dims": […], "coords": {…}}`. Needs
    pynwb.

    Raises CodeclensError for a file that exists (unless `overwrite`), data without a time in s or a
    unit, names that NWB does not accept, a start without a time zone, an empty identifier, and no
    data.

    >>> import tempfile, xarray
    >>> from datetime import UTC
    >>> names = {"time": [0.0, 0.02, 0.04], "cell": ["on", "off"]}
    >>> rates = xarray.DataArray(np.ones((3, 2)), names, ("time", "cell"), attrs={"units": "Hz"})
    >>> path = Path(tempfile.mkdtemp()) / "a.nwb"
    >>> to_nwb(path, {"rate": rates}, session_start=datetime(2026, 1, 1, tzinfo=UTC),
    ...        identifier="one").name
    'a.nwb'
    """
    to = Path(path)
    if not isinstance(session_start, datetime):
        raise CodeclensError(
            f"session_start (={session_start!r}) must be a datetime with a time zone."
        )
    if session_start.tzinfo is None:
        raise CodeclensError(f"session_start (={session_start}) has no time zone; add one.")
    if not isinstance(identifier, str) or not identifier.strip():
        raise CodeclensError(f"identifier (={identifier!r}) must be a text that is not empty.")
    if not isinstance(arrays, Mapping) or not arrays:
        raise CodeclensError("arrays is empty; pass arrays by name.")
    for name in arrays:
        if not isinstance(name, str) or not name or set("/:") & set(name):
            raise CodeclensError(
                f'NWB does not accept the name {name!r}; choose one without "/" and ":".'
            )
    if to.is_dir():
        raise CodeclensError(f'"{to}" is a folder; choose the path of a file.')
    if to.exists() and not overwrite:
        raise CodeclensError(f'"{to}" exists; choose another path, or pass overwrite=True.')
    try:
        from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    except ImportError as error:
        raise CodeclensError('NWB files need pynwb: pip install "codeclens[retina]".') from error
    content = NWBFile(description, identifier, session_start)
    module = content.create_processing_module("codeclens", description)
    for name, given in arrays.items():
        data = _over_time(given)
        unit = data.attrs.get("units")
        if not unit:
            raise CodeclensError(
                f'"{name}" has no unit; set its attribute, as with data.assign_attrs(units="Hz").'
            )
        module.add(
            TimeSeries(
                name=name, data=data.to_numpy(), unit=str(unit), comments=_comments(data),
                description=str(given.attrs.get("long_name", name)), **_clock(data),
            )
        )  # fmt: skip
    with replaced(to, ".nwb") as part, NWBHDF5IO(os.fspath(part), "w") as file:
        file.write(content)
    return to


def _over_time(data: xarray.DataArray) -> xarray.DataArray:
    if not hasattr(data, "coords") or not hasattr(data, "dtype"):
        raise CodeclensError(
            f'A {type(data).__name__} has no labels; pass an xarray.DataArray over "time" in s.'
        )
    if "time" not in data.dims or "time" not in data.coords:
        raise CodeclensError(f'There is no time in {data.dims}; pass data over "time" in s.')
    unit = data.time.attrs.get("units", "s")
    if unit != "s" or data.time.dtype.kind not in "fiu":
        raise CodeclensError(f"Times are {data.time.dtype} in {unit!r}; pass numbers in s.")
    return data.transpose("time", ...)


def _clock(data: xarray.DataArray) -> dict[str, Any]:
    """A start and a rate where frames are even, else their times."""
    times = data.time.to_numpy().astype(np.float64)
    if len(times) > 1:
        step = (times[-1] - times[0]) / (len(times) - 1)
        even = times[0] + step * np.arange(len(times))
        if step > 0 and np.abs(times - even).max() <= _EVEN * step:
            return {"starting_time": float(times[0]), "rate": float(1 / step)}
    return {"timestamps": times}


def _comments(data: xarray.DataArray) -> str:
    names = [str(dim) for dim in data.dims]
    labels = {dim: _labels(data, dim) for dim in names[1:] if dim in data.coords}
    return json.dumps({"dims": names, "coords": labels}, ensure_ascii=False)


def _labels(data: xarray.DataArray, dim: str) -> list[Any]:
    """The labels along an axis as plain values; numbers where it has none."""
    values = data[dim].to_numpy()
    return [str(one) for one in values] if values.dtype.kind in "OU" else values.tolist()
