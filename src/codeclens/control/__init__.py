"""What modes do: networks whose units are acted on, and what that does to one class and others."""

from __future__ import annotations

from codeclens.control.controls import (
    ALL,
    CONTROLS,
    ByMode,
    ByScore,
    Evidence,
    Random,
    Ranking,
    mode_of,
)
from codeclens.control.curve_charts import control_figure, curves_figure, necessity_figure
from codeclens.control.curves import (
    FRACTIONS,
    TRIALS,
    Condition,
    ControlCurve,
    Study,
    control_curve,
    prepared,
)
from codeclens.control.curves_by_class import ControlCurves, control_curves
from codeclens.control.edits import Intervention, activation_at, intervene
from codeclens.control.estimates import Comparison, Estimate, compare_pairs
from codeclens.control.interventions import ablate, clamp, preserve, replace, scale, steer
from codeclens.control.necessity import Necessity, necessity
from codeclens.control.removal import (
    Acting,
    covering,
    keep,
    mode_direction,
    mode_share,
    removal,
    remove,
    removing,
)
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
    "control_figure",
    "count_units",
    "covering",
    "curves_figure",
    "intervene",
    "keep",
    "mode_direction",
    "mode_of",
    "mode_share",
    "necessity",
    "necessity_figure",
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
