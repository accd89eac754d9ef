"""Movie windows as samples: what `extract` reads from, with the time of each as its key."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from codeclens.extraction.data import Samples
from codeclens.extraction.fingerprint import array_digest
from codeclens.retina.movies import Movie


class MovieWindows(Samples):
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
