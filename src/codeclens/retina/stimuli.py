"""Stimuli: flashes, flicker, gratings, bars, moving objects and white noise.

Every stimulus takes the `colour` of a `Screen` in colour: a name, or a weight for each colour.
Lengths that are not given have their defaults in µm (see `Screen`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.retina.movies import Colour, Movie, Screen


def _require_contrast(contrast: float, what: str) -> None:
    require_number("contrast", contrast, least=-1, hint="−1 is darkness")
    if contrast == 0:
        raise CodeclensError(f"A {what} of contrast 0 is invisible; pass another contrast.")


def _require_visible(name: str, length: float, screen: Screen) -> None:
    """Raises CodeclensError for a period so long that the screen shows nearly uniform light."""
    side = max(screen.width, screen.height)
    if length > 4 * side:
        raise CodeclensError(
            f"{name} (={length:g} {screen.unit}) is more than four times the screen's larger side "
            f"of {side:g} {screen.unit}, which shows nearly uniform light; pass a shorter one."
        )


def flash(
    screen: Screen,
    *,
    contrast: float,
    duration: float = 0.2,
    radius: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    before: float = 1.5,
    after: float = 1.0,
    colour: Colour = None,
) -> Movie:
    """A flash of `contrast` for `duration` s, of the whole field or of a disc.

    A disc has a `radius` and its centre at `place` (x, y from the centre of the screen, y upwards;
    in the screen's unit). The flash begins `before` s after the first frame. Raises CodeclensError
    for a contrast of 0 or below −1, and for a disc without a pixel.

    >>> movie = flash(Screen(), contrast=0.5)
    >>> movie.frames.shape, float(movie.frames[75, 0, 0]), float(movie.frames[74, 0, 0])
    (torch.Size([135, 22, 22]), 0.5, 0.0)
    """
    _require_contrast(contrast, "flash")
    first, count = screen.frames(before), screen.frames(duration)
    light = torch.zeros(first + count + screen.frames(after))
    light[first : first + count] = contrast
    if radius is None:
        return screen.movie(light, colour)
    require_number("radius", radius, above=0, hint=f"in {screen.unit}")
    across, up = screen.places()
    disc = torch.hypot(across - place[0], up - place[1]) <= radius
    if not disc.any():
        raise CodeclensError(f"A disc of {radius} {screen.unit} at {place} covers no pixel.")
    return screen.movie(light[:, None, None] * disc, colour)


def flicker(
    screen: Screen,
    *,
    contrasts: Sequence[float],
    each: float = 10.0,
    seed: int = 0,
    colour: Colour = None,
) -> Movie:
    """Full-field Gaussian flicker whose contrast (standard deviation) steps every `each` s.

    Values are clipped to [−1, 1], so that light is not negative and the mean is kept. Raises
    CodeclensError without contrasts and for contrasts outside (0, 1].

    >>> movie = flicker(Screen(), contrasts=[0.05, 0.35], each=2.0)
    >>> [round(float(part[:, 0, 0].std()), 2) for part in movie.frames.split(100)]
    [0.05, 0.31]
    """
    if not len(contrasts) or not all(0 < contrast <= 1 for contrast in contrasts):
        raise CodeclensError(f"contrasts (={contrasts}) must be one or more numbers in (0, 1].")
    drawn = torch.randn(
        len(contrasts), screen.frames(each), generator=torch.Generator().manual_seed(seed)
    )
    scaled = drawn * torch.tensor(list(contrasts))[:, None]
    return screen.movie(scaled.clamp(-1, 1).flatten(), colour)


def grating(
    screen: Screen,
    *,
    direction: float,
    wavelength: float | None = None,
    speed: float | None = None,
    contrast: float = 1.0,
    duration: float = 3.0,
    before: float = 1.0,
    colour: Colour = None,
) -> Movie:
    """A sinusoidal grating that drifts towards `direction` (degrees; 0 right, 90 up).

    `wavelength` (400 µm) is in the screen's unit and `speed` (1 mm/s) in that unit a second;
    `contrast` is the amplitude. The grating appears `before` s after the first frame and drifts for
    `duration` s. Raises CodeclensError for a contrast outside (0, 1] and a wavelength below two
    pixels.

    >>> movie = grating(Screen(), direction=90.0)
    >>> movie.frames.shape, bool((movie.frames[60, :, 0] == movie.frames[60, :, 9]).all())
    (torch.Size([200, 22, 22]), True)
    """
    require_number("contrast", contrast, above=0, most=1)
    wavelength = period_of(screen, wavelength, 400.0)
    speed = screen.length("speed", speed, 1000.0)
    along = along_direction(screen, direction)
    times = torch.arange(screen.frames(duration), dtype=torch.float64) / screen.rate
    phase = 2 * math.pi * (along[None] - speed * times[:, None, None]) / wavelength
    still = torch.zeros(screen.frames(before), *screen.shape)
    return screen.movie(torch.cat([still, contrast * torch.sin(phase)]), colour)


def reversing_grating(
    screen: Screen,
    *,
    phase: float = 0.0,
    direction: float = 0.0,
    wavelength: float | None = None,
    frequency: float = 2.5,
    contrast: float = 1.0,
    duration: float = 3.0,
    before: float = 1.2,
    colour: Colour = None,
) -> Movie:
    """A grating that stands still and reverses its contrast sinusoidally, `frequency` in Hz.

    `phase` in degrees is that of the grating at the centre of the screen: 0 is an edge, 90 a
    stripe. `wavelength` (400 µm) is in the screen's unit. (After Hochstein and Shapley 1976,
    Journal of Physiology 262: 265.) Raises CodeclensError for a contrast outside (0, 1], a
    wavelength below two pixels, and a frequency above half the frames a second.

    >>> movie = reversing_grating(Screen(), phase=90.0)
    >>> bool((movie.frames[60:80].mean(0).abs() < 1e-6).all())
    True
    """
    require_number("contrast", contrast, above=0, most=1)
    wavelength = period_of(screen, wavelength, 400.0)
    require_number("frequency", frequency, above=0, most=screen.rate / 2, hint="Hz")
    along = along_direction(screen, direction)
    stripes = torch.sin(2 * math.pi * along / wavelength + math.radians(phase))
    times = torch.arange(screen.frames(duration), dtype=torch.float64) / screen.rate
    course = torch.sin(2 * math.pi * frequency * times)
    still = torch.zeros(screen.frames(before), *screen.shape)
    return screen.movie(torch.cat([still, contrast * course[:, None, None] * stripes]), colour)


def period_of(screen: Screen, wavelength: float | None, um: float) -> float:
    """A wavelength in the screen's unit that the screen can show, by default `um` µm."""
    found = screen.length("wavelength", wavelength, um)
    require_number("wavelength", found, least=2 * screen.pixel, hint="two pixels or more")
    _require_visible("wavelength", found, screen)
    return found


