"""Estimates: numbers with 95 % intervals, and paired comparisons of one with several others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from jaxtyping import Float

from codeclens.draws import interval
from codeclens.errors import CodeclensError, counted
from codeclens.labelled import Labelled, columns_of

if TYPE_CHECKING:
    import pandas
    import xarray

# A value no farther from zero than this may be rounding in the mean of equal numbers.
ROUNDING = 1e-9
Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True)
class Estimate:
    """A number or an array of numbers with its 95 % bootstrap interval, all of one shape."""

    value: Float[np.ndarray, "*shape"]
    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]

    @classmethod
    def of(
        cls, value: Float[np.ndarray, "*shape"], draws: Float[np.ndarray, "draw ..."]
    ) -> Estimate:
        """An estimate from the value `(…)` and its bootstrap draws `(n, …)`.

        >>> str(Estimate.of(np.array(0.5), np.linspace(0.4, 0.6, 41)))
        '0.50 [0.41, 0.59]'
        """
        return cls(np.asarray(value), *interval(draws))

    def __getitem__(self, place: int) -> Estimate:
        return Estimate(*(np.asarray(part[place]) for part in (self.value, self.low, self.high)))

    def __str__(self) -> str:
        value, low, high = (two_digits(float(p)) for p in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    @property
    def side(self) -> int:
        """1 or −1 where the interval lies above or below zero, else 0."""
        return int(self.low > ROUNDING) - int(self.high < -ROUNDING)

    @property
    def verdict(self) -> Verdict:
        """ "better" or "worse" where the interval lies above or below zero, else "undecided"."""
        return verdict(self.side)


def verdict(side: int) -> Verdict:
    """The word for a side of zero.

    >>> verdict(1), verdict(0), verdict(-1)
    ('better', 'undecided', 'worse')
    """
    if side == 0:
        return "undecided"
    return "better" if side > 0 else "worse"


def two_digits(value: float) -> str:
    """A number with two decimals; "undefined" for NaN.

    >>> two_digits(-0.001), two_digits(float("nan"))
    ('0.00', 'undefined')
    """
    if math.isnan(value):
        return "undefined"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


ALPHA = 0.05
# Up to so many pairs all flips of signs are taken, beyond a sample of as many as these are.
_EXACT = 14
_DRAWS = 10_000


@dataclass(frozen=True)
class PairedComparison:
    """A mean difference over pairs: positive where the tested values are better than `control`.

    `difference` is the mean with its 95 % interval by paired bootstrap over the `pairs`; `wins` and
    `losses` count them. `p` is from the two-sided sign-flip test, `adjusted` is p after Holm's
    correction for all controls, and `least` is the smallest corrected p that this number of pairs
    allows, in the strictest case.
    """

    control: str
    pairs: int
    wins: int
    losses: int
    difference: Estimate
    p: float
    adjusted: float
    least: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse where the corrected test is significant, else undecided."""
        if not self.adjusted <= ALPHA:  # NaN, too, decides nothing
            return "undecided"
        return verdict(int(np.sign(self.difference.value)))

    @property
    def decidable(self) -> bool:
        """Whether there are enough pairs for any difference at all to pass the test."""
        return self.least <= ALPHA

    def row(self) -> dict[str, Any]:
        """The columns of a table for one control."""
        return {
            "control": self.control,
            "pairs": self.pairs,
            "better_in": self.wins,
            "worse_in": self.losses,
            "difference": float(self.difference.value),
            "difference_low": float(self.difference.low),
            "difference_high": float(self.difference.high),
            "p": self.p,
            "p_corrected": self.adjusted,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, repr=False)
