"""Names and notes that a user gives to modes, in one small file beside the run."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Lock
from typing import Any

from codeclens.errors import CodeclensError
from codeclens.files import write_whole

LONGEST_NAME, LONGEST_NOTE = 120, 4000


class ModeNotes:
    """The names and notes of modes, by site and number; every change is written at once.

    The file is JSON: `{"sites": {site: {mode: {"name": …, "note": …}}}}`. Without a path nothing is
    written.

    >>> notes = ModeNotes(None)
    >>> notes.set("conv1", 3, name="wheels")
    {'name': 'wheels', 'note': ''}
    >>> notes.names("conv1")
    {3: 'wheels'}
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = Lock()
        self._sites: dict[str, dict[str, dict[str, str]]] = {}
        if path is not None and path.is_file():
            self._sites = _read(path)

    def names(self, site: str) -> dict[int, str]:
        """The names that were given to modes of a site."""
        given = self._sites.get(site, {})
        return {int(mode): one["name"] for mode, one in given.items() if one.get("name")}

    def of(self, site: str, mode: int) -> dict[str, str]:
        """The name and the note of one mode, each "" where there is none."""
        return {"name": "", "note": ""} | self._sites.get(site, {}).get(str(mode), {})

    def set(
        self, site: str, mode: int, *, name: str | None = None, note: str | None = None
    ) -> dict[str, str]:
        """Change the name or the note of a mode ("" removes it) and write the file.

        Raises CodeclensError for a text that is too long.
        """
        for what, text, most in (("name", name, LONGEST_NAME), ("note", note, LONGEST_NOTE)):
            if text is not None and len(text) > most:
                raise CodeclensError(
                    f"The {what} of mode {mode} has {len(text):,} characters; at most {most:,}."
                )
        with self._lock:
            one = self.of(site, mode)
            one |= {
                key: " ".join(text.split()) if key == "name" else text.strip()
                for key, text in (("name", name), ("note", note))
                if text is not None
            }
            modes = self._sites.setdefault(site, {})
            modes[str(mode)] = one
            if not any(one.values()):
                del modes[str(mode)]
            if self.path is not None:
                text = json.dumps({"sites": self._sites}, ensure_ascii=False, indent=1)
                write_whole(self.path, text + "\n")
        return one


def _read(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    try:
        sites: Any = json.loads(path.read_text(encoding="utf-8"))["sites"]
        return {
            str(site): {
                str(int(mode)): {key: str(one.get(key, "")) for key in ("name", "note")}
                for mode, one in modes.items()
            }
            for site, modes in sites.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodeclensError(
            f"The notes in {path} cannot be read ({error}); correct or move the file."
        ) from error
