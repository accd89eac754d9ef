"""Control curves of many classes: modes compared with every control, in pairs over classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.control.controls import Control
from codeclens.control.curves import REPORTED, Condition, ControlCurve, off_words, set_to
from codeclens.control.edits import Kind
from codeclens.control.estimates import (
    Comparisons,
    Estimate,
    PairedComparison,
    compare_pairs,
    mean_estimate,
)
from codeclens.control.measurements import Members
from codeclens.control.study import FRACTIONS, TRIALS, Study, prepared
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, counted, unknown
from codeclens.labelled import Labelled, labels

if TYPE_CHECKING:
    import pandas
    import xarray

MODES = "modes"
Rows = Literal["controls", "classes", "fractions"]


@dataclass(frozen=True, repr=False)
class ControlCurves(Sequence[ControlCurve], Labelled):
    """The control curves of several classes at one site, of one kind, with the same controls.

    The conditions are `"modes"`, for each class the mode that follows it best, and the controls by
    name. Intervals resample classes, and tests flip signs by class. Superclasses, which share
    classes, are left out of both where there are single classes, too.
    """

    curves: tuple[ControlCurve, ...]

    def __post_init__(self) -> None:
        if not self.curves:
            raise CodeclensError("There are no control curves; name at least one class.")
        settings = {
            (c.site, c.kind, c.off, tuple(x.name for x in c.conditions[1:])) for c in self.curves
        }
        if len(settings) > 1:
            raise CodeclensError(
                "Curves are compared at one site, with one kind, off value and set of controls; "
                f"these are of {len(settings)} different settings."
            )

    @overload
    def __getitem__(self, place: int) -> ControlCurve: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[ControlCurve]: ...
    def __getitem__(self, place: int | slice) -> ControlCurve | Sequence[ControlCurve]:
        return self.curves[place]

    def __len__(self) -> int:
        return len(self.curves)

    @property
    def site(self) -> str:
        """The site that is acted on."""
        return self.curves[0].site

    @property
    def kind(self) -> str:
        """ "ablate" or "preserve"."""
        return self.curves[0].kind

    @property
    def off(self) -> str:
        """What units are set to when they are switched off."""
        return self.curves[0].off

    @property
    def names(self) -> list[str]:
        """The conditions: "modes", and the controls."""
        return [MODES, *(condition.name for condition in self.curves[0].conditions[1:])]

    @property
    def counted(self) -> list[ControlCurve]:
        """The curves that statistics are over: single classes, or superclasses if there is none."""
        single = [curve for curve in self.curves if len(curve.members) == 1]
        return single or list(self.curves)

    def of(self, curve: ControlCurve, name: str) -> Condition:
        """One condition of one curve."""
        return curve.conditions[self.names.index(name)]

    def selectivity(self, name: str = MODES) -> Float[np.ndarray, " class"]:
        """The selectivity of each class that is counted `(C,)`, by one condition."""
        return self._values("selectivity", name)

    def logit_effect(self, name: str = MODES) -> Float[np.ndarray, " class"]:
        """`Condition.logit_effect` of each class that is counted `(C,)`, in logits."""
        return self._values("logit_effect", name)

    def mean(self, name: str = MODES, what: str = "selectivity") -> Estimate:
        """The mean of `selectivity` or `logit_effect` over classes, with its bootstrap interval."""
        return mean_estimate(self._values(what, name))

    def averaged(self, name: str = MODES, what: str = "target") -> Estimate:
        """A curve's mean over classes `(F,)`: "target", "others", or these with "_logit"."""
        values = [getattr(self.of(curve, name), what).value for curve in self.counted]
        return mean_estimate(np.stack(values))

    def before(self, what: str = "target") -> float:
        """The same mean of the undisturbed network."""
        return float(np.mean([getattr(curve, f"{what}_before").value for curve in self.counted]))

    @cached_property
    def comparisons(self) -> Comparisons:
        """The modes' selectivity compared with each control's, positive where modes are better."""
        return self._compared("selectivity")

    @cached_property
    def logit_comparisons(self) -> Comparisons:
        """The same for `logit_effect`, in logits."""
        return self._compared("logit_effect")

    def to_dataframe(self, rows: Rows = "controls") -> pandas.DataFrame:
        """One row for each control, or for each class and condition, or for each fraction, too.

        `rows` is "controls" (the mean difference over classes, and the tests, for both measures),
        "classes" (selectivity of each class and condition, and the mode's advantage) or "fractions"
        (accuracies and logits, as `ControlCurve.to_dataframe`). Raises CodeclensError for another.
        """
        import pandas

        if rows not in get_args(Rows):
            raise unknown("kind of rows", rows, get_args(Rows))
        if rows == "fractions":
            return pandas.DataFrame([row for curve in self.curves for row in curve.rows()])
        return pandas.DataFrame(self._by_class() if rows == "classes" else self._by_control())

    def shown(self) -> pandas.DataFrame:
        """The differences from the controls and their tests, for the screen."""
        columns = ["control", "measure", "difference", "low", "high", "p_corrected", "modes_are"]
        found = self.to_dataframe()
        return found[[name for name in columns if name in found]]

    def to_xarray(self) -> xarray.Dataset:
        """The data sets of all curves along the dimension `class` (`ControlCurve.to_xarray`)."""
        import xarray

        parts = []
        for curve in self.curves:
            part = curve.to_xarray().assign_coords(condition=self.names)
            part.attrs.pop("class_name")
            parts.append(part)
        names = xarray.Variable("class", labels([curve.class_name for curve in self.curves]))
        return xarray.concat(parts, names.to_index_variable(), combine_attrs="override")

    def title(self) -> str:
        """What was done, and the mean selectivity of the modes."""
        verb = "Ablation" if self.kind == "ablate" else "Preservation"
        return (
            f"{verb} at {self.site}, {set_to(self.kind, self.off)}: selectivity "
            f"{self.mean()} by modes, mean over {counted(len(self.counted), 'class', 'classes')}"
        )

    def _by_class(self) -> list[dict[str, Any]]:
        rows = []
        for curve in self.curves:
            for place, condition in enumerate(curve.conditions):
                row: dict[str, Any] = {
                    "site": curve.site,
                    "kind": curve.kind,
                    "off": curve.off,
                    "class": curve.class_name,
                    "condition": MODES if place == 0 else condition.name,
                    "source": condition.source,
                    "trials": condition.trials,
                }
                for name in ("selectivity", "advantage", "logit_effect", "logit_advantage"):
                    estimate = getattr(condition, name)
                    for part in ("value", "low", "high"):
                        column = name if part == "value" else f"{name}_{part}"
                        row[column] = None if estimate is None else float(getattr(estimate, part))
                row["verdict"] = "" if not place else _verdict_of(condition)
                rows.append(row)
        return rows

    def _by_control(self) -> list[dict[str, Any]]:
        measures = {"selectivity": self.comparisons, "logit_effect": self.logit_comparisons}
        about = {"site": self.site, "kind": self.kind, "off": self.off}
        rows = []
        for measure, found in measures.items():
            for one in found:
                row = one.row()
                row["classes"], row["modes_are"] = row.pop("pairs"), row.pop("verdict")
                rows.append({**about, "measure": measure, **row})
        return rows

    def sentences(self) -> list[str]:
        """The effect over all classes, and whether the modes beat each control, in words."""
        return sentences(self)

    def _values(self, what: str, name: str) -> Float[np.ndarray, " class"]:
        found = [getattr(self.of(curve, name), what).value for curve in self.counted]
        return np.array(found, np.float64)

    def _compared(self, what: str) -> Comparisons:
        better = -1.0 if self.kind == "ablate" else 1.0
        values = {name: better * self._values(what, name) for name in self.names}
        return compare_pairs(values.pop(MODES), values)


