"""Control curves: how an intervention on a mode's units changes its class and all the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Float, Int

from codeclens.control.controls import Ranking
from codeclens.control.estimates import Estimate
from codeclens.control.measurements import mean_height
from codeclens.labelled import Labelled

if TYPE_CHECKING:
    import pandas
    import xarray


@dataclass(frozen=True)
class Condition:
    """One ranking of units along the curve.

    `target` and `others` are accuracies by fraction `(F,)`, means over `trials`; `target_logit` and
    `others_logit` are the logits of the images' own classes. `selectivity` is the summary of
    method.md §5. `logit_effect` is how much more the class's own logit rises than those of others,
    as a mean over the curve, in logits: below zero where ablation affects the class more.
    `advantage` and `logit_advantage` say how much more selective the mode of the class is than this
    control: positive where the mode is better, None for that mode itself.
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


@dataclass(frozen=True, repr=False)
class Setting:
    """The settings of a curve: the site, the class or classes, and the images.

    `members` are the classes on one side, `others` is the number of classes on the other.
    `fractions` `(F,)` ascend; `counts` `(F,)` are the corresponding numbers of units, out of
    `units`. `off` names the value that units are set to when they are switched off.
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
    off: str = "0"


@dataclass(frozen=True, repr=False)
class ControlCurve(Setting, Labelled):
    """Accuracy and logits of a class and of the others, by the fraction of units acted on.

    `target_before` and `others_before` are the accuracies of the undisturbed network,
    `target_logit_before` and `others_logit_before` its logits. `conditions[0]` is the mode of the
    class, the others are the controls.
    """

    target_before: Estimate = field(kw_only=True)
    others_before: Estimate = field(kw_only=True)
    target_logit_before: Estimate = field(kw_only=True)
    others_logit_before: Estimate = field(kw_only=True)
    conditions: tuple[Condition, ...] = field(kw_only=True)

    def __getitem__(self, name: str) -> Condition:
        for condition in self.conditions:
            if condition.name == name:
                return condition
        raise KeyError(name)

    @property
    def mode(self) -> Condition:
        """The mode of the class."""
        return self.conditions[0]

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each condition and fraction, the undisturbed network first."""
        import pandas

        return pandas.DataFrame(self.rows())

    def shown(self) -> pandas.DataFrame:
        """Accuracies and logits without their intervals, for the screen."""
        return self.to_dataframe()[["condition", "fraction", "units", *_COLUMNS]]

    def to_xarray(self) -> xarray.Dataset:
        """Accuracies and logits by condition, fraction and bound, and the summaries by condition.

        The `bound` of every estimate is "value", "low" or "high", the ends of its 95 % interval.
        """
        import xarray

        bounds = ("value", "low", "high")
        data: dict[str, Any] = {}
        for name, column in zip(_MEANS, _COLUMNS, strict=True):
            estimates = [getattr(one, name) for one in self.conditions]
            values = [[getattr(one, part) for part in bounds] for one in estimates]
            data[column] = (("condition", "bound", "fraction"), np.array(values))
            before = getattr(self, f"{name}_before")
            data[f"{column}_before"] = ("bound", [float(getattr(before, p)) for p in bounds])
        for name in _SUMMARIES:
            summaries = [getattr(one, name) for one in self.conditions]
            rows = [[np.nan if s is None else float(getattr(s, p)) for p in bounds]
                    for s in summaries]  # fmt: skip
            data[name] = (("condition", "bound"), np.array(rows))
        coordinates = {
            "condition": [one.name for one in self.conditions],
            "bound": list(bounds),
            "fraction": self.fractions,
            "units_acted_on": ("fraction", self.counts),
        }
        about = {name: getattr(self, name) for name in ("site", "kind", "class_name", "off")}
        return xarray.Dataset(data, coordinates, {**about, "units": self.units})

    def title(self) -> str:
        """What was done to which class, and the selectivity of its mode."""
        verb = "Ablation" if self.kind == "ablate" else "Preservation"
        return (
            f"{verb} at {self.site}, {self.class_name}, {set_to(self.kind, self.off)}: selectivity "
            f"{self.mode.selectivity} by {self.mode.name}"
        )

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `to_dataframe`, as plain values."""
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
        """The result in words, computed from the numbers."""
        return curve_sentence(self)

    def to_json(self) -> dict[str, Any]:
        """Everything in plain values, from which `from_json` makes an equal curve."""
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
            "off": self.off,
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
_SUMMARIES = ("selectivity", "logit_effect", "advantage", "logit_advantage")


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
    """The curve, from the measurements of all runs, the undisturbed one first.

    `rows` holds, for every ranking (the mode of the class first), the run of each trial and
    fraction.
    """
    random = np.random.default_rng(setting.seed)
    places = setting.counts / setting.units
    better = -1.0 if setting.kind == "ablate" else 1.0
    conditions: list[Condition] = []
    first: list[tuple[Any, Any]] = []
    for ranking, row in zip(rankings, rows, strict=True):
        # Trials are resampled, too: another run would have other random units.
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
    """How much more the target's logit rises than the others', a mean along the curve, in logits.

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


