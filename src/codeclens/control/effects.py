"""Effects: what was predicted beside what was measured, image by image and mode by mode: arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from codeclens.control.estimates import Estimate

Reading = Literal["as predicted", "less", "more", "opposite", "undecided"]
# Within this factor of each other, prediction and measurement agree.
FACTOR = 2.0
# In fewer images than these an interval says nothing.
FEWEST = 5


@dataclass(frozen=True)
class Effects:
    """Predicted and measured changes of the target `(N, K)`, in its units.

    Means are over the images in which a mode is `present` `(N, K)`; `draws` `(n, N)` says how often
    each image is drawn for the intervals, the same for all modes.
    """

    prediction: Float[np.ndarray, "sample mode"]
    effect: Float[np.ndarray, "sample mode"]
    present: Bool[np.ndarray, "sample mode"]
    draws: Int[np.ndarray, "draw sample"]

    def predicted(self, place: int) -> float:
        """The mean predicted change by one mode; NaN where it is present in no image."""
        return float(self.means[0][place])

    def measured(self, place: int) -> Estimate:
        """The mean measured change by one mode, with its interval over images."""
        return Estimate.of(np.asarray(self.means[1][place]), self.drawn[1][:, place])

    def ratio(self, place: int) -> Estimate:
        """Measured ÷ predicted, of the means."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.means[1][place] / self.means[0][place]
            draws = self.drawn[1][:, place] / self.drawn[0][:, place]
        finite = np.where(np.isfinite(draws), draws, np.nan)
        return Estimate.of(np.asarray(value if np.isfinite(value) else np.nan), finite)

    def verdict(self, place: int) -> Reading:
        """How measured ÷ predicted lies to 1: within a factor of 2, below, above, below zero.

        Undecided where the mode is present in fewer than 5 images.
        """
        if self.present[:, place].sum() < FEWEST:
            return "undecided"
        ratio = self.ratio(place)
        if ratio.high < 0:
            return "opposite"
        if ratio.high < 1 / FACTOR:
            return "less"
        if ratio.low > FACTOR:
            return "more"
        if ratio.low >= 1 / FACTOR and ratio.high <= FACTOR:
            return "as predicted"
        return "undecided"

    def by_gap(self) -> list[int]:
        """The modes, those first whose measured and predicted means lie farthest apart."""
        gaps = np.abs(np.nan_to_num(self.means[1] - self.means[0]))
        return [int(place) for place in np.argsort(-gaps, kind="stable")]

    def row(self, place: int, name: str) -> dict[str, Any]:
        """The columns of a table for one mode."""
        measured, ratio = self.measured(place), self.ratio(place)
        return {
            f"{name}_predicted": self.predicted(place),
            f"{name}_measured": float(measured.value),
            f"{name}_low": float(measured.low),
            f"{name}_high": float(measured.high),
            f"{name}_ratio": float(ratio.value),
            f"{name}_ratio_low": float(ratio.low),
            f"{name}_ratio_high": float(ratio.high),
            f"{name}_verdict": self.verdict(place),
        }

    @property
    def correlation(self) -> Estimate:
        """Pearson correlation over modes of the mean measured with the mean predicted changes."""
        draws = [_correlation(p, m) for p, m in zip(*self.drawn, strict=True)]
        return Estimate.of(np.asarray(_correlation(*self.means)), np.array(draws))

    @property
    def slope(self) -> Estimate:
        """The size of measured changes in units of predicted ones: least squares through zero."""
        draws = [_slope(p, m) for p, m in zip(*self.drawn, strict=True)]
        return Estimate.of(np.asarray(_slope(*self.means)), np.array(draws))

    @cached_property
    def means(self) -> tuple[Float[np.ndarray, " mode"], Float[np.ndarray, " mode"]]:
        """The mean predicted and measured changes `(K,)` each."""
        ones = np.ones((1, len(self.present)), np.int64)
        predicted, measured = self._means(ones)
        return predicted[0], measured[0]

    @cached_property
    def drawn(self) -> tuple[Float[np.ndarray, "draw mode"], Float[np.ndarray, "draw mode"]]:
        """The same in each draw `(n, K)`."""
        return self._means(self.draws)

    def _means(
        self, counts: Int[np.ndarray, "draw sample"]
    ) -> tuple[Float[np.ndarray, "draw mode"], Float[np.ndarray, "draw mode"]]:
        weights, where = counts.astype(np.float64), self.present.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = weights @ where
            return (
                (weights @ (self.prediction * where)) / size,
                (weights @ (self.effect * where)) / size,
            )


def effects_of(
    prediction: Float[np.ndarray, "sample mode"],
    effect: Float[np.ndarray, "sample mode"],
    present: Bool[np.ndarray, "sample mode"],
    resamples: int = 1000,
    seed: int = 0,
) -> Effects:
    """Predicted and measured changes with as many draws of the images for their intervals.

    >>> ones = np.ones((9, 2))
    >>> effects = effects_of(-ones, -0.25 * ones, ones > 0)
    >>> effects.verdict(0), float(effects.slope.value)
    ('less', 0.25)
    """
    samples = len(prediction)
    random = np.random.default_rng(seed)
    draws = random.multinomial(samples, np.full(samples, 1 / samples), size=resamples)
    return Effects(prediction, effect, present, draws)


def _correlation(x: Float[np.ndarray, " mode"], y: Float[np.ndarray, " mode"]) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 2 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return float("nan")
    return float(np.corrcoef(x[known], y[known])[0, 1])


def _slope(x: Float[np.ndarray, " mode"], y: Float[np.ndarray, " mode"]) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    square = float((x[known] ** 2).sum())
    return float((x[known] * y[known]).sum() / square) if square else float("nan")
