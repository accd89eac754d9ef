"""What a control curve says, in sentences that are computed from its numbers."""

from __future__ import annotations

import numpy as np

from codeclens.control.results import Condition, ControlCurve

# The fraction that is told in words: where the reference reports its effect (METHOD.md §5). Fixed
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