def bar(
    screen: Screen,
    *,
    direction: float,
    contrast: float = 1.0,
    width: float | None = None,
    speed: float | None = None,
    reversal: float | None = None,
    before: float = 1.2,
    after: float = 0.6,
    colour: Colour = None,
) -> Movie:
    """A bar that moves across the screen towards `direction` (degrees; 0 right, 90 up).

    `width` (200 µm) is in the screen's unit, `speed` (1 mm/s) in that unit a second. The bar enters
    `before` s after the first frame. With a `reversal`, a position along the direction from the
    centre in the screen's unit, it turns round there and leaves where it entered. Its edges are
    antialiased. Raises CodeclensError for a contrast of 0 or below −1 and for sizes that are not
    positive.

    >>> movie = bar(Screen(), direction=0.0, reversal=0.0)
    >>> place = movie.frames.sum(dim=1).argmax(dim=1)
    >>> bool(place.max() <= 11), bool(movie.frames[60 + 30].sum() > 0)
    (True, True)
    """
    _require_contrast(contrast, "bar")
    width, speed = bar_size(screen, width, speed)
    start = -bar_reach(screen, width)
    way = -2 * start if reversal is None else 2 * (reversal - start)
    if way <= 0:
        raise CodeclensError(
            f"reversal (={reversal}) must be beyond {start}, where the bar enters the screen."
        )
    times = torch.arange(screen.frames(way / speed), dtype=torch.float64) / screen.rate
    middle = start + speed * times
    if reversal is not None:
        middle = torch.minimum(middle, 2 * reversal - middle)
    empty = torch.zeros(1, *screen.shape)
    return screen.movie(
        torch.cat(
            [
                empty.expand(screen.frames(before), -1, -1),
                contrast * _covered(screen, direction, middle, width),
                empty.expand(screen.frames(after), -1, -1),
            ]
        ),
        colour,
    )


