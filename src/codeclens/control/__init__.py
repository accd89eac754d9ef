"""What modes do: networks with some units silenced, and what that does to one class and others."""

from __future__ import annotations

from codeclens.control.acting import Acting, covering
from codeclens.control.controls import ALL, CONTROLS, Evidence, mode_of
from codeclens.control.curves import FRACTIONS, TRIALS, Study, control_curve, prepared
from codeclens.control.estimates import Estimate
from codeclens.control.interventions import Intervention, ablate, preserve
from codeclens.control.many import ControlCurves, control_curves
from codeclens.control.necessity import Necessity, necessity
from codeclens.control.paired import Comparison, compare_pairs
from codeclens.control.rankings import ByMode, ByScore, Random, Ranking
from codeclens.control.results import Condition, ControlCurve
from codeclens.control.sweep import outputs_under, predictions_under

__all__ = [
    "ALL",
    "CONTROLS",
    "FRACTIONS",
    "TRIALS",
    "Acting",
    "ByMode",
    "ByScore",
    "Comparison",
    "Condition",
    "ControlCurve",
    "ControlCurves",
    "Estimate",
    "Evidence",
    "Intervention",
    "Necessity",
    "Random",
    "Ranking",
    "Study",
    "ablate",
    "compare_pairs",
    "control_curve",
    "control_curves",
    "covering",
    "mode_of",
    "necessity",
    "outputs_under",
    "predictions_under",
    "prepared",
    "preserve",
]
