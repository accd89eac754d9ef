"""Shards: consecutive samples of the data, and the arrays computed from them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from itertools import islice
from typing import Any

import numpy as np
import torch

from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Baseline,
    Contributions,
    Given,
    Inputs,
    Label,
    SiteContributions,
)
from codeclens.attribution.capture import frozen, run, same_randomness
from codeclens.errors import CodeclensError
from codeclens.extraction.computing import Computing, folded
from codeclens.extraction.data import Sample, SampleSource
from codeclens.extraction.layout import SAMPLE_ARRAYS, UNIT_ARRAYS, Layout, SiteEntry, group_names
from codeclens.extraction.maps import SIGNED, WHOLE, Positions, map_shape, maps_of

Arrays = dict[str, np.ndarray[Any, Any]]
_log = logging.getLogger(__name__)
# The axis of samples cannot be recognized from one sample, if another axis has length 1.
_SURVEYED = 2


@dataclass(frozen=True)
class ShardOptions:
    """How shards are computed: samples in a batch, what is kept of positions, and precision.

    With `strict` a sample that cannot be used is an error; otherwise it is skipped.
    """

    batch_size: int
    strict: bool = False
    positions: Positions = None
    computing: Computing = field(default_factory=Computing)

    @property
    def samples_ahead(self) -> int:
        """How many samples are read while a batch is computed: two batches."""
        return 2 * self.batch_size


def blank(layout: Layout, rows: int) -> Arrays:
    """The arrays of a shard, filled with the values of skipped samples."""
    arrays: Arrays = {}
    for name, (dtype, row) in layout.arrays.items():
        fill = SAMPLE_ARRAYS[name][1] if name in SAMPLE_ARRAYS else np.nan
        arrays[name] = np.full((rows, *row), fill, dtype=object if dtype == "str" else dtype)
    return arrays


def insert(found: Contributions, arrays: Arrays, rows: list[int], layout: Layout) -> None:
    """Write the contributions of a batch to these rows of a shard's arrays."""
    if list(found) != [site.key for site in layout.sites]:
        raise CodeclensError(
            f"The model now has the sites {', '.join(found)}; the store was begun with "
            f"{', '.join(site.key for site in layout.sites)}. Choose sites that every input "
            "reaches."
        )
    for name in ("prediction", "target", "baseline_target", "estimate", "steps"):
        values = getattr(found, name)
        if values is not None:
            arrays[name][rows] = values.cpu().numpy()
    for site in layout.sites:
        at_site = found[site.key]
        parts = {part: getattr(at_site, part) for part in (*UNIT_ARRAYS, "completeness")}
        if at_site.full is not None:
            parts |= maps_of(at_site.site, at_site.full, site.maps, site.grid)
        for part, values in parts.items():
            name, what = f"sites/{site.group}/{part}", f'"{part}" at {site.key}'
            arrays[name][rows] = _narrowed(values.cpu().numpy(), arrays[name].dtype, what)


def _narrowed(
    values: np.ndarray[Any, Any], dtype: np.dtype[Any], what: str
) -> np.ndarray[Any, Any]:
    """Values in the data type of the store; raises CodeclensError if they exceed its range."""
    largest, limit = float(np.abs(values).max(initial=0)), float(np.finfo(dtype).max)
    if largest > limit:
        raise CodeclensError(
            f"Values of {what} reach {largest:.3g}, above the limit of {dtype} ({limit:.3g}); "
            'extract to another path with dtype="float32".'
        )
    return values.astype(dtype)