def flashed_bar(
    screen: Screen,
    *,
    direction: float,
    place: float = 0.0,
    contrast: float = 1.0,
    width: float | None = None,
    duration: float = 0.1,
    before: float = 1.2,
    after: float = 0.6,
    colour: Colour = None,
) -> Movie:
    """A bar that appears for `duration` s at one place, without motion.

    `direction` is that in which it would move, and `place` the position of its middle along it from
    the centre, in the screen's unit. Other arguments and errors are those of `bar`.

    >>> movie = flashed_bar(Screen(), direction=0.0, contrast=-1.0)
    >>> movie.frames.shape, float(movie.frames[60].sum())
    (torch.Size([95, 22, 22]), -88.0)
    """
    _require_contrast(contrast, "bar")
    width, _ = bar_size(screen, width, 1.0)
    shown = _covered(screen, direction, torch.tensor([place], dtype=torch.float64), width)
    empty = torch.zeros(1, *screen.shape)
    parts = [
        empty.expand(screen.frames(before), -1, -1),
        contrast * shown.expand(screen.frames(duration), -1, -1),
        empty.expand(screen.frames(after), -1, -1),
    ]
    return screen.movie(torch.cat(parts), colour)


def bar_size(screen: Screen, width: float | None, speed: float | None) -> tuple[float, float]:
    """The width and the speed of a bar in the screen's unit."""
    found = screen.length("width", width, 200.0), screen.length("speed", speed, 1000.0)
    for name, value in zip(("width", "speed"), found, strict=True):
        require_number(name, value, above=0)
    return found


def bar_reach(screen: Screen, width: float) -> float:
    """How far from the centre a bar of any direction is when it enters the screen."""
    return math.hypot(screen.width, screen.height) / 2 + width / 2


def _covered(
    screen: Screen, direction: float, middle: Float[Tensor, " time"], width: float
) -> Float[Tensor, "time y x"]:
    """How much of each pixel a bar covers while its middle moves."""
    along = along_direction(screen, direction)[None]
    half = screen.pixel / 2
    upper = torch.minimum(along + half, (middle + width / 2)[:, None, None])
    lower = torch.maximum(along - half, (middle - width / 2)[:, None, None])
    return (upper - lower).clamp(0, screen.pixel) / screen.pixel


