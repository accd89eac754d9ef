"""Files of options: the `config.yaml` beside results, one section for each command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from codeclens.cli.config import SETTINGS, Settings, read_section
from codeclens.errors import CodeclensError, shortened
from codeclens.files import write_whole
from codeclens.yaml_files import read_yaml


def require_own(
    settings: Settings, to: Path, what: str, files: str, made_by: Sequence[str]
) -> None:
    """Raise CodeclensError if the folder holds results made with other options.

    `files` is the pattern of the result files; `made_by` names the options that matter.
    """
    file = to / "config.yaml"
    if getattr(settings, "overwrite", False) or not file.is_file() or not any(to.rglob(files)):
        return
    try:
        before = read_section(file, settings.command)
    except CodeclensError:
        return  # written by another command only
    now = settings.model_dump(mode="json")
    different = [name for name in made_by if before.get(name, now[name]) != now[name]]
    if different:
        name = different[0]
        raise CodeclensError(
            f"{to} contains {what} made with {name} = {shortened(before[name])}, but now {name} = "
            f"{shortened(now[name])}; choose another folder, or pass --overwrite to replace "
            "them."
        )


def write_section(folder: Path, settings: Settings) -> Path:
    """Write the resolved options into `config.yaml` of a folder, and return its path.

    Sections of other commands are kept: several commands that write into one folder share one
    file, and `--config` repeats each of them. If the command's section describes another result
    (a second store in the folder, say), the file is named after the result: `b.config.yaml`.
    """
    file = folder / "config.yaml"
    content = read_yaml(file) if file.is_file() else {}
    here = settings.model_dump(mode="json")
    there = content.get(settings.command)
    # If the result is the folder itself, it is the only one there, however its path is written.
    inside = here.get("to") is not None and Path(here["to"]).absolute() != folder.absolute()
    if (
        inside
        and isinstance(there, dict)
        and Path(there.get("to") or "").name != Path(here["to"]).name
    ):
        file = folder / f"{Path(here['to']).name.removesuffix('.zarr')}.config.yaml"
        content = read_yaml(file) if file.is_file() else {}
    content = {name: content[name] for name in content if name in SETTINGS}
    content[settings.command] = here
    return write_whole(file, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def configuration(result: Path) -> Path:
    """The path where `write_section` writes the options of a result; it need not exist."""
    folder = result.absolute().parent
    own = folder / f"{result.name.removesuffix('.zarr')}.config.yaml"
    return own if own.is_file() else folder / "config.yaml"
