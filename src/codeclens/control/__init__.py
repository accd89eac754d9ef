"""What modes do: networks whose units are acted on, and what that does to one class and others."""

from __future__ import annotations

from codeclens.control.acts import ablate, clamp, preserve, replace, scale, steer
from codeclens.control.curves import FRACTIONS, TRIALS, control_curve
from codeclens.control.directions import mode_direction
from codeclens.control.interventions import Intervention, activation_at, intervene
from codeclens.control.rankings import ByMode, ByScore, Random, Ranking
from codeclens.control.removal import keep, removal, remove
from codeclens.control.results import Condition, ControlCurve, Estimate
from codeclens.control.selectivity import Selectivity, selectivity_of_modes
from codeclens.control.shares import mode_share
from codeclens.control.sweep import count_units, outputs_under, predictions_under

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
    "activation_at",
    "clamp",
    "control_curve",
    "count_units",
    "intervene",
    "keep",
    "mode_direction",
    "mode_share",
    "outputs_under",
    "predictions_under",
    "preserve",
    "removal",
    "remove",
    "replace",
    "scale",
    "selectivity_of_modes",
    "steer",
]
