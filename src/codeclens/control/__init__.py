"""What modes do: networks whose units are acted on, and what that does to one class and others."""

from __future__ import annotations

from codeclens.control.acting import Acting, covering, removing
from codeclens.control.acts import ablate, clamp, preserve, replace, scale, steer
from codeclens.control.controls import ALL, CONTROLS, Evidence, mode_of
from codeclens.control.curves import FRACTIONS, TRIALS, Study, control_curve, prepared
from codeclens.control.directions import mode_direction
from codeclens.control.estimates import Estimate
from codeclens.control.interventions import Intervention, activation_at, intervene
from codeclens.control.many import ControlCurves, control_curves
from codeclens.control.necessity import Necessity, necessity
from codeclens.control.paired import Comparison, compare_pairs
from codeclens.control.rankings import ByMode, ByScore, Random, Ranking
from codeclens.control.removal import keep, removal, remove
from codeclens.control.results import Condition, ControlCurve
from codeclens.control.shares import mode_share
from codeclens.control.sweep import count_units, outputs_under, predictions_under

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
    "activation_at",
    "clamp",
    "compare_pairs",
    "control_curve",
    "control_curves",
    "count_units",
    "covering",
    "intervene",
    "keep",
    "mode_direction",
    "mode_of",
    "mode_share",
    "necessity",
    "outputs_under",
    "predictions_under",
    "prepared",
    "preserve",
    "removal",
    "remove",
    "removing",
    "replace",
    "scale",
    "steer",
]
