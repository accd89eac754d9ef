"""Physiology: the responses of a retina to flashes, flicker and reversing gratings.

Every experiment takes a `ResponseModel` of contrasts from the mean light and the `Screen` that it
sees, and `settings` with defaults. It returns a Dataset by `cell` with the numbers of the
experiment, of which `strength` says how much of the phenomenon a cell shows; the rates that they
come from, `rate` `(…, time, cell)` in Hz; and the film that was shown, `film` `(…, frame, y, x)`.
`time` and `frame` are in s from the event of the experiment; a response has the time of the frame
that it belongs to, also in models that look ahead. `explain_phenomenon` adds what units and modes
contribute, and what blocking them does. Lengths that are not given have their defaults in µm (see
`Screen`). On a screen in colour the setting `colour` is that of stimuli. Experiments raise
CodeclensError for unknown settings and for films that the model does not take.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError, require_number
from codeclens.retina.movies import Colour, Screen
from codeclens.retina.protocols import HERTZ, SECONDS, Axis, Protocol, before, build, peaks
from codeclens.retina.response import ResponseModel
from codeclens.retina.stimuli import (
    flash,
    flash_train,
    flicker,
    period_of,
    reversing_grating,
    shifted_surround,
)

if TYPE_CHECKING:
    import xarray


def contrast_adaptation(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Contrast adaptation: the gain of cells at several contrasts of full-field flicker.

    Settings: `contrasts` (0.1, 0.35), `duration` (60 s) at each, `seed`. A linear filter over the
    model's history is fitted to the rate by least squares and scaled to norm 1. `gain` `(contrast,
    cell)` in Hz per unit of contrast is the slope of the rate against the filtered contrast, in the
    quarter of frames where that is strongest. With rectification alone the gain rises with
    contrast; with adaptation it falls: the strength is 1 minus the gain at the highest contrast
    over that at the lowest. The first 3 s at each contrast are discarded. (After Baccus and Meister
    2002, Neuron 36: 909.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit(size=8)
    >>> found = contrast_adaptation(circuit, circuit.screen, duration=20.0)
    >>> bool((found.gain[1] < found.gain[0]).all())
    True
    """
    return build(contrast_adaptation_protocol, model, screen, settings).run(model)


def contrast_adaptation_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.35),
    duration: float = 60.0,
    seed: int = 0,
    colour: Colour = None,
) -> Protocol:
    """Flicker of every contrast."""
    if not len(contrasts):
        raise CodeclensError("contrasts is empty; pass two or more.")
    movies = [
        flicker(screen, contrasts=[one], each=duration, seed=seed, colour=colour)
        for one in contrasts
    ]
    skipped = round(3 * model.rate)
    light = [flicker(Screen(1, screen.rate), contrasts=[c], each=duration, seed=seed)
             for c in contrasts]  # fmt: skip
    pasts = [one.windows(model.history)[skipped:, :, 0, 0].double().numpy() for one in light]

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        gains = np.stack(
            [
                _gains(past, rate[number].to_numpy().astype(np.float64))
                for number, past in enumerate(pasts)
            ]
        )
        order = np.argsort(contrasts)
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = 1 - gains[order[-1]] / gains[order[0]]
        return {
            "gain": (("contrast", "cell"), gains, {"units": "Hz per unit of contrast"}),
            "strength": ("cell", strength),
        }

    event = model.history - 1 - model.ahead + skipped
    axes = [Axis("contrast", list(contrasts))]
    return Protocol("contrast_adaptation", axes, movies, [event] * len(movies), measure)


def _gains(
    past: Float[np.ndarray, "window history"], rates: Float[np.ndarray, "window cell"]
) -> Float[np.ndarray, " cell"]:
    # A model that predicts frames after its windows has no recorded last frames.
    seen = past[: len(rates)] - past[: len(rates)].mean(axis=0)
    filters = np.linalg.lstsq(seen, rates - rates.mean(axis=0), rcond=None)[0]
    norm = np.linalg.norm(filters, axis=0)
    filtered = seen @ (filters / np.where(norm > 0, norm, 1))
    gains = []
    for cell, values in enumerate(filtered.T):
        strong = values >= np.quantile(values, 0.75)
        x = values[strong] - values[strong].mean()
        gains.append(x @ rates[strong, cell] / (x @ x) if norm[cell] > 0 else 0.0)
    return np.array(gains)


