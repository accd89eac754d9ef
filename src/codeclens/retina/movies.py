"""Movies: frames with times in seconds and positions in µm or degrees, and the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError, require_number, unknown, wrong_shape
from codeclens.extraction.data import SampleSource
from codeclens.extraction.fingerprint import array_digest

Unit = Literal["um", "deg"]
UNITS = ("um", "deg")


@dataclass(frozen=True)
class Sampling:
    """A clock and a scale: `rate` frames a second (Hz), and pixels of `pixel` `unit`.

    `unit` is `"um"` (micrometres on the retina) or `"deg"` (degrees of the visual field). None of
    these is ever guessed: without a scale a receptive field, and without a clock a latency, cannot
    be compared with others. Raises CodeclensError for numbers that are not positive and for
    another unit.
    """

    rate: float
    pixel: float
    unit: Unit

    def __post_init__(self) -> None:
        require_number("rate", self.rate, above=0, hint="frames a second, in Hz")
        require_number("pixel", self.pixel, above=0, hint="the size of a pixel")
        if self.unit not in UNITS:
            raise CodeclensError(f'unit (={self.unit!r}) must be "um" or "deg".')

    def frames(self, duration: float) -> int:
        """The number of frames in `duration` s; raises CodeclensError where there is none."""
        require_number("duration", duration, above=0, hint="seconds")
        count = round(duration * self.rate)
        if count < 1:
            raise CodeclensError(
                f"There is no frame in {duration} s at {self.rate} Hz; pass a longer duration."
            )
        return count


@dataclass(frozen=True, eq=False)
class Movie:
    """Frames `(T, H, W)` shown at `rate` Hz, with pixels of `pixel` `unit` (see `Sampling`).

    A movie in colour has frames `(T, C, H, W)` and the names of its `colours`, which are numbers
    unless given. Full-field light is a movie of one pixel. Frames may also be a NumPy array, which
    becomes a tensor of the same precision.

    Raises CodeclensError for frames of another shape, frames that are not floating-point or not
    finite, names that are not one for each colour, and for a rate or a pixel that is not positive.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 22, 22), rate=50.0, pixel=50.0, unit="um")
    >>> movie.duration, movie.size, movie.windows(40).shape
    (2.0, (1100.0, 1100.0), torch.Size([61, 40, 22, 22]))
    >>> both = Movie(torch.zeros(100, 2, 9, 7), 50.0, 50.0, "um", colours=("green", "uv"))
    >>> both.windows(40).shape, both.of_colour("uv").frames.shape
    (torch.Size([61, 2, 40, 9, 7]), torch.Size([100, 9, 7]))
    """

    frames: Float[Tensor, "time *colour y x"]
    rate: float
    pixel: float
    unit: Unit
    colours: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tensor_of("A movie's frames", self.frames))
        if self.frames.ndim not in (3, 4) or not self.frames.numel():
            raise wrong_shape(
                "frames",
                self.frames.shape,
                "(time, y, x) or (time, colours, y, x)",
                "one frame and one pixel or more",
            )
        count = self.frames.shape[1] if self.frames.ndim == 4 else 0
        if count and not self.colours:
            object.__setattr__(self, "colours", tuple(str(one) for one in range(count)))
        names = self.colours
        if isinstance(names, str) or len(names) != count or len(set(names)) != count:
            raise CodeclensError(
                f"colours (={names!r}) must be {count} unique names, one for each colour of frames "
                f"of shape {tuple(self.frames.shape)}."
            )
        if not self.frames.is_floating_point():
            raise CodeclensError(
                f"frames have the type {self.frames.dtype}; pass floating-point intensities or "
                "contrasts, whichever the model takes."
            )
        bad = ~self.frames.isfinite().flatten(1).all(dim=1)
        if bad.any():
            raise CodeclensError(
                f"Frame {int(bad.nonzero()[0])} of the movie holds NaN or infinity."
            )
        self.sampling  # noqa: B018  (checks the clock and the scale)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def sampling(self) -> Sampling:
        """The clock and the scale."""
        return Sampling(self.rate, self.pixel, self.unit)

    @property
    def duration(self) -> float:
        """The duration in s."""
        return len(self.frames) / self.rate

    @property
    def size(self) -> tuple[float, float]:
        """Height and width of the field, in `unit`."""
        height, width = self.frames.shape[-2:]
        return height * self.pixel, width * self.pixel

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes of the frames."""
        return ("time", "colour", "y", "x") if self.colours else ("time", "y", "x")

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """When each frame begins, in s."""
        return np.arange(len(self.frames)) / self.rate

    def of_colour(self, name: str) -> Movie:
        """One colour as a movie without colours; raises CodeclensError for an unknown name."""
        if name not in self.colours:
            raise unknown("colour", name, self.colours, "The movie has")
        return replace(self, frames=self.frames[:, list(self.colours).index(name)], colours=())

    def windows(self, history: int) -> Float[Tensor, "window *colour history y x"]:
        """All windows of `history` frames, the newest frame last: the samples of a model.

        In colour they are `(window, colour, history, y, x)`. The result is a view, so that the film
        is not copied `history` times. Window `i` ends with frame `i + history − 1`. Raises
        CodeclensError where the movie is shorter than the history.
        """
        if not 1 <= history <= len(self.frames):
            raise CodeclensError(
                f"A movie of {len(self.frames)} frames has no window of {history}; pass a longer "
                "movie or a shorter history."
            )
        return self.frames.unfold(0, history, 1).movedim(-1, -3)

    def window_times(self, history: int) -> Float[np.ndarray, " window"]:
        """When the newest frame of each window begins, in s."""
        return self.times[history - 1 :]

    def between(self, start: float, stop: float) -> Movie:
        """The frames that begin at or after `start` and before `stop`, in s."""
        for name, moment in (("start", start), ("stop", stop)):
            require_number(name, moment, least=0, most=self.duration, hint="seconds of the movie")
        first, last = (round(moment * self.rate) for moment in (start, stop))
        if first >= last:
            raise CodeclensError(f"There is no frame between {start} and {stop} s.")
        return replace(self, frames=self.frames[first:last])


