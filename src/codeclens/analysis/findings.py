"""What semantics are: which classes modes and channels follow, as tables, files and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.correlations import Specificity
from codeclens.analysis.results import Spread
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
        from codeclens.analysis.semantics_words import semantics_sentences

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
