"""Layer statistics in words: plain sentences that are computed from the numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from codeclens.analysis.statistics import FEWEST
from codeclens.analysis.trend import Trend

if TYPE_CHECKING:
    from codeclens.analysis.results import LayerStatistics


def layer_sentences(statistics: LayerStatistics) -> list[str]:
    """The trends of sparsity, dimensionality and sign correlation, one sentence for each source."""
    sites = list(statistics)
    share = f"{100 * statistics.share:g} %"
    quantities = [
        ("sparsity", "Hoyer sparsity of the median sample", "{:.2f}"),
        (
            "class_components",
            f"Number of principal components for {share} of the variance of the "
            f"{statistics.classes} class means",
            "{:.0f}",
        ),
        ("class_participation", "Participation ratio of the class means", "{:.1f}"),
    ]
    lines = [
        f"Statistics of {statistics.samples:,} samples at {len(sites)} "
        f"{'site' if len(sites) == 1 else 'sites'}; contributions in the view "
        f'"{statistics.view}"; classes by {statistics.class_source}; '
        "intervals are 95 % bootstrap intervals over samples."
    ]
    for key, words, number in quantities:
        parts = [
            f"that of {source}s {trend_phrase(statistics.trends[f'{source}_{key}'], sites, number)}"
            for source in ("contribution", "activation")
        ]
        lines.append(f"{words}: " + "; ".join(parts) + ".")
    signs = trend_phrase(statistics.trends["sign_correlation"], sites, "{:.2f}")
    lines.append(
        f"Correlation over units of positive contributions with the size of negative ones {signs}."
    )
    if statistics.samples < FEWEST:
        lines.append(
            f"{statistics.samples} samples are too few for intervals that can be trusted, and to "
            "say whether contributions are sparser than activations."
        )
    else:
        lines.append(_comparison(statistics))
    return lines


def trend_phrase(trend: Trend, sites: list[str], number: str) -> str:
    """One trend in words: first and last value, direction, rank correlation and interval.

    >>> import numpy as np
    >>> trend = Trend(np.array([0.42, 0.5, 0.6, 0.63]), 1.0, 0.5, 1.0)
    >>> trend_phrase(trend, ["a", "b", "c", "d"], "{:.2f}")
    'rises from 0.42 (a) to 0.63 (d), rank correlation with depth 1.00 [0.50, 1.00]'
    """
    first, last = (_number(value, number) for value in (trend.values[0], trend.values[-1]))
    if len(sites) == 1:
        return f"is {first} ({sites[0]})"
    ends = f"{first} ({sites[0]}) to {last} ({sites[-1]})"
    if len(sites) < 3:
        return f"goes from {ends} (two sites are too few for a trend)"
    if math.isnan(trend.rho):
        return f"goes from {ends} (does not vary in a way that has a rank correlation)"
    rho = f"rank correlation with depth {trend.rho:.2f}"
    if math.isnan(trend.low):
        return f"goes from {ends}, {rho} (too few samples of each class for an interval)"
    told = f"{rho} [{trend.low:.2f}, {trend.high:.2f}]"
    change = float(trend.values[-1] - trend.values[0])
    if trend.direction in ("rises", "falls") and (first == last or change * trend.rho <= 0):
        return f"{trend.direction} on the whole, though it goes from {ends}: {told}"
    few = "; three sites are few" if len(sites) == 3 else ""
    return f"{trend.direction} from {ends}, {told}{few}"


def _number(value: float, number: str) -> str:
    return "undefined" if math.isnan(value) else number.format(value)


def _comparison(statistics: LayerStatistics) -> str:
    """At how many sites contributions are sparser than activations, intervals apart."""
    sparser = [
        layer.site
        for layer in statistics.layers
        if layer.contribution.sparsity.low > layer.activation.sparsity.high
    ]
    denser = [
        layer.site
        for layer in statistics.layers
        if layer.contribution.sparsity.high < layer.activation.sparsity.low
    ]
    return (
        f"With intervals that do not overlap, contributions are sparser than activations at "
        f"{len(sparser)} of {len(statistics)} sites and less sparse at {len(denser)}."
    )