class Comparisons(Sequence[PairedComparison], Labelled):
    """Paired comparisons of one thing with every control, corrected for all of them together."""

    all: tuple[PairedComparison, ...]

    @overload
    def __getitem__(self, place: int) -> PairedComparison: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[PairedComparison]: ...
    def __getitem__(self, place: int | slice) -> PairedComparison | Sequence[PairedComparison]:
        return self.all[place]

    def __len__(self) -> int:
        return len(self.all)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each control: the mean difference over pairs, and the test."""
        import pandas

        return pandas.DataFrame([one.row() for one in self.all])

    def to_xarray(self) -> xarray.Dataset:
        """The same columns along the dimension `comparison`."""
        import xarray

        return xarray.Dataset(columns_of([one.row() for one in self.all], "comparison"))

    def title(self) -> str:
        """How many comparisons there are, and over how many pairs."""
        pairs = self.all[0].pairs if self.all else 0
        over = counted(pairs, "pair")
        return f"Comparison with {counted(len(self), 'control')} over {over} (sign flips, Holm)"


def compare_pairs(
    tested: Float[np.ndarray, " pair"],
    controls: Mapping[str, Float[np.ndarray, " pair"]],
    seed: int = 0,
) -> Comparisons:
    """Compare values `(C,)` with those of every control, pair by pair; larger is better.

    Pairs with NaN are left out. Raises CodeclensError where lengths differ.

    >>> found = compare_pairs(np.arange(10.0) + 1, {"chance": np.arange(10.0)})
    >>> found[0].verdict, found[0].wins, round(found[0].p, 4)
    ('better', 10, 0.002)
    """
    gaps = {}
    for name, values in controls.items():
        if values.shape != tested.shape:
            raise CodeclensError(
                f'The control "{name}" has {len(values)} values for {len(tested)} pairs.'
            )
        gap = tested - values
        gap = gap[np.isfinite(gap)]
        gaps[name] = np.where(np.abs(gap) > ROUNDING, gap, 0.0)
    p = [sign_flip(gap, seed) for gap in gaps.values()]
    found = []
    for (name, gap), raw, adjusted in zip(gaps.items(), p, holm(np.array(p)), strict=True):
        found.append(
            PairedComparison(
                control=name,
                pairs=len(gap),
                wins=int((gap > 0).sum()),
                losses=int((gap < 0).sum()),
                difference=mean_estimate(gap, seed),
                p=raw,
                adjusted=float(adjusted),
                least=min(1.0, len(gaps) * 2.0 ** (1 - len(gap))) if len(gap) else 1.0,
            )
        )
    return Comparisons(tuple(found))


def sign_flip(differences: Float[np.ndarray, " pair"], seed: int = 0) -> float:
    """The probability of a mean as far from zero under random sign flips, two-sided.

    Exact up to 14 differences; beyond, `(1 + #{as far}) / (1 + n)` of 10,000 draws (Phipson and
    Smyth 2010). NaN without differences.

    >>> sign_flip(np.array([1.0, 2.0, 3.0]))
    0.25
    """
    if not len(differences):
        return float("nan")
    size = np.abs(differences)
    reach = abs(float(differences.sum())) * (1 - 1e-9)
    if len(differences) <= _EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(differences))))
        return float((np.abs(signs @ size) >= reach).mean())
    random = np.random.default_rng(seed)
    signs = random.choice((1.0, -1.0), size=(_DRAWS, len(differences)))
    return float((1 + (np.abs(signs @ size) >= reach).sum()) / (1 + _DRAWS))


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """P-values corrected so that the chance of any false finding among all is as stated, `(M,)`.

    NaN stays and does not count as a test (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * (len(order) - np.arange(len(order)))
    result = np.full(len(p), np.nan)
    result[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return result


def mean_estimate(values: Float[np.ndarray, "pairs ..."], seed: int = 0) -> Estimate:
    """The mean over the first axis, leaving NaN out, with its interval by bootstrap over it.

    >>> str(mean_estimate(np.full(5, 0.25)))
    '0.25 [0.25, 0.25]'
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        nothing = np.full(values.shape[1:], np.nan)
        return Estimate(nothing, nothing, nothing)
    random = np.random.default_rng(seed)
    counts = random.multinomial(len(values), np.full(len(values), 1 / len(values)), size=2000)
    known = np.isfinite(values)
    flat = np.where(known, values, 0.0).reshape(len(values), -1)
    counted = known.reshape(len(values), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        draws = (counts @ flat) / (counts @ counted)
        mean = flat.sum(axis=0) / counted.sum(axis=0)
    shape = values.shape[1:]
    return Estimate.of(mean.reshape(shape), draws.reshape(len(draws), *shape))
