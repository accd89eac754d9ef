"""What a control curve is: accuracies with their intervals, as a table and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from codeclens.control.accuracy import mean_height

# The fraction that is told in words: where the reference reports its effect (METHOD.md §5). Fixed
# beforehand, so that the sentence does not pick the fraction that looks best.
TOLD = {"ablate": 0.18, "preserve": 0.25}


@dataclass(frozen=True)
class Estimate:
    """A number or an array of numbers with its 95 % bootstrap interval, all of one shape."""

    value: Float[np.ndarray, "*shape"]
    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]

    @classmethod
    def of(
        cls, value: Float[np.ndarray, "*shape"], draws: Float[np.ndarray, "draw ..."]
    ) -> Estimate:
        """An estimate from the value `(…)` and its bootstrap draws `(n, …)`.

        >>> str(Estimate.of(np.array(0.5), np.linspace(0.4, 0.6, 41)))
        '0.50 [0.41, 0.59]'
        """
        if np.isnan(draws).any():
            # Draws without a value are left out; where there is no other, so has the interval none.
            undefined = np.isnan(draws).all(axis=0)
            filled = np.where(undefined, 0.0, draws)
            bounds = np.nanquantile(filled, [0.025, 0.975], axis=0)
            bounds = np.where(undefined, np.nan, bounds)
        else:
            bounds = np.quantile(draws, [0.025, 0.975], axis=0)
        return cls(np.asarray(value), np.asarray(bounds[0]), np.asarray(bounds[1]))

    def __getitem__(self, place: int) -> Estimate:
        return Estimate(*(np.asarray(part[place]) for part in (self.value, self.low, self.high)))

    def __str__(self) -> str:
        value, low, high = (_two_digits(float(p)) for p in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    @property
    def side(self) -> int:
        """1 or −1 where the interval lies above or below zero, else 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True)
class Condition:
    """One ranking of units along the curve.

    `target` and `others` are accuracies by fraction `(F,)`, means over `trials`. `selectivity` is
    the summary of METHOD.md §5; `advantage` is by how much the mode of the class is more selective
    than this control, positive where the mode is better, None for that mode itself.
    """

    name: str
    trials: int
    target: Estimate
    others: Estimate
    selectivity: Estimate
    advantage: Estimate | None
    by_trial: Float[np.ndarray, "trial fraction 2"] = field(repr=False)


@dataclass(frozen=True)
class Setting:
    """What was asked: where, of which class, on what.

    `fractions` `(F,)` ascend; `counts` `(F,)` are the numbers of units that they are, out of
    `units`. `others` is how many other classes there are.
    """

    site: str
    kind: str
    class_index: int
    class_name: str
    others: int
    samples: int
    seed: int
    units: int
    fractions: Float[np.ndarray, " fraction"]
    counts: Int[np.ndarray, " fraction"]


@dataclass(frozen=True)
class ControlCurve(Setting):
    """Accuracy on a class and on the others along fractions of units acted on.

    `target_before` and `others_before` are the accuracies of the undisturbed network;
    `conditions[0]` is the mode of the class, the rest are the controls.
    """

    target_before: Estimate
    others_before: Estimate
    conditions: tuple[Condition, ...]

    def __getitem__(self, name: str) -> Condition:
        for condition in self.conditions:
            if condition.name == name:
                return condition
        raise KeyError(name)

    @property
    def mode(self) -> Condition:
        """The mode of the class."""
        return self.conditions[0]

    def table(self) -> list[dict[str, Any]]:
        """One row for each condition and fraction, the undisturbed network first."""
        rows = [self._row("before", 0.0, 0, self.target_before, self.others_before)]
        for condition in self.conditions:
            for place, (fraction, count) in enumerate(
                zip(self.fractions, self.counts, strict=True)
            ):
                target, others = condition.target[place], condition.others[place]
                rows.append(self._row(condition.name, float(fraction), int(count), target, others))
        return rows

    def sentence(self) -> str:
        """What happened, in words that are computed from the numbers."""
        place = int(np.argmin(np.abs(self.fractions - TOLD[self.kind])))
        verb = "Ablating" if self.kind == "ablate" else "Preserving only"
        count = int(self.counts[place])
        parts = [
            f"{verb} the {count} of {self.units} units ({100 * count / self.units:.0f} %) that "
            f"weigh most in {self.mode.name} at {self.site} takes accuracy on {self.class_name} "
            f"from {self.target_before.value:.2f} to {self.mode.target[place]} and on "
            f"{self._other_classes()} from {self.others_before.value:.2f} to "
            f"{self.mode.others[place]}."
        ]
        parts += [
            f"As many units by the control {_named(control)} take them to "
            f"{control.target[place]} and {control.others[place]}."
            for control in self.conditions[1:]
        ]
        parts.append(
            f"Over all fractions the selectivity is {self.mode.selectivity} for {self.mode.name}: "
            f"{self._meaning()}."
        )
        parts += [self._verdict(control) for control in self.conditions[1:]]
        return " ".join(parts)

    def _verdict(self, control: Condition) -> str:
        assert control.advantage is not None
        words = {1: "more", 0: "not clearly more", -1: "less"}[control.advantage.side]
        return (
            f"For {_named(control)} it is {control.selectivity}; {self.mode.name} is {words} "
            f"selective (by {control.advantage})."
        )

    def _meaning(self) -> str:
        # Better than chance is not enough: a damaged network may fall back on this very class.
        intended = -1 if self.kind == "ablate" else 1
        side = self.mode.selectivity.side
        if side == 0:
            return "the class and the others are not clearly apart"
        if side == intended:
            return "as intended, " + (
                "the class loses more" if side < 0 else "the class keeps more"
            )
        return "against intention, " + (
            "the class keeps more" if side > 0 else "the class loses more"
        )

    def _other_classes(self) -> str:
        if self.others == 1:
            return "the other class"
        return f"the {self.others} other classes"

    def _row(
        self, condition: str, fraction: float, count: int, target: Estimate, others: Estimate
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "site": self.site,
            "kind": self.kind,
            "class": self.class_name,
            "condition": condition,
            "fraction": fraction,
            "units": count,
        }
        for name, accuracy in (("target", target), ("others", others)):
            row[f"{name}_accuracy"] = float(accuracy.value)
            row[f"{name}_low"] = float(accuracy.low)
            row[f"{name}_high"] = float(accuracy.high)
        return row


