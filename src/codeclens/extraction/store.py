"""The store: contributions of a whole data set, on disk or in object storage, read on demand."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Int64

from codeclens.errors import CodeclensError, counted, require_number, unknown
from codeclens.extraction.computing import free_memory, in_words
from codeclens.extraction.layout import (
    RECORDS,
    ROOT,
    Layout,
    SiteEntry,
    finished_shards,
    read_checksums,
    read_metadata,
)
from codeclens.extraction.reader import Sign, SiteReader, View, damaged
from codeclens.extraction.storage import Location, ObjectFolder, in_memory, locate, zarr_store
from codeclens.extraction.writer import read_record, writing
from codeclens.labelled import Labelled, columns_of
from codeclens.text import class_labels

if TYPE_CHECKING:
    import pandas
    import xarray

# The entries that make an array readable; the others differ between versions of zarr.
_COMPARED = (
    *("node_type", "shape", "data_type", "dimension_names", "chunk_grid", "codecs"),
    *("chunk_key_encoding", "fill_value"),
)
_Part = int | Literal["metadata"]


class DamagedFiles(Labelled, Mapping[_Part, list[str]]):
    """The files of a store that differ from what was written, by shard number or `"metadata"`.

    >>> damaged = DamagedFiles({3: ["label/c/3"]})
    >>> damaged
    Damaged files: 1
    part      file
       3 label/c/3
    >>> damaged[3]
    ['label/c/3']
    """

    def __init__(self, files: Mapping[_Part, list[str]]) -> None:
        self._files = dict(files)

    def __getitem__(self, part: _Part) -> list[str]:
        return self._files[part]

    def __iter__(self) -> Iterator[_Part]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def title(self) -> str:
        return f"Damaged files: {sum(map(len, self.values()))}"

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each file, with the shard that it belongs to."""
        import pandas

        rows = [(str(part), file) for part, files in self.items() for file in files]
        return pandas.DataFrame(rows, columns=["part", "file"])

    def to_xarray(self) -> xarray.Dataset:
        """The same table as a data set along the dimension `row`."""
        import xarray

        return xarray.Dataset(columns_of(self.to_dataframe().to_dict("records"), "row"))


def damaged_shards(path: Location, layout: Layout) -> dict[int, list[str]]:
    """The files that differ from their checksums, for each damaged shard; every file is read."""
    found = {}
    for shard in finished_shards(path):
        record = read_record(path, shard)
        if record is None or set(record["files"]) != {layout.file(a, shard) for a in layout.arrays}:
            found[shard] = [f"{RECORDS}/c/{shard}"]
            continue
        bad = [file for file, entry in record["files"].items() if not _sound(path / file, entry)]
        if bad:
            found[shard] = bad
    return found


