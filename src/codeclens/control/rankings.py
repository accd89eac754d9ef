"""Rankings: in which order the units of a site are ablated or preserved, one class an idea."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Num

from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError


@runtime_checkable
class Ranking(Protocol):
    """An order of a site's units, the ones to act on first.

    `name` is how results are filed; `source` says in a few words what the order comes from.
    """

    @property
    def name(self) -> str:
        """A short name, unique among the controls of one curve."""
        ...

    @property
    def source(self) -> str:
        """What the order comes from."""
        ...

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        """The units in order, once for each trial; one row where there is no chance in it."""
        ...


@dataclass(frozen=True)
class ByMode:
    """The units by the strength of a mode's entries (`Mode.top_units`).

    `called` is the name, `mode N` unless given. Raises CodeclensError where the mode has another
    number of units than the site.
    """

    mode: Mode
    called: str = ""
    source: str = "the entries of the mode that follows the class best"

    @property
    def name(self) -> str:
        return self.called or f"mode {self.mode.index}"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        if len(self.mode.positive) != units:
            raise CodeclensError(
                f'Mode {self.mode.index} of site "{self.mode.site}" has '
                f"{len(self.mode.positive)} units, but the site to act on has {units}."
            )
        return self.mode.top_units(units)[None]


@dataclass(frozen=True)
class ByScore:
    """The units by any score `(U,)`: by its magnitude, or from the largest down where `signed`.

    Equal units come in their own order. Raises CodeclensError where there is not one finite score
    for each unit.

    >>> scores = np.array([0.1, -3.0, 2.0])
    >>> ByScore("mean contribution", scores).orders(3, trials=1, seed=0)
    array([[1, 2, 0]])
    >>> ByScore("mean contribution", scores, signed=True).orders(3, trials=1, seed=0)
    array([[2, 0, 1]])
    """

    name: str
    scores: Num[np.ndarray, " unit"]
    source: str = "scores that were given"
    signed: bool = False

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        scores = np.asarray(self.scores)
        if scores.shape != (units,) or not np.isfinite(scores).all():
            raise CodeclensError(
                f'The scores of control "{self.name}" have shape {scores.shape}; they must be one '
                f"finite number for each of the {units} units."
            )
        return np.argsort(-scores if self.signed else -np.abs(scores), kind="stable")[None]


@dataclass(frozen=True)
class Random:
    """The units in an order drawn anew for every trial: what removing anything at all does.

    >>> Random().orders(4, trials=2, seed=0).shape
    (2, 4)
    """

    name: str = "random"
    source: str = "chance"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        random = np.random.default_rng(seed)
        return np.stack([random.permutation(units) for _ in range(trials)])