def latency(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Latency coding: the delay of responses to 0.2-s flashes of a disc.

    Settings: `contrasts` (0.1, 0.2, 0.4, 0.8), `radius` (150 µm) and `place` (0, 0) of the disc.
    Returns by `contrast` and `cell` `height`, the peak above rest in Hz, and `onset` in s after the
    flash begins, when the rate is half-way from rest to its peak (interpolated; NaN where the peak
    is below 2 Hz). Both are those of the `polarity` `(cell,)`, 1 for bright and −1 for dark, that
    evokes more at the highest contrast. `rate` is by `flash`, the signed contrast. The strength is
    by how many s the onset is earlier at the highest contrast than at the lowest that has one.
    (After Gollisch and Meister 2008, Science 319: 1108.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = latency(circuit, circuit.screen, contrasts=(0.1, 0.8))
    >>> bool((found.onset[1] < found.onset[0]).all())
    True
    """
    return build(latency_protocol, model, screen, settings).run(model)


def latency_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.2, 0.4, 0.8),
    radius: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    colour: Colour = None,
) -> Protocol:
    """Bright and dark flashes of every contrast."""
    signed = [sign * contrast for sign in (1, -1) for contrast in contrasts]
    start, lit = before(model), screen.frames(0.2)
    radius = screen.length("radius", radius, 150.0)
    movies = [
        flash(screen, contrast=c, radius=radius, place=place, before=start, colour=colour)
        for c in signed
    ]

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        traces = rate.to_numpy().astype(np.float64)
        answers = traces[:, 1 : 1 + lit] - traces[:, :1]
        height = answers.max(axis=1).reshape(2, len(contrasts), -1)
        onset = np.array([[_half_way(trace) for trace in answer.T] for answer in answers])
        onset = onset.reshape(height.shape) / model.rate
        highest = int(np.argmax(contrasts))
        bright = height[0, highest] >= height[1, highest]
        chosen = np.where(bright, height[0], height[1])
        delays = np.where(bright, onset[0], onset[1])
        delays = np.where(chosen < 2, np.nan, delays)
        axes = ("contrast", "cell")
        ordered = delays[np.argsort(contrasts)]
        first = np.isfinite(ordered).argmax(axis=0)
        lowest = np.take_along_axis(ordered, first[None], axis=0)[0]
        return {
            "contrast": ("contrast", list(contrasts)),
            "onset": (axes, delays, SECONDS),
            "height": (axes, chosen, HERTZ),
            "polarity": ("cell", np.where(bright, 1, -1)),
            "strength": ("cell", lowest - ordered[-1], SECONDS),
        }

    event = [screen.frames(start)] * len(movies)
    return Protocol("latency", [Axis("flash", signed)], movies, event, measure, earlier=1)


def _half_way(answer: Float[np.ndarray, " time"]) -> float:
    """When an answer first reaches half its peak, in frames and interpolated; NaN without one."""
    half = answer.max() / 2
    if half <= 0:
        return math.nan
    above = int(np.flatnonzero(answer >= half)[0])
    low = answer[above - 1] if above else 0.0
    # The rate of a frame is reached at the end of the frame.
    return float(above + (half - low) / max(answer[above] - low, 1e-12))


def omitted_stimulus(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """The omitted-stimulus response: a regular train of flashes ends, compared with one flash.

    Settings: `period` (0.12 s), `contrast` (−1), `flashes` (12), `window` (0.5 s). Returns peak
    rates in Hz: `omitted`, in the `window` after the time of the first missing flash; `single`, at
    the same time after one flash alone; `during`, in the last period of the train. `peak_time` is
    that of `omitted`, in s after the missing flash. The strength is `omitted − single` in Hz.
    `rate` is by `shown`, "train" or "single", from one period before the event, the missing flash.
    (After Schwartz, Harris, Shrom and Berry 2007, Nature Neuroscience 10: 552.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = omitted_stimulus(circuit, circuit.screen).sel(cell="on.sustained")
    >>> bool(found.omitted > found.single > found.during)
    True
    """
    return build(omitted_stimulus_protocol, model, screen, settings).run(model)


def omitted_stimulus_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    period: float = 0.12,
    contrast: float = -1.0,
    flashes: int = 12,
    window: float = 0.5,
    colour: Colour = None,
) -> Protocol:
    """A train of flashes, and one flash."""
    every, long, start = screen.frames(period), screen.frames(window), before(model)
    after = max(1.0, window) + abs(model.ahead) / model.rate
    counts = (flashes, 1)
    movies = [
        flash_train(
            screen, flashes=count, period=period, contrast=contrast, before=start, after=after,
            colour=colour,
        )
        for count in counts
    ]  # fmt: skip
    due = [screen.frames(start) + count * every for count in counts]

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        late = rate.isel(time=slice(every, None))
        train, single = (late.sel(shown=one, drop=True) for one in ("train", "single"))
        during = rate.sel(shown="train", drop=True).isel(time=slice(0, every)).max("time")
        found = peaks(omitted=train, single=single)
        strength = train.max("time") - single.max("time")
        during, strength = (one.assign_attrs(HERTZ) for one in (during, strength))
        return {**found, "during": during, "strength": strength}

    axes = [Axis("shown", ["train", "single"])]
    return Protocol("omitted_stimulus", axes, movies, due, measure, earlier=every, count=long)


def polarity_reversal(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Polarity reversal: after a shift of the surround, cells may prefer the opposite contrast.

    Settings: `flash` (0.5), the contrast of a disc of `radius` (150 µm) at `place` (0, 0);
    `wavelength` (300 µm) and `contrast` (1) of the grating around it; `delay` (0.06 s) of the flash
    after the shift. Returns `polarity` `(surround, cell)`, `(bright − dark) / (|bright| + |dark|)`,
    from 1 for cells that prefer bright flashes to −1, after a shift and with a surround that stays;
    each is the mean rate in 0.25 s from the flash minus that without a flash, and `evoked`
    `(surround, flash, cell)` in Hz are these. The strength is half the difference of polarities:
    1 for a complete reversal, 0 for none; NaN where flashes evoke less than 0.5 Hz.
    (After Geffen, de Vries and Meister 2007, PLoS Biology 5: e65.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = polarity_reversal(circuit, circuit.screen)
    >>> found.polarity.sel(surround="still", cell=["on.sustained", "off.sustained"]).values.round(1)
    array([ 1., -1.], dtype=float32)
    """
    return build(polarity_reversal_protocol, model, screen, settings).run(model)


def polarity_reversal_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    flash: float = 0.5,
    radius: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    wavelength: float | None = None,
    contrast: float = 1.0,
    delay: float = 0.06,
    colour: Colour = None,
) -> Protocol:
    """Flashes of a disc after a shift of its surround, and without a shift."""
    require_number("flash", flash, above=0, most=1)
    start = before(model)
    signed = [flash, 0.0, -flash]
    movies = [
        shifted_surround(
            screen, shift=shift, flash=c, delay=delay, radius=radius, place=place,
            wavelength=wavelength, contrast=contrast, before=start, colour=colour,
        )
        for shift in (True, False)
        for c in signed
    ]  # fmt: skip

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        mean = rate.mean("time")
        evoked = mean - mean.sel(flash=0.0, drop=True)
        bright, dark = (evoked.sel(flash=c, drop=True) for c in (flash, -flash))
        size = abs(bright) + abs(dark)
        polarity = (bright - dark) / size.where(size > 0.5)
        still, shifted = (polarity.sel(surround=one, drop=True) for one in ("still", "shifted"))
        return {
            "polarity": polarity,
            "evoked": evoked.assign_attrs(HERTZ),
            "strength": abs(still - shifted) / 2,
        }

    axes = [Axis("surround", ["shifted", "still"]), Axis("flash", signed)]
    event = screen.frames(start) + screen.frames(delay)
    count = screen.frames(0.25)
    events = [event] * len(movies)
    return Protocol("polarity_reversal", axes, movies, events, measure, count=count)


def frequency_doubling(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Frequency doubling: a response at twice the frequency of a reversing grating.

    Settings: `frequency` (2.5 Hz, with a whole number of frames in a period), `phases` (0, 45, 90
    and 135°), `wavelength` (400 µm), `contrast` (1), `direction` (0°). Returns `first` and `second`
    `(phase, cell)`, the amplitudes in Hz at the frequency and at twice the frequency. The strength
    is the mean of `second` over phases over the largest `first`: above 1 the cell sums subunits
    that are rectified (Y cells). (After Hochstein and Shapley 1976, Journal of Physiology 262:
    265.) Raises CodeclensError for a period that is not a whole number of frames.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = frequency_doubling(circuit, circuit.screen)
    >>> bool(found.strength.sel(cell="ds.up") > found.strength.sel(cell="on.sustained"))
    True
    """
    return build(frequency_doubling_protocol, model, screen, settings).run(model)


def frequency_doubling_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    frequency: float = 2.5,
    phases: Sequence[float] = (0.0, 45.0, 90.0, 135.0),
    wavelength: float | None = None,
    contrast: float = 1.0,
    direction: float = 0.0,
    colour: Colour = None,
) -> Protocol:
    """A reversing grating in every phase."""
    require_number("frequency", frequency, above=0, most=screen.rate / 4, hint="Hz")
    period = round(screen.rate / frequency)
    if not math.isclose(period * frequency, screen.rate, rel_tol=1e-3):
        raise CodeclensError(
            f"A period of {frequency} Hz is not a whole number of frames at {screen.rate} Hz; "
            f"pass frequency={screen.rate / period:g}."
        )
    wavelength = period_of(screen, wavelength, 400.0)
    # The response is periodic once a history has passed; two periods are measured.
    passed = math.ceil((model.history + abs(model.ahead)) / period) * period
    start = before(model)
    movies = [
        reversing_grating(
            screen, phase=phase, direction=direction, wavelength=wavelength, frequency=frequency,
            contrast=contrast, before=start, colour=colour,
            duration=(passed + 2 * period + abs(model.ahead)) / screen.rate,
        )
        for phase in phases
    ]  # fmt: skip

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        spectrum = np.fft.rfft(rate.to_numpy().astype(np.float64), axis=1) * 2 / (2 * period)
        # Two periods are in the window, so that the frequency is in the second bin.
        first, second = (np.abs(spectrum[:, 2 * harmonic]) for harmonic in (1, 2))
        largest = first.max(axis=0)
        strength = second.mean(axis=0) / np.where(largest > 1e-9, largest, np.nan)
        axes = ("phase", "cell")
        return {
            "first": (axes, first, HERTZ),
            "second": (axes, second, HERTZ),
            "strength": ("cell", strength),
        }

    event = screen.frames(start) + passed
    axes = [Axis("phase", list(phases), "degrees")]
    events = [event] * len(movies)
    return Protocol("frequency_doubling", axes, movies, events, measure, count=2 * period)
