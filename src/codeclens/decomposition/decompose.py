"""Decompose the contributions of a whole store into modes, site by site."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, overload
from urllib.parse import quote

import numpy as np
import torch

from codeclens.decomposition import quality
from codeclens.decomposition.estimator import Estimator
from codeclens.decomposition.fits import Task, fits, grouped
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import PART, StoredTable, View, check_view, columns_of
from codeclens.decomposition.modes import Modes
from codeclens.decomposition.stability import chance, found_again
from codeclens.decomposition.training import Epoch, named
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore, usable_device
from codeclens.extraction.computing import free_memory

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


@overload
def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: int = 0,
    progress: Callable[[str, Epoch], object] | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> dict[str, Modes]: ...
@overload
def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: Sequence[int],
    progress: Callable[[str, Epoch], object] | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> dict[str, dict[int, Modes]]: ...
def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: int | Sequence[int] = 0,
    progress: Callable[[str, Epoch], object] | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> dict[str, Modes] | dict[str, dict[int, Modes]]:
    """Find the modes of every site of a store, once or for several seeds.

    `method` says how, for example `TopK(expansion=3)`, and stays unfitted itself: each site and
    seed gets a clone. `expansion` multiplies the units of a site, U, also for the concat view
    `(N, 2U)`. `sites` are names or globs (default: all); `view` is "concat" (positive contributions
    beside the magnitudes of negative ones), "sum", "positive", "negative" or "activation".
    `progress(site, epoch)` is called after each epoch.

    Small networks of one shape (several seeds, sites of as many units) are trained together, which
    changes no more than the rounding. `workers` fits so many at a time, each in a process of its
    own on one thread. They are started afresh, so a script must keep its own calls under
    `if __name__ == "__main__":`. `logs` is a folder for the checkpoint and the
    figures of each training (see Logbook): the same call goes on where it was interrupted.
    `in_memory=False` trains from blocks of the store; None does so for sites that would not fit.
    Autoencoders train on `device`, for example "cuda".

    How well every mode is found again is in `quality`, `(K,)` cosines of matched modes: for several
    seeds "stability_seeds", the mean over the other seeds, and where `halves` asks for fits to two
    halves of the samples, too, "stability_halves", the mean over both. `Modes.stability` is the
    lower of the two; "stability_chance" is what one shuffled mode in twenty reaches.

    Returns Modes by site, in the store's order; for a list of seeds, a dict from seed to Modes for
    each site (arXiv 2603.06557; method.md §3). Raises CodeclensError, naming the site, for an
    unknown site or view and for data that cannot be decomposed: not finite, constant or zero
    throughout, or too few samples for so many modes.

    >>> import tempfile, torch
    >>> from codeclens.decomposition import TopK
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> images = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    >>> store = extract(model, images, sites="1", to=tempfile.mkdtemp() + "/contributions.zarr")
    >>> modes = decompose(store, TopK(n_modes=8, k=2, epochs=5))
    >>> modes["1"].n_units, modes["1"].loadings.shape[0]
    (6, 40)
    >>> sorted(decompose(store, TopK(n_modes=8, k=2, epochs=5), seed=[0, 1])["1"])
    [0, 1]
    """
    check_view(view)
    if not isinstance(method, Estimator):
        raise CodeclensError(
            f"method={method!r} is no method of decomposition; pass an object such as TopK(k=16)."
        )
    if workers < 1:
        raise CodeclensError(f"workers={workers} can fit nothing; pass 1 or more.")
    place = usable_device(device)
    seeds = [seed] if isinstance(seed, int) else list(dict.fromkeys(seed))
    chosen = chosen_sites(store, sites)
    for site in chosen:  # before the first is fitted, which may take long
        with named(site):
            wanted = method.modes_for(store.units(site))
            if isinstance(method, Autoencoder):
                method.require_enough(len(store.label) // (2 if halves else 1), wanted)
    tasks = [
        Task(
            site, number, method, store.units(site), _logbook(logs, site, number, half), place, half
        )
        for site in chosen
        for number in seeds
        for half in ((None, 0, 1) if halves else (None,))
    ]
    found: dict[str, dict[int, Modes]] = {site: {} for site in chosen}
    data = _Data(store, view, in_memory)
    groups = grouped(
        tasks, len(store.label), lambda site: columns_of(store.units(site), view), workers
    )
    parts: dict[tuple[str, int], list[np.ndarray[Any, Any]]] = {}
    for task, fitted in fits(groups, data, workers, progress):
        if task.half is not None:
            parts.setdefault((task.site, task.seed), []).append(fitted.dictionary)
            continue
        modes = _modes(store, task, view, data(task.site), fitted)
        found[task.site][task.seed] = modes
        logger.info("%s: %d modes, R² %.3f", task.site, len(modes), modes.r2)
    for site in chosen:
        _judge_stability(found[site], {number: parts.get((site, number), []) for number in seeds})
    if isinstance(seed, int):
        return {site: found[site][seed] for site in chosen}
    return {site: {number: found[site][number] for number in seeds} for site in chosen}


class _Data:
    """The data of each site, read when they are asked for; the last site's are kept."""

    def __init__(self, store: Store, view: View, in_memory: bool | None) -> None:
        self.store = store
        self.view = view
        self.in_memory = in_memory
        self._last: tuple[str, np.ndarray[Any, Any] | StoredTable] | None = None

    def __call__(self, site: str) -> np.ndarray[Any, Any] | StoredTable:
        if self._last is None or self._last[0] != site:
            self._last = None  # before the next is read: two may be too many
            self._last = site, self._read(site)
        return self._last[1]

    def _read(self, site: str) -> np.ndarray[Any, Any] | StoredTable:
        store = self.store
        if isinstance(store, ContributionStore) and self.in_memory is not True:
            table = StoredTable(store.reader(site, self.view), store.sample)
            # The data themselves, divided, and in two parts.
            wanted = 4 * 4 * table.shape[0] * table.shape[1]
            if self.in_memory is False or wanted > free_memory():
                return table
        elif self.in_memory is False:
            raise CodeclensError(
                f"in_memory=False needs a ContributionStore, not a {type(store).__name__}."
            )
        return np.asarray(store.view(site, self.view))