class ShardMaker:
    """Computes the shards of a data set, each from its own samples only.

    Every shard begins a new batch, and batches are cut by the positions of the samples, usable or
    not. So a shard does not depend on what was computed before it. `uncovered` names the
    operations, met in the last shard, for which the method has no rule.
    """

    def __init__(
        self, samples: SampleSource, attributor: Attributor, options: ShardOptions
    ) -> None:
        self.samples = samples
        self.attributor = attributor
        self.options = options
        # The caller's model, before batch norms are folded in a copy.
        self.model = attributor.model
        self.uncovered: set[str] = set()
        self._device = options.computing.on(attributor.model)
        self._outputs: int | None = None
        self._warned = False
        self._folded = False

    @property
    def device(self) -> str:
        """The device of the model."""
        return str(self._device.device)

    @property
    def made_by(self) -> dict[str, Any]:
        """How the last shard was computed, for its record."""
        return {
            "batch_size": self.options.batch_size,
            "device": self.device,
            "versions": versions(),
            "uncovered": sorted(self.uncovered),
        }

    def learn(self) -> dict[str, Any]:
        """The metadata of a new store that depend on the data, from a few samples spread over it.

        They are the shape of a sample, the sites, and the options that the method fills in itself,
        such as the nodes of its path. All processes use them for all shards.
        """
        method = self.attributor.method
        pilot = self._pilot(max(method.pilot, _SURVEYED))
        x = self._stacked(pilot)
        _require_one_baseline(self.attributor.baseline, x)
        with _named(pilot), self._device.precision():
            self._fold(x)
            self.attributor = self.attributor.prepared(x)
            self._count_outputs(x)
        # Any method finds the numbers of units; this one is the cheapest.
        cheapest = self.attributor.replaced(method=ActivationGradient())
        found = self._attribute(cheapest, pilot[:1])
        sites = [
            self._entry(found[key], group)
            for key, group in zip(found, group_names(found), strict=True)
        ]
        return {
            "sample_shape": list(_shape(pilot[0].image)),
            "outputs": self._outputs,
            "sites": [asdict(site) for site in sites],
            "learned": _filled_in(method, self.attributor.method),
        }

    def resume(self, learned: dict[str, Any]) -> None:
        """Use the options that `learn` found when the store was begun."""
        if learned:
            method: Any = self.attributor.method
            self.attributor = self.attributor.replaced(method=replace(method, **learned))
        x = self._stacked(self._pilot(_SURVEYED))
        with self._device.precision():
            self._fold(x)
            self.attributor = self.attributor.prepared(x)
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

        `shape` is the required shape of a sample. `advance` is called after each batch with its
        number of samples.
        """
        self.uncovered = set()
        rows = layout.rows(shard)
        arrays = blank(layout, len(rows))
        batches = self._batches(rows, stream, layout, shape)
        for batch, x in self._device.fed(batches, _images):
            for sample in batch:
                row = sample.index - rows.start
                arrays["sample"][row] = sample.index
                arrays["key"][row] = sample.key
                arrays["label"][row] = sample.label
                arrays["reason"][row] = sample.reason
                arrays["valid"][row] = sample.image is not None
            if x is not None:
                usable = [sample for sample in batch if sample.image is not None]
                found = self._attribute(self.attributor, usable, x)
                insert(found, arrays, [sample.index - rows.start for sample in usable], layout)
                self._compare_classes(arrays["prediction"], layout)
            advance(len(batch))
        return arrays

    def _batches(
        self, rows: range, stream: Iterator[Sample], layout: Layout, shape: Sequence[int]
    ) -> Iterator[list[Sample]]:
        size = self.options.batch_size
        for start in range(0, len(rows), size):
            count = min(size, len(rows) - start)
            yield [self._checked(sample, shape, layout) for sample in islice(stream, count)]

    def _fold(self, x: Any) -> None:
        """Compute with a copy of the model whose batch norms are folded, if asked to."""
        if self.options.computing.fold_batchnorm and not self._folded:
            old = self.attributor
            model = folded(old.model, x[:_SURVEYED], old.sites, old.output)
            self.attributor = old.replaced(model=model)
            self._folded = True

    def _count_outputs(self, x: Any) -> None:
        """Note the number of classes, if the model's output has one row for each sample."""
        model = self.attributor.model
        with frozen(model), same_randomness(model), torch.no_grad():
            output = run(model, x, self.attributor.output)
        self._outputs = output.shape[1] if output.ndim == 2 else None

    def _entry(self, found: SiteContributions, group: str) -> SiteEntry:
        units = found.positive.shape[1]
        entry = SiteEntry(found.site.key, group, units, found.is_cut)
        positions = self.options.positions
        if positions is None or found.full is None:
            return entry
        kept = map_shape(positions, found.site.grid(found.full))
        return replace(entry, maps=WHOLE if positions == "all" else SIGNED, grid=kept)

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
                    self._refuse_if_strict(sample)
                elif not found or _shape(sample.image) == _shape(_images(found)[0]):
                    found.append(sample)
                    break
        if not found:
            raise CodeclensError(f"None of the {total} samples can be used ({reason}).")
        return found

    def _stacked(self, batch: Sequence[Sample]) -> Any:
        return self._device.stacked(_images(batch))

    def _checked(self, sample: Sample, shape: Sequence[int], layout: Layout) -> Sample:
        if layout.classes is not None and sample.label >= len(layout.classes):
            raise CodeclensError(
                f'Sample "{sample.key}" has the label {sample.label}, but there are '
                f"{len(layout.classes)} classes; pass the names of all classes."
            )
        if layout.classes is None and self._outputs is not None and sample.label >= self._outputs:
            self._warn(
                f'Sample "{sample.key}" has the label {sample.label}, but the model has '
                f"{self._outputs} outputs: the labels do not index them; correct or omit the "
                "labels."
            )
        if sample.image is not None and list(_shape(sample.image)) != list(shape):
            reason = f"shape {_shape(sample.image)} where other samples have {tuple(shape)}"
            sample = replace(sample, image=None, reason=reason)
        if sample.image is None:
            self._refuse_if_strict(sample)
        return sample

    def _refuse_if_strict(self, sample: Sample) -> None:
        if self.options.strict:
            raise CodeclensError(
                f'Sample "{sample.key}" cannot be used: {sample.reason}; run without strict to '
                "skip it and keep the finished shards, or repair it and begin another store."
            )

    def _attribute(
        self, attributor: Attributor, batch: Sequence[Sample], x: Any = None
    ) -> Contributions:
        x = self._stacked(batch) if x is None else x
        known = [sample.label for sample in batch]
        labels = torch.tensor(known, device=x.device) if max(known) >= 0 else None
        with _named(batch), self._device.precision():
            found = attributor(x, labels)
        self.uncovered.update(found.uncovered)
        return found

    def _compare_classes(self, prediction: np.ndarray[Any, Any], layout: Layout) -> None:
        """Check that the classes of the data are those of the model's output."""
        highest, classes = int(prediction.max()), layout.classes
        if classes is None or highest < len(classes):
            return
        if isinstance(self.attributor.target, Label):
            raise CodeclensError(
                f"The model predicts class {highest}, but the data have {len(classes)} classes, so "
                "labels do not index the model's outputs; pass the names of all outputs as classes."
            )
        # Classes of the data's own, such as folders of photographs: nothing is wrong with them.
        _log.info("The %d classes of the data are not the outputs of the model.", len(classes))

    def _warn(self, sentence: str) -> None:
        if not self._warned:
            _log.warning(sentence)
            self._warned = True


