"""The store: contributions of a whole data set on disk, read as needed."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float32, Int64

from codeclens.errors import CodeclensError
from codeclens.extraction.computing import free_memory, in_words
from codeclens.extraction.layout import RECORDS, Layout, SiteEntry, finished_shards, read_metadata
from codeclens.extraction.reader import Sign, SiteReader, View, damaged
from codeclens.extraction.storage import ObjectFolder, Place, in_memory, place, zarr_store
from codeclens.extraction.writer import read_record, writing

if TYPE_CHECKING:
    import xarray


# What makes an array readable. How another version of zarr writes the rest down is its own affair.
_TELLING = ("node_type", "shape", "data_type", "dimension_names", "chunk_grid", "codecs")


def damaged_shards(path: Place, layout: Layout) -> dict[int, list[str]]:
    """The files of each finished shard that differ from their checksums; whole shards are left out.

    All files are read.
    """
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


def damaged_metadata(path: Place, metadata: dict[str, Any]) -> list[str]:
    """The files that describe the arrays, and those of names, that are not what they must be."""
    files = Layout.from_metadata(metadata).build(metadata)
    return [name for name in sorted(files) if not _same(path / name, files[name].to_bytes())]


def discard(path: Place, shards: Iterable[int]) -> None:
    """Make shards absent, so that the same extraction again computes them anew.

    Raises CodeclensError if another process is writing to the store.
    """
    with writing(path, dict, lambda _: None) as writer:
        for shard in shards:
            writer.discard(shard)


def _sound(file: Place, entry: dict[str, Any]) -> bool:
    try:
        with file.open("rb") as stream:
            return bool(hashlib.file_digest(stream, "sha256").hexdigest() == entry["sha256"])
    except FileNotFoundError:
        return False


def _same(file: Place, content: bytes) -> bool:
    try:
        there = file.read_bytes()
    except FileNotFoundError:
        return False
    if file.name != "zarr.json":
        return there == content
    try:
        return list(_told(json.loads(there))) == list(_told(json.loads(content)))
    except (ValueError, TypeError, AttributeError):
        return False


def _told(document: dict[str, Any]) -> Iterator[Any]:
    for name in _TELLING:
        yield document.get(name)


_SHOWN_SITES = 20


class ContributionStore:
    """Contributions of a data set at several sites: what `extract` writes.

    Samples that were skipped and those of unfinished shards are left out everywhere, so that rows
    of all arrays belong together: `N = len(store)`. Arrays are read when they are asked for;
    `label` (−1 unknown), `prediction`, `target` T(x), `baseline_target` T(x0), `key` and `sample`
    (the position in the data) are `(N,)`. The format is described in `docs/format.md`. Raises
    CodeclensError where there is no store at `path`.

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
        self.path = place(path)
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
        """Names of the labels, None where nobody gave them."""
        return None if self._layout.classes is None else list(self._layout.classes)

    @property
    def finished(self) -> bool:
        """Whether every shard is there; if not, the same `extract` again completes the store."""
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
        """The label of every sample, −1 where it is not known."""
        return self._per_sample("label")

    @cached_property
    def prediction(self) -> Int64[np.ndarray, " samples"]:
        """The class with the largest output for every sample, −1 where there are no classes."""
        return self._per_sample("prediction")

    @cached_property
    def target(self) -> Float32[np.ndarray, " samples"]:
        """The target T(x) of every sample."""
        return self._per_sample("target")

    @cached_property
    def baseline_target(self) -> Float32[np.ndarray, " samples"]:
        """The target T(x0) at the baseline, NaN where the method has none."""
        return self._per_sample("baseline_target")

    @cached_property
    def estimate(self) -> Float32[np.ndarray, " samples"]:
        """The relative error that a method with a tolerance estimates, NaN for the others."""
        return self._per_sample("estimate")

    @cached_property
    def steps(self) -> Int64[np.ndarray, " samples"]:
        """The steps that a method with a tolerance took for every sample, −1 for the others."""
        return self._per_sample("steps")

    @cached_property
    def key(self) -> np.ndarray[Any, Any]:
        """The name of every sample: its relative path, or its index as text."""
        return np.array([str(key) for key in self._per_sample("key")], dtype=str)

    @cached_property
    def skipped(self) -> list[tuple[str, str]]:
        """The samples that could not be used: their keys and the reasons."""
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
        """ΣC − (T(x) − T(x0)) of every sample, NaN where the site is no cut."""
        return self._per_sample(f"sites/{self._entry(site).group}/completeness")

    def rows(
        self, label: int | str | None = None, prediction: int | str | None = None
    ) -> Int64[np.ndarray, " rows"]:
        """The rows of the samples with a label, a prediction, or both; classes by number or name.

        Raises CodeclensError for a name that is no class of the store.
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

        `"positive"` ≥ 0 and `"negative"` ≤ 0 are contributions by sign, `"sum"` both together,
        `"activation"` the mean activation, each `(N, U)`; `"concat"` is `[positive, −negative]`,
        `(N, 2U)`, all ≥ 0. Raises CodeclensError for an unknown site or view, for more than fits
        into memory, and for a store that was damaged.
        """
        return self._gathered(self.reader(site, view), rows)

    def maps(
        self, site: str, sign: Sign = "sum", rows: slice | Sequence[int] | None = None
    ) -> Float32[np.ndarray, "samples unit row column"]:
        """Read contributions at their positions, of all samples or the given rows.

        Each cell of the grid holds the sum of the contributions in it: those by `sign`, or
        `"sum"`, both together. Raises CodeclensError where the store keeps no positions, and as
        `view` does.
        """
        entry = self._entry(site)
        if not entry.maps:
            raise CodeclensError(
                f'The store keeps no positions at "{site}"; extract with grid=(7, 7), say, or '
                "reduce=None."
            )
        if sign not in get_args(Sign):
            known = ", ".join(f'"{name}"' for name in get_args(Sign))
            raise CodeclensError(f"Maps have no sign {sign!r}; there are {known}.")
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
        """Go once through all samples in shuffled batches, without holding them all in memory.

        Blocks of consecutive rows are read in random order and shuffled together, several
        thousand rows at a time; `seed` fixes the order (take another for every epoch). The last
        batch may be smaller. `rows` are those to go through, each once, where not all are meant.
        Raises CodeclensError as `view` does.
        """
        reader = self.reader(site, view)
        if batch < 1:
            raise CodeclensError(f"batch={batch} holds no samples; pass a positive number.")
        chosen = np.unique(self._chosen(rows))
        return reader.shuffled(chosen, batch, np.random.default_rng(seed))

    def dataset(self, site: str | None = None) -> xarray.Dataset:
        """The store, or one site of it, as an xarray Dataset that reads lazily.

        Dimensions are `sample`, `unit`, `site` and `class`; keys, labels and predictions are
        coordinates of the samples.
        """
        import xarray

        root = xarray.open_zarr(zarr_store(self.path), chunks=None).drop_dims("shard")
        if site is not None:
            group = f"sites/{self._entry(site).group}"
            of_site = xarray.open_zarr(zarr_store(self.path), group=group, chunks=None)
            shared = root[["target", "baseline_target"]]
            root = shared.merge(of_site).assign_attrs(of_site.attrs)
        found: xarray.Dataset = root.isel(sample=self.sample)
        return found

    def verify(self) -> dict[int | Literal["metadata"], list[str]]:
        """Read every file; gives those that are not what was written, by shard, and metadata.

        The same `extract` again mends what is missing or cut short. A shard of which a file kept
        its length must be made absent first: `codeclens store verify STORE --discard`.
        """
        found: dict[int | Literal["metadata"], list[str]] = dict(
            damaged_shards(self.path, self._layout).items()
        )
        if files := damaged_metadata(self.path, self.metadata):
            found["metadata"] = files
        return found

    def __repr__(self) -> str:
        settings, layout = self.metadata["settings"], self._layout
        width = max((len(key) for key in self.sites), default=4)
        lines = [
            f"ContributionStore {str(self.path)!r}",
            f"  {len(self):,} of {_counted(layout.samples, 'sample')}{self._unfinished()}, "
            f"{_counted(len(self.sites), 'site')}, {layout.dtype}",
            f"  {_called(settings['method'])} of {_called(settings['target'])} "
            f"in {settings['model']['class']}",
        ]
        lines += [
            f"    {site.key:<{width}}  {site.units:>6,} units{'' if site.is_cut else ', no cut'}"
            for site in layout.sites[:_SHOWN_SITES]
        ]
        if len(layout.sites) > _SHOWN_SITES:
            lines.append(f"    … and {len(layout.sites) - _SHOWN_SITES} more")
        return "\n".join(lines)

    def _unfinished(self) -> str:
        skipped = f" ({len(self.skipped)} skipped)" if self.skipped else ""
        if self.finished:
            return skipped
        return f"{skipped}, {len(self._shards)} of {self._layout.shards} shards"

    def _entry(self, site: str) -> SiteEntry:
        if site not in self._entries:
            near = difflib.get_close_matches(str(site), self.sites, 3, 0)
            offered = ", ".join(f'"{name}"' for name in near)
            raise CodeclensError(f'The store has no site "{site}"; the nearest are {offered}.')
        return self._entries[site]

    def _class(self, name: int | str) -> int:
        if isinstance(name, int | np.integer):
            return int(name)
        classes = self.classes or []
        if name not in classes:
            near = ", ".join(f'"{c}"' for c in difflib.get_close_matches(name, classes, 3, 0))
            known = f"the nearest are {near}" if near else "its classes have no names"
            raise CodeclensError(f'The store has no class "{name}"; {known}.')
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
                f"{len(chosen):,} samples × {reader.columns:,} columns take {in_words(needed)} and "
                f"{in_words(free)} of memory are free; read some rows, or go through batches()."
            )
        return reader.gather(chosen)

    def reader(self, site: str, view: View = "concat") -> SiteReader:
        """What reads one site in one view piece by piece; its rows are numbered as `sample` is."""
        if view not in get_args(View):
            known = ", ".join(f'"{name}"' for name in get_args(View))
            raise CodeclensError(f"The store has no view {view!r}; there are {known}.")
        return SiteReader(self.path, self._layout, self._entry(site), view)

    def _whole_array(self, name: str) -> np.ndarray[Any, Any]:
        import zarr

        files = [self._layout.file(name, shard) for shard in self._shards]
        if not isinstance(self.path, ObjectFolder):
            # Zarr would fill in what is missing.
            for file in files:
                if not (self.path / file).exists():
                    raise CodeclensError(damaged(self.path, file))
        try:
            source: Any = self.path
            if isinstance(self.path, ObjectFolder):
                source = in_memory(self.path, [f"{name}/zarr.json", *files])
            return np.asarray(zarr.open_array(source, path=name, mode="r")[:])
        except (OSError, ValueError) as error:
            raise CodeclensError(damaged(self.path, name)) from error

    def _per_sample(self, name: str) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self._whole_array(name)[self.sample]
        return found


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _called(description: Any) -> str:
    if not isinstance(description, dict):
        return str(description)
    options = ", ".join(f"{k}={v!r}" for k, v in description.items() if k != "class")
    return f"{description.get('class', 'a function')}({options})"
