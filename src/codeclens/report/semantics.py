"""How well the best mode, or the best single unit, follows each class: chosen and judged apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from codeclens.analysis.correlations import best_follower
from codeclens.decomposition import Modes
from codeclens.extraction import ContributionStore

SOURCES = ("modes", "contributions", "activations")


@dataclass(frozen=True)
class Following:
    """How well each class is followed at one site, `(classes,)` each, NaN where it is not known.

    For modes, for the net contributions and for the activations of single units alike: the
    correlation with the class's indicator of the one that follows it best. The best is chosen on
    one half of the samples and judged on the other, since the best of many looks good by chance.
    `candidates` says among how many it was chosen.
    """

    site: str
    modes: Float[np.ndarray, " class"]
    contributions: Float[np.ndarray, " class"]
    activations: Float[np.ndarray, " class"]
    candidates: dict[str, int]

    def mean(self, source: str) -> float:
        """The mean over the classes that have samples in both halves."""
        values = getattr(self, source)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def followings(store: ContributionStore, modes: dict[str, Modes], seed: int = 0) -> list[Following]:
    """How well classes are followed at every site that has modes; empty where no label is known."""
    labels = np.asarray(store.label)
    if not (labels >= 0).any():
        return []
    classes = int(labels.max()) + 1 if store.classes is None else len(store.classes)
    half = np.random.default_rng(seed).permutation(len(labels)) % 2 == 0
    found = []
    for site, one in modes.items():
        values = {
            "modes": np.asarray(one.loadings),
            "contributions": store.view(site, "sum"),
            "activations": store.view(site, "activation"),
        }
        best = {name: best_follower(v, labels, classes, half) for name, v in values.items()}
        candidates = {name: v.shape[1] for name, v in values.items()}
        found.append(Following(site, **best, candidates=candidates))
    return found
