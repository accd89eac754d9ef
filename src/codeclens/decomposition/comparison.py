"""Comparisons: many methods on the same sites, seeds and held-out samples, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from codeclens.decomposition import quality
from codeclens.decomposition.autoencoders import (
    BatchTopK,
    Gated,
    JumpReLU,
    Matryoshka,
    ReLUSAE,
    ThresholdSAE,
    TopK,
)
from codeclens.decomposition.classical import ICA, NMF, PCA, KMeans, SemiNMF
from codeclens.decomposition.decompose import Store, chosen_sites
from codeclens.decomposition.estimator import Estimator
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.matrices import View, check_view, net_total
from codeclens.decomposition.stability import found_again, matched
from codeclens.decomposition.stability import halves as halves_of
from codeclens.decomposition.training import named
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

# A tenth more modes a sample still counts as equally sparse.
_SLACK = 1.1
# Less R² than this is no reason for an autoencoder, however sure it is.
NEGLIGIBLE = 0.01


@dataclass(frozen=True)
class Contest:
    """The autoencoder with the best R² against the best classical method that is as sparse.

    `margin` is by how much the autoencoder explains more, the mean over seeds, and `low` and `high`
    its 95 % interval by Student's t over paired seeds (NaN for one seed). Either may be None where
    there was no such method.
    """

    site: str
    autoencoder: Judged | None
    simple: Judged | None
    margin: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Contest:
        """The contest at one site."""
        site = judged[0].site
        learned = [one for one in judged if not one.is_classical]
        best = max(learned, key=lambda one: float(one.r2.mean()), default=None)
        allowed = np.inf if best is None else _SLACK * float(best.l0.mean())
        simple = max(
            (one for one in judged if one.is_classical and one.l0.mean() <= allowed),
            key=lambda one: float(one.r2.mean()),
            default=None,
        )
        if best is None or simple is None:
            return cls(site, best, simple)
        gains = best.r2 - simple.r2
        return cls(site, best, simple, float(gains.mean()), *interval(gains))

    @property
    def as_well(self) -> bool:
        """Whether the simple method does as well, up to a hundredth of R²."""
        bound = self.margin if np.isnan(self.high) else self.high
        return bool(bound < NEGLIGIBLE)

    @property
    def better(self) -> bool:
        """Whether the autoencoder is better by more than a hundredth of R²."""
        bound = self.margin if np.isnan(self.low) else self.low
        return bool(bound >= NEGLIGIBLE)

    def sentence(self) -> str:
        """What came out, in words."""
        if self.autoencoder is None:
            return f"{self.site}: no autoencoder was compared."
        first = f"{self.site}: {_told(self.autoencoder)}"
        if self.simple is None:
            return f"{first}; no classical method was as sparse."
        seeds = len(self.autoencoder.seeds)
        spread = (
            "one seed only, which leaves open how sure that is"
            if seeds == 1
            else f"95 % interval {self.low:+.3f} to {self.high:+.3f} over {seeds} seeds"
        )
        ends = (
            "so the simple method does as well"
            if self.as_well
            else "so the autoencoder earns its keep"
            if self.better
            else f"so {seeds} seeds cannot tell whether the simple method does as well"
        )
        return (
            f"{first}, {_told(self.simple)}: {self.margin:+.3f} for the autoencoder ({spread}), "
            f"{ends}."
        )


def interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """The 95 % interval of a mean by Student's t, NaN for a single value.

    >>> interval(np.array([1.0, 1.0, 1.0]))
    (1.0, 1.0)
    """
    from scipy.stats import t

    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def _told(one: Judged) -> str:
    return f"{one.method!r} explains {one.r2.mean():.3f} with {one.l0.mean():.1f} modes a sample"


Matrix = np.ndarray[Any, Any]
Told = Callable[[int, int, str], object]

# One numeric column a figure: its key in a row, its heading, how it is written.
_COLUMNS = (
    ("modes", "modes", "{:.0f}"),
    ("r2", "R²", "{:.3f}"),
    ("l0", "L0", "{:.1f}"),
    ("dead", "dead", "{:.0f}"),
    ("dense", "dense", "{:.0f}"),
    ("redundancy", "redund.", "{:.2f}"),
    ("stability_seeds", "seeds", "{:.2f}"),
    ("stability_halves", "halves", "{:.2f}"),
    ("target_r2", "target R²", "{:.3f}"),
    ("target_error", "error", "{:.3f}"),
    ("seconds", "CPU s", "{:.1f}"),
)


@dataclass(frozen=True)
class Judged:
    """One method at one site: figures for each seed `(S,)`, and how sure its modes are.

    `dead` counts modes that were dropped or are present in no held-out sample, `dense` those in
    more than half, `redundancy` is the mean over modes of the largest cosine with another.
    `stability_seeds` is the mean cosine of matched modes over pairs of seeds (NaN for one seed),
    `stability_halves` that of fits to two halves of the samples (NaN where they were not made);
    `mode_stability` `(K,)` says of each mode of the first seed how well the others find it again.
    `target_r2` and `target_error` `(S,)` tell what is left of the target's change on held-out
    samples when contributions are replaced by their reconstruction, NaN where the site is no cut or
    the view has no sum.
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
        """Whether this is no autoencoder."""
        return not isinstance(self.method, Autoencoder)

    def row(self) -> dict[str, Any]:
        """The means over seeds, and the range of R², as plain numbers."""
        found: dict[str, Any] = {"site": self.site, "method": repr(self.method)}
        found["seeds"] = len(self.seeds)
        for name, _, _ in _COLUMNS:
            found[name] = float(np.mean(getattr(self, name)))
        found |= {"r2_low": float(self.r2.min()), "r2_high": float(self.r2.max())}
        return found


