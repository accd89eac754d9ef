"""What contributions and modes look like over whole data sets: statistics and their trends."""

from __future__ import annotations

from codeclens.analysis.agreement import Agreement, flow_agreement
from codeclens.analysis.flow import flow, mode_names
from codeclens.analysis.flows import Edge, Flow, FlowGraph, PairFlow
from codeclens.analysis.layers import layer_statistics
from codeclens.analysis.pathways import Pathways
from codeclens.analysis.results import Layer, LayerStatistics, Population, Spread
from codeclens.analysis.statistics import (
    bootstrap_interval,
    class_means,
    components_for_variance,
    covariance_spectrum,
    hoyer,
    participation_ratio,
    sign_correlation,
)
from codeclens.analysis.trend import Trend, rank_correlation

__all__ = [
    "Agreement",
    "Edge",
    "Flow",
    "FlowGraph",
    "Layer",
    "LayerStatistics",
    "PairFlow",
    "Pathways",
    "Population",
    "Spread",
    "Trend",
    "bootstrap_interval",
    "class_means",
    "components_for_variance",
    "covariance_spectrum",
    "flow",
    "flow_agreement",
    "hoyer",
    "layer_statistics",
    "mode_names",
    "participation_ratio",
    "rank_correlation",
    "sign_correlation",
]
