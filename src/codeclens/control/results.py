"""What a control curve is: means with their intervals along fractions of units, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

from codeclens.control.estimates import Estimate
from codeclens.control.rankings import Ranking
from codeclens.control.sides import mean_height


@dataclass(frozen=True)
class Condition:
    """One ranking of units along the curve.

    `target` and `others` are accuracies by fraction `(F,)`, means over `trials`; `target_logit` and
    `others_logit` are the logits of the images' own classes. `selectivity` is the summary of
    METHOD.md §5. `logit_effect` is the mean over the curve by which the class's own logit rises
    more than those of others do, in logits: below zero where ablation hits the class more.
    `advantage` and `logit_advantage` are by how much the mode of the class is more selective than
    this control, positive where the mode is better, None for that mode itself.
    """

    name: str
    source: str
    trials: int
    target: Estimate
    others: Estimate
    target_logit: Estimate
    others_logit: Estimate
    selectivity: Estimate
    logit_effect: Estimate
    advantage: Estimate | None
    logit_advantage: Estimate | None
    by_trial: Float[np.ndarray, "trial fraction 2"] = field(repr=False)


@dataclass(frozen=True)
class Setting:
    """What was asked: where, of which class or classes, on what.

    `members` are the classes of the one side, `others` how many there are on the other. `fractions`
    `(F,)` ascend; `counts` `(F,)` are the numbers of units that they are, out of `units`.
    """

    site: str
    kind: str
    members: tuple[int, ...]
    class_name: str
    others: int
    samples: int
    seed: int
    units: int
    fractions: Float[np.ndarray, " fraction"]
    counts: Int[np.ndarray, " fraction"]


@dataclass(frozen=True)
class ControlCurve(Setting):
    """Accuracy and logits of a class and of the others along fractions of units acted on.

    `target_before` and `others_before` are the accuracies of the undisturbed network,
    `target_logit_before` and `others_logit_before` its logits; `conditions[0]` is the mode of the
    class, the rest are the controls.
    """

    target_before: Estimate
    others_before: Estimate
    target_logit_before: Estimate
    others_logit_before: Estimate
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
        before = [getattr(self, f"{name}_before") for name in _MEANS]
        rows = [self._row("before", 0.0, 0, before)]
        for condition in self.conditions:
            means = [getattr(condition, name) for name in _MEANS]
            for place, (fraction, count) in enumerate(
                zip(self.fractions, self.counts, strict=True)
            ):
                here = [mean[place] for mean in means]
                rows.append(self._row(condition.name, float(fraction), int(count), here))
        return rows

    def sentence(self) -> str:
        """What happened, in words that are computed from the numbers."""
        from codeclens.control.words import curve_sentence

        return curve_sentence(self)

    def to_json(self) -> dict[str, Any]:
        """Everything in plain values, from which `from_json` makes the same curve again."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """The curve that `to_json` wrote."""
        values = dict(content)
        for name in (f"{mean}_before" for mean in _MEANS):
            values[name] = _estimate(values[name])
        values["members"] = tuple(values["members"])
        values["fractions"] = np.array(values["fractions"], np.float64)
        values["counts"] = np.array(values["counts"], np.int64)
        values["conditions"] = tuple(_condition(one) for one in values["conditions"])
        return cls(**values)

    def _row(
        self, condition: str, fraction: float, count: int, means: Sequence[Estimate]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "site": self.site,
            "kind": self.kind,
            "class": self.class_name,
            "condition": condition,
            "fraction": fraction,
            "units": count,
        }
        for name, mean in zip(_COLUMNS, means, strict=True):
            row[name] = float(mean.value)
            row[f"{name}_low"] = float(mean.low)
            row[f"{name}_high"] = float(mean.high)
        return row


# What is measured on both sides, and what the columns of tables call it.
_MEANS = ("target", "others", "target_logit", "others_logit")
_COLUMNS = ("target_accuracy", "others_accuracy", "target_logit", "others_logit")


@dataclass(frozen=True)
class Measured:
    """One quantity on both sides for all runs `(R, 2)`, the undisturbed one first, and its draws.

    `draws` is `(n, R, 2)`.
    """

    values: Float[np.ndarray, "run 2"]
    draws: Float[np.ndarray, "draw run 2"]


def compare(
    setting: Setting,
    rankings: Sequence[Ranking],
    rows: Sequence[Int[np.ndarray, "_trial fraction"]],
    accuracy: Measured,
    logit: Measured,
) -> ControlCurve:
    """The curve from what was measured in all runs, the undisturbed one first.

    `rows` says for every ranking, the mode of the class first, which run belongs to which trial and
    fraction.
    """
    random = np.random.default_rng(setting.seed)
    places = setting.counts / setting.units
    better = -1.0 if setting.kind == "ablate" else 1.0
    conditions: list[Condition] = []
    first: list[tuple[Any, Any]] = []
    for ranking, row in zip(rankings, rows, strict=True):
        # Trials are drawn again as well: another run would have other random units.
        trials = random.integers(len(row), size=(len(accuracy.draws), len(row)))
        means, redrawn = _over_trials(accuracy, row, trials)
        logits, logits_redrawn = _over_trials(logit, row, trials)
        summaries = [
            (
                selectivity(places, means, accuracy.values[0]),
                selectivity(places, redrawn, accuracy.draws[:, 0]),
            ),
            (
                rise(places, logits, logit.values[0]),
                rise(places, logits_redrawn, logit.draws[:, 0]),
            ),
        ]
        advantages: list[Estimate | None] = [None, None]
        if first:
            advantages = [
                Estimate.of(np.asarray(better * (a[0] - b[0])), better * (a[1] - b[1]))
                for a, b in zip(first, summaries, strict=True)
            ]
        first = first or summaries
        (value, values), (effect, effects) = summaries
        conditions.append(
            Condition(
                name=ranking.name,
                source=ranking.source,
                trials=len(row),
                target=Estimate.of(means[:, 0], redrawn[..., 0]),
                others=Estimate.of(means[:, 1], redrawn[..., 1]),
                target_logit=Estimate.of(logits[:, 0], logits_redrawn[..., 0]),
                others_logit=Estimate.of(logits[:, 1], logits_redrawn[..., 1]),
                selectivity=Estimate.of(np.asarray(value), values),
                logit_effect=Estimate.of(np.asarray(effect), effects),
                advantage=advantages[0],
                logit_advantage=advantages[1],
                by_trial=accuracy.values[row],
            )
        )
    before: dict[str, Any] = {
        f"{prefix}{suffix}_before": Estimate.of(of.values[0], of.draws[:, 0])[side]
        for suffix, of in (("", accuracy), ("_logit", logit))
        for side, prefix in enumerate(("target", "others"))
    }
    return ControlCurve(**vars(setting), **before, conditions=tuple(conditions))


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


def rise(
    places: Float[np.ndarray, " fraction"],
    logits: Float[np.ndarray, "*draw fraction 2"],
    before: Float[np.ndarray, "*draw 2"],
) -> Float[np.ndarray, "*draw"]:
    """By how much the target's logit rises more than the others', mean along the curve, in logits.

    >>> logits = np.array([[4.0, 5.0], [1.0, 5.0]])
    >>> rise(np.array([0.1, 0.2]), logits, before=np.array([4.0, 6.0]))
    array(-0.5)
    """
    change = mean_height(places, np.moveaxis(logits - before[..., None, :], -1, -2))
    return np.asarray(change[..., 0] - change[..., 1])


def _over_trials(
    of: Measured, row: Int[np.ndarray, "trial fraction"], trials: Int[np.ndarray, "draw trial"]
) -> tuple[Float[np.ndarray, "fraction 2"], Float[np.ndarray, "draw fraction 2"]]:
    redrawn = np.take_along_axis(of.draws[:, row], trials[:, :, None, None], axis=1).mean(axis=1)
    return of.values[row].mean(axis=0), redrawn


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate | Condition):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _estimate(content: Mapping[str, Any] | None) -> Any:
    if content is None:
        return None
    return Estimate(**{name: np.array(value, np.float64) for name, value in content.items()})


def _condition(content: Mapping[str, Any]) -> Condition:
    values = {
        name: _estimate(value) if value is None or isinstance(value, Mapping) else value
        for name, value in content.items()
    }
    return Condition(**{**values, "by_trial": np.array(values["by_trial"], np.float64)})