@dataclass(frozen=True)
class Comparison:
    """Methods side by side: `judged` holds one entry for each site and method, in their order.

    `failed` tells of each default method that found nothing at a site, and why.
    """

    judged: tuple[Judged, ...]
    failed: tuple[str, ...] = ()

    def table(self) -> list[dict[str, Any]]:
        """One row for each site and method, plain numbers."""
        return [one.row() for one in self.judged]

    def sites(self) -> list[str]:
        """The sites, in their order."""
        return list(dict.fromkeys(one.site for one in self.judged))

    def at(self, site: str) -> list[Judged]:
        """What was found at one site."""
        return [one for one in self.judged if one.site == site]

    def verdicts(self) -> list[str]:
        """For each site, whether a simple method does as well, in words made from the numbers."""
        return [Contest.of(self.at(site)).sentence() for site in self.sites()]

    def __str__(self) -> str:
        names = [repr(one.method) for one in self.judged]
        width = max((len(name) for name in names), default=6)
        lines = []
        for site in self.sites():
            heads = "".join(f"{head:>10}" for _, head, _ in _COLUMNS)
            lines.append(f"{site}\n  {'method':<{width}}{heads}")
            for one in self.at(site):
                row = one.row()
                cells = (
                    "–" if np.isnan(row[name]) else form.format(row[name])
                    for name, _, form in _COLUMNS
                )
                lines.append(f"  {one.method!r:<{width}}" + "".join(f"{c:>10}" for c in cells))
        lines += [f"Left out: {reason}" for reason in self.failed]
        return "\n".join(lines)


