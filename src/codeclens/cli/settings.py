"""Settings: what the configurations of all commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from codeclens.cli.complaints import complaint
from codeclens.errors import CodeclensError


class Settings(BaseModel):
    """What all configurations share: no unknown keys, and a name, which is that of the command."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)
    command: ClassVar[str] = ""
    # What neither a flag nor the file may leave out, with the words that ask for it.
    needed: ClassVar[dict[str, str]] = {}

    @classmethod
    def resolve(cls, flags: Self | None, file: Path | None = None, **places: Path | None) -> Self:
        """The configuration of a file, with flags and the given `places` laid over it.

        Only the flags that were given count (`flags.model_fields_set`). Raises CodeclensError for
        an unreadable file, an unknown key, a bad value, and where something needed is missing.
        """
        from codeclens.cli.config import read_section

        given = {name: getattr(flags, name) for name in flags.model_fields_set} if flags else {}
        given |= {name: place for name, place in places.items() if place is not None}
        values = {**(read_section(file, cls.command) if file else {}), **given}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            source = str(file or f"codeclens {cls.command}")
            raise CodeclensError(complaint(error, cls, source)) from None
        for name, words in cls.needed.items():
            if getattr(settings, name) is None:
                raise CodeclensError(f"codeclens {cls.command} needs {words}.")
        return settings


def split_commas(value: Any) -> Any:
    """Names separated by commas, as a list.

    >>> split_commas("layer1.*,layer2"), split_commas(["a,b", "c"]), split_commas(None)
    (['layer1.*', 'layer2'], ['a', 'b', 'c'], None)
    """
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return value
    return [part.strip() for item in items for part in item.split(",") if part.strip()]
