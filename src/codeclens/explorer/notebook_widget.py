"""The explorer in a notebook: a widget that asks Python for its views, in messages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError
from codeclens.explorer.run_folder import RunFolder
from codeclens.explorer.run_views import view
from codeclens.extraction import ContributionStore

_SCRIPT = Path(__file__).parent / "static" / "explorer.js"
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
    >>> import codeclens as cl
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    >>> data = torch.randn(40, 4), torch.arange(40) % 3
    >>> store = cl.extract(model, data, sites="1", to=Path(tempfile.mkdtemp()) / "store.zarr")
    >>> widget = cl.explore(store, cl.decompose(store, cl.NMF(n_modes=3)))
    >>> widget.answer({"id": 1, "kind": "view", "address": "modes/1"})["found"]["site"]
    '1'
    """
    if not isinstance(store, ContributionStore):
        raise CodeclensError(
            f"explore needs a store, not a {type(store).__name__}: ContributionStore(path)."
        )
    by_site = {modes.site: modes} if isinstance(modes, Modes) else dict(modes or {})
    return _widget()(RunFolder(store, by_site))


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


@cache
def _widget() -> Any:
    # Made on first use: anywidget is part of an extra.
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise CodeclensError(
            f'explore needs {error.name}: pip install "codeclens[explorer]".'
        ) from None

    class ExplorerWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The widget; `answer` is what Python says to a message."""

        _esm = _SCRIPT
        about = traitlets.Dict().tag(sync=True)
        pictures = traitlets.Dict().tag(sync=True)

        def __init__(self, run: RunFolder) -> None:
            super().__init__(about=_ABOUT, pictures={})
            self.run = run
            self.on_msg(lambda _, message, buffers: self.send(self.answer(message)))

        def answer(self, message: Any) -> dict[str, Any]:
            """The answer to one message of the browser."""
            return answered(self.run, message)

    return ExplorerWidget
