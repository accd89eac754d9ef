"""The class and the others: means over their images, and how sure they are: arrays alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from codeclens.errors import CodeclensError

# Weights held at once (32 MiB).
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Sides:
    """A class, or a superclass of several, on the one side, and all other classes on the other.

    `labels` is `(N,)`, `members` the classes on the one side. A side's mean is the mean of its
    classes' means: it gives each of them the same weight, however many images it has. Raises
    CodeclensError where a member does not occur, or no other class does.
    """

    labels: Int[np.ndarray, " sample"]
    members: tuple[int, ...]

    def __post_init__(self) -> None:
        present = np.unique(self.labels)
        for member in self.members:
            if member not in present:
                some = ", ".join(str(label) for label in present[:10])
                raise CodeclensError(
                    f"No image has the label class_index={member}; "
                    f"the labels that occur are {some}{' …' if len(present) > 10 else ''}."
                )
        if not self.members or not self.others:
            which = "label" if len(self.members) == 1 else "labels"
            raise CodeclensError(
                f"All images have the {which} {', '.join(map(str, self.members)) or '(none)'}; "
                "other classes are needed to tell whether the effect is on that side alone."
            )

    @property
    def others(self) -> int:
        """How many other classes there are."""
        return len(np.setdiff1d(self.labels, self.members))

    def measure(
        self, values: Shaped[np.ndarray, "condition sample"]
    ) -> Float[np.ndarray, "condition 2"]:
        """The mean on the class and on the others `(R, 2)` of a value per image `(R, N)`.

        The mean of hits and misses is accuracy.

        >>> sides = Sides(np.array([0, 0, 1, 2, 2, 2]), members=(0,))
        >>> sides.measure(np.array([[True, False, True, False, False, False]]))
        array([[0.5, 0.5]])
        """
        weights = self._weights(np.ones((1, len(self.labels)), np.int64))
        return np.stack([values.astype(np.float64) @ weight[0] for weight in weights], axis=1)

    def redraw(
        self, values: Shaped[np.ndarray, "condition sample"], n: int, seed: int
    ) -> Float[np.ndarray, "draw condition 2"]:
        """The same means in `n` bootstrap draws of the images, drawn within each class.

        All conditions see the same draws, so that differences between them are paired.
        """
        columns = values.T.astype(np.float64)
        draws = [
            np.stack([weight @ columns for weight in self._weights(counts)], axis=-1)
            for counts in self._counts(n, np.random.default_rng(seed))
        ]
        return np.concatenate(draws)

    def _counts(
        self, n: int, random: np.random.Generator
    ) -> Iterator[Int[np.ndarray, "draw sample"]]:
        """How often each image is drawn, a block of draws at a time."""
        samples = len(self.labels)
        step = max(1, _BLOCK // samples)
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        for start in range(0, n, step):
            counts = np.empty((min(step, n - start), samples), np.int64)
            for rows in members:
                even = np.full(len(rows), 1 / len(rows))
                counts[:, rows] = random.multinomial(len(rows), even, size=len(counts))
            yield counts

    def _weights(
        self, counts: Shaped[np.ndarray, "draw sample"]
    ) -> tuple[Float[np.ndarray, "draw sample"], Float[np.ndarray, "draw sample"]]:
        _, index, sizes = np.unique(self.labels, return_inverse=True, return_counts=True)
        within = counts / sizes[index]
        target = self._is_member
        return within * target / len(set(self.members)), within * ~target / self.others

    @property
    def _is_member(self) -> Bool[np.ndarray, " sample"]:
        return np.isin(self.labels, self.members)


def mean_height(
    places: Float[np.ndarray, " point"], heights: Float[np.ndarray, "*draw point"]
) -> Float[np.ndarray, "*draw"]:
    """The area under a curve by the trapezoid rule, divided by its width: its mean height.

    `places` `(F,)` ascend, `heights` are `(…, F)`. Where all places are one, the plain mean.

    >>> mean_height(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.0, 0.0]))
    array(0.16666667)
    """
    width = places[-1] - places[0]
    if width == 0:
        return np.asarray(heights.mean(axis=-1))
    middles = (heights[..., 1:] + heights[..., :-1]) / 2
    return np.asarray((middles * np.diff(places)).sum(axis=-1) / width)
