"""Agreement of flow with interventions: remove a mode from one site, measure the next site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from codeclens.analysis.flow import BatchFlow, FlowModel
from codeclens.analysis.statistics import FEWEST
from codeclens.analysis.trend import rank_correlation
from codeclens.attribution import Attributor, Division, Site, frozen, tapped
from codeclens.attribution.embeddings import as_given
from codeclens.attribution.joint import secants_of
from codeclens.attribution.targets import bind
from codeclens.decomposition.loadings import Loadings
from codeclens.draws import Draws, interval
from codeclens.errors import counted, unknown
from codeclens.labelled import Labelled, columns_of, labels

if TYPE_CHECKING:
    import pandas
    import xarray

# Copies of samples, each with another mode removed, that are computed at once.
_AT_ONCE = 64
# A rank correlation of fewer triples of sample, mode and mode is not reliable.
_FEWEST_TRIPLES = 100
# Rows of loadings that are dense at once.
_ROWS = 1024
# A correlation of loadings needs at least this many samples.
_FEWEST = 10


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation with the effect of interventions, and its 95 % bootstrap interval."""

    rho: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.rho:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, eq=False, repr=False)
class Agreement(Labelled):
    """Predicted and measured effects of removing modes, for E triples of sample, mode i and mode j.

    `sample`, `i` and `j` `(E,)` are the triples in which both modes are active. `effect` `(E,)` is
    the decrease of mode j's contribution at `sink` when mode i's share is removed at `source`; the
    modes are encoded again in the disturbed network. `effect_fixed` is the same with the shares of
    all modes fixed. `predicted` holds the flow and two other predictors: the correlation over
    samples of the two modes' loadings, and the product of the two modes' contributions.
    """

    source: str
    sink: str
    sample: Int[np.ndarray, " triple"]
    i: Int[np.ndarray, " triple"]
    j: Int[np.ndarray, " triple"]
    effect: Float[np.ndarray, " triple"]
    effect_fixed: Float[np.ndarray, " triple"]
    predicted: dict[str, Float[np.ndarray, " triple"]] = field(default_factory=dict)

    def ranks(
        self, *, fixed: bool = False, resamples: int = 500, seed: int = 0
    ) -> dict[str, RankCorrelation]:
        """Spearman's correlation of each prediction with the effect, with intervals over samples.

        With `fixed` the effect is the one with fixed shares.

        >>> e = np.arange(4.0)
        >>> one = Agreement("a", "b", *np.array([[0, 0, 1, 1], [0, 1, 0, 1], [2, 2, 2, 2]]), e, e,
        ...     {"flow": 2 * e, "rival": -e})
        >>> {name: rank.rho for name, rank in one.ranks().items()}
        {'flow': 1.0, 'rival': -1.0}
        """
        effect = self.effect_fixed if fixed else self.effect
        if not len(effect):
            return {name: RankCorrelation(*(float("nan"),) * 3) for name in self.predicted}
        rows = self._resampled(Draws(resamples, seed))
        found = {}
        for name, given in self.predicted.items():
            # Constant modes have no correlation of loadings: the prediction is no effect.
            values = np.nan_to_num(given)
            redrawn = [float(rank_correlation(values[drawn], effect[drawn])) for drawn in rows]
            # A constant draw has no rank correlation.
            low, high = interval(np.array(redrawn))
            rho = float(rank_correlation(values, effect))
            found[name] = RankCorrelation(rho, float(low), float(high))
        return found

    def _resampled(self, draws: Draws) -> list[Int[np.ndarray, " row"]]:
        """The triples of every bootstrap draw of the samples."""
        samples, own = np.unique(self.sample, return_inverse=True)
        random, count = np.random.default_rng(draws.seed), len(samples)
        times = [
            np.bincount(random.integers(count, size=count), minlength=count) for _ in range(draws.n)
        ]
        return [np.repeat(np.arange(len(own)), drawn[own]) for drawn in times]

    def title(self) -> str:
        """One line: sites, samples and triples."""
        return (
            f"Agreement of flow with interventions, {self.source} → {self.sink}: "
            f"{counted(self.samples, 'sample')}, {counted(len(self.sample), 'triple')}"
        )

    def to_dataframe(self, resamples: int = 500) -> pandas.DataFrame:
        """One row for each prediction and each kind of effect."""
        import pandas

        return pandas.DataFrame(self._rows(resamples))

    def shown(self) -> pandas.DataFrame:
        """The rank correlations for the screen, without intervals, which take time."""
        return self.to_dataframe(resamples=0)[["effect", "predictor", "rho"]]

    def _rows(self, resamples: int = 500) -> list[dict[str, Any]]:
        return [
            {
                "source": self.source,
                "sink": self.sink,
                "effect": "fixed shares" if fixed else "encoded again",
                "predictor": name,
                "rho": rank.rho,
                "low": rank.low,
                "high": rank.high,
                "samples": self.samples,
                "triples": len(self.sample),
            }
            for fixed in (True, False)
            for name, rank in self.ranks(fixed=fixed, resamples=resamples).items()
        ]

    def to_xarray(self) -> xarray.Dataset:
        """All results as labelled arrays, for example for `to_zarr`.

        Dimensions are `triple`, with it `predictor` (flow and the others), and `rank` (the table).
        """
        import xarray

        names = ("sample", "i", "j", "effect", "effect_fixed")
        table: dict[str, Any] = {name: ("triple", getattr(self, name)) for name in names}
        table["predicted"] = ("predictor", "triple"), np.stack(list(self.predicted.values()))
        ranks = columns_of(self._rows(), "rank")
        table |= {f"rank_{name}": values for name, values in ranks.items()}
        about = {"source": self.source, "sink": self.sink}
        return xarray.Dataset(table, {"predictor": labels(list(self.predicted))}, about)

    @property
    def samples(self) -> int:
        """The number of samples with interventions."""
        return len(np.unique(self.sample))

    @property
    def caution(self) -> str:
        """A caution if there are too few samples or triples for reliable numbers; else empty."""
        few = []
        if self.samples < FEWEST:
            few.append(f"{self.samples} sample{'' if self.samples == 1 else 's'}")
        if len(self.sample) < _FEWEST_TRIPLES:
            few.append(f"{len(self.sample)} triple{'' if len(self.sample) == 1 else 's'}")
        return f"from {' and '.join(few)}: too few for reliable numbers" if few else ""

    def sentence(self, resamples: int = 500) -> str:
        """How well flow and the other predictors agree, in words, with a caution if needed."""
        if not len(self.sample):
            return f"No mode is active at both {self.source} and {self.sink}, so none was removed."
        words = []
        for fixed, what in ((True, "with fixed shares"), (False, "with modes encoded again")):
            ranks = self.ranks(fixed=fixed, resamples=resamples)
            rivals = ", ".join(f"{name} {rank}" for name, rank in ranks.items() if name != "flow")
            words.append(f"{what}: flow {ranks['flow']}, {rivals}")
        caution = f" This is {self.caution}." if self.caution else ""
        return (
            f"Single modes were removed at {self.source} in {self.samples} samples. Rank "
            f"correlation with the change of the modes' contributions at {self.sink} "
            f"{'; '.join(words)} ({len(self.sample):,} triples of sample, mode and mode).{caution}"
        )


