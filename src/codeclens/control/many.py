"""Many control curves: every class's mode beside every control, tested in pairs over classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.control.controls import Control
from codeclens.control.curves import FRACTIONS, TRIALS, Members, Study, prepared
from codeclens.control.estimates import Estimate
from codeclens.control.interventions import Kind
from codeclens.control.paired import Comparison, compare_pairs, mean_estimate
from codeclens.control.results import Condition, ControlCurve
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError

MODES = "modes"


@dataclass(frozen=True)
class ControlCurves(Sequence[ControlCurve]):
    """The control curves of several classes at one site, of one kind, with the same controls.

    The conditions are `"modes"`, for each class the mode that follows it best, and the controls by
    name. Classes are what is drawn anew for intervals and flipped in tests; superclasses, which
    share classes, are left out of both where there are single classes beside them.
    """

    curves: tuple[ControlCurve, ...]

    def __post_init__(self) -> None:
        if not self.curves:
            raise CodeclensError("There are no control curves; name at least one class.")
        settings = {(c.site, c.kind, tuple(x.name for x in c.conditions[1:])) for c in self.curves}
        if len(settings) > 1:
            raise CodeclensError(
                "Curves that stand side by side must be of one site and one kind, with the same "
                f"controls, and these are of {len(settings)} different settings."
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
        """The site that was acted at."""
        return self.curves[0].site

    @property
    def kind(self) -> str:
        """ "ablate" or "preserve"."""
        return self.curves[0].kind

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
        """The mean of `selectivity` or `logit_effect` over classes, drawn anew for the interval."""
        return mean_estimate(self._values(what, name))

    def averaged(self, name: str = MODES, what: str = "target") -> Estimate:
        """A curve's mean over classes `(F,)`: "target", "others", or these with "_logit"."""
        values = [getattr(self.of(curve, name), what).value for curve in self.counted]
        return mean_estimate(np.stack(values))

    def before(self, what: str = "target") -> float:
        """The same mean of the undisturbed network."""
        return float(np.mean([getattr(curve, f"{what}_before").value for curve in self.counted]))

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """The modes' selectivity against each control's, positive where the modes are better."""
        return self._compared("selectivity")

    @cached_property
    def logit_comparisons(self) -> list[Comparison]:
        """The same for `logit_effect`, in logits."""
        return self._compared("logit_effect")

    def table(self) -> list[dict[str, Any]]:
        """One row for each class, condition and fraction (`ControlCurve.table`)."""
        return [row for curve in self.curves for row in curve.table()]

    def class_table(self) -> list[dict[str, Any]]:
        """One row for each class and condition: its selectivity, and the mode's advantage."""
        rows = []
        for curve in self.curves:
            for place, condition in enumerate(curve.conditions):
                row: dict[str, Any] = {
                    "site": curve.site,
                    "kind": curve.kind,
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

    def comparison_table(self) -> list[dict[str, Any]]:
        """One row for each control: the mean difference over classes, and the tests."""
        measures = {"selectivity": self.comparisons, "logit_effect": self.logit_comparisons}
        return [
            {
                "site": self.site,
                "kind": self.kind,
                "measure": measure,
                "control": one.control,
                "classes": one.pairs,
                "better_in": one.wins,
                "worse_in": one.losses,
                "difference": float(one.difference.value),
                "difference_low": float(one.difference.low),
                "difference_high": float(one.difference.high),
                "p": one.p,
                "p_corrected": one.adjusted,
                "modes_are": one.verdict,
            }
            for measure, found in measures.items()
            for one in found
        ]

    def sentences(self) -> list[str]:
        """What happened over all classes, and whether the modes beat each control, in words."""
        from codeclens.control.verdicts import sentences

        return sentences(self)

    def _values(self, what: str, name: str) -> Float[np.ndarray, " class"]:
        found = [getattr(self.of(curve, name), what).value for curve in self.counted]
        return np.array(found, np.float64)

    def _compared(self, what: str) -> list[Comparison]:
        better = -1.0 if self.kind == "ablate" else 1.0
        values = {name: better * self._values(what, name) for name in self.names}
        return compare_pairs(values.pop(MODES), values)


def control_curves(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
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

    One control curve for each of the `classes` (default: all that the network recognises in some
    image, unless there are superclasses) and each of the `superclasses`, classes by name; sets of
    units that several share run once. So any two decompositions of a site, or any two ways to
    choose units, can be compared by what they do (METHOD.md §5). `progress(done, total)` counts
    curves; everything else is as in `control_curve`, and so are the errors, beside one for no
    classes at all.

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
    """What curves are asked for: names, where they are given, and classes.

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
