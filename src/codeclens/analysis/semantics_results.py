"""What semantics are: which classes modes and channels follow, as tables, files and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from codeclens.analysis.correlations import Specificity, top_correlation
from codeclens.analysis.layers import Spread, trend_phrase
from codeclens.analysis.nulls import critical_correlation, false_discovery, p_values
from codeclens.analysis.trend import Trend
from codeclens.errors import CodeclensError
from codeclens.labelled import save_table

if TYPE_CHECKING:
    import xarray
    from jaxtyping import Bool


# What may follow a class, with the words for it; contributions and activations side by side.
FOLLOWERS = {
    "modes": "modes of contributions",
    "activation_modes": "modes of activations",
    "contributions": "net contributions of channels",
    "activations": "activations of channels",
}


@dataclass(frozen=True)
class Criteria:
    """What counts as following a class, and how chance is drawn.

    A correlation above `threshold`; a false discovery rate of at most `alpha` against so many
    `permutations` of the labels. Intervals come from `resamples` draws; `seed` seeds both. Raises
    CodeclensError for a threshold or alpha that is not between 0 and 1.
    """

    threshold: float = 0.2
    alpha: float = 0.05
    permutations: int = 1000
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("threshold", "alpha"):
            if not 0 < (value := getattr(self, name)) < 1:
                raise CodeclensError(f"{name} (={value}) must lie between 0 and 1.")


@dataclass(frozen=True)
class Closest:
    """The class, or superclass, that each of K modes follows most closely, and whether by chance.

    `correlation` `(K,)` is the largest with any and `place` `(K,)` with which (NaN and −1 for one
    that does not vary); under permuted labels the largest stays below `critical` `(K,)` in all but
    a share alpha of cases. `p` and `q` `(K,)` say how surprising it is, alone and under
    false-discovery control.
    """

    correlation: Float[np.ndarray, " mode"]
    place: Int[np.ndarray, " mode"]
    critical: Float[np.ndarray, " mode"]
    p: Float[np.ndarray, " mode"]
    q: Float[np.ndarray, " mode"]

    @classmethod
    def of(
        cls,
        correlations: Float[np.ndarray, "mode group"],
        null: Float[np.ndarray, "permutation mode"],
        alpha: float,
    ) -> Closest:
        """From all correlations `(K, C)` and the largest under each permutation, `(n, K)`.

        >>> null = np.linspace(0, 0.5, 99)[:, None]
        >>> one = Closest.of(np.array([[0.1, 0.7, -0.8]]), null, alpha=0.05)
        >>> one.correlation, one.place, one.q
        (array([0.7]), array([1]), array([0.01]))
        """
        largest, place = top_correlation(correlations)
        p = p_values(largest, null)
        return cls(largest, place, critical_correlation(null, alpha), p, false_discovery(p))

    def significant(self, alpha: float) -> Bool[np.ndarray, " mode"]:
        """Which are significant at this false discovery rate."""
        return np.asarray(self.q <= alpha)


@dataclass(frozen=True)
class Meaning:
    """Which classes the K modes, or channels, of one source at one site follow.

    `correlation` `(K, C)` is with each class (NaN where undefined), `closest` the largest, held
    against chance. `above` `(K,)` counts the classes above the threshold, `specificity` tells how
    few classes the mean loadings are about, `covered` of how many `classes` at least one correlates
    above the threshold. `spread` summarises the largest correlations, its interval over modes or
    channels. `names` are there for modes. With a hierarchy, `superclass_correlation` `(K, S)` and
    `closest_superclass` tell the same of superclasses.
    """

    site: str
    source: str
    correlation: Float[np.ndarray, "mode class"]
    closest: Closest
    above: Int[np.ndarray, " mode"]
    specificity: Specificity
    covered: int
    classes: int
    spread: Spread
    names: tuple[str, ...] = ()
    superclass_correlation: Float[np.ndarray, "mode superclass"] | None = None
    closest_superclass: Closest | None = None

    def __len__(self) -> int:
        return len(self.above)

    @property
    def count_above(self) -> int:
        """How many correlate with at least one class above the threshold."""
        return int((self.above > 0).sum())

    @property
    def share_above(self) -> float:
        """The share that correlates with at least one class above the threshold."""
        return self.count_above / max(1, len(self))

    def significant(self, alpha: float) -> int:
        """How many follow a class at this false discovery rate."""
        return int(self.closest.significant(alpha).sum())

    def beyond_chance(self, alpha: float) -> Bool[np.ndarray, " mode"]:
        """Which follow a class, or a superclass, at this false discovery rate."""
        found = self.closest.significant(alpha)
        if self.closest_superclass is not None:
            found = found | self.closest_superclass.significant(alpha)
        return found

    def broader(self, alpha: float) -> Bool[np.ndarray, " mode"]:
        """Which follow a superclass beyond chance, and more closely than any class."""
        group = self.closest_superclass
        if group is None:
            return np.zeros(len(self), bool)
        return group.significant(alpha) & (group.correlation > self.closest.correlation)


@dataclass(frozen=True)
class Semantics(Mapping[str, dict[str, Meaning]]):
    """Which classes are followed at every site: a mapping from site to source to `Meaning`.

    Sources are `modes`, `activation_modes`, `contributions` and `activations`, as far as they were
    given. `criteria` is what it was computed with; `trends` tell how `top_correlation`,
    `share_above` and `entropy` of each source go with depth (`modes_top_correlation`, …), and with
    `superclasses` also `superclass_correlation` and `share_broader`. `ambiguous` lists classes that
    fit several places of a hierarchy.
    """

    sites: dict[str, dict[str, Meaning]]
    classes: tuple[str, ...]
    superclasses: tuple[str, ...]
    samples: int
    criteria: Criteria
    trends: dict[str, Trend]
    ambiguous: tuple[str, ...] = field(default=())

    def __getitem__(self, site: str) -> dict[str, Meaning]:
        return self.sites[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def of(self, source: str) -> list[Meaning]:
        """The meanings of one source in the order of depth, at the sites that have it."""
        return [found[source] for found in self.sites.values() if source in found]

    def table(self) -> list[dict[str, Any]]:
        """One row for each site and source, in the order of depth, the same columns in each."""
        return [
            self._row(depth, meaning)
            for depth, found in enumerate(self.sites.values())
            for meaning in found.values()
        ]

    def modes_table(self, source: str = "modes") -> list[dict[str, Any]]:
        """One row for each mode, or channel, of a source: its name, classes and significance."""
        return [
            {"site": one.site, "mode": number, **row}
            for one in self.of(source)
            for number, row in enumerate(self._items(one))
        ]

    def followers_table(self) -> list[dict[str, Any]]:
        """One row for each mode and channel of all sites and sources, the same columns in each."""
        return [
            {"site": one.site, "source": source, "number": number, "name": "", **row}
            for found in self.sites.values()
            for source, one in found.items()
            for number, row in enumerate(self._items(one))
        ]

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.table())

    def dataset(self) -> xarray.Dataset:
        """Everything with its names, for `to_zarr` and `to_dataframe`, which are xarray's.

        Dimensions are `site` and `source` (the table, NaN where a site has no such source),
        `follower` (a row of the table of followers: all modes and channels one below another),
        with it `class` and `superclass` (correlations), and `quantity` (trends with depth).
        """
        from codeclens.analysis.datasets import semantics_dataset

        return semantics_dataset(self)

    def sentences(self) -> list[str]:
        """What changes with depth, in plain sentences that are computed from the numbers."""

        return semantics_sentences(self)

    def _row(self, depth: int, one: Meaning) -> dict[str, Any]:
        row: dict[str, Any] = {
            "site": one.site,
            "depth": depth,
            "source": one.source,
            "count": len(one),
            "samples": self.samples,
            "classes": one.classes,
        }
        for part in ("median", "low", "high", "q25", "q75", "undefined"):
            row[f"top_correlation_{part}"] = getattr(one.spread, part)
        row |= {
            "threshold": self.criteria.threshold,
            "above": one.count_above,
            "significant": one.significant(self.criteria.alpha),
            "covered_classes": one.covered,
        }
        for name, values in zip(("entropy", "gini", "top_5_share"), one.specificity, strict=True):
            row[f"{name}_median"] = median(values)
        if (group := one.closest_superclass) is not None:
            row |= {
                "superclass_correlation_median": median(group.correlation),
                "superclass_significant": int(group.significant(self.criteria.alpha).sum()),
                "superclass_closer": int(one.broader(self.criteria.alpha).sum()),
            }
        return row

    def _items(self, one: Meaning) -> Iterator[dict[str, Any]]:
        measures = dict(zip(("entropy", "gini", "top_5_share"), one.specificity, strict=True))
        for number in range(len(one)):
            row: dict[str, Any] = {"name": one.names[number]} if one.names else {}
            row |= _closest(one.closest, number, self.classes, "class", "")
            row["classes_above"] = int(one.above[number])
            row |= {name: float(values[number]) for name, values in measures.items()}
            if (group := one.closest_superclass) is not None:
                row |= _closest(group, number, self.superclasses, "superclass", "superclass_")
            yield row


def _closest(
    one: Closest, number: int, names: Sequence[str], what: str, prefix: str
) -> dict[str, Any]:
    place = int(one.place[number])
    return {
        what: names[place] if place >= 0 else "",
        f"{what}_correlation": float(one.correlation[number]),
        f"{prefix}critical": float(one.critical[number]),
        f"{prefix}p": float(one.p[number]),
        f"{prefix}q": float(one.q[number]),
    }


def median(values: Float[np.ndarray, " mode"] | None) -> float:
    """The median of what is defined, NaN where nothing is.

    >>> median(np.array([1.0, np.nan, 3.0])), median(None)
    (2.0, nan)
    """
    known = np.zeros(0) if values is None else values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def semantics_sentences(semantics: Semantics) -> list[str]:
    """How closely classes, and superclasses, are followed, by what, and how that changes."""
    criteria = semantics.criteria
    sources = [source for source in FOLLOWERS if semantics.of(source)]
    sites = len(semantics)
    lines = [
        f"Semantics of {semantics.samples:,} samples of {len(semantics.classes):,} classes at "
        f"{sites} {'site' if sites == 1 else 'sites'}; significance by "
        f"{criteria.permutations:,} permutations of the labels at a false discovery rate of "
        f"{criteria.alpha:g}; intervals are 95 % bootstrap intervals over modes or channels."
    ]
    quantities = [
        ("top_correlation", "Largest correlation with a class, median", "{:.2f}"),
        ("share_above", f"Share that follows a class above {criteria.threshold:g}", "{:.2f}"),
        ("entropy", "Normalised entropy over classes (1 all alike, 0 one alone), median", "{:.2f}"),
    ]
    if semantics.superclasses:
        quantities += [
            ("superclass_correlation", "Largest correlation with a superclass, median", "{:.2f}"),
            (
                "share_broader",
                "Share that follows a superclass beyond chance and more closely than any class",
                "{:.2f}",
            ),
        ]
    for key, words, number in quantities:
        parts = []
        for source in sources:
            at = [one.site for one in semantics.of(source)]
            phrase = trend_phrase(semantics.trends[f"{source}_{key}"], at, number)
            parts.append(f"that of {FOLLOWERS[source]} {phrase}")
        lines.append(f"{words}: " + "; ".join(parts) + ".")
    lines.append(_counts(semantics, sources))
    for one, other in (("modes", "activation_modes"), ("contributions", "activations")):
        if one in sources and other in sources:
            lines.append(_comparison(semantics, one, other))
    if "modes" in sources:
        lines += _best_modes(semantics)
    if semantics.ambiguous:
        lines.append(
            f"{_several(len(semantics.ambiguous), 'class name')} fit several places of the "
            f'hierarchy equally well ("{semantics.ambiguous[0]}", for one); the first was taken.'
        )
    return lines


def _counts(semantics: Semantics, sources: Sequence[str]) -> str:
    alpha, threshold = semantics.criteria.alpha, semantics.criteria.threshold
    parts = []
    for source in sources:
        last = semantics.of(source)[-1]
        parts.append(
            f"of {len(last):,} {FOLLOWERS[source]}, {last.significant(alpha):,} follow a "
            f"class beyond chance and {last.count_above:,} above {threshold:g}, which "
            f"covers {last.covered:,} of {last.classes:,} classes"
        )
    places = [semantics.of(source)[-1].site for source in sources]
    same = len(set(places)) == 1
    if not same:
        parts = [f"{part} ({site})" for part, site in zip(parts, places, strict=True)]
    return f"At the last site{f' ({places[0]})' if same else ''}: " + "; ".join(parts) + "."


def _comparison(semantics: Semantics, one: str, other: str) -> str:
    both = [found for found in semantics.values() if one in found and other in found]
    higher = sum(found[one].spread.low > found[other].spread.high for found in both)
    lower = sum(found[one].spread.high < found[other].spread.low for found in both)
    return (
        f"With intervals that do not overlap, {FOLLOWERS[one]} follow classes more closely than "
        f"{FOLLOWERS[other]} at {higher} of {len(both)} sites and less closely at {lower}."
    )


def _best_modes(semantics: Semantics) -> list[str]:
    """The modes that follow a class, and a superclass, most closely, if any do beyond chance."""
    alpha = semantics.criteria.alpha
    modes = semantics.of("modes")
    best = _best([(one, one.closest, one.closest.significant(alpha)) for one in modes])
    lines = ["No mode follows a class beyond chance."]
    if best is not None:
        lines = [f"The mode that follows a class most closely is {_told(best, semantics.classes)}."]
    broader = _best([(one, one.closest_superclass, one.broader(alpha)) for one in modes])
    if broader is not None:
        lines.append(
            "Of modes that follow a superclass more closely than any class, the closest is "
            f"{_told(broader, semantics.superclasses)}."
        )
    elif semantics.superclasses:
        lines.append("No mode follows a superclass more closely than any class, beyond chance.")
    return lines


def _best(
    modes: Sequence[tuple[Meaning, Closest | None, Bool[np.ndarray, " mode"]]],
) -> tuple[Meaning, Closest, int] | None:
    """Of the modes that count, the one with the largest correlation."""
    found: tuple[Meaning, Closest, int] | None = None
    for one, closest, counts in modes:
        if closest is None or not counts.any():
            continue
        number = int(np.where(counts, closest.correlation, -np.inf).argmax())
        if found is None or closest.correlation[number] > found[1].correlation[found[2]]:
            found = one, closest, number
    return found


def _told(found: tuple[Meaning, Closest, int], names: Sequence[str]) -> str:
    one, closest, number = found
    return (
        f'mode {number} of {one.site} ("{one.names[number]}"), with a correlation of '
        f"{closest.correlation[number]:.2f} with {names[int(closest.place[number])]}"
    )


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
