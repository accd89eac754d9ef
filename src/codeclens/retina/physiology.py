"""Physiology: the responses of a retina to the stimuli of classical experiments.

Every experiment takes a `ResponseModel` of contrasts from the mean light and the `Screen` that it
sees. It returns a Dataset by `cell` with the numbers of the experiment, the rates that they come
from, `rate` `(…, time, cell)` in Hz, and the film that was shown, `film` `(…, frame, y, x)`. `time`
and `frame` are in s from the event of the experiment; a response has the time of the frame that it
belongs to, also in models that look ahead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.errors import require_number
from codeclens.retina.movies import Movie, Screen
from codeclens.retina.response import ResponseModel
from codeclens.retina.stimuli import bar, flash, flash_train, flicker, grating, moving_object

if TYPE_CHECKING:
    import xarray


def direction_selectivity(
    model: ResponseModel,
    screen: Screen,
    *,
    directions: int = 8,
    wavelength: float = 400.0,
    speed: float = 1000.0,
) -> xarray.Dataset:
    """Direction selectivity, from sinusoidal gratings that drift in evenly spaced directions.

    Returns `mean_rate` `(direction, cell)` in Hz; `index` `|Σ r e^{iθ}| / Σ r` from 0 to 1, which
    is 0 where no direction evokes 1 Hz; and `preferred`, the angle of that sum in degrees. The
    event is the first frame with a whole history of drift. Raises CodeclensError for fewer than
    three directions.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = direction_selectivity(circuit, circuit.screen, directions=4)
    >>> found["index"].idxmax("cell").item().startswith("ds.")
    True
    """
    require_number("directions", directions, least=3, whole=True)
    ways = [360 * number / directions for number in range(directions)]
    movies = [
        grating(screen, direction=way, wavelength=wavelength, speed=speed, before=1.0)
        for way in ways
    ]
    event = screen.frames(1.0) + model.history - 1 - model.ahead
    found = _shown(model, movies, event, ("direction", ways, "degrees"))
    mean = found.rate.mean("time")
    angles = np.deg2rad(found.direction)
    x, y = ((mean * part).sum("direction") for part in (np.cos(angles), np.sin(angles)))
    index = np.hypot(x, y) / mean.sum("direction")
    return found.assign(
        mean_rate=mean.assign_attrs(units="Hz"),
        index=index.where(mean.max("direction") >= 1, 0),
        preferred=(np.rad2deg(np.arctan2(y, x)) % 360).assign_attrs(units="degrees"),
    )


def object_motion(
    model: ResponseModel,
    screen: Screen,
    *,
    place: tuple[float, float] = (0.0, 0.0),
    duration: float = 40.0,
    seed: int = 0,
) -> xarray.Dataset:
    """Object-motion sensitivity: an object at `place` that moves with or unlike its background.

    Returns `mean_rate` `(motion, cell)` in Hz for differential, global and background motion, and
    `index`, `(differential − global) / (differential + global)`, from −1 to 1.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = object_motion(circuit, circuit.screen, duration=10.0)
    >>> found["index"].idxmax("cell").item()
    'oms'
    """
    motions = ["differential", "global", "background"]
    movies = [
        moving_object(screen, motion=motion, place=place, duration=duration, seed=seed)  # type: ignore[arg-type]
        for motion in motions
    ]
    found = _shown(model, movies, model.history - 1 - model.ahead, ("motion", motions, ""))
    mean = found.rate.mean("time")
    differential, together = mean.sel(motion="differential"), mean.sel(motion="global")
    index = (differential - together) / (differential + together)
    return found.assign(
        mean_rate=mean.assign_attrs(units="Hz"), index=index.drop_vars("motion", errors="ignore")
    )


def contrast_adaptation(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.35),
    duration: float = 60.0,
    seed: int = 0,
) -> xarray.Dataset:
    """Contrast adaptation: the gain of cells at several contrasts of full-field flicker.

    At each contrast a linear filter over the model's history is fitted to the rate by least squares
    and scaled to norm 1. `gain` `(contrast, cell)` in Hz per unit of contrast is the slope of the
    rate against the filtered contrast, in the quarter of frames where that is strongest. With
    rectification alone the gain rises with contrast; with adaptation it falls. The first 3 s at
    each contrast are discarded. (After Baccus and Meister 2002, Neuron 36: 909.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit(size=8)
    >>> found = contrast_adaptation(circuit, circuit.screen, duration=20.0)
    >>> bool((found.gain[1] < found.gain[0]).all())
    True
    """
    movies = [flicker(screen, contrasts=[c], each=duration, seed=seed) for c in contrasts]
    event = model.history - 1 - model.ahead
    found = _shown(model, movies, event, ("contrast", list(contrasts), ""))
    skipped = round(3 * model.rate)
    gains = [
        _gains(
            movie.windows(model.history)[skipped:, :, 0, 0].double().numpy(),
            found.rate[number, skipped:].to_numpy().astype(np.float64),
        )
        for number, movie in enumerate(movies)
    ]
    gain = (("contrast", "cell"), np.stack(gains), {"units": "Hz per unit of contrast"})
    return found.assign(gain=gain)


def _gains(
    past: Float[np.ndarray, "window history"], rates: Float[np.ndarray, "window cell"]
) -> Float[np.ndarray, " cell"]:
    seen = past - past.mean(axis=0)
    filters = np.linalg.lstsq(seen, rates - rates.mean(axis=0), rcond=None)[0]
    filtered = seen @ (filters / np.linalg.norm(filters, axis=0))
    gains = []
    for cell, values in enumerate(filtered.T):
        strong = values >= np.quantile(values, 0.75)
        x = values[strong] - values[strong].mean()
        gains.append(x @ rates[strong, cell] / (x @ x))
    return np.array(gains)


def latency(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.2, 0.4, 0.8),
    radius: float = 150.0,
    place: tuple[float, float] = (0.0, 0.0),
) -> xarray.Dataset:
    """Latency coding: the delay of responses to 0.2-s flashes of a disc at `place`.

    Returns by `contrast` and `cell` `height`, the peak above rest in Hz, and `onset` in s after the
    flash begins, when the rate is half-way from rest to its peak (interpolated; NaN where the peak
    is below 2 Hz). Both are those of the `polarity` `(cell,)`, 1 for bright and −1 for dark, that
    evokes more at the highest contrast. `rate` is by `flash`, the signed contrast.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = latency(circuit, circuit.screen, contrasts=(0.1, 0.8))
    >>> bool((found.onset[1] < found.onset[0]).all())
    True
    """
    signed = [sign * contrast for sign in (1, -1) for contrast in contrasts]
    before = _before(model)
    movies = [flash(screen, contrast=c, radius=radius, place=place, before=before) for c in signed]
    lit = screen.frames(0.2)
    found = _shown(model, movies, screen.frames(before), ("flash", signed, ""), earlier=1)
    traces = found.rate.to_numpy().astype(np.float64)
    answers = traces[:, 1 : 1 + lit] - traces[:, :1]
    height = answers.max(axis=1).reshape(2, len(contrasts), -1)
    onset = np.array(
        [[_half_way(trace) for trace in answer.T] for answer in answers]
    ).reshape(height.shape) / model.rate  # fmt: skip
    bright = height[0, -1] >= height[1, -1]
    chosen = np.where(bright, height[0], height[1])
    delays = np.where(bright, onset[0], onset[1])
    axes = ("contrast", "cell")
    return found.assign_coords(contrast=list(contrasts)).assign(
        onset=(axes, np.where(chosen < 2, np.nan, delays), {"units": "s"}),
        height=(axes, chosen, {"units": "Hz"}),
        polarity=("cell", np.where(bright, 1, -1)),
    )


def _half_way(answer: Float[np.ndarray, " time"]) -> float:
    """When an answer first reaches half its peak, in frames and interpolated; NaN without one."""
    half = answer.max() / 2
    if half <= 0:
        return math.nan
    above = int(np.flatnonzero(answer >= half)[0])
    low = answer[above - 1] if above else 0.0
    # The rate of a frame is reached at the end of the frame.
    return float(above + (half - low) / max(answer[above] - low, 1e-12))


def omitted_stimulus(
    model: ResponseModel,
    screen: Screen,
    *,
    period: float = 0.12,
    contrast: float = -1.0,
    flashes: int = 12,
    window: float = 0.5,
) -> xarray.Dataset:
    """The omitted-stimulus response: a regular train of flashes ends, compared with one flash.

    Returns peak rates in Hz: `omitted`, in the `window` (s) after the time of the first missing
    flash; `single`, at the same time after one flash alone; `during`, in the last period of the
    train. `peak_time` is that of `omitted`, in s after the missing flash. `rate` is by `shown`,
    "train" or "single", from one period before the event, the missing flash.
    (After Schwartz, Harris, Shrom and Berry 2007, Nature Neuroscience 10: 552.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = omitted_stimulus(circuit, circuit.screen).sel(cell="on.sustained")
    >>> bool(found.omitted > found.single > found.during)
    True
    """
    every, long, before = screen.frames(period), screen.frames(window), _before(model)
    after = max(1.0, window) + abs(model.ahead) / model.rate
    counts = (flashes, 1)
    movies = [
        flash_train(
            screen, flashes=count, period=period, contrast=contrast, before=before, after=after
        )
        for count in counts
    ]
    due = [screen.frames(before) + count * every for count in counts]
    found = _shown(
        model, movies, due, ("shown", ["train", "single"], ""), earlier=every, count=long
    )
    late = found.rate.isel(time=slice(every, None))
    train, single = late.sel(shown="train"), late.sel(shown="single")
    during = found.rate.sel(shown="train").isel(time=slice(0, every)).max("time")
    return _peaks(found, omitted=train, single=single).assign(
        during=during.drop_vars("shown", errors="ignore")
    )


def motion_reversal(
    model: ResponseModel,
    screen: Screen,
    *,
    direction: float = 0.0,
    contrast: float = -1.0,
    speed: float = 500.0,
    places: Sequence[float] = tuple(range(-400, 401, 50)),
) -> xarray.Dataset:
    """The response to the reversal of a moving bar, averaged over the `places` of reversal.

    A bar that reverses at several places relative to one cell stands for a population of cells
    around the place of reversal: during smooth motion their mean rate is steady.

    Returns peaks in Hz of the mean rate over places in the 0.3 s after the event: `reversed`, after
    reversal, and `smooth`, of bars that pass the same place at the same time and move on.
    `peak_time` is that of `reversed`, in s. `rate` is by `motion`, "reversed" or "smooth", and
    `place` in the screen's unit.
    (After Schwartz, Taylor, Fisher, Harris and Berry 2007, Neuron 55: 958.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = motion_reversal(circuit, circuit.screen).sel(cell="off.transient")
    >>> bool(found.reversed > 2 * found.smooth)
    True
    """
    import xarray

    before = _before(model)
    parts = []
    for kind in ("reversed", "smooth"):
        movies, events = [], []
        for place in places:
            way = bar(
                screen, direction=direction, contrast=contrast, speed=speed, reversal=place,
                before=before,
            )  # fmt: skip
            # A bar that reverses at a place is there half-way through its motion.
            moving = len(way) - screen.frames(before) - screen.frames(0.6)
            events.append(screen.frames(before) + moving // 2)
            movies.append(
                way
                if kind == "reversed"
                else bar(screen, direction=direction, contrast=contrast, speed=speed, before=before)
            )
        about = ("place", list(places), screen.unit)
        parts.append(_shown(model, movies, events, about, count=screen.frames(0.3)))
    found = xarray.concat(
        parts, xarray.Variable("motion", np.array(["reversed", "smooth"], object))
    )
    mean = found.rate.mean("place")
    return _peaks(found, reversed=mean.sel(motion="reversed"), smooth=mean.sel(motion="smooth"))


def _before(model: ResponseModel) -> float:
    """The duration of mean light that fills the history of a model with some frames to spare, s."""
    return (model.history + abs(model.ahead) + 5) / model.rate


def _peaks(found: xarray.Dataset, **traces: xarray.DataArray) -> xarray.Dataset:
    """The largest rate of each trace by its name, and the time of the first trace's peak."""
    first = next(iter(traces.values()))
    peaks: dict[str, Any] = {
        name: ("cell", trace.max("time").to_numpy(), {"units": "Hz"})
        for name, trace in traces.items()
    }
    peaks["peak_time"] = ("cell", first.idxmax("time").to_numpy(), {"units": "s"})
    return found.assign(peaks)


def _shown(
    model: ResponseModel,
    movies: Sequence[Movie],
    events: int | Sequence[int],
    about: tuple[str, Sequence[Any], str],
    *,
    earlier: int = 0,
    count: int | None = None,
) -> xarray.Dataset:
    """The responses to movies around an event in each, and the film that they depend on.

    `events` are frames. Rates begin `earlier` frames before the event and end `count` after it (at
    the last that all movies have); film begins a history before that.
    """
    import xarray

    frames = [events] * len(movies) if isinstance(events, int) else list(events)
    rows = [model.row_of(event - earlier) for event in frames]
    answers = [model.respond(movie).cpu().numpy() for movie in movies]
    most = min(len(answer) - row for answer, row in zip(answers, rows, strict=True))
    length = most if count is None else min(most, earlier + count)
    rates = [answer[row : row + length] for answer, row in zip(answers, rows, strict=True)]
    back = min(min(frames), earlier + model.history)
    films = [
        movie.frames[event - back : event - earlier + length].cpu().numpy()
        for movie, event in zip(movies, frames, strict=True)
    ]
    dimension, labels, unit = about
    names = np.array(labels, object) if isinstance(labels[0], str) else np.array(labels)
    seconds = {"units": "s"}
    clock = np.arange(-earlier, length - earlier) / model.rate
    return xarray.Dataset(
        {
            "rate": ((dimension, "time", "cell"), np.stack(rates), {"units": "Hz"}),
            "film": ((dimension, "frame", "y", "x"), np.stack(films), {"units": "contrast"}),
        },
        {
            dimension: (dimension, names, {"units": unit} if unit else {}),
            "time": ("time", clock, seconds),
            "frame": ("frame", np.arange(-back, len(films[0]) - back) / model.rate, seconds),
            "cell": np.array(model.cells, object),
        },
    )
