"""Files written whole: beside their place first and then moved, so that nothing earlier is lost."""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from codeclens.errors import CodeclensError

# .NAME.HOST-PROCESS-NUMBER.part is unfinished, and .old is what a moved folder replaces.
_LEFTOVER = re.compile(r"\.(.+)\.([0-9a-f]{8})-(\d+)-(\d+)\.(part|old)(\..*)?", re.DOTALL)
_HOST = f"{zlib.crc32(platform.node().encode('utf-8', 'surrogateescape')):08x}"
_DAY = 86_400.0
# The longest name of a file is 255 bytes on most systems.
_LONGEST = 180
_numbers = itertools.count()
_in_use: set[str] = set()
_cleaned: set[tuple[int, str]] = set()


def at_home(path: str | os.PathLike[str]) -> Path:
    """The path, with `~` at its start as the home folder; without a home folder it stays.

    >>> at_home("run/a"), at_home("a/~b")
    (PosixPath('run/a'), PosixPath('a/~b'))
    """
    return Path(os.path.expanduser(os.fspath(path)))


@contextmanager
def replaced(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """A path beside `path` to write a file to; it is moved there when the `with` ends.

    After an error an earlier file is as it was, and no other file is left. What a killed process
    left in the folder is removed. A link is replaced, not what it leads to. `suffix` ends the name
    of the path, for libraries that look at it. Raises CodeclensError if `path` is a folder or a
    device.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "a.txt")
    >>> with replaced(place) as file:
    ...     _ = file.write_text("all of it")
    >>> place.read_text(), len(list(place.parent.iterdir()))
    ('all of it', 1)
    """
    to = at_home(path)
    if to.exists() and not to.is_file():
        raise CodeclensError(f'"{to}" cannot be written: it is not a file; choose another path.')
    part = _beside(to, f".part{suffix}")
    try:
        yield part
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
        _in_use.discard(part.name)


@contextmanager
def replaced_folder(path: str | os.PathLike[str], mark: str) -> Iterator[Path]:
    """As `replaced`, for a folder, which does not exist yet when the `with` begins.

    An earlier folder is only replaced if it is empty or holds the file `mark`, so that no other
    folder is lost. Raises CodeclensError otherwise.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp(), "a")
    >>> with replaced_folder(place, "mark") as folder:
    ...     folder.mkdir()
    >>> place.is_dir()
    True
    """
    to = at_home(path)
    if to.exists() and not (to.is_dir() and ((to / mark).exists() or not any(to.iterdir()))):
        raise CodeclensError(
            f'"{to}" exists and holds no {mark}, so it is not replaced; choose another path.'
        )
    part = _beside(to, ".part")
    try:
        yield part
        _move_folder(part, to)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _in_use.discard(part.name)


@contextmanager
def staged(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder for results that belong together; all are moved into `path` when the `with` ends.

    After an error nothing in `path` has changed. Files and folders of the same names are replaced.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> with staged(place) as folder:
    ...     _ = write_whole(folder / "a.txt", "a")
    >>> [one.name for one in place.iterdir()]
    ['a.txt']
    """
    to = at_home(path)
    part = _beside(to / "results", ".part")
    try:
        part.mkdir()
        yield part
        for one in sorted(part.iterdir()):
            if one.is_dir():
                _move_folder(one, to / one.name)
            else:
                one.replace(to / one.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _in_use.discard(part.name)


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file as `replaced` does, text in UTF-8, and return its path.

    >>> import tempfile
    >>> write_whole(Path(tempfile.mkdtemp(), "a.txt"), "all of it").read_text()
    'all of it'
    """
    with replaced(path) as part:
        part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return at_home(path)


def tidy(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes left unfinished in a folder, and put back what they moved."""
    place = Path(folder)
    for name in os.listdir(place):
        found = _LEFTOVER.fullmatch(name)
        if found is None or not _abandoned(place / name, found[2], int(found[3])):
            continue
        with suppress(OSError):  # another process may tidy up as well
            if found[5] == "old" and not (place / found[1]).exists():
                (place / name).rename(place / found[1])
            elif (place / name).is_dir() and not (place / name).is_symlink():
                shutil.rmtree(place / name)
            else:
                (place / name).unlink()


def _beside(to: Path, ending: str) -> Path:
    """A new name in the folder of `to`, which is created and tidied up."""
    to.parent.mkdir(parents=True, exist_ok=True)
    here = os.getpid(), os.path.abspath(to.parent)
    if here not in _cleaned:
        _cleaned.add(here)
        tidy(to.parent)
    name = to.name
    if len(os.fsencode(name)) > _LONGEST:
        name = f"{zlib.crc32(os.fsencode(name)):08x}"
    beside = to.with_name(f".{name}.{_HOST}-{os.getpid()}-{next(_numbers)}{ending}")
    _in_use.add(beside.name)
    return beside


def _move_folder(part: Path, to: Path) -> None:
    if not os.path.lexists(to):
        part.rename(to)
        return
    # A folder cannot take the place of another in one step; `tidy` undoes the first if killed here.
    old = _beside(to, ".old")
    to.rename(old)
    try:
        part.rename(to)
    except OSError:
        old.rename(to)
        raise
    finally:
        _in_use.discard(old.name)
    if old.is_dir() and not old.is_symlink():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _abandoned(path: Path, host: str, process: int) -> bool:
    """Whether nobody will finish a file: its process has ended, or it is a day old."""
    if path.name in _in_use and process == os.getpid():
        return False
    if host == _HOST and process == os.getpid():
        return True  # of an earlier process with the same number
    try:
        if time.time() - path.lstat().st_mtime > _DAY:
            return True
    except OSError:
        return False
    if host != _HOST or os.name != "posix":  # elsewhere the question would end the process
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
