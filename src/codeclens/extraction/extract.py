"""Extraction: the contributions of a data set, written to a store; an interrupted run resumes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Literal

import torch
from torch import nn

from codeclens.attribution import (
    Method,
    Selector,
    Site,
    Target,
    warn_of_gaps,
    warn_of_tolerance,
)
from codeclens.attribution.attributor import Reduce
from codeclens.attribution.methods import is_exact
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing, Half
from codeclens.extraction.data import read_ahead
from codeclens.extraction.job import ExtractionJob
from codeclens.extraction.layout import Layout, read_metadata
from codeclens.extraction.ray import RayEngine
from codeclens.extraction.shards import ShardMaker
from codeclens.extraction.storage import Location, ObjectFolder, locate
from codeclens.extraction.store import ContributionStore, damaged_metadata
from codeclens.extraction.writer import ShardWriter, chosen_shards, missing_shards, writing

Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)


def extract(
    model: nn.Module,
    data: Any,
    *,
    sites: str | Site | Iterable[str | Site],
    to: str | os.PathLike[str] | ObjectFolder,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: Any = 0.0,
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
    model_kwargs: Mapping[str, Any] | None = None,
) -> ContributionStore:
    """Compute the contributions of every sample at `sites` and write them to a store at `to`.

    `data` is a tensor `(N, …)`, a tuple of a tensor and labels `(N,)`, a map-style data set, an
    `ImageFolder`, or anything else that `as_samples` accepts. `sites`, `method`, `target`,
    `baseline`, `output` and `model_kwargs` are those of `contributions`; tensors in `model_kwargs`
    with a row for each sample of the data belong to the samples. `classes` names the labels.

    The work is cut into shards of `shard_size` samples (default: a sixteenth of the data, from 32
    to 1,024 and at least a batch), each complete or absent. Run again with the same settings, an
    interrupted extraction resumes, and its store has the same bytes as that of an uninterrupted
    run. `batch_size` affects memory and speed, not results. Samples that cannot be read are skipped
    and recorded with the reason (`store.skipped`), or raise an error if `strict`. `progress` is
    called with (done, total).

    Positive and negative contributions are each summed over positions. `grid=(rows, columns)` also
    keeps the sums in each cell of a grid over feature maps, and `reduce=None` keeps all positions.

    `to` may be an address in object storage, such as `s3://bucket/store.zarr`. `engine="ray"`, or a
    `RayEngine`, computes the shards on a Ray cluster. `shards` selects shards by number or slice,
    so that several processes can fill one store: pass `slice(rank, None, processes)` in each. The
    returned store holds all shards that are finished by then. `channels_last`, `fold_batchnorm` and
    `autocast` increase speed; see `Computing`.

    Warns once with CompletenessWarning if the contributions of a cut miss the change of the target
    by much. Raises CodeclensError for a store with other settings, a store that another process is
    writing, a full or read-only disk, data without a usable sample, and wherever `contributions`
    does. (arXiv 2603.06557, contributions by integrated gradients.)

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
        strict=strict,
        computing=Computing(channels_last, fold_batchnorm, autocast),
        model_kwargs=model_kwargs,
    )
    path = locate(to)

    def check(metadata: dict[str, Any]) -> None:
        job.require_same(path, metadata)

    computed, uncovered = False, set[str]()
    if (complete := _complete(path, check, shards)) is None:
        shared = shards is not None or cluster is not None
        with writing(path, job.begin, check, shared) as writer:
            computed, uncovered = _fill(writer, job.maker, progress, shards, cluster)
    elif progress is not None:
        progress(complete, complete)
    store = ContributionStore(path)
    _report_skipped(store, strict)
    if computed:
        gaps = {site: torch.from_numpy(store.completeness(site)) for site in store.sites}
        change = torch.from_numpy(store.target - store.baseline_target)
        warn_of_gaps(
            gaps,
            change,
            uncovered,
            lambda site: torch.from_numpy(store.view(site, "concat").sum(axis=1)),
            method is None or is_exact(method),
        )
        warn_of_tolerance(getattr(method, "tolerance", None), torch.from_numpy(store.estimate))
    return store


def _complete(
    path: Location, check: Callable[[dict[str, Any]], None], shards: Iterable[int] | slice | None
) -> int | None:
    """The number of samples in `shards` if all of them are written and undamaged, else None."""
    metadata = read_metadata(path)
    if metadata is None:
        return None
    check(metadata)
    layout = Layout.from_metadata(metadata)
    if missing_shards(path, layout, shards) or damaged_metadata(path, metadata):
        return None
    return layout.count(chosen_shards(layout, shards))


def _fill(
    writer: ShardWriter,
    maker: ShardMaker,
    progress: Progress | None,
    shards: Iterable[int] | slice | None,
    cluster: RayEngine | None,
) -> tuple[bool, set[str]]:
    """Compute and write the missing ones of `shards`.

    Returns whether any were missing, and the operations for which the method has no rule.
    """
    layout, shape = writer.layout, writer.metadata["sample_shape"]
    wanted = chosen_shards(layout, shards)
    missing = missing_shards(writer.path, layout, wanted)
    begun = not writer.shared and (writer.path / "zarr.json").exists()
    if begun and damaged_metadata(writer.path, writer.metadata):
        writer.restore()
    maker.resume(writer.metadata["learned"])
    total = layout.count(wanted)
    done = total - layout.count(missing)

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
    with closing(read_ahead(maker.samples, indices, maker.options.samples_ahead)) as stream:
        for shard in missing:
            with writer.claim(shard):
                arrays = maker.make(layout, shape, stream, shard, advance)
                writer.write(shard, arrays, maker.made_by)
            uncovered |= maker.uncovered
    return bool(missing), uncovered


def _cluster(engine: object) -> RayEngine | None:
    """The engine for a Ray cluster, or None for this process."""
    if isinstance(engine, RayEngine):
        return engine
    if engine not in ("local", "ray"):
        raise CodeclensError(f'engine={engine!r} is unknown; use "local", "ray" or RayEngine(…).')
    return RayEngine() if engine == "ray" else None


def _report_skipped(store: ContributionStore, strict: bool) -> None:
    """Log how many samples were skipped; raises CodeclensError if `strict`."""
    if not store.skipped:
        _log.info("%d samples in %s", len(store), store.path)
        return
    key, reason = store.skipped[0]
    total = len(store) + len(store.skipped)
    were = "was" if len(store.skipped) == 1 else "were"
    sentence = f'{len(store.skipped)} of {total} samples {were} skipped (first: "{key}", {reason})'
    if strict:
        raise CodeclensError(f"{sentence}; repair or remove them and extract to another path.")
    _log.warning("%s", sentence)
