"""Comparisons of methods on the same sites, seeds and held-out samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from codeclens.decomposition import quality
from codeclens.decomposition.autoencoders.base import Autoencoder
from codeclens.decomposition.decompose import Store, chosen_sites
from codeclens.decomposition.estimator import Estimator, Fitted
from codeclens.decomposition.matrices import View, check_view, net_total
from codeclens.decomposition.registry import METHODS
from codeclens.decomposition.stability import found_again, halves, matched
from codeclens.decomposition.training import named
from codeclens.errors import CodeclensError, counted, require_kind
from codeclens.extraction import ContributionStore
from codeclens.labelled import Labelled, labels, table_html, table_text

if TYPE_CHECKING:
    import pandas
    import xarray

Matrix = np.ndarray[Any, Any]
MethodProgress = Callable[[int, int, str], object]

# A method with up to 10 % more modes per sample still counts as equally sparse.
_SLACK = 1.1
# A gain of R² below this is negligible, even if it is significant.
NEGLIGIBLE = 0.01
# The scores of a fit, in the order of the table.
_FIGURES = (
    *("modes", "r2", "l0", "dead", "dense", "redundancy"),
    *("target_r2", "target_error", "seconds"),
)
_SHOWN = ["site", "method", "r2", "l0", "dead", "stability_seeds", "target_r2", "seconds"]


@dataclass(frozen=True, eq=False)
class MethodScores:
    """The scores of one method at one site, for each seed `(S,)`, and how reproducible it is.

    `dead` counts modes that were dropped or are active in no held-out sample, `dense` those active
    in more than half, `redundancy` is the mean over modes of the largest cosine with another.
    `stability_seeds` is the mean cosine of matched modes over pairs of seeds (NaN for one seed),
    `stability_halves` that of fits to two halves of the samples (NaN where they were not made);
    `mode_stability` `(K,)` is that of each mode of the first seed over the other seeds.
    `target_r2` and `target_error` compare the sum of the reconstructed contributions with the
    change of the target on held-out samples; NaN where the site is not a cut or the view has no
    sum.
    """

    site: str
    method: Estimator
    seeds: tuple[int, ...]
    modes: Float[np.ndarray, " seed"]
    r2: Float[np.ndarray, " seed"]
    l0: Float[np.ndarray, " seed"]
    dead: Float[np.ndarray, " seed"]
    dense: Float[np.ndarray, " seed"]
    redundancy: Float[np.ndarray, " seed"]
    target_r2: Float[np.ndarray, " seed"]
    target_error: Float[np.ndarray, " seed"]
    seconds: Float[np.ndarray, " seed"]
    stability_seeds: float
    stability_halves: float
    mode_stability: Float[np.ndarray, " mode"]

    @property
    def is_classical(self) -> bool:
        """Whether the method is not an autoencoder."""
        return not isinstance(self.method, Autoencoder)

    def row(self) -> dict[str, Any]:
        """The means over seeds, and the range of R², as plain numbers."""
        means = {name: float(np.mean(getattr(self, name))) for name in _FIGURES}
        return {
            "site": self.site,
            "method": repr(self.method),
            "seeds": len(self.seeds),
            **means,
            "stability_seeds": self.stability_seeds,
            "stability_halves": self.stability_halves,
            "r2_low": float(self.r2.min()),
            "r2_high": float(self.r2.max()),
        }


@dataclass(frozen=True, eq=False)
class BestPair:
    """The autoencoder with the best R², and the best classical method that is as sparse.

    `gain` is the difference in R² (autoencoder minus classical), the mean over seeds; `low` and
    `high` are its 95 % interval by Student's t over paired seeds (NaN for one seed). A method is
    None if no method of its kind was compared.
    """

    site: str
    autoencoder: MethodScores | None
    classical: MethodScores | None
    gain: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, scores: Sequence[MethodScores]) -> BestPair:
        """The best two methods at one site."""
        site = scores[0].site
        learned = [one for one in scores if not one.is_classical]
        best = max(learned, key=lambda one: float(one.r2.mean()), default=None)
        allowed = np.inf if best is None else _SLACK * float(best.l0.mean())
        classical = max(
            (one for one in scores if one.is_classical and one.l0.mean() <= allowed),
            key=lambda one: float(one.r2.mean()),
            default=None,
        )
        if best is None or classical is None:
            return cls(site, best, classical)
        gains = best.r2 - classical.r2
        return cls(site, best, classical, float(gains.mean()), *t_interval(gains))

    @property
    def as_good(self) -> bool:
        """Whether the classical method is as good, up to a hundredth of R²."""
        return bool((self.gain if np.isnan(self.high) else self.high) < NEGLIGIBLE)

    @property
    def better(self) -> bool:
        """Whether the autoencoder is better by more than a hundredth of R²."""
        return bool((self.gain if np.isnan(self.low) else self.low) >= NEGLIGIBLE)

    def sentence(self) -> str:
        """The result in words."""
        if self.autoencoder is None:
            return f"{self.site}: no autoencoder was compared."
        first = f"{self.site}: {_explains(self.autoencoder)}"
        if self.classical is None:
            return f"{first}; no classical method was as sparse."
        seeds = len(self.autoencoder.seeds)
        interval = (
            "a single seed, so no interval"
            if seeds == 1
            else f"95 % interval {self.low:+.3f} to {self.high:+.3f} over {seeds} seeds"
        )
        conclusion = (
            "the classical method is as good"
            if self.as_good
            else "the autoencoder is better"
            if self.better
            else f"{seeds} seeds do not decide whether the classical method is as good"
        )
        return (
            f"{first}, {_explains(self.classical)}: a gain of {self.gain:+.3f} by the autoencoder "
            f"({interval}); {conclusion}."
        )


def t_interval(values: Float[np.ndarray, " value"]) -> tuple[float, float]:
    """The 95 % interval of a mean by Student's t, NaN for a single value.

    >>> t_interval(np.array([1.0, 1.0, 1.0]))
    (1.0, 1.0)
    """
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def _explains(one: MethodScores) -> str:
    return (
        f"{one.method!r} explains R² = {one.r2.mean():.3f} with {one.l0.mean():.1f} modes per "
        "sample"
    )


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Labelled):
    """Methods compared: `scores` holds one entry for each site and method, in their order.

    `failed` names each default method that failed at a site, with the reason.
    """

    scores: tuple[MethodScores, ...]
    failed: tuple[str, ...] = ()

    def sites(self) -> list[str]:
        """The sites, in their order."""
        return list(dict.fromkeys(one.site for one in self.scores))

    def at(self, site: str) -> list[MethodScores]:
        """The scores of all methods at one site."""
        return [one for one in self.scores if one.site == site]

    def sentences(self) -> list[str]:
        """For each site, whether a classical method is as good as the best autoencoder."""
        return [BestPair.of(self.at(site)).sentence() for site in self.sites()]

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each site and method: means over seeds, and the range of R²."""
        import pandas

        return pandas.DataFrame([one.row() for one in self.scores])

    def to_xarray(self) -> xarray.Dataset:
        """The scores with the dimensions entry (a site and a method) and seed.

        `mode_stability` has the dimensions entry and mode, padded with NaN.
        """
        import xarray

        scores = self.scores
        padded = np.full(
            (len(scores), max((len(o.mode_stability) for o in scores), default=0)), np.nan
        )
        for row, one in zip(padded, scores, strict=True):
            row[: len(one.mode_stability)] = one.mode_stability
        of_entry = {
            "stability_seeds": [one.stability_seeds for one in scores],
            "stability_halves": [one.stability_halves for one in scores],
        }
        return xarray.Dataset(
            {
                **{n: (("entry", "seed"), [getattr(o, n) for o in scores]) for n in _FIGURES},
                **{name: ("entry", values) for name, values in of_entry.items()},
                "mode_stability": (("entry", "mode"), padded),
            },
            {
                "site": ("entry", labels([one.site for one in scores])),
                "method": ("entry", labels([repr(one.method) for one in scores])),
                "seed": list(scores[0].seeds) if scores else [],
            },
        )

    def title(self) -> str:
        """One line that says what was compared."""
        seeds = len(self.scores[0].seeds) if self.scores else 0
        methods = len({repr(one.method) for one in self.scores})
        left = f"; left out: {len(self.failed)}" if self.failed else ""
        return (
            f"{counted(methods, 'method')} at {counted(len(self.sites()), 'site')}, "
            f"means over {counted(seeds, 'seed')}{left}"
        )

    def __repr__(self) -> str:
        return table_text(self.title(), self._shown())

    def _repr_html_(self) -> str:
        return table_html(self.title(), self._shown())

    def _shown(self) -> pandas.DataFrame:
        table = self.to_dataframe()
        return table[[name for name in _SHOWN if name in table]]


