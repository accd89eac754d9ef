"""Natural movies: photographs as a moving eye sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import torch
import torch.nn.functional as F
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie
from codeclens.retina.screens import Screen
from codeclens.zoo.photographs import demo_photographs

# The brightest light, in contrast: photographs are skewed, screens are not so bright.
BRIGHTEST = 3.0


@lru_cache(maxsize=1)
def photographs() -> dict[str, Float[Tensor, "_ _"]]:
    """Photographs that scikit-image and scikit-learn ship, as contrast from their mean light.

    Grey values are undone of their gamma (linear light, Rec. 709 weights), divided by their mean,
    less 1, and cut at `BRIGHTEST`. Nothing is downloaded. Raises CodeclensError where scikit-image
    is not installed or lacks one.

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
    """Photographs under an eye that fixates, drifts and jumps, some with an object that moves too.

    Every `fixation` s the eye jumps to another place of another photograph; between jumps it
    jitters by a random walk with a standard deviation of `jitter` (in the screen's unit) a frame
    each way. In a share `objects` of the fixations a disc of `radius` around the middle shows
    another photograph, which jitters by a walk of its own: differential motion. `zoom` pixels of a
    photograph fall on one of the screen. Values are contrasts from each photograph's mean light,
    −1 to `BRIGHTEST`. `names` picks photographs (all): give films to fit on and to test on others.
    Raises CodeclensError for an unknown photograph, a screen that is too large for one, times and
    sizes that are not positive.

    >>> movie = natural_movie(3.0, Screen(), names=["coffee", "rocket"], seed=3)
    >>> movie.frames.shape, bool(movie.frames.min() >= -1)
    (torch.Size([150, 22, 22]), True)
    """
    if not math.isfinite(duration):
        raise CodeclensError(f"A movie of {duration} s has no end; give a number of seconds.")
    given = (fixation, jitter, zoom, radius, objects)
    if not all(map(math.isfinite, given)) or not (
        fixation > 0 and jitter >= 0 and zoom > 0 and radius > 0 and 0 <= objects <= 1
    ):
        raise CodeclensError(
            f"A natural movie has fixation={fixation}, jitter={jitter}, zoom={zoom}, "
            f"radius={radius}, objects={objects}; give positive numbers, and a share of objects."
        )
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
    unknown = [name for name in names or () if name not in known]
    if unknown or (names is not None and not names):
        raise CodeclensError(
            f"There are no photographs {unknown or 'in an empty list'}; there are "
            f"{', '.join(sorted(known))}."
        )
    found = []
    for name in names or sorted(known):
        picture = known[name][None, None]
        size = [round(side / zoom) for side in picture.shape[2:]]
        if min(size) < screen.size + 4:
            raise CodeclensError(
                f"Photograph {name} is {size[0]} × {size[1]} pixels after zoom={zoom}: too small "
                f"for a screen of {screen.size}. Lower zoom."
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
    """One photograph under a random walk from a random place, by bilinear interpolation."""
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
    """A walk that turns round at the edges, at 0 and at `room`."""
    inside = places.remainder(2 * room)
    return torch.minimum(inside, 2 * room - inside)
