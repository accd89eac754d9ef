"""Flow in words: plain sentences that are computed from the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from codeclens.analysis.statistics import FEWEST

if TYPE_CHECKING:
    from codeclens.analysis.flows import Flow, PairFlow

# So much of the flow is what a few edges are counted for.
_MOST = 0.5
_CHAIN_STEPS = 12


def flow_sentences(flow: Flow) -> list[str]:
    """What is known of a flow: how concentrated it is, its largest edges, what its sums miss."""
    lines = [
        f"Flow between the modes of {len(flow.sites)} sites over {len(flow.samples):,} samples: "
        "the part of the output that passes through a mode of one site and then a mode of the "
        "next, means over samples in the target's unit."
    ]
    if len(flow.samples) < FEWEST:
        lines.append(f"{_samples(len(flow.samples))} few: other samples may well take other ways.")
    lines += [_pair_sentence(flow, one) for one in flow.pairs]
    lines.append(_completeness_sentence(flow))
    lines.append(_chain_sentence(flow))
    return lines


def _samples(number: int) -> str:
    return "1 sample is" if number == 1 else f"{number} samples are"


def _pair_sentence(flow: Flow, one: PairFlow) -> str:
    count, every = one.fewest(_MOST)
    graph = [
        edge
        for edge in flow.graph(most=50).edges
        if (edge.source[0], edge.sink[0]) == (one.source, one.sink)
        and edge.source[1] < one.shape[0]
        and edge.sink[1] < one.shape[1]
    ]
    largest = ""
    if graph:
        top = graph[0]
        largest = (
            f" The largest goes from mode {flow.name(*top.source)} to mode {flow.name(*top.sink)} "
            f"({top.weight:+.3g}, {top.share:.1%} of all)."
        )
    return (
        f"From {one.source} to {one.sink}, {count:,} of {every:,} pairs of modes carry "
        f"half of what flows between modes; {1 - one.explained:.0%} of the flow goes through units "
        f"in which no mode is present (how well modes explain the others, their R² says).{largest}"
    )


def _completeness_sentence(flow: Flow) -> str:
    change = float(np.median(np.abs(flow.target - flow.baseline_target)))
    cuts = [one for one in flow.pairs if one.cut]
    if not cuts or not change > 0:
        return "No two sites are cuts, so that no sum can be held against the change of the target."
    worst = max(float(np.abs(one.completeness).max()) for one in cuts)
    ends = max(float(one.gaps.max()) for one in cuts)
    return (
        f"Between cuts the flow misses the change of the target by at most {worst / change:.1e} of "
        f"its median, and the contributions of single modes by at most {ends / change:.1e}."
    )


def _chain_sentence(flow: Flow) -> str:
    """Follow the strongest edges back from the mode that contributes most at the last site."""
    last = flow.sites[-1]
    means = flow.mean_contribution(last)[:-1]
    if not len(means):
        return f"There are no modes at {last}."
    mode = int(np.abs(means).argmax())
    total = float(means[mode])
    names = [f"{flow.name(last, mode)} ({last})"]
    at = mode
    for one in flow.pairs[::-1][:_CHAIN_STEPS]:
        column = np.asarray(one.magnitude[:, [at]].todense()).ravel()[: one.shape[0]]
        if not column.any():
            break
        at = int(column.argmax())
        names.append(f"{flow.name(one.source, at)} ({one.source})")
    return (
        f"The mode that contributes most at {last} ({total:+.3g} on average) is reached, always by "
        f"its largest source, along {' → '.join(names[::-1])}."
    )
