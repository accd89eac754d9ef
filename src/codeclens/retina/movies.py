"""Movies: what a retina sees, with its times in seconds and its places in µm or degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.extraction.data import SampleSource
from codeclens.extraction.fingerprint import array_digest
from codeclens.retina.response import ResponseModel

Unit = Literal["um", "deg"]
UNITS = ("um", "deg")


@dataclass(frozen=True, eq=False)
class Movie:
    """Frames `(T, H, W)` that follow one another at `rate` Hz, with pixels of `pixel` `unit`.

    `unit` is `"um"` (micrometres on the retina) or `"deg"` (degrees of the visual field). None of
    these is ever guessed: a receptive field without a scale, or a latency without a clock, cannot
    be compared with anything. A light that fills the field is a movie of one pixel. Frames may be
    an array of NumPy, too, and are a tensor of the same precision then.

    Raises CodeclensError for frames of another shape, not floating or not finite, and for a rate or
    a size that is not positive.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 22, 22), rate=50.0, pixel=50.0, unit="um")
    >>> movie.duration, movie.size, movie.windows(40).shape
    (2.0, (1100.0, 1100.0), torch.Size([61, 40, 22, 22]))
    """

    frames: Float[Tensor, "time y x"]
    rate: float
    pixel: float
    unit: Unit

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tensor_of("A movie's frames", self.frames))
        if self.frames.ndim != 3 or not self.frames.numel():
            raise CodeclensError(
                f"A movie's frames have shape {tuple(self.frames.shape)}; pass (time, y, x), with "
                "one frame or more of one pixel or more."
            )
        if not self.frames.is_floating_point():
            raise CodeclensError(
                f"A movie's frames are {self.frames.dtype}; pass floating-point intensities or "
                "contrasts, as the model takes them."
            )
        bad = ~self.frames.isfinite().flatten(1).all(dim=1)
        if bad.any():
            raise CodeclensError(
                f"Frame {int(bad.nonzero()[0])} of the movie holds NaN or infinity."
            )
        require_scale("movie", self.rate, self.pixel, self.unit)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def duration(self) -> float:
        """How long the movie lasts, in s."""
        return len(self.frames) / self.rate

    @property
    def size(self) -> tuple[float, float]:
        """Height and width of the field, in `unit`."""
        height, width = self.frames.shape[1:]
        return height * self.pixel, width * self.pixel

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        """When each frame begins, in s."""
        return np.arange(len(self.frames)) / self.rate

    def windows(self, history: int) -> Float[Tensor, "window history y x"]:
        """Every stretch of `history` frames, the newest last: the samples of a model.

        A view of the frames, so that an hour of film is not held `history` times. The response to
        window `i` belongs to frame `i + history − 1`. Raises CodeclensError where the movie is
        shorter than that.
        """
        if not 1 <= history <= len(self.frames):
            raise CodeclensError(
                f"A movie of {len(self.frames)} frames has no window of {history}; pass a longer "
                "movie or a shorter history."
            )
        return self.frames.unfold(0, history, 1).movedim(-1, 1)

    def window_times(self, history: int) -> Float[np.ndarray, " window"]:
        """When the newest frame of each window begins, in s."""
        return self.times[history - 1 :]

    def between(self, start: float, stop: float) -> Movie:
        """The frames that begin from `start` to before `stop`, in s."""
        first, last = (round(moment * self.rate) for moment in (start, stop))
        if not 0 <= first < last <= len(self.frames):
            raise CodeclensError(
                f"From {start} to {stop} s there is no part of a movie of {self.duration} s."
            )
        return replace(self, frames=self.frames[first:last])


def require_scale(whose: str, rate: float, pixel: float, unit: str) -> None:
    """Raises CodeclensError for a clock or a scale that is not positive, and for another unit."""
    for what, value in (("rate (Hz)", rate), ("pixel", pixel)):
        if not _is_positive(value):
            raise CodeclensError(f"A {whose}'s {what} is {value!r}; pass a positive number.")
    if unit not in UNITS:
        raise CodeclensError(f'A pixel is measured in "um" or "deg", not in {unit!r}: which is it?')


def tensor_of(what: str, values: object) -> Tensor:
    """A tensor as it is, or an array of NumPy as a tensor of the same precision.

    Raises CodeclensError for what holds no numbers.

    >>> tensor_of("Rates", np.zeros(2)).dtype
    torch.float64
    """
    if isinstance(values, Tensor):
        return values
    try:
        array = np.asarray(values)
        # In the machine's own order of bytes, and copied only where torch could not share it.
        array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
        return torch.from_numpy(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CodeclensError(
            f"{what} are {type(values).__name__}; pass a tensor or an array of numbers."
        ) from error


def _is_positive(value: float) -> bool:
    try:
        return math.isfinite(value) and value > 0
    except (TypeError, ValueError):
        return False


@dataclass(frozen=True)
class Screen:
    """A square of `size` × `size` pixels of `pixel` `unit`, with `rate` frames a second (Hz).

    Stimuli are drawn on it as contrast from the mean light: 0 is the mean, −1 darkness, 1 twice the
    mean. Places are counted from the middle of the screen, x to the right and y upwards (row 0 is
    on top). Raises CodeclensError for sizes that are not positive.

    >>> screen = Screen(size=22, rate=50.0, pixel=50.0)
    >>> screen.frames(0.5), screen.width
    (25, 1100.0)
    >>> screen.grey(0.5).frames.shape
    torch.Size([25, 22, 22])
    """

    size: int = 22
    rate: float = 50.0
    pixel: float = 50.0
    unit: Unit = "um"

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 1:
            raise CodeclensError(f"A screen of {self.size!r} pixels shows nothing; give 1 or more.")
        for what, value in (("rate (Hz)", self.rate), ("pixel", self.pixel)):
            if not (math.isfinite(value) and value > 0):
                raise CodeclensError(f"A screen's {what} is {value!r}; give a positive number.")

    @classmethod
    def of(cls, model: ResponseModel, size: int) -> Screen:
        """The screen of `size` pixels that has a model's clock and scale."""
        return cls(size, model.rate, model.pixel, model.unit)

    @property
    def width(self) -> float:
        """How wide and high the screen is, in `unit`."""
        return self.size * self.pixel

    def frames(self, duration: float) -> int:
        """How many frames last `duration` s; raises CodeclensError where there would be none."""
        count = round(duration * self.rate)
        if count < 1:
            raise CodeclensError(
                f"{duration} s hold no frame at {self.rate} Hz; give a longer duration."
            )
        return count

    def places(self) -> tuple[Float[Tensor, "y x"], Float[Tensor, "y x"]]:
        """Where each pixel lies: x and y from the middle, in `unit`."""
        along = (torch.arange(self.size, dtype=torch.float64) - (self.size - 1) / 2) * self.pixel
        return along.expand(self.size, -1), -along[:, None].expand(-1, self.size)

    def movie(self, frames: Tensor) -> Movie:
        """Frames `(T, H, W)` or full-field values `(T,)` as a movie of this screen, float32."""
        if frames.ndim == 1:
            frames = frames[:, None, None].expand(-1, self.size, self.size)
        return Movie(frames.float().contiguous(), self.rate, self.pixel, self.unit)

    def grey(self, duration: float) -> Movie:
        """The mean light for `duration` s."""
        return self.movie(torch.zeros(self.frames(duration)))


class MovieWindows(SampleSource):
    """The windows of a movie as numbered samples, each named by its time, such as `"0.780000 s"`.

    That is when the newest frame begins. The fingerprint is of the frames, so that an hour of film
    is not read once for each of its windows. `step` takes every n-th window.

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
            "content": array_digest(self.movie.frames),
        }
