"""Stimuli: flashes, flicker, gratings, bars, moving objects, white noise and natural movies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.retina.movies import Movie, Screen
from codeclens.zoo.photographs import demo_photographs


def _require_contrast(contrast: float, what: str) -> None:
    require_number("contrast", contrast, least=-1, hint="−1 is darkness")
    if contrast == 0:
        raise CodeclensError(f"A {what} of contrast 0 is invisible; pass another contrast.")


def _require_visible(name: str, length: float, screen: Screen) -> None:
    """Raises CodeclensError for a period so long that the screen shows nearly uniform light."""
    if length > 4 * screen.width:
        raise CodeclensError(
            f"{name} (={length:g} {screen.unit}) is more than four times the screen's width of "
            f"{screen.width:g} {screen.unit}, which shows nearly uniform light; pass a shorter one."
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
        return screen.movie(light)
    across, up = screen.places()
    disc = torch.hypot(across - place[0], up - place[1]) <= radius
    if not disc.any():
        raise CodeclensError(f"A disc of {radius} {screen.unit} at {place} covers no pixel.")
    return screen.movie(light[:, None, None] * disc)


def flicker(screen: Screen, *, contrasts: list[float], each: float = 10.0, seed: int = 0) -> Movie:
    """Full-field Gaussian flicker whose contrast (standard deviation) steps every `each` s.

    Values are clipped to [−1, 1], so that light is not negative and the mean is kept. Raises
    CodeclensError without contrasts and for contrasts outside (0, 1].

    >>> movie = flicker(Screen(), contrasts=[0.05, 0.35], each=2.0)
    >>> [round(float(part[:, 0, 0].std()), 2) for part in movie.frames.split(100)]
    [0.05, 0.31]
    """
    if not contrasts or not all(0 < contrast <= 1 for contrast in contrasts):
        raise CodeclensError(f"contrasts (={contrasts}) must be one or more numbers in (0, 1].")
    drawn = torch.randn(
        len(contrasts), screen.frames(each), generator=torch.Generator().manual_seed(seed)
    )
    return screen.movie((drawn * torch.tensor(contrasts)[:, None]).clamp(-1, 1).flatten())


def grating(
    screen: Screen,
    *,
    direction: float,
    wavelength: float = 400.0,
    speed: float = 1000.0,
    contrast: float = 1.0,
    duration: float = 3.0,
    before: float = 1.0,
) -> Movie:
    """A sinusoidal grating that drifts towards `direction` (degrees; 0 right, 90 up).

    `wavelength` is in the screen's unit and `speed` in that unit a second; `contrast` is the
    amplitude. The grating appears `before` s after the first frame and drifts for `duration` s.
    Raises CodeclensError for a contrast outside (0, 1] and a wavelength below two pixels.

    >>> movie = grating(Screen(), direction=90.0)
    >>> movie.frames.shape, bool((movie.frames[60, :, 0] == movie.frames[60, :, 9]).all())
    (torch.Size([200, 22, 22]), True)
    """
    require_number("contrast", contrast, above=0, most=1)
    require_number("wavelength", wavelength, least=2 * screen.pixel, hint="two pixels or more")
    _require_visible("wavelength", wavelength, screen)
    along = _along(screen, direction)
    times = torch.arange(screen.frames(duration), dtype=torch.float64) / screen.rate
    phase = 2 * math.pi * (along[None] - speed * times[:, None, None]) / wavelength
    still = torch.zeros(screen.frames(before), screen.size, screen.size)
    return screen.movie(torch.cat([still, contrast * torch.sin(phase)]))


def bar(
    screen: Screen,
    *,
    direction: float,
    contrast: float = 1.0,
    width: float = 200.0,
    speed: float = 1000.0,
    reversal: float | None = None,
    before: float = 1.2,
    after: float = 0.6,
) -> Movie:
    """A bar that moves across the screen towards `direction` (degrees; 0 right, 90 up).

    `width` is in the screen's unit, `speed` in that unit a second. The bar enters `before` s after
    the first frame. With a `reversal`, a position along the direction from the centre in the
    screen's unit, it turns round there and leaves where it entered. Its edges are antialiased.
    Raises CodeclensError for a contrast of 0 or below −1 and for sizes that are not positive.

    >>> movie = bar(Screen(), direction=0.0, reversal=0.0)
    >>> place = movie.frames.sum(dim=1).argmax(dim=1)
    >>> bool(place.max() <= 11), bool(movie.frames[60 + 30].sum() > 0)
    (True, True)
    """
    _require_contrast(contrast, "bar")
    require_number("width", width, above=0)
    require_number("speed", speed, above=0)
    start = -(screen.width * math.sqrt(0.5) + width / 2)
    way = -2 * start if reversal is None else 2 * (reversal - start)
    if way <= 0:
        raise CodeclensError(
            f"reversal (={reversal}) must be beyond {start}, where the bar enters the screen."
        )
    times = torch.arange(screen.frames(way / speed), dtype=torch.float64) / screen.rate
    middle = start + speed * times
    if reversal is not None:
        middle = torch.minimum(middle, 2 * reversal - middle)
    along = _along(screen, direction)[None]
    half = screen.pixel / 2
    upper = torch.minimum(along + half, (middle + width / 2)[:, None, None])
    lower = torch.maximum(along - half, (middle - width / 2)[:, None, None])
    covered = (upper - lower).clamp(0, screen.pixel) / screen.pixel
    empty = torch.zeros(1, screen.size, screen.size)
    return screen.movie(
        torch.cat(
            [
                empty.expand(screen.frames(before), -1, -1),
                contrast * covered,
                empty.expand(screen.frames(after), -1, -1),
            ]
        )
    )


def flash_train(
    screen: Screen,
    *,
    flashes: int = 12,
    period: float = 0.12,
    duration: float = 0.04,
    contrast: float = -1.0,
    before: float = 1.2,
    after: float = 1.0,
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
    return screen.movie(light)


def moving_object(
    screen: Screen,
    *,
    motion: Literal["differential", "global", "background"],
    radius: float = 200.0,
    place: tuple[float, float] = (0.0, 0.0),
    wavelength: float = 300.0,
    contrast: float = 1.0,
    pause: float = 0.4,
    duration: float = 20.0,
    seed: int = 0,
) -> Movie:
    """A disc of grating on a background grating, both jumping about every `pause` s.

    In `"global"` motion disc and background jump together, as during eye movements; in
    `"differential"` motion each jumps at its own random times, equally often; in `"background"`
    motion the disc is still. The disc of `radius` at `place` (x, y from the centre, y upwards) has
    a grey ring with a width of a fifth of the radius. Lengths are in the screen's unit. Raises
    CodeclensError for another motion and sizes that are not positive. (After Ölveczky, Baccus and
    Meister 2003, Nature 423: 401.)

    >>> movie = moving_object(Screen(), motion="background", duration=2.0)
    >>> bool((movie.frames[:, 11, 11] == movie.frames[0, 11, 11]).all())
    True
    """
    if motion not in (known := ("differential", "global", "background")):
        raise unknown("motion", motion, known)
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
    return screen.movie(torch.where(((far > radius) & (far <= 1.2 * radius))[None], 0.0, shown))


def _along(screen: Screen, direction: float) -> Float[Tensor, "y x"]:
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
) -> Movie:
    """Independent checks of `check` pixels for `duration` s, drawn again `every` n frames.

    Values are −`contrast` or `contrast` with equal probability, or Gaussian with that standard
    deviation, clipped to [−1, 1]. With a `check` of the screen's size the whole field flickers.
    Raises CodeclensError for a contrast outside (0, 1], `check` or `every` below 1, and another
    kind.

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
    checks = math.ceil(screen.size / check)
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(math.ceil(frames / every), checks, checks, generator=source)
    values = contrast * (drawn.sign() if kind == "binary" else drawn)
    wide = values.clamp(-1, 1).repeat_interleave(every, dim=0)[:frames]
    wide = wide.repeat_interleave(check, dim=1).repeat_interleave(check, dim=2)
    return screen.movie(wide[:, : screen.size, : screen.size])


