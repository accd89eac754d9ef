"""Natural movies: photographs under simulated eye movements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.retina.movies import Movie, Screen
from codeclens.zoo.photographs import demo_photographs

# The largest contrast: photographs have brighter highlights than screens can show.
BRIGHTEST = 3.0


# The weights of linear red, green and blue light in luminance (Rec. 709), and of each alone.
_LUMINANCE = (0.2126, 0.7152, 0.0722)
_PRIMARIES = {"red": (1.0, 0.0, 0.0), "green": (0.0, 1.0, 0.0), "blue": (0.0, 0.0, 1.0)}
RGB = tuple[float, float, float]


def photographs() -> dict[str, Float[Tensor, "_ _"]]:
    """The photographs of scikit-image and scikit-learn, as contrast from their mean light.

    Pixels are converted to linear light (Rec. 709 weights), divided by their mean, reduced by 1 and
    clipped at `BRIGHTEST`. Nothing is downloaded. Raises CodeclensError where scikit-image or a
    photograph is not installed.

    >>> pictures = photographs()
    >>> sorted(pictures)[:3], pictures["coffee"].shape
    (['astronaut', 'camera', 'chelsea'], torch.Size([400, 600]))
    """
    return {name: picture[0] for name, picture in _contrasts((_LUMINANCE,)).items()}


@lru_cache(maxsize=2)
def _contrasts(weights: tuple[RGB, ...]) -> dict[str, Float[Tensor, "_ _ _"]]:
    """The contrast of each photograph in each weighted sum of linear red, green and blue."""
    pictures = dict(demo_photographs())
    folder = files("sklearn") / "datasets" / "images"
    for name in ("china", "flower"):
        path = folder / f"{name}.jpg"
        if not path.is_file():
            raise CodeclensError(f"scikit-learn has no photograph {name}.jpg; reinstall it.")
        with path.open("rb") as stream, Image.open(stream) as image:
            pictures[name] = image.convert("RGB")
    by = torch.tensor(weights, dtype=torch.float64).T
    return {name: _contrast(image, by) for name, image in pictures.items()}


def _contrast(
    image: Image.Image, weights: Float[Tensor, "rgb colour"]
) -> Float[Tensor, "colour y x"]:
    width, height = image.size
    values = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    colours = values.reshape(height, width, 3).double() / 255
    light = (
        torch.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
        @ weights
    ).movedim(-1, 0)
    mean = light.mean(dim=(1, 2), keepdim=True)
    return (light / mean - 1).clamp(max=BRIGHTEST).float()


def natural_movie(
    duration: float,
    screen: Screen,
    *,
    names: Sequence[str] | None = None,
    fixation: float = 1.0,
    jitter: float | None = None,
    zoom: float = 2.0,
    objects: float = 0.5,
    radius: float | None = None,
    seed: int = 0,
    primaries: Mapping[str, RGB] | None = None,
) -> Movie:
    """Photographs seen through simulated eye movements, in part with a moving object.

    Every `fixation` s the eye jumps to a random position of a random photograph; between jumps it
    follows a random walk with a standard deviation of `jitter` (15 µm, in the screen's unit) a
    frame in each direction. In a share `objects` of the fixations a disc of `radius` (250 µm) in
    the centre shows another photograph with its own random walk: differential motion. `zoom` pixels
    of a photograph make one of the screen. Values are contrasts from each photograph's mean light,
    from −1 to `BRIGHTEST`. `names` selects photographs (all by default), so that films to fit on
    and to test on can differ.

    On a screen in colour each colour is a weighted sum of the linear red, green and blue light of a
    photograph, as a contrast from its own mean: `primaries` are the weights by colour; "red",
    "green" and "blue" are known.

    Raises CodeclensError for an unknown photograph, a screen that is too large for one, colours
    without weights, and times and sizes that are not positive.

    >>> movie = natural_movie(3.0, Screen(), names=["coffee", "rocket"], seed=3)
    >>> movie.frames.shape, bool(movie.frames.min() >= -1)
    (torch.Size([150, 22, 22]), True)
    """
    radius = screen.length("radius", radius, 250.0)
    jitter = screen.length("jitter", jitter, 15.0)
    for name, value in (("fixation", fixation), ("zoom", zoom), ("radius", radius)):
        require_number(name, value, above=0)
    require_number("jitter", jitter, least=0)
    require_number("objects", objects, least=0, most=1, hint="a share of the fixations")
    pictures = _zoomed(names, screen, zoom, _primaries(screen, primaries))
    source = torch.Generator().manual_seed(seed)
    count, each = screen.frames(duration), screen.frames(fixation)
    across, up = screen.places()
    disc = torch.hypot(across, up) <= radius
    parts = []
    for _ in range(0, count, each):
        shown = _walk(pictures, screen, each, jitter, source)
        other = _walk(pictures, screen, each, jitter, source)
        with_object = float(torch.rand((), generator=source)) < objects
        parts.append(torch.where(disc, other, shown) if with_object else shown)
    frames = torch.cat(parts)[:count]
    return screen.movie(frames if screen.colours else frames[:, 0])


def _primaries(screen: Screen, given: Mapping[str, RGB] | None) -> tuple[RGB, ...]:
    """The weights of red, green and blue light in each colour of the screen."""
    known = _PRIMARIES | dict(given or {})
    found: list[RGB] = []
    for name in screen.colours:
        if name not in known:
            raise CodeclensError(
                f'Photographs have red, green and blue light, and the screen the colour "{name}"; '
                f'pass its weights, primaries={{"{name}": (0.0, 0.0, 1.0)}}.'
            )
        for weight in known[name]:
            require_number("primaries", weight, least=0, hint="a weight of red, green and blue")
        if len(known[name]) != 3 or sum(known[name]) <= 0:
            raise CodeclensError(f'The primaries of "{name}" must be three weights, not all 0.')
        red, green, blue = known[name]
        found.append((red, green, blue))
    return tuple(found) or (_LUMINANCE,)


def _zoomed(
    names: Sequence[str] | None, screen: Screen, zoom: float, weights: tuple[RGB, ...]
) -> list[Float[Tensor, "_ _ _"]]:
    known = _contrasts(weights)
    if names is not None and not names:
        raise CodeclensError(f"names is empty; photographs are {', '.join(sorted(known))}.")
    for name in names or ():
        if name not in known:
            raise unknown("photograph", name, known)
    found = []
    for name in names or sorted(known):
        picture = known[name][None]
        size = [round(side / zoom) for side in picture.shape[2:]]
        if any(side < shown + 4 for side, shown in zip(size, screen.shape, strict=True)):
            raise CodeclensError(
                f"Photograph {name} has {size[0]} × {size[1]} pixels with zoom={zoom}, too few for "
                f"a screen of {screen.shape[0]} × {screen.shape[1]}; pass a smaller zoom."
            )
        smaller = F.interpolate(picture, size=size, mode="bilinear", antialias=True)
        found.append(smaller[0])
    return found


def _walk(
    pictures: Sequence[Float[Tensor, "_ _ _"]],
    screen: Screen,
    frames: int,
    jitter: float,
    source: torch.Generator,
) -> Float[Tensor, "time colour y x"]:
    """One photograph under a random walk from a random position, by bilinear interpolation."""
    picture = pictures[int(torch.randint(len(pictures), (), generator=source))]
    sides = torch.tensor(picture.shape[1:], dtype=torch.float64)
    room = sides - torch.tensor(screen.shape, dtype=torch.float64)
    start = torch.rand(2, generator=source, dtype=torch.float64) * room
    steps = torch.randn(frames, 2, generator=source, dtype=torch.float64) * jitter / screen.pixel
    corner = _reflected(start + steps.cumsum(dim=0), room)
    # In grid_sample −1 and 1 are the outer edges of the picture.
    rows, columns = (
        2 * (corner[:, axis, None] + torch.arange(side, dtype=torch.float64) + 0.5) / sides[axis]
        - 1
        for axis, side in enumerate(screen.shape)
    )
    shape = (frames, *screen.shape)
    grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
    batch = picture.double()[None].expand(frames, -1, -1, -1)
    return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _reflected(places: Tensor, room: Tensor) -> Tensor:
    """A walk reflected at 0 and at `room`."""
    inside = places.remainder(2 * room)
    return torch.minimum(inside, 2 * room - inside)
