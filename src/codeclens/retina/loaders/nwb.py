"""Recordings in Neurodata Without Borders: spikes of units, and the film."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording


def load_nwb(
    path: str | os.PathLike[str],
    *,
    pixel: float,
    unit: Unit,
    stimulus: str | None = None,
    axes: Literal["xy", "yx"] = "xy",
    colour: int | None = None,
    cells: Sequence[int] | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
) -> Recording:
    """Read the spikes of units and one film, `stimulus` of the file, as rates in its frames.

    Films are an `ImageSeries`, or an `IndexSeries` into images or a film. Times are those of the
    file in s: `starting_time` and `rate`, or evenly spaced `timestamps`; the spikes in each frame
    give its rate in Hz. The standard orders frames as `(time, x, y)`; pass `axes="yx"` where the
    file has rows first. `colour` is the number of one channel of a film in colour. `pixel` and
    `unit` are required, since a field of view in the file may be that of the screen. `scale` is the
    mean and deviation in `(film − mean) / deviation`. `cells` are ids of units, which the names
    contain. Needs pynwb.

    Raises CodeclensError for a missing film, a film in colour without `colour`, one with gaps
    (`load_nwb_parts` reads it) or with uneven times, and no units.

    >>> load_nwb("nowhere.nwb", pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.nwb".
    """
    parts = load_nwb_parts(
        path, pixel=pixel, unit=unit, stimulus=stimulus, axes=axes, colour=colour, cells=cells,
        scale=scale,
    )  # fmt: skip
    if len(parts) > 1:
        raise CodeclensError(
            f'The film in "{path}" has gaps between {len(parts)} parts, and a movie has one rate; '
            "read it with load_nwb_parts."
        )
    return parts[0]


def load_nwb_parts(
    path: str | os.PathLike[str],
    *,
    pixel: float,
    unit: Unit,
    stimulus: str | None = None,
    axes: Literal["xy", "yx"] = "xy",
    colour: int | None = None,
    cells: Sequence[int] | None = None,
    scale: tuple[float, float] = (0.0, 1.0),
) -> list[Recording]:
    """Read a film with gaps as one recording for each part, cut at the gaps.

    A gap is a step between frames of more than one and a half times the median. Parts that are
    presentations of one film make one recording with repeats: `join_repeats(parts)`. Arguments and
    errors are those of `load_nwb`.

    >>> load_nwb_parts("nowhere.nwb", pixel=50.0, unit="um")
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
            frames = _frames(file, series, colour)
            starts, rate = _parts(file, series, len(frames))
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
    found = []
    for begins, (first, last) in starts:
        movie = Movie(film[first:last], rate=rate, pixel=pixel, unit=unit)
        edges = begins + np.arange(last - first + 1) / rate
        counts = [np.histogram(times, edges)[0] for times in spikes.values()]
        values = torch.from_numpy(np.stack(counts, axis=1).astype(np.float32))
        found.append(Recording.from_counts(movie, values, list(spikes)))
    return found


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


def _frames(file: Path, series: Any, colour: int | None) -> np.ndarray[Any, Any]:
    frames: np.ndarray[Any, Any] = np.zeros(0)
    if series.data is not None:
        frames = np.asarray(series.data)
    if hasattr(series, "indexed_timeseries"):
        source = series.indexed_timeseries
        if source is not None:
            images = np.asarray(source.data)
        else:
            ordered = series.indexed_images.order_of_images
            kept = series.indexed_images.images.values() if ordered is None else ordered
            images = np.stack([np.asarray(image.data) for image in kept])
        frames = images[frames.astype(np.int64)]
    if frames.ndim == 4:
        if colour is None:
            raise CodeclensError(
                f'"{series.name}" in "{file}" has {frames.shape[3]} colours; choose one by its '
                "number, colour=…."
            )
        require_number("colour", colour, least=0, most=frames.shape[3] - 1, whole=True)
        frames = frames[..., colour]
    if frames.ndim != 3 or not len(frames):
        raise CodeclensError(
            f'"{series.name}" in "{file}" has the shape {frames.shape}; it must be a film '
            "(time, x, y), stored in the file itself."
        )
    return frames.astype(np.float64)


Part = tuple[float, tuple[int, int]]


def _parts(file: Path, series: Any, count: int) -> tuple[list[Part], float]:
    """The beginning of each part of the film in s with its frames, and the frames a second."""
    if series.rate is not None:
        return [(float(series.starting_time or 0.0), (0, count))], float(series.rate)
    times = np.asarray(series.timestamps, dtype=np.float64)
    if len(times) != count or count < 2:
        raise CodeclensError(
            f'"{series.name}" in "{file}" has {len(times)} times for {count} frames.'
        )
    steps = np.diff(times)
    step = float(np.median(steps))
    cuts = np.flatnonzero(steps > 1.5 * step) + 1
    within = steps[steps <= 1.5 * step]
    step = float(within.mean()) if step > 0 else step
    short = np.diff([0, *cuts, count]).min() < 2
    if not step > 0 or np.abs(within - step).max() > 0.1 * step or short:
        raise CodeclensError(
            f'Frames of "{series.name}" in "{file}" last from {steps.min():.4g} to '
            f"{steps.max():.4g} s; a movie has one rate: resample it."
        )
    edges = [0, *cuts.tolist(), count]
    parts = [(float(times[a]), (a, b)) for a, b in pairwise(edges)]
    return parts, 1 / step


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
