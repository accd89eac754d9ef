"""What contributions and modes look like over whole data sets: statistics and their trends."""

from __future__ import annotations

from codeclens.analysis.layers import layer_statistics
from codeclens.analysis.results import Layer, LayerStatistics, Population, Spread
from codeclens.analysis.sparsity import hoyer, treves_rolls
from codeclens.analysis.spectrum import (
    Spectrum,
    components_for_variance,
    covariance_spectrum,
    participation_ratio,
)
from codeclens.analysis.statistics import bootstrap_interval, class_means, sign_correlation
from codeclens.analysis.trend import Trend, rank_correlation

__all__ = [
    "Layer",
    "LayerStatistics",
    "Population",
    "Spectrum",
    "Spread",
    "Trend",
    "bootstrap_interval",
    "class_means",
    "components_for_variance",
    "covariance_spectrum",
    "hoyer",
    "layer_statistics",
    "participation_ratio",
    "rank_correlation",
    "sign_correlation",
    "treves_rolls",
]
