"""What contributions and modes look like over whole data sets: statistics and their trends."""

from __future__ import annotations

from codeclens.analysis.agreement import Agreement, flow_agreement
from codeclens.analysis.correlations import (
    Specificity,
    best_follower,
    class_profile,
    counts_above,
    coverage,
    membership_correlation,
    specificity,
)
from codeclens.analysis.findings import Closest, Criteria, Meaning, Semantics
from codeclens.analysis.flow import flow, mode_names
from codeclens.analysis.flows import Edge, Flow, FlowGraph, PairFlow
from codeclens.analysis.hierarchy import Hierarchy, Superclasses
from codeclens.analysis.layers import layer_statistics
from codeclens.analysis.meanings import class_words, names_beyond_chance, semantics
from codeclens.analysis.naming import mode_name
from codeclens.analysis.nulls import (
    critical_correlation,
    false_discovery,
    p_values,
    permutation_nulls,
)
from codeclens.analysis.pathways import Pathways
from codeclens.analysis.results import Layer, LayerStatistics, Population, Spread
from codeclens.analysis.sparsity import hoyer, treves_rolls
from codeclens.analysis.spectrum import (
    Spectrum,
    components_for_variance,
    covariance_spectrum,
    participation_ratio,
)
from codeclens.analysis.statistics import bootstrap_interval, class_means, sign_correlation
from codeclens.analysis.tables import columns_of, save_dataset, save_table
from codeclens.analysis.trend import Trend, rank_correlation

__all__ = [
    "Agreement",
    "Closest",
    "Criteria",
    "Edge",
    "Flow",
    "FlowGraph",
    "Hierarchy",
    "Layer",
    "LayerStatistics",
    "Meaning",
    "PairFlow",
    "Pathways",
    "Population",
    "Semantics",
    "Specificity",
    "Spectrum",
    "Spread",
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
    "hoyer",
    "layer_statistics",
    "membership_correlation",
    "mode_name",
    "mode_names",
    "names_beyond_chance",
    "p_values",
    "participation_ratio",
    "permutation_nulls",
    "rank_correlation",
    "save_dataset",
    "save_table",
    "semantics",
    "sign_correlation",
    "specificity",
    "treves_rolls",
]
