"""Tars: images in archives, alone or beside their labels, read where they lie."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from PIL import Image

from codeclens.errors import CodeclensError
from codeclens.extraction.data import spread
from codeclens.extraction.images import EXTENSIONS, READERS, EncodedImages, natural

_LABEL = ".cls"


class Member(NamedTuple):
    """Where one image lies: its archive, the first byte and the number of bytes."""

    archive: int
    offset: int
    size: int


class TarImages(EncodedImages):
    """Images in one tar, or in several one after another, as WebDataset writes them.

    Archives are indexed once, by their headers; then images are read by their places in any order.
    An image's label is the whole number in the file beside it that is called the same but for
    `.cls`. Where there are none, folders in the archives are classes, as in an `ImageFolder`, whose
    options these are. Images are in the order of the archives; the key of one is its name in the
    archive, with the archive's name before it where there are several.

    Raises CodeclensError for an archive that is missing, cut short or compressed, for ones without
    images, for a label that is no number, and for a folder that `classes` does not hold.
    """

    kind = "tar"

    def __init__(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        transform: Callable[[Image.Image], Any] | None = None,
        classes: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> None:
        several = [paths] if isinstance(paths, str | os.PathLike) else paths
        self.paths = sorted(map(Path, several), key=lambda path: natural(path.as_posix()))
        self.transform = transform
        self.threads = READERS
        names: list[str] = []
        members: list[Member] = []
        numbers: dict[str, int] = {}
        for archive, path in enumerate(self.paths):
            for name, member in _images_in(path, archive, numbers):
                names.append(name)
                members.append(member)
        if not names:
            told = ", ".join(f'"{path}"' for path in self.paths[:3])
            raise CodeclensError(f"There are no images in the archives {told}.")
        self.keys = names
        if numbers:
            self.classes = None if classes is None else [str(name) for name in classes]
            stems = (_stem(m.archive, name) for name, m in zip(names, members, strict=True))
            self.labels = [numbers.get(stem, -1) for stem in stems]
        else:
            self._number_folders(classes)
        kept = spread(len(names), limit)
        self.members = [members[i] for i in kept]
        self.labels = [self.labels[i] for i in kept]
        self.keys = [self._key(names[i], members[i]) for i in kept]

    def __repr__(self) -> str:
        return f"TarImages({len(self.paths)} archives: {len(self)} images)"

    def open(self, index: int) -> IO[bytes]:
        member = self.members[index]
        with self.paths[member.archive].open("rb") as stream:
            stream.seek(member.offset)
            return io.BytesIO(stream.read(member.size))

    def sizes(self) -> list[int]:
        return [member.size for member in self.members]

    def _key(self, name: str, member: Member) -> str:
        return f"{self.paths[member.archive].stem}/{name}" if len(self.paths) > 1 else name


def _images_in(path: Path, archive: int, numbers: dict[str, int]) -> Iterator[tuple[str, Member]]:
    """The images of one archive; the labels that lie beside them are put into `numbers`."""
    try:
        # Not "r:*": what is compressed cannot be read from the middle.
        with tarfile.open(path, "r:") as tar:
            for entry in tar:
                name = PurePosixPath(entry.name).as_posix()
                suffix = PurePosixPath(name).suffix.lower()
                if not entry.isfile() or PurePosixPath(name).name.startswith("."):
                    continue
                if suffix == _LABEL:
                    stream = tar.extractfile(entry)
                    assert stream is not None
                    numbers[_stem(archive, name)] = _number(stream.read(), name, path)
                elif suffix in EXTENSIONS:
                    yield name, Member(archive, entry.offset_data, entry.size)
            if 0 < path.stat().st_size - tar.offset < tarfile.BLOCKSIZE:
                # Where a header is cut short the package only stops.
                raise tarfile.ReadError("unexpected end of data")
    except FileNotFoundError:
        raise CodeclensError(f'There is no archive "{path}"; check the path.') from None
    except tarfile.ReadError as error:
        raise CodeclensError(
            f'"{path}" is no tar that can be read ({error}); archives must be whole and not '
            "compressed."
        ) from None


def _stem(archive: int, name: str) -> str:
    """What files that belong together share: everything before the first dot of the name."""
    folder, _, file = name.rpartition("/")
    return f"{archive}/{folder}/{file.partition('.')[0]}"


def _number(text: bytes, name: str, path: Path) -> int:
    try:
        return int(text)
    except ValueError:
        raise CodeclensError(
            f'The label "{name}" in "{path}" is {text[:40]!r}; a label is one whole number.'
        ) from None
