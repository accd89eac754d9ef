"""Decompose the contributions of a whole store into modes, site by site."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, overload
from urllib.parse import quote

import numpy as np
import torch
from jaxtyping import Float32

from codeclens.decomposition import quality
from codeclens.decomposition.autoencoders.base import Autoencoder
from codeclens.decomposition.estimator import Estimator, Fitted, as_data
from codeclens.decomposition.fit_tasks import FitTask, SiteProgress, fits
from codeclens.decomposition.loadings import Loadings
from codeclens.decomposition.logbook import Logbook
from codeclens.decomposition.matrices import (
    PART,
    SampleMatrix,
    StoredMatrix,
    TensorMatrix,
    View,
    check_view,
)
from codeclens.decomposition.modes import Modes
from codeclens.decomposition.site_modes import ModesBySeed, ModesBySite
from codeclens.decomposition.stability import chance, found_again
from codeclens.decomposition.training import named
from codeclens.errors import CodeclensError, counted, require_number, unknown
from codeclens.extraction import ContributionStore, usable_device
from codeclens.extraction.computing import free_memory

logger = logging.getLogger(__name__)


class Store(Protocol):
    """The part of a store of contributions that `decompose` needs."""

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
    progress: SiteProgress | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> ModesBySite: ...
@overload
def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: Sequence[int],
    progress: SiteProgress | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> ModesBySeed: ...
def decompose(
    store: Store,
    method: Estimator,
    *,
    sites: str | Sequence[str] | None = None,
    view: View = "concat",
    seed: int | Sequence[int] = 0,
    progress: SiteProgress | None = None,
    workers: int = 1,
    logs: str | os.PathLike[str] | None = None,
    in_memory: bool | None = None,
    device: torch.device | str = "cpu",
    halves: bool = False,
) -> ModesBySite | ModesBySeed:
    """Find the modes of every site of a store, with one seed or several.

    `method` is an estimator, for example `TopK(expansion=3)`; `expansion` multiplies the units of a
    site, U, also for the concat view `(N, 2U)`. `sites` are names or globs (default: all); `view`
    is "concat" (positive contributions next to the magnitudes of negative ones), "sum", "positive",
    "negative" or "activation". `progress(site, epoch)` is called after each epoch.

    `workers` fits run in parallel, each on one thread in a new process, so a script must put its
    calls under `if __name__ == "__main__":`. `logs` is a folder for the checkpoint and the log of
    each training (see Logbook): the same call resumes an interrupted training. `in_memory=False`
    trains from blocks of the store; None does so for sites that would not fit into memory.
    Autoencoders train on `device`, for example "cuda".

    `Modes.quality` says how reproducible each mode is, by the cosines of matched modes `(K,)`:
    "stability_seeds" is the mean over the other seeds, if there are several; "stability_halves",
    with `halves`, is the mean over two more fits, each to one half of the samples.
    `Modes.stability` is the lower of the two; one shuffled mode in twenty reaches
    "stability_chance".

    Returns ModesBySite, a mapping in the store's order; for a list of seeds ModesBySeed, a mapping
    from site to a dict from seed to Modes (arXiv 2603.06557; method.md §3). A site whose
    data cannot be decomposed (not finite, constant or zero throughout) is left out with a warning.
    Raises CodeclensError, naming the site, if no site is left, for an unknown site or view, and for
    too few samples.

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
            f"method={method!r} is not a decomposition method; pass an object such as TopK(k=16)."
        )
    require_number("workers", workers, least=1, whole=True)
    place = usable_device(device)
    seeds = [seed] if isinstance(seed, int) else list(dict.fromkeys(seed))
    chosen = chosen_sites(store, sites)
    for site in chosen:  # checked before the first fit, which may take long
        with named(site):
            wanted = method.modes_for(store.units(site))
            if isinstance(method, Autoencoder):
                method.require_enough(len(store.label) // (2 if halves else 1), wanted)
    tasks = [
        FitTask(
            site, number, method, store.units(site), _logbook(logs, site, number, half), place, half
        )
        for site in chosen
        for number in seeds
        for half in ((None, 0, 1) if halves else (None,))
    ]
    found: dict[str, dict[int, Modes]] = {site: {} for site in chosen}
    data = _Data(store, view, in_memory)
    parts: dict[tuple[str, int], list[np.ndarray[Any, Any]]] = {}
    failed: dict[str, CodeclensError] = {}
    for task, fitted in fits(tasks, data, workers, progress):
        if isinstance(fitted, CodeclensError):
            failed.setdefault(task.site, fitted)
            continue
        if task.half is not None:
            parts.setdefault((task.site, task.seed), []).append(fitted.dictionary)
            continue
        modes = _modes(store, task, view, data(task.site), fitted)
        found[task.site][task.seed] = modes
        logger.info("%s: %d modes, R² %.3f", task.site, len(modes), modes.r2)
    chosen = _left(chosen, failed)
    for site in chosen:
        _add_stability(found[site], {number: parts.get((site, number), []) for number in seeds})
    if isinstance(seed, int):
        return ModesBySite({site: found[site][seed] for site in chosen})
    return ModesBySeed({site: {number: found[site][number] for number in seeds} for site in chosen})


def _left(chosen: list[str], failed: dict[str, CodeclensError]) -> list[str]:
    """The sites that were decomposed; a warning names the others, an error if there is none."""
    left = [site for site in chosen if site not in failed]
    if failed and not left:
        raise next(iter(failed.values()))
    if failed:
        warnings.warn(
            f"{counted(len(failed), 'site')} of {len(chosen)} could not be decomposed and "
            f"{'is' if len(failed) == 1 else 'are'} left out. {next(iter(failed.values()))}",
            stacklevel=3,
        )
    return left


class _Data:
    """The data of each site, read when needed; those of the last site are kept."""

    def __init__(self, store: Store, view: View, in_memory: bool | None) -> None:
        self.store = store
        self.view = view
        self.in_memory = in_memory
        self._last: tuple[str, np.ndarray[Any, Any] | StoredMatrix] | None = None

    def __call__(self, site: str) -> np.ndarray[Any, Any] | StoredMatrix:
        if self._last is None or self._last[0] != site:
            self._last = None  # released before the next is read: two may not fit into memory
            self._last = site, self._read(site)
        return self._last[1]

    def _read(self, site: str) -> np.ndarray[Any, Any] | StoredMatrix:
        store = self.store
        if isinstance(store, ContributionStore) and self.in_memory is not True:
            matrix = StoredMatrix(store.reader(site, self.view), store.sample)
            # The data themselves, divided, and in two parts.
            wanted = 4 * 4 * matrix.shape[0] * matrix.shape[1]
            if self.in_memory is False or wanted > free_memory():
                return matrix
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


def _add_stability(found: dict[int, Modes], halves: dict[int, list[np.ndarray[Any, Any]]]) -> None:
    """Add to `quality` how reproducible each mode is over seeds and halves of the samples."""
    for seed, modes in found.items():
        others = [other.dictionary for number, other in found.items() if number != seed]
        for where, dictionaries in (("seeds", others), ("halves", halves[seed])):
            if dictionaries:
                modes.quality[f"stability_{where}"] = found_again(modes.dictionary, dictionaries)
                modes.quality["stability_chance"] = chance(modes.dictionary, seed)


def _modes(
    store: Store, task: FitTask, view: View, X: np.ndarray[Any, Any] | StoredMatrix, fitted: Fitted
) -> Modes:
    matrix = X if isinstance(X, StoredMatrix) else TensorMatrix(as_data(X))
    parts = (fitted.encode(part) for _, part in _blocks(matrix))
    loadings = Loadings.stacked(parts, len(fitted.dictionary))
    measured = _quality(matrix, loadings, fitted)
    if isinstance(store, ContributionStore):
        measured["direction"] = _directions(store, task.site, loadings)
    return Modes(
        site=task.site,
        view=view,
        fitted=fitted,
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


def _directions(
    store: ContributionStore, site: str, loadings: Loadings
) -> Float32[np.ndarray, "mode unit"]:
    """The direction of each mode in activation space `(K, U)`: see `Mode.direction`."""
    modes = loadings.shape[1]
    total = loadings.sums()
    shared, spread = np.zeros((modes, store.units(site))), np.zeros(modes)
    active = np.zeros(modes)
    for rows, block in _blocks(StoredMatrix(store.reader(site, "activation"), store.sample)):
        part = loadings[rows]
        active += (part > 0).sum(axis=0)
        centred = part - total / len(loadings)
        shared += centred.T @ block
        spread += np.square(centred).sum(axis=0)
    typical = total / np.maximum(active, 1)
    return np.asarray(typical[:, None] * shared / np.maximum(spread, 1e-300)[:, None], np.float32)


def _quality(matrix: SampleMatrix, Z: Loadings, fitted: Fitted) -> dict[str, Any]:
    """R² and L0 on held-out samples, R² on training samples, and figures of modes and units.

    Sums are taken in float64, block by block, so that the data need not fit into memory.
    """
    held_out = np.zeros(len(matrix), dtype=bool)
    held_out[fitted.held_out_rows] = True
    scored = held_out if held_out.any() else ~held_out
    columns = matrix.shape[1]
    groups = {"scored": scored, "trained": ~held_out}
    mean, error, spread = ({name: np.zeros(columns) for name in groups} for _ in range(3))
    low, high = ({name: np.full(columns, s * np.inf) for name in groups} for s in (1, -1))
    for rows, block in _blocks(matrix):
        for name, group in groups.items():
            part = block[group[rows]]
            mean[name] += part.sum(axis=0, dtype=np.float64) / max(group.sum(), 1)
            low[name] = np.minimum(low[name], part.min(axis=0, initial=np.inf))
            high[name] = np.maximum(high[name], part.max(axis=0, initial=-np.inf))
    for rows, block in _blocks(matrix):
        difference = block - fitted.decode(Z[rows]).astype(np.float64)
        for name, group in groups.items():
            error[name] += np.square(difference[group[rows]]).sum(axis=0)
            spread[name] += np.square(block[group[rows]] - mean[name]).sum(axis=0)
    constant = {name: low[name] == high[name] for name in groups}
    for name in groups:  # the mean of equal values is off by a rounding
        spread[name][constant[name]] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        per_unit = np.where(constant["scored"], np.nan, 1 - error["scored"] / spread["scored"])
        whole = {name: float(1 - error[name].sum() / spread[name].sum()) for name in groups}
    return {
        "r2": whole["scored"],
        "r2_train": whole["trained"],
        "l0": float(Z.per_sample()[scored].mean()),
        "samples_train": int((~held_out).sum()),
        "samples_held_out": int(held_out.sum()),
        "modes_dropped": fitted.n_dropped,
        "units_constant": int((np.minimum(*low.values()) == np.maximum(*high.values())).sum()),
        "r2_per_unit": per_unit,
        "mode_sparsity": quality.mode_sparsity(fitted.dictionary),
    }


def _blocks(matrix: SampleMatrix) -> Iterator[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Row numbers and rows, in order."""
    every = torch.arange(len(matrix))
    for rows in every.split(PART):
        yield rows.numpy(), matrix.take(rows).numpy()


def chosen_sites(store: Store, sites: str | Sequence[str] | None) -> list[str]:
    """The sites that match names or globs, in the store's order."""
    if sites is None:
        return list(store.sites)
    found = set()
    for pattern in [sites] if isinstance(sites, str) else sites:
        # Brackets are part of the names of sites ("h.0[1]"), not sets of characters.
        glob = pattern.replace("[", "[[]")
        matches = [site for site in store.sites if site == pattern or fnmatchcase(site, glob)]
        if not matches:
            raise unknown("site", pattern, store.sites, "The store has")
        found.update(matches)
    return [site for site in store.sites if site in found]
