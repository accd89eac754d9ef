"""Control curves: what acting on a mode's units does to its class and to all the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.controls import (
    ByMode,
    Control,
    Evidence,
    Ranking,
    find_controls,
    mode_of,
    require_apart,
)
from codeclens.control.edits import Kind, one_site, share_to_count
from codeclens.control.estimates import Estimate
from codeclens.control.measurements import Measurements, Sides, checked, mean_height
from codeclens.control.sweep import Progress
from codeclens.decomposition import Mode, Modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore


@dataclass(frozen=True)
class Condition:
    """One ranking of units along the curve.

    `target` and `others` are accuracies by fraction `(F,)`, means over `trials`; `target_logit` and
    `others_logit` are the logits of the images' own classes. `selectivity` is the summary of
    method.md §5. `logit_effect` is the mean over the curve by which the class's own logit rises
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


FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.18, 0.25, 0.5, 0.8, 0.99)
TRIALS = 5
Members = int | Sequence[int]


def control_curve(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes | Mode,
    *,
    class_index: Members,
    name: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    kind: Kind = "ablate",
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Tensor, Tensor] | None = None,
    activation_modes: Modes | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> ControlCurve:
    """Accuracy and logit of a class and of all others while more and more units are switched off.

    `data` is the images `(N, …)` and their labels `(N,)`, best ones that the modes were not found
    in. `class_index` is a class, or several that form a superclass, which `name` names. The units
    are ranked by the mode that follows the class best (`mode_of`, or the `Mode` that is passed)
    and by every control; those with chance in them run `trials` times. The network runs in
    evaluation mode, once undisturbed and once for each different set of units. `fractions` are
    shares of the site's units, rounded to whole units. `site` says where to act if not at the
    modes' own site.

    `controls=ALL` takes every control of `codeclens.control.CONTROLS`. They are made from the
    samples of `store`, in which the modes were found; "gradient" also takes the `training` images
    and labels, and without them the images of `data` themselves, which favours it.
    `activation_modes` saves finding modes of the activations, by the method of `modes`.

    Intervals are 95 % bootstrap intervals over images, drawn within each class, and over trials;
    the same draws serve all conditions, so comparisons are paired. (Where every image of a class is
    recognised they have no width: drawing the same images again shows no failure.)
    `progress(done, total)` is called after every run of a batch.

    The summary is `selectivity`, method.md §5's `(AUC_target − AUC_others) / AUC_others`: below
    zero where ablation hits the class more than the others, above zero where preservation keeps it
    more. An AUC is the mean height of accuracy, divided by the accuracy before, over the share of
    units really acted on (trapezoid rule, from the smallest share to the largest).

    Raises CodeclensError for labels that do not fit, a class without images or that the network
    never recognises, unknown controls, controls without a store, and fractions outside [0, 1].

    >>> import torch
    >>> model = nn.Sequential(nn.Identity())  # a network that sees class c by its unit c alone
    >>> x, labels = torch.eye(4), torch.arange(4)
    >>> mode = Mode("0", 2, np.array([0.0, 0.0, 1.0, 0.0]), np.zeros(4), np.ones(1))
    >>> curve = control_curve(model, (x, labels), mode, class_index=2, fractions=[0.25, 0.75])
    >>> curve.mode.target.value, curve.mode.others.value
    (array([0., 0.]), array([1.        , 0.66666667]))
    >>> float(curve.mode.selectivity.value)
    -1.0
    """
    study = prepared(
        model, data, modes, fractions=fractions, site=site, controls=controls, store=store,
        training=training, activation_modes=activation_modes, trials=trials, seed=seed,
        batch_size=batch_size, output=output, resamples=resamples, progress=progress,
    )  # fmt: skip
    return study.curve(class_index, kind, name)