def flash_train(
    screen: Screen,
    *,
    flashes: int = 12,
    period: float = 0.12,
    duration: float = 0.04,
    contrast: float = -1.0,
    before: float = 1.2,
    after: float = 1.0,
    colour: Colour = None,
) -> Movie:
    """A train of full-field flashes, one every `period` s, that ends with an omitted flash.

    The first flash begins `before` s after the first frame; `after` s follow the time of the
    omitted flash. Raises CodeclensError for a contrast of 0 or below −1, no flash, and flashes as
    long as the period.

    >>> movie = flash_train(Screen(), flashes=3)
    >>> (movie.frames[:, 0, 0] < 0).nonzero().flatten()
    tensor([60, 61, 66, 67, 72, 73])
    """
    _require_contrast(contrast, "flash")
    require_number("flashes", flashes, least=1, whole=True)
    require_number("duration", duration, above=0, below=period, hint="the period of the train")
    first, every, lit = (screen.frames(t) for t in (before, period, duration))
    light = torch.zeros(first + flashes * every + screen.frames(after))
    for number in range(flashes):
        start = first + number * every
        light[start : start + lit] = contrast
    return screen.movie(light, colour)


def moving_object(
    screen: Screen,
    *,
    motion: Literal["differential", "global", "background"],
    radius: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    wavelength: float | None = None,
    contrast: float = 1.0,
    pause: float = 0.4,
    duration: float = 20.0,
    seed: int = 0,
    colour: Colour = None,
) -> Movie:
    """A disc of grating on a background grating, both jumping about every `pause` s.

    In `"global"` motion disc and background jump together, as during eye movements; in
    `"differential"` motion each jumps at its own random times, equally often; in `"background"`
    motion the disc is still. The disc of `radius` (200 µm) at `place` (x, y from the centre, y
    upwards) has a grey ring with a width of a fifth of the radius. Lengths, also the `wavelength`
    (300 µm), are in the screen's unit. Raises CodeclensError for another motion and sizes that are
    not positive. (After Ölveczky, Baccus and Meister 2003, Nature 423: 401.)

    >>> movie = moving_object(Screen(), motion="background", duration=2.0)
    >>> bool((movie.frames[:, 11, 11] == movie.frames[0, 11, 11]).all())
    True
    """
    if motion not in (known := ("differential", "global", "background")):
        raise unknown("motion", motion, known)
    radius = screen.length("radius", radius, 200.0)
    wavelength = screen.length("wavelength", wavelength, 300.0)
    for name, value in (("radius", radius), ("wavelength", wavelength), ("pause", pause)):
        require_number(name, value, above=0)
    _require_visible("wavelength", wavelength, screen)
    require_number("contrast", contrast, above=0, most=1)
    frames = screen.frames(duration)
    source = torch.Generator().manual_seed(seed)
    paths = [_jumps(frames, pause * screen.rate, wavelength, source) for _ in range(2)]
    behind, inside = (
        paths[0],
        {"differential": paths[1], "global": paths[0]}.get(
            motion, torch.zeros(frames, dtype=torch.float64)
        ),
    )
    across, up = screen.places()
    far = torch.hypot(across - place[0], up - place[1])
    background, disc = (
        contrast * torch.sin(2 * math.pi * (across[None] - path[:, None, None]) / wavelength)
        for path in (behind, inside)
    )
    shown = torch.where((far <= radius)[None], disc, background)
    ring = (far > radius) & (far <= 1.2 * radius)
    return screen.movie(torch.where(ring[None], 0.0, shown), colour)


