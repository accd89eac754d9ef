"""The hub: modes shared as a repository, with a card that says what they are."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codeclens.decomposition import files
from codeclens.decomposition.files import load_modes, save_modes
from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    from codeclens.decomposition.modes import Modes


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

    `repo_id` is "user/name"; the repository is created where there is none. Beside the modes there
    is a README.md, the card. `api` is an HfApi of your own. Raises CodeclensError where there are
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
    >>> method = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> modes = Modes("conv1", "activation", method, method.encode(X))
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
) -> dict[str, Modes]:
    """The modes of all sites of a repository, as `load_modes` reads them.

    Raises CodeclensError where the hub cannot be reached, where there is no such repository, and
    where the files are missing or damaged.
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


def one_of(modes: Mapping[str, Modes], repo_id: str, site: str | None) -> Modes:
    """The modes of a site, or of the only one; raises CodeclensError where it is not clear."""
    if site is None and len(modes) == 1:
        return next(iter(modes.values()))
    if site is None or site not in modes:
        known = ", ".join(f'"{name}"' for name in modes)
        what = "several sites" if site is None else f'no site "{site}"'
        raise CodeclensError(f'"{repo_id}" has {what}; there are {known}.')
    return modes[site]


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
            "| site | view | units | modes | held-out R² | modes a sample | samples | method |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"Strongest modes of `{first.site}`:",
            "",
            *shown,
            *(["", "Made from contributions with:", "", *origin] if origin else []),
            "",
            "A loading says how strongly a mode is present in a sample; the dictionary holds what",
            "each unit contributes through it. Stability over seeds is not part of these figures.",
            "",
        ]
    )


def _errors() -> tuple[type[Exception], ...]:
    """What the hub's client raises: its own errors are OSErrors, bad names are ValueErrors."""
    try:
        import httpx
    except ImportError:
        return OSError, ValueError
    return OSError, ValueError, httpx.HTTPError


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")


def ready_modes(name: str = "efficientnet-lite0") -> dict[str, Modes]:
    """The modes of a network that ship with the package, by site, from input to output.

    `name` is that of `zoo.load`; `ready_names()` tells which there are. Each carries its loadings
    in the photographs that it was found in, their keys and classes, and its quality on photographs
    that were held out; the card lies beside them (`ready_card`). `load_modes(name)` and `--modes
    NAME` mean the same where no folder is called so. Raises CodeclensError for another name.

    >>> modes = ready_modes("efficientnet-lite0")
    >>> len(modes), modes["blocks.6.0"].n_units, modes["blocks.6.0"].r2 > 0
    (16, 320, True)
    """
    return files.load_modes(_folder(name))


def ready_names() -> list[str]:
    """The networks whose modes ship with the package.

    >>> ready_names()
    ['efficientnet-lite0']
    """
    return files.shipped()


def ready_card(name: str = "efficientnet-lite0") -> str:
    """What those modes are, how they were made and how good they are, in Markdown.

    >>> ready_card().splitlines()[0]
    '# Modes of EfficientNet-Lite0'
    """
    return (_folder(name) / "README.md").read_text(encoding="utf-8")


def _folder(name: str) -> Path:
    if name not in ready_names():
        known = ", ".join(f'"{one}"' for one in ready_names())
        raise CodeclensError(
            f'No modes of "{name}" ship with codeclens, but of {known}; make some by extract and '
            "decompose."
        )
    return files.SHIPPED / name
