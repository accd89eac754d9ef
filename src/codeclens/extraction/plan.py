"""Plans: an estimate of the samples, units, bytes, time and memory of an extraction."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from codeclens.attribution import Method, Selector, Site, Target
from codeclens.attribution.attributor import Reduce
from codeclens.attribution.targets import Bound
from codeclens.errors import counted
from codeclens.extraction.computing import Computing, Half, in_words, peak_memory
from codeclens.extraction.data import Sample, SampleSource, spread
from codeclens.extraction.job import ExtractionJob
from codeclens.extraction.layout import Layout, read_metadata
from codeclens.extraction.shards import ShardMaker
from codeclens.extraction.writer import missing_shards
from codeclens.labelled import Labelled, labels

if TYPE_CHECKING:
    import pandas
    import xarray

_INDEX_ENTRY, _INDEX_CHECK = 16, 4
_LENGTH = 4  # bytes of a text's length
_SHOWN_SITES = 12


@dataclass(frozen=True, repr=False)
class Plan(Labelled):
    """An estimate of what an extraction takes; printed, it says so in words.

    `seconds` and `memory` are estimated from one computed batch, `size` from the layout.
    `seconds` covers only the `missing` samples, those of no finished shard.
    """

    samples: int
    """Samples in the data."""
    missing: int
    """Samples still to be computed."""
    sites: dict[str, int]
    """Units of every site."""
    shards: int
    """Shards of the whole store."""
    size: int
    """Bytes of the whole store on disk."""
    reading: float
    """Seconds to read and transform a sample in one thread."""
    computing: float
    """Seconds to compute the contributions of a sample."""
    seconds: float
    """Seconds of the whole run on this machine."""
    memory: int
    """Peak memory in bytes."""

    def __repr__(self) -> str:
        left = "" if self.missing == self.samples else f", {self.missing:,} still to be computed"
        lines = [
            f"{counted(self.samples, 'sample')} in {counted(self.shards, 'shard')}{left}",
            f"{counted(len(self.sites), 'site')}, {counted(sum(self.sites.values()), 'unit')}",
        ]
        width = max(map(len, self.sites), default=0)
        shown = list(self.sites.items())[:_SHOWN_SITES]
        lines += [f"  {key:<{width}}  {units:>6,} units" for key, units in shown]
        if len(self.sites) > len(shown):
            lines.append(f"  … and {len(self.sites) - len(shown)} more")
        lines += [
            f"{in_words(self.size)} on disk",
            f"about {duration(self.seconds)} ({_short(self.computing)} to compute a sample, "
            f"{_short(self.reading)} to read it)",
            f"about {in_words(self.memory)} of memory",
        ]
        return "\n".join(lines)

    def to_xarray(self) -> xarray.Dataset:
        """The units of every site, with all other numbers as scalars."""
        import xarray

        scalars = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "sites"}
        units = ("site", list(self.sites.values()))
        return xarray.Dataset({"units": units, **scalars}, {"site": labels(list(self.sites))})

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each number of the plan: its name, value and unit."""
        import pandas

        rows = [
            ("samples", self.samples, "samples"),
            ("missing", self.missing, "samples"),
            ("sites", len(self.sites), "sites"),
            ("units", sum(self.sites.values()), "units"),
            ("shards", self.shards, "shards"),
            ("size", self.size, "bytes"),
            ("reading", self.reading, "seconds a sample"),
            ("computing", self.computing, "seconds a sample"),
            ("seconds", self.seconds, "seconds"),
            ("memory", self.memory, "bytes"),
        ]
        return pandas.DataFrame(rows, columns=["quantity", "value", "unit"], dtype=object)


