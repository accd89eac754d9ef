"""The explorer in a notebook: a widget that asks Python for its views, in messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.explorer.run_folder import RunFolder
from codeclens.explorer.run_views import view
from codeclens.extraction import ContributionStore
from codeclens.pages.notebook import widget

_ABOUT = {
    "live": False,
    "reason": "In a notebook the explorer shows results; codeclens explore shows pictures too.",
    "uploads": False,
    "outputs": None,
}


def explore(store: ContributionStore, modes: Mapping[str, Modes] | Modes | None = None) -> Any:
    """The explorer of a store and its modes, as a widget for Jupyter, VS Code, Colab and marimo.

    It has the views of `codeclens explore` except those that need the network. Raises
    CodeclensError for modes of another store, and where anywidget is not installed.

    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> import codeclens as cl
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> data = torch.randn(40, 4), torch.arange(40) % 3
    >>> store = cl.extract(model, data, sites="1", to=Path(tempfile.mkdtemp()) / "store.zarr")
    >>> shown = cl.explore(store, cl.decompose(store, cl.NMF(n_modes=3)))
    >>> shown.answer({"id": 1, "kind": "view", "address": "modes/1"})["found"]["site"]
    '1'
    """
    if not isinstance(store, ContributionStore):
        raise CodeclensError(
            f"explore needs a store, not a {type(store).__name__}: ContributionStore(path)."
        )
    by_site = {modes.site: modes} if isinstance(modes, Modes) else dict(modes or {})
    run = RunFolder(store, by_site)
    return widget(about=_ABOUT, answer=partial(answered, run))


def answered(run: RunFolder, message: Any) -> dict[str, Any]:
    """The answer to one message of the browser: what was found, or an error as a sentence."""
    if not isinstance(message, Mapping) or not isinstance(message.get("id"), int):
        return {"id": None, "error": "The message has no number."}
    found: dict[str, Any] = {"id": message["id"]}
    try:
        match message.get("kind"):
            case "view":
                found["found"] = view(run, str(message.get("address")))
            case "note":
                site, mode = str(message.get("site")), int(message.get("mode", -1))
                run.require_mode(site, mode)
                texts = {key: str(message[key]) for key in ("name", "note") if key in message}
                found["found"] = run.notes.set(site, mode, **texts)
            case kind:
                raise CodeclensError(f'The explorer does not know "{str(kind)[:40]}".')
    except (CodeclensError, ValueError, TypeError) as error:
        found["error"] = str(error)
    return found
