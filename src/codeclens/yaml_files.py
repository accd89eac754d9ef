"""YAML files of options, read with limits: a file may come from a stranger."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from codeclens.errors import CodeclensError, in_one_line, shortened

# The parser in C, where it is installed, is ten times as fast.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST = 1_000_000
DEEPEST = 20


def read_yaml(file: Path) -> dict[str, Any]:
    """The keys and values of a configuration file in YAML; none if it is empty.

    Raises CodeclensError as `plain_yaml`, and if the file holds anything but keys and values.
    """
    content = plain_yaml(file, "configuration file")
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CodeclensError(
            f"The configuration file {file} holds a {type(content).__name__}; "
            'it must hold keys and values, for example "steps: 10".'
        )
    for name in content:
        if not isinstance(name, str):
            raise CodeclensError(
                f"The configuration file {file} has the key {shortened(name)}, which is not text; "
                'it must hold keys and values, for example "steps: 10".'
            )
    return content


def plain_yaml(file: Path, what: str, largest: int = LARGEST, deepest: int = DEEPEST) -> Any:
    """The content of a YAML file; `what` names the kind of file in errors.

    Raises CodeclensError for a file that cannot be read, is larger than `largest` bytes, nests more
    than `deepest` levels, uses aliases, a few bytes of which can make gigabytes, or gives a key
    twice.
    """
    text = limited_text(file, what, largest)
    try:
        _require_plain(text, f"The {what} {file}", deepest)
        loader = _LOADER(text)
        try:
            node = loader.get_single_node()
            _require_single_keys(node, f"The {what} {file}")
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
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
    except UnicodeDecodeError as error:
        raise CodeclensError(
            f"The {what} {file} is not text in UTF-8 (byte {error.start:,}); save it in this "
            "encoding."
        ) from error
    except (OSError, ValueError) as error:
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
    for event in yaml.parse(text, Loader=_LOADER):
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


def _require_single_keys(node: Any, file: str) -> None:
    """Raise CodeclensError if a mapping has a key twice: YAML would keep the last in silence."""
    left = [node]
    while left:
        one = left.pop()
        if isinstance(one, yaml.MappingNode):
            seen = set()
            for key, value in one.value:
                name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
                if name is not None and name in seen:
                    raise CodeclensError(
                        f"{file} gives the key {shortened(key.value)} twice, again in line "
                        f"{key.start_mark.line + 1}; leave one of them."
                    )
                seen.add(name)
                left += [key, value]
        elif isinstance(one, yaml.SequenceNode):
            left += one.value