def flow_agreement(
    prepared: FlowModel,
    batches: Sequence[tuple[Any, Tensor | None]],
    *,
    source: str,
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Compare the flow from one site to the next with interventions, for `batches` of samples.

    For every sample and every mode i that is active at `source`, its share `v_i ⊙ (a − a(x0))` is
    removed from the activation there, at all nodes of the path, and the contributions at the next
    site are computed again. Each batch is `x` `(B, …)` with its labels or None. Raises
    CodeclensError if `source` has no next site.
    """
    pair = next((pair for pair in prepared.pairs if pair[0] == source), None)
    if pair is None:
        raise unknown("flow from", source, [one for one, _ in prepared.pairs])
    columns: list[tuple[np.ndarray[Any, Any], ...]] = []
    first = 0
    for number, (x, known) in enumerate(batches):
        found = prepared(x, known)
        sample, *rest = _batch(prepared, found, x, known, pair)
        columns.append((sample + first, *rest))
        first += len(x)
        if progress is not None:
            progress(number + 1, len(batches))
    sample, i, j, effect, fixed, flow, product = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    correlation = _correlation(prepared.modes, pair)[i, j]
    predicted = {
        "flow": flow,
        "correlation of loadings": correlation,
        "product of contributions": product,
    }
    return Agreement(*pair, sample, i, j, effect, fixed, predicted)


def _batch(
    prepared: FlowModel, found: BatchFlow, x: Any, labels: Tensor | None, pair: tuple[str, str]
) -> tuple[np.ndarray[Any, Any], ...]:
    """For one batch: sample, i, j, the two effects, the flow and the product of contributions."""
    source, sink = pair
    here, there = found.shares[source], found.shares[sink]
    modes, others = len(prepared.modes[source]), len(prepared.modes[sink])
    rows, parts = np.nonzero((here.mode >= 0) & (here.mode < modes))
    sinks = (there.mode >= 0) & (there.mode < others)
    columns: list[list[np.ndarray[Any, Any]]] = []
    for start in range(0, len(rows), _AT_ONCE):
        row, part = rows[start : start + _AT_ONCE], parts[start : start + _AT_ONCE]
        without = _without(prepared, found.divisions[source], x, labels, pair, row, part)
        anew = prepared.shares(sink, without)
        positive, negative = (
            values.detach().cpu().double().numpy()
            for values in (without[sink].positive, without[sink].negative)
        )
        fixed = np.einsum("rau,ru->ra", there.positive[row], positive)
        fixed += np.einsum("rau,ru->ra", there.negative[row], negative)
        for n, (b, a) in enumerate(zip(row, part, strict=True)):
            own = np.flatnonzero(sinks[b])
            numbers = there.mode[b, own]
            before = there.contribution[b, own]
            left = dict(zip(anew.mode[n], anew.contribution[n], strict=True))
            after = np.array([left.get(number, 0.0) for number in numbers])
            columns.append(
                [
                    np.full(len(own), b),
                    np.full(len(own), here.mode[b, a]),
                    numbers,
                    before - after,
                    before - fixed[n, own],
                    found.joint[pair][b, a, own],
                    here.contribution[b, a] * before,
                ]
            )
    if not columns:
        return tuple(np.zeros(0, np.int64 if n < 3 else np.float64) for n in range(7))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _without(
    prepared: FlowModel,
    division: Division,
    x: Any,
    labels: Tensor | None,
    pair: tuple[str, str],
    rows: Int[np.ndarray, " copy"],
    parts: Int[np.ndarray, " copy"],
) -> Any:
    """Contributions at the sink of copies of samples, each without one part of the source."""
    whole = prepared.attributor
    chosen = torch.from_numpy(rows).to(x.device)
    x = whole.inputs(x)
    start = whole.starts(x)[0]
    places = {site.key: site for site in whole.survey(x).sites}
    site = places[pair[0]]
    outputs, at_start = _clean_run(prepared, x, start, site)
    share = torch.stack(
        [division.field(int(part))[row] for row, part in zip(rows, parts, strict=True)]
    )

    def edit(_: Site, activation: Tensor) -> Tensor:
        # A survey runs the first few copies only.
        count = len(activation)
        moved = activation - at_start[chosen[:count]]
        return activation - site.restore(share[:count].to(activation), like=activation) * moved

    # The same target as without the intervention, as predicted then.
    few = x[chosen]
    bound = bind(whole.target, outputs[chosen], None if labels is None else labels[chosen], few)
    attributor = Attributor(
        whole.model,
        sites=[places[pair[1]]],
        method=secants_of(whole.method),
        target=bound,
        baseline=as_given(start[chosen]),
        output=whole.output,
        at_once=len(rows),
    )
    with tapped(whole.model, [site], edit):
        return attributor(few)


def _clean_run(prepared: FlowModel, x: Any, start: Any, site: Site) -> tuple[Tensor, Tensor]:
    """The output at x and the site's activation at the baseline."""
    from codeclens.attribution.capture import run

    kept: list[Tensor] = []
    whole = prepared.attributor
    with frozen(whole.model), torch.no_grad():
        output = run(whole.model, x.clone(), whole.output)
        with tapped(whole.model, [site], lambda _, found: kept.append(found.clone())):
            run(whole.model, start.clone(), whole.output)
    return output.detach(), kept[0].detach()


def _correlation(
    modes: Mapping[str, Any], pair: tuple[str, str]
) -> Float[np.ndarray, "source sink"]:
    """Correlation of the loadings of two sites over the samples of the decomposition."""
    one, other = (Loadings.of(modes[site].loadings) for site in pair)
    out = np.full((one.shape[1], other.shape[1]), np.nan)
    if len(one) != len(other) or len(one) < _FEWEST:
        return out
    means = [loadings.sums() / len(one) for loadings in (one, other)]
    product, squares = np.zeros(out.shape), [np.zeros(len(mean)) for mean in means]
    for rows, part in one.blocks(_ROWS):
        a, b = part - means[0], other[rows] - means[1]
        product += a.T @ b
        for square, centred in zip(squares, (a, b), strict=True):
            square += np.square(centred).sum(axis=0)
    sizes = np.sqrt(np.outer(*squares))
    np.divide(product, sizes, out=out, where=sizes > 0)
    return out
