"""Physiology: what a retina does with the stimuli of the classical experiments, in numbers.

Every experiment takes a `ResponseModel` of contrasts from the mean light and the `Screen` that it
looks at, and gives one number or more for each cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie, Screen
from codeclens.retina.response import ResponseModel
from codeclens.retina.stimuli import bar, flash, flash_train, flicker, grating, moving_object


@dataclass(frozen=True, eq=False)
class DirectionSelectivity:
    """Mean rates `(directions, cells)` in Hz to gratings, and an index for each cell.

    `index` is `|Σ r e^{iθ}| / Σ r`, 0 to 1, and 0 where no direction evokes 1 Hz; `preferred` is
    the angle of that sum in degrees.
    """

    directions: Sequence[float]
    rates: Float[Tensor, "direction cell"]
    index: Float[Tensor, " cell"]
    preferred: Float[Tensor, " cell"]


@dataclass(frozen=True, eq=False)
class ObjectMotion:
    """Mean rates `(cells,)` in Hz to differential, global and background motion.

    `index` is `(differential − global) / (differential + global)`, −1 to 1.
    """

    differential: Float[Tensor, " cell"]
    together: Float[Tensor, " cell"]
    background: Float[Tensor, " cell"]
    index: Float[Tensor, " cell"]


@dataclass(frozen=True, eq=False)
class ContrastAdaptation:
    """Gains `(contrasts, cells)` in Hz per unit of contrast, for full-field flicker."""

    contrasts: Sequence[float]
    gain: Float[Tensor, "contrast cell"]


@dataclass(frozen=True, eq=False)
class Latency:
    """Latencies `(contrasts, cells)` in s after a flash begins, of its better polarity.

    `onset` is when the rate is half-way from rest to its peak, interpolated; `height` `(contrasts,
    cells)` is that peak above rest, in Hz. Where it is below 2 Hz there is no latency: NaN.
    """

    contrasts: Sequence[float]
    onset: Float[Tensor, "contrast cell"]
    height: Float[Tensor, "contrast cell"]


@dataclass(frozen=True, eq=False)
class OmittedStimulus:
    """Peak rates `(cells,)` in Hz after the flash that did not come.

    `omitted` after a train, `single` at the same time after one flash alone, `during` in the last
    period of the train; `time` is when the peak comes, in s after the omitted flash was due.
    """

    omitted: Float[Tensor, " cell"]
    single: Float[Tensor, " cell"]
    during: Float[Tensor, " cell"]
    time: Float[Tensor, " cell"]


@dataclass(frozen=True, eq=False)
class MotionReversal:
    """Peak rates `(cells,)` in Hz, averaged over places, after a bar turned and while it went on.

    `reversed` is the peak of the mean over places of reversal, in the 0.3 s after it, `smooth` the
    same of bars that were at these places at that time and went on; `time` is when the first is
    reached, in s.
    """

    reversed: Float[Tensor, " cell"]
    smooth: Float[Tensor, " cell"]
    time: Float[Tensor, " cell"]


def direction_selectivity(
    model: ResponseModel,
    screen: Screen,
    *,
    directions: int = 8,
    wavelength: float = 400.0,
    speed: float = 1000.0,
) -> DirectionSelectivity:
    """Directions that cells prefer, by sinusoidal gratings that drift in even steps of direction.

    Raises CodeclensError for fewer than three directions.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = direction_selectivity(circuit, circuit.screen, directions=4)
    >>> circuit.cells[int(found.index.argmax())].startswith("ds.")
    True
    """
    if directions < 3:
        raise CodeclensError(f"{directions} directions give no index; show 3 or more.")
    shown = [360 * number / directions for number in range(directions)]
    rates = torch.stack(
        [_after(model, _grating(screen, way, wavelength, speed), 1.0).mean(dim=0) for way in shown]
    )
    angles = torch.tensor([math.radians(way) for way in shown], dtype=rates.dtype)
    x, y = (rates.T @ part for part in (angles.cos(), angles.sin()))
    silent = rates.amax(dim=0) < 1
    index = (torch.hypot(x, y) / rates.sum(dim=0)).masked_fill(silent, 0)
    return DirectionSelectivity(shown, rates, index, torch.rad2deg(torch.atan2(y, x)) % 360)


def object_motion(
    model: ResponseModel,
    screen: Screen,
    *,
    place: tuple[float, float] = (0.0, 0.0),
    duration: float = 40.0,
    seed: int = 0,
) -> ObjectMotion:
    """Whether cells at `place` answer to an object that moves otherwise than its background.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = object_motion(circuit, circuit.screen, duration=10.0)
    >>> circuit.cells[int(found.index.argmax())]
    'oms'
    """
    differential, together, background = (
        model.respond(
            moving_object(screen, motion=motion, place=place, duration=duration, seed=seed)
        ).mean(dim=0)
        for motion in ("differential", "global", "background")
    )
    index = (differential - together) / (differential + together)
    return ObjectMotion(differential, together, background, index)


def contrast_adaptation(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.35),
    duration: float = 60.0,
    seed: int = 0,
) -> ContrastAdaptation:
    """The gain of cells at several contrasts of full-field flicker.

    At each contrast a linear filter of the model's history is fitted to the rate by least squares
    and scaled to norm 1; the gain is the slope of the rate against the filtered contrast, in the
    quarter of frames where that is strongest. Rectification alone makes it rise with contrast;
    adaptation makes it fall. The first 3 s at each contrast are left out.
    (After Baccus and Meister 2002, Neuron 36: 909.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit(size=8)
    >>> found = contrast_adaptation(circuit, circuit.screen, duration=20.0)
    >>> bool((found.gain[1] < found.gain[0]).all())
    True
    """
    movies = [flicker(screen, contrasts=[c], each=duration, seed=seed) for c in contrasts]
    return ContrastAdaptation(contrasts, torch.stack([_gain(model, movie) for movie in movies]))


def latency(
    model: ResponseModel,
    screen: Screen,
    *,
    contrasts: Sequence[float] = (0.1, 0.2, 0.4, 0.8),
    radius: float = 150.0,
    place: tuple[float, float] = (0.0, 0.0),
) -> Latency:
    """How soon cells answer to flashes of a disc at `place`, 0.2 s long, bright or dark.

    For each cell the polarity counts that drives it more at the highest contrast, while it lasts.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = latency(circuit, circuit.screen, contrasts=(0.1, 0.8))
    >>> bool((found.onset[1] < found.onset[0]).all())
    True
    """
    bright, dark = (
        [_flashed(model, screen, sign * contrast, radius, place) for contrast in contrasts]
        for sign in (1, -1)
    )
    better = bright[-1][1] >= dark[-1][1]
    onset, height = (
        torch.stack(
            [torch.where(better, b[part], d[part]) for b, d in zip(bright, dark, strict=True)]
        )
        for part in (0, 1)
    )
    return Latency(contrasts, onset.masked_fill(height < 2, torch.nan), height)


def omitted_stimulus(
    model: ResponseModel,
    screen: Screen,
    *,
    period: float = 0.12,
    contrast: float = -1.0,
    flashes: int = 12,
    window: float = 0.5,
) -> OmittedStimulus:
    """What follows a regular train of flashes that ends, against a single flash.

    (After Schwartz, Harris, Shrom and Berry 2007, Nature Neuroscience 10: 552.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = omitted_stimulus(circuit, circuit.screen)
    >>> cell = circuit.cells.index("on.sustained")
    >>> bool(found.omitted[cell] > found.single[cell] > found.during[cell])
    True
    """
    every, long = screen.frames(period), screen.frames(window)
    answers = []
    for count in (flashes, 1):
        movie = flash_train(
            screen, flashes=count, period=period, contrast=contrast, before=_before(model),
            after=max(1.0, window),
        )  # fmt: skip
        rates = model.respond(movie)
        due = screen.frames(_before(model)) + count * every - model.history + 1
        answers.append((rates[due : due + long], rates[due - every : due]))
    omitted, when = answers[0][0].max(dim=0)
    during = answers[0][1].amax(dim=0)
    return OmittedStimulus(
        omitted, answers[1][0].amax(dim=0), during, when.to(omitted) / screen.rate
    )


def motion_reversal(
    model: ResponseModel,
    screen: Screen,
    *,
    direction: float = 0.0,
    contrast: float = -1.0,
    speed: float = 500.0,
    places: Sequence[float] = tuple(range(-400, 401, 50)),
) -> MotionReversal:
    """What a cell answers when a bar turns round, averaged over `places` along its way.

    Places where one bar turns around one cell stand for the cells of a population around the place
    where it turns: while it goes on, their mean rate is steady.
    (After Schwartz, Taylor, Fisher, Harris and Berry 2007, Neuron 55: 958.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = motion_reversal(circuit, circuit.screen)
    >>> cell = circuit.cells.index("off.transient")
    >>> bool(found.reversed[cell] > 2 * found.smooth[cell])
    True
    """
    long, before = screen.frames(0.3), _before(model)
    turned: list[Tensor] = []
    smooth: list[Tensor] = []
    for place in places:
        for reversal, found in ((place, turned), (None, smooth)):
            movie = bar(
                screen, direction=direction, contrast=contrast, speed=speed, reversal=reversal,
                before=before,
            )  # fmt: skip
            # Half-way of a bar that turns at this place is when it is there.
            way = bar(screen, direction=direction, speed=speed, reversal=place, before=before)
            moving = len(way) - screen.frames(before) - screen.frames(0.6)
            there = screen.frames(before) + moving // 2 - model.history + 1
            found.append(model.respond(movie)[there : there + long])
    peak, when = torch.stack(turned).mean(dim=0).max(dim=0)
    return MotionReversal(
        peak, torch.stack(smooth).mean(dim=0).amax(dim=0), when.to(peak) / screen.rate
    )


def _before(model: ResponseModel) -> float:
    """Mean light that fills the history of a model, and a little more, in s."""
    return (model.history + 5) / model.rate


def _grating(screen: Screen, way: float, wavelength: float, speed: float) -> Movie:
    return grating(screen, direction=way, wavelength=wavelength, speed=speed)


def _after(model: ResponseModel, movie: Movie, start: float) -> Float[Tensor, "window cell"]:
    """Rates whose whole history lies after `start` s."""
    return model.respond(movie.between(start, movie.duration))


def _gain(model: ResponseModel, movie: Movie) -> Float[Tensor, " cell"]:
    rates = model.respond(movie)
    skipped = round(3 * model.rate)
    past = movie.windows(model.history)[:, :, 0, 0].to(rates)[skipped:]
    rates = rates[skipped:]
    seen = past - past.mean(dim=0)
    filters = torch.linalg.lstsq(seen.double(), (rates - rates.mean(dim=0)).double()).solution
    filtered = seen.double() @ (filters / filters.norm(dim=0))
    gains = []
    for cell in range(rates.shape[1]):
        strong = filtered[:, cell] >= filtered[:, cell].quantile(0.75)
        x, y = filtered[strong, cell], rates[strong, cell].double()
        x = x - x.mean()
        gains.append((x @ y) / (x @ x))
    return torch.stack(gains).to(rates)


def _flashed(
    model: ResponseModel,
    screen: Screen,
    contrast: float,
    radius: float,
    place: tuple[float, float],
) -> tuple[Float[Tensor, " cell"], Float[Tensor, " cell"]]:
    """Half-way to the peak after a flash began, in s, and the height of the peak in Hz."""
    before = _before(model)
    movie = flash(screen, contrast=contrast, radius=radius, place=place, before=before)
    rates = model.respond(movie)
    first = round(before * model.rate) - model.history + 1
    rest = rates[first - 1]
    answer = rates[first : first + round(0.2 * model.rate)] - rest
    height = answer.amax(dim=0)
    onsets = []
    for cell, peak in enumerate(height):
        if peak <= 0:
            onsets.append(torch.full_like(peak, torch.nan))
            continue
        above = int((answer[:, cell] >= peak / 2).nonzero()[0])
        low = answer[above - 1, cell] if above else torch.zeros_like(peak)
        share = (peak / 2 - low) / (answer[above, cell] - low).clamp(min=1e-12)
        # A rate belongs to the end of its frame.
        onsets.append((above + share) / model.rate)
    return torch.stack(onsets), height
