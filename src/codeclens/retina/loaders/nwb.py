"""Recordings in Neurodata Without Borders: spikes of units, and the film."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from codeclens.errors import CodeclensError, unknown
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording


def load_nwb(
    path: str | os.PathLike[str],
    *,
    pixel: float,
    unit: Unit,
    stimulus: str | None = None,
    axes: Literal["xy", "yx"] = "xy",
    cells: Sequence[int] | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Recording:
    """Read the spikes of units and one film, `stimulus` of the file, as rates in its frames.

    Times are those of the file in s: a film has `starting_time` and `rate`, or evenly spaced
    `timestamps`; the spikes in each frame give its rate in Hz. The standard orders frames as
    `(time, x, y)`; pass `axes="yx"` where the file has rows first. `pixel` and `unit` are required,
    since a field of view in the file may be that of the screen. `scale` is the mean and deviation
    in `(film − mean) / deviation`. `cells` are ids of units, which the names contain. Needs pynwb.

    Raises CodeclensError for a missing film, a film in colour or with uneven times, and no units.

    >>> load_nwb("nowhere.nwb", pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.nwb".
    """
    file = Path(path)
    if not file.is_file():
        raise CodeclensError(f'There is no file "{file}".')
    if axes not in ("xy", "yx"):
        raise unknown("order of axes", axes, ("xy", "yx"))
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise CodeclensError('NWB files need pynwb: pip install "codeclens[retina]".') from error
    try:
        source = NWBHDF5IO(os.fspath(file), "r")
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise CodeclensError(f'"{file}" is not an NWB file, or it is damaged.') from error
    with source:
        try:
            content = source.read()
            series = _series(file, content, stimulus)
            frames = _frames(file, series)
            start, rate = _clock(file, series, len(frames))
            spikes = _spikes(file, content.units, cells)
        except CodeclensError:
            raise
        # Damage can appear late, as errors of h5py, hdmf or pynwb.
        except Exception as error:
            raise CodeclensError(
                f'"{file}" cannot be read as NWB; copy or download it again.'
            ) from error
    if axes == "xy":
        frames = frames.swapaxes(1, 2)
    mean, deviation = scale
    film = torch.from_numpy(np.ascontiguousarray((frames - mean) / deviation, dtype=np.float32))
    movie = Movie(film, rate=rate, pixel=pixel, unit=unit)
    edges = start + np.arange(len(frames) + 1) / rate
    counts = [np.histogram(times, edges)[0] for times in spikes.values()]
    values = torch.from_numpy(np.stack(counts, axis=1).astype(np.float32))
    return Recording.from_counts(movie, values, list(spikes))


def _series(file: Path, content: Any, stimulus: str | None) -> Any:
    known = sorted(content.stimulus)
    name = known[0] if stimulus is None and len(known) == 1 else stimulus
    if name not in known:
        if name is None:
            raise CodeclensError(
                f'"{file}" has the films {", ".join(known) or "(none)"}; choose one, stimulus=….'
            )
        raise unknown("film", name, known, f'"{file}" has')
    return content.stimulus[name]


def _frames(file: Path, series: Any) -> np.ndarray[Any, Any]:
    frames = np.asarray(series.data) if series.data is not None else np.zeros(0)
    if frames.ndim != 3 or not len(frames):
        raise CodeclensError(
            f'"{series.name}" in "{file}" has the shape {frames.shape}; it must be a film '
            "(time, x, y) in one colour, stored in the file itself."
        )
    return frames.astype(np.float64)


def _clock(file: Path, series: Any, count: int) -> tuple[float, float]:
    """The beginning of the film in s, and its frames a second."""
    if series.rate is not None:
        return float(series.starting_time or 0.0), float(series.rate)
    times = np.asarray(series.timestamps, dtype=np.float64)
    if len(times) != count or count < 2:
        raise CodeclensError(
            f'"{series.name}" in "{file}" has {len(times)} times for {count} frames.'
        )
    steps = np.diff(times)
    step = float(times[-1] - times[0]) / (count - 1)
    if not step > 0 or np.abs(steps - step).max() > 0.1 * step:
        raise CodeclensError(
            f'Frames of "{series.name}" in "{file}" last from {steps.min():.4g} to '
            f"{steps.max():.4g} s; a movie has one rate: resample it, or cut it at the gaps."
        )
    return float(times[0]), 1 / step


def _spikes(file: Path, units: Any, cells: Sequence[int] | None) -> dict[str, Any]:
    if units is None or "spike_times" not in units.colnames:
        raise CodeclensError(f'"{file}" has no units with spike times.')
    ids = [int(number) for number in units.id[:]]
    asked = ids if cells is None else [int(cell) for cell in cells]
    missing = [number for number in asked if number not in ids]
    if missing or not asked:
        raise CodeclensError(
            f'"{file}" has the units {", ".join(map(str, ids[:8]))}{" …" if len(ids) > 8 else ""}; '
            f"cells= names {missing[0] if missing else 'none'}."
        )
    return {f"unit {number}": units.get_unit_spike_times(ids.index(number)) for number in asked}
