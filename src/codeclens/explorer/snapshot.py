"""A snapshot: the views of a run in one HTML file, which opens from disk without network."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from codeclens.errors import CodeclensError, require_number
from codeclens.explorer.live_network import LiveNetwork
from codeclens.explorer.run_folder import RunFolder
from codeclens.explorer.run_views import plain_numbers, view
from codeclens.explorer.uploads import encoded
from codeclens.files import write_whole

STATIC = Path(__file__).parent / "static"
# Samples that have a page of their own, and modes whose maps are kept.
_SAMPLES, _MAPPED = 48, 6
_SIDE = 128


def snapshot(
    run: RunFolder,
    to: str | os.PathLike[str],
    live: LiveNetwork | None = None,
    *,
    most: int = 64,
) -> Path:
    """Write the views of a run into one self-contained HTML file, and return its path.

    All modes are listed; the `most` strongest of each site have a page. With the network (`live`)
    the pictures of their samples are kept, and maps of the strongest modes of the last site.
    Live computations need `codeclens explore`. Raises CodeclensError for another ending than
    .html, and where the file cannot be written.

    >>> import tempfile, torch
    >>> import codeclens as cl
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> folder = Path(tempfile.mkdtemp())
    >>> data = torch.randn(40, 4), torch.arange(40) % 3
    >>> store = cl.extract(model, data, sites="1", to=folder / "contributions.zarr")
    >>> run = RunFolder(store, cl.decompose(store, cl.NMF(n_modes=3)))
    >>> snapshot(run, folder / "run.html").name
    'run.html'
    """
    require_number("most", most, least=0, whole=True)
    path = Path(to)
    if path.suffix.lower() not in (".html", ".htm"):
        raise CodeclensError(f'A snapshot is a page, not "{path.name}"; use the ending .html.')
    page = PAGE.replace("DATA", _embedded(content(run, live, most)))
    script = (STATIC / "explorer.js").read_text(encoding="utf-8")
    # Inside a page a script must not hold the end of one.
    page = page.replace("SCRIPT", script.replace("</script", "<\\/script"))
    return write_whole(path, page)


PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><title>codeclens</title>'
    '<link rel="icon" href="data:,"></head><body><div id="codeclens-explorer"></div>\n'
    '<script type="application/json" id="codeclens-data">DATA</script>\n'
    '<script type="module">SCRIPT</script></body></html>\n'
)


def content(run: RunFolder, live: LiveNetwork | None, most: int) -> dict[str, Any]:
    """The views, pictures and maps of a snapshot, by their addresses."""
    chosen = {
        site: np.argsort(-modes.share, kind="stable")[:most].tolist()
        for site, modes in run.modes.items()
    }
    addresses = ["overview", "findings", "layers", "samples", "flow", "control"]
    addresses += [f"modes/{_part(site)}" for site in chosen]
    addresses += [f"mode/{_part(site)}/{mode}" for site in chosen for mode in chosen[site]]
    sites = [_part(site) for site in chosen]
    addresses += [f"compare/{one}/{other}" for one in sites for other in sites]
    rows: dict[int, None] = {}
    for site, modes in chosen.items():
        for mode in modes:
            rows |= dict.fromkeys(one.sample for one in run.exemplars(site)[mode][:_FACES])
    pages = list(rows)[:_SAMPLES] or list(range(min(_SAMPLES, len(run.store))))
    addresses += [f"sample/{row}" for row in pages]
    # The first two samples of every mode, then those of pages: the same pictures serve both.
    pictures = {} if live is None else {row: _picture(live, row) for row in [*rows, *pages]}
    maps = {}
    if live is not None and chosen:
        site = next(reversed(chosen))
        for mode in chosen[site][:_MAPPED]:
            found = [one.sample for one in run.exemplars(site)[mode][:_FACES]]
            if found:
                maps[f"{_part(site)}/{mode}"] = plain_numbers(live.maps(site, mode, found))
    return {
        "views": {address: view(run, address) for address in addresses},
        "pictures": {str(row): at for row, at in pictures.items()},
        "maps": maps,
    }


_FACES = 4


def _part(site: str) -> str:
    # As encodeURIComponent in the browser.
    return quote(site, safe="!~*'()-_.")


def _picture(live: LiveNetwork, row: int) -> str:
    data, kind = encoded(live.picture(row), _SIDE)
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _embedded(found: dict[str, Any]) -> str:
    """JSON that cannot end the element in which it stands."""
    text = json.dumps(found, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").encode("utf-8", "replace").decode()
