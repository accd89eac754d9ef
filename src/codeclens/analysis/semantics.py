"""Semantics: with which classes and superclasses modes and channels correlate, site by site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from codeclens.analysis.correlations import (
    counts_above,
    coverage,
    membership_of_sums,
    profile_of_sums,
    specificity,
)
from codeclens.analysis.hierarchy import Hierarchy, Superclasses
from codeclens.analysis.nulls import permutation_nulls
from codeclens.analysis.semantics_results import (
    FEATURES,
    Closest,
    Criteria,
    Meaning,
    Semantics,
    median,
)
from codeclens.analysis.statistics import Spread, numeric
from codeclens.analysis.trend import Trend, redrawn_medians
from codeclens.decomposition import Modes, require_samples_of
from codeclens.decomposition.quality import Codes, class_sums, correlation_of_sums
from codeclens.decomposition.site_modes import require_by_site
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, counted, require_kind, unknown
from codeclens.extraction import ContributionStore

# Names of modes that correlate with no class, or with none above the threshold.
NO_CLASS, CONSTANT, DIFFUSE = "no class beyond chance", "does not vary", "diffuse: "
NAMELESS = (NO_CLASS, CONSTANT)
# A name lists at most this many classes and counts the others.
_LISTED = 3


@dataclass(frozen=True)
class Evidence:
    """The evidence for a mode's name: correlations with C classes and S superclasses.

    `correlation` `(C,)` and `superclass_correlation` `(S,)` (NaN where undefined) count if they
    exceed `critical` and `superclass_critical`. `significant` says whether the best class is
    significant under false-discovery control over all modes, `superclass_significant` whether the
    best superclass is.
    """

    correlation: Float[np.ndarray, " class"]
    critical: float
    significant: bool
    superclass_correlation: Float[np.ndarray, " superclass"]
    superclass_critical: float
    superclass_significant: bool


def mode_name(
    evidence: Evidence,
    classes: Sequence[str],
    superclasses: Sequence[str] = (),
    members: Bool[np.ndarray, "class superclass"] | None = None,
    threshold: float = 0.2,
) -> str:
    """The name of a mode: its classes, or a superclass, or that it has none.

    A superclass names the mode if the mode correlates more with it than with any class; the number
    of its classes with which the mode correlates on their own is added. Otherwise the name lists
    the classes with at least half of the best correlation, best first, at most three. Every
    named class or superclass has a correlation above `threshold` and beyond chance.

    >>> none = (np.zeros(0), 1.0, False)
    >>> mode_name(Evidence(np.array([0.1, 0.6, 0.5]), 0.3, True, *none), ["tub", "espresso", "cup"])
    'espresso, cup'
    >>> mode_name(Evidence(np.array([0.1, 0.15, 0.0]), 0.05, True, *none), ["a", "b", "c"])
    'diffuse: no class above 0.2'
    >>> mode_name(Evidence(np.array([0.3, 0.1]), 0.4, False, *none), ["a", "b"])
    'no class beyond chance'
    """
    r = np.where(np.isnan(evidence.correlation), -np.inf, evidence.correlation)
    of_groups = np.where(
        np.isnan(evidence.superclass_correlation), -np.inf, evidence.superclass_correlation
    )
    best = r.max(initial=-np.inf)
    if not np.isfinite(best):
        return CONSTANT
    beyond = (r > max(threshold, evidence.critical)) & evidence.significant
    group = int(of_groups.argmax()) if len(of_groups) else -1
    if (
        group >= 0
        and members is not None
        and evidence.superclass_significant
        and of_groups[group] > max(threshold, evidence.superclass_critical)
        and of_groups[group] > best
    ):
        follows = int(((r > evidence.critical) & members[:, group]).sum()) * evidence.significant
        some = f" ({follows} of {int(members[:, group].sum())} classes)" if follows else ""
        return superclasses[group] + some
    if beyond.any():
        named = np.flatnonzero(beyond & (r >= 0.5 * best))
        named = named[np.argsort(-r[named], kind="stable")]
        listed = ", ".join(classes[c] for c in named[:_LISTED])
        more = len(named) - _LISTED
        return f"{listed} and {more} more" if more > 0 else listed
    if best <= threshold and (evidence.significant or evidence.superclass_significant):
        return f"{DIFFUSE}no class above {threshold:g}"
    return NO_CLASS


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
    """Correlate modes and channels of every site with classes, with a test against chance.

    At every site of the store the `modes` (as `decompose` returns them), the net contributions and
    the activations of its channels, and `activation_modes` (of the view "activation") are
    correlated with the indicators of the labels (method.md §4, Semantics). Each largest correlation
    is compared with the largest correlations under `permutations` of the labels, with the false
    discovery rate `alpha` over the modes, or channels, of a site. With a `hierarchy` the same is
    done for superclasses, which may name modes, and classes given by a node of the hierarchy
    (n01440764) are called by its title. One site is in memory at a time; most of the time goes
    into the permutations.

    Raises CodeclensError if fewer than two classes have samples, a class is not in the hierarchy,
    modes are of other sites or samples, or a number is out of range.

    >>> import tempfile, torch
    >>> from codeclens.decomposition import TopK, decompose
    >>> from codeclens.extraction import extract
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> data = torch.eye(4)[:3].repeat(20, 1), torch.arange(60) % 3
    >>> store = extract(model, data, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> found = semantics(store, decompose(store, TopK(n_modes=4, k=2, epochs=5)), permutations=99)
    >>> list(found.to_dataframe().source)
    ['modes', 'contributions', 'activations']
    """
    criteria = Criteria(threshold, alpha, permutations, resamples, seed)
    if not hasattr(store, "view"):
        require_kind("store", store, (), "a ContributionStore, as extract returns it")
    for found in (modes, activation_modes):
        require_by_site({} if found is None else found)
    labels = np.asarray(store.label)
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        raise CodeclensError(
            f"The samples of the store have labels of {counted(len(present), 'class', 'classes')}; "
            "semantics need two or more, so extract with labels."
        )
    given = {"modes": modes or {}, "activation_modes": activation_modes or {}}
    _check(given, store)
    looked_up = class_words(store)
    study = _Study.of(labels, looked_up, store.classes is not None, hierarchy, criteria)
    sites = {
        site: {
            source: study.meaning(site, source, Z) for source, Z in _features(store, given, site)
        }
        for site in store.sites
    }
    return Semantics(
        sites=sites,
        classes=study.classes,
        superclasses=() if study.superclasses is None else study.superclasses.names,
        samples=int((labels >= 0).sum()),
        criteria=criteria,
        trends=_trends(sites, criteria),
        ambiguous=() if hierarchy is None else tuple(hierarchy.ambiguous(looked_up)),
    )


def names_beyond_chance(
    modes: Modes,
    hierarchy: Hierarchy | None = None,
    *,
    threshold: float = 0.2,
    alpha: float = 0.05,
    permutations: int = 200,
    seed: int = 0,
) -> list[str]:
    """The name of each mode: the classes or the superclass that its loadings correlate with, or "".

    By the same rules as `semantics`, from the labels of the modes: above `threshold` and beyond
    what permuted labels give, under false-discovery control over all modes. Without labels of two
    classes or more all names are empty. Raises CodeclensError if a class is not in the hierarchy,
    and for a number that is out of range.

    >>> from codeclens.decomposition import NMF
    >>> X = np.repeat(np.eye(2, 4), 20, axis=0) + 0.01
    >>> nmf = NMF(n_modes=2).fit(X)
    >>> labels = np.repeat([0, 1], 20)
    >>> modes = Modes("a", "positive", nmf, nmf.encode(X), labels=labels, classes=("cat", "dog"))
    >>> sorted(names_beyond_chance(modes))
    ['cat', 'dog']
    """
    criteria = Criteria(threshold, alpha, permutations, _DRAWS, seed)
    labels = modes.labels
    if labels is None or len(np.unique(labels[labels >= 0])) < 2:
        return [""] * len(modes)
    looked_up = list(modes.classes or map(str, range(int(labels.max()) + 1)))
    study = _Study.of(labels, looked_up, modes.classes is not None, hierarchy, criteria)
    names = study.meaning(modes.site, "modes", modes.loadings).names
    return ["" if name in NAMELESS or name.startswith(DIFFUSE) else name for name in names]


def class_words(store: ContributionStore) -> list[str]:
    """The words that identify the classes of a store in a hierarchy: names, else numbers.

    >>> from types import SimpleNamespace
    >>> class_words(SimpleNamespace(classes=None, label=np.array([0, 2, -1])))
    ['0', '1', '2']
    """
    if store.classes is not None:
        return list(store.classes)
    return [str(number) for number in range(int(np.max(store.label, initial=-1)) + 1)]


def _check(given: Mapping[str, Mapping[str, Modes]], store: ContributionStore) -> None:
    for source, found in given.items():
        for site, modes in found.items():
            if site not in store.sites:
                raise unknown("site", site, store.sites, "Modes were given, but the store has")
            require_samples_of(store, {site: modes})
            if (modes.view == "activation") != (source == "activation_modes"):
                raise CodeclensError(
                    f'The modes of "{site}" are of the view "{modes.view}"; pass modes of '
                    "activations, and only those, as activation_modes."
                )


def _features(
    store: ContributionStore, given: Mapping[str, Mapping[str, Modes]], site: str
) -> Iterator[tuple[str, Codes]]:
    """Yield the modes and channels of a site that are correlated with classes."""
    for source in FEATURES:
        if source in given:
            if site in given[source]:
                yield source, given[source][site].loadings
            continue
        values = store.view(site, "sum" if source == "contributions" else "activation")
        yield source, numeric(values, f'{source} of site "{site}"', dimensions=2)


@dataclass(frozen=True)
class _Study:
    """The parts of a study that are the same at all sites."""

    labels: Int[np.ndarray, " sample"]
    classes: tuple[str, ...]
    superclasses: Superclasses | None
    criteria: Criteria

    @classmethod
    def of(
        cls,
        labels: Int[np.ndarray, " sample"],
        words: Sequence[str],
        named: bool,
        hierarchy: Hierarchy | None,
        criteria: Criteria,
    ) -> _Study:
        """From the words by which a hierarchy knows the classes; numbers if not `named`."""
        called = words if hierarchy is None else hierarchy.titles(words)
        if not named:
            called = [f"class {number}" for number in words]
        above = None if hierarchy is None else hierarchy.among(words)
        return cls(labels, tuple(called), above, criteria)

    def meaning(self, site: str, source: str, Z: Codes) -> Meaning:
        count, criteria = len(self.classes), self.criteria
        above = self.superclasses
        members = np.zeros((count, 0), bool) if above is None else above.members
        sums = class_sums(Z, self.labels, count)
        correlation = correlation_of_sums(sums)
        of_groups = membership_of_sums(sums, members)
        nulls = permutation_nulls(
            Z, self.labels, count, members=members, n=criteria.permutations, seed=criteria.seed
        )
        closest = Closest.of(correlation, nulls.classes, criteria.alpha)
        group = None
        if members.shape[1]:
            group = Closest.of(of_groups, nulls.superclasses, criteria.alpha)
        threshold = criteria.threshold
        return Meaning(
            site=site,
            source=source,
            correlation=correlation.astype(np.float32),
            closest=closest,
            above=counts_above(correlation, threshold),
            specificity=specificity(profile_of_sums(sums)),
            covered=int(coverage(correlation, threshold).sum()),
            classes=int((sums.size > 0).sum()),
            spread=Spread.of(closest.correlation, Draws(criteria.resamples, criteria.seed)),
            names=(
                self._names(correlation, closest, of_groups, group)
                if source.endswith("modes")
                else ()
            ),
            superclass_correlation=None if group is None else of_groups.astype(np.float32),
            closest_superclass=group,
        )

    def _names(
        self,
        correlation: Float[np.ndarray, "mode class"],
        closest: Closest,
        of_groups: Float[np.ndarray, "mode superclass"],
        group: Closest | None,
    ) -> tuple[str, ...]:
        above, alpha = self.superclasses, self.criteria.alpha
        known = closest.significant(alpha)
        known_group = np.zeros(len(known), bool) if group is None else group.significant(alpha)
        critical = np.ones(len(known)) if group is None else group.critical
        return tuple(
            mode_name(
                Evidence(
                    correlation[k], float(closest.critical[k]), bool(known[k]),
                    of_groups[k], float(critical[k]), bool(known_group[k]),
                ),
                self.classes,
                () if above is None else above.names,
                None if above is None else above.members,
                self.criteria.threshold,
            )
            for k in range(len(known))
        )  # fmt: skip


def _trends(sites: Mapping[str, Mapping[str, Meaning]], criteria: Criteria) -> dict[str, Trend]:
    """How each quantity changes with depth; the draws resample modes, or channels."""
    draws = Draws(criteria.resamples, criteria.seed).at_most(_DRAWS)
    trends = {}
    for source in FEATURES:
        found = [of_site[source] for of_site in sites.values() if source in of_site]
        if not found:
            continue
        tables = {
            "top_correlation": [one.closest.correlation for one in found],
            "entropy": [one.specificity.entropy for one in found],
        }
        counts = {"share_above": [one.count_above for one in found]}
        groups = [one.closest_superclass for one in found]
        if groups[0] is not None:
            tables["superclass_correlation"] = [one.correlation for one in groups if one]
            counts["share_broader"] = [int(one.broader(criteria.alpha).sum()) for one in found]
        for name, values in tables.items():
            # Modes differ from site to site, so that each site has its own draws.
            redrawn = [
                redrawn_medians([known], Draws(draws.n, draws.seed + depth))
                for depth, known in enumerate(values)
            ]
            at = np.array([median(known) for known in values])
            trends[f"{source}_{name}"] = Trend.of(at, np.concatenate(redrawn, axis=1))
        sizes = np.array([max(1, len(one)) for one in found])
        for name, count in counts.items():
            trends[f"{source}_{name}"] = _share_trend(np.array(count), sizes, draws)
    return trends


def _share_trend(
    count: Int[np.ndarray, " site"], sizes: Int[np.ndarray, " site"], draws: Draws
) -> Trend:
    random = np.random.default_rng(draws.seed)
    # Half a count is added on either side: a share of 1 among a few modes is still uncertain.
    shrunk = (count + 0.5) / (sizes + 1)
    return Trend.of(count / sizes, random.binomial(sizes, shrunk, (draws.n, len(sizes))) / sizes)
