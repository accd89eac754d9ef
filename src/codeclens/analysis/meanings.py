"""Meanings: which classes and superclasses modes and channels follow, from input to output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from codeclens.analysis.correlations import (
    counts_above,
    coverage,
    membership_of_sums,
    profile_of_sums,
    specificity,
    top_correlation,
)
from codeclens.analysis.findings import FOLLOWERS, Meaning, Semantics, median
from codeclens.analysis.hierarchy import Hierarchy, Superclasses
from codeclens.analysis.naming import Evidence, mode_name, short_names
from codeclens.analysis.nulls import (
    critical_correlation,
    false_discovery,
    p_values,
    permutation_nulls,
)
from codeclens.analysis.results import Spread
from codeclens.analysis.statistics import numeric
from codeclens.analysis.trend import Trend, redrawn_medians
from codeclens.decomposition import Modes
from codeclens.decomposition.quality import class_sums, correlation_of_sums
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

_DRAWS = 200


def semantics(
    store: ContributionStore,
    modes: Mapping[str, Modes] | None = None,
    hierarchy: Hierarchy | None = None,
    *,
    activation_modes: Mapping[str, Modes] | None = None,
    threshold: float = 0.2,
    alpha: float = 0.05,
    permutations: int = 1000,
    resamples: int = 1000,
    seed: int = 0,
) -> Semantics:
    """Which classes modes and channels follow at every site, beyond chance, and how specifically.

    At every site of the store the `modes` (as `decompose` returns them), the net contributions and
    the activations of its channels, and `activation_modes` (of the view "activation") are
    correlated with the indicators of the labels (METHOD.md §4, Semantics). A top correlation is
    held against the top correlations under `permutations` of the labels, with the false discovery
    rate `alpha` over the modes, or channels, of a site. With a `hierarchy` superclasses count, too,
    and may name modes. One site is in memory at a time; the time goes into the permutations.

    Raises CodeclensError where fewer than two classes have samples, a class is not in the
    hierarchy, modes are of other sites or samples, or a number is out of range.

    >>> import tempfile, torch
    >>> from codeclens.decomposition import TopK, decompose
    >>> from codeclens.extraction import extract
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> data = torch.eye(4)[:3].repeat(20, 1), torch.arange(60) % 3
    >>> store = extract(model, data, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> found = semantics(store, decompose(store, TopK(n_modes=4, k=2, epochs=5)), permutations=99)
    >>> [row["source"] for row in found.table()]
    ['modes', 'contributions', 'activations']
    """
    for name, value in (("threshold", threshold), ("alpha", alpha)):
        if not 0 < value < 1:
            raise CodeclensError(f"{name} (={value}) must lie between 0 and 1.")
    labels = np.asarray(store.label)
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        raise CodeclensError(
            f"The samples of the store have labels of {len(present)} classes; nothing follows "
            "classes unless there are two or more, so extract with labels."
        )
    given = {"modes": modes or {}, "activation_modes": activation_modes or {}}
    _check(given, store)
    names = store.classes
    classes = int(present[-1]) + 1 if names is None else len(names)
    looked_up = [str(number) for number in range(classes)] if names is None else names
    called = short_names(names or [f"class {number}" for number in range(classes)])
    study = _Study(
        labels=labels,
        classes=tuple(called),
        superclasses=None if hierarchy is None else hierarchy.among(looked_up),
        threshold=threshold,
        alpha=alpha,
        permutations=permutations,
        resamples=resamples,
        seed=seed,
    )
    sites = {
        site: {
            source: study.meaning(site, source, Z) for source, Z in _followers(store, given, site)
        }
        for site in store.sites
    }
    return Semantics(
        sites=sites,
        classes=study.classes,
        superclasses=() if study.superclasses is None else study.superclasses.names,
        samples=int((labels >= 0).sum()),
        threshold=threshold,
        alpha=alpha,
        permutations=permutations,
        trends=_trends(sites, min(resamples, _DRAWS), seed),
        ambiguous=() if hierarchy is None else tuple(hierarchy.ambiguous(looked_up)),
    )


def _check(given: Mapping[str, Mapping[str, Modes]], store: ContributionStore) -> None:
    for source, found in given.items():
        for site, modes in found.items():
            if site not in store.sites:
                raise CodeclensError(
                    f'There are modes of "{site}", which the store does not have; its sites are '
                    f"{', '.join(store.sites)}."
                )
            if len(modes.loadings) != len(store):
                raise CodeclensError(
                    f'The modes of "{site}" have loadings of {len(modes.loadings):,} samples and '
                    f"the store {len(store):,}; decompose this store again."
                )
            if (modes.view == "activation") != (source == "activation_modes"):
                raise CodeclensError(
                    f'The modes of "{site}" are of the view "{modes.view}"; pass modes of '
                    "activations, and only those, as activation_modes."
                )


def _followers(
    store: ContributionStore, given: Mapping[str, Mapping[str, Modes]], site: str
) -> Iterator[tuple[str, Float[np.ndarray, "sample item"]]]:
    """What may follow classes at a site, one after another."""
    for source in FOLLOWERS:
        if source in given:
            if site in given[source]:
                yield source, np.asarray(given[source][site].loadings)
            continue
        values = store.view(site, "sum" if source == "contributions" else "activation")
        yield source, numeric(values, f'{source} of site "{site}"', dimensions=2)


@dataclass(frozen=True)
class _Study:
    """What is the same at all sites."""

    labels: Int[np.ndarray, " sample"]
    classes: tuple[str, ...]
    superclasses: Superclasses | None
    threshold: float
    alpha: float
    permutations: int
    resamples: int
    seed: int

    def meaning(self, site: str, source: str, Z: Float[np.ndarray, "sample item"]) -> Meaning:
        count = len(self.classes)
        above = self.superclasses
        members = np.zeros((count, 0), bool) if above is None else above.members
        sums = class_sums(Z, self.labels, count)
        correlation = correlation_of_sums(sums)
        of_groups = membership_of_sums(sums, members)
        nulls = permutation_nulls(
            Z, self.labels, count, members=members, n=self.permutations, seed=self.seed
        )
        top, top_class = top_correlation(correlation)
        p = p_values(top, nulls.classes)
        q = false_discovery(p)
        group_top, group = top_correlation(of_groups)
        grouped = members.shape[1] > 0
        group_q = np.full(len(top), np.nan)
        group_critical = np.ones(len(top))
        if grouped:
            group_q = false_discovery(p_values(group_top, nulls.superclasses))
            group_critical = critical_correlation(nulls.superclasses, self.alpha)
        critical = critical_correlation(nulls.classes, self.alpha)
        names: tuple[str, ...] = ()
        if source.endswith("modes"):
            names = tuple(
                mode_name(
                    Evidence(
                        correlation[k], float(critical[k]), bool(q[k] <= self.alpha),
                        of_groups[k], float(group_critical[k]), bool(group_q[k] <= self.alpha),
                    ),
                    self.classes,
                    () if above is None else above.names,
                    members,
                    self.threshold,
                )
                for k in range(len(top))
            )  # fmt: skip
        return Meaning(
            site=site,
            source=source,
            top=top,
            top_class=top_class,
            p=p,
            q=q,
            above=counts_above(correlation, self.threshold),
            specificity=specificity(profile_of_sums(sums)),
            covered=int(coverage(correlation, self.threshold).sum()),
            classes=int((sums.size > 0).sum()),
            spread=Spread.of(top, self.resamples, self.seed),
            names=names,
            superclass_top=group_top if grouped else None,
            superclass=group if grouped else None,
            superclass_q=group_q if grouped else None,
        )


def _trends(sites: Mapping[str, Mapping[str, Meaning]], draws: int, seed: int) -> dict[str, Trend]:
    """How each quantity goes with depth; in a draw the modes, or channels, are drawn again."""
    trends = {}
    for source in FOLLOWERS:
        found = [of_site[source] for of_site in sites.values() if source in of_site]
        if not found:
            continue
        tables = {
            "top_correlation": [one.top for one in found],
            "entropy": [one.specificity.entropy for one in found],
        }
        for name, values in tables.items():
            # Modes differ from site to site, so that each site is drawn for itself.
            redrawn = [
                redrawn_medians([known], draws, seed + depth) for depth, known in enumerate(values)
            ]
            at = np.array([median(known) for known in values])
            trends[f"{source}_{name}"] = Trend.of(at, np.concatenate(redrawn, axis=1))
        share = np.array([one.count_above / max(1, len(one)) for one in found])
        counts = np.array([max(1, len(one)) for one in found])
        random = np.random.default_rng(seed)
        # Half a count more on either side: that all of a few are above does not make it sure.
        shrunk = (share * counts + 0.5) / (counts + 1)
        redrawn_share = random.binomial(counts, shrunk, size=(draws, len(found))) / counts
        trends[f"{source}_share_above"] = Trend.of(share, redrawn_share)
    return trends
