"""Decompose the contributions of a whole store into modes, site by site."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import Any, Protocol

import numpy as np

from codeclens.decomposition import quality
from codeclens.decomposition.estimator import Estimator
from codeclens.decomposition.modes import Modes
from codeclens.decomposition.training import Epoch
from codeclens.decomposition.views import View, check_view
from codeclens.errors import CodeclensError

logger = logging.getLogger(__name__)


class Store(Protocol):
    """What `decompose` needs of a store of contributions."""

    @property
    def sites(self) -> list[str]: ...
    @property
    def classes(self) -> list[str] | None: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def label(self) -> np.ndarray[Any, Any]: ...
    @property
    def key(self) -> np.ndarray[Any, Any]: ...

    def units(self, site: str) -> int:
        """The number of units of a site."""
        ...

    def view(self, site: str, view: View) -> np.ndarray[Any, Any]:
        """One site in one view, `(N, U)` or `(N, 2U)`."""
        ...


def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: int = 0,
    progress: Callable[[str, Epoch], object] | None = None,
) -> dict[str, Modes]:
    """Find the modes of every site of a store.

    `method` says how, for example `TopK(expansion=3)`, and stays unfitted itself: each site gets a
    clone, trained from the same `seed`. `expansion` multiplies the units of a site, U, also for the
    concat view `(N, 2U)`. `sites` are names or globs (default: all); `view` is "concat" (positive
    contributions beside the magnitudes of negative ones), "sum", "positive", "negative" or
    "activation". `progress(site, epoch)` is called after each epoch.

    Returns Modes by site, in the store's order (arXiv 2603.06557; METHOD.md §3). Raises
    CodeclensError, naming the site, for an unknown site or view and for data that cannot be
    decomposed: not finite, constant or zero throughout, or too few samples for so many modes.

    >>> import tempfile, torch
    >>> from codeclens.decomposition import TopK
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> images = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    >>> store = extract(model, images, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> modes = decompose(store, TopK(n_modes=8, k=2, epochs=5))
    >>> modes["1"].n_units, modes["1"].loadings.shape[0]
    (6, 40)
    """
    check_view(view)
    chosen = _chosen(store, sites)
    for site in chosen:  # before the first is fitted, which may take long
        with _named(site):
            method.modes_for(store.units(site))
    modes = {}
    for site in chosen:
        with _named(site):
            modes[site] = _decompose(store, method, site, view, seed, progress)
    return modes


def _decompose(
    store: Store,
    method: Estimator,
    site: str,
    view: View,
    seed: int,
    progress: Callable[[str, Epoch], object] | None,
) -> Modes:
    X = np.asarray(store.view(site, view))
    told = None if progress is None else lambda epoch: progress(site, epoch)
    fitted = method.clone().fit(X, seed=seed, n_units=store.units(site), progress=told)
    loadings = fitted.encode(X)
    measured = _quality(X, loadings, fitted)
    logger.info("%s: %d modes, R² %.3f", site, loadings.shape[1], measured["r2"])
    return Modes(
        site=site,
        view=view,
        method=fitted,
        loadings=loadings,
        labels=np.asarray(store.label, dtype=np.int64),
        classes=None if store.classes is None else tuple(store.classes),
        keys=np.asarray(store.key),
        quality=measured,
        provenance={
            "codeclens": version("codeclens"),
            "seed": seed,
            "contributions": store.metadata,
        },
    )


def _quality(X: np.ndarray[Any, Any], Z: np.ndarray[Any, Any], fitted: Estimator) -> dict[str, Any]:
    """R² and L0 on held-out samples, on those trained on, and figures of every mode and unit."""
    held_out = np.zeros(len(X), dtype=bool)
    held_out[fitted.held_out_rows] = True
    judged = held_out if held_out.any() else ~held_out
    reconstruction = fitted.decode(Z)
    return {
        "r2": quality.r2(X[judged], reconstruction[judged]),
        "r2_train": quality.r2(X[~held_out], reconstruction[~held_out]),
        "l0": quality.l0(Z[judged]),
        "samples_train": int((~held_out).sum()),
        "samples_held_out": int(held_out.sum()),
        "modes_dropped": fitted.n_dropped,
        "units_constant": int((X[:1] == X).all(axis=0).sum()),
        "r2_per_unit": quality.r2_per_unit(X[judged], reconstruction[judged]),
        "mode_sparsity": quality.mode_sparsity(fitted.dictionary),
    }


def _chosen(store: Store, sites: str | Sequence[str] | None) -> list[str]:
    """The sites that names or globs mean, in the store's order."""
    if sites is None:
        return list(store.sites)
    found = set()
    for pattern in [sites] if isinstance(sites, str) else sites:
        # Brackets belong to the names of sites ("h.0[1]") and are no sets of characters.
        glob = pattern.replace("[", "[[]")
        matches = [site for site in store.sites if site == pattern or fnmatchcase(site, glob)]
        if not matches:
            near = difflib.get_close_matches(pattern, store.sites, n=3, cutoff=0.0)
            offered = ", ".join(f'"{name}"' for name in near)
            raise CodeclensError(
                f'The store has no site "{pattern}"; the nearest names are {offered}.'
            )
        found.update(matches)
    return [site for site in store.sites if site in found]


@contextmanager
def _named(site: str) -> Iterator[None]:
    """Say at which site an error arose."""
    try:
        yield
    except CodeclensError as error:
        raise CodeclensError(f'Site "{site}": {error}') from error
