"""A run as the explorer reads it: a store, its modes, and the folders of results beside them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from codeclens.analysis import LayerStatistics, layer_statistics, names_beyond_chance
from codeclens.control.filing import MADE_BY, PARTS, Filed, Filing
from codeclens.decomposition import Modes, load_modes, require_modes_of
from codeclens.errors import CodeclensError, unknown
from codeclens.explorer.mode_notes import ModeNotes
from codeclens.extraction import ContributionStore
from codeclens.pages import Section
from codeclens.pages.words import Cell
from codeclens.reporting import ClassSelectivity, Gap, class_selectivity, gaps
from codeclens.visualization.galleries import Exemplars, Gallery, exemplars, gallery

if TYPE_CHECKING:
    import pandas

# Samples in which a mode is most active, kept for every mode.
SHOWN = 12
NOTES = "mode-notes.json"
# Modes that the story shows one by one, at a middle and at the last site.
TOLD = 6


@dataclass(frozen=True)
class Telling:
    """What a report says beyond the results: a title, sections of its own, further facts.

    `no_pictures` is why the pictures of the samples are not there.
    """

    title: str | None = None
    subtitle: str = ""
    sections: Sequence[Section] = ()
    facts: Sequence[tuple[str, Cell]] = ()
    footer: str = ""
    no_pictures: str = ""


class RunFolder:
    """What one run found: read when it is first asked for, and kept.

    `store` and `modes` are those of the run; `analysis`, `control` and `gallery` are the folders
    that the commands of these names wrote, or None. Names and notes that a user gives to modes are
    in `notes`, a file beside the store. The story shows the `told` strongest modes of two sites one
    by one; `statistics` are those of the layers, where they are known, and `seed` decides the
    intervals of others.

    >>> import tempfile, torch
    >>> import codeclens as cl
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> folder = Path(tempfile.mkdtemp())
    >>> data = torch.randn(40, 4), torch.arange(40) % 3
    >>> store = cl.extract(model, data, sites="1", to=folder / "contributions.zarr")
    >>> RunFolder(store, cl.decompose(store, cl.NMF(n_modes=3))).modes_of("1").n_units
    6
    """

    def __init__(
        self,
        store: ContributionStore,
        modes: Mapping[str, Modes] | None = None,
        *,
        modes_folder: Path | None = None,
        analysis: Path | None = None,
        control: Path | None = None,
        gallery: Path | None = None,
        notes: Path | None = None,
        statistics: LayerStatistics | None = None,
        told: int = TOLD,
        seed: int = 0,
    ) -> None:
        if not len(store):
            raise CodeclensError(f'The store "{store.path}" holds no samples; extract some first.')
        require_modes_of(store, modes or {})
        self.store = store
        self.modes: dict[str, Modes] = dict(modes or {})
        self.modes_folder = modes_folder
        self.analysis, self.control, self.gallery = analysis, control, gallery
        beside = store.path.parent / NOTES if isinstance(store.path, Path) else None
        self.notes = ModeNotes(notes or beside)
        self.telling = Telling()
        self.told, self.seed = told, seed
        self._statistics = statistics
        # Cached results are computed once, also when several threads ask.
        self._lock = RLock()
        self._names: dict[str, list[str]] = {}
        self._exemplars: dict[str, Exemplars] = {}
        self._kinds: dict[str, Gallery] = {}

    @classmethod
    def open(cls, folder: str | os.PathLike[str], **folders: Path | None) -> RunFolder:
        """Find the store and the results in a folder, or beside a store.

        `modes`, `analysis`, `control` and `gallery` name folders that lie elsewhere. Raises
        CodeclensError if there is no store, or more than one.
        """
        place = Path(folder)
        store = _store_in(place)
        around = store.parent
        modes = folders.get("modes") or _first(around, _holds_modes)
        return cls(
            ContributionStore(store),
            load_modes(modes) if modes else None,
            modes_folder=modes,
            analysis=folders.get("analysis") or _first(around, _holds_layers),
            control=folders.get("control") or _first(around, _holds_control),
            gallery=folders.get("gallery") or _first(around, _holds_gallery),
        )

    def modes_of(self, site: str) -> Modes:
        """The modes of a site; raises CodeclensError where there are none."""
        if site not in self.modes:
            if site in self.store.sites or not self.modes:
                raise CodeclensError(f'There are no modes of "{site}"; run codeclens decompose.')
            raise unknown("site", site, self.modes)
        return self.modes[site]

    def require_mode(self, site: str, mode: int) -> Modes:
        """The modes of a site that has a mode of this number."""
        modes = self.modes_of(site)
        if not 0 <= mode < len(modes):
            raise CodeclensError(
                f'There is no mode {mode} at "{site}"; it has modes 0 to {len(modes) - 1}.'
            )
        return modes

    def require_row(self, row: int) -> int:
        """The row of a sample, checked."""
        if not 0 <= row < len(self.store):
            raise CodeclensError(
                f"There is no sample {row}; the store holds samples 0 to {len(self.store) - 1}."
            )
        return row

    @cached_property
    def classes(self) -> list[str] | None:
        """The names of the classes, where they have names."""
        return self.store.classes

    def class_name(self, number: int) -> str | None:
        """The name of a class, or None where it is unknown."""
        if number < 0:
            return None
        names = self.classes
        return names[number] if names and number < len(names) else f"class {number}"

    def names(self, site: str) -> list[str]:
        """The names of the modes of a site: those given by the user, else those beyond chance."""
        given = self.notes.names(site)
        return [given.get(mode, name) for mode, name in enumerate(self.computed_names(site))]

    def computed_names(self, site: str) -> list[str]:
        """The classes that the loadings of each mode follow beyond chance, or ""."""
        with self._lock:
            if site not in self._names:
                self._names[site] = names_beyond_chance(self.modes_of(site))
            return self._names[site]

    def exemplars(self, site: str) -> Exemplars:
        """The samples in which each mode of a site is most active."""
        with self._lock:
            if site not in self._exemplars:
                self._exemplars[site] = exemplars(self.modes_of(site), SHOWN)
            return self._exemplars[site]

    def kinds(self, site: str) -> Gallery:
        """Samples of several kinds for each mode of a site: diverse, typical, near misses."""
        with self._lock:
            if site not in self._kinds:
                self._kinds[site] = gallery(self.modes_of(site), self.store, count=SHOWN // 2)
            return self._kinds[site]

    @cached_property
    def gaps(self) -> list[Gap]:
        """The completeness gap of every site."""
        return gaps(self.store)

    @cached_property
    def layers(self) -> tuple[pandas.DataFrame, list[str]]:
        """The table and the sentences of the layer statistics, from the files where there are."""
        import pandas

        with self._lock:
            if self._statistics is not None:
                return self._statistics.to_dataframe(), self._statistics.sentences()
            if self.analysis is not None and (self.analysis / "layers.csv").is_file():
                said = self.analysis / "sentences.txt"
                lines = said.read_text(encoding="utf-8").splitlines() if said.is_file() else []
                return pandas.read_csv(self.analysis / "layers.csv", dtype={"site": str}), lines
            statistics = layer_statistics(self.store, seed=self.seed)
            return statistics.to_dataframe(), statistics.sentences()

    @cached_property
    def selectivity(self) -> list[ClassSelectivity]:
        """How well the best mode and the best unit follow each class, site by site."""
        with self._lock:
            return class_selectivity(self.store, self.modes, self.seed)

    @cached_property
    def flow_edges(self) -> pandas.DataFrame | None:
        """The edges between modes of consecutive sites; None where there is no flow."""
        import pandas

        if self.analysis is None or not (self.analysis / "flow.csv").is_file():
            return None
        text = ("source", "sink", "source_mode", "sink_mode")
        return pandas.read_csv(self.analysis / "flow.csv", dtype=dict.fromkeys(text, str))

    @cached_property
    def controlled(self) -> list[Filed]:
        """The control curves and necessities by site; empty where there are none."""
        return [] if self.control is None else list(Filing(self.control).all())

    def effects(self, site: str) -> dict[int, float]:
        """Measured effects of modes, where the gallery holds them, in the target's units."""
        return self._effects.get(site, {})

    @cached_property
    def _effects(self) -> dict[str, dict[int, float]]:
        import pandas

        found: dict[str, dict[int, float]] = {}
        for file in sorted(self.gallery.glob("*/modes.csv")) if self.gallery else ():
            table = pandas.read_csv(file, dtype={"site": str})
            if {"site", "mode", "measured_effect"} <= set(table):
                for site, mode, effect in zip(
                    table["site"], table["mode"], table["measured_effect"], strict=True
                ):
                    if np.isfinite(effect):
                        found.setdefault(str(site), {})[int(mode)] = float(effect)
        for one in self.controlled:
            if one.necessity is not None:
                frame = one.necessity.to_dataframe()
                for mode, effect in zip(frame["mode"], frame["removed_measured"], strict=True):
                    if np.isfinite(effect):  # removal lowers the target by the mode's effect
                        found.setdefault(one.site, {}).setdefault(int(mode), -float(effect))
        return found

    def settings(self) -> dict[str, Any]:
        """The settings of the extraction, from the metadata of the store."""
        return dict(self.store.metadata["settings"])


