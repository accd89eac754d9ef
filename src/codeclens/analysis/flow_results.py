"""What flow is: for each pair of sites a sparse matrix of modes by modes, table and graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from codeclens.analysis.statistics import FEWEST
from codeclens.errors import CodeclensError
from codeclens.labelled import save_table

if TYPE_CHECKING:
    import xarray


Pair = tuple[str, str]
REMAINDER = "remainder"


@dataclass(frozen=True, eq=False)
class PairFlow:
    """How much of the output passes through mode i of `source` and then mode j of `sink`.

    `shape` `(K, K')` counts their modes; matrices have one row and one column more, the last, for
    what no mode explains. `joint` `(N, (K + 1)(K' + 1))` holds every sample's matrix as a row, in
    the target's units. `completeness` `(N,)` is the sum over all of it minus T(x) − T(x0), NaN
    unless `cut`: both sites are cuts. `gaps` `(N, 2)` is by how much a row's sum misses the
    contribution of its mode, and a column's that of its own, the worst of each sample: rounding
    between cuts, elsewhere what goes past the other site.
    """

    source: str
    sink: str
    shape: tuple[int, int]
    joint: sparse.csr_array
    completeness: Float[np.ndarray, " sample"]
    gaps: Float[np.ndarray, "sample 2"]
    cut: bool

    def of(self, sample: int) -> sparse.csr_array:
        """The matrix of one sample, `(K + 1, K' + 1)`; raises CodeclensError where it is none."""
        count = self.joint.shape[0]
        if not -count <= sample < count:
            raise CodeclensError(f"There is no sample {sample} among the {count} of this flow.")
        return self._matrix(self.joint[[sample]])

    @cached_property
    def mean(self) -> sparse.csr_array:
        """The mean over samples, `(K + 1, K' + 1)`, with its sign, in the target's units."""
        return self._summed(self.joint) / self.joint.shape[0]

    @cached_property
    def magnitude(self) -> sparse.csr_array:
        """The mean over samples of the absolute value, `(K + 1, K' + 1)`."""
        return self._summed(abs(self.joint)) / self.joint.shape[0]

    @cached_property
    def share(self) -> sparse.csr_array:
        """Each pair's share of all magnitudes, `(K + 1, K' + 1)`; shares sum to 1."""
        total = self.magnitude.sum()
        return self.magnitude / (total if total > 0 else 1.0)

    @cached_property
    def together(self) -> sparse.csr_array:
        """In how many samples something passes through both modes, `(K + 1, K' + 1)`."""
        return self._summed((self.joint != 0).astype(np.float64))

    def fewest(self, share: float = 0.5) -> tuple[int, int]:
        """How few pairs of modes carry this share of what flows between modes, and of how many.

        Pairs with the remainder do not count.
        """
        between = self.share[: self.shape[0], : self.shape[1]].tocoo().data
        largest = np.cumsum(np.sort(between)[::-1])
        if not len(largest):
            return 0, 0
        return int(np.searchsorted(largest, share * largest[-1])) + 1, len(largest)

    @property
    def explained(self) -> float:
        """The share of all magnitudes that lies between two modes, neither the remainder."""
        return float(self.share[: self.shape[0], : self.shape[1]].sum())

    def _matrix(self, row: sparse.csr_array) -> sparse.csr_array:
        return sparse.csr_array(row.reshape((self.shape[0] + 1, self.shape[1] + 1)))

    def _summed(self, rows: sparse.csr_array) -> sparse.csr_array:
        # A product of sparse matrices: a dense sum would have all pairs of modes.
        return self._matrix(sparse.csr_array(np.ones((1, rows.shape[0]))) @ rows)


@dataclass(frozen=True)
class Edge:
    """One edge of the graph: `weight` is the mean flow, `share` its share of all magnitudes.

    The mode K of a site with K modes is its remainder.
    """

    source: tuple[str, int]
    sink: tuple[str, int]
    weight: float
    share: float


@dataclass(frozen=True)
class FlowGraph:
    """The modes that anything passes through and the edges between them, the largest first.

    `nodes` maps (site, mode) to the mean contribution; `shown` says for each pair of sites which
    share of the flow the edges hold.
    """

    nodes: dict[tuple[str, int], float]
    edges: tuple[Edge, ...]
    shown: dict[Pair, float]


