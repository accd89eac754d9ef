"""The layout of a store: its arrays, their shards and chunks, and its metadata."""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import chain, count
from typing import Any

import numpy as np

from codeclens.errors import CodeclensError, in_one_line, shortened
from codeclens.extraction.storage import Location

FORMAT = 1
ATTRIBUTE = "codeclens"
CHECKSUMS = "checksums"
ROOT = "zarr.json"
RECORDS = "shard_record"
CHUNK_ROWS = 256
DTYPES = ("float32", "float16")

# Arrays with one entry for each sample: their types, and the values of skipped samples.
SAMPLE_ARRAYS: dict[str, tuple[str, Any]] = {
    "sample": ("int64", -1),
    "key": ("str", ""),
    "label": ("int64", -1),
    "prediction": ("int64", -1),
    "target": ("float32", np.nan),
    "baseline_target": ("float32", np.nan),
    "estimate": ("float32", np.nan),
    "steps": ("int64", -1),
    "valid": ("bool", False),
    "reason": ("str", ""),
}
UNIT_ARRAYS = ("positive", "negative", "activation")
# All names at the root of a store, except its own metadata.
TOP = frozenset((*SAMPLE_ARRAYS, RECORDS, "site", "units", "is_cut", "class", "sites"))
# Coordinates of the samples in xarray.
_COORDINATES = "key label prediction"


@dataclass(frozen=True)
class SiteEntry:
    """A site in the metadata; `group` is its folder in the store.

    `maps` are the names of its arrays with positions, which have a `grid` of rows and columns.
    """

    key: str
    group: str
    units: int
    is_cut: bool
    maps: tuple[str, ...] = ()
    grid: tuple[int, int] = (1, 1)

    @classmethod
    def from_metadata(cls, entry: dict[str, Any]) -> SiteEntry:
        """The site of an entry in the metadata, where JSON has turned tuples into lists."""
        given: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in entry.items()
        }
        return cls(**given)

    def row(self, array: str) -> tuple[int, ...]:
        """The shape of one sample in one of its arrays."""
        if array in UNIT_ARRAYS:
            return (self.units,)
        return (self.units, *self.grid) if array in self.maps else ()


