"""Candidates: what might be a pathway's time course, by contribution modes and by baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.retina.evidence import Evidence
from codeclens.decomposition import Estimator

Array = np.ndarray[Any, Any]
# Candidates of one cell on the training frames and on those that are scored, `(T, candidates)`.
Pair = tuple[Float[Array, "time candidate"], Float[Array, "time candidate"]]
Makers = Mapping[str, Callable[[Evidence, Evidence, int], Pair]]


def makers(method: Estimator, *, seed: int = 0) -> Makers:
    """By name, what gives the candidates for a cell; of modes as many as `method` says a site."""
    found: dict[tuple[int, int, str, str], Pair] = {}

    def modes(train: Evidence, held: Evidence, cell: int, what: str) -> Pair:
        pairs = []
        for site in train.positive:
            # Activations are the same whatever the cell.
            key = (id(train), id(held), f"{what} {cell if what == 'contribution' else ''}", site)
            if key not in found:
                X, Y = (_data(one, site, cell, what) for one in (train, held))
                fitted = method.fit(X, seed=seed)
                found[key] = np.asarray(fitted.encode(X)), np.asarray(fitted.encode(Y))
            pairs.append(found[key])
        return joined(pairs)

    def contribution_modes(train: Evidence, held: Evidence, cell: int) -> Pair:
        return modes(train, held, cell, "contribution")

    def activation_modes(train: Evidence, held: Evidence, cell: int) -> Pair:
        return modes(train, held, cell, "activation")

    def times_rate(make: Callable[[Evidence, Evidence, int], Pair]) -> Any:
        def both(train: Evidence, held: Evidence, cell: int) -> Pair:
            Z, Y = make(train, held, cell)
            return Z * train.rates[:, cell, None], Y * held.rates[:, cell, None]

        return both

    return {
        "contribution modes": contribution_modes,
        "contributions of units": units,
        "activation modes": activation_modes,
        "pooled activations": pooled,
        "activation × rate": times_rate(pooled),
        "activation modes × rate": times_rate(activation_modes),
        "rate alone": rate_alone,
    }


def pooled(train: Evidence, held: Evidence, cell: int) -> Pair:
    """The mean activation of every unit."""
    return joined([(train.activation[s], held.activation[s]) for s in train.activation])


def rate_alone(train: Evidence, held: Evidence, cell: int) -> Pair:
    """The rate of the cell."""
    return train.rates[:, [cell]], held.rates[:, [cell]]


def units(train: Evidence, held: Evidence, cell: int) -> Pair:
    """What every unit contributes, excitation and inhibition apart, without any modes."""
    return joined(
        [
            (_data(train, site, cell, "contribution"), _data(held, site, cell, "contribution"))
            for site in train.positive
        ]
    )


def signs_apart(method: Estimator, *, seed: int = 0) -> Callable[[Evidence, Evidence, int], Pair]:
    """Modes of excitation and modes of inhibition, each found by themselves; fitted once a cell."""
    found: dict[tuple[int, int, int], Pair] = {}

    def make(train: Evidence, held: Evidence, cell: int) -> Pair:
        key = (id(train), id(held), cell)
        if key not in found:
            pairs = []
            for site in train.positive:
                for sign in ("positive", "negative"):
                    X, Y = (np.abs(getattr(one, sign)[site][:, cell]) for one in (train, held))
                    fitted = method.fit(X, seed=seed)
                    pairs.append((np.asarray(fitted.encode(X)), np.asarray(fitted.encode(Y))))
            found[key] = joined(pairs)
        return found[key]

    return make


def joined(pairs: list[Pair]) -> Pair:
    """Candidates side by side."""
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first, axis=1), np.concatenate(second, axis=1)


def _data(one: Evidence, site: str, cell: int, what: str) -> Array:
    if what == "activation":
        a = one.activation[site]
        # Where units have both signs these stand apart, as those of contributions do.
        return a if (a >= 0).all() else np.concatenate([np.maximum(a, 0), np.maximum(-a, 0)], 1)
    return np.concatenate([one.positive[site][:, cell], 0 - one.negative[site][:, cell]], axis=1)
