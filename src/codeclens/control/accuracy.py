"""Accuracy on one class and on all the others, and how sure it is: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from codeclens.errors import CodeclensError

# Weights held at once (32 MiB).
_BLOCK = 1 << 22


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy on a target class, and on the others as the mean of their accuracies.

    `labels` is `(N,)`. The mean over the other classes gives each of them the same weight, however
    many images it has. Raises CodeclensError where the class, or any other, does not occur.
    """

    labels: Int[np.ndarray, " sample"]
    class_index: int

    def __post_init__(self) -> None:
        present = np.unique(self.labels)
        if self.class_index not in present:
            some = ", ".join(str(label) for label in present[:10])
            raise CodeclensError(
                f"No image has the label class_index={self.class_index}; "
                f"the labels that occur are {some}{' …' if len(present) > 10 else ''}."
            )
        if len(present) < 2:
            raise CodeclensError(
                f"All images have the label {self.class_index}; other classes are needed to tell "
                "whether the effect is on that class alone."
            )

    @property
    def others(self) -> int:
        """How many other classes there are."""
        return len(np.unique(self.labels)) - 1

    def measure(
        self, correct: Bool[np.ndarray, "condition sample"]
    ) -> Float[np.ndarray, "condition 2"]:
        """Accuracy on the target class and on the others `(R, 2)` from hits and misses `(R, N)`.

        >>> groups = ClassAccuracy(np.array([0, 0, 1, 2, 2, 2]), class_index=0)
        >>> groups.measure(np.array([[True, False, True, False, False, False]]))
        array([[0.5, 0.5]])
        """
        weights = self._weights(np.ones((1, len(self.labels)), np.int64))
        return np.stack([correct @ weight[0] for weight in weights], axis=1)

    def redraw(
        self, correct: Bool[np.ndarray, "condition sample"], n: int, seed: int
    ) -> Float[np.ndarray, "draw condition 2"]:
        """The same accuracies in `n` bootstrap draws of the images, drawn within each class.

        All conditions see the same draws, so that differences between them are paired.
        """
        hits = correct.T.astype(np.float64)
        draws = [
            np.stack([weight @ hits for weight in self._weights(counts)], axis=-1)
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
        target = self.labels == self.class_index
        return within * target, within * ~target / self.others


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