def versions() -> dict[str, str]:
    """The versions of the packages that affect the numbers."""
    import zarr

    return {
        # Imported by name, because the package itself imports this module.
        "codeclens": import_module("codeclens").__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "zarr": zarr.__version__,
    }


@contextmanager
def _named(batch: Sequence[Sample]) -> Iterator[None]:
    """Add the keys of the batch to the message of an error."""
    try:
        yield
    except CodeclensError as error:
        first, last = batch[0].key, batch[-1].key
        where = f'"{first}"' if len(batch) == 1 else f'"{first}" to "{last}"'
        raise CodeclensError(f"{str(error).rstrip('.')} (in batch {where}).") from error


def _filled_in(method: Any, prepared: Any) -> dict[str, Any]:
    """The fields of a method that its pilot samples determined."""
    if method is prepared or not is_dataclass(prepared):
        return {}
    values = {f.name: getattr(prepared, f.name) for f in fields(prepared) if f.init}
    return {name: v for name, v in values.items() if v != getattr(method, name)}


def _require_one_baseline(baseline: Baseline, x: Any) -> None:
    if isinstance(x, Inputs):
        return
    if isinstance(baseline, Given) and baseline.values.ndim >= x.ndim and len(baseline.values) != 1:
        raise CodeclensError(
            f"The baseline has shape {tuple(baseline.values.shape)}; for a data set, pass one "
            f"baseline of shape {tuple(x.shape[1:])} for all samples."
        )


def _shape(image: Any) -> tuple[int, ...]:
    """The shape of one sample; of several inputs that of the tokens, or of the first."""
    if not isinstance(image, Inputs):
        return tuple(image.shape)
    tokens = image.tokens
    first = image.values[min(image.by_sample, key=str)] if tokens is None else tokens
    return tuple(first.shape[1:])


def _images(batch: Sequence[Sample]) -> list[Any]:
    return [sample.image for sample in batch if sample.image is not None]
