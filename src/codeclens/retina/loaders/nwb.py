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
    presentations: str | None = None,
) -> Recording:
    """Read the spikes of units and one film, `stimulus` of the file, as rates in its frames.

    Films are an `ImageSeries`, or an `IndexSeries` into images, a film or a template. Times are
    those of the file in s: `starting_time` and `rate`, or evenly spaced `timestamps`; the spikes in
    each frame give its rate in Hz. The standard orders frames as `(time, x, y)`; pass `axes="yx"`
    where the file has rows first. A film in colour is a movie in colour; `colour` is the number of
    one channel. `pixel` and `unit` are required, since a field of view in the file may be that of
    the screen. `scale` is the mean and deviation in `(film − mean) / deviation`. `cells` are ids of
    units, which the names contain. Needs pynwb.

    `stimulus` may also be a template, whose times are in a table of presentations, by default
    `NAME_presentations` of the file's intervals: a row for each frame, with its number `frame`, or
    for each presentation of the whole template, from `start_time` to `stop_time`.

    Raises CodeclensError for a missing film, one with gaps or several presentations
    (`load_nwb_parts` reads it), one with uneven times, and no units.

    >>> load_nwb("nowhere.nwb", pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.nwb".
    """
    parts = load_nwb_parts(
        path, pixel=pixel, unit=unit, stimulus=stimulus, axes=axes, colour=colour, cells=cells,
        scale=scale, presentations=presentations,
    )  # fmt: skip
    if len(parts) > 1:
        raise CodeclensError(
            f'The film in "{path}" has gaps between {len(parts)} parts, and a movie has one rate; '
            "read it with load_nwb_parts (and join_repeats, where parts are repeats)."
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
    presentations: str | None = None,
) -> list[Recording]:
    """Read a film with gaps as one recording for each part, cut at the gaps.

    A gap is a step between frames of more than one and a half times the median. Presentations of a
    template are parts. Parts that show one film make one recording with repeats,
    `join_repeats(parts)`; repeats without gaps are cut by `cut_repeats`. Arguments and errors are
    those of `load_nwb`.

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
            series, table = _series(file, content, stimulus, presentations)
            frames = _frames(file, series, colour)
            if table is None:
                shown, (starts, rate) = frames, _parts(file, series, len(frames))
            else:
                shown, starts, rate = _presented(file, series, table, frames)
            frames = shown
            spikes = _spikes(file, content.units, cells)
        except CodeclensError:
            raise
        # Damage can appear late, as errors of h5py, hdmf or pynwb.
        except Exception as error:
            raise CodeclensError(
                f'"{file}" cannot be read as NWB; copy or download it again.'
            ) from error
    if frames.ndim == 4:
        frames = np.moveaxis(frames, 3, 1)
    if axes == "xy":
        frames = frames.swapaxes(-2, -1)
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


def _series(
    file: Path, content: Any, stimulus: str | None, presentations: str | None
) -> tuple[Any, Any]:
    """The film, and the table of its presentations where it is a template."""
    known = [*sorted(content.stimulus), *sorted(content.stimulus_template)]
    # A template is shown through a film that refers to it, if there is one.
    shown = sorted(content.stimulus) or sorted(content.stimulus_template)
    name = shown[0] if stimulus is None and len(shown) == 1 else stimulus
    if name is None:
        raise CodeclensError(
            f'"{file}" has the films {", ".join(known) or "(none)"}; choose one, stimulus=….'
        )
    if name not in known:
        raise unknown("film", name, known, f'"{file}" has')
    if presentations is None and name in content.stimulus:
        return content.stimulus[name], None
    tables = content.intervals or {}
    where = f"{name}_presentations" if presentations is None else presentations
    if where not in tables:
        raise CodeclensError(
            f'"{name}" in "{file}" is a template, and there is no table "{where}" of its '
            f"presentations (tables: {', '.join(sorted(tables)) or 'none'}); pass presentations=…."
        )
    series = content.stimulus.get(name) or content.stimulus_template[name]
    return series, tables[where]


def _presented(
    file: Path, series: Any, table: Any, frames: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], list[Part], float]:
    """The frames of a template in the order shown, with the beginning of each part in s."""
    starts = np.asarray(table["start_time"][:], np.float64)
    ends = np.asarray(table["stop_time"][:], np.float64)
    if not len(starts):
        raise CodeclensError(f'The table "{table.name}" in "{file}" has no presentations.')
    if "frame" in table.colnames:
        number = np.asarray(table["frame"][:]).astype(np.int64)
        if number.min() < 0 or number.max() >= len(frames):
            raise CodeclensError(
                f'The table "{table.name}" in "{file}" has frames {number.min()} to '
                f"{number.max()}, and the template has {len(frames)}."
            )
        parts, rate = _even_parts(file, series.name, starts)
        return frames[number], parts, rate
    lasts = (ends - starts) / len(frames)
    step = float(np.median(lasts))
    if not step > 0 or np.abs(lasts - step).max() > 0.1 * step:
        raise CodeclensError(
            f'Presentations in "{table.name}" of "{file}" last from {(ends - starts).min():.4g} to '
            f"{(ends - starts).max():.4g} s, so not all of them show the whole template."
        )
    count = len(frames)
    again = np.concatenate([frames] * len(starts))
    parts = [(float(t), (n * count, (n + 1) * count)) for n, t in enumerate(starts)]
    return again, parts, 1 / float(lasts.mean())


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
    if frames.ndim == 4 and colour is not None:
        require_number("colour", colour, least=0, most=frames.shape[3] - 1, whole=True)
        frames = frames[..., colour]
    if frames.ndim not in (3, 4) or not len(frames):
        raise CodeclensError(
            f'"{series.name}" in "{file}" has the shape {frames.shape}; it must be a film '
            "(time, x, y) or (time, x, y, colours), stored in the file itself."
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
    return _even_parts(file, series.name, times)


def _even_parts(file: Path, name: str, times: np.ndarray[Any, Any]) -> tuple[list[Part], float]:
    """Stretches of evenly spaced times, cut at gaps."""
    count = len(times)
    if count < 2:
        raise CodeclensError(f'"{name}" in "{file}" has one frame; a movie needs two or more.')
    steps = np.diff(times)
    step = float(np.median(steps))
    cuts = np.flatnonzero(steps > 1.5 * step) + 1
    within = steps[steps <= 1.5 * step]
    step = float(within.mean()) if step > 0 else step
    short = np.diff([0, *cuts, count]).min() < 2
    if not step > 0 or np.abs(within - step).max() > 0.1 * step or short:
        raise CodeclensError(
            f'Frames of "{name}" in "{file}" last from {steps.min():.4g} to '
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
            + (f"unit {missing[0]} is not one of them." if missing else "choose one or more.")
        )
    return {f"unit {number}": units.get_unit_spike_times(ids.index(number)) for number in asked}
