"""`codeclens decompose`: a store of contributions, modes for every site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import codeclens as cl
from codeclens.cli.config import DecomposeSettings, write_section
from codeclens.cli.progress import Advance, progress
from codeclens.decomposition import Epoch, Estimator, save_modes


def run_decompose(settings: DecomposeSettings) -> None:
    """Decompose as the settings say, and tell what came out."""
    assert settings.store is not None
    assert settings.to is not None
    store = cl.ContributionStore(settings.store)
    method = method_of(settings)
    sites = len(store.sites)
    with progress("modes", None, "epochs") as advance:
        modes = cl.decompose(
            store,
            method,
            sites=settings.sites,
            view=settings.view,
            seed=settings.seed,
            progress=epochs(advance, sites),
        )
    save_modes(modes, settings.to)
    write_section(settings.to, settings)
    for found in modes.values():
        print(repr(found))
    print(f"{len(modes)} sites written to {settings.to}")


def method_of(settings: DecomposeSettings) -> Estimator:
    """The method that the settings name; only what was set differs from its own defaults."""
    options: dict[str, Any] = {"n_modes": settings.n_modes, "expansion": settings.expansion}
    if settings.n_modes is None and settings.expansion is None:
        options["expansion"] = 3
    if settings.epochs is not None:
        options["epochs"] = settings.epochs
    if settings.method == "threshold-sae":
        return cl.ThresholdSAE(**options)
    return cl.TopK(k=settings.k, **options)


def epochs(advance: Advance, sites: int) -> Callable[[str, Epoch], None]:
    """Tell a bar of the epochs of all sites, from what is known of the first."""
    seen: dict[str, int] = {}

    def tell(site: str, epoch: Epoch) -> None:
        seen[site] = epoch.epoch
        advance(sum(seen.values()), epoch.epochs * sites)

    return tell