# The largest contrast: photographs have brighter highlights than screens can show.
BRIGHTEST = 3.0


@lru_cache(maxsize=1)
def photographs() -> dict[str, Float[Tensor, "_ _"]]:
    """The photographs of scikit-image and scikit-learn, as contrast from their mean light.

    Pixels are converted to linear light (Rec. 709 weights), divided by their mean, reduced by 1 and
    clipped at `BRIGHTEST`. Nothing is downloaded. Raises CodeclensError where scikit-image or a
    photograph is not installed.

    >>> pictures = photographs()
    >>> sorted(pictures)[:3], pictures["coffee"].shape
    (['astronaut', 'camera', 'chelsea'], torch.Size([400, 600]))
    """
    pictures = dict(demo_photographs())
    folder = files("sklearn") / "datasets" / "images"
    for name in ("china", "flower"):
        path = folder / f"{name}.jpg"
        if not path.is_file():
            raise CodeclensError(f"scikit-learn has no photograph {name}.jpg; reinstall it.")
        with path.open("rb") as stream, Image.open(stream) as image:
            pictures[name] = image.convert("RGB")
    return {name: _contrast(image) for name, image in pictures.items()}


def _contrast(image: Image.Image) -> Float[Tensor, "y x"]:
    width, height = image.size
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    colours = values.reshape(height, width, 3).double() / 255
    light = torch.where(
        colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4
    ) @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
    return (light / light.mean() - 1).clamp(max=BRIGHTEST).float()


