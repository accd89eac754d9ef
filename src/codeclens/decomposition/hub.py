"""The Hugging Face hub: modes shared as a repository, with a card that describes them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from codeclens.decomposition.modes import Modes
from codeclens.decomposition.site_modes import ModesBySite, load_modes, save_modes
from codeclens.errors import CodeclensError

_SHOWN_MODES = 5


def push_to_hub(
    modes: Mapping[str, Modes],
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    api: Any = None,
) -> str:
    """Upload the modes of several sites to the Hugging Face hub, and return the address.

    `repo_id` is "user/name"; the repository is created where it does not exist. A card, README.md,
    is uploaded with the modes. `api` is an HfApi of your own. Raises CodeclensError if there are
    no modes, and where the hub cannot be reached or refuses.

    >>> import pathlib
    >>> class Folder:
    ...     def create_repo(self, repo_id, **options):
    ...         return f"https://huggingface.co/{repo_id}"
    ...     def upload_folder(self, *, folder_path, **options):
    ...         print(sorted(p.name for p in pathlib.Path(folder_path).iterdir()))
    >>> import numpy as np
    >>> from codeclens.decomposition import Modes, TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(99, 6)).astype(np.float32)
    >>> fitted = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> modes = Modes("conv1", "activation", fitted, fitted.encode(X))
    >>> push_to_hub({"conv1": modes}, "somebody/modes", api=Folder())
    ['README.md', 'all%sites.json', 'conv1.json', 'conv1.safetensors']
    'https://huggingface.co/somebody/modes'
    """
    if not modes:
        raise CodeclensError(f'There are no modes to push to "{repo_id}".')
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as place:
        folder = save_modes(modes, place)
        (folder / "README.md").write_text(card(modes, repo_id), encoding="utf-8")
        try:
            address = api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(
                repo_id=repo_id, folder_path=folder, commit_message="Add modes of contributions"
            )
        except _errors() as error:
            raise CodeclensError(
                f'The modes cannot be pushed to "{repo_id}" ({_first_line(error)}); check the '
                "name, the token and the connection, or save_modes to a folder."
            ) from error
    return str(address)


def from_hub(
    repo_id: str, *, revision: str | None = None, token: str | None = None, api: Any = None
) -> ModesBySite:
    """The modes of all sites of a repository, as `load_modes` reads them.

    Raises CodeclensError if the hub cannot be reached, where there is no such repository, and
    where files are missing or damaged.
    """
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi(token=token)
    try:
        folder = api.snapshot_download(repo_id, revision=revision)
    except _errors() as error:
        raise CodeclensError(
            f'The modes of "{repo_id}" cannot be fetched ({_first_line(error)}); check the name '
            "and the connection."
        ) from error
    return load_modes(folder)


def card(modes: Mapping[str, Modes], repo_id: str) -> str:
    """The text of a repository's README.md: how to load the modes, and what they are."""
    first = next(iter(modes.values()))
    rows = [
        f"| `{site}` | {one.view} | {one.n_units} | {len(one)} | {one.r2:.3f} | {one.l0:.1f} | "
        f"{len(one.loadings)} | `{one.method!r}` |"
        for site, one in modes.items()
    ]
    shown = [f"- {mode!r}" for mode in first[:_SHOWN_MODES]]
    settings = first.provenance.get("contributions", {}).get("settings", {})
    origin = [f"- {name}: `{value}`" for name, value in settings.items()]
    return "\n".join(
        [
            "---",
            "library_name: codeclens",
            "tags: [interpretability, sparse-autoencoder, contributions]",
            "---",
            "",
            f"# Modes of contributions: {repo_id.rpartition('/')[2]}",
            "",
            "Recurring patterns of what hidden units contribute to a network's output, found by",
            "contribution decomposition (CODEC, arXiv 2603.06557) with codeclens"
            f" {first.provenance.get('codeclens', '')}.".replace(" .", "."),
            "",
            "```python",
            "from codeclens.decomposition import from_hub",
            "",
            f'modes = from_hub("{repo_id}")',
            f"modes[{first.site!r}][0].top_units(count=5)",
            "```",
            "",
            "| site | view | units | modes | held-out R² | modes per sample | samples | method |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Strongest modes of `{first.site}`:",
            "",
            *shown,
            *(["", "Made from contributions with:", "", *origin] if origin else []),
            "",
            "A loading is how strongly a mode is active in a sample; the dictionary holds what",
            "each unit contributes for a loading of 1. Stability over seeds is not shown here.",
            "",
        ]
    )


def _errors() -> tuple[type[Exception], ...]:
    """Exceptions of the hub's client: its own errors are OSErrors, bad names ValueErrors."""
    try:
        import httpx
    except ImportError:
        return OSError, ValueError
    return OSError, ValueError, httpx.HTTPError


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
