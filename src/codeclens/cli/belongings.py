"""Belongings: which files `codeclens analyze` writes, and what an earlier run left beside them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from codeclens.cli.config import AnalyzeSettings
from codeclens.errors import CodeclensError

_FIGURES = ("png", "svg")
LAYERS = (
    *("layers.csv", "layers.zarr", "classes.csv", "sentences.txt"),
    *(f"layers.{ending}" for ending in _FIGURES),
)
SEMANTICS = (
    *("semantics.csv", "semantics.zarr", "followers.csv"),
    *(f"semantics.{ending}" for ending in _FIGURES),
)
MODES = ("modes.csv", "modes.zarr")
FLOW = (
    *("flow.csv", "flow.zarr", "flow-completeness.csv", "flow.txt"),
    *(f"flow.{ending}" for ending in _FIGURES),
)
AGREEMENT = ("flow-agreement.csv", "flow-agreement.zarr")
ALL = (*LAYERS, *SEMANTICS, *MODES, *FLOW, *AGREEMENT)


def written(settings: AnalyzeSettings, labelled: bool, modes: Mapping[str, Any]) -> set[str]:
    """The names of what a run with these settings writes."""
    names = {*LAYERS}
    if labelled:
        names |= {*SEMANTICS}
    if modes:
        names |= {*MODES}
    if settings.flow:
        names |= {*FLOW}
        if settings.flow_interventions:
            names |= {*AGREEMENT}
    return names


def refuse_leftovers(folder: Path, writes: Set[str], overwrite: bool) -> list[str]:
    """What lies in the folder and would stay there beside results that it does not belong to.

    Raises CodeclensError where there is any, unless it may be removed, and where a store of
    contributions goes by the name of a result.
    """
    if _holds_contributions(folder):
        raise CodeclensError(
            f"{folder} is a store of contributions, among whose files results would be written; "
            "pass another --to."
        )
    for name in ALL:
        if _holds_contributions(folder / name):
            raise CodeclensError(
                f"{folder / name} is a store of contributions, and results would be written in its "
                "place; pass another --to."
            )
    left = [name for name in ALL if name not in writes and (folder / name).exists()]
    if left and not overwrite:
        raise CodeclensError(
            f"{folder} holds {', '.join(left)} of an earlier run, which this one would not write "
            "and which would not belong to its results; ask for the same (--modes, --flow), pass "
            "another --to, or --overwrite to remove them."
        )
    return left


def _holds_contributions(path: Path) -> bool:
    # A store keeps its settings under this key; results have none.
    about = path / "zarr.json"
    return about.is_file() and '"codeclens"' in about.read_text(encoding="utf-8")


def clear(folder: Path) -> None:
    """Remove all results of an earlier run, so that a run that stops leaves only its own."""
    for name in ALL:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
