"""Completeness: by how much contributions at a cut miss the change that they must sum to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codeclens.extraction import ContributionStore
from codeclens.report.document import Section, Table, Text
from codeclens.report.words import Cell, counted, percent

# What "0.1 %" is written for, and what a reader may take for nothing.
_EXACT = 0.001


@dataclass(frozen=True)
class Gap:
    """The gap ΣC − (T(x) − T(x0)) at one site, as a share of the median change of the target.

    `median` and `high` are the median and the 95th percentile of the gap's size over `samples`;
    both are NaN where the site is no cut or the method has no baseline.
    """

    site: str
    is_cut: bool
    median: float
    high: float
    samples: int

    @property
    def known(self) -> bool:
        """Whether the site has a gap at all."""
        return not np.isnan(self.median)


def gaps(store: ContributionStore) -> list[Gap]:
    """The completeness gap of every site of a store, in the order of depth."""
    change = np.abs(np.asarray(store.target) - np.asarray(store.baseline_target))
    # Of a store without samples, or without a baseline, no gap is known.
    scale = float(np.median(change)) if len(change) else float("nan")
    found = []
    for site in store.sites:
        size = np.abs(np.asarray(store.completeness(site), np.float64))
        size = size[np.isfinite(size)]
        if len(size) and scale > 0:
            median, high = (float(q) for q in np.quantile(size, [0.5, 0.95]) / scale)
        else:
            median = high = float("nan")
        found.append(Gap(site, store.is_cut(site), median, high, len(size)))
    return found


def gap_sentence(found: list[Gap]) -> str:
    """One sentence on the worst gap, or on why there is none.

    >>> gap_sentence([Gap("a", True, 0.021, 0.09, 100), Gap("b", True, 0.004, 0.01, 100)])
    'The contributions of a cut must sum to the change of the target; at the median sample they
    miss it by 2.1 % at `a`, the worst of 2 cuts (95th percentile: 9.0 %), and by
    0.4 % at `b`, the best.'
    """
    known = [gap for gap in found if gap.known]
    if not known:
        why = (
            "no site is a cut through which every path runs"
            if not any(gap.is_cut for gap in found)
            else "the method counts from no baseline"
        )
        return f"There is no sum to check the contributions against: {why}."
    worst = max(known, key=lambda gap: gap.median)
    widest = max(known, key=lambda gap: gap.high)
    if widest.high < _EXACT:
        return (
            "The contributions of a cut must sum to the change of the target, and they do: at "
            f"{counted(len(known), 'cut')}, 95 of 100 samples miss it by less than 0.1 %."
        )
    best = min(known, key=lambda gap: gap.median)
    among = f", the worst of {len(known)} cuts" if len(known) > 1 else ""
    text = (
        "The contributions of a cut must sum to the change of the target; at the median sample "
        f"they miss it by {percent(worst.median, 1)} at `{worst.site}`{among} (95th percentile: "
        f"{percent(worst.high, 1)})"
    )
    if len(known) > 1:
        text += f", and by {percent(best.median, 1)} at `{best.site}`, the best"
    return f"{text}."


def estimate_sentence(estimate: np.ndarray, steps: np.ndarray) -> str:
    """One sentence on what a method with a tolerance estimates; empty where none was used.

    >>> estimate_sentence(np.array([0.02, 0.01, 0.04, 0.03]), np.array([8, 8, 16, 32]))
    'The method took 8 to 32 steps a sample (median 12), until contributions changed by no more
    than 2.5 % at the median sample, and by 3.9 % at the 95th percentile: an estimate of their
    error, which exact sums alone do not give.'
    """
    known = np.isfinite(estimate) & (steps > 0)
    if not known.any():
        return ""
    median, high = np.quantile(estimate[known], [0.5, 0.95])
    few, middle, many = np.quantile(steps[known], [0, 0.5, 1])
    return (
        f"The method took {few:.0f} to {many:.0f} steps a sample (median {middle:.0f}), until "
        f"contributions changed by no more than {percent(float(median), 1)} at the median sample, "
        f"and by {percent(float(high), 1)} at the 95th percentile: an estimate of their error, "
        "which exact sums alone do not give."
    )


def completeness_section(store: ContributionStore) -> Section:
    """The section that shows how far the sums can be trusted."""
    found = gaps(store)
    rows: list[list[Cell]] = [
        [
            gap.site,
            store.units(gap.site),
            "yes" if gap.is_cut else "no",
            percent(gap.median, 1) if gap.known else None,
            percent(gap.high, 1) if gap.known else None,
        ]
        for gap in found
    ]
    beside = sum(not gap.is_cut for gap in found)
    note = (
        f" {beside} of {len(found)} sites are no cuts: what runs past them is not in their sum."
        if beside
        else ""
    )
    caption = (
        "Size of the gap between the sum of contributions and the change of the target, as a "
        f"share of the median change, over {max((gap.samples for gap in found), default=0):,} "
        f"samples.{note}"
    )
    header = ["site", "units", "cut", "gap, median", "gap, 95th percentile"]
    told = gap_sentence(found)
    texts = [Text(told)]
    estimate = estimate_sentence(np.asarray(store.estimate), np.asarray(store.steps))
    if estimate:
        texts.append(Text(estimate))
    return Section("Do the contributions add up?", [*texts, Table(header, rows, caption)], told)
