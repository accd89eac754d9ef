"""Results of flow: a sparse matrix of modes × modes for each pair of sites, table and graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from codeclens.analysis.statistics import FEWEST
from codeclens.errors import counted, require_number
from codeclens.labelled import Labelled, columns_of, labels, save_table, table_text

if TYPE_CHECKING:
    import pandas
    import xarray

Pair = tuple[str, str]
REMAINDER = "remainder"


# The columns of the table of a flow.
_EDGE = [
    *("source", "source_mode", "sink", "sink_mode"),
    *("flow", "magnitude", "share", "of_sink", "samples"),
]


@dataclass(frozen=True, eq=False)
class PairFlow:
    """How much of the output passes through mode i of `source` and then mode j of `sink`.

    `shape` `(K, K')` are the numbers of modes; matrices have one more row and column, the last, for
    the remainder that no mode explains. `joint` `(N, (K + 1)(K' + 1))` holds the matrix of every
    sample as a row, in the target's units. `completeness` `(N,)` is the sum of a matrix minus
    T(x) − T(x0), NaN unless `cut`: both sites are cuts. `gaps` `(N, 2)` are the largest differences
    in each sample between the sum of a row, or of a column, and the contribution of its mode:
    between cuts only rounding, elsewhere the flow that bypasses the other site.
    """

    source: str
    sink: str
    shape: tuple[int, int]
    joint: sparse.csr_array = field(repr=False)
    completeness: Float[np.ndarray, " sample"] = field(repr=False)
    gaps: Float[np.ndarray, "sample 2"] = field(repr=False)
    cut: bool

    def of(self, sample: int) -> sparse.csr_array:
        """The matrix of one sample, `(K + 1, K' + 1)`; raises CodeclensError if it is missing."""
        count = self.joint.shape[0]
        require_number("sample", sample, least=-count, below=count, whole=True)
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
        """The number of samples with flow through both modes, `(K + 1, K' + 1)`."""
        return self._summed((self.joint != 0).astype(np.float64))

    def fewest(self, share: float = 0.5) -> tuple[int, int]:
        """How many pairs of modes carry this share of the flow between modes, and out of how many.

        Pairs with the remainder are excluded.
        """
        between = self.share[: self.shape[0], : self.shape[1]].tocoo().data
        largest = np.cumsum(np.sort(between)[::-1])
        if not len(largest):
            return 0, 0
        return int(np.searchsorted(largest, share * largest[-1])) + 1, len(largest)

    @property
    def explained(self) -> float:
        """The share of all magnitudes between two modes, the remainder excluded."""
        return float(self.share[: self.shape[0], : self.shape[1]].sum())

    def _matrix(self, row: sparse.csr_array) -> sparse.csr_array:
        return sparse.csr_array(row.reshape((self.shape[0] + 1, self.shape[1] + 1)))

    def _summed(self, rows: sparse.csr_array) -> sparse.csr_array:
        # A product of sparse matrices: a dense sum would hold all pairs of modes.
        return self._matrix(sparse.csr_array(np.ones((1, rows.shape[0]))) @ rows)


@dataclass(frozen=True)
class Edge:
    """One edge of the graph: `weight` is the mean flow, `share` its share of all magnitudes.

    Mode K of a site with K modes is its remainder.
    """

    source: tuple[str, int]
    sink: tuple[str, int]
    weight: float
    share: float


@dataclass(frozen=True, repr=False)
class FlowGraph:
    """Modes with flow through them, and the edges between them, the largest first.

    `nodes` maps (site, mode) to the mean contribution; `shown` is the share of the flow that the
    edges of each pair of sites hold.
    """

    nodes: dict[tuple[str, int], float]
    edges: tuple[Edge, ...]
    shown: dict[Pair, float]

    def __repr__(self) -> str:
        held = ", ".join(f"{a} → {b} {share:.0%}" for (a, b), share in self.shown.items())
        return (
            f"FlowGraph of {counted(len(self.nodes), 'mode')} and "
            f"{counted(len(self.edges), 'edge')}; share of the flow that they hold: {held}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Flow(Labelled, Mapping[Pair, PairFlow]):
    """The flow between the modes of consecutive sites: a mapping from (source, sink) to `PairFlow`.

    `contributions` holds the contributions of the modes of each site, `(N, K + 1)`, the remainder
    last. `samples` `(N,)` are the numbers of the samples in the data, `target` and
    `baseline_target` `(N,)` are T(x) and T(x0), `names` the names of the modes of each site.
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
        """The name of a mode; the remainder is "remainder"."""
        names = self.names[site]
        return names[mode] if mode < len(names) else REMAINDER

    def mean_contribution(self, site: str) -> Float[np.ndarray, " part"]:
        """The mean over samples of each mode's contribution, `(K + 1,)`, the remainder last."""
        return np.asarray(self.contributions[site].mean(axis=0)).ravel()

    def mean_magnitude(self, site: str) -> Float[np.ndarray, " part"]:
        """The mean over samples of the absolute contribution of each mode, `(K + 1,)`."""
        return np.asarray(abs(self.contributions[site]).mean(axis=0)).ravel()

    def graph(self, threshold: float = 0.0, most: int | None = None) -> FlowGraph:
        """The graph of modes: edges with a share of their pair of sites above `threshold`.

        Of every pair of sites at most the `most` largest edges. The nodes are their ends.
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

    def title(self) -> str:
        """One line: samples and sites."""
        return f"Flow of {counted(len(self.samples), 'sample')}, {' → '.join(self.sites)}"

    def to_dataframe(self, threshold: float = 0.0) -> pandas.DataFrame:
        """One row for each edge, pair after pair, the largest first.

        `flow` is the mean over samples in the target's units, `magnitude` the mean absolute value,
        `share` its share of all magnitudes, `of_sink` the share of the magnitudes that reach the
        later mode, `samples` the number of samples with that flow.
        """
        import pandas

        return pandas.DataFrame(self._edges(threshold), columns=_EDGE)

    def shown(self) -> pandas.DataFrame:
        """The largest edges of every pair of sites, for the screen."""
        import pandas

        return pandas.DataFrame(self._edges(most=max(1, 14 // max(len(self), 1))), columns=_EDGE)

    def __repr__(self) -> str:
        edges = sum(int((one.magnitude > 0).sum()) for one in self.values())
        return table_text(self.title(), self.shown(), edges)

    def _edges(self, threshold: float = 0.0, most: int | None = None) -> list[dict[str, Any]]:
        rows = []
        columns = {pair: np.asarray(one.magnitude.sum(axis=0)) for pair, one in self.items()}
        for edge in self.graph(threshold, most).edges:
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

    def completeness_table(self) -> pandas.DataFrame:
        """One row for each sample and pair of sites: the gaps of sums, in the target's units."""
        import pandas

        return pandas.concat(
            [
                pandas.DataFrame(
                    {
                        "sample": self.samples,
                        "source": one.source,
                        "sink": one.sink,
                        "change": self.target - self.baseline_target,
                        "total_gap": one.completeness,
                        "source_gap": one.gaps[:, 0],
                        "sink_gap": one.gaps[:, 1],
                    }
                )
                for one in self.pairs
            ],
            ignore_index=True,
        )

    def to_csv(self, path: str | Path, threshold: float = 0.0) -> Path:
        """Write the table as CSV (UTF-8) and return its path."""
        return save_table(path, self.to_dataframe(threshold))

    def to_xarray(self) -> xarray.Dataset:
        """All results as labelled arrays, for example for `to_zarr`.

        Dimensions are `edge` (the table), `sample` and `pair` (gaps of sums), `part` (the
        contributions of the modes and remainders of all sites) and `entry` (the entries of the
        matrices of all samples: sample, pair and numbers of the modes).
        """
        import xarray

        parts = [(site, mode) for site in self.sites for mode in range(len(self.names[site]) + 1)]
        contributions = [self.contributions[site].toarray() for site in self.sites]
        joint = [one.joint.tocoo() for one in self.pairs]
        modes = [
            np.divmod(found.coords[1], one.shape[1] + 1)
            for one, found in zip(self.pairs, joint, strict=True)
        ]
        pair = np.repeat(np.arange(len(joint)), [found.nnz for found in joint])
        edges = columns_of(self._edges(), "edge")
        table: dict[str, Any] = {f"edge_{name}": values for name, values in edges.items()}
        table |= {
            "entry_sample": ("entry", np.concatenate([found.coords[0] for found in joint])),
            "entry_pair": ("entry", pair),
            "entry_source_mode": ("entry", np.concatenate([source for source, _ in modes])),
            "entry_sink_mode": ("entry", np.concatenate([sink for _, sink in modes])),
            "entry_flow": ("entry", np.concatenate([found.data for found in joint])),
            "contribution": (("sample", "part"), np.concatenate(contributions, axis=1)),
            "target": ("sample", self.target),
            "baseline_target": ("sample", self.baseline_target),
            "explained": ("pair", [one.explained for one in self.pairs]),
            "cut": ("pair", [one.cut for one in self.pairs]),
            "total_gap": (("pair", "sample"), [one.completeness for one in self.pairs]),
            "source_gap": (("pair", "sample"), [one.gaps[:, 0] for one in self.pairs]),
            "sink_gap": (("pair", "sample"), [one.gaps[:, 1] for one in self.pairs]),
        }
        coordinates = {
            "sample": self.samples,
            "pair_source": ("pair", labels([one.source for one in self.pairs])),
            "pair_sink": ("pair", labels([one.sink for one in self.pairs])),
            "part_site": ("part", labels([site for site, _ in parts])),
            "part_mode": ("part", [mode for _, mode in parts]),
            "part_name": ("part", labels([self.name(*part) for part in parts])),
        }
        return xarray.Dataset(table, coordinates)

    def sentences(self) -> list[str]:
        """The main results in sentences, computed from the numbers."""
        lines = [
            f"Flow between the modes of {len(self.sites)} sites over {len(self.samples):,} "
            "samples: the part of the output that passes through a mode of one site and then a "
            "mode of the next, means over samples in the target's unit."
        ]
        if len(self.samples) < FEWEST:
            count = "1 sample is" if len(self.samples) == 1 else f"{len(self.samples)} samples are"
            lines.append(f"{count} few: the flow of other samples may differ.")
        lines += [_pair_sentence(self, one) for one in self.pairs]
        return [*lines, _completeness_sentence(self), _chain_sentence(self)]


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