def tensor_of(what: str, values: object) -> Tensor:
    """A tensor as it is, or an array of NumPy as a tensor of the same precision.

    Raises CodeclensError for values that are not numbers.

    >>> tensor_of("Rates", np.zeros(2)).dtype
    torch.float64
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
        # In the machine's byte order; copied only where torch cannot share the memory.
        array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
        return torch.from_numpy(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CodeclensError(
            f"{what} are {type(values).__name__}; pass a tensor or an array of numbers."
        ) from error


# Weights of the colours of a screen, or the name of one of them.
Colour = Sequence[float] | str | None


@dataclass(frozen=True)
class Screen:
    """A screen of `size` pixels, `(height, width)` or one number, with pixels of `pixel` `unit`.

    It shows `rate` frames a second (Hz). Stimuli are contrasts relative to the mean light: 0 is the
    mean, −1 is darkness, 1 is twice the mean. Positions are measured from the centre of the screen,
    x to the right and y upwards (row 0 is the top row).

    With names of `colours` its movies are in colour; stimuli then take a `colour`, the name of one
    or a weight for each, by which contrasts are multiplied (all 1 by default).

    Stimuli have default lengths in µm on the retina. On a screen in degrees these are converted by
    `um_per_degree`, which depends on the animal; without it such a length must be passed.

    Raises CodeclensError for sizes that are not positive and colours without unique names.

    >>> screen = Screen(size=22, rate=50.0, pixel=50.0)
    >>> screen.frames(0.5), screen.width
    (25, 1100.0)
    >>> screen.grey(0.5).frames.shape
    torch.Size([25, 22, 22])
    >>> Screen(size=(12, 20), colours=("green", "uv")).grey(0.5).frames.shape
    torch.Size([25, 2, 12, 20])
    """

    size: int | tuple[int, int] = 22
    rate: float = 50.0
    pixel: float = 50.0
    unit: Unit = "um"
    colours: Sequence[str] = ()
    um_per_degree: float | None = None

    def __post_init__(self) -> None:
        sides = self.size if isinstance(self.size, tuple | list) else (self.size, self.size)
        if len(sides) != 2:
            raise CodeclensError(f"size (={self.size!r}) must be one number or (height, width).")
        for side in sides:
            require_number("size", side, least=1, whole=True, hint="pixels on each side")
        self.sampling  # noqa: B018  (checks the clock and the scale)
        if isinstance(self.colours, str) or len(set(self.colours)) != len(self.colours):
            raise CodeclensError(f"colours (={self.colours!r}) must be unique names, in a tuple.")
        if self.um_per_degree is not None:
            require_number("um_per_degree", self.um_per_degree, above=0, hint="µm on the retina")

    @property
    def sampling(self) -> Sampling:
        """The clock and the scale."""
        return Sampling(self.rate, self.pixel, self.unit)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        if isinstance(self.size, tuple | list):
            height, width = self.size
            return int(height), int(width)
        return int(self.size), int(self.size)

    @property
    def width(self) -> float:
        """The width of the screen, in `unit`."""
        return self.shape[1] * self.pixel

    @property
    def height(self) -> float:
        """The height of the screen, in `unit`."""
        return self.shape[0] * self.pixel

    def length(self, name: str, given: float | None, um: float) -> float:
        """A length in `unit`: the `given` one, or the default of `um` µm on the retina.

        Raises CodeclensError for a screen in degrees that does not know how many µm they are.

        >>> Screen(pixel=1.0, unit="deg", um_per_degree=200.0).length("width", None, 100.0)
        0.5
        """
        if given is not None:
            require_number(name, given, hint=f"in {self.unit}")
            return float(given)
        if self.unit == "um":
            return um
        if self.um_per_degree is None:
            raise CodeclensError(
                f"The default of {name} is {um:g} µm, and this screen is in degrees; pass {name} "
                "in degrees, or Screen(um_per_degree=…) to convert it."
            )
        return um / self.um_per_degree

    def frames(self, duration: float) -> int:
        """The number of frames in `duration` s; raises CodeclensError where there is none."""
        return self.sampling.frames(duration)

    def places(self) -> tuple[Float[Tensor, "y x"], Float[Tensor, "y x"]]:
        """x and y of each pixel relative to the centre, in `unit`."""
        up, along = (
            (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) * self.pixel
            for side in self.shape
        )
        return along.expand(self.shape), -up[:, None].expand(self.shape)

    def weights(self, colour: Colour = None) -> Float[Tensor, " colour"]:
        """The weight of each colour of the screen, `(C,)`.

        Raises CodeclensError for a colour that the screen does not have, and for weights that are
        not one for each.

        >>> Screen(colours=("green", "uv")).weights("uv")
        tensor([0., 1.])
        """
        names = self.colours
        if colour is None:
            return torch.ones(len(names))
        if isinstance(colour, str):
            if colour not in names:
                raise unknown("colour", colour, names, "The screen has")
            return torch.tensor([float(name == colour) for name in names])
        if len(colour) != len(names):
            raise CodeclensError(
                f"colour (={list(colour)}) must have a weight for each of the screen's "
                f"{len(names)} colours, or be the name of one."
            )
        for weight in colour:
            require_number("colour", weight, least=-1, most=1, hint="a weight for each colour")
        return torch.tensor([float(weight) for weight in colour])

    def movie(self, frames: Tensor, colour: Colour = None) -> Movie:
        """Frames as a movie of this screen, float32, in its colours.

        They are `(T, H, W)`, or full-field values `(T,)`, which the weights of `colour` multiply;
        or `(T, C, H, W)`, each colour with its own frames, where `colour` is not used.
        """
        if frames.ndim == 1:
            frames = frames[:, None, None].expand(-1, *self.shape)
        if self.colours and frames.ndim == 3:
            frames = frames[:, None] * self.weights(colour).to(frames)[:, None, None]
        elif not self.colours and colour is not None:
            raise CodeclensError(
                f"The screen has no colours, but colour={colour!r} was given; pass "
                "Screen(colours=…)."
            )
        return Movie(frames.float().contiguous(), self.rate, self.pixel, self.unit, self.colours)

    def grey(self, duration: float) -> Movie:
        """The mean light for `duration` s."""
        return self.movie(torch.zeros(self.frames(duration)))


class MovieWindows(SampleSource):
    """The windows of a movie as samples, each with the time of its newest frame as its key.

    The fingerprint is that of the frames, so that a film is not read once for each of its windows.
    With `step` only every n-th window is used.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 8, 8), rate=50.0, pixel=1.0, unit="deg")
    >>> windows = MovieWindows(movie, 40)
    >>> len(windows), windows.key(0), windows.load(0).image.shape
    (61, '0.780000 s', torch.Size([40, 8, 8]))
    """

    def __init__(self, movie: Movie, history: int, *, step: int = 1) -> None:
        self.movie = movie
        self.history = history
        self.step = step
        self._windows = movie.windows(history)[::step]
        self.times = movie.window_times(history)[::step]

    def __len__(self) -> int:
        return len(self._windows)

    def key(self, index: int) -> str:
        return f"{self.times[index]:.6f} s"

    def read(self, index: int) -> tuple[Tensor, int]:
        return self._windows[index], -1

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "movie",
            "samples": len(self),
            "history": self.history,
            "step": self.step,
            "rate": self.movie.rate,
            "pixel": self.movie.pixel,
            "unit": self.movie.unit,
            **({"colours": list(self.movie.colours)} if self.movie.colours else {}),
            "content": array_digest(self.movie.frames),
        }