def _logbook(
    logs: str | os.PathLike[str] | None, site: str, seed: int, half: int | None
) -> Logbook | None:
    name = f"{quote(site, safe='')}.seed{seed}" + ("" if half is None else f".half{half}")
    return None if logs is None else Logbook(Path(logs), name)


def _judge_stability(
    found: dict[int, Modes], halves: dict[int, list[np.ndarray[Any, Any]]]
) -> None:
    """Note of every mode how well other seeds, and halves of the samples, find it again."""
    for seed, modes in found.items():
        others = [other.dictionary for number, other in found.items() if number != seed]
        for where, dictionaries in (("seeds", others), ("halves", halves[seed])):
            if dictionaries:
                modes.quality[f"stability_{where}"] = found_again(modes.dictionary, dictionaries)
                modes.quality["stability_chance"] = chance(modes.dictionary, seed)


def _modes(
    store: Store,
    task: Task,
    view: View,
    X: np.ndarray[Any, Any] | StoredTable,
    fitted: Estimator,
) -> Modes:
    if isinstance(X, StoredTable):
        parts = X.parts(torch.arange(len(X)))
        loadings = np.concatenate([fitted.encode(part) for part in parts])
        measured = _quality_of_stored(X, loadings, fitted)
    else:
        loadings = fitted.encode(X)
        measured = _quality(X, loadings, fitted)
    return Modes(
        site=task.site,
        view=view,
        method=fitted,
        loadings=loadings,
        labels=np.asarray(store.label, dtype=np.int64),
        classes=None if store.classes is None else tuple(store.classes),
        keys=np.asarray(store.key),
        quality=measured,
        provenance={
            "codeclens": version("codeclens"),
            "seed": task.seed,
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


def _quality_of_stored(
    table: StoredTable, Z: np.ndarray[Any, Any], fitted: Estimator
) -> dict[str, Any]:
    """What `_quality` gives, part by part."""
    held_out = np.zeros(len(table), dtype=bool)
    held_out[fitted.held_out_rows] = True
    judged = held_out if held_out.any() else ~held_out
    columns = table.shape[1]
    groups = {"judged": judged, "trained": ~held_out}
    mean = {name: np.zeros(columns) for name in groups}
    error, spread = ({name: np.zeros(columns) for name in groups} for _ in range(2))
    low, high = ({name: np.full(columns, s * np.inf) for name in groups} for s in (1, -1))
    for rows, X in _parts(table):
        for name, group in groups.items():
            part = X[group[rows]]
            mean[name] += part.sum(axis=0, dtype=np.float64) / max(group.sum(), 1)
            low[name] = np.minimum(low[name], part.min(axis=0, initial=np.inf))
            high[name] = np.maximum(high[name], part.max(axis=0, initial=-np.inf))
    for rows, X in _parts(table):
        difference = X - fitted.decode(Z[rows]).astype(np.float64)
        for name, group in groups.items():
            error[name] += np.square(difference[group[rows]]).sum(axis=0)
            spread[name] += np.square(X[group[rows]] - mean[name]).sum(axis=0)
    constant = {name: low[name] == high[name] for name in groups}
    everywhere = np.minimum(*low.values()) == np.maximum(*high.values())
    for name in groups:  # the mean of equal values is off by a rounding
        spread[name][constant[name]] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        per_unit = np.where(constant["judged"], np.nan, 1 - error["judged"] / spread["judged"])
        whole = {name: float(1 - error[name].sum() / spread[name].sum()) for name in groups}
    return {
        "r2": whole["judged"],
        "r2_train": whole["trained"],
        "l0": quality.l0(Z[judged]),
        "samples_train": int((~held_out).sum()),
        "samples_held_out": int(held_out.sum()),
        "modes_dropped": fitted.n_dropped,
        "units_constant": int(everywhere.sum()),
        "r2_per_unit": per_unit,
        "mode_sparsity": quality.mode_sparsity(fitted.dictionary),
    }


def _parts(table: StoredTable) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Row numbers and rows, in order."""
    every = torch.arange(len(table))
    for rows in every.split(PART):
        yield rows.numpy(), table.take(rows).numpy()


def chosen_sites(store: Store, sites: str | Sequence[str] | None) -> list[str]:
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