_CHAIN_STEPS = 12


def _pair_sentence(flow: Flow, one: PairFlow) -> str:
    count, every = one.fewest(0.5)
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
        f"half of the flow between modes; {1 - one.explained:.0%} of the flow goes through units "
        f"without an active mode (R² measures how well the modes explain the others).{largest}"
    )


def _completeness_sentence(flow: Flow) -> str:
    change = float(np.median(np.abs(flow.target - flow.baseline_target)))
    cuts = [one for one in flow.pairs if one.cut]
    if not cuts or not change > 0:
        return (
            "No two sites are cuts, so that sums cannot be compared with the change of the target."
        )
    worst = max(float(np.abs(one.completeness).max()) for one in cuts)
    ends = max(float(one.gaps.max()) for one in cuts)
    return (
        f"Between cuts, sums of the flow differ from the change of the target by at most "
        f"{worst / change:.1e} of its median, and from the contributions of single modes by at "
        f"most {ends / change:.1e}."
    )


def _chain_sentence(flow: Flow) -> str:
    """The strongest edges back from the mode with the largest contribution at the last site."""
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
        f"The largest contribution at {last} is from mode {flow.name(last, mode)} ({total:+.3g} on "
        f"average); its chain of largest sources is {' → '.join(names[::-1])}."
    )
