"""Rankings: in which order the units of a site are ablated or preserved, one class an idea."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Num

from codeclens.decomposition import Mode
from codeclens.errors import CodeclensError


@runtime_checkable
class Ranking(Protocol):
    """An order of a site's units, the ones to act on first; `name` is how results are filed.

    Anything with these two is a control: modes of activations, class means, gradients.
    """

    @property
    def name(self) -> str:
        """A short name, unique among the controls of one curve."""
        ...

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        """The units in order, once for each trial; one row where there is no chance in it."""
        ...


@dataclass(frozen=True)
class ByMode:
    """The units by the strength of a mode's entries (`Mode.top_units`).

    Raises CodeclensError where the mode has another number of units than the site.
    """

    mode: Mode

    @property
    def name(self) -> str:
        return f"mode {self.mode.index}"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        if len(self.mode.positive) != units:
            raise CodeclensError(
                f'Mode {self.mode.index} of site "{self.mode.site}" has '
                f"{len(self.mode.positive)} units, but the site to act on has {units}."
            )
        return self.mode.top_units(units)[None]


@dataclass(frozen=True)
class ByScore:
    """The units by the magnitude of any score `(U,)`: a class's mean contribution, a gradient.

    Raises CodeclensError where there is not one finite score for each unit.

    >>> ByScore("mean contribution", np.array([0.1, -3.0, 2.0])).orders(3, trials=1, seed=0)
    array([[1, 2, 0]])
    """

    name: str
    scores: Num[np.ndarray, " unit"]

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        scores = np.asarray(self.scores)
        if scores.shape != (units,) or not np.isfinite(scores).all():
            raise CodeclensError(
                f'The scores of control "{self.name}" have shape {scores.shape}; they must be one '
                f"finite number for each of the {units} units."
            )
        return np.argsort(-np.abs(scores), kind="stable")[None]


@dataclass(frozen=True)
class Random:
    """The units in an order drawn anew for every trial: what removing anything at all does.

    >>> Random().orders(4, trials=2, seed=0).shape
    (2, 4)
    """

    name: str = "random"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        random = np.random.default_rng(seed)
        return np.stack([random.permutation(units) for _ in range(trials)])


CONTROLS: dict[str, Ranking] = {"random": Random()}


def find_controls(controls: Iterable[str | Ranking]) -> list[Ranking]:
    """The rankings that names and `Ranking` objects mean.

    Raises CodeclensError for an unknown name, and where two have the same name.

    >>> [control.name for control in find_controls(["random"])]
    ['random']
    """
    found: list[Ranking] = []
    for control in controls:
        if isinstance(control, str):
            if control not in CONTROLS:
                known = ", ".join(f'"{name}"' for name in CONTROLS)
                raise CodeclensError(
                    f'There is no control "{control}"; known are {known}, '
                    "and any Ranking, such as ByScore(name, scores)."
                )
            control = CONTROLS[control]
        elif not isinstance(control, Ranking):
            raise CodeclensError(
                f"A control is a name or a Ranking, not a {type(control).__name__}."
            )
        if control.name in {other.name for other in found}:
            raise CodeclensError(f'Two rankings are called "{control.name}"; name them apart.')
        found.append(control)
    return found
