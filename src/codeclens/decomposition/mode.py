"""One mode: units that act together, and the samples in which they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from codeclens.errors import CodeclensError


@dataclass(frozen=True, eq=False, repr=False)
class Mode:
    """One mode: which units excite and suppress the target together, and in which samples.

    `positive` `(U,)` ≥ 0 and `negative` `(U,)` ≤ 0 are what one unit of loading contributes through
    each hidden unit, `weights` `(U,)` is their sum; `loadings` `(N,)` ≥ 0 says how strongly the
    mode is present in each sample. `share` is its share of the reconstructed contributions,
    `firing_rate` the share of samples with a loading above zero, and `best_class` the class whose
    indicator correlates best with the loadings, with that correlation (None without labels).
    `stability` is the cosine with which it is found again elsewhere (NaN where nobody looked).

    >>> mode = Mode("conv", 0, np.array([0.9, 0.0, 0.1]), np.array([0.0, -0.5, 0.0]), np.ones(4))
    >>> mode.weights, mode.top_units(count=2)
    (array([ 0.9, -0.5,  0.1]), array([0, 1]))
    """

    site: str
    index: int
    positive: Float[np.ndarray, " unit"]
    negative: Float[np.ndarray, " unit"]
    loadings: Float[np.ndarray, " sample"]
    share: float = float("nan")
    firing_rate: float = float("nan")
    best_class: tuple[str, float] | None = None
    stability: float = float("nan")

    @property
    def weights(self) -> Float[np.ndarray, " unit"]:
        """The net contribution of each unit, `positive + negative`, `(U,)`."""
        return np.asarray(self.positive + self.negative)

    def top_units(
        self, count: int | None = None, *, fraction: float | None = None
    ) -> Int64[np.ndarray, " top"]:
        """The units with the strongest entries, strongest first: so many, or a fraction of all.

        The strength of a unit is its larger entry, `max(positive, |negative|)`; equal ones come in
        the order of the units. A fraction above zero gives at least one. Raises CodeclensError
        unless exactly one of `count` (0 to U) and `fraction` (0 to 1) is given.
        """
        units = len(self.positive)
        if (count is None) == (fraction is None):
            given = "neither" if count is None else f"count={count} and fraction={fraction}"
            raise CodeclensError(f"Give either count or fraction of the units, not {given}.")
        if fraction is not None:
            if not 0 <= fraction <= 1:
                raise CodeclensError(f"fraction={fraction} is not between 0 and 1.")
            count = max(1, round(fraction * units)) if fraction > 0 else 0
        if not isinstance(count, int | np.integer) or not 0 <= count <= units:
            raise CodeclensError(
                f'count={count} is not a whole number from 0 to {units}, the units of "{self.site}"'
                "; for a share of them write fraction=."
            )
        strength = np.maximum(self.positive, -self.negative)
        return np.argsort(-strength, kind="stable")[:count].astype(np.int64)

    def __repr__(self) -> str:
        top = ", ".join(
            f"{unit} ({self.weights[unit]:+.2g})"
            for unit in self.top_units(count=min(3, len(self.positive)))
        )
        best = ""
        if self.best_class is not None:
            best = f', most like "{self.best_class[0]}" (r {self.best_class[1]:.2f})'
        return (
            f'Mode {self.index} of "{self.site}": {self.share:.1%} of the contributions, '
            f"in {self.firing_rate:.0%} of the samples{best}; strongest units {top}"
        )