@dataclass(frozen=True, eq=False, repr=False)
class Flow(Mapping[Pair, PairFlow]):
    """The flow between the modes of consecutive sites: a mapping from (source, sink) to `PairFlow`.

    `contributions` holds for each site what the target owes to each of its modes, `(N, K + 1)`,
    the remainder last. `samples` `(N,)` are the numbers of the samples in the data, `target` and
    `baseline_target` `(N,)` are T(x) and T(x0), `names` what the modes of a site are called.
    """

    pairs: tuple[PairFlow, ...]
    contributions: dict[str, sparse.csr_array]
    samples: Int[np.ndarray, " sample"]
    target: Float[np.ndarray, " sample"]
    baseline_target: Float[np.ndarray, " sample"]
    names: dict[str, list[str]]

    @property
    def sites(self) -> list[str]:
        """The keys of the sites, from input to output."""
        return [self.pairs[0].source, *(pair.sink for pair in self.pairs)]

    def __getitem__(self, pair: Pair) -> PairFlow:
        for one in self.pairs:
            if (one.source, one.sink) == pair:
                return one
        known = ", ".join(f"{one.source} → {one.sink}" for one in self.pairs)
        raise KeyError(f"There is no flow {pair!r}; there is {known}.")

    def __iter__(self) -> Iterator[Pair]:
        return ((one.source, one.sink) for one in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, site: str, mode: int) -> str:
        """What a mode is called; the remainder is "remainder"."""
        names = self.names[site]
        return names[mode] if mode < len(names) else REMAINDER

    def mean_contribution(self, site: str) -> Float[np.ndarray, " part"]:
        """The mean over samples of each mode's contribution, `(K + 1,)`, the remainder last."""
        return np.asarray(self.contributions[site].mean(axis=0)).ravel()

    def mean_magnitude(self, site: str) -> Float[np.ndarray, " part"]:
        """The mean over samples of the absolute contribution of each mode, `(K + 1,)`."""
        return np.asarray(abs(self.contributions[site]).mean(axis=0)).ravel()

    def graph(self, threshold: float = 0.0, most: int | None = None) -> FlowGraph:
        """The graph of modes: edges whose share of their pair of sites is above `threshold`.

        At most the `most` largest of every pair of sites. The nodes are all modes at either end of
        an edge.
        """
        edges: list[Edge] = []
        shown: dict[Pair, float] = {}
        for pair, one in self.items():
            share, mean = one.share.tocoo(), one.mean
            order = np.argsort(-share.data, kind="stable")[: most or None]
            order = order[share.data[order] > threshold]
            shown[pair] = float(share.data[order].sum())
            rows, columns = share.coords
            edges += [
                Edge(
                    (one.source, int(rows[at])),
                    (one.sink, int(columns[at])),
                    float(mean[rows[at], columns[at]]),
                    float(share.data[at]),
                )
                for at in order
            ]
        met = dict.fromkeys(node for edge in edges for node in (edge.source, edge.sink))
        means = {site: self.mean_contribution(site) for site in self.sites}
        nodes = {(site, mode): float(means[site][mode]) for site, mode in met}
        return FlowGraph(nodes, tuple(edges), shown)

    def table(self, threshold: float = 0.0) -> list[dict[str, Any]]:
        """One row for each edge, pair after pair, the largest first.

        `flow` is the mean over samples in the target's units, `magnitude` that of the absolute
        value, `share` its share of all magnitudes, `of_sink` the share of the mode's own column,
        `samples` in how many samples something passed.
        """
        rows = []
        columns = {pair: np.asarray(one.magnitude.sum(axis=0)) for pair, one in self.items()}
        for edge in self.graph(threshold).edges:
            (source, i), (sink, j) = edge.source, edge.sink
            one = self[source, sink]
            magnitude = float(one.magnitude[i, j])
            rows.append(
                {
                    "source": source,
                    "source_mode": self.name(source, i),
                    "sink": sink,
                    "sink_mode": self.name(sink, j),
                    "flow": edge.weight,
                    "magnitude": magnitude,
                    "share": edge.share,
                    "of_sink": magnitude / float(columns[source, sink][j]),
                    "samples": int(one.together[i, j]),
                }
            )
        return rows

    def completeness_table(self) -> list[dict[str, Any]]:
        """One row for each sample and pair of sites: what the sums miss, in the target's units."""
        return [
            {
                "sample": int(sample),
                "source": one.source,
                "sink": one.sink,
                "change": float(self.target[n] - self.baseline_target[n]),
                "total_gap": float(one.completeness[n]),
                "source_gap": float(one.gaps[n, 0]),
                "sink_gap": float(one.gaps[n, 1]),
            }
            for one in self.pairs
            for n, sample in enumerate(self.samples)
        ]

    def to_csv(self, path: str | Path, threshold: float = 0.0) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.table(threshold))

    def dataset(self) -> xarray.Dataset:
        """Everything with its names, for `to_zarr` and `to_dataframe`, which are xarray's.

        Dimensions are `edge` (the table), `sample` and `pair` (the table of completeness), `part`
        (modes and remainders of all sites one below another, with their contributions) and
        `passage` (every sample's matrices by their entries: sample, pair and modes by number).
        """
        from codeclens.analysis.datasets import flow_dataset

        return flow_dataset(self)

    def sentences(self) -> list[str]:
        """What flows where, in plain sentences that are computed from the numbers."""

        return flow_sentences(self)

    def __repr__(self) -> str:
        return f"Flow({len(self.samples)} samples, {' → '.join(self.sites)})"


def joined(parts: Sequence[Flow]) -> Flow:
    """The flows of several batches as one, in their order."""
    first = parts[0]
    pairs = tuple(
        PairFlow(
            one.source,
            one.sink,
            one.shape,
            _stacked([part.pairs[n].joint for part in parts]),
            np.concatenate([part.pairs[n].completeness for part in parts]),
            np.concatenate([part.pairs[n].gaps for part in parts]),
            one.cut,
        )
        for n, one in enumerate(first.pairs)
    )
    return Flow(
        pairs,
        {site: _stacked([part.contributions[site] for part in parts]) for site in first.sites},
        np.concatenate([part.samples for part in parts]),
        np.concatenate([part.target for part in parts]),
        np.concatenate([part.baseline_target for part in parts]),
        first.names,
    )


def _stacked(matrices: Sequence[sparse.csr_array]) -> sparse.csr_array:
    return sparse.csr_array(sparse.vstack(matrices, format="csr"))


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
