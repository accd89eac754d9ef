"""Control: interventions on units, and their effects on one class and on the others."""

from __future__ import annotations

from codeclens.control.controls import (
    ALL,
    CONTROLS,
    ByMode,
    ByScore,
    Random,
    Ranking,
    RankingInputs,
    mode_of,
)
from codeclens.control.curve_charts import control_figure, curves_figure, necessity_figure
from codeclens.control.curves import Condition, ControlCurve
from codeclens.control.curves_by_class import ControlCurves, control_curves
from codeclens.control.edits import Intervention, activation_at, intervene
from codeclens.control.effects import Effects
from codeclens.control.estimates import (
    Comparisons,
    Estimate,
    PairedComparison,
    compare_pairs,
)
from codeclens.control.interventions import ablate, clamp, preserve, replace, scale, steer
from codeclens.control.necessity import Necessity, necessity
from codeclens.control.off import default_off, off_value
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
from codeclens.control.strict_controls import by_modes_of, clusters, learned_mask
from codeclens.control.study import FRACTIONS, TRIALS, Study, control_curve, prepared
from codeclens.control.sweep import count_units, outputs_under, predictions_under
from codeclens.control.units import Units, ranked_units

__all__ = [
    "ALL",
    "CONTROLS",
    "FRACTIONS",
    "TRIALS",
    "Acting",
    "ByMode",
    "ByScore",
    "Comparisons",
    "Condition",
    "ControlCurve",
    "ControlCurves",
    "Effects",
    "Estimate",
    "Intervention",
    "Necessity",
    "PairedComparison",
    "Random",
    "Ranking",
    "RankingInputs",
    "Study",
    "Units",
    "ablate",
    "activation_at",
    "by_modes_of",
    "clamp",
    "clusters",
    "compare_pairs",
    "control_curve",
    "control_curves",
    "control_figure",
    "count_units",
    "covering",
    "curves_figure",
    "default_off",
    "intervene",
    "keep",
    "learned_mask",
    "mode_direction",
    "mode_of",
    "mode_share",
    "necessity",
    "necessity_figure",
    "off_value",
    "outputs_under",
    "predictions_under",
    "prepared",
    "preserve",
    "ranked_units",
    "removal",
    "remove",
    "removing",
    "replace",
    "scale",
    "steer",
]


def __dir__() -> list[str]:
    return sorted(__all__)