def control_curves(
    model: nn.Module,
    data: tuple[Any, Tensor],
    modes: Modes,
    *,
    classes: Sequence[int] | None = None,
    superclasses: Mapping[str, Sequence[int]] | None = None,
    kind: Kind = "ablate",
    fractions: Sequence[float] = FRACTIONS,
    controls: str | Iterable[Control] = ("random",),
    trials: int = TRIALS,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> ControlCurves:
    """Measure by interventions what the modes of a decomposition do to the classes they follow.

    Makes one control curve for each of the `classes` (default: all that the network recognises in
    some image, unless there are superclasses) and each of the `superclasses`, classes by name. Sets
    of units that several share run once. Any two decompositions of a site, or any two ways to
    choose units, can be compared in this way (method.md §5). `progress(done, total)` counts curves;
    all other arguments and errors are those of `control_curve`, and there must be a class.

    >>> import torch
    >>> from codeclens.decomposition import NMF
    >>> model = nn.Sequential(nn.Identity())  # a network that sees class c by its unit c alone
    >>> labels = torch.arange(60) % 3
    >>> x = torch.eye(3)[labels] * torch.rand(60, 1, generator=torch.Generator().manual_seed(0))
    >>> method = NMF(n_modes=3).fit(x)
    >>> modes = Modes("0", "activation", method, method.encode(x), labels=labels.numpy())
    >>> found = control_curves(model, (x, labels), modes, classes=[1, 2], fractions=[0.3, 0.4])
    >>> found.selectivity(), found.mean("modes").value
    (array([-1., -1.]), array(-1.))
    """
    study = prepared(
        model, data, modes, fractions=fractions, controls=controls, trials=trials, **options
    )
    wanted = wanted_classes(study, classes, superclasses)
    if kind in get_args(Kind):
        study.measure_all([members for _, members in wanted], kind)
    found = []
    for done, (name, members) in enumerate(wanted):
        found.append(study.curve(members, kind, name))
        if progress is not None:
            progress(done + 1, len(wanted))
    return ControlCurves(tuple(found))


def wanted_classes(
    study: Study,
    classes: Sequence[int] | None,
    superclasses: Mapping[str, Sequence[int]] | None,
) -> list[tuple[str | None, Members]]:
    """The classes of the curves to measure, with names where they are given.

    Raises CodeclensError where there is none.
    """
    if classes is None:
        classes = [] if superclasses else study.classes()
    wanted: list[tuple[str | None, Members]] = [(None, int(which)) for which in classes]
    wanted += [(name, [int(i) for i in group]) for name, group in (superclasses or {}).items()]
    if not wanted:
        raise CodeclensError(
            "No classes were given, and there is none that the network recognises in an image and "
            "that the modes know; pass labelled images."
        )
    return wanted


def _verdict_of(condition: Condition) -> str:
    return "" if condition.advantage is None else condition.advantage.verdict


def sentences(curves: ControlCurves) -> list[str]:
    """One sentence on the effect, one for each control, and a summary.

    The effect is at a fraction that was fixed beforehand; the rest is over all fractions.
    """
    lines = [_effect(curves)]
    lines += [_against(curves, one) for one in curves.comparisons]
    if curves.comparisons:
        lines.append(_summary(curves))
    undefined = int(np.isnan(curves.selectivity()).sum())
    if undefined:
        lines.append(
            f"For {undefined} of {len(curves.counted)} classes the selectivity is undefined, "
            "since the accuracy on the other classes is zero; these classes are left out."
        )
    lines += [
        f"The {curve.class_name}: selectivity {curve.mode.selectivity} by {curve.mode.name}."
        for curve in curves
        if curve not in curves.counted
    ]
    return lines


def _effect(curves: ControlCurves) -> str:
    first = curves[0]
    place = int(np.argmin(np.abs(first.fractions - REPORTED[curves.kind])))
    verb = "Ablating" if curves.kind == "ablate" else "Preserving only"
    counted = curves.counted
    what = "class" if len(counted[0].members) == 1 else "superclass"
    several = f"the mode of each of {len(counted)} {what}es" if len(counted) > 1 else "its mode"
    return (
        f"{curves.site}: {verb.lower()} the {first.counts[place]} of {first.units} units "
        f"({100 * first.counts[place] / first.units:.0f} %) that rank highest in {several} "
        f"({off_words(first)}) changes accuracy on the {what} from "
        f"{curves.before('target'):.2f} to {curves.averaged(MODES, 'target')[place]} and on all "
        f"others from {curves.before('others'):.2f} to "
        f"{curves.averaged(MODES, 'others')[place]}; the logit "
        f"of each image's own class changes from {curves.before('target_logit'):.2f} to "
        f"{curves.averaged(MODES, 'target_logit')[place]} and from "
        f"{curves.before('others_logit'):.2f} to {curves.averaged(MODES, 'others_logit')[place]}. "
        f"Over all fractions the selectivity is {curves.mean()}."
    )


def _against(curves: ControlCurves, one: PairedComparison) -> str:
    size = f"by {one.difference}, {_wins(one)}, corrected p {_p(one.adjusted)}"
    control = f'"{one.control}" {curves.mean(one.control)}'
    verdict = one.verdict
    if verdict == "better":
        text = f"Modes are more selective than {control} ({size})"
    elif verdict == "worse":
        text = f"Modes are less selective than {control} ({size})"
    elif not one.decidable:
        text = (
            f"Modes compared with {control}: undecided, since {one.pairs} "
            f"{'class is' if one.pairs == 1 else 'classes are'} too few for the test "
            f"(difference {one.difference}, {_wins(one)})"
        )
    else:
        text = (
            f"Modes compared with {control}: undecided (difference {one.difference}, "
            f"{_wins(one)}, corrected p {_p(one.adjusted)})"
        )
    logit = next(other for other in curves.logit_comparisons if other.control == one.control)
    return f"{text}; on the logits they are {_on_logits(logit)}."


def _on_logits(one: PairedComparison) -> str:
    word = {"better": "better", "worse": "worse", "undecided": "not significantly different"}[
        one.verdict
    ]
    return f"{word} ({one.difference} logits)"


def _summary(curves: ControlCurves) -> str:
    found: dict[str, list[str]] = {word: [] for word in ("better", "worse", "undecided")}
    for one in curves.comparisons:
        found[one.verdict].append(f'"{one.control}"')
    words = {
        "better": "more selective than",
        "worse": "less selective than",
        "undecided": "not significantly different from",
    }
    parts = [
        f"{words[verdict]} {len(names)} of {counted(len(curves.comparisons), 'control')} "
        f"({', '.join(names)})"
        for verdict, names in found.items()
        if names
    ]
    kind = "ablation" if curves.kind == "ablate" else "preservation"
    return f"{curves.site}, {kind}: units chosen by modes are {'; '.join(parts)}."


def _wins(one: PairedComparison) -> str:
    return f"better in {one.wins} and worse in {one.losses} of {one.pairs}"


def _p(value: float) -> str:
    if np.isnan(value):
        return "undefined"
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
