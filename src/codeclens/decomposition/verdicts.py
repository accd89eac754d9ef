"""Verdicts: whether the best autoencoder explains more than the best simple method as sparse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from codeclens.decomposition.comparison import Judged

# A tenth more modes a sample still counts as equally sparse.
_SLACK = 1.1
# Less R² than this is no reason for an autoencoder, however sure it is.
NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Contest:
    """The autoencoder with the best R² against the best classical method that is as sparse.

    `margin` is by how much the autoencoder explains more, the mean over seeds, and `low` and `high`
    its 95 % interval by Student's t over paired seeds (NaN for one seed). Either may be None where
    there was no such method.
    """

    site: str
    autoencoder: Judged | None
    simple: Judged | None
    margin: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Contest:
        """The contest at one site."""
        site = judged[0].site
        learned = [one for one in judged if not one.is_classical]
        best = max(learned, key=lambda one: float(one.r2.mean()), default=None)
        allowed = np.inf if best is None else _SLACK * float(best.l0.mean())
        simple = max(
            (one for one in judged if one.is_classical and one.l0.mean() <= allowed),
            key=lambda one: float(one.r2.mean()),
            default=None,
        )
        if best is None or simple is None:
            return cls(site, best, simple)
        gains = best.r2 - simple.r2
        return cls(site, best, simple, float(gains.mean()), *interval(gains))

    @property
    def as_well(self) -> bool:
        """Whether the simple method does as well, up to a hundredth of R²."""
        bound = self.margin if np.isnan(self.high) else self.high
        return bool(bound < NEGLIGIBLE)

    @property
    def better(self) -> bool:
        """Whether the autoencoder is better by more than a hundredth of R²."""
        bound = self.margin if np.isnan(self.low) else self.low
        return bool(bound >= NEGLIGIBLE)

    def sentence(self) -> str:
        """What came out, in words."""
        if self.autoencoder is None:
            return f"{self.site}: no autoencoder was compared."
        first = f"{self.site}: {_told(self.autoencoder)}"
        if self.simple is None:
            return f"{first}; no classical method was as sparse."
        seeds = len(self.autoencoder.seeds)
        spread = (
            "one seed only, which leaves open how sure that is"
            if seeds == 1
            else f"95 % interval {self.low:+.3f} to {self.high:+.3f} over {seeds} seeds"
        )
        ends = (
            "so the simple method does as well"
            if self.as_well
            else "so the autoencoder earns its keep"
            if self.better
            else f"so {seeds} seeds cannot tell whether the simple method does as well"
        )
        return (
            f"{first}, {_told(self.simple)}: {self.margin:+.3f} for the autoencoder ({spread}), "
            f"{ends}."
        )


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The 95 % interval of a mean by Student's t, NaN for a single value.

    >>> interval(np.array([1.0, 1.0, 1.0]))
    (1.0, 1.0)
    """
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def _told(one: Judged) -> str:
    return f"{one.method!r} explains {one.r2.mean():.3f} with {one.l0.mean():.1f} modes a sample"
