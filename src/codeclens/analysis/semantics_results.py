"""Results of semantics: with which classes modes and channels correlate, beyond chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from codeclens.analysis.correlations import Specificity, top_correlation
from codeclens.analysis.layers import trend_variables
from codeclens.analysis.nulls import critical_correlation, false_discovery, p_values
from codeclens.analysis.statistics import Spread
from codeclens.analysis.trend import Trend, at_sites
from codeclens.errors import counted, require_number
from codeclens.labelled import Labelled, columns_of, labels, save_table

if TYPE_CHECKING:
    import pandas
    import xarray

# The sources that are correlated with classes, in words.
FEATURES = {
    "modes": "modes of contributions",
    "activation_modes": "modes of activations",
    "contributions": "net contributions of channels",
    "activations": "activations of channels",
}
_COUNTED = FEATURES | {
    "contributions": "channels (by net contribution)",
    "activations": "channels (by activation)",
}


@dataclass(frozen=True)
class Criteria:
    """When a mode or channel counts as selective for a class.

    A correlation above `threshold`, and a false discovery rate of at most `alpha` in a test with
    `permutations` of the labels. Intervals use `resamples` draws; `seed` is for both. Raises
    CodeclensError for a threshold or alpha that is not between 0 and 1.
    """

    threshold: float = 0.2
    alpha: float = 0.05
    permutations: int = 1000
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("threshold", "alpha"):
            require_number(name, getattr(self, name), above=0, below=1)


@dataclass(frozen=True)
class Closest:
    """The class, or superclass, that each of K modes correlates with most, and its significance.

    `correlation` `(K,)` is the largest and `place` `(K,)` the class (NaN and −1 for a constant
    mode). With permuted labels the largest exceeds `critical` `(K,)` in at most a share alpha of
    cases. `p` `(K,)` are the p-values and `q` `(K,)` the same under false-discovery control.
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
        """Which modes are significant at this false discovery rate."""
        return np.asarray(self.q <= alpha)


@dataclass(frozen=True)
class Meaning:
    """With which classes the K modes, or channels, of one source at one site correlate.

    `correlation` `(K, C)` is with each class (NaN where undefined), `closest` the largest with its
    significance. `above` `(K,)` counts the classes above the threshold, `specificity` describes how
    concentrated the mean loadings are on few classes. At least one mode correlates above the
    threshold with `covered` of the `classes`. `spread` summarises the largest correlations, with an
    interval over modes or channels. Only modes have `names`. With a hierarchy,
    `superclass_correlation` `(K, S)` and `closest_superclass` are the same for superclasses.
    """

    site: str
    source: str
    correlation: Float[np.ndarray, "mode class"] = field(repr=False)
    closest: Closest = field(repr=False)
    above: Int[np.ndarray, " mode"] = field(repr=False)
    specificity: Specificity = field(repr=False)
    covered: int
    classes: int
    spread: Spread
    names: tuple[str, ...] = field(default=(), repr=False)
    superclass_correlation: Float[np.ndarray, "mode superclass"] | None = field(
        default=None, repr=False
    )
    closest_superclass: Closest | None = field(default=None, repr=False)

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
        """How many correlate with a class at this false discovery rate."""
        return int(self.closest.significant(alpha).sum())

    def beyond_chance(self, alpha: float) -> Bool[np.ndarray, " mode"]:
        """Which correlate with a class, or a superclass, at this false discovery rate."""
        found = self.closest.significant(alpha)
        if self.closest_superclass is not None:
            found = found | self.closest_superclass.significant(alpha)
        return found

    def broader(self, alpha: float) -> Bool[np.ndarray, " mode"]:
        """Which correlate with a superclass beyond chance, and more than with any class."""
        group = self.closest_superclass
        if group is None:
            return np.zeros(len(self), bool)
        return group.significant(alpha) & (group.correlation > self.closest.correlation)