def compare(
    setting: Setting,
    names: Sequence[str],
    rows: Sequence[Int[np.ndarray, "_trial fraction"]],
    accuracy: Float[np.ndarray, "condition 2"],
    draws: Float[np.ndarray, "draw condition 2"],
) -> ControlCurve:
    """The curve from the accuracies of all runs, the undisturbed one first, and their draws.

    `rows` says for every ranking, the mode of the class first, which run belongs to which trial and
    fraction.
    """
    random = np.random.default_rng(setting.seed)
    places = setting.counts / setting.units
    better = -1.0 if setting.kind == "ablate" else 1.0
    conditions: list[Condition] = []
    for name, row in zip(names, rows, strict=True):
        # Trials are drawn again as well: another run would have other random units.
        trials = random.integers(len(row), size=(len(draws), len(row)))
        redrawn = np.take_along_axis(draws[:, row], trials[:, :, None, None], axis=1).mean(axis=1)
        mean = accuracy[row].mean(axis=0)
        value = selectivity(places, mean, accuracy[0])
        values = selectivity(places, redrawn, draws[:, 0])
        advantage = None
        if not conditions:
            first = value, values
        else:
            gain = np.asarray(better * (first[0] - value))
            advantage = Estimate.of(gain, better * (first[1] - values))
        conditions.append(
            Condition(
                name,
                len(row),
                Estimate.of(mean[:, 0], redrawn[..., 0]),
                Estimate.of(mean[:, 1], redrawn[..., 1]),
                Estimate.of(value, values),
                advantage,
                accuracy[row],
            )
        )
    before = Estimate.of(accuracy[0], draws[:, 0])
    return ControlCurve(
        **vars(setting),
        target_before=before[0],
        others_before=before[1],
        conditions=tuple(conditions),
    )


def selectivity(
    places: Float[np.ndarray, " fraction"],
    accuracy: Float[np.ndarray, "*draw fraction 2"],
    before: Float[np.ndarray, "*draw 2"],
) -> Float[np.ndarray, "*draw"]:
    """`(AUC_target − AUC_others) / AUC_others` of accuracy relative to the accuracy before.

    `places` `(F,)` are shares of units, `accuracy` `(…, F, 2)` holds target and others, `before`
    is `(…, 2)`. NaN where there was no accuracy before, or the others have none along the curve.

    >>> accuracy = np.array([[0.9, 0.8], [0.0, 0.8]])
    >>> selectivity(np.array([0.1, 0.2]), accuracy, before=np.array([0.9, 0.8]))
    array(-0.5)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = accuracy / before[..., None, :]
        area = mean_height(places, np.moveaxis(relative, -1, -2))
        result = (area[..., 0] - area[..., 1]) / area[..., 1]
    return np.asarray(np.where(np.isfinite(result), result, np.nan))


def _two_digits(value: float) -> str:
    if math.isnan(value):
        return "undefined"
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def _named(control: Condition) -> str:
    trials = f" ({control.trials} trials)" if control.trials > 1 else ""
    return f'"{control.name}"{trials}'
