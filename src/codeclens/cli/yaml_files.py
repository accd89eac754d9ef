"""YAML files of options, read with limits: a file may come from a stranger."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from codeclens.errors import CodeclensError, in_one_line

LARGEST = 1_000_000
DEEPEST = 20


def read_yaml(file: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; none if it is empty.

    Raises CodeclensError for a file that cannot be read, is larger than 1 MB, nests more than 20
    levels, uses aliases (a few bytes of which can make gigabytes), or holds anything but keys and
    values.
    """
    try:
        with file.open("rb") as stream:
            text = stream.read(LARGEST + 1).decode("utf-8")
        if len(text) > LARGEST:
            raise CodeclensError(f"The configuration file {file} is larger than 1 MB.")
        _require_plain(text, file)
        content = yaml.safe_load(text)
    except CodeclensError:
        raise
    except FileNotFoundError:
        raise CodeclensError(f"There is no configuration file {file}; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(
            f"The configuration file {file} cannot be read: {in_one_line(error)}."
        ) from error
    except Exception as error:  # dates and numbers out of range raise errors of their own
        raise CodeclensError(
            f"The configuration file {file} is not valid YAML: {in_one_line(error)}."
        ) from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CodeclensError(
            f"The configuration file {file} holds a {type(content).__name__}; "
            'it must hold keys and values, for example "steps: 10".'
        )
    return content


def at_home(values: dict[str, Any]) -> dict[str, Any]:
    """The values with `~` at the start of a path replaced by the home folder, if there is one."""
    return {
        name: type(value)(os.path.expanduser(value))
        if isinstance(value, Path) or (isinstance(value, str) and re.match(r"~(/|$)", value))
        else value
        for name, value in values.items()
    }


def _require_plain(text: str, file: Path) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise CodeclensError(
                f"The configuration file {file} uses the alias *{str(event.anchor)[:40]}; write "
                "the value out."
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise CodeclensError(
                f"The configuration file {file} nests more than {DEEPEST} levels; it must hold "
                'keys and values, for example "steps: 10".'
            )
