"""What semantics are: which classes modes and channels follow, as tables, files and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.correlations import Specificity
from codeclens.analysis.results import Spread, trend_phrase
from codeclens.analysis.tables import save_table
from codeclens.analysis.trend import Trend

# What may follow a class, with the words for it; contributions and activations side by side.
FOLLOWERS = {
    "modes": "modes of contributions",
    "activation_modes": "modes of activations",
    "contributions": "net contributions of channels",
    "activations": "activations of channels",
}


@dataclass(frozen=True)
class Meaning:
    """Which classes the K modes, or channels, of one source at one site follow.

    `top` `(K,)` is each one's largest correlation with a class and `top_class` `(K,)` which (NaN
    and −1 for one that does not vary), `p` and `q` `(K,)` how surprising that is under permuted
    labels, alone and under false-discovery control. `above` `(K,)` counts the classes above the
    threshold, `specificity` tells how few classes the mean loadings are about, `covered` of how
    many `classes` at least one correlates above the threshold. `spread` summarises `top`, its
    interval over modes or channels. `names` are there for modes. With a hierarchy,
    `superclass_top`, `superclass` and `superclass_q` `(K,)` tell the same of superclasses.
    """

    site: str
    source: str
    top: Float[np.ndarray, " mode"]
    top_class: Int[np.ndarray, " mode"]
    p: Float[np.ndarray, " mode"]
    q: Float[np.ndarray, " mode"]
    above: Int[np.ndarray, " mode"]
    specificity: Specificity
    covered: int
    classes: int
    spread: Spread
    names: tuple[str, ...] = ()
    superclass_top: Float[np.ndarray, " mode"] | None = None
    superclass: Int[np.ndarray, " mode"] | None = None
    superclass_q: Float[np.ndarray, " mode"] | None = None

    def __len__(self) -> int:
        return len(self.top)

    @property
    def count_above(self) -> int:
        """How many correlate with at least one class above the threshold."""
        return int((self.above > 0).sum())

    def significant(self, alpha: float) -> int:
        """How many are significant at this false discovery rate."""
        return int((self.q <= alpha).sum())


@dataclass(frozen=True)
class Semantics(Mapping[str, dict[str, Meaning]]):
    """Which classes are followed at every site: a mapping from site to source to `Meaning`.

    Sources are `modes`, `activation_modes`, `contributions` and `activations`, as far as they were
    given. `threshold`, `alpha` and `permutations` are what it was computed with; `trends` tell how
    `top_correlation`, `share_above` and `entropy` of each source go with depth
    (`modes_top_correlation`, …). `ambiguous` lists classes that fit several places of a hierarchy.
    """

    sites: dict[str, dict[str, Meaning]]
    classes: tuple[str, ...]
    superclasses: tuple[str, ...]
    samples: int
    threshold: float
    alpha: float
    permutations: int
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
        return [row for meaning in self.of(source) for row in self._items(meaning)]

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.table())

    def sentences(self) -> list[str]:
        """What changes with depth, in plain sentences that are computed from the numbers."""
        return _sentences(self)

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
            "threshold": self.threshold,
            "above": one.count_above,
            "significant": one.significant(self.alpha),
            "covered_classes": one.covered,
        }
        for name, values in zip(("entropy", "gini", "top_5_share"), one.specificity, strict=True):
            row[f"{name}_median"] = median(values)
        if self.superclasses:
            row["superclass_correlation_median"] = median(one.superclass_top)
            row["superclass_significant"] = (
                None if one.superclass_q is None else int((one.superclass_q <= self.alpha).sum())
            )
        return row

    def _items(self, one: Meaning) -> Iterator[dict[str, Any]]:
        for number in range(len(one)):
            top = int(one.top_class[number])
            row: dict[str, Any] = {"site": one.site, "mode": number}
            if one.names:
                row["name"] = one.names[number]
            row |= {
                "class": self.classes[top] if top >= 0 else "",
                "class_correlation": float(one.top[number]),
                "p": float(one.p[number]),
                "q": float(one.q[number]),
                "classes_above": int(one.above[number]),
            }
            for name, values in zip(
                ("entropy", "gini", "top_5_share"), one.specificity, strict=True
            ):
                row[name] = float(values[number])
            if one.superclass is not None and one.superclass_top is not None:
                place = int(one.superclass[number])
                row["superclass"] = self.superclasses[place] if place >= 0 else ""
                row["superclass_correlation"] = float(one.superclass_top[number])
                if one.superclass_q is not None:
                    row["superclass_q"] = float(one.superclass_q[number])
            yield row


def median(values: Float[np.ndarray, " mode"] | None) -> float:
    """The median of what is defined, NaN where nothing is.

    >>> median(np.array([1.0, np.nan, 3.0])), median(None)
    (2.0, nan)
    """
    known = np.zeros(0) if values is None else values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _sentences(semantics: Semantics) -> list[str]:
    sources = [source for source in FOLLOWERS if semantics.of(source)]
    sites = len(semantics)
    lines = [
        f"Semantics of {semantics.samples:,} samples of {len(semantics.classes):,} classes at "
        f"{sites} {'site' if sites == 1 else 'sites'}; significance by "
        f"{semantics.permutations:,} permutations of the labels at a false discovery rate of "
        f"{semantics.alpha:g}; intervals are 95 % bootstrap intervals over modes or channels."
    ]
    quantities = [
        ("top_correlation", "Largest correlation with a class, median", "{:.2f}"),
        ("share_above", f"Share that follows a class above {semantics.threshold:g}", "{:.2f}"),
        ("entropy", "Normalised entropy over classes (1 all alike, 0 one alone), median", "{:.2f}"),
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
        lines += _best_mode(semantics)
    if semantics.ambiguous:
        lines.append(
            f"{_several(len(semantics.ambiguous), 'class name')} fit several places of the "
            f'hierarchy equally well ("{semantics.ambiguous[0]}", for one); the first was taken.'
        )
    return lines


def _counts(semantics: Semantics, sources: Sequence[str]) -> str:
    parts = []
    for source in sources:
        last = semantics.of(source)[-1]
        parts.append(
            f"of {len(last):,} {FOLLOWERS[source]}, {last.significant(semantics.alpha):,} follow a "
            f"class beyond chance and {last.count_above:,} above {semantics.threshold:g}, which "
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


def _best_mode(semantics: Semantics) -> list[str]:
    """The mode that follows a class most closely, if one does beyond chance."""
    best = None
    for one in semantics.of("modes"):
        top = np.where(one.q <= semantics.alpha, one.top, -np.inf)
        if len(top) and np.isfinite(top.max()) and (best is None or top.max() > best[0]):
            best = (float(top.max()), one, int(top.argmax()))
    if best is None:
        return ["No mode follows a class beyond chance."]
    value, one, number = best
    return [
        f"The mode that follows a class most closely is mode {number} of {one.site} "
        f'("{one.names[number]}"), with a correlation of {value:.2f} with '
        f"{semantics.classes[int(one.top_class[number])]}."
    ]


def _several(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
