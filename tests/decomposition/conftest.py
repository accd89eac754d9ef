"""Data whose modes are known, and a store that lives in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from codeclens.decomposition import Modes, TopK


class Planted(NamedTuple):
    """Samples `X` (N, D) that are sparse sums of the non-negative `motifs` (K, D)."""

    X: np.ndarray[Any, Any]
    motifs: np.ndarray[Any, Any]
    loadings: np.ndarray[Any, Any]


def plant(samples: int, units: int, motifs: int, active: int, seed: int = 0) -> Planted:
    rng = np.random.default_rng(seed)
    M = (rng.random((motifs, units)) < 0.2) * rng.gamma(2.0, 1.0, (motifs, units))
    M[np.arange(motifs), rng.integers(units, size=motifs)] += 1
    M /= np.linalg.norm(M, axis=1, keepdims=True)
    chosen = rng.random((samples, motifs)).argsort(axis=1) < active
    Z = chosen * rng.uniform(0.5, 2.0, (samples, motifs))
    X = Z @ M + 0.01 * rng.random((samples, units))
    return Planted(X.astype(np.float32), M.astype(np.float32), Z)


@pytest.fixture(scope="session")
def planted() -> Planted:
    """2,000 samples of 32 units, made of 3 out of 16 motifs each."""
    return plant(2000, 32, 16, 3)


@pytest.fixture(scope="session")
def small() -> np.ndarray[Any, Any]:
    """120 samples of 8 units, for what does not depend on the fit."""
    return plant(120, 8, 5, 2).X


@dataclass
class FakeStore:
    """A store of contributions as `decompose` sees it: 90 samples, three classes."""

    sites: list[str] = field(default_factory=lambda: ["layer1.0", "layer1.1", "h.0[1]"])
    classes: list[str] | None = field(default_factory=lambda: ["cat", "dog", "espresso"])
    metadata: dict[str, Any] = field(default_factory=lambda: {"settings": {"method": "none"}})
    n_units: int = 6

    @property
    def label(self) -> np.ndarray[Any, Any]:
        label = np.arange(90) % 3
        label[::10] = -1
        return label

    @property
    def key(self) -> np.ndarray[Any, Any]:
        return np.array([f"images/é{i}.png" for i in range(90)])

    def units(self, site: str) -> int:
        return self.n_units

    def positive(self, site: str) -> np.ndarray[Any, Any]:
        """Each class excites two units of its own."""
        rng = np.random.default_rng(self.sites.index(site))
        own = np.eye(3).repeat(2, axis=1)[np.arange(90) % 3]
        return (own * rng.uniform(0.5, 2.0, (90, 1)) + 0.01 * rng.random((90, 6))).astype("f4")

    def view(self, site: str, view: str) -> np.ndarray[Any, Any]:
        positive = self.positive(site)
        negative = -0.5 * np.roll(positive, 2, axis=1)
        made = {
            "concat": np.concatenate([positive, -negative], axis=1),
            "sum": positive + negative,
            "positive": positive,
            "negative": negative,
            "activation": positive,
        }[view]
        made.flags.writeable = False  # as an array that was read from a file may be
        return made


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture(scope="session")
def make_modes() -> Callable[..., Modes]:
    """Make the modes of two classes that two units each drive, 60 samples."""

    def make(**changed: Any) -> Modes:
        labels = np.arange(60) % 2
        own = np.eye(2).repeat(2, axis=1)[labels]
        X = own * np.random.default_rng(0).uniform(0.5, 2.0, (60, 1))
        X = np.concatenate([X, 0.3 * X[:, ::-1]], axis=1).astype(np.float32)
        fitted = TopK(n_modes=4, k=2, epochs=60).fit(X, seed=0, n_units=4)
        given: dict[str, Any] = {
            "site": "layer3.5",
            "view": "concat",
            "fitted": fitted,
            "loadings": fitted.encode(X),
            "labels": labels,
            "classes": ("cat", "espresso"),
            "keys": np.array([f"{i}.png" for i in range(60)]),
            "quality": {"r2": fitted.r2, "l0": fitted.l0, "r2_per_unit": np.arange(8.0)},
            "provenance": {"seed": 0, "contributions": {"steps": 10}},
        }
        return Modes(**(given | changed))

    return make