def _store_in(place: Path) -> Path:
    """The only store that a folder is or holds."""
    if not place.is_dir():
        raise CodeclensError(f'There is no folder "{place}"; give the folder of a run.')
    if _is_store(place):
        return place
    for depth in ("*", "*/*"):
        found = sorted(one for one in place.glob(depth) if _is_store(one))
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f'"{one.relative_to(place)}"' for one in found)
            raise CodeclensError(f'"{place}" holds several stores: {names}; give one of them.')
    raise CodeclensError(
        f'There is no store of contributions in "{place}"; codeclens extract writes one.'
    )


def _is_store(place: Path) -> bool:
    about = place / "zarr.json"
    # Results of an analysis are Zarr as well; only a store has this key.
    return about.is_file() and '"codeclens"' in about.read_text(encoding="utf-8")


def _first(around: Path, holds: Any) -> Path | None:
    """The folder of a run, or one inside it, that holds some results."""
    places = [around, *sorted(one for one in around.iterdir() if one.is_dir())]
    return next((one for one in places if not _is_store(one) and holds(one)), None)


def _holds_modes(place: Path) -> bool:
    return (place / "all%sites.json").is_file()


def _holds_layers(place: Path) -> bool:
    return (place / "layers.csv").is_file()


def _holds_control(place: Path) -> bool:
    return (place / PARTS / MADE_BY).is_file()


def _holds_gallery(place: Path) -> bool:
    return (place / "gallery.html").is_file()