@dataclass(frozen=True, eq=False, repr=False)
class Semantics(Labelled, Mapping[str, dict[str, Meaning]]):
    """Class selectivity at every site: a mapping from site to source to `Meaning`.

    Sources are `modes`, `activation_modes`, `contributions` and `activations`, as far as given.
    `criteria` holds the settings. `trends` are of `top_correlation`, `share_above` and `entropy` of
    each source with depth (`modes_top_correlation`, …), and with `superclasses` also of
    `superclass_correlation` and `share_broader`. `ambiguous` lists the classes that match several
    nodes of a hierarchy.
    """

    sites: dict[str, dict[str, Meaning]]
    classes: tuple[str, ...]
    superclasses: tuple[str, ...]
    samples: int
    criteria: Criteria
    trends: dict[str, Trend]
    ambiguous: tuple[str, ...] = ()

    def __getitem__(self, site: str) -> dict[str, Meaning]:
        return self.sites[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def of(self, source: str) -> list[Meaning]:
        """The meanings of one source in the order of depth, at the sites that have it."""
        return [found[source] for found in self.sites.values() if source in found]

    def title(self) -> str:
        """One line: samples, classes and sites."""
        return (
            f"Semantics of {counted(self.samples, 'sample')} of "
            f"{counted(len(self.classes), 'class', 'classes')} at {counted(len(self), 'site')}"
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each site and source, in the order of depth."""
        import pandas

        return pandas.DataFrame(
            [
                self._row(depth, meaning)
                for depth, found in enumerate(self.sites.values())
                for meaning in found.values()
            ]
        )

    def shown(self) -> pandas.DataFrame:
        """The main columns, for the screen."""
        columns = ("site", "source", "count", "top_correlation_median", "above", "significant")
        return self.to_dataframe().reindex(columns=columns)

    def modes_table(self, source: str = "modes") -> pandas.DataFrame:
        """One row for each mode, or channel, of a source: its name, classes and significance."""
        import pandas

        return pandas.DataFrame(
            [
                {"site": one.site, "mode": number, **row}
                for one in self.of(source)
                for number, row in enumerate(self._items(one))
            ]
        )

    def features_table(self) -> pandas.DataFrame:
        """One row for each mode and channel of all sites and sources."""
        import pandas

        return pandas.DataFrame(self._features())

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.to_dataframe())

    def to_xarray(self) -> xarray.Dataset:
        """All results as labelled arrays, for example for `to_zarr`.

        Dimensions are `site` and `source` (the table, NaN where a site lacks a source), `feature`
        (all modes and channels, as in `features_table`), with it `class` and `superclass`
        (correlations), and `quantity` (trends with depth).
        """
        import xarray

        sources = list(dict.fromkeys(source for found in self.values() for source in found))
        rows = self.to_dataframe()
        place = rows["depth"], rows["source"].map(sources.index)
        table: dict[str, Any] = {}
        for name in rows.columns.drop(["site", "depth", "source", "samples", "threshold"]):
            values = np.full((len(self), len(sources)), np.nan)
            values[place] = rows[name]
            table[name] = ("site", "source"), values
        every = [one for found in self.values() for one in found.values()]
        features = columns_of(self._features(), "feature")
        coordinates: dict[str, Any] = {
            "site": labels(list(self)),
            "source": labels(sources),
            "class": labels(self.classes),
            **{f"feature_{name}": features.pop(name) for name in ("site", "source", "number")},
        }
        for what in ("class", "superclass"):  # also names of dimensions
            if what in features:
                table[f"closest_{what}"] = features.pop(what)
        table |= features
        table["correlation"] = ("feature", "class"), np.concatenate([m.correlation for m in every])
        if self.superclasses:
            coordinates["superclass"] = labels(self.superclasses)
            found = np.concatenate([m.superclass_correlation for m in every])
            table["correlation_with_superclass"] = ("feature", "superclass"), found
        table |= trend_variables(self.trends, coordinates)
        return xarray.Dataset(
            table, coordinates, {"samples": self.samples, **asdict(self.criteria)}
        )

    def sentences(self) -> list[str]:
        """What changes with depth, in sentences computed from the numbers."""
        return _sentences(self)

    def _features(self) -> list[dict[str, Any]]:
        return [
            {"site": one.site, "source": source, "number": number, "name": "", **row}
            for found in self.sites.values()
            for source, one in found.items()
            for number, row in enumerate(self._items(one))
        ]

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
    """The median of the defined values, NaN without any.

    >>> median(np.array([1.0, np.nan, 3.0])), median(None)
    (2.0, nan)
    """
    known = np.zeros(0) if values is None else values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _sentences(semantics: Semantics) -> list[str]:
    """Correlations with classes and superclasses, by source, and how they change with depth."""
    criteria = semantics.criteria
    sources = [source for source in FEATURES if semantics.of(source)]
    lines = [
        f"{semantics.title()}; significance by "
        f"{criteria.permutations:,} permutations of the labels at a false discovery rate of "
        f"{criteria.alpha:g}; intervals are 95 % bootstrap intervals over modes or channels."
    ]
    quantities = [
        ("top_correlation", "Largest correlation with a class, median"),
        ("share_above", f"Share with a class correlation above {criteria.threshold:g}"),
        ("entropy", "Normalised entropy over classes (1 all equal, 0 one alone), median"),
    ]
    if semantics.superclasses:
        quantities += [
            ("superclass_correlation", "Largest correlation with a superclass, median"),
            (
                "share_broader",
                "Share that correlates with a superclass beyond chance and more than with any "
                "class",
            ),
        ]
    for key, words in quantities:
        parts = []
        for source in sources:
            at = [one.site for one in semantics.of(source)]
            phrase = semantics.trends[f"{source}_{key}"].words(at)
            parts.append(f"for {FEATURES[source]} it {phrase}")
        lines.append(f"{words}: " + "; ".join(parts) + ".")
    lines.append(_counts(semantics, sources))
    for one, other in (("modes", "activation_modes"), ("contributions", "activations")):
        if one in sources and other in sources:
            lines.append(_comparison(semantics, one, other))
    if "modes" in sources:
        lines += _best_modes(semantics)
    if semantics.ambiguous:
        lines.append(
            f"{counted(len(semantics.ambiguous), 'class name')} with several equally good matches "
            f'in the hierarchy (such as "{semantics.ambiguous[0]}"); the first was used.'
        )
    return lines


def _counts(semantics: Semantics, sources: Sequence[str]) -> str:
    alpha, threshold = semantics.criteria.alpha, semantics.criteria.threshold
    parts = []
    for source in sources:
        last = semantics.of(source)[-1]
        parts.append(
            f"of {len(last):,} {_COUNTED[source]}, {last.significant(alpha):,} correlate "
            f"significantly with a class and {last.count_above:,} above {threshold:g}, covering "
            f"{last.covered:,} of {last.classes:,} classes"
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
        f"Correlations with classes are larger for {FEATURES[one]} than for {FEATURES[other]} "
        f"{at_sites(higher, lower, len(both), 'smaller')}."
    )


def _best_modes(semantics: Semantics) -> list[str]:
    """The modes with the largest correlations with a class and a superclass, beyond chance."""
    alpha = semantics.criteria.alpha
    modes = semantics.of("modes")
    best = _best([(one, one.closest, one.closest.significant(alpha)) for one in modes])
    lines = ["No mode correlates with a class beyond chance."]
    if best is not None:
        lines = [f"Highest class correlation: {_in_words(best, semantics.classes, 'class')}."]
    broader = _best([(one, one.closest_superclass, one.broader(alpha)) for one in modes])
    if broader is not None:
        lines.append(
            "Highest correlation among modes that correlate more with a superclass than with any "
            f"class: {_in_words(broader, semantics.superclasses, 'superclass')}."
        )
    elif semantics.superclasses:
        lines.append(
            "Beyond chance, no mode correlates more with a superclass than with any class."
        )
    return lines


def _best(
    modes: Sequence[tuple[Meaning, Closest | None, Bool[np.ndarray, " mode"]]],
) -> tuple[Meaning, Closest, int] | None:
    """The mode with the largest correlation among those that count."""
    found: tuple[Meaning, Closest, int] | None = None
    for one, closest, counts in modes:
        if closest is None or not counts.any():
            continue
        number = int(np.where(counts, closest.correlation, -np.inf).argmax())
        if found is None or closest.correlation[number] > found[1].correlation[found[2]]:
            found = one, closest, number
    return found


def _in_words(found: tuple[Meaning, Closest, int], names: Sequence[str], group: str) -> str:
    one, closest, number = found
    closest_name = names[int(closest.place[number])]
    own = one.names[number]
    named = "" if own == closest_name else f' ("{own}")'
    return (
        f'mode {number}{named} at {one.site} with {group} "{closest_name}" '
        f"(r = {closest.correlation[number]:.2f})"
    )
