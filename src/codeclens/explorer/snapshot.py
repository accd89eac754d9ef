"""The report: the views of a run in one HTML file, which opens from disk without network."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import nn

from codeclens.analysis import LayerStatistics
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, require_kind, require_number
from codeclens.explorer.live_network import LiveNetwork
from codeclens.explorer.run_folder import TOLD, RunFolder, Telling
from codeclens.explorer.run_views import view
from codeclens.explorer.story import strongest, told_modes
from codeclens.explorer.uploads import encoded
from codeclens.extraction import ContributionStore
from codeclens.extraction.data import as_samples
from codeclens.files import write_whole
from codeclens.pages import Section
from codeclens.pages.front_end import plain_numbers, self_contained
from codeclens.pages.words import Cell
from codeclens.reporting import Question

# Samples that have a page of their own.
_SAMPLES = 48
# Samples of each mode whose pictures are kept, and their largest side.
_FACES, _SIDE = 4, 128


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
    analysis: str | os.PathLike[str] | None = None,
    control: str | os.PathLike[str] | None = None,
    gallery: str | os.PathLike[str] | None = None,
    model: nn.Module | None = None,
    images: Any = None,
    question: Question | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    most: int = 64,
    told: int = TOLD,
    seed: int = 0,
) -> Path:
    """Write a report on contributions and their modes as one HTML file, and return its path.

    The report is the explorer with everything in one file: it opens from disk and makes no request.
    Its overview says whether the contributions sum to the change of the target, how contributions
    and activations change from layer to layer, how well the `modes` (as `decompose` returns them)
    explain the contributions, with which classes they correlate, and what control curves show.
    Your own `sections` and the provenance of the numbers, with further `facts`, follow. All
    sentences are computed. The other views are those of `codeclens explore`: all modes are listed,
    and the `most` strongest of each site have a page.

    `analysis`, `control` and `gallery` are folders that the commands of these names wrote. Pass
    `statistics` to avoid computing `layer_statistics` again; `seed` decides the intervals. With the
    `model` and the `images` of the extraction (and its settings as `question`) the report shows the
    samples, and where the `told` modes of two sites act that the overview shows one by one; `mean`
    and `std` are those of the network's transform, for true colours.

    Raises CodeclensError for an empty store, modes of sites that the store does not have, images of
    another store, another ending than .html, and where the file cannot be written.

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
    require_number("told", told, least=0, whole=True)
    places = {"analysis": analysis, "control": control, "gallery": gallery}
    if (model is None) != (images is None):
        raise CodeclensError("To show samples, a report needs the model and the images: pass both.")
    run = RunFolder(
        store, modes, statistics=statistics, told=told, seed=seed,
        **{name: None if place is None else Path(place) for name, place in places.items()},
    )  # fmt: skip
    run.telling = Telling(title, subtitle, sections, facts)
    live = None
    if model is not None:
        asked = Question() if question is None else question
        live = LiveNetwork(run, model, as_samples(images), asked, mean=mean, std=std)
    return snapshot(run, to, live, most=most)


def snapshot(
    run: RunFolder,
    to: str | os.PathLike[str],
    live: LiveNetwork | None = None,
    *,
    most: int = 64,
) -> Path:
    """Write the views of a run into one self-contained HTML file, and return its path.

    Errors are those of `report`.
    """
    require_number("most", most, least=0, whole=True)
    path = Path(to)
    if path.suffix.lower() not in (".html", ".htm"):
        raise CodeclensError(f'A report is a page, not "{path.name}"; use the ending .html.')
    found = content(run, live, most)
    page = self_contained(found, found["views"]["overview"]["title"])
    try:
        return write_whole(path, page)
    except OSError as error:
        raise CodeclensError(f"The report {path} cannot be written: {error}.") from error


def content(run: RunFolder, live: LiveNetwork | None, most: int) -> dict[str, Any]:
    """The views, pictures and maps of a report, by their addresses."""
    told = told_modes(run)
    chosen = {
        site: list(dict.fromkeys([*told.get(site, ()), *strongest(modes.share, most)]))
        for site, modes in run.modes.items()
    }
    addresses = ["overview", "story", "layers", "samples", "flow", "control"]
    addresses += [f"modes/{_part(site)}" for site in chosen]
    addresses += [f"mode/{_part(site)}/{mode}" for site in chosen for mode in chosen[site]]
    addresses += [f"kinds/{_part(site)}/{mode}" for site in told for mode in told[site]]
    sites = [_part(site) for site in chosen]
    addresses += [f"compare/{one}/{other}" for one in sites for other in sites]
    rows: dict[int, None] = {}
    for site, modes in told.items():
        for mode in modes:
            rows |= dict.fromkeys(one.sample for one in run.exemplars(site)[mode])
            others = run.kinds(site)[mode]
            kinds = ("diverse", "typical", "near misses")
            rows |= dict.fromkeys(one.sample for kind in kinds for one in others.get(kind, ()))
    for site, modes in chosen.items():
        for mode in modes:
            rows |= dict.fromkeys(one.sample for one in run.exemplars(site)[mode][:_FACES])
    pages = list(rows)[:_SAMPLES] or list(range(min(_SAMPLES, len(run.store))))
    addresses += [f"sample/{row}" for row in pages]
    # The same pictures serve modes and samples.
    pictures = {} if live is None else {row: _picture(live, row) for row in [*rows, *pages]}
    maps = {}
    if live is not None:
        for site, modes in told.items():
            for mode in modes:
                found = [one.sample for one in run.exemplars(site)[mode][:_FACES]]
                if found:
                    maps[f"{_part(site)}/{mode}"] = plain_numbers(live.maps(site, mode, found))
    return {
        "views": {address: view(run, address) for address in addresses},
        "pictures": {str(row): at for row, at in pictures.items()},
        "maps": maps,
        "version": version("codeclens"),
    }


def _part(site: str) -> str:
    # As encodeURIComponent in the browser.
    return quote(site, safe="!~*'()-_.")


def _picture(live: LiveNetwork, row: int) -> str:
    data, kind = encoded(live.picture(row), _SIDE)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
