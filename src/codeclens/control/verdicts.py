"""What many control curves say together: whether modes beat each control, and by how much."""

from __future__ import annotations

import numpy as np

from codeclens.control.many import MODES, ControlCurves
from codeclens.control.paired import Comparison
from codeclens.control.words import TOLD


def sentences(curves: ControlCurves) -> list[str]:
    """One sentence on the effect, one for each control, and one that sums up.

    A fraction is told that was fixed beforehand; the rest is over all fractions.
    """
    lines = [_effect(curves)]
    lines += [_against(curves, one) for one in curves.comparisons]
    if curves.comparisons:
        lines.append(_summary(curves))
    undefined = int(np.isnan(curves.selectivity()).sum())
    if undefined:
        lines.append(
            f"For {undefined} of {len(curves.counted)} classes the modes have no selectivity, "
            "since nothing is left of the accuracy on the other classes; they are left out."
        )
    lines += [
        f"The {curve.class_name}: selectivity {curve.mode.selectivity} by {curve.mode.name}."
        for curve in curves
        if curve not in curves.counted
    ]
    return lines


def _effect(curves: ControlCurves) -> str:
    first = curves[0]
    place = int(np.argmin(np.abs(first.fractions - TOLD[curves.kind])))
    verb = "Ablating" if curves.kind == "ablate" else "Preserving only"
    counted = curves.counted
    what = "class" if len(counted[0].members) == 1 else "superclass"
    several = f"the mode of each of {len(counted)} {what}es" if len(counted) > 1 else "its mode"
    return (
        f"{curves.site}: {verb.lower()} the {first.counts[place]} of {first.units} units "
        f"({100 * first.counts[place] / first.units:.0f} %) that weigh most in {several} takes "
        f"accuracy on the {what} from {curves.before('target'):.2f} to "
        f"{curves.averaged(MODES, 'target')[place]} and on all others from "
        f"{curves.before('others'):.2f} to {curves.averaged(MODES, 'others')[place]}; the logit "
        f"of each image's own class goes from {curves.before('target_logit'):.2f} to "
        f"{curves.averaged(MODES, 'target_logit')[place]} and from "
        f"{curves.before('others_logit'):.2f} to {curves.averaged(MODES, 'others_logit')[place]}. "
        f"Over all fractions the selectivity is {curves.mean()}."
    )


def _against(curves: ControlCurves, one: Comparison) -> str:
    name = f'"{one.control}"'
    size = f"by {one.difference}, {_wins(one)}, corrected p {_p(one.adjusted)}"
    control = f"{name} {curves.mean(one.control)}"
    verdict = one.verdict
    if verdict == "better":
        text = f"Modes are more selective than {control} ({size})"
    elif verdict == "worse":
        text = f"{name} wins: modes are less selective than {control} ({size})"
    elif not one.decidable:
        text = (
            f"Modes against {control}: undecided, since {one.pairs} "
            f"{'class is' if one.pairs == 1 else 'classes are'} too few for the test "
            f"(difference {one.difference}, {_wins(one)})"
        )
    else:
        text = f"Modes against {control}: undecided (difference {one.difference}, {_wins(one)}, " \
               f"corrected p {_p(one.adjusted)})"  # fmt: skip
    logit = next(other for other in curves.logit_comparisons if other.control == one.control)
    return f"{text}; on the logits they are {_on_logits(logit)}."


def _on_logits(one: Comparison) -> str:
    word = {"better": "better", "worse": "worse", "undecided": "not told apart"}[one.verdict]
    return f"{word} ({one.difference} logits)"


def _summary(curves: ControlCurves) -> str:
    found: dict[str, list[str]] = {word: [] for word in ("better", "worse", "undecided")}
    for one in curves.comparisons:
        found[one.verdict].append(f'"{one.control}"')
    words = {
        "better": "more selective than",
        "worse": "less selective than",
        "undecided": "not told apart from",
    }
    parts = [
        f"{words[verdict]} {len(names)} of {len(curves.comparisons)} controls ({', '.join(names)})"
        for verdict, names in found.items()
        if names
    ]
    kind = "ablated" if curves.kind == "ablate" else "preserved"
    return f"{curves.site}, {kind}: choosing units by modes is {'; '.join(parts)}."


def _wins(one: Comparison) -> str:
    return f"better in {one.wins} and worse in {one.losses} of {one.pairs}"


def _p(value: float) -> str:
    if np.isnan(value):
        return "undefined"
    return f"{value:.3f}" if value >= 0.001 else "below 0.001"
