"""Motion: the responses of a retina to gratings, objects and bars that move.

What experiments take and return is said in `physiology`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.errors import require_number
from codeclens.retina.movies import Colour, Movie, Screen
from codeclens.retina.protocols import HERTZ, SECONDS, Axis, Protocol, before, build, peaks
from codeclens.retina.response import ResponseModel
from codeclens.retina.stimuli import (
    bar,
    bar_reach,
    bar_size,
    flashed_bar,
    grating,
    moving_object,
)

if TYPE_CHECKING:
    import xarray


def direction_selectivity(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Direction selectivity, from sinusoidal gratings that drift in evenly spaced directions.

    Settings: `directions` (8), `wavelength` (400 µm), `speed` (1 mm/s). Returns `mean_rate`
    `(direction, cell)` in Hz; `index`, which is also the strength, `|Σ r e^{iθ}| / Σ r` from 0 to
    1, which is 0 where no direction evokes 1 Hz; and `preferred`, the angle of that sum in degrees.
    The event is the first frame with a whole history of drift. Raises CodeclensError for fewer than
    three directions.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = direction_selectivity(circuit, circuit.screen, directions=4)
    >>> found["index"].idxmax("cell").item().startswith("ds.")
    True
    """
    return build(direction_selectivity_protocol, model, screen, settings).run(model)


def direction_selectivity_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    directions: int = 8,
    wavelength: float | None = None,
    speed: float | None = None,
    colour: Colour = None,
) -> Protocol:
    """Gratings in every direction."""
    require_number("directions", directions, least=3, whole=True)
    ways = [360 * number / directions for number in range(directions)]
    movies = [
        grating(
            screen, direction=way, wavelength=wavelength, speed=speed, before=1.0, colour=colour
        )
        for way in ways
    ]
    event = screen.frames(1.0) + model.history - 1 - model.ahead

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        mean = rate.mean("time")
        angles = np.deg2rad(rate.direction)
        x, y = ((mean * part).sum("direction") for part in (np.cos(angles), np.sin(angles)))
        index = np.hypot(x, y) / mean.sum("direction")
        index = index.where(mean.max("direction") >= 1, 0)
        preferred = np.rad2deg(np.arctan2(y, x)) % 360
        return {
            "mean_rate": mean.assign_attrs(HERTZ),
            "index": index,
            "preferred": preferred.assign_attrs(units="degrees"),
            "strength": index,
        }

    axes = [Axis("direction", ways, "degrees")]
    return Protocol("direction_selectivity", axes, movies, [event] * len(movies), measure)


