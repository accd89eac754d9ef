"""Shards: fixed runs of samples, and the arrays that are computed from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass, replace
from importlib import import_module
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Baseline,
    Contributions,
    Given,
    Label,
    SiteContributions,
)
from codeclens.attribution.capture import frozen, run, same_randomness
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing, folded
from codeclens.extraction.data import Sample, Samples
from codeclens.extraction.layout import SAMPLE_ARRAYS, UNIT_ARRAYS, Layout, SiteEntry, group_names
from codeclens.extraction.maps import SIGNED, WHOLE, Positions, map_shape, maps_of

Arrays = dict[str, np.ndarray[Any, Any]]


def blank(layout: Layout, rows: int) -> Arrays:
    """The arrays of a shard, filled with what stands for a skipped sample."""
    arrays: Arrays = {}
    for name, (dtype, row) in layout.arrays.items():
        fill = SAMPLE_ARRAYS[name][1] if name in SAMPLE_ARRAYS else np.nan
        arrays[name] = np.full((rows, *row), fill, dtype=object if dtype == "str" else dtype)
    return arrays


def file(found: Contributions, arrays: Arrays, places: list[int], layout: Layout) -> None:
    """Put the contributions of a batch into the rows `places` of a shard."""
    if list(found) != [site.key for site in layout.sites]:
        raise CodeclensError(
            f"The model's sites are now {', '.join(found)}, and were "
            f"{', '.join(site.key for site in layout.sites)}; name sites that every input reaches."
        )
    for name in ("prediction", "target", "baseline_target", "estimate", "steps"):
        values = getattr(found, name)
        if values is not None:
            arrays[name][places] = values.cpu().numpy()
    for site in layout.sites:
        at_site = found[site.key]
        parts = {part: getattr(at_site, part) for part in (*UNIT_ARRAYS, "completeness")}
        if at_site.full is not None:
            parts |= maps_of(at_site.site, at_site.full, site.maps, site.grid)
        for part, values in parts.items():
            name, what = f"sites/{site.group}/{part}", f'"{part}" at {site.key}'
            arrays[name][places] = _narrowed(values.cpu().numpy(), arrays[name].dtype, what)


def _narrowed(
    values: np.ndarray[Any, Any], dtype: np.dtype[Any], what: str
) -> np.ndarray[Any, Any]:
    """Values in the type of the store; raises CodeclensError where they do not fit into it."""
    largest, limit = float(np.abs(values).max(initial=0)), float(np.finfo(dtype).max)
    if largest > limit:
        raise CodeclensError(
            f"Values of {what} reach {largest:.3g}, more than {dtype} holds ({limit:.3g}); "
            'extract to another path with dtype="float32".'
        )
    return values.astype(dtype)


_log = logging.getLogger(__name__)
# One sample would not tell an axis of samples from one of length 1.
_SURVEYED = 2


class ShardMaker:
    """Computes shards of a data set, each from its own samples alone.

    `uncovered` names the operations of the last shard for which the method had no rule.

    Batches begin anew in each shard and are cut by the positions of the samples, whether they can
    be used or not: the same shard comes out whatever was computed before it.
    """

    def __init__(
        self,
        samples: Samples,
        attributor: Attributor,
        batch_size: int,
        strict: bool,
        positions: Positions = None,
        computing: Computing | None = None,
    ) -> None:
        self.samples = samples
        self.attributor = attributor
        # What was handed over, before anything is folded.
        self.model = attributor.model
        self.computing = computing or Computing()
        self.positions = positions
        self.batch_size = batch_size
        self.strict = strict
        self.uncovered: set[str] = set()
        self._device = self.computing.on(attributor.model)
        self._outputs: int | None = None
        self._warned = False
        self._folded = False

    @property
    def device(self) -> str:
        """Where the model computes."""
        return str(self._device.device)

    @property
    def made_by(self) -> dict[str, Any]:
        """What the record of the last shard says of its making."""
        return {
            "batch_size": self.batch_size,
            "device": self.device,
            "versions": versions(),
            "uncovered": sorted(self.uncovered),
        }

    def learn(self) -> dict[str, Any]:
        """What a new store has to know, learnt from a few samples spread over the data.

        That is the shape of a sample, the sites and what the method placed by its pilot, so that
        it is the same for all shards, whoever computes them.
        """
        method = self.attributor.method
        pilot = self._pilot(max(method.pilot, _SURVEYED))
        x = self._stacked(pilot)
        _require_one_baseline(self.attributor.baseline, x)
        with _named(pilot), self._device.precision():
            self._fold(x)
            prepared = self.attributor.prepare(x)
            self.attributor.survey(x)
            self._count_outputs(x)
        # The cheapest method tells the units as well as any.
        self.attributor.method = ActivationGradient()
        try:
            found = self._attribute(pilot[:1], x[:1])
        finally:
            self.attributor.method = prepared
        sites = [
            self._entry(found[key], group)
            for key, group in zip(found, group_names(found), strict=True)
        ]
        return {
            "sample_shape": list(x.shape[1:]),
            "sites": [asdict(site) for site in sites],
            "learned": _changed(method, prepared),
        }

    def recall(self, learned: dict[str, Any]) -> None:
        """Go on with what was learnt when the store was begun."""
        method: Any = self.attributor.method
        if learned:
            self.attributor.method = replace(method, **learned)
        x = self._stacked(self._pilot(_SURVEYED))
        with self._device.precision():
            self._fold(x)
            self.attributor.survey(x)
            self._count_outputs(x)

    def make(
        self,
        layout: Layout,
        shape: Sequence[int],
        stream: Iterator[Sample],
        shard: int,
        advance: Callable[[int], None],
    ) -> Arrays:
        """Compute the arrays of a shard from the `stream` of its samples.

        `shape` is what a sample must have; `advance` is told of the samples of every batch.
        """
        self.uncovered = set()
        rows = layout.rows(shard)
        arrays = blank(layout, len(rows))
        batches = self._batches(rows, stream, layout, shape)
        for batch, x in self._device.fed(batches, _images):
            for sample in batch:
                place = sample.index - rows.start
                arrays["sample"][place] = sample.index
                arrays["key"][place] = sample.key
                arrays["label"][place] = sample.label
                arrays["reason"][place] = sample.reason
                arrays["valid"][place] = sample.image is not None
            if x is not None:
                usable = [sample for sample in batch if sample.image is not None]
                places = [sample.index - rows.start for sample in usable]
                file(self._attribute(usable, x), arrays, places, layout)
                self._compare_classes(arrays["prediction"], layout)
            advance(len(batch))
        return arrays

    def _batches(
        self, rows: range, stream: Iterator[Sample], layout: Layout, shape: Sequence[int]
    ) -> Iterator[list[Sample]]:
        for start in range(0, len(rows), self.batch_size):
            count = min(self.batch_size, len(rows) - start)
            yield [self._checked(sample, shape, layout) for sample in islice(stream, count)]

    def _fold(self, x: Tensor) -> None:
        """Go on with a private copy of the model, if batch norms are to be folded."""
        if self.computing.fold_batchnorm and not self._folded:
            attributor = self.attributor
            attributor.model = folded(
                attributor.model, x[:_SURVEYED], attributor.sites, attributor.output
            )
            self._folded = True

    def _count_outputs(self, x: Tensor) -> None:
        """How many classes the model's output has room for, if it is one row a sample."""
        model = self.attributor.model
        with frozen(model), same_randomness(model), torch.no_grad():
            output = run(model, x, self.attributor.output)
        self._outputs = output.shape[1] if output.ndim == 2 else None

    def _entry(self, found: SiteContributions, group: str) -> SiteEntry:
        units = found.positive.shape[1]
        entry = SiteEntry(found.site.key, group, units, found.is_cut)
        if self.positions is None or found.full is None:
            return entry
        kept = map_shape(self.positions, found.site.grid(found.full))
        return replace(entry, maps=WHOLE if self.positions == "all" else SIGNED, grid=kept)

    def _pilot(self, count: int) -> list[Sample]:
        """The first usable sample of each of `count` equal parts of the data."""
        total, reason = len(self.samples), ""
        parts = min(count, total)
        found: list[Sample] = []
        for part in range(parts):
            for index in range(part * total // parts, (part + 1) * total // parts):
                sample = self.samples.load(index)
                if sample.image is None:
                    reason = reason or f'"{sample.key}": {sample.reason}'
                    self._require_lenience(sample)
                elif not found or sample.image.shape == self._shape(found[0]):
                    found.append(sample)
                    break
        if not found:
            raise CodeclensError(f"None of the {total} samples can be used ({reason}).")
        return found

    def _shape(self, sample: Sample) -> torch.Size:
        assert sample.image is not None
        return sample.image.shape

    def _stacked(self, batch: Sequence[Sample]) -> Tensor:
        return self._device.stacked(_images(batch))

    def _checked(self, sample: Sample, shape: Sequence[int], layout: Layout) -> Sample:
        if layout.classes is not None and sample.label >= len(layout.classes):
            raise CodeclensError(
                f'Sample "{sample.key}" has the label {sample.label}, but there are only '
                f"{len(layout.classes)} classes; name all of them."
            )
        if layout.classes is None and self._outputs is not None and sample.label >= self._outputs:
            self._warn(
                f'Sample "{sample.key}" has the label {sample.label}, but the model has '
                f"{self._outputs} outputs: the labels do not index them; leave labels out, or mend "
                "them."
            )
        if sample.image is not None and list(sample.image.shape) != list(shape):
            reason = f"shape {tuple(sample.image.shape)} where other samples have {tuple(shape)}"
            sample = replace(sample, image=None, reason=reason)
        if sample.image is None:
            self._require_lenience(sample)
        return sample

    def _require_lenience(self, sample: Sample) -> None:
        if self.strict:
            raise CodeclensError(
                f'Sample "{sample.key}" cannot be used: {sample.reason}; run without '
                "strict to skip it and keep the shards that are finished, or mend it and begin "
                "another store."
            )

    def _attribute(self, batch: Sequence[Sample], x: Tensor) -> Contributions:
        known = [sample.label for sample in batch]
        labels = torch.tensor(known, device=x.device) if max(known) >= 0 else None
        with _named(batch), self._device.precision():
            found = self.attributor(x, labels)
        self.uncovered.update(found.uncovered)
        return found

    def _compare_classes(self, prediction: np.ndarray[Any, Any], layout: Layout) -> None:
        """The classes of the data should be those of the model, if labels are to mean anything."""
        highest, classes = int(prediction.max()), layout.classes
        if classes is None or highest < len(classes):
            return
        sentence = (
            f"The model predicts class {highest}, but the data have {len(classes)} classes: "
            "their labels do not index the model's outputs; pass the names of all outputs as "
            "classes."
        )
        if isinstance(self.attributor.target, Label):
            raise CodeclensError(sentence)
        self._warn(sentence)

    def _warn(self, sentence: str) -> None:
        if not self._warned:
            _log.warning(sentence)
            self._warned = True


def versions() -> dict[str, str]:
    """The versions on which numbers depend."""
    import zarr

    return {
        # By name: the package imports this room, not this room the package.
        "codeclens": import_module("codeclens").__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "zarr": zarr.__version__,
    }


@contextmanager
def _named(batch: Sequence[Sample]) -> Iterator[None]:
    """Tell with a mistake in which samples it was met."""
    try:
        yield
    except CodeclensError as error:
        first, last = batch[0].key, batch[-1].key
        where = f'"{first}"' if len(batch) == 1 else f'"{first}" to "{last}"'
        raise CodeclensError(f"{error} (The batch was {where}.)") from error


def _changed(method: Any, prepared: Any) -> dict[str, Any]:
    """The fields of a method that its pilot filled in."""
    if method is prepared or not is_dataclass(prepared):
        return {}
    values = {f.name: getattr(prepared, f.name) for f in fields(prepared) if f.init}
    return {name: v for name, v in values.items() if v != getattr(method, name)}


def _require_one_baseline(baseline: Baseline, x: Tensor) -> None:
    if isinstance(baseline, Given) and baseline.values.ndim >= x.ndim and len(baseline.values) != 1:
        raise CodeclensError(
            f"The baseline has shape {tuple(baseline.values.shape)}; for a whole data set pass one "
            f"baseline for all samples, {tuple(x.shape[1:])}."
        )


def _images(batch: Sequence[Sample]) -> list[Tensor]:
    return [sample.image for sample in batch if sample.image is not None]