def default_methods(
    n_samples: int, n_units: int, columns: int, *, expansion: float = 3, k: int = 16
) -> list[Estimator]:
    """All methods of the registry with matched numbers of modes.

    Autoencoders get `expansion · n_units` modes, or as many as the samples allow, and k of them per
    sample (for ReLUSAE and Gated the number follows from their penalties, for ThresholdSAE from its
    threshold; it trains for its published 300 epochs). PCA, ICA, NMF and SemiNMF get k modes, so
    that the number of loadings per sample is equal; KMeans gets as many modes as the autoencoders.

    >>> [type(one).__name__ for one in default_methods(1000, 32, 64)][:2]
    ['TopK', 'BatchTopK']
    """
    most = max(1, int(n_samples * 0.9) - 1)
    modes = max(1, min(round(expansion * n_units), most))
    k = min(k, modes, columns)
    return [kind.comparable(modes, k) for kind in METHODS.values()]


def compare(
    store: Store,
    methods: Sequence[Estimator] | None = None,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seeds: Sequence[int] = (0, 1, 2),
    expansion: float = 3,
    k: int = 16,
    kinds: Sequence[type[Estimator]] | None = None,
    halves: bool = True,
    progress: MethodProgress | None = None,
) -> Comparison:
    """Compare several methods on the same sites, seeds and held-out samples.

    `methods` default to `default_methods`, all methods with matched numbers of modes by `expansion`
    and `k`; `kinds` selects some of their classes. NMF is left out of the defaults where data have
    both signs. Every method is fitted once for each seed (which also selects the held-out samples),
    and, unless `halves=False`, to both halves of the samples. `progress(done, total, what)` is
    called after each method. A default method that fails is left out, with the reason in `failed`.
    Raises CodeclensError, naming the site, if data cannot be decomposed, and without seeds.

    >>> import tempfile, torch
    >>> from codeclens.decomposition import PCA, TopK
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> images = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    >>> store = extract(model, images, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> found = compare(store, [TopK(n_modes=8, k=2, epochs=5), PCA(n_modes=2)], seeds=[0, 1])
    >>> [(method[:4], r2 > 0) for method, r2 in found.to_dataframe()[["method", "r2"]].values]
    [('TopK', True), ('PCA(', True)]
    """
    check_view(view)
    if not len(seeds):
        raise CodeclensError("No seeds were given; pass at least one, such as seeds=[0].")
    if methods is not None:
        require_kind("methods", methods, Sequence, "a list of methods, such as [TopK(k=16), PCA()]")
    chosen = chosen_sites(store, sites)
    scores: list[MethodScores] = []
    failed: list[str] = []
    for site in chosen:
        X = np.asarray(store.view(site, view))
        units = store.units(site)
        entrants = methods
        if entrants is None:
            one_sign = bool((X >= 0).all() or (X <= 0).all())
            entrants = [
                one
                for one in default_methods(len(X), units, X.shape[1], expansion=expansion, k=k)
                if (one_sign or not one.one_sign) and (kinds is None or type(one) in kinds)
            ]
        change = _change(store, site, view)
        before = len(scores)
        for number, method in enumerate(entrants, 1):
            try:
                with named(site):
                    scores.append(_scores(site, method, X, units, change, view, seeds, halves))
            except CodeclensError as error:
                nothing_found = len(scores) == before and number == len(entrants)
                if methods is not None or nothing_found:
                    raise
                failed.append(f"{method!r}: {error}")
            if progress is not None:
                done = len(scores) + len(failed)
                progress(done, len(chosen) * len(entrants), f"{site}: {method!r}")
    return Comparison(tuple(scores), tuple(failed))


