"""The modes of several sites: a mapping, a folder, packaged modes, and checks on a store."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from codeclens.decomposition.modes import Modes
from codeclens.decomposition.pairs import Kind, paths
from codeclens.errors import (
    CodeclensError,
    as_sentence,
    counted,
    require_kind,
    shortened,
    unknown,
)
from codeclens.extraction import ContributionStore
from codeclens.files import at_home, write_whole
from codeclens.labelled import Labelled, columns_of

if TYPE_CHECKING:
    import pandas
    import xarray

_SEVERAL = Kind("codeclens modes of several sites", 1, "modes")
# Lists all sites of a folder in their order; "%" distinguishes it from any quoted site.
_SITES_FILE = "all%sites.json"
# Modes that are part of the package, a folder for each network.
SHIPPED = Path(__file__).parent / "shipped"
# Settings of an extraction that contributions of the same samples depend on.
_MADE_BY = ("data", "method", "target", "baseline")


class ModesBySite(Labelled, Mapping[str, Modes]):
    """The modes of several sites, by site: a mapping that prints as a table of sites.

    >>> from codeclens.decomposition import NMF
    >>> X = np.random.default_rng(0).gamma(0.5, size=(40, 6))
    >>> fitted = NMF(n_modes=3).fit(X)
    >>> modes = ModesBySite({"conv1": Modes("conv1", "activation", fitted, fitted.encode(X))})
    >>> list(modes), len(modes["conv1"]), modes.to_dataframe().columns[:4].tolist()
    (['conv1'], 3, ['site', 'view', 'units', 'modes'])
    """

    def __init__(self, modes: Mapping[str, Modes]) -> None:
        self._modes = dict(modes)

    def __getitem__(self, site: str) -> Modes:
        if site not in self._modes:
            raise KeyError(str(unknown("site", site, self._modes, "The modes are of")))
        return self._modes[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modes)

    def __len__(self) -> int:
        return len(self._modes)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per site: the numbers of units, modes and samples, R², L0 and the method."""
        import pandas

        return pandas.DataFrame([_row(site, one) for site, one in self.items()])

    def modes_dataframe(self) -> pandas.DataFrame:
        """One row per mode of all sites, as `Modes.to_dataframe` gives them."""
        import pandas

        tables = [one.to_dataframe() for one in self.values()]
        return pandas.concat(tables, ignore_index=True) if tables else pandas.DataFrame()

    def to_xarray(self) -> xarray.Dataset:
        """The table, along the dimension site; the modes of a site have a data set of their own."""
        return _by_row(self.to_dataframe(), "site")

    def title(self) -> str:
        """One line that says what this is."""
        return f"Modes of {counted(len(self), 'site')}"


