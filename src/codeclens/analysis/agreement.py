"""Agreement of flow with interventions: take a mode's share out of one site, watch the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from codeclens.analysis.flow import Passage, Pathways
from codeclens.analysis.statistics import FEWEST
from codeclens.analysis.trend import rank_correlation
from codeclens.attribution import Attributor, Division, Given, Site, frozen, tapped
from codeclens.attribution.joint import secants_of
from codeclens.attribution.targets import bind
from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    import xarray

# Copies of samples, each with another mode taken out, that are computed at once.
_AT_ONCE = 64
# Below so many triples of sample, mode and mode a rank correlation is chance's.
_FEWEST_TRIPLES = 100
# Below this many samples a correlation of loadings says nothing.
_FEWEST = 10


@dataclass(frozen=True)
class Rank:
    """A rank correlation with what interventions did, and its 95 % bootstrap interval."""

    rho: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.rho:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True, eq=False)
class Agreement:
    """What flow and its rivals foretell, and what happened, for E triples of sample, i and j.

    `sample`, `i` and `j` `(E,)` name the triples in which both modes are present. `effect` `(E,)`
    is by how much mode j's contribution at `sink` fell when mode i's share was taken out of
    `source`, with the modes found anew in the disturbed network; `held` the same with every mode's
    shares as they were. `foretold` holds the flow, and its rivals: the correlation over samples of
    the two modes' loadings, and the product of the two modes' contributions.
    """

    source: str
    sink: str
    sample: Int[np.ndarray, " triple"]
    i: Int[np.ndarray, " triple"]
    j: Int[np.ndarray, " triple"]
    effect: Float[np.ndarray, " triple"]
    held: Float[np.ndarray, " triple"]
    foretold: dict[str, Float[np.ndarray, " triple"]]

    def ranks(self, *, held: bool = False, resamples: int = 500, seed: int = 0) -> dict[str, Rank]:
        """Spearman's correlation of what each foretells with the effect; samples are drawn again.

        With `held` the effect is the one with every mode's shares as they were.

        >>> e = np.arange(4.0)
        >>> one = Agreement("a", "b", *np.array([[0, 0, 1, 1], [0, 1, 0, 1], [2, 2, 2, 2]]), e, e,
        ...     {"flow": 2 * e, "rival": -e})
        >>> {name: rank.rho for name, rank in one.ranks().items()}
        {'flow': 1.0, 'rival': -1.0}
        """
        happened = self.held if held else self.effect
        if not len(happened):
            return {name: Rank(*(float("nan"),) * 3) for name in self.foretold}
        samples, own = np.unique(self.sample, return_inverse=True)
        random = np.random.default_rng(seed)
        draws = [
            np.bincount(random.integers(len(samples), size=len(samples)), minlength=len(samples))
            for _ in range(resamples)
        ]
        found = {}
        for name, given in self.foretold.items():
            # Modes that never vary have no correlation: nothing is foretold of them.
            values = np.nan_to_num(given)
            redrawn = [
                float(rank_correlation(values[rows], happened[rows]))
                for rows in (np.repeat(np.arange(len(values)), times[own]) for times in draws)
            ]
            # Where nothing varies there is no rank correlation, and no interval of one.
            known = np.array(redrawn)[np.isfinite(redrawn)]
            low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (np.nan, np.nan)
            found[name] = Rank(float(rank_correlation(values, happened)), float(low), float(high))
        return found

    def table(self, resamples: int = 500) -> list[dict[str, Any]]:
        """One row for the flow and each rival, and for each way to see the effect."""
        return [
            {
                "source": self.source,
                "sink": self.sink,
                "effect": "shares held" if held else "modes anew",
                "foretold_by": name,
                "rho": rank.rho,
                "low": rank.low,
                "high": rank.high,
                "samples": self.samples,
                "triples": len(self.sample),
            }
            for held in (True, False)
            for name, rank in self.ranks(held=held, resamples=resamples).items()
        ]

    def dataset(self) -> xarray.Dataset:
        """Everything with its names, for `to_zarr` and `to_dataframe`, which are xarray's.

        Dimensions are `triple`, with it `foretold_by` (flow and its rivals), and `rank`: the table.
        """
        from codeclens.analysis.datasets import agreement_dataset

        return agreement_dataset(self)

    @property
    def samples(self) -> int:
        """In how many samples modes were taken out."""
        return len(np.unique(self.sample))

    @property
    def caution(self) -> str:
        """Why the numbers are not to be trusted: too few samples, or triples; else empty."""
        few = []
        if self.samples < FEWEST:
            few.append(f"{self.samples} sample{'' if self.samples == 1 else 's'}")
        if len(self.sample) < _FEWEST_TRIPLES:
            few.append(f"{len(self.sample)} triple{'' if len(self.sample) == 1 else 's'}")
        return f"from {' and '.join(few)}: too few to trust the numbers" if few else ""

    def sentence(self, resamples: int = 500) -> str:
        """How well flow and its rivals foretell, in words; too few samples are told as such."""
        if not len(self.sample):
            return (
                f"No mode is present at both {self.source} and {self.sink}, so that none could be "
                "taken out."
            )
        words = []
        for held, what in ((True, "as divided before"), (False, "when modes are found anew")):
            ranks = self.ranks(held=held, resamples=resamples)
            rivals = ", ".join(f"{name} {rank}" for name, rank in ranks.items() if name != "flow")
            words.append(f"{what}: flow {ranks['flow']}, {rivals}")
        caution = f" This is {self.caution}." if self.caution else ""
        return (
            f"Single modes taken out of {self.source} in {self.samples} samples: rank correlation "
            f"with the change of the contributions of modes at {self.sink} {'; '.join(words)} "
            f"({len(self.sample):,} triples of sample, mode and mode).{caution}"
        )


def flow_agreement(
    pathways: Pathways,
    batches: Sequence[tuple[Tensor, Tensor | None]],
    *,
    source: str,
    progress: Callable[[int, int], None] | None = None,
) -> Agreement:
    """Hold the flow from one site to the next against interventions, for `batches` of samples.

    For every sample and every mode i that is present at `source`, its share `v_i ⊙ (a − a(x0))` is
    taken out of the activation there, at all nodes of the path, and the contributions at the next
    site are computed anew. Each batch is `x` `(B, …)` with its labels or None. Raises
    CodeclensError where nothing follows `source`.
    """
    pair = next((pair for pair in pathways.pairs if pair[0] == source), None)
    if pair is None:
        raise CodeclensError(f'No flow of modes begins at site "{source}".')
    columns: list[tuple[np.ndarray[Any, Any], ...]] = []
    first = 0
    for number, (x, labels) in enumerate(batches):
        found = pathways(x, labels)
        sample, *rest = _batch(pathways, found, x, labels, pair)
        columns.append((sample + first, *rest))
        first += len(x)
        if progress is not None:
            progress(number + 1, len(batches))
    sample, i, j, effect, held, flow, product = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    correlation = _correlation(pathways.modes, pair)[i, j]
    foretold = {
        "flow": flow,
        "correlation of loadings": correlation,
        "product of contributions": product,
    }
    return Agreement(*pair, sample, i, j, effect, held, foretold)


def _batch(
    pathways: Pathways, found: Passage, x: Tensor, labels: Tensor | None, pair: tuple[str, str]
) -> tuple[np.ndarray[Any, Any], ...]:
    """For one batch: sample, i, j, the two effects, the flow and the product of contributions."""
    source, sink = pair
    here, there = found.shares[source], found.shares[sink]
    modes, others = len(pathways.modes[source]), len(pathways.modes[sink])
    rows, parts = np.nonzero((here.mode >= 0) & (here.mode < modes))
    sinks = (there.mode >= 0) & (there.mode < others)
    columns: list[list[np.ndarray[Any, Any]]] = []
    for start in range(0, len(rows), _AT_ONCE):
        row, part = rows[start : start + _AT_ONCE], parts[start : start + _AT_ONCE]
        without = _without(pathways, found.divisions[source], x, labels, pair, row, part)
        anew = pathways.shares(sink, without)
        positive, negative = (
            values.detach().cpu().double().numpy()
            for values in (without[sink].positive, without[sink].negative)
        )
        held = np.einsum("rau,ru->ra", there.positive[row], positive)
        held += np.einsum("rau,ru->ra", there.negative[row], negative)
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
                    before - held[n, own],
                    found.joint[pair][b, a, own],
                    here.contribution[b, a] * before,
                ]
            )
    if not columns:
        return tuple(np.zeros(0, np.int64 if n < 3 else np.float64) for n in range(7))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _without(
    pathways: Pathways,
    division: Division,
    x: Tensor,
    labels: Tensor | None,
    pair: tuple[str, str],
    rows: Int[np.ndarray, " copy"],
    parts: Int[np.ndarray, " copy"],
) -> Any:
    """Contributions at the sink of copies of samples, each without one part of the source."""
    whole = pathways.attributor
    chosen = torch.from_numpy(rows).to(x.device)
    start = torch.as_tensor(whole.baseline.at(x, 0)).to(x).expand_as(x)
    places = {site.key: site for site in whole.survey(x).sites}
    site = places[pair[0]]
    outputs, at_start = _looked(pathways, x, start, site)
    share = torch.stack(
        [division.field(int(part))[row] for row, part in zip(rows, parts, strict=True)]
    )

    def edit(_: Site, activation: Tensor) -> Tensor:
        # A survey looks at the first few copies alone.
        count = len(activation)
        moved = activation - at_start[chosen[:count]]
        return activation - site.restore(share[:count].to(activation), like=activation) * moved

    # The same target as without the intervention: what was predicted then.
    bound = bind(whole.target, outputs[chosen], None if labels is None else labels[chosen])
    attributor = Attributor(
        whole.model,
        sites=[places[pair[1]]],
        method=secants_of(whole.method),
        target=bound,
        baseline=Given(start[chosen]),
        output=whole.output,
        at_once=len(rows),
    )
    with tapped(whole.model, [site], edit):
        return attributor(x[chosen])


def _looked(pathways: Pathways, x: Tensor, start: Tensor, site: Site) -> tuple[Tensor, Tensor]:
    """The output at x and the site's activation at the baseline."""
    from codeclens.attribution.capture import run

    kept: list[Tensor] = []
    whole = pathways.attributor
    with frozen(whole.model), torch.no_grad():
        output = run(whole.model, x.clone(), whole.output)
        with tapped(whole.model, [site], lambda _, found: kept.append(found.clone())):
            run(whole.model, start.clone(), whole.output)
    return output.detach(), kept[0].detach()


def _correlation(
    modes: Mapping[str, Any], pair: tuple[str, str]
) -> Float[np.ndarray, "source sink"]:
    """Correlation of the loadings of two sites over the samples that both were decomposed from."""
    one, other = (modes[site].loadings.astype(np.float64) for site in pair)
    if len(one) != len(other) or len(one) < _FEWEST:
        return np.full((one.shape[1], other.shape[1]), np.nan)
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    sizes = np.linalg.norm(one, axis=0)[:, None] * np.linalg.norm(other, axis=0)
    out = np.full(sizes.shape, np.nan)
    np.divide(one.T @ other, sizes, out=out, where=sizes > 0)
    return out