def shifted_surround(
    screen: Screen,
    *,
    shift: bool = True,
    flash: float = 0.0,
    delay: float = 0.06,
    duration: float = 0.1,
    radius: float | None = None,
    place: tuple[float, float] = (0.0, 0.0),
    wavelength: float | None = None,
    contrast: float = 1.0,
    before: float = 1.2,
    after: float = 0.6,
    colour: Colour = None,
) -> Movie:
    """A grating around a disc of mean light that may shift, and then a flash of the disc.

    The grating of `wavelength` (300 µm) shows from the first frame. `before` s later it shifts by
    half a period, or stays; `delay` s after that the disc of `radius` (150 µm) at `place` has the
    contrast `flash` for `duration` s. (After Geffen, de Vries and Meister 2007, PLoS Biology 5:
    e65, where the centre flickers.) Raises CodeclensError for sizes that are not positive and a
    flash below −1.

    >>> movie = shifted_surround(Screen(), flash=0.5)
    >>> shown = movie.frames
    >>> bool(torch.allclose(shown[59, 0], -shown[60, 0], atol=1e-6)), float(shown[63, 11, 11])
    (True, 0.5)
    """
    radius = screen.length("radius", radius, 150.0)
    require_number("radius", radius, above=0)
    wavelength = period_of(screen, wavelength, 300.0)
    require_number("flash", flash, least=-1, hint="−1 is darkness")
    require_number("contrast", contrast, least=0, most=1)
    first, late, lit = screen.frames(before), screen.frames(delay), screen.frames(duration)
    across, up = screen.places()
    disc = torch.hypot(across - place[0], up - place[1]) <= radius
    stripes = (contrast * torch.sin(2 * math.pi * across / wavelength)).masked_fill(disc, 0.0)
    frames = stripes.expand(first + late + lit + screen.frames(after), -1, -1).clone()
    if shift:
        frames[first:] *= -1
    frames[first + late : first + late + lit] += flash * disc
    return screen.movie(frames, colour)


def along_direction(screen: Screen, direction: float) -> Float[Tensor, "y x"]:
    across, up = screen.places()
    angle = math.radians(direction)
    return across * round(math.cos(angle), 12) + up * round(math.sin(angle), 12)


def _jumps(
    frames: int, pause: float, wavelength: float, source: torch.Generator
) -> Float[Tensor, " time"]:
    """Positions over time: jumps by a quarter to a half of a period in either direction.

    Pauses are uniform between half and one and a half of `pause` frames.
    """
    path = torch.zeros(frames, dtype=torch.float64)
    moment = pause * float(torch.rand((), generator=source))
    while moment < frames:
        size, sign, wait = torch.rand(3, generator=source, dtype=torch.float64)
        step = wavelength * (0.25 + 0.25 * size) * (1 if sign > 0.5 else -1)
        path[int(moment) :] += step
        moment += pause * (0.5 + float(wait))
    return path


def white_noise(
    duration: float,
    screen: Screen,
    *,
    kind: Literal["binary", "gaussian"] = "binary",
    contrast: float = 1.0,
    check: int = 1,
    every: int = 1,
    seed: int = 0,
    colour: Colour = None,
) -> Movie:
    """Independent checks of `check` pixels for `duration` s, drawn again `every` n frames.

    Values are −`contrast` or `contrast` with equal probability, or Gaussian with that standard
    deviation, clipped to [−1, 1]. With a `check` of the screen's size the whole field flickers. On
    a screen in colour each colour is drawn by itself; with a `colour` all have the same checks,
    multiplied by its weights. Raises CodeclensError for a contrast outside (0, 1], `check` or
    `every` below 1, and another kind.

    >>> movie = white_noise(2.0, Screen(), contrast=0.5, seed=1)
    >>> movie.frames.shape, movie.frames.unique()
    (torch.Size([100, 22, 22]), tensor([-0.5000,  0.5000]))
    """
    if kind not in ("binary", "gaussian"):
        raise unknown("kind of white noise", kind, ("binary", "gaussian"))
    require_number("contrast", contrast, above=0, most=1)
    require_number("check", check, least=1, whole=True, hint="pixels")
    require_number("every", every, least=1, whole=True, hint="frames")
    frames = screen.frames(duration)
    height, width = screen.shape
    checks = math.ceil(height / check), math.ceil(width / check)
    apart = (len(screen.colours),) if screen.colours and colour is None else ()
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(math.ceil(frames / every), *apart, *checks, generator=source)
    values = contrast * (drawn.sign() if kind == "binary" else drawn)
    wide = values.clamp(-1, 1).repeat_interleave(every, dim=0)[:frames]
    wide = wide.repeat_interleave(check, dim=-2).repeat_interleave(check, dim=-1)
    return screen.movie(wide[..., :height, :width], colour)
