"""What contributions and modes look like over whole data sets: statistics and their trends."""

from __future__ import annotations

from codeclens.analysis.agreement import Agreement, RankCorrelation, flow_agreement
from codeclens.analysis.correlations import (
    Specificity,
    best_follower,
    class_profile,
    counts_above,
    coverage,
    membership_correlation,
    specificity,
)
from codeclens.analysis.flow import BatchFlow, FlowModel, flow, mode_names
from codeclens.analysis.flow_chart import flow_figure
from codeclens.analysis.flow_results import Edge, Flow, FlowGraph, PairFlow
from codeclens.analysis.hierarchy import Hierarchy, Superclasses
from codeclens.analysis.layer_charts import layer_figure, semantics_figure
from codeclens.analysis.layers import (
    STATISTICS,
    Layer,
    LayerStatistics,
    Population,
    SiteStatistic,
)
from codeclens.analysis.measuring_layers import layer_statistics
from codeclens.analysis.nulls import (
    critical_correlation,
    false_discovery,
    p_values,
    permutation_nulls,
)
from codeclens.analysis.semantics import class_words, mode_name, names_beyond_chance, semantics
from codeclens.analysis.semantics_results import Closest, Criteria, Meaning, Semantics
from codeclens.analysis.spectrum import (
    Spectrum,
    components_for_variance,
    covariance_spectrum,
    hoyer,
    participation_ratio,
    treves_rolls,
)
from codeclens.analysis.statistics import (
    Spread,
    bootstrap_interval,
    class_means,
    sign_correlation,
)
from codeclens.analysis.strongest_names import StrongestName, names_of_strongest
from codeclens.analysis.trend import Trend, rank_correlation
from codeclens.labelled import columns_of, save_dataset, save_table

__all__ = [
    "STATISTICS",
    "Agreement",
    "BatchFlow",
    "Closest",
    "Criteria",
    "Edge",
    "Flow",
    "FlowGraph",
    "FlowModel",
    "Hierarchy",
    "Layer",
    "LayerStatistics",
    "Meaning",
    "PairFlow",
    "Population",
    "RankCorrelation",
    "Semantics",
    "SiteStatistic",
    "Specificity",
    "Spectrum",
    "Spread",
    "StrongestName",
    "Superclasses",
    "Trend",
    "best_follower",
    "bootstrap_interval",
    "class_means",
    "class_profile",
    "class_words",
    "columns_of",
    "components_for_variance",
    "counts_above",
    "covariance_spectrum",
    "coverage",
    "critical_correlation",
    "false_discovery",
    "flow",
    "flow_agreement",
    "flow_figure",
    "hoyer",
    "layer_figure",
    "layer_statistics",
    "membership_correlation",
    "mode_name",
    "mode_names",
    "names_beyond_chance",
    "names_of_strongest",
    "p_values",
    "participation_ratio",
    "permutation_nulls",
    "rank_correlation",
    "save_dataset",
    "save_table",
    "semantics",
    "semantics_figure",
    "sign_correlation",
    "specificity",
    "treves_rolls",
]


def __dir__() -> list[str]:
    return sorted(__all__)
