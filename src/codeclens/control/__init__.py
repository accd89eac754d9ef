"""What modes do: networks with some units silenced, and what that does to one class and others."""

from __future__ import annotations

from codeclens.control.curves import FRACTIONS, TRIALS, control_curve
from codeclens.control.interventions import Intervention, ablate, preserve
from codeclens.control.rankings import ByMode, ByScore, Random, Ranking
from codeclens.control.results import Condition, ControlCurve, Estimate
from codeclens.control.selectivity import Selectivity, selectivity_of_modes
from codeclens.control.sweep import predictions_under

__all__ = [
    "FRACTIONS",
    "TRIALS",
    "ByMode",
    "ByScore",
    "Condition",
    "ControlCurve",
    "Estimate",
    "Intervention",
    "Random",
    "Ranking",
    "Selectivity",
    "ablate",
    "control_curve",
    "predictions_under",
    "preserve",
    "selectivity_of_modes",
]
