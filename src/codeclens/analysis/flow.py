"""Flow: which modes of one layer drive which modes of the next, over many samples."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from torch import Tensor, nn

from codeclens.analysis.flow_results import Flow, PairFlow, joined
from codeclens.attribution import (
    Attributor,
    Contributions,
    Division,
    Method,
    Selector,
    Site,
    Target,
    warn_of_gaps,
)
from codeclens.attribution.joint import Pair, secants_of
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes
from codeclens.decomposition.shares import Shares, division, shares_of
from codeclens.decomposition.site_modes import require_by_site
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.extraction import as_samples
from codeclens.extraction.computing import Computing
from codeclens.extraction.data import read_ahead


@dataclass(frozen=True, eq=False)
class BatchFlow:
    """The flow of one batch, from `FlowModel`.

    `shares` and `divisions` are the shares of the active modes in the contributions of each site,
    the same numbers as arrays and as tensors. `joint` holds for each pair of sites, `(B, A, A')`,
    the part of the output that passes through a mode of the one and then a mode of the other.
    """

    contributions: Contributions = field(repr=False)
    shares: dict[str, Shares] = field(repr=False)
    divisions: dict[str, Division] = field(repr=False)
    joint: dict[Pair, Float[np.ndarray, "sample source sink"]] = field(repr=False)


class FlowModel:
    """A network with the modes of some of its sites, prepared once for many batches.

    `sites` are the keys of the sites from input to output, `pairs` each with the next. Call it with
    batches `x` `(B, …)`. Raises CodeclensError for fewer than two sites, for sites without modes
    and for a method other than secants along a path.
    """

    def __init__(
        self,
        model: nn.Module,
        modes: Mapping[str, Modes],
        *,
        sites: Iterable[str | Site] | None = None,
        method: Method | None = None,
        target: Target | Bound | None = None,
        baseline: Any = 0.0,
        output: Selector = None,
        most: int = 32,
    ) -> None:
        require_number("most", most, least=1)
        require_by_site(modes)
        chosen = _chosen(modes, sites)
        self.attributor = Attributor(
            model,
            sites=chosen,
            method=method,
            target=target,
            baseline=baseline,
            output=output,
            reduce=None,
        )
        # Checked before anything is computed: a method without exact sums has no flow.
        secants_of(self.attributor.method)
        self.sites = [site if isinstance(site, str) else site.key for site in chosen]
        self.modes = {site: modes[site] for site in self.sites}
        self.pairs: list[Pair] = list(pairwise(self.sites))
        self.most = most

    def __call__(self, x: Any, labels: Tensor | None = None) -> BatchFlow:
        """Divide the contributions of a batch among modes, and among pairs of them.

        `x` is a tensor, several inputs or token ids, as in `contributions`.
        """
        self.attributor = self.attributor.prepared(x)
        found = self.attributor(x, labels)
        for site in self.sites:
            if site not in found:
                raise CodeclensError(
                    f'Site "{site}" is called {len(found)} times, as {", ".join(found)}; flow '
                    "needs the modes of one of the calls."
                )
        shares = {site: self.shares(site, found) for site in self.sites}
        divisions = {site: division(shares[site], found[site]) for site in self.sites}
        joint = self.attributor.joint(x, divisions, self.pairs, labels)
        return BatchFlow(
            found, shares, divisions, {pair: _array(values) for pair, values in joint.items()}
        )

    def shares(self, site: str, found: Contributions) -> Shares:
        """How the contributions of one site divide among its modes."""
        return shares_of(self.modes[site], found[site], self.most)

    def is_cut(self, x: Any) -> dict[str, bool]:
        """Whether all paths from the input to the output lead through each site."""
        cuts = self.attributor.survey(self.attributor.inputs(x)).cuts
        return {site: site in cuts for site in self.sites}


def _chosen(modes: Mapping[str, Modes], sites: Iterable[str | Site] | None) -> Sequence[str | Site]:
    chosen = list(modes) if sites is None else list(sites)
    keys = [site if isinstance(site, str) else site.key for site in chosen]
    for key in keys:
        if key not in modes:
            raise unknown("site", key, modes, "The modes have")
    if len(set(keys)) < 2 or len(set(keys)) < len(keys):
        raise CodeclensError(
            f"Flow needs two or more different sites; {len(keys)} were given "
            f"({', '.join(keys) or 'none'})."
        )
    return chosen


def _array(values: Tensor) -> Float[np.ndarray, "..."]:
    return values.detach().cpu().double().numpy()


logger = logging.getLogger(__name__)

# Classes with a smaller correlation with the loadings say little about the mode.
WORTH_NAMING = 0.3


def flow(
    model: nn.Module,
    data: Any,
    modes: Mapping[str, Modes],
    *,
    sites: Iterable[str | Site] | None = None,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: Any = 0.0,
    output: Selector = None,
    most: int = 32,
    batch_size: int = 16,
    rows: Sequence[int] | None = None,
    names: Mapping[str, Sequence[str]] | None = None,
    progress: Callable[[int, int], None] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> Flow:
    """How much of the output passes through each mode of one site and then each mode of the next.

    `F_ij = Σ v_i ⊙ (Jᵀ (w_j ⊙ g)) ⊙ Δa`, summed over the path from the baseline to x: the cotangent
    g at the later site is restricted to mode j's share w_j of every unit, propagated back to the
    earlier site by secants, multiplied by the change of the activation there and divided among the
    modes by their shares v_i (`mode_shares`; method.md §2a and §7). If both sites are cuts, rows
    sum to the contribution of mode i, columns to that of mode j and all entries to T(x) − T(x0),
    exactly and in every sample. The last row and column are the remainder that no mode explains.
    Divided by its sum, a column is the origin of mode j's contribution.

    `data` is what `extract` takes, or some `rows` of it; `sites` are the keys of sites from input
    to output (default: all with `modes`). `method`, `target`, `baseline` and `output` are those of
    `contributions`; the method must be `Conductance` with secants. The time grows with the number
    of active modes in a sample, of which at most `most` are used. `names` are the names of the
    modes of a site; the default is the class that their loadings correlate with. `model_kwargs` are
    those of `extract`.

    Warns as `contributions` does. Raises CodeclensError for sites without modes, sites out of
    order, and other methods.

    >>> from codeclens.decomposition import NMF, decompose
    >>> from codeclens.extraction import extract
    >>> import tempfile
    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)]
    >>> model, x = nn.Sequential(*layers), torch.randn(40, 4)
    >>> store = extract(model, x, sites=["1", "3"], to=tempfile.mkdtemp() + "/store.zarr")
    >>> found = flow(model, x, decompose(store, NMF(n_modes=3)))
    >>> found["1", "3"].mean.shape, bool(abs(found["1", "3"].completeness).max() < 1e-5)
    ((4, 4), True)
    """
    prepared = FlowModel(
        model, modes, sites=sites, method=method, target=target, baseline=baseline, output=output,
        most=most,
    )  # fmt: skip
    called = {
        site: list((names or {}).get(site, ())) or mode_names(found)
        for site, found in prepared.modes.items()
    }
    for site, of_site in prepared.modes.items():
        if len(called[site]) != len(of_site):
            raise CodeclensError(
                f'There are {len(called[site])} names for the {len(of_site)} modes of "{site}"; '
                "pass one for each."
            )
    parts: list[Flow] = []
    gaps: dict[str, list[Tensor]] = {site: [] for site in prepared.sites}
    uncovered: set[str] = set()
    samples = as_samples(data, model_kwargs)
    for indices, x, labels in batches(model, samples, batch_size, rows, progress):
        found = prepared(x, labels)
        parts.append(_of_batch(prepared, found, indices, prepared.is_cut(x), called))
        for site, gap in gaps.items():
            gap.append(found.contributions[site].completeness)
        uncovered |= found.contributions.uncovered
    if not parts:
        raise CodeclensError("There are no samples; flow needs at least one.")
    whole = joined(parts)
    change = torch.from_numpy(whole.target - whole.baseline_target)
    by_site = {key: torch.cat(gap) for key, gap in gaps.items()}
    warn_of_gaps(by_site, change, uncovered, exact=True)
    return whole


def batches(
    model: nn.Module,
    data: Any,
    batch_size: int,
    rows: Sequence[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[list[int], Any, Tensor | None]]:
    """Batches of usable samples with numbers and labels, on the device of the model."""
    samples = as_samples(data)
    chosen = list(range(len(samples)) if rows is None else rows)
    if chosen and not 0 <= min(chosen) <= max(chosen) < len(samples):
        wrong = next(row for row in chosen if not 0 <= row < len(samples))
        raise CodeclensError(
            f"There is no row {wrong}: the data have {len(samples)} samples (0 to "
            f"{len(samples) - 1})."
        )
    device = Computing().on(model)
    with closing(read_ahead(samples, chosen, 2 * batch_size)) as stream:
        for start in range(0, len(chosen), batch_size):
            here = [next(stream) for _ in chosen[start : start + batch_size]]
            usable = [sample for sample in here if sample.image is not None]
            for sample in here:
                if sample.image is None:
                    logger.warning('Sample "%s" is skipped: %s', sample.key, sample.reason)
            if usable:
                x = device.stacked([s.image for s in usable if s.image is not None])
                known = [sample.label for sample in usable]
                labels = torch.tensor(known, device=x.device) if max(known) >= 0 else None
                yield [sample.index for sample in usable], x, labels
            if progress is not None:
                progress(min(start + batch_size, len(chosen)), len(chosen))


def mode_names(modes: Modes) -> list[str]:
    """Names of modes: their number, and the class that their loadings correlate with, if any.

    >>> from codeclens.decomposition import NMF
    >>> X = np.repeat(np.eye(2, 4), 20, axis=0) + 0.01
    >>> nmf = NMF(n_modes=2).fit(X)
    >>> labels = np.repeat([0, 1], 20)
    >>> modes = Modes("a", "positive", nmf, nmf.encode(X), labels=labels, classes=("cat", "dog"))
    >>> sorted(name[2:] for name in mode_names(modes))
    ['(cat)', '(dog)']
    """
    known = modes.labels is not None and len(np.unique(modes.labels[modes.labels >= 0])) > 1
    names = []
    for mode in modes:
        best = mode.best_class if known else None
        follows = best is not None and best[1] >= WORTH_NAMING
        names.append(f"{mode.index} ({best[0]})" if best and follows else str(mode.index))
    return names


def _of_batch(
    prepared: FlowModel,
    found: BatchFlow,
    samples: list[int],
    cuts: Mapping[str, bool],
    names: dict[str, list[str]],
) -> Flow:
    """The flow of one batch by the numbers of the modes."""
    counts = {site: len(modes) for site, modes in prepared.modes.items()}
    target = _array(found.contributions.target)
    baseline_target = _array(found.contributions.baseline_target)
    pairs = []
    for source, sink in prepared.pairs:
        joint, here, there = found.joint[source, sink], found.shares[source], found.shares[sink]
        total = joint.sum(axis=(1, 2)) - (target - baseline_target)
        cut = cuts[source] and cuts[sink]
        rows = np.abs(joint.sum(axis=2) - here.contribution).max(axis=1)
        columns = np.abs(joint.sum(axis=1) - there.contribution).max(axis=1)
        pairs.append(
            PairFlow(
                source,
                sink,
                (counts[source], counts[sink]),
                _by_number(joint, here.mode, there.mode, counts[source], counts[sink]),
                total if cut else np.full_like(total, np.nan),
                np.stack([rows, columns], axis=1),
                cut,
            )
        )
    contributions = {
        site: _by_number(one.contribution[:, None], None, one.mode, 0, counts[site])
        for site, one in found.shares.items()
    }
    return Flow(tuple(pairs), contributions, np.array(samples), target, baseline_target, names)


def _by_number(
    values: np.ndarray[Any, Any],
    source: np.ndarray[Any, Any] | None,
    sink: np.ndarray[Any, Any],
    rows: int,
    columns: int,
) -> sparse.csr_array:
    """Values `(B, A, A')` of the parts of each sample as rows by the numbers of the modes."""
    sample, i, j = np.nonzero(values)
    row = np.zeros_like(i) if source is None else source[sample, i]
    place = row * (columns + 1) + sink[sample, j]
    shape = (len(values), (rows + 1) * (columns + 1))
    return sparse.csr_array((values[sample, i, j], (sample, place)), shape=shape)
