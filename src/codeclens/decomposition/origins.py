"""Origins: whether modes belong to a store, to its network and to its very samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codeclens.decomposition.modes import Modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

# What contributions of the same samples depend on.
_MADE_BY = ("data", "method", "target", "baseline")


def require_modes_of(store: ContributionStore, modes: Mapping[str, Modes]) -> None:
    """Raise CodeclensError where modes belong to other sites, or to another network, than a store.

    Modes of the same network found in another store of it may be looked at beside this one.
    """
    for site, one in modes.items():
        if site not in store.sites:
            raise CodeclensError(
                f'The modes are of site "{site}", which the store "{store.path}" does not have; '
                f"its sites are {', '.join(store.sites[:6])}."
            )
        if one.n_units != store.units(site):
            raise CodeclensError(
                f'The modes of site "{site}" are patterns of {one.n_units} units, but the store '
                f'"{store.path}" has {store.units(site)} there; decompose this store.'
            )
        found_in = _settings(one).get("model")
        if found_in is not None and found_in != store.metadata["settings"]["model"]:
            raise CodeclensError(
                f'The modes of site "{site}" were found in another network than the store '
                f'"{store.path}" ({found_in.get("class")} with other weights or structure); '
                "decompose this store."
            )


def require_samples_of(store: ContributionStore, modes: Mapping[str, Modes]) -> None:
    """Raise CodeclensError where modes were not found in the very samples of a store.

    Where loadings stand beside a store's labels or contributions, they must be of its samples: as
    many, with the same keys and labels, of the same data and by the same method.
    """
    for site, one in modes.items():
        different = _difference(store, one)
        if different:
            raise CodeclensError(
                f'The modes of site "{site}" were found in other samples than those of the store '
                f'"{store.path}" ({different}); decompose this store.'
            )


def _difference(store: ContributionStore, modes: Modes) -> str:
    """What tells the samples of modes from those of a store, in few words, if anything."""
    if len(modes.loadings) != len(store):
        return f"{len(modes.loadings):,} of them, not {len(store):,}"
    for name, mine, theirs in (
        ("labels", modes.labels, store.label),
        ("keys", modes.keys, store.key),
    ):
        if mine is not None and not np.array_equal(np.asarray(mine), np.asarray(theirs)):
            row = int(np.flatnonzero(np.asarray(mine) != np.asarray(theirs))[0])
            return f"{name} differ, first in sample {row}: {mine[row]}, not {theirs[row]}"
    made_by, settings = _settings(modes), store.metadata["settings"]
    for name in _MADE_BY:
        if name in made_by and made_by[name] != settings.get(name):
            return f"made with another {name}"
    return ""


def _settings(modes: Modes) -> dict[str, Any]:
    found: dict[str, Any] = modes.provenance.get("contributions", {}).get("settings", {})
    return found
