"""Extraction: the contributions of a whole data set, into a store that survives interruption."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any, Literal

import torch
from torch import Tensor, nn

from codeclens.attribution import (
    Baseline,
    Method,
    Selector,
    Site,
    Target,
    warn_of_gaps,
    warn_of_tolerance,
)
from codeclens.attribution.attributor import Reduce
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing, Half
from codeclens.extraction.data import read_ahead
from codeclens.extraction.job import Job
from codeclens.extraction.layout import Layout, read_metadata
from codeclens.extraction.ray import RayEngine
from codeclens.extraction.shards import ShardMaker
from codeclens.extraction.storage import ObjectFolder, place
from codeclens.extraction.store import ContributionStore, damaged_metadata
from codeclens.extraction.writer import ShardWriter, chosen_shards, missing_shards, writing

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)
_BATCHES_AHEAD = 2


def extract(
    model: nn.Module,
    data: Any,
    *,
    sites: str | Site | Iterable[str | Site],
    to: str | os.PathLike[str] | ObjectFolder,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: float | Tensor | Baseline = 0.0,
    reduce: Reduce = "sum",
    grid: tuple[int, int] | None = None,
    output: Selector = None,
    batch_size: int = 16,
    classes: Sequence[str] | None = None,
    engine: Literal["local", "ray"] | RayEngine = "local",
    progress: Progress | None = None,
    shard_size: int | None = None,
    dtype: Literal["float32", "float16"] = "float32",
    strict: bool = False,
    shards: Iterable[int] | slice | None = None,
    channels_last: bool | None = None,
    fold_batchnorm: bool = False,
    autocast: Half | None = None,
) -> ContributionStore:
    """Compute the contributions of every sample at `sites` and keep them in a store at `to`.

    `data` is anything that `as_samples` takes: a tensor `(N, …)`, a tuple of one and its labels
    `(N,)`, a map-style data set or an `ImageFolder`. `sites`, `method`, `target`, `baseline` and
    `output` are those of `contributions`; `classes` names the labels. Work is cut into shards of
    `shard_size` samples (default: a sixteenth, 32 to 1,024, no less than a batch), each complete or
    absent: run again with the same settings, an interrupted extraction resumes and ends with the
    same bytes as an undisturbed one. `batch_size` changes memory and speed, not results. Samples
    that cannot be read are recorded with their reasons and skipped (`store.skipped`), or raise if
    `strict`. `progress` is called with (done, total). Positions are summed, signs apart, unless
    `grid=(rows, columns)` keeps as many cells of feature maps beside the sums, with the signs apart
    in each cell, or `reduce=None` keeps every position.
    `to` may be an address in object storage, such as `s3://bucket/store.zarr`. `engine="ray"`, or a
    `RayEngine` with options, computes the shards on a Ray cluster. `shards` takes some of them
    alone, by number or as a slice, so that several processes can share a store:
    `slice(rank, None, processes)` in each of them. The store that comes back holds what all of them
    have finished by then. For speed there are `channels_last`, `fold_batchnorm` and `autocast`, as
    in `Computing`.

    Warns with CompletenessWarning, once, where contributions miss the change of the target by
    much. Raises CodeclensError for a store at `to` that was made with other settings, one that
    another process is writing to, a full or read-only disk, data in which no sample can be used,
    and whatever `contributions` raises. (arXiv 2603.06557, contributions by integrated gradients.)

    >>> import tempfile
    >>> from pathlib import Path
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> store = extract(
    ...     model, (torch.randn(20, 4), torch.zeros(20, dtype=torch.long)), sites="1",
    ...     to=Path(tempfile.mkdtemp(), "contributions.zarr"),
    ... )
    >>> store.view("1", "positive").shape, store.label[:3]
    ((20, 8), array([0, 0, 0]))
    """
    cluster = _cluster(engine)
    job = Job.of(
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
        strict=strict,
        computing=Computing(channels_last, fold_batchnorm, autocast),
    )
    path = place(to)

    def check(metadata: dict[str, Any]) -> None:
        job.require_same(path, metadata)

    metadata = read_metadata(path)
    if metadata is not None:
        check(metadata)
    computed, uncovered = False, set[str]()
    layout = None if metadata is None else Layout.from_metadata(metadata)
    if (
        metadata is None
        or layout is None
        or missing_shards(path, layout, shards)
        or damaged_metadata(path, metadata)
    ):
        shared = shards is not None or cluster is not None
        with writing(path, job.begin, check, shared) as writer:
            computed, uncovered = _fill(writer, job.maker, progress, shards, cluster)
    elif progress is not None:
        total = _samples_in(layout, chosen_shards(layout, shards))
        progress(total, total)
    store = ContributionStore(path)
    _account(store, strict)
    if computed:
        gaps = {site: torch.from_numpy(store.completeness(site)) for site in store.sites}
        change = torch.from_numpy(store.target - store.baseline_target)
        warn_of_gaps(gaps, change, uncovered)
        warn_of_tolerance(getattr(method, "tolerance", None), torch.from_numpy(store.estimate))
    return store


def _fill(
    writer: ShardWriter,
    maker: ShardMaker,
    progress: Progress | None,
    shards: Iterable[int] | slice | None,
    cluster: RayEngine | None,
) -> tuple[bool, set[str]]:
    """Compute and write those of `shards` that are missing.

    Gives whether there were any, and the operations for which the method had no rule.
    """
    layout, shape = writer.layout, writer.metadata["sample_shape"]
    wanted = chosen_shards(layout, shards)
    missing = missing_shards(writer.path, layout, wanted)
    if not writer.shared and (writer.path / "zarr.json").exists():
        writer.restore(damaged_metadata(writer.path, writer.metadata))
    maker.recall(writer.metadata["learned"])
    total = _samples_in(layout, wanted)
    done = total - _samples_in(layout, missing)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    advance(0)
    if cluster is not None:
        return bool(missing), cluster.make(writer, maker, missing, advance)
    uncovered: set[str] = set()
    indices = (index for shard in missing for index in layout.rows(shard))
    with closing(read_ahead(maker.samples, indices, _BATCHES_AHEAD * maker.batch_size)) as stream:
        for shard in missing:
            with writer.claim(shard):
                arrays = maker.make(layout, shape, stream, shard, advance)
                writer.write(shard, arrays, maker.made_by)
            uncovered |= maker.uncovered
    return bool(missing), uncovered


def _samples_in(layout: Layout, shards: Iterable[int]) -> int:
    return sum(len(layout.rows(shard)) for shard in shards)


def _cluster(engine: object) -> RayEngine | None:
    """The engine that computes elsewhere, if one is asked for."""
    if isinstance(engine, RayEngine):
        return engine
    if engine not in ("local", "ray"):
        raise CodeclensError(
            f'engine={engine!r} is not known; use "local", "ray" or RayEngine(workers=…).'
        )
    return RayEngine() if engine == "ray" else None


def _account(store: ContributionStore, strict: bool) -> None:
    """Say how many samples were skipped."""
    if not store.skipped:
        _log.info("%d samples in %s", len(store), store.path)
        return
    key, reason = store.skipped[0]
    total = len(store) + len(store.skipped)
    were = "was" if len(store.skipped) == 1 else "were"
    sentence = f'{len(store.skipped)} of {total} samples {were} skipped (first: "{key}", {reason})'
    if strict:
        raise CodeclensError(f"{sentence}; mend or remove them and extract to another path.")
    _log.warning("%s", sentence)