@dataclass(frozen=True)
class Layout:
    """How the arrays of `samples` samples at `sites` are cut into shards and stored in files.

    Every array is cut along the samples into shards of `shard_rows` rows, one file each. Inside a
    shard, arrays of units have chunks of `chunk_rows` rows, in ascending order from the first byte.

    >>> layout = Layout(2000, "float32", 1024, (SiteEntry("conv1", "conv1", 16, True),))
    >>> layout.shards, layout.rows(1), layout.chunk_rows
    (2, range(1024, 2000), 256)
    >>> layout.file("sites/conv1/positive", 1)
    'sites/conv1/positive/c/1/0'
    """

    samples: int
    dtype: str
    shard_rows: int
    sites: tuple[SiteEntry, ...]
    classes: tuple[str, ...] | None = None

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> Layout:
        """The layout described by the metadata of a store."""
        settings = metadata["settings"]
        return cls(
            metadata["samples"],
            settings["dtype"],
            settings["shard_size"],
            tuple(SiteEntry.from_metadata(entry) for entry in metadata["sites"]),
            None if settings["classes"] is None else tuple(settings["classes"]),
        )

    @property
    def shards(self) -> int:
        """The number of shards."""
        return -(-self.samples // self.shard_rows)

    @property
    def chunk_rows(self) -> int:
        """The rows of one chunk inside a shard."""
        return CHUNK_ROWS if self.shard_rows % CHUNK_ROWS == 0 else self.shard_rows

    @cached_property
    def arrays(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """All arrays along the samples: their types, and the shape of one sample."""
        found: dict[str, tuple[str, tuple[int, ...]]] = {
            name: (dtype, ()) for name, (dtype, _) in SAMPLE_ARRAYS.items()
        }
        for site in self.sites:
            for part in (*UNIT_ARRAYS, *site.maps):
                found[f"sites/{site.group}/{part}"] = (self.dtype, site.row(part))
            found[f"sites/{site.group}/completeness"] = ("float32", ())
        return found

    def rows(self, shard: int) -> range:
        """The samples of a shard."""
        return range(shard * self.shard_rows, min((shard + 1) * self.shard_rows, self.samples))

    def count(self, shards: Iterable[int]) -> int:
        """The number of samples in some shards."""
        return sum(len(self.rows(shard)) for shard in shards)

    def file(self, array: str, shard: int) -> str:
        """The file of one shard of one array, relative to the store."""
        return f"{array}/c/{shard}" + "/0" * len(self.arrays[array][1])

    def build(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """An empty store of this layout in memory, as buffers of zarr by file name."""
        import zarr
        from zarr.storage import MemoryStore

        files: dict[str, Any] = {}
        memory = MemoryStore(store_dict=files)
        attributes = {"coordinates": _COORDINATES, ATTRIBUTE: metadata}
        root = zarr.create_group(memory, attributes=attributes)
        for name, (dtype, fill) in SAMPLE_ARRAYS.items():
            _flat(root, name, self.samples, self.shard_rows, dtype, fill, "sample")
        _flat(root, RECORDS, self.shards, 1, "str", "", "shard")
        keys = [site.key for site in self.sites]
        _listed(root, "site", keys, "str", "", "site")
        _listed(root, "units", [site.units for site in self.sites], "int32", -1, "site")
        _listed(root, "is_cut", [site.is_cut for site in self.sites], "bool", False, "site")
        if self.classes is not None:
            _listed(root, "class", list(self.classes), "str", "", "class")
        for site in self.sites:
            self._build_site(root, site)
        with warnings.catch_warnings():
            # One read then opens all arrays. zarr warns that its specification does not include
            # this yet; other readers ignore it.
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            zarr.consolidate_metadata(memory)
        files[ROOT] = type(files[ROOT]).from_bytes(_with_checksums(files, metadata))
        return files

    def _build_site(self, root: Any, site: SiteEntry) -> None:
        attributes = {"site": site.key, "is_cut": site.is_cut}
        group = root.create_group(f"sites/{site.group}", attributes=attributes)
        for part in (*UNIT_ARRAYS, *site.maps):
            row = site.row(part)
            group.create_array(
                part,
                shape=(self.samples, *row),
                chunks=(self.chunk_rows, *row),
                shards=(self.shard_rows, *row),
                dtype=self.dtype,
                fill_value=np.nan,
                **_plainly("sample", "unit", *("row", "column")[: len(row) - 1]),
            )
        _flat(group, "completeness", self.samples, self.shard_rows, "float32", np.nan, "sample")
        axes = {"unit": site.units}
        if site.maps:
            axes |= {"row": site.grid[0], "column": site.grid[1]}
        for name, size in axes.items():
            _listed(group, name, list(range(size)), "int32", -1, name)


def shard_rows(samples: int, shard_size: int | None, batch_size: int = 1) -> int:
    """The rows of a shard: `shard_size` if given, but no longer than the data need.

    The default is a sixteenth of the data, from 32 to 1,024; an interruption loses at most a shard.
    It is a power of two, so that a small shard is one chunk and a large one consists of whole
    chunks, and at least a batch, because batches end with their shard.

    >>> shard_rows(100_000, 1024), shard_rows(12, 1024), shard_rows(700, 1024)
    (1024, 12, 768)
    >>> shard_rows(100_000, None), shard_rows(4_000, None), shard_rows(200, None)
    (1024, 128, 32)
    >>> shard_rows(400, None, batch_size=64)
    64
    """
    if shard_size is None:
        sixteenth = max(1, samples // 16)
        least = max(32, 1 << (batch_size - 1).bit_length())
        shard_size = min(1024, max(least, 1 << (sixteenth.bit_length() - 1)))
    if samples <= CHUNK_ROWS:
        return min(samples, shard_size)
    return min(-(-samples // CHUNK_ROWS) * CHUNK_ROWS, shard_size)


def group_names(keys: Iterable[str]) -> list[str]:
    """A folder name for each site: readable, valid on every file system, and unique.

    >>> group_names(["layer1.0", "fc2:input", "a/b", "a_b"])
    ['layer1.0', 'fc2_input', 'a_b', 'a_b_2']
    """
    taken: set[str] = set()
    names = []
    for key in keys:
        # A name must not begin with a dot or underscore, nor be too long for a file system.
        stem = re.sub(r"[^A-Za-z0-9._-]", "_", key).lstrip("._")[:100].rstrip("._") or "site"
        candidates = chain([stem], (f"{stem}_{number}" for number in count(2)))
        name = next(n for n in candidates if n.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def _with_checksums(files: dict[str, Any], metadata: dict[str, Any]) -> bytes:
    """The root's zarr.json with the checksums of all other files, of the metadata and of itself."""
    root = json.loads(files[ROOT].to_bytes())
    others = {name: _sha256(one.to_bytes()) for name, one in files.items() if name != ROOT}
    sums = {"self": _BLANK, "metadata": _sha256(_canonical(metadata)), "files": others}
    root["attributes"][CHECKSUMS] = sums
    text = json.dumps(root, indent=2)
    return text.replace(_BLANK, _sha256(text.encode())).encode()


_BLANK = "0" * 64


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _canonical(metadata: dict[str, Any]) -> bytes:
    return json.dumps(metadata, sort_keys=True).encode()


def read_checksums(path: Location) -> dict[str, str]:
    """The checksums of the files of metadata; that of the root is "" if the root is damaged.

    Empty for a store of an earlier version, which has none.
    """
    content = (path / ROOT).read_bytes()
    attributes = json.loads(content)["attributes"]
    if CHECKSUMS not in attributes:
        # Other attributes than these two are what damage made of the checksums' name.
        return {} if set(attributes) <= {ATTRIBUTE, "coordinates"} else {ROOT: ""}
    sums = attributes[CHECKSUMS]
    own = str(sums["self"])
    plain = content.replace(own.encode(), _BLANK.encode())
    sound = len(own) == len(_BLANK) and _sha256(plain) == own
    return {str(name): str(one) for name, one in sums["files"].items()} | {
        ROOT: _sha256(content) if sound else ""
    }


def _require_valid(metadata: dict[str, Any]) -> None:
    """Raise ValueError, in which the text is the field, unless every field is as documented."""
    settings, sites = metadata["settings"], metadata["sites"]
    _require("samples", _whole(metadata["samples"]))
    _require("settings.shard_size", _whole(settings["shard_size"]))
    _require("settings.dtype", settings["dtype"] in DTYPES)
    classes = settings["classes"]
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    _require("settings.classes", classes is None or named)
    _require("settings.model", isinstance(settings["model"].get("class"), str))
    _require("settings.data", isinstance(settings["data"], dict))
    for name in ("method", "target", "baseline", "output", "positions", "computing"):
        _require(f"settings.{name}", name in settings)
    _require("settings.sites", isinstance(settings["sites"], dict))
    _require("learned", isinstance(metadata["learned"], dict))
    shape = metadata["sample_shape"]
    _require("sample_shape", isinstance(shape, list) and all(map(_whole, shape)))
    outputs = metadata.get("outputs")
    _require("outputs", outputs is None or _whole(outputs))
    _require("own_classes", isinstance(metadata.get("own_classes", False), bool))
    _require("created", isinstance(metadata["created"], str))
    _require("versions", isinstance(metadata["versions"], dict))
    _require("sites", isinstance(sites, list) and bool(sites))
    known = {field.name for field in fields(SiteEntry)}
    for entry in sites:
        _require("sites.key", isinstance(entry["key"], str))
        # A group is a folder in the store and must not lead out of it.
        group = entry["group"]
        _require("sites.group", isinstance(group, str) and bool(_GROUP.fullmatch(group)))
        _require("sites.units", _whole(entry["units"], _MOST_UNITS))
        _require("sites.is_cut", isinstance(entry["is_cut"], bool))
        maps, grid = entry.get("maps", []), entry.get("grid", [1, 1])
        _require("sites.maps", isinstance(maps, list) and set(maps) <= _MAPS)
        _require(
            "sites.grid",
            isinstance(grid, list) and len(grid) == 2 and all(_whole(g, _MOST_UNITS) for g in grid),
        )
        _require("sites", set(entry) <= known)
    for name in ("key", "group"):
        _require(f"sites.{name}", len({entry[name] for entry in sites}) == len(sites))


_MAPS = {"contribution_map", "positive_map", "negative_map"}
_GROUP = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._-]{0,110}")


# Far more than any layer has; a larger number is damage, and memory is not allocated for it.
_MOST_UNITS = 10_000_000


def _whole(value: Any, most: int = 2**53) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _require(field: str, holds: bool) -> None:
    if not holds:
        raise ValueError(field)


def read_metadata(path: Location) -> dict[str, Any] | None:
    """The metadata of the store at `path`, or None if `path` is empty or a store was only begun.

    Raises CodeclensError if there is anything else at `path`.
    """
    try:
        text = (path / "zarr.json").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if not path.exists() or (path.is_dir() and _only_begun(path)):
            return None
        raise CodeclensError(
            f'"{path}" exists and is not a store of contributions; choose another path.'
        ) from None
    except OSError as error:
        raise CodeclensError(f'"{path}" cannot be read: {error.strerror or error}.') from None
    try:
        root = json.loads(text)
        metadata = root["attributes"][ATTRIBUTE]
        version = metadata["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CodeclensError(
            f'"{path}" is a Zarr folder but not a store of contributions, or its zarr.json is '
            "damaged; restore that file, or choose another path."
        ) from None
    if version != FORMAT:
        raise CodeclensError(
            f'The store "{path}" has format {shortened(version)}, but this version of codeclens '
            f"reads format {FORMAT}; use the version that wrote it, or extract again to another "
            "path."
        )
    try:
        sums = root["attributes"].get(CHECKSUMS)
        sound = sums is None or sums["metadata"] == _sha256(_canonical(metadata))
        _require("its checksum", sound)
        _require_valid(metadata)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodeclensError(
            f'The metadata in "{path}/zarr.json" are damaged ({in_one_line(error, 60)}); restore '
            "that file, or extract again to another path."
        ) from None
    return dict(metadata)


def finished_shards(path: Location) -> list[int]:
    """The shards that have a record, in order."""
    folder = path / RECORDS / "c"
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdecimal())


def _only_begun(path: Location) -> bool:
    names = {entry.name for entry in path.iterdir()}
    return not names or (RECORDS in names and names <= TOP and not finished_shards(path))


def _plainly(*dimensions: str) -> dict[str, Any]:
    # Write empty chunks too, so that a missing file is always a lost file.
    config = {"write_empty_chunks": True}
    return {"compressors": None, "dimension_names": dimensions, "config": config}


def _flat(
    group: Any, name: str, length: int, chunk: int, dtype: str, fill: Any, dimension: str
) -> Any:
    return group.create_array(
        name,
        shape=(length,),
        chunks=(chunk,),
        dtype=str if dtype == "str" else dtype,
        fill_value=fill,
        **_plainly(dimension),
    )


def _listed(
    group: Any, name: str, values: Sequence[Any], dtype: str, fill: Any, dimension: str
) -> None:
    array = _flat(group, name, len(values), max(len(values), 1), dtype, fill, dimension)
    array[:] = np.array(values, dtype=object if dtype == "str" else dtype)