def _change(store: Store, site: str, view: View) -> Matrix | None:
    """The target's change, where contributions of this site and view sum to it."""
    if not isinstance(store, ContributionStore) or view not in ("concat", "sum"):
        return None
    if not store.is_cut(site):
        return None
    return np.asarray(store.target - store.baseline_target)


def _scores(
    site: str,
    method: Estimator,
    X: Matrix,
    units: int,
    change: Matrix | None,
    view: View,
    seeds: Sequence[int],
    with_halves: bool,
) -> MethodScores:
    figures: dict[str, list[float]] = {}
    fits = []
    for seed in seeds:
        start = time.process_time()
        fitted = method.fit(X, seed=seed, n_units=units)
        found = {"seconds": time.process_time() - start}
        fits.append(fitted)
        for name, value in (found | _figures(fitted, X, change, view)).items():
            figures.setdefault(name, []).append(value)
    pairs = [matched(a.dictionary, b.dictionary).mean for a, b in combinations(fits, 2)]
    return MethodScores(
        site=site,
        method=method,
        seeds=tuple(seeds),
        stability_seeds=float(np.mean(pairs)) if pairs else float("nan"),
        stability_halves=_halves(method, X, units, seeds[0]) if with_halves else float("nan"),
        mode_stability=found_again(fits[0].dictionary, [one.dictionary for one in fits[1:]]),
        **{name: np.array(values) for name, values in figures.items()},
    )


def _figures(one: Fitted, X: Matrix, change: Matrix | None, view: View) -> dict[str, float]:
    rows = one.held_out_rows if len(one.held_out_rows) else np.arange(len(X))
    Z = one.encode(X[rows])
    reconstruction = one.decode(Z)
    found = {
        "modes": float(len(one.dictionary)),
        "r2": quality.r2(X[rows], reconstruction),
        "l0": quality.l0(Z),
        "dead": float(one.n_dropped + quality.dead_modes(Z).sum()),
        "dense": float(quality.dense_modes(Z).sum()),
        "redundancy": float(np.mean(quality.redundancy(one.dictionary))),
        "target_r2": float("nan"),
        "target_error": float("nan"),
    }
    if change is not None:
        fidelity = quality.fidelity(change[rows], net_total(reconstruction, view))
        found |= {"target_r2": fidelity.r2, "target_error": fidelity.median_error}
    return found


def _halves(method: Estimator, X: Matrix, units: int, seed: int) -> float:
    """The mean cosine of matched modes of two halves of the samples, NaN where too few."""
    try:
        first, second = (
            method.fit(X[part], seed=seed, n_units=units).dictionary
            for part in halves(len(X), seed)
        )
    except CodeclensError:  # half of the samples may be too few, even if all samples are enough
        return float("nan")
    return matched(first, second).mean