def rivals(
    n_samples: int, n_units: int, columns: int, *, expansion: float = 3, k: int = 16
) -> list[Estimator]:
    """The methods that are compared where none are named, at matched numbers.

    Autoencoders get `expansion · n_units` modes, or as many as there are samples for, and k of them
    a sample (ReLUSAE and Gated what their penalties leave, ThresholdSAE what its threshold does,
    and it trains for its published 300 epochs). PCA, ICA, NMF and SemiNMF get k modes,
    so that every sample is told by as many numbers; KMeans gets as many modes as the autoencoders.

    >>> [type(one).__name__ for one in rivals(1000, 32, 64)][:2]
    ['TopK', 'BatchTopK']
    """
    most = max(1, int(n_samples * 0.9) - 1)
    modes = max(1, min(round(expansion * n_units), most))
    k = min(k, modes, columns)
    autoencoders = [kind(n_modes=modes, k=k) for kind in (TopK, BatchTopK, Matryoshka, JumpReLU)]
    priced = [kind(n_modes=modes) for kind in (Gated, ReLUSAE, ThresholdSAE)]
    simple = [kind(n_modes=k) for kind in (PCA, ICA, NMF, SemiNMF)]
    return [*autoencoders, *priced, *simple, KMeans(n_modes=modes)]


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
    progress: Told | None = None,
) -> Comparison:
    """Judge several methods on the same sites, seeds and held-out samples.

    `methods` default to `rivals`: all autoencoders at `expansion` and `k`, and the classical
    methods at matched numbers, of which `kinds` leaves some. NMF is left out of the default where
    data have both signs. Every method is fitted once for each seed, which also draws the samples
    that are held out, and, unless `halves=False`, to both halves of the samples.
    `progress(done, total, what)` is called after each method. A default method that finds nothing
    is left out, with the reason in `failed`. Raises CodeclensError, naming the site, where data
    cannot be decomposed, and without seeds.

    >>> import tempfile, torch
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> images = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    >>> store = extract(model, images, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> found = compare(store, [TopK(n_modes=8, k=2, epochs=5), PCA(n_modes=2)], seeds=[0, 1])
    >>> [(row["method"][:4], row["r2"] > 0) for row in found.table()]
    [('TopK', True), ('PCA(', True)]
    """
    check_view(view)
    if not len(seeds):
        raise CodeclensError("No seeds were given; pass at least one, such as seeds=[0].")
    chosen = chosen_sites(store, sites)
    judged: list[Judged] = []
    failed: list[str] = []
    for site in chosen:
        X = np.asarray(store.view(site, view))
        units = store.units(site)
        entrants = methods
        if entrants is None:
            entrants = rivals(len(X), units, X.shape[1], expansion=expansion, k=k)
            one_sign = bool((X >= 0).all() or (X <= 0).all())
            entrants = [
                one
                for one in entrants
                if (one_sign or not isinstance(one, NMF)) and (kinds is None or type(one) in kinds)
            ]
        change = _change(store, site, view)
        before = len(judged)
        for number, method in enumerate(entrants, 1):
            try:
                with named(site):
                    judged.append(_judge(site, method, X, units, change, view, seeds, halves))
            except CodeclensError as error:
                nothing_found = len(judged) == before and number == len(entrants)
                if methods is not None or nothing_found:
                    raise
                failed.append(f"{method!r}: {error}")
            if progress is not None:
                done = len(judged) + len(failed)
                progress(done, len(chosen) * len(entrants), f"{site}: {method!r}")
    return Comparison(tuple(judged), tuple(failed))


def _change(store: Store, site: str, view: View) -> Matrix | None:
    """The target's change, where contributions of this site and view sum to it."""
    if not isinstance(store, ContributionStore) or view not in ("concat", "sum"):
        return None
    if not store.is_cut(site):
        return None
    return np.asarray(store.target - store.baseline_target)


def _judge(
    site: str,
    method: Estimator,
    X: Matrix,
    units: int,
    change: Matrix | None,
    view: View,
    seeds: Sequence[int],
    halves: bool,
) -> Judged:
    figures: dict[str, list[float]] = {}
    fitted = []
    for seed in seeds:
        start = time.process_time()
        one = method.clone().fit(X, seed=seed, n_units=units)
        found = {"seconds": time.process_time() - start}
        fitted.append(one)
        for name, value in (found | _figures(one, X, change, view)).items():
            figures.setdefault(name, []).append(value)
    pairs = [
        matched(fitted[a].dictionary, fitted[b].dictionary).mean
        for a, b in combinations(range(len(seeds)), 2)
    ]
    return Judged(
        site=site,
        method=method,
        seeds=tuple(seeds),
        stability_seeds=float(np.mean(pairs)) if pairs else float("nan"),
        stability_halves=_halves(method, X, units, seeds[0]) if halves else float("nan"),
        mode_stability=found_again(fitted[0].dictionary, [one.dictionary for one in fitted[1:]]),
        **{name: np.array(values) for name, values in figures.items()},
    )


def _figures(one: Estimator, X: Matrix, change: Matrix | None, view: View) -> dict[str, float]:
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
    """How well modes of one half of the samples are found again in the other, NaN if too few."""
    try:
        first, second = (
            method.clone().fit(X[part], seed=seed, n_units=units).dictionary
            for part in halves_of(len(X), seed)
        )
    except CodeclensError:  # half the samples may be too few for modes that all are enough for
        return float("nan")
    return matched(first, second).mean
