"""Scores: how like a pathway the best candidate is, chosen on some frames and scored on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from codeclens.retina import Pathways

Array = np.ndarray[Any, Any]
# Pathways that move a cell's rate less than this share of what moves it are left out.
LEAST = 0.05


@dataclass(frozen=True)
class Pathway:
    """A pathway that matters: a cell and an interneuron, by number and name."""

    cell: int
    unit: int
    name: str
    excitatory: bool


@dataclass(frozen=True)
class Best:
    """The candidate chosen for a pathway on training frames: its number, |r| there and held out."""

    candidate: int
    train: float
    held: float


def lasting(found: Pathways, least: float = LEAST) -> list[Pathway]:
    """The pathways whose standard deviation is more than `least` of the cell's rate's."""
    spread = found.contributions.std(dim=0) / found.rates.std(dim=0)[:, None]
    return [
        Pathway(cell, unit, f"{name} → {found.cells[cell]}", name.startswith("bipolar."))
        for cell in range(len(found.cells))
        for unit, name in enumerate(found.names)
        if spread[cell, unit] > least
    ]


def correlations(
    candidates: Float[Array, "time candidate"], truth: Float[Array, " time"]
) -> Float[Array, " candidate"]:
    """Pearson's r of every candidate with the truth; 0 for a candidate that does not vary."""
    Z = candidates.astype(np.float64) - candidates.mean(axis=0, dtype=np.float64)
    y = truth.astype(np.float64) - truth.mean(dtype=np.float64)
    size = np.linalg.norm(Z, axis=0) * np.linalg.norm(y)
    least = 1e-9 * np.abs(candidates).max(axis=0, initial=0.0) * np.linalg.norm(y)
    return np.asarray(np.where(size > least, Z.T @ y / np.where(size > least, size, 1), 0.0))


def best(
    pair: tuple[Array, Array], train: Float[Array, " time"], held: Float[Array, " time"]
) -> Best:
    """Choose the candidate with the largest |r| on training frames, and score it on the others."""
    chosen = correlations(pair[0], train)
    which = int(np.abs(chosen).argmax())
    return Best(
        which,
        float(abs(chosen[which])),
        float(abs(correlations(pair[1][:, [which]], held)[0])),
    )


def interval(
    values: Sequence[float], cells: Sequence[int], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean with 95 % bounds, by draws of cells and then of each cell's pathways."""
    v, owner = np.asarray(values, np.float64), np.asarray(cells)
    groups = [v[owner == cell] for cell in np.unique(owner)]
    random = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        drawn = random.integers(len(groups), size=len(groups))
        means.append(
            np.concatenate([random.choice(groups[g], size=len(groups[g])) for g in drawn]).mean()
        )
    low, high = np.quantile(means, [0.025, 0.975])
    return float(v.mean()), float(low), float(high)


def summary(
    pathways: Sequence[Pathway], scores: Mapping[str, Sequence[float]]
) -> list[tuple[str, str, tuple[float, float, float]]]:
    """For excitation and inhibition apart, every method's mean with its bounds."""
    rows = []
    for kind in ("excitatory", "inhibitory"):
        here = [n for n, one in enumerate(pathways) if one.excitatory == (kind == "excitatory")]
        for name, values in scores.items():
            if here:
                cells = [pathways[n].cell for n in here]
                rows.append((kind, name, interval([values[n] for n in here], cells)))
    return rows
