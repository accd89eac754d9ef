"""Recordings: what ganglion cells answered to a movie, in hertz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie, tensor_of


@dataclass(frozen=True, eq=False)
class Recording:
    """Responses `(T, cells)` in Hz to the T frames of `movie`, one name for each cell.

    Counts of spikes in the bins of the frames come in by `from_counts`. Rates and counts may be
    arrays of NumPy, too. Raises CodeclensError where the shapes do not fit, a rate is negative, not
    finite or a whole number (as counts are), and where two cells have one name.

    >>> import torch
    >>> movie = Movie(torch.zeros(100, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> counts = torch.ones(100, 2)
    >>> Recording.from_counts(movie, counts, ["on", "off"]).rates[0]
    tensor([50., 50.])
    """

    movie: Movie
    rates: Float[Tensor, "time cell"]
    cells: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tensor_of("Responses", self.rates))
        if self.rates.ndim != 2 or len(self.rates) != len(self.movie):
            raise CodeclensError(
                f"Responses have shape {tuple(self.rates.shape)} for {len(self.movie)} frames; "
                "pass (time, cells), a row for each frame."
            )
        if not self.rates.is_floating_point():
            raise CodeclensError(
                f"Responses are {self.rates.dtype}; pass rates in Hz as floating-point numbers, or "
                "counts of spikes to Recording.from_counts."
            )
        if isinstance(self.cells, str):
            raise CodeclensError(f"cells={self.cells!r} is one text; pass a list of names.")
        if len(self.cells) != self.rates.shape[1] or len(set(self.cells)) != len(self.cells):
            raise CodeclensError(
                f"{len(set(self.cells))} different names for {self.rates.shape[1]} cells; pass one "
                "for each."
            )
        bad = ~(self.rates.isfinite() & (self.rates >= 0))
        if bad.any():
            frame, cell = (int(index) for index in bad.nonzero()[0])
            raise CodeclensError(
                f"Cell {self.cells[cell]!r} has the rate {float(self.rates[frame, cell])} at frame "
                f"{frame}; rates are finite and not negative."
            )

    @classmethod
    def from_counts(
        cls,
        movie: Movie,
        counts: Shaped[Tensor, "time cell"] | Shaped[np.ndarray, "time cell"],
        cells: Sequence[str],
    ) -> Recording:
        """Rates in Hz from the spikes counted while each frame was shown."""
        return cls(movie, tensor_of("Counts", counts).to(movie.frames) * movie.rate, cells)

    def between(self, start: float, stop: float) -> Recording:
        """What was answered from `start` to before `stop`, in s."""
        part = self.movie.between(start, stop)
        first = round(start * self.movie.rate)
        return Recording(part, self.rates[first : first + len(part)], self.cells)

    def targets(self, history: int) -> Float[Tensor, "window cell"]:
        """The responses that belong to the movie's `windows(history)`."""
        return self.rates[history - 1 :]