def object_motion(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Object-motion sensitivity: an object that moves with or unlike its background.

    Settings: `place` (0, 0) of the object, `duration` (40 s), `seed`. Returns `mean_rate`
    `(motion, cell)` in Hz for differential, global and background motion, and `index`, which is
    also the strength: `(differential − global) / (differential + global)`, from −1 to 1.

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = object_motion(circuit, circuit.screen, duration=10.0)
    >>> found["index"].idxmax("cell").item()
    'oms'
    """
    return build(object_motion_protocol, model, screen, settings).run(model)


def object_motion_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    place: tuple[float, float] = (0.0, 0.0),
    duration: float = 40.0,
    seed: int = 0,
    colour: Colour = None,
) -> Protocol:
    """A disc that moves with, without and unlike its background."""
    motions = ["differential", "global", "background"]
    movies = [
        moving_object(
            screen,
            motion=motion,  # type: ignore[arg-type]
            place=place,
            duration=duration,
            seed=seed,
            colour=colour,
        )
        for motion in motions
    ]

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        mean = rate.mean("time")
        apart, together = (
            mean.sel(motion=motion, drop=True) for motion in ("differential", "global")
        )
        index = (apart - together) / (apart + together)
        return {"mean_rate": mean.assign_attrs(HERTZ), "index": index, "strength": index}

    event = model.history - 1 - model.ahead
    return Protocol("object_motion", [Axis("motion", motions)], movies, [event] * 3, measure)


def motion_reversal(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """The response to the reversal of a moving bar, averaged over the `places` of reversal.

    Settings: `direction` (0°), `contrast` (−1), `speed` (0.5 mm/s) and `width` (200 µm) of the bar,
    `places` (−400 to 400 µm). A bar that reverses at several places relative to one cell stands for
    a population of cells around the place of reversal: during smooth motion their mean rate is
    steady.

    Returns peaks in Hz of the mean rate over places in the 0.3 s after the event: `reversed`, after
    reversal, and `smooth`, of bars that pass the same place at the same time and move on.
    `peak_time` is that of `reversed`, in s; the strength is `reversed − smooth`. `rate` is by
    `motion`, "reversed" or "smooth", and `place` in the screen's unit.
    (After Schwartz, Taylor, Fisher, Harris and Berry 2007, Neuron 55: 958.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = motion_reversal(circuit, circuit.screen).sel(cell="off.transient")
    >>> bool(found.reversed > 2 * found.smooth)
    True
    """
    return build(motion_reversal_protocol, model, screen, settings).run(model)


def motion_reversal_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    direction: float = 0.0,
    contrast: float = -1.0,
    speed: float | None = None,
    width: float | None = None,
    places: Sequence[float] | None = None,
    colour: Colour = None,
) -> Protocol:
    """Bars that turn round at every place, and bars that move on."""
    start = before(model)
    speed = screen.length("speed", speed, 500.0)
    width, _ = bar_size(screen, width, speed)
    step = screen.length("places", None, 50.0) if places is None else 0.0
    where = [step * number for number in range(-8, 9)] if places is None else list(places)
    movies: list[Movie] = []
    events: list[int] = []
    for kind in ("reversed", "smooth"):
        for place in where:
            way = bar(
                screen, direction=direction, contrast=contrast, speed=speed, reversal=place,
                width=width, before=start, colour=colour,
            )  # fmt: skip
            # A bar that reverses at a place is there half-way through its motion.
            moving = len(way) - screen.frames(start) - screen.frames(0.6)
            events.append(screen.frames(start) + moving // 2)
            movies.append(
                way
                if kind == "reversed"
                else bar(
                    screen, direction=direction, contrast=contrast, speed=speed, width=width,
                    before=start, colour=colour,
                )
            )  # fmt: skip

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        mean = rate.mean("place")
        turned, smooth = (mean.sel(motion=one, drop=True) for one in ("reversed", "smooth"))
        strength = (turned.max("time") - smooth.max("time")).assign_attrs(HERTZ)
        return {**peaks(reversed=turned, smooth=smooth), "strength": strength}

    axes = [Axis("motion", ["reversed", "smooth"]), Axis("place", where, screen.unit)]
    count = screen.frames(0.3)
    return Protocol("motion_reversal", axes, movies, events, measure, count=count)


def motion_anticipation(model: ResponseModel, screen: Screen, **settings: Any) -> xarray.Dataset:
    """Motion anticipation: the response to a moving bar is early, compared with a flashed one.

    Settings: `direction` (0°), `contrast` (−1), `speed` (0.5 mm/s) and `width` (200 µm) of the bar,
    `place` (0, 0) of the cells. The event is the moment when the middle of the bar is at the place,
    or the middle of a flash of the bar there (about 0.06 s). Returns `moving_time` and
    `flashed_time` in s after the event, the centres of the responses above half their height (NaN
    where that is less than 2 Hz above rest); `lead`, how far the cells that respond are ahead of
    the middle of the bar in the direction of motion, in the screen's unit (negative: behind it);
    and the strength, by how many s the response to the moving bar is earlier: 0 for a linear cell.
    `rate` is by `shown`, "moving" or "flashed". Choose the `contrast` that a cell prefers: with the
    other one it responds to the edge that leaves.
    (After Berry, Brivanlou, Jordan and Meister 1999, Nature 398: 334.)

    >>> from codeclens.retina import Circuit
    >>> circuit = Circuit()
    >>> found = motion_anticipation(circuit, circuit.screen).sel(cell="off.transient")
    >>> bool(found.moving_time < found.flashed_time), bool(found.lead > 0)
    (True, True)
    """
    return build(motion_anticipation_protocol, model, screen, settings).run(model)


def motion_anticipation_protocol(
    model: ResponseModel,
    screen: Screen,
    *,
    direction: float = 0.0,
    contrast: float = -1.0,
    speed: float | None = None,
    width: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    colour: Colour = None,
) -> Protocol:
    """A bar that moves past the place, and one that is flashed there."""
    start = before(model)
    speed = screen.length("speed", speed, 500.0)
    width, _ = bar_size(screen, width, speed)
    angle = math.radians(direction)
    there = place[0] * math.cos(angle) + place[1] * math.sin(angle)
    reach = bar_reach(screen, width)
    arrives = screen.frames(start) + round((there + reach) / speed * screen.rate)
    # An odd number of frames has a middle one.
    lit = 2 * round(0.03 * screen.rate) + 1
    shared: dict[str, Any] = {
        "direction": direction, "contrast": contrast, "width": width, "colour": colour
    }  # fmt: skip
    # Enough film after the bar, wherever on its way the place is.
    movies = [
        bar(screen, speed=speed, before=start, after=1.0, **shared),
        flashed_bar(
            screen, place=there, duration=lit / screen.rate, after=1.0,
            before=(arrives - lit // 2) / screen.rate, **shared,
        ),
    ]  # fmt: skip
    # The bar has been near for as long as its width takes to pass.
    earlier = min(arrives - screen.frames(start), math.ceil(2 * width / speed * screen.rate))

    def measure(rate: xarray.DataArray) -> dict[str, Any]:
        # The bar is far away in the first frame, or has not been flashed yet.
        answer = rate - rate.isel(time=0)
        height = answer.max("time")
        above = answer.where(answer >= height / 2, 0)
        middle = (above * rate.time).sum("time") / above.sum("time")
        peak = middle.where(height >= 2)
        moving, flashed = (peak.sel(shown=one, drop=True) for one in ("moving", "flashed"))
        return {
            "moving_time": moving.assign_attrs(SECONDS),
            "flashed_time": flashed.assign_attrs(SECONDS),
            "lead": (-moving * speed).assign_attrs(units=screen.unit),
            "strength": (flashed - moving).assign_attrs(SECONDS),
        }

    axes = [Axis("shown", ["moving", "flashed"])]
    count = screen.frames(0.5)
    return Protocol(
        "motion_anticipation", axes, movies, [arrives] * 2, measure, earlier=earlier, count=count
    )