def natural_movie(
    duration: float,
    screen: Screen,
    *,
    names: Sequence[str] | None = None,
    fixation: float = 1.0,
    jitter: float = 15.0,
    zoom: float = 2.0,
    objects: float = 0.5,
    radius: float = 250.0,
    seed: int = 0,
) -> Movie:
    """Photographs seen through simulated eye movements, in part with a moving object.

    Every `fixation` s the eye jumps to a random position of a random photograph; between jumps it
    follows a random walk with a standard deviation of `jitter` (in the screen's unit) a frame in
    each direction. In a share `objects` of the fixations a disc of `radius` in the centre shows
    another photograph with its own random walk: differential motion. `zoom` pixels of a photograph
    make one of the screen. Values are contrasts from each photograph's mean light, from −1 to
    `BRIGHTEST`. `names` selects photographs (all by default), so that films to fit on and to test
    on can differ. Raises CodeclensError for an unknown photograph, a screen that is too large for
    one, and times and sizes that are not positive.

    >>> movie = natural_movie(3.0, Screen(), names=["coffee", "rocket"], seed=3)
    >>> movie.frames.shape, bool(movie.frames.min() >= -1)
    (torch.Size([150, 22, 22]), True)
    """
    for name, value in (("fixation", fixation), ("zoom", zoom), ("radius", radius)):
        require_number(name, value, above=0)
    require_number("jitter", jitter, least=0)
    require_number("objects", objects, least=0, most=1, hint="a share of the fixations")
    pictures = _zoomed(names, screen, zoom)
    source = torch.Generator().manual_seed(seed)
    count, each = screen.frames(duration), screen.frames(fixation)
    across, up = screen.places()
    disc = (torch.hypot(across, up) <= radius)[None]
    parts = []
    for _ in range(0, count, each):
        shown = _walk(pictures, screen, each, jitter, source)
        other = _walk(pictures, screen, each, jitter, source)
        with_object = float(torch.rand((), generator=source)) < objects
        parts.append(torch.where(disc, other, shown) if with_object else shown)
    return screen.movie(torch.cat(parts)[:count])


def _zoomed(names: Sequence[str] | None, screen: Screen, zoom: float) -> list[Float[Tensor, "_ _"]]:
    known = photographs()
    if names is not None and not names:
        raise CodeclensError(f"names is empty; photographs are {', '.join(sorted(known))}.")
    for name in names or ():
        if name not in known:
            raise unknown("photograph", name, known)
    found = []
    for name in names or sorted(known):
        picture = known[name][None, None]
        size = [round(side / zoom) for side in picture.shape[2:]]
        if min(size) < screen.size + 4:
            raise CodeclensError(
                f"Photograph {name} has {size[0]} × {size[1]} pixels with zoom={zoom}, too few for "
                f"a screen of {screen.size}; pass a smaller zoom."
            )
        smaller = F.interpolate(picture, size=size, mode="bilinear", antialias=True)
        found.append(smaller[0, 0])
    return found


def _walk(
    pictures: Sequence[Float[Tensor, "_ _"]],
    screen: Screen,
    frames: int,
    jitter: float,
    source: torch.Generator,
) -> Float[Tensor, "time y x"]:
    """One photograph under a random walk from a random position, by bilinear interpolation."""
    picture = pictures[int(torch.randint(len(pictures), (), generator=source))]
    sides = torch.tensor(picture.shape, dtype=torch.float64)
    room = sides - screen.size
    start = torch.rand(2, generator=source, dtype=torch.float64) * room
    steps = torch.randn(frames, 2, generator=source, dtype=torch.float64) * jitter / screen.pixel
    corner = _reflected(start + steps.cumsum(dim=0), room)
    along = torch.arange(screen.size, dtype=torch.float64)
    # In grid_sample −1 and 1 are the outer edges of the picture.
    rows, columns = (2 * (corner[:, axis, None] + along + 0.5) / sides[axis] - 1 for axis in (0, 1))
    shape = (frames, screen.size, screen.size)
    grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
    batch = picture.double()[None, None].expand(frames, -1, -1, -1)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)[:, 0]


def _reflected(places: Tensor, room: Tensor) -> Tensor:
    """A walk reflected at 0 and at `room`."""
    inside = places.remainder(2 * room)
    return torch.minimum(inside, 2 * room - inside)