def damaged_metadata(path: Location, metadata: dict[str, Any]) -> list[str]:
    """The files of metadata and labels whose content differs from what the settings imply."""
    files = Layout.from_metadata(metadata).build(metadata)
    try:
        sums = read_checksums(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        sums = {ROOT: ""}
    return [
        name
        for name in sorted(files)
        if (name in sums and not _sound(path / name, {"sha256": sums[name]}))
        or not _same(path / name, files[name].to_bytes())
    ]


def discard(path: Location, shards: Iterable[int]) -> None:
    """Mark shards as absent, so that running the same extraction again recomputes them.

    Raises CodeclensError if another process is writing to the store.
    """
    with writing(path, dict, lambda _: None) as writer:
        for shard in shards:
            writer.discard(shard)


def _sound(file: Location, entry: dict[str, Any]) -> bool:
    try:
        with file.open("rb") as stream:
            return bool(hashlib.file_digest(stream, "sha256").hexdigest() == entry["sha256"])
    except FileNotFoundError:
        return False


def _same(file: Location, content: bytes) -> bool:
    try:
        stored = file.read_bytes()
        if file.name != "zarr.json":
            return stored == content
        there, wanted = json.loads(stored), json.loads(content)
        return all(there.get(name) == wanted.get(name) for name in _COMPARED)
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return False


class ContributionStore(Labelled):
    """Contributions of a data set at several sites, as written by `extract`.

    Skipped samples and unfinished shards are excluded everywhere, so row `i` of every array is the
    same sample, and `len(store)` is N. Arrays are read on access. `label` (−1 unknown),
    `prediction`, `target` T(x), `baseline_target` T(x0), `key` and `sample` (the position in the
    data) have shape `(N,)`. `docs/format.md` describes the format. Raises CodeclensError if there
    is no store at `path`.

    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from codeclens.extraction import extract
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> folder = Path(tempfile.mkdtemp(), "contributions.zarr")
    >>> _ = extract(model, torch.eye(4), sites="1", to=folder)
    >>> store = ContributionStore(folder)
    >>> len(store), store.sites, store.view("1", "concat").shape
    (4, ['1'], (4, 16))
    """

    def __init__(self, path: str | os.PathLike[str] | ObjectFolder) -> None:
        self.path = locate(path)
        metadata = read_metadata(self.path)
        if metadata is None:
            raise CodeclensError(f'There is no store of contributions at "{self.path}".')
        self.metadata = metadata
        self._layout = Layout.from_metadata(metadata)
        self._entries = {site.key: site for site in self._layout.sites}
        self._shards = finished_shards(self.path)

    @classmethod
    def open(cls, path: str | os.PathLike[str] | ObjectFolder) -> ContributionStore:
        """The store at `path`."""
        return cls(path)

    @property
    def sites(self) -> list[str]:
        """The keys of the sites, in the order of extraction."""
        return list(self._entries)

    @property
    def classes(self) -> list[str] | None:
        """Names of the classes that labels index, or None if they have no names."""
        return None if self._layout.classes is None else class_labels(self._layout.classes)

    @property
    def finished(self) -> bool:
        """Whether every shard exists; if not, the same call of `extract` completes the store."""
        return len(self._shards) == self._layout.shards

    def __len__(self) -> int:
        return len(self.sample)

    def units(self, site: str) -> int:
        """The number of units of a site."""
        return self._entry(site).units

    def is_cut(self, site: str) -> bool:
        """Whether every path from input to output passes through the site."""
        return self._entry(site).is_cut

    @cached_property
    def sample(self) -> Int64[np.ndarray, " samples"]:
        """The position of every sample in the data."""
        found = [np.arange(0)]
        valid = self._whole_array("valid")
        for shard in self._shards:
            rows = self._layout.rows(shard)
            found.append(rows.start + np.flatnonzero(valid[rows.start : rows.stop]))
        return np.concatenate(found).astype(np.int64)

    @cached_property
    def label(self) -> Int64[np.ndarray, " samples"]:
        """The label of every sample, −1 if unknown."""
        return self._per_sample("label")

    @cached_property
    def prediction(self) -> Int64[np.ndarray, " samples"]:
        """The class with the largest output for every sample, −1 if there are no classes."""
        return self._per_sample("prediction")

    @cached_property
    def target(self) -> Float32[np.ndarray, " samples"]:
        """The target T(x) of every sample."""
        return self._per_sample("target")

    @cached_property
    def baseline_target(self) -> Float32[np.ndarray, " samples"]:
        """The target T(x0) at the baseline, NaN if the method has no baseline."""
        return self._per_sample("baseline_target")

    @cached_property
    def estimate(self) -> Float32[np.ndarray, " samples"]:
        """The relative error estimated by a method with a tolerance, else NaN."""
        return self._per_sample("estimate")

    @cached_property
    def steps(self) -> Int64[np.ndarray, " samples"]:
        """The number of steps taken by a method with a tolerance, else −1."""
        return self._per_sample("steps")

    @cached_property
    def key(self) -> np.ndarray[Any, Any]:
        """The key of every sample: its relative path, or its index as text."""
        return np.array([str(key) for key in self._per_sample("key")], dtype=str)

    @cached_property
    def skipped(self) -> list[tuple[str, str]]:
        """The key of every unusable sample, and the reason why it was skipped."""
        done = np.zeros(self._layout.samples, dtype=bool)
        for shard in self._shards:
            rows = self._layout.rows(shard)
            done[rows.start : rows.stop] = True
        bad = np.flatnonzero(done & ~self._whole_array("valid"))
        if not len(bad):
            return []
        keys, reasons = self._whole_array("key")[bad], self._whole_array("reason")[bad]
        return [(str(k), str(r)) for k, r in zip(keys, reasons, strict=True)]

    def completeness(self, site: str) -> Float32[np.ndarray, " samples"]:
        """ΣC − (T(x) − T(x0)) of every sample, NaN if the site is not a cut."""
        return self._per_sample(f"sites/{self._entry(site).group}/completeness")

    def rows(
        self, label: int | str | None = None, prediction: int | str | None = None
    ) -> Int64[np.ndarray, " rows"]:
        """The rows of the samples with this label, prediction, or both; classes by number or name.

        Raises CodeclensError for an unknown class name.
        """
        chosen = np.ones(len(self), dtype=bool)
        if label is not None:
            chosen &= self.label == self._class(label)
        if prediction is not None:
            chosen &= self.prediction == self._class(prediction)
        return np.flatnonzero(chosen).astype(np.int64)

    def view(
        self, site: str, view: View = "concat", rows: slice | Sequence[int] | None = None
    ) -> Float32[np.ndarray, "samples columns"]:
        """Read one site into memory: all samples, or the given rows, such as `rows(label="cat")`.

        `"positive"` ≥ 0 and `"negative"` ≤ 0 are the contributions by sign, `"sum"` is their sum
        and `"activation"` the mean activation, each `(N, U)`; `"concat"` is
        `[positive, −negative]`, `(N, 2U)`, all ≥ 0. Raises CodeclensError for an unknown site or
        view, for arrays that do not fit into memory, and for a damaged store.
        """
        return self._gathered(self.reader(site, view), rows)

    def maps(
        self, site: str, sign: Sign = "sum", rows: slice | Sequence[int] | None = None
    ) -> Float32[np.ndarray, "samples unit row column"]:
        """Read contributions by position, for all samples or the given rows.

        Each cell of the grid holds the sum of its contributions of one `sign`, or of both
        (`"sum"`). Raises CodeclensError if the store keeps no positions, and as `view` does.
        """
        entry = self._entry(site)
        if not entry.maps:
            raise CodeclensError(
                f'The store keeps no positions at "{site}"; extract with, for example, '
                "grid=(7, 7), or with reduce=None."
            )
        if sign not in get_args(Sign):
            raise unknown("sign", sign, get_args(Sign), "Maps have")
        found = self._gathered(SiteReader(self.path, self._layout, entry, sign, maps=True), rows)
        return found.reshape(len(found), entry.units, *entry.grid)

    def batches(
        self,
        site: str,
        view: View = "concat",
        batch: int = 256,
        seed: int = 0,
        rows: slice | Sequence[int] | None = None,
    ) -> Iterator[Float32[np.ndarray, "batch columns"]]:
        """Iterate once over all samples, or over `rows`, in shuffled batches.

        Blocks of consecutive rows are read in random order and shuffled together, several
        thousand rows at a time. `seed` fixes the order; use another seed for each epoch. The last
        batch may be smaller. Raises CodeclensError as `view` does.
        """
        reader = self.reader(site, view)
        require_number("batch", batch, least=1, whole=True)
        chosen = np.unique(self._chosen(rows))
        return reader.shuffled(chosen, batch, np.random.default_rng(seed))

    def to_xarray(self, site: str | None = None) -> xarray.Dataset:
        """The store, or one of its sites, as a data set that is read lazily.

        Dimensions are `sample`, `unit`, `site` and `class`; keys, labels and predictions are
        coordinates of the samples. A table with one row for each sample is
        `store.to_xarray()[["target", "baseline_target"]].to_dataframe()`.
        """
        import xarray

        if files := damaged_metadata(self.path, self.metadata):
            raise CodeclensError(damaged(self.path, files[0]))
        root = xarray.open_zarr(zarr_store(self.path), chunks=None).drop_dims("shard")
        if site is not None:
            group = f"sites/{self._entry(site).group}"
            of_site = xarray.open_zarr(zarr_store(self.path), group=group, chunks=None)
            shared = root[["target", "baseline_target"]]
            root = shared.merge(of_site).assign_attrs(of_site.attrs)
        found: xarray.Dataset = root.isel(sample=self.sample)
        # Files of other formats have no nested attributes.
        nested = {k: json.dumps(v) for k, v in found.attrs.items() if isinstance(v, dict | list)}
        return found.assign_attrs(nested)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each site: its key, its number of units and whether it is a cut."""
        import pandas

        sites = [(site.key, site.units, site.is_cut) for site in self._layout.sites]
        return pandas.DataFrame(sites, columns=["site", "units", "is_cut"])

    def verify(self) -> DamagedFiles:
        """Read every file and return those that differ from what was written.

        Running the same `extract` again repairs missing and truncated files. A shard with a
        damaged file of the right length must be discarded first:
        `codeclens store verify STORE --discard`.
        """
        found: dict[_Part, list[str]] = dict(damaged_shards(self.path, self._layout).items())
        if files := damaged_metadata(self.path, self.metadata):
            found["metadata"] = files
        return DamagedFiles(found)

    def title(self) -> str:
        """Path, numbers of samples and sites, method, target and model, in three lines."""
        settings, layout = self.metadata["settings"], self._layout
        skipped = f" ({len(self.skipped)} skipped)" if self.skipped else ""
        shards = "" if self.finished else f", {len(self._shards)} of {layout.shards} shards"
        return (
            f"ContributionStore {str(self.path)!r}\n"
            f"{len(self):,} of {counted(layout.samples, 'sample')}{skipped}{shards}, "
            f"{counted(len(self.sites), 'site')}, {layout.dtype}\n"
            f"{_described(settings['method'])} of {_described(settings['target'])} "
            f"in {settings['model']['class']}"
        )

    def _entry(self, site: str) -> SiteEntry:
        if site not in self._entries:
            raise unknown("site", site, self.sites, "The store has")
        return self._entries[site]

    def _class(self, name: int | str) -> int:
        if isinstance(name, int | np.integer):
            return int(name)
        classes = self.classes or []
        if name not in classes:
            if not classes:
                raise CodeclensError(f'The store has no class "{name}": its classes are unnamed.')
            raise unknown("class", name, classes, "The store has")
        return classes.index(name)

    def _chosen(self, rows: slice | Sequence[int] | None) -> Int64[np.ndarray, " rows"]:
        return self.sample if rows is None else np.atleast_1d(self.sample[rows])

    def _gathered(
        self, reader: SiteReader, rows: slice | Sequence[int] | None
    ) -> Float32[np.ndarray, "samples columns"]:
        chosen = self._chosen(rows)
        needed, free = 4 * len(chosen) * reader.columns, free_memory()
        if needed > free:
            raise CodeclensError(
                f"{len(chosen):,} samples × {reader.columns:,} columns take {in_words(needed)}, "
                f"but {in_words(free)} of memory are free; read fewer rows, or use batches()."
            )
        return reader.gather(chosen)

    def reader(self, site: str, view: View = "concat") -> SiteReader:
        """A reader of one view of one site; it numbers rows as `sample` does."""
        if view not in get_args(View):
            raise unknown("view", view, get_args(View), "The store has")
        return SiteReader(self.path, self._layout, self._entry(site), view)

    def _whole_array(self, name: str) -> np.ndarray[Any, Any]:
        import zarr

        files = [self._layout.file(name, shard) for shard in self._shards]
        if not isinstance(self.path, ObjectFolder):
            # Zarr would fill missing files with the fill value.
            for file in files:
                if not (self.path / file).exists():
                    raise CodeclensError(damaged(self.path, file))
        self._require_memory(name)
        try:
            source: Any = self.path
            if isinstance(self.path, ObjectFolder):
                source = in_memory(self.path, [f"{name}/zarr.json", *files])
            return np.asarray(zarr.open_array(source, path=name, mode="r")[:])
        except Exception as error:  # damage in Zarr's own metadata raises errors of any kind
            raise CodeclensError(damaged(self.path, name)) from error

    def _require_memory(self, name: str) -> None:
        """Raise CodeclensError if an array claims more than memory holds, or its zarr.json lies."""
        needed, free = 8 * self._layout.samples, free_memory()
        if needed > free:
            raise CodeclensError(
                f'The store "{self.path}" claims {self._layout.samples:,} samples, which take '
                f"{in_words(needed)}, but {in_words(free)} of memory are free."
            )
        file = f"{name}/{ROOT}"
        if isinstance(self.path, Path):
            sums = self._checksums
            sound = (
                _sound(self.path / file, {"sha256": sums[file]})
                if file in sums
                else _same(self.path / file, self._expected[file])
            )
            if not sound:
                raise CodeclensError(damaged(self.path, file))

    @cached_property
    def _checksums(self) -> dict[str, str]:
        try:
            return read_checksums(self.path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CodeclensError(damaged(self.path, ROOT)) from None

    @cached_property
    def _expected(self) -> dict[str, bytes]:
        """What the metadata of arrays must hold, for stores of earlier versions."""
        files = self._layout.build(self.metadata)
        return {name: one.to_bytes() for name, one in files.items() if name.endswith(ROOT)}

    def _per_sample(self, name: str) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self._whole_array(name)[self.sample]
        return found


def _described(description: Any) -> str:
    if not isinstance(description, dict):
        return str(description)
    options = ", ".join(f"{k}={v!r}" for k, v in description.items() if k != "class")
    return f"{description.get('class', 'a function')}({options})"
