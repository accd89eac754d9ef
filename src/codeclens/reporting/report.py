"""The report: the results on a store and its modes, on one page."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from codeclens.analysis import LayerStatistics, layer_statistics
from codeclens.decomposition import Modes, require_modes_of
from codeclens.errors import CodeclensError, counted, require_kind
from codeclens.extraction import ContributionStore
from codeclens.pages.document import Page, Points, Section, Text
from codeclens.pages.words import Cell
from codeclens.reporting.mode_section import modes_section
from codeclens.reporting.store_sections import (
    completeness_section,
    explained_words,
    layers_section,
    provenance_section,
)


def report(
    store: ContributionStore,
    modes: Mapping[str, Modes] | None = None,
    *,
    to: str | os.PathLike[str],
    title: str | None = None,
    subtitle: str = "",
    statistics: LayerStatistics | None = None,
    sections: Sequence[Section] = (),
    facts: Sequence[tuple[str, Cell]] = (),
    seed: int = 0,
) -> Path:
    """Write one self-contained HTML page about contributions and their modes, and return its path.

    The page reports whether the contributions sum to the change of the target, how contributions
    and activations change from layer to layer, how well the `modes` (as `decompose` returns them)
    explain the contributions, and with which classes they correlate. Your own `sections` and the
    provenance of the numbers, with further `facts`, follow. All sentences are computed. Pass
    `statistics` to avoid computing `layer_statistics` again; `seed` decides the intervals. The page
    makes no request to the network.

    Raises CodeclensError for an empty store, modes of sites that the store does not have, and
    where the file cannot be written.

    >>> import tempfile, torch
    >>> import codeclens as cl
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> folder = Path(tempfile.mkdtemp())
    >>> data = torch.randn(40, 4), torch.arange(40) % 3
    >>> store = cl.extract(model, data, sites="1", to=folder / "contributions.zarr")
    >>> modes = cl.decompose(store, cl.TopK(n_modes=8, k=2, epochs=5))
    >>> cl.report(store, modes, to=folder / "report.html").name
    'report.html'
    """
    hint = "a ContributionStore"
    if isinstance(store, str | os.PathLike):
        hint += f': ContributionStore("{os.fspath(store)}")'
    require_kind("store", store, ContributionStore, hint)
    if not len(store):
        raise CodeclensError(f'The store "{store.path}" holds no samples; extract some first.')
    require_modes_of(store, modes or {})
    statistics = layer_statistics(store, seed=seed) if statistics is None else statistics
    parts = [completeness_section(store), layers_section(statistics)]
    if modes:
        parts.append(modes_section(store, modes, seed))
    parts += sections
    findings = [section.finding for section in parts if section.finding]
    name = store.metadata["settings"]["model"]["class"]
    page = Page(
        title=title or f"What the hidden units of {name} contribute",
        subtitle=subtitle,
        opening=[Text(lead(store, modes or {}), "lead"), Points(findings)],
        sections=[*parts, provenance_section(store, facts)],
        footer=f"Written by codeclens {version('codeclens')}. "
        "All sentences are generated from the results.",
    )
    return page.save(Path(to))


def lead(store: ContributionStore, modes: Mapping[str, Modes]) -> str:
    """What was done, in one sentence or two."""
    units = sum(store.units(site) for site in store.sites)
    settings = store.metadata["settings"]
    text = (
        f"The network ({settings['model']['class']}) was analysed on "
        f"{counted(len(store), 'sample')}. For each of {counted(units, 'hidden unit')} at "
        f"{counted(len(store.sites), 'site')} the contribution to "
        f"{explained_words(settings)} was computed."
    )
    if modes:
        found = sum(len(one) for one in modes.values())
        text += f" The contributions were decomposed into {counted(found, 'mode')}."
    return text