@dataclass(frozen=True)
class Study:
    """Everything of a control curve but the class and the kind; what they share runs once."""

    measure: Measurements
    modes: Modes | Mode
    shares: Float[np.ndarray, " fraction"]
    counts: Int[np.ndarray, " fraction"]
    controls: tuple[Control, ...]
    evidence: Evidence | None
    trials: int
    seed: int
    resamples: int

    def classes(self) -> list[int]:
        """The classes that can be controlled: those that the network recognises in some image.

        Of the modes' samples, too, some must be of the class, where modes are chosen by class.
        """
        labels, correct = self.measure.labels, self.measure("ablate", []).correct[0]
        found = np.unique(labels[correct])
        if isinstance(self.modes, Modes) and self.modes.labels is not None:
            found = np.intersect1d(found, self.modes.labels)
        return [int(which) for which in found]

    def curve(self, class_index: Members, kind: Kind, name: str | None = None) -> ControlCurve:
        """The curve of one class, or of several together; raises as `control_curve` does."""
        if kind not in get_args(Kind):
            raise CodeclensError(f'kind="{kind}" is not known; choose "ablate" or "preserve".')
        members = members_of(class_index)
        measure = self.measure
        sides = Sides(measure.labels, members)
        mode = self.modes if isinstance(self.modes, Mode) else mode_of(self.modes, members)
        rankings = [ByMode(mode)]
        for ranking in find_controls(self.controls, self.evidence, members):
            rankings.append(ranking)  # type: ignore[arg-type]
            require_apart(rankings)
        orders = [ranking.orders(measure.units, self.trials, self.seed) for ranking in rankings]
        rows, sets = _distinct(orders, self.counts)
        said = measure(kind, sets)
        accuracy = sides.measure(said.correct)
        if (accuracy[0] == 0).any():
            which = " and ".join(map(str, members))
            raise CodeclensError(
                f"The undisturbed network recognises none of the {len(measure.labels)} images of "
                f"{f'class {which}' if accuracy[0, 0] == 0 else 'the other classes'}, "
                "so there is no accuracy to control; check the labels and the preprocessing."
            )
        # One set of draws for both, so that they belong together.
        draws = sides.redraw(np.concatenate([said.correct, said.logit]), self.resamples, self.seed)
        setting = Setting(
            site=measure.site.key,
            kind=kind,
            members=members,
            class_name=_class_name(self.modes, members, name),
            others=sides.others,
            samples=len(measure.labels),
            seed=self.seed,
            units=measure.units,
            fractions=self.shares,
            counts=self.counts,
        )
        return compare(
            setting,
            rankings,
            rows,
            Measured(accuracy, draws[:, : len(accuracy)]),
            Measured(sides.measure(said.logit), draws[:, len(accuracy) :]),
        )


def prepared(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes | Mode,
    *,
    fractions: Sequence[float] = FRACTIONS,
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Tensor, Tensor] | None = None,
    activation_modes: Modes | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Study:
    """What `control_curve` needs for any class; arguments and errors are the same."""
    if min(trials, batch_size, resamples) < 1:
        raise CodeclensError(
            f"trials (={trials}), batch_size (={batch_size}) and resamples (={resamples}) "
            "must be at least 1."
        )
    if not isinstance(modes, Modes | Mode):
        raise CodeclensError(
            f"modes is a {type(modes).__name__}; pass the modes of one site, such as modes[SITE], "
            "or one mode."
        )
    if store is not None and not isinstance(store, ContributionStore):
        raise CodeclensError(f"store is a {type(store).__name__}; pass ContributionStore(PATH).")
    x, _ = checked(data)
    place = one_site(model, modes.site if site is None else site)
    options: dict[str, Any] = {"batch_size": batch_size, "output": output, "progress": progress}
    measure = Measurements(model, (x, data[1]), place, **options)
    shares = np.array(sorted(set(fractions)), np.float64)
    if not len(shares):
        raise CodeclensError("No fractions were given; pass at least one, such as fractions=[0.1].")
    counts = np.array([share_to_count(share, measure.units) for share in shares])
    evidence = None
    if isinstance(modes, Modes):
        evidence = Evidence(
            model,
            modes,
            store,
            (x, data[1]) if training is None else training,
            activation_modes,
            place,
            output,
            seed,
            measured=training is None,
        )
    wanted = (controls,) if isinstance(controls, str) else tuple(controls)
    return Study(measure, modes, shares, counts, wanted, evidence, trials, seed, resamples)


