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
    """The keys and values of a configuration file in YAML; none if it is empty.

    Raises CodeclensError as `plain_yaml`, and if the file holds anything but keys and values.
    """
    content = plain_yaml(file, "configuration file")
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise CodeclensError(
            f"The configuration file {file} holds a {type(content).__name__}; "
            'it must hold keys and values, for example "steps: 10".'
        )
    return content


def plain_yaml(file: Path, what: str, largest: int = LARGEST, deepest: int = DEEPEST) -> Any:
    """The content of a YAML file; `what` names the kind of file in errors.

    Raises CodeclensError for a file that cannot be read, is larger than `largest` bytes, nests more
    than `deepest` levels, or uses aliases, a few bytes of which can make gigabytes.
    """
    text = limited_text(file, what, largest)
    try:
        _require_plain(text, f"The {what} {file}", deepest)
        return yaml.safe_load(text)
    except CodeclensError:
        raise
    except Exception as error:  # dates and numbers out of range raise errors of their own
        raise CodeclensError(
            f"The {what} {file} is not valid YAML: {in_one_line(error)}."
        ) from error


def limited_text(file: Path, what: str, largest: int) -> str:
    """The text of a file in UTF-8 of at most so many bytes; raises CodeclensError.

    >>> limited_text(Path("nowhere"), "list", 9)
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no list nowhere; check the path.
    """
    try:
        with Path(os.path.expanduser(file)).open("rb") as stream:
            text = stream.read(largest + 1)
        if len(text) > largest:
            raise CodeclensError(f"The {what} {file} is larger than {largest / 1e6:g} MB.")
        return text.decode("utf-8-sig")
    except FileNotFoundError:
        raise CodeclensError(f"There is no {what} {file}; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f"The {what} {file} cannot be read: {in_one_line(error)}.") from error


def at_home(values: dict[str, Any]) -> dict[str, Any]:
    """The values with `~` at the start of a path replaced by the home folder, if there is one."""
    return {
        name: type(value)(os.path.expanduser(value))
        if isinstance(value, Path) or (isinstance(value, str) and re.match(r"~(/|$)", value))
        else value
        for name, value in values.items()
    }


def _require_plain(text: str, file: str, deepest: int) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise CodeclensError(
                f"{file} uses the alias *{str(event.anchor)[:40]}; write the value out."
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > deepest:
            raise CodeclensError(
                f"{file} nests more than {deepest} levels; it must hold keys and values, for "
                'example "steps: 10".'
            )