def plan(
    model: nn.Module,
    data: Any,
    *,
    sites: str | Site | Iterable[str | Site],
    to: str | os.PathLike[str] | None = None,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: Any = 0.0,
    reduce: Reduce = "sum",
    grid: tuple[int, int] | None = None,
    output: Selector = None,
    batch_size: int = 16,
    classes: Sequence[str] | None = None,
    shard_size: int | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    channels_last: bool | None = None,
    fold_batchnorm: bool = False,
    autocast: Half | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> Plan:
    """Estimate what `extract` with the same options takes, from one batch; writes nothing.

    The batch is spread evenly over the data and computed in the same way. If there is a store at
    `to`, its finished shards count as done. Raises CodeclensError as `extract` does.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> found = plan(model, torch.randn(2000, 4), sites="1", shard_size=512)
    >>> print(found)
    2,000 samples in 4 shards
    1 site, 8 units
    ...
    """
    job = ExtractionJob.of(
        model,
        data,
        sites=sites,
        method=method,
        target=target,
        baseline=baseline,
        reduce=reduce,
        grid=grid,
        output=output,
        batch_size=batch_size,
        classes=classes,
        shard_size=shard_size,
        dtype=dtype,
        strict=False,
        computing=Computing(channels_last, fold_batchnorm, autocast),
        model_kwargs=model_kwargs,
    )
    maker, samples = job.maker, job.maker.samples
    path = None if to is None else Path(to)
    metadata = None if path is None else read_metadata(path)
    if path is None or metadata is None:
        metadata = job.begin()
        layout = Layout.from_metadata(metadata)
        missing = list(range(layout.shards))
    else:
        job.require_same(path, metadata)
        layout = Layout.from_metadata(metadata)
        missing = missing_shards(path, layout)
    maker.resume(metadata["learned"])
    reading, batch = _read(samples, batch_size)
    seconds = _computed(maker, layout, metadata["sample_shape"], batch)
    # A CPU reads and computes in turn; a GPU computes while CPU threads read.
    in_turn = maker.device == "cpu"
    each = seconds + reading if in_turn else max(seconds, reading / samples.threads)
    return Plan(
        samples=len(samples),
        missing=layout.count(missing),
        sites={site.key: site.units for site in layout.sites},
        shards=layout.shards,
        size=store_size(layout, metadata, samples),
        reading=reading,
        computing=seconds,
        seconds=layout.count(missing) * each,
        memory=memory_needed(layout),
    )


def duration(seconds: float) -> str:
    """A duration in words.

    >>> duration(0.2), duration(100), duration(8_000), duration(200_000)
    ('1 second', '1 minute 40 seconds', '2 hours 13 minutes', '2 days 7 hours')
    """
    units = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
    left = max(1, round(seconds))
    first = next(i for i, (_, size) in enumerate(units) if left >= size)
    words = []
    for name, size in units[first : first + 2]:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(words)


def store_size(layout: Layout, metadata: dict[str, object], samples: SampleSource) -> int:
    """Bytes of all files of a finished store without skipped samples."""
    files = layout.build(metadata)
    size = sum(len(content.to_bytes()) for content in files.values())
    # A record's "made_by" is about as long as the versions in the metadata.
    made_by = len(json.dumps(metadata.get("versions"))) + 120
    for shard in range(layout.shards):
        size += 2 * _LENGTH + made_by
        for name, (dtype, row) in layout.arrays.items():
            content = _file_size(layout, dtype, row, shard)
            entry = {layout.file(name, shard): {"bytes": content, "sha256": "0" * 64}}
            size += content + len(json.dumps(entry))
    return size + sum(len(samples.key(i).encode()) for i in range(len(samples)))


def memory_needed(layout: Layout) -> int:
    """Peak memory in bytes, if the batches computed so far are typical of the rest.

    A shard's arrays are in memory until it is written, and the largest is copied twice.
    """
    sizes = [_file_size(layout, dtype, row, 0) for dtype, row in layout.arrays.values()]
    return peak_memory() + sum(sizes) + 2 * max(sizes)


def _read(samples: SampleSource, batch_size: int) -> tuple[float, list[Sample]]:
    """Seconds to read a sample, from a batch spread over the data, and that batch."""
    start = time.perf_counter()
    batch = [samples.load(index) for index in spread(len(samples), batch_size)]
    return (time.perf_counter() - start) / len(batch), batch


def _computed(
    maker: ShardMaker, layout: Layout, shape: Sequence[int], batch: list[Sample]
) -> float:
    """Seconds to compute a sample, from a shard that is one batch."""
    small = replace(layout, samples=len(batch), shard_rows=len(batch))
    numbered = (replace(sample, index=i) for i, sample in enumerate(batch))
    start = time.perf_counter()
    maker.make(small, shape, numbered, 0, lambda count: None)
    return (time.perf_counter() - start) / len(batch)


def _file_size(layout: Layout, dtype: str, row: tuple[int, ...], shard: int) -> int:
    if not row:
        width = {"str": _LENGTH, "bool": 1, "int64": 8, "float32": 4}[dtype]
        return layout.shard_rows * width + (_LENGTH if dtype == "str" else 0)
    chunks = layout.shard_rows // layout.chunk_rows
    written = -(-len(layout.rows(shard)) // layout.chunk_rows)
    values = written * layout.chunk_rows * prod(row)
    bytes_each = 2 if dtype == "float16" else 4
    return values * bytes_each + chunks * _INDEX_ENTRY + _INDEX_CHECK


def _short(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"
