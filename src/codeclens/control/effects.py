"""Effects: predicted and measured changes of the target, by image and mode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from codeclens.control.estimates import Estimate
from codeclens.draws import Draws, pearson
from codeclens.labelled import Labelled

if TYPE_CHECKING:
    import pandas
    import xarray

Reading = Literal["as predicted", "less", "more", "opposite", "undecided"]
# Within this factor of each other, prediction and measurement agree.
FACTOR = 2.0
# With fewer images than this an interval is meaningless.
FEWEST = 5


@dataclass(frozen=True, repr=False)
class Effects(Labelled):
    """Predicted and measured changes of the target `(N, K)`, in its units.

    Means are over the images in which a mode is `active` `(N, K)`. `counts` `(n, N)` holds how
    often each image is drawn for the intervals, the same for all modes.
    """

    prediction: Float[np.ndarray, "sample mode"]
    effect: Float[np.ndarray, "sample mode"]
    active: Bool[np.ndarray, "sample mode"]
    counts: Int[np.ndarray, "draw sample"]

    def predicted(self, place: int) -> float:
        """The mean predicted change by one mode; NaN where it is active in no image."""
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
        """Whether measured ÷ predicted is within a factor of 2 of 1, below, above, or below zero.

        Undecided where the mode is active in fewer than 5 images.
        """
        if self.active[:, place].sum() < FEWEST:
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
        """The modes, those first whose measured and predicted means differ most."""
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

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode: predicted and measured means, their ratio and the verdict."""
        import pandas

        rows = [self.row(place, "change") for place in range(self.active.shape[1])]
        return pandas.DataFrame([{"place": place, **row} for place, row in enumerate(rows)])

    def to_xarray(self) -> xarray.Dataset:
        """Predicted and measured changes, and where a mode is active, by sample and mode."""
        import xarray

        names = {"predicted": "prediction", "measured": "effect", "active": "active"}
        data = {name: (("sample", "mode"), getattr(self, of)) for name, of in names.items()}
        return xarray.Dataset(data)

    def title(self) -> str:
        """How well predictions and measurements agree over modes."""
        return f"Effects of {self.active.shape[1]} modes: correlation {self.correlation}"

    @property
    def correlation(self) -> Estimate:
        """Pearson correlation over modes of the mean measured with the mean predicted changes."""
        draws = [pearson(p, m) for p, m in zip(*self.drawn, strict=True)]
        return Estimate.of(np.asarray(pearson(*self.means)), np.array(draws))

    @property
    def slope(self) -> Estimate:
        """Measured changes relative to predicted ones: the least-squares slope through zero."""
        draws = [_slope(p, m) for p, m in zip(*self.drawn, strict=True)]
        return Estimate.of(np.asarray(_slope(*self.means)), np.array(draws))

    @cached_property
    def means(self) -> tuple[Float[np.ndarray, " mode"], Float[np.ndarray, " mode"]]:
        """The mean predicted and measured changes `(K,)` each."""
        ones = np.ones((1, len(self.active)), np.int64)
        predicted, measured = self._means(ones)
        return predicted[0], measured[0]

    @cached_property
    def drawn(self) -> tuple[Float[np.ndarray, "draw mode"], Float[np.ndarray, "draw mode"]]:
        """The same in each draw `(n, K)`."""
        return self._means(self.counts)

    def _means(
        self, counts: Int[np.ndarray, "draw sample"]
    ) -> tuple[Float[np.ndarray, "draw mode"], Float[np.ndarray, "draw mode"]]:
        weights, where = counts.astype(np.float64), self.active.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = weights @ where
            return (
                (weights @ (self.prediction * where)) / size,
                (weights @ (self.effect * where)) / size,
            )


def effects_of(
    prediction: Float[np.ndarray, "sample mode"],
    effect: Float[np.ndarray, "sample mode"],
    active: Bool[np.ndarray, "sample mode"],
    draws: Draws | None = None,
) -> Effects:
    """Predicted and measured changes, with bootstrap draws of the images for their intervals.

    >>> ones = np.ones((9, 2))
    >>> effects = effects_of(-ones, -0.25 * ones, ones > 0)
    >>> effects.verdict(0), float(effects.slope.value)
    ('less', 0.25)
    """
    samples, draws = len(prediction), draws or Draws()
    counts = draws.random().multinomial(samples, np.full(samples, 1 / samples), size=draws.n)
    return Effects(prediction, effect, active, counts)


def _slope(x: Float[np.ndarray, " mode"], y: Float[np.ndarray, " mode"]) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    square = float((x[known] ** 2).sum())
    return float((x[known] * y[known]).sum() / square) if square else float("nan")
