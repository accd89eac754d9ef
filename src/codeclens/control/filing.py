"""Files of control curves and necessities: a folder whose parts are each complete or absent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote, unquote

import numpy as np

from codeclens.control.curves import ControlCurve
from codeclens.control.curves_by_class import ControlCurves
from codeclens.control.edits import Kind
from codeclens.control.effects import effects_of
from codeclens.control.measurements import Members, members_of
from codeclens.control.necessity import Necessity
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, as_sentence
from codeclens.extraction.fingerprint import differences, plain
from codeclens.files import replaced, write_whole
from codeclens.pictures import require_file

PARTS, MADE_BY = "parts", "made-by.json"


@dataclass(frozen=True)
class Filed:
    """The saved results of one site: its curves by kind, and its necessity where measured."""

    site: str
    curves: tuple[ControlCurves, ...]
    necessity: Necessity | None


@dataclass(frozen=True)
class Filing:
    """A folder of finished parts, so that an interrupted run resumes.

    A part is one curve of a site, kind and class, or the necessity of a site. `made-by.json` holds
    the settings they depend on.

    >>> import tempfile
    >>> filing = Filing(Path(tempfile.mkdtemp()))
    >>> filing.require({"seed": 0}); filing.sites
    []
    """

    folder: Path

    @property
    def sites(self) -> list[str]:
        """The sites that have a part, in the order of their names."""
        places = sorted(self._parts.iterdir()) if self._parts.is_dir() else []
        return [unquote(place.name) for place in places if place.is_dir()]

    def require(self, made_by: Mapping[str, Any], overwrite: bool = False) -> None:
        """Start a folder, or resume one whose parts were made with the same settings.

        Raises CodeclensError where the folder holds parts made with other settings, unless they may
        be overwritten: then they are removed.
        """
        file = self._parts / MADE_BY
        now = plain(dict(made_by))
        if file.is_file():
            try:
                before = json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise CodeclensError(
                    f"{file} is damaged: choose another folder, or pass --overwrite."
                ) from error
            changed = next(differences(before, now), None)
            if changed is None:
                return
            if not overwrite and self._finished():
                name, old, new = changed
                raise CodeclensError(
                    f"{self.folder} contains results made with {name} = {old}, but now it "
                    f"is {new}; choose another folder, or pass --overwrite to replace them."
                )
        if overwrite:
            self._clear()
        write_whole(file, json.dumps(now, indent=1))

    def _finished(self) -> bool:
        """Whether there is any part; without one nothing can be lost."""
        files = list(self._parts.rglob("*.*"))
        if self.folder.parent.name == PARTS:  # a site's own folder
            files += self.folder.glob("*.*")
        return any(file.is_file() and file.name != MADE_BY for file in files)

    def _clear(self) -> None:
        """Remove the parts, for a site those of the site itself."""
        if self._parts.is_dir():
            shutil.rmtree(self._parts)
        if self.folder.parent.name == PARTS:
            for file in self.folder.glob("*.*"):
                file.unlink()

    def place(self, site: str) -> Path:
        """The folder of a site's parts."""
        return self._parts / quote(site, safe="")

    def curve(
        self, site: str, kind: str, members: Members, name: str | None = None
    ) -> ControlCurve | None:
        """A saved curve, or None."""
        file = self._curve_file(site, kind, members, name)
        if not file.is_file():
            return None
        with _whole(file):
            return ControlCurve.from_json(json.loads(file.read_text(encoding="utf-8")))

    def save_curve(self, curve: ControlCurve, name: str | None = None) -> None:
        """Save a curve; `name` is that of its superclass."""
        file = self._curve_file(curve.site, curve.kind, curve.members, name)
        write_whole(file, json.dumps(curve.to_json()))

    def necessity(self, site: str) -> Necessity | None:
        """The saved necessity of a site, or None."""
        file = self.place(site) / "necessity.npz"
        if not file.is_file():
            return None
        with _whole(file), file.open("rb") as raw, np.load(raw, allow_pickle=False) as found:
            draws = Draws(int(found["resamples"]), int(found["seed"]))
            removed, alone = (
                effects_of(found[f"{n}_prediction"], found[f"{n}_effect"], found["active"], draws)
                for n in ("removed", "alone")
            )
            return Necessity(
                site=site,
                names=tuple(str(name) for name in found["names"]),
                numbers=found["numbers"],
                unit_counts=found["unit_counts"],
                samples=len(found["target"]),
                target=found["target"],
                removed=removed,
                alone=alone,
                channels=found["channels"],
            )

    def save_necessity(self, found: Necessity, seed: int = 0) -> None:
        """Save the necessity of a site; `seed` is that of its intervals."""
        arrays = {
            "names": np.array(found.names, str),
            "numbers": found.numbers,
            "unit_counts": found.unit_counts,
            "target": found.target,
            "channels": found.channels,
            "active": found.removed.active,
            "resamples": np.array(len(found.removed.counts)),
            "seed": np.array(seed),
        }
        for name, effects in (("removed", found.removed), ("alone", found.alone)):
            arrays |= {f"{name}_prediction": effects.prediction, f"{name}_effect": effects.effect}
        file = self.place(found.site) / "necessity.npz"
        # A stream: numpy would add an ending to the name of an unfinished file.
        with replaced(file) as part, part.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)

    def all(self) -> Iterator[Filed]:
        """Everything that is saved, site by site; curves of classes first, by their number.

        Raises CodeclensError where a part is damaged.
        """
        for site in self.sites:
            found: dict[str, list[ControlCurve]] = {}
            files = [self.place(site).glob(f"{kind}-*.json") for kind in get_args(Kind)]
            for file in sorted(chain(*files)):
                with _whole(file):
                    curve = ControlCurve.from_json(json.loads(file.read_text(encoding="utf-8")))
                found.setdefault(curve.kind, []).append(curve)
            curves = [
                ControlCurves(tuple(sorted(of_kind, key=lambda c: (len(c.members) > 1, c.members))))
                for _, of_kind in sorted(found.items())
            ]
            yield Filed(site, tuple(curves), self.necessity(site))

    @property
    def _parts(self) -> Path:
        return self.folder / PARTS

    def _curve_file(self, site: str, kind: str, members: Members, name: str | None) -> Path:
        which = "_".join(map(str, members_of(members)))
        label = f"{which}-{quote(name, safe='')}" if name else which
        # The name of a superclass of many classes would be too long for a file system.
        if len(label) > 120:
            label = f"{label[:80]}-{abs(hash_of(label)):x}"
        return self.place(site) / f"{kind}-{label}.json"


def hash_of(text: str) -> int:
    """A short number for a long name, the same in every process.

    >>> hash_of("a") == hash_of("a")
    True
    """
    from zlib import crc32

    return crc32(text.encode())


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """Name the part that is damaged, and what to do."""
    with as_sentence(f"The part {file} is damaged: delete it and run again"):
        require_file(file)
        yield