class ModesBySeed(Labelled, Mapping[str, Mapping[int, Modes]]):
    """The modes of several sites, each fitted with several seeds: `found[site][seed]`."""

    def __init__(self, modes: Mapping[str, Mapping[int, Modes]]) -> None:
        self._modes = {site: dict(by_seed) for site, by_seed in modes.items()}

    def __getitem__(self, site: str) -> dict[int, Modes]:
        return self._modes[site]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modes)

    def __len__(self) -> int:
        return len(self._modes)

    def of_seed(self, seed: int) -> ModesBySite:
        """The modes of all sites from one seed."""
        return ModesBySite({site: by_seed[seed] for site, by_seed in self.items()})

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per site and seed, with the columns of `ModesBySite` and the seed."""
        import pandas

        return pandas.DataFrame(
            [
                {"seed": seed, **_row(site, one)}
                for site, by_seed in self.items()
                for seed, one in by_seed.items()
            ]
        )

    def to_xarray(self) -> xarray.Dataset:
        """The table, along the dimension fit (one site and one seed)."""
        return _by_row(self.to_dataframe(), "fit")

    def title(self) -> str:
        """One line that says what this is."""
        seeds = dict.fromkeys(seed for by_seed in self.values() for seed in by_seed)
        return f"Modes of {len(self)} sites from the seeds {', '.join(map(str, seeds))}"


def _row(site: str, modes: Modes) -> dict[str, Any]:
    return {
        "site": site,
        "view": modes.view,
        "units": modes.n_units,
        "modes": len(modes),
        "samples": len(modes.loadings),
        "r2": modes.r2,
        "l0": modes.l0,
        "method": repr(modes.method),
    }


def _by_row(table: pandas.DataFrame, dimension: str) -> xarray.Dataset:
    import xarray

    columns = columns_of([dict(row) for _, row in table.iterrows()], dimension)
    index = {name: columns.pop(name) for name in ("site", "seed") if name in columns}
    return xarray.Dataset(columns, index)


def save_modes(
    modes: Mapping[str, Modes], folder: str | os.PathLike[str], *, compact: bool = False
) -> Path:
    """Write the modes of several sites, as `decompose` gives them, into one folder.

    `compact` halves the size by half precision (see `Modes.save`).

    >>> import tempfile
    >>> len(load_modes(save_modes({}, tempfile.mkdtemp())))
    0
    """
    require_by_site(modes)
    to = at_home(folder)
    names = {site: quote(site, safe="") for site in modes}
    for site, one in modes.items():
        one.save(to / names[site], compact=compact)
    facts = {"format": _SEVERAL.format, "version": _SEVERAL.version, "sites": names}
    write_whole(to / _SITES_FILE, json.dumps(facts, indent=2, ensure_ascii=False).encode())
    return to


def load_modes(folder: str | os.PathLike[str]) -> ModesBySite:
    """Read what `save_modes` wrote, sites in their order.

    If there is no such folder, the name of a network returns its packaged modes (see
    `ready_modes`). Raises CodeclensError as `Modes.load` does.

    >>> import tempfile
    >>> list(load_modes(save_modes({}, tempfile.mkdtemp())))
    []
    """
    place = at_home(folder)
    if os.fspath(folder) in ready_names() and not place.exists():
        place = SHIPPED / place
    if not (place / _SITES_FILE).is_file():
        known = ", ".join(f'"{name}"' for name in ready_names())
        seeds = sorted(place.glob(f"*/{_SITES_FILE}"))
        hint = (
            f' itself; those of one seed are in "{seeds[0].parent}"'
            if seeds
            else f"; modes of {known} ship with codeclens"
        )
        raise CodeclensError(f'There are no modes in the folder "{folder}"{hint}.')
    facts = _SEVERAL.facts(place / _SITES_FILE)
    with as_sentence(f'"{place / _SITES_FILE}" does not list modes'):
        return ModesBySite(
            {site: Modes.load(_inside(place, name)) for site, name in facts["sites"].items()}
        )


def _inside(folder: Path, name: str) -> Path:
    """The path of the modes with that name; raises CodeclensError if it leads out of the folder."""
    # Files of the hub are links into the folder of the repository.
    home = folder.resolve()
    places = [home, *([home.parents[1]] if home.parent.name == "snapshots" else [])]
    for file in paths(folder / name):
        real = file.resolve()
        if (
            name == ".."
            or Path(name).name != name
            or not any(real.is_relative_to(place) for place in places)
        ):
            raise CodeclensError(
                f'"{folder / _SITES_FILE}" names {shortened(name)}, which leads out of the folder; '
                "modes are read only from their own folder."
            )
    return folder / name


def ready_modes(name: str = "efficientnet-lite0") -> ModesBySite:
    """The packaged modes of a network, by site, from input to output.

    `name` is that of `zoo.load`; `ready_names()` lists the networks. The modes carry the keys, the
    classes and their loadings of the photographs they were found in, and their quality on held-out
    photographs; `ready_card` describes them. `load_modes(name)` and `--modes NAME` return the
    same modes if there is no folder of that name. Raises CodeclensError for another name.

    >>> modes = ready_modes("efficientnet-lite0")
    >>> len(modes), modes["blocks.6.0"].n_units, modes["blocks.6.0"].r2 > 0
    (16, 320, True)
    """
    return load_modes(_ready_folder(name))


def ready_names() -> list[str]:
    """The networks with packaged modes.

    >>> ready_names()
    ['efficientnet-lite0']
    """
    return sorted(file.parent.name for file in SHIPPED.glob(f"*/{_SITES_FILE}"))


def ready_card(name: str = "efficientnet-lite0") -> str:
    """The card of these modes in Markdown: their content, origin and quality.

    >>> ready_card().splitlines()[0]
    '# Modes of EfficientNet-Lite0'
    """
    return (_ready_folder(name) / "README.md").read_text(encoding="utf-8")


def _ready_folder(name: str) -> Path:
    if name not in ready_names():
        raise unknown("set of modes", name, ready_names(), "codeclens ships")
    return SHIPPED / name


def require_by_site(modes: Any, sites: str = "") -> None:
    """Raise CodeclensError unless `modes` are a mapping from sites to Modes.

    >>> try:
    ...     require_by_site([1])
    ... except CodeclensError as error:
    ...     print(error)
    modes is a list; pass modes by site, as decompose returns them.
    """
    hint = "modes by site, as decompose returns them"
    if isinstance(modes, Modes):
        hint += f': {{"{modes.site}": modes}}'
    require_kind("modes", modes, Mapping, hint)
    for one in modes.values():
        require_kind("an entry of modes", one, Modes, hint)


def require_modes_of(store: ContributionStore, modes: Mapping[str, Modes]) -> None:
    """Raise CodeclensError if modes are of sites that a store lacks, or of another network.

    Modes of the same network may come from another store of it. Raises it, too, for a store that
    is none, and for modes that are not by site.
    """
    require_kind("store", store, ContributionStore, "a ContributionStore, as extract returns it")
    require_by_site(modes)
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
    """Raise CodeclensError if modes were not found in the samples of this store.

    Loadings can be compared with a store's labels or contributions only if they are of the same
    samples (number, keys and labels), from the same data and by the same method.
    """
    for site, one in modes.items():
        different = _difference(store, one)
        if different:
            raise CodeclensError(
                f'The modes of site "{site}" were found in other samples than those of the store '
                f'"{store.path}" ({different}); decompose this store.'
            )


def _difference(store: ContributionStore, modes: Modes) -> str:
    """How the samples of modes differ from those of a store, in few words; empty if they do not."""
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