# The fraction that sentences report: where the published method reports its effect (method.md §5).
# It is fixed beforehand, so that a sentence does not pick the fraction that looks best.
REPORTED = {"ablate": 0.18, "preserve": 0.25}


def curve_sentence(curve: ControlCurve) -> str:
    """The effect at one fraction and over all of them, compared with each control."""
    place = int(np.argmin(np.abs(curve.fractions - REPORTED[curve.kind])))
    verb = "Ablating" if curve.kind == "ablate" else "Preserving only"
    count = int(curve.counts[place])
    mode = curve.mode
    parts = [
        f"{verb} the {count} of {curve.units} units ({100 * count / curve.units:.0f} %) that rank "
        f"highest in {mode.name} at {curve.site} ({off_words(curve)}) changes accuracy on "
        f"{curve.class_name} from {curve.target_before.value:.2f} to {mode.target[place]} and on "
        f"{_other_classes(curve)} from {curve.others_before.value:.2f} to "
        f"{mode.others[place]}; the logit of each image's own class changes from "
        f"{curve.target_logit_before.value:.2f} to {mode.target_logit[place]} and from "
        f"{curve.others_logit_before.value:.2f} to {mode.others_logit[place]}."
    ]
    parts += [
        f"The same number of units chosen by the control {_named(control)} changes accuracy to "
        f"{control.target[place]} and {control.others[place]}."
        for control in curve.conditions[1:]
    ]
    parts.append(
        f"Over all fractions the selectivity of {mode.name} is {mode.selectivity}: "
        f"{_meaning(curve)}."
    )
    parts += [_verdict(mode, control) for control in curve.conditions[1:]]
    return " ".join(parts)


def set_to(kind: str, off: str) -> str:
    """What units are set to, for titles."""
    return f"{'ablated' if kind == 'ablate' else 'other'} units set to {off}"


def off_words(curve: Setting) -> str:
    """What units are set to, in words."""
    which = "set to" if curve.kind == "ablate" else "all others set to"
    return f"{which} {curve.off}"


def _verdict(mode: Condition, control: Condition) -> str:
    assert control.advantage is not None
    words = {
        "better": f"{mode.name} is more selective (by",
        "worse": f"{mode.name} is less selective (by",
        "undecided": f"whether {mode.name} is more selective is undecided (difference",
    }[control.advantage.verdict]
    return f"For {_named(control)} it is {control.selectivity}; {words} {control.advantage})."


def _meaning(curve: ControlCurve) -> str:
    # Better than chance is not enough: a damaged network may fall back on this very class.
    intended = -1 if curve.kind == "ablate" else 1
    side = curve.mode.selectivity.side
    if side == 0:
        return "the effects on the class and on the other classes do not differ significantly"
    if side == intended:
        return (
            "as expected, accuracy drops more for the class"
            if side < 0
            else "as expected, accuracy remains higher for the class"
        )
    return (
        "contrary to expectation, accuracy remains higher for the class"
        if side > 0
        else "contrary to expectation, accuracy drops more for the class"
    )


def _other_classes(curve: ControlCurve) -> str:
    return "the other class" if curve.others == 1 else f"the {curve.others} other classes"


def _named(control: Condition) -> str:
    trials = f" ({control.trials} trials)" if control.trials > 1 else ""
    return f'"{control.name}"{trials}'