def members_of(class_index: Members) -> tuple[int, ...]:
    """The classes of one side, each once.

    >>> members_of(3), members_of([5, 2, 5])
    ((3,), (2, 5))
    """
    given: Any = class_index
    members = [given] if isinstance(given, int | np.integer) else given
    numbers = isinstance(members, Iterable) and not isinstance(members, str | bytes)
    if not numbers or any(
        isinstance(one, bool) or not isinstance(one, int | np.integer) for one in members
    ):
        raise CodeclensError(
            f"class_index={class_index!r} is no class; pass its number, or several numbers."
        )
    if isinstance(class_index, int | np.integer):
        return (int(class_index),)
    return tuple(sorted({int(one) for one in class_index}))


def _distinct(
    orders: Sequence[Int[np.ndarray, "_trial unit"]], counts: Int[np.ndarray, " fraction"]
) -> tuple[list[Int[np.ndarray, "_trial fraction"]], list[tuple[int, ...]]]:
    """The different sets of units, and for every order and count which of them it is.

    Row 0 is the undisturbed network, so the sets count from 1. In a small site several fractions
    mean the same units, which then run once.
    """
    places: dict[tuple[int, ...], int] = {}
    rows = []
    for trials in orders:
        row = np.empty((len(trials), len(counts)), np.int64)
        for t, order in enumerate(trials):
            for f, count in enumerate(counts):
                chosen = tuple(sorted(int(unit) for unit in order[:count]))
                row[t, f] = places.setdefault(chosen, len(places) + 1)
        rows.append(row)
    return rows, list(places)


def _class_name(modes: Modes | Mode, members: tuple[int, ...], name: str | None) -> str:
    if name is not None:
        return f'{"class" if len(members) == 1 else "superclass"} "{name}"'
    if isinstance(modes, Mode) or modes.classes is None:
        names = [str(member) for member in members]
    else:
        names = [f'"{modes.classes[member]}"' for member in members]
    return f"{'class' if len(members) == 1 else 'classes'} {', '.join(names)}"


# The fraction that is told in words: where the reference reports its effect (method.md §5). Fixed
# beforehand, so that the sentence does not pick the fraction that looks best.
TOLD = {"ablate": 0.18, "preserve": 0.25}


def curve_sentence(curve: ControlCurve) -> str:
    """What happened at one fraction, over all of them, and beside each control."""
    place = int(np.argmin(np.abs(curve.fractions - TOLD[curve.kind])))
    verb = "Ablating" if curve.kind == "ablate" else "Preserving only"
    count = int(curve.counts[place])
    mode = curve.mode
    parts = [
        f"{verb} the {count} of {curve.units} units ({100 * count / curve.units:.0f} %) that "
        f"weigh most in {mode.name} at {curve.site} takes accuracy on {curve.class_name} "
        f"from {curve.target_before.value:.2f} to {mode.target[place]} and on "
        f"{_other_classes(curve)} from {curve.others_before.value:.2f} to "
        f"{mode.others[place]}; the logit of each image's own class goes from "
        f"{curve.target_logit_before.value:.2f} to {mode.target_logit[place]} and from "
        f"{curve.others_logit_before.value:.2f} to {mode.others_logit[place]}."
    ]
    parts += [
        f"As many units by the control {_named(control)} take accuracy to "
        f"{control.target[place]} and {control.others[place]}."
        for control in curve.conditions[1:]
    ]
    parts.append(
        f"Over all fractions the selectivity is {mode.selectivity} for {mode.name}: "
        f"{_meaning(curve)}."
    )
    parts += [_verdict(mode, control) for control in curve.conditions[1:]]
    return " ".join(parts)


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
        return "the class and the others are not clearly apart"
    if side == intended:
        return "as intended, " + ("the class loses more" if side < 0 else "the class keeps more")
    return "against intention, " + ("the class keeps more" if side > 0 else "the class loses more")


def _other_classes(curve: ControlCurve) -> str:
    return "the other class" if curve.others == 1 else f"the {curve.others} other classes"


def _named(control: Condition) -> str:
    trials = f" ({control.trials} trials)" if control.trials > 1 else ""
    return f'"{control.name}"{trials}'
