"""Modes on a hub, with no network: what is uploaded comes back, and mistakes are one sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codeclens.decomposition import Modes, from_hub, push_to_hub
from codeclens.errors import CodeclensError

Make = Callable[..., Modes]


class Hub:
    """A hub in a folder, as far as HfApi is asked for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[dict[str, Any]] = []

    def create_repo(self, repo_id: str, **options: Any) -> str:
        self.asked.append(options)
        (self.folder / repo_id).mkdir(parents=True, exist_ok=True)
        return f"https://hub/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        shutil.copytree(folder_path, self.folder / repo_id, dirs_exist_ok=True)

    def snapshot_download(self, repo_id: str, revision: str | None) -> str:
        self.asked.append({"revision": revision})
        if not (self.folder / repo_id).is_dir():
            raise FileNotFoundError(f"404: no repository {repo_id}\nRequest ID: 7")
        return str(self.folder / repo_id)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def test_what_is_pushed_comes_back(make_modes: Make, hub: Hub) -> None:
    modes = {site: make_modes(site=site) for site in ("layer3.5", "h.0[1]")}
    address = push_to_hub(modes, "somebody/modes", private=True, api=hub)
    assert address == "https://hub/somebody/modes"
    assert hub.asked[0] == {"private": True, "exist_ok": True}
    back = from_hub("somebody/modes", revision="v1", api=hub)
    assert hub.asked[-1] == {"revision": "v1"}
    assert list(back) == list(modes)
    for site, one in modes.items():
        assert np.array_equal(back[site].dictionary, one.dictionary)
        assert np.array_equal(back[site].loadings, one.loadings)


def test_the_card_describes_the_modes(make_modes: Make, hub: Hub) -> None:
    modes = make_modes(
        provenance={"codeclens": "9.9", "contributions": {"settings": {"steps": 10}}}
    )
    push_to_hub({"layer3.5": modes}, "somebody/modes", api=hub)
    text = (hub.folder / "somebody/modes/README.md").read_text()
    assert text.startswith("---\nlibrary_name: codeclens\n")
    for part in (
        "# Modes of contributions: modes",
        'from_hub("somebody/modes")',
        f"| `layer3.5` | concat | 4 | {len(modes)} | {modes.r2:.3f} | {modes.l0:.1f} | 60 |",
        "TopK(n_modes=4",
        f"- {modes[0]!r}",
        "with codeclens 9.9.",
        "- steps: `10`",
    ):
        assert part in text


def test_a_hub_that_refuses(make_modes: Make, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r'"no/where" cannot be fetched \(404: no repository'):
        from_hub("no/where", api=hub)
    with pytest.raises(CodeclensError, match='There are no modes to push to "a/b"'):
        push_to_hub({}, "a/b", api=hub)
    (tmp_path / "empty" / "one").mkdir(parents=True)
    with pytest.raises(CodeclensError, match="There are no modes in"):
        from_hub("empty/one", api=hub)

    class Closed(Hub):
        def upload_folder(self, **options: Any) -> None:
            raise OSError("403 Forbidden: you may not write here.")

    with pytest.raises(CodeclensError, match=r'pushed to "a/b" \(403 Forbidden: .* here\); check'):
        push_to_hub({"layer3.5": make_modes()}, "a/b", api=Closed(tmp_path))


def test_without_a_network_it_is_one_sentence(make_modes: Make) -> None:
    # The tests run with HF_HUB_OFFLINE, so that the real client refuses at once.
    with pytest.raises(CodeclensError, match='"somebody/modes" cannot be fetched'):
        from_hub("somebody/modes")
    with pytest.raises(CodeclensError, match='cannot be pushed to "somebody/modes"'):
        push_to_hub({"layer3.5": make_modes()}, "somebody/modes")
