"""Data: tensors, data sets and loaders as numbered samples with a key, a label and an image."""

from __future__ import annotations

import errno
import operator
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    SequentialSampler,
    default_collate,
    default_convert,
)

from codeclens.attribution import Inputs, SharedValue
from codeclens.errors import CodeclensError, require_number
from codeclens.extraction.fingerprint import array_digest, describe, digest, without_addresses
from codeclens.pictures import as_rgb

# Errors of the machine, not of a sample: skipping the sample would lose good data.
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN}
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Sample:
    """One sample: `image` has no batch axis, and is None if the sample is skipped for a `reason`.

    For a model with several inputs or token ids it is a batch of one, `Inputs`.

    `label` is −1 if unknown.
    """

    index: int
    key: str
    label: int
    image: Any
    reason: str = ""


class SampleSource(ABC):
    """Numbered samples that `extract` reads.

    `load(i)` always returns the same sample `i`; a sample that cannot be read has a reason instead
    of an image. `classes` are the names of the labels, and `threads` is the number of samples that
    may be loaded at the same time.
    """

    classes: list[str] | None = None
    threads: int = 1
    # Whether the classes are known not to be the outputs of the model.
    own_classes: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> tuple[Any, Any]:
        """The image and the label of one sample; raises any exception if it cannot be read."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The fingerprint of the data, in JSON."""

    def key(self, index: int) -> str:
        """The name of a sample: its index, or its relative path."""
        return str(index)

    def label(self, index: int) -> int:
        """The label, if it is known without reading the sample, else −1."""
        return -1

    def load(self, index: int) -> Sample:
        """Read one sample; raises CodeclensError only for errors that concern all samples."""
        key = self.key(index)
        try:
            image, label = self.read(index)
        except (CodeclensError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _MACHINE:
                raise
            return Sample(index, key, self.label(index), None, self.reason(error))
        number = _as_label(label, key)
        if isinstance(image, Inputs):
            return Sample(index, key, number, image)
        tensor = _as_tensor(image, key)
        if not bool(torch.isfinite(tensor).all()):
            return Sample(index, key, number, None, "the image holds NaN or infinite values")
        return Sample(index, key, number, tensor)

    def reason(self, error: Exception) -> str:
        """Why a sample could not be read, in one line that is the same on every machine."""
        text = without_addresses(" ".join(str(error).split()))
        name = type(error).__name__
        return (f"{name}: {text}" if text else name)[:_LONGEST_REASON]

    def probe(self) -> str:
        """A digest of the first, middle and last sample, as the model receives them.

        Raises CodeclensError if a sample differs when it is read again.
        """
        last = len(self) - 1
        found = []
        for index in sorted({0, last // 2, last}):
            once, again = (_sample_digest(self.load(index)) for _ in range(2))
            if once != again:
                raise CodeclensError(
                    f'Sample "{self.key(index)}" differs when it is read twice; remove random '
                    "crops, flips and noise from the data set's transform."
                )
            found.append(once.encode())
        return digest(found)


class ArraySamples(SampleSource):
    """The rows of a tensor or array `(N, …)`, with labels `(N,)` or without."""

    def __init__(self, x: Tensor | np.ndarray[Any, Any], labels: Any = None) -> None:
        if x.ndim < 2:
            raise CodeclensError(
                f"The data have shape {tuple(x.shape)}; pass (samples, channels, height, width) "
                "or (samples, features)."
            )
        self.x = x
        self.labels = None if labels is None else as_labels(labels, len(x))
        require_floating(x, "The data")

    def __len__(self) -> int:
        return len(self.x)

    def label(self, index: int) -> int:
        return -1 if self.labels is None else int(self.labels[index])

    def read(self, index: int) -> tuple[Any, Any]:
        return self.x[index], self.label(index)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "array",
            "samples": len(self),
            "shape": list(self.x.shape),
            "dtype": str(self.x.dtype).removeprefix("torch."),
            "content": array_digest(self.x),
            "labels": None if self.labels is None else array_digest(self.labels),
        }


class InputSamples(SampleSource):
    """The samples of `Inputs`, or of a dict of tensors by argument, with labels or without.

    >>> samples = InputSamples({"input_ids": torch.tensor([[3, 1], [4, 1]])}, [0, 1])
    >>> samples.load(1).image.values["input_ids"], samples.load(1).label
    (tensor([[4, 1]]), 1)
    """

    def __init__(self, x: Inputs | Mapping[str, Any], labels: Any = None) -> None:
        given = Inputs.of(x)
        assert isinstance(given, Inputs)
        self.x = given
        self.labels = None if labels is None else as_labels(labels, len(given))

    def __len__(self) -> int:
        return len(self.x)

    def label(self, index: int) -> int:
        return -1 if self.labels is None else int(self.labels[index])

    def read(self, index: int) -> tuple[Any, Any]:
        return self.x[index : index + 1], self.label(index)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "inputs",
            "samples": len(self),
            "inputs": {str(place): describe(value) for place, value in self.x.values.items()},
            "labels": None if self.labels is None else array_digest(self.labels),
        }


class WithArguments(SampleSource):
    """Samples with the keyword arguments that a model takes besides.

    Tensors with a row for each sample belong to the samples (`SharedValue` says otherwise);
    everything else is passed as it is. Raises CodeclensError for a name that is an input already.

    >>> samples = WithArguments(ArraySamples(torch.zeros(3, 2)), {"scale": torch.ones(3, 1)})
    >>> samples.load(1).image
    Inputs(0: (1, 2), scale: (1, 1))
    """

    def __init__(self, samples: SampleSource, model_kwargs: Mapping[str, Any]) -> None:
        self.samples = samples
        self.model_kwargs = dict(model_kwargs)
        self.classes, self.threads = samples.classes, samples.threads
        self.own_classes = samples.own_classes

    def __len__(self) -> int:
        return len(self.samples)

    def key(self, index: int) -> str:
        return self.samples.key(index)

    def label(self, index: int) -> int:
        return self.samples.label(index)

    def read(self, index: int) -> tuple[Any, Any]:
        return self.samples.read(index)

    def load(self, index: int) -> Sample:
        found = self.samples.load(index)
        if found.image is None:
            return found
        x = found.image if isinstance(found.image, Inputs) else found.image[None]
        return replace(found, image=Inputs.of(x, self._of(index)))

    def describe(self) -> dict[str, Any]:
        given = {
            name: describe(value.value if isinstance(value, SharedValue) else value)
            for name, value in self.model_kwargs.items()
        }
        return {**self.samples.describe(), "model_kwargs": given}

    def _of(self, index: int) -> dict[str, Any]:
        """The keyword arguments of one sample, as a batch of one."""
        found: dict[str, Any] = {}
        for name, value in self.model_kwargs.items():
            if isinstance(value, Tensor) and value.ndim and len(value) == len(self):
                found[name] = value[index : index + 1]
            else:
                found[name] = value if isinstance(value, SharedValue) else SharedValue(value)
        return found


def read_ahead(
    samples: SampleSource, indices: Iterable[int], ahead: int
) -> Generator[Sample, None, None]:
    """Yield samples in order while threads load the next ones, at most `ahead` at a time."""
    pending: deque[Future[Sample]] = deque()
    pool = ThreadPoolExecutor(samples.threads, thread_name_prefix="codeclens-read")
    try:
        for index in indices:
            pending.append(pool.submit(samples.load, index))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def spread(count: int, limit: int | None) -> range | list[int]:
    """`limit` of the indices below `count`, evenly spaced; all of them without a limit.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    if limit is None:
        return range(count)
    require_number("limit", limit, least=1, whole=True)
    if limit >= count:
        return range(count)
    return [i * count // limit for i in range(limit)]


def stratified(
    labels: Sequence[int] | np.ndarray[Any, Any], limit: int | None, seed: int = 0
) -> range | list[int]:
    """`limit` rows drawn at random from rows with these labels, in ascending order.

    Every label has its share of the rows, and at least one row if `limit` allows. Within a label,
    one row is drawn from each of equal parts of its rows, so that periodic data are not sampled at
    one phase. Without a limit, all rows.

    >>> rows = stratified([0, 1, 2] * 20, 6)
    >>> len(rows), sorted(row % 3 for row in rows)
    (6, [0, 0, 1, 1, 2, 2])
    """
    if limit is None:
        return range(len(labels))
    require_number("limit", limit, least=1, whole=True)
    if limit >= len(labels):
        return range(len(labels))
    array = np.asarray(labels)
    rng = np.random.default_rng(seed)
    kinds, sizes = np.unique(array, return_counts=True)
    shares = sizes * (limit / len(array))
    counts = np.floor(shares).astype(int)
    if limit >= len(kinds):
        counts = np.maximum(counts, 1)
    # Largest remainders first, ties at random; rare labels that were rounded up are paid for by
    # the most common ones.
    order = rng.permutation(len(kinds))
    while counts.sum() < limit:
        counts[order[np.argmax((shares - counts)[order])]] += 1
    while counts.sum() > limit:
        counts[order[np.argmax(np.where(counts > 1, counts - shares, -np.inf)[order])]] -= 1
    chosen: list[int] = []
    for kind, count in zip(kinds, counts, strict=True):
        rows = np.flatnonzero(array == kind)
        edges = np.arange(count + 1) * len(rows) // max(count, 1)
        chosen += [int(rows[rng.integers(a, b)]) for a, b in pairwise(edges)]
    return sorted(chosen)


def to_tensor(image: Image.Image) -> Tensor:
    """Pixels `(3, H, W)` in 0 … 1."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32) / np.float32(255))
    return pixels.permute(2, 0, 1).contiguous()


def _as_tensor(image: Any, key: str) -> Tensor:
    if isinstance(image, np.ndarray):
        # torch accepts neither read-only arrays nor arrays in another byte order.
        image = torch.from_numpy(np.array(image, dtype=image.dtype.newbyteorder("=")))
    if not isinstance(image, Tensor):
        raise CodeclensError(
            f'Sample "{key}" is a {type(image).__name__}, not a tensor or (tensor, label); give '
            "the data set a transform that returns the model's input."
        )
    require_floating(image, f'Sample "{key}"')
    return image.detach()


def require_floating(x: Tensor | np.ndarray[Any, Any], what: str) -> None:
    """Raise CodeclensError, in which `what` names the values, unless they are floating-point."""
    floating = (
        x.is_floating_point() if isinstance(x, Tensor) else np.issubdtype(x.dtype, np.floating)
    )
    if not floating:
        raise CodeclensError(
            f"{what} of type {str(x.dtype).removeprefix('torch.')} and shape {tuple(x.shape)} "
            "cannot be explained; pass floating-point values, scaled as the model expects."
        )


def _as_label(label: Any, key: str) -> int:
    if label is None:
        return -1
    try:
        scalar: Any = label.item() if isinstance(label, Tensor | np.ndarray) else label
        number = operator.index(scalar)
    except (TypeError, ValueError, RuntimeError):
        raise CodeclensError(
            f'Sample "{key}" has the label {label!r}; a label must be one integer, −1 if unknown.'
        ) from None
    if number < -1:
        raise CodeclensError(f'Sample "{key}" has the label {number}; use −1 if unknown.')
    return number


def as_labels(labels: Tensor | np.ndarray[Any, Any] | Sequence[int], count: int) -> Any:
    """Labels `(count,)` of samples, checked."""
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if array.shape != (count,) or not np.issubdtype(array.dtype, np.integer):
        raise CodeclensError(
            f"Labels of shape {array.shape} and type {array.dtype} do not fit {count} samples; "
            "pass one integer for each sample."
        )
    if array.min(initial=0) < -1:
        raise CodeclensError(f"Labels contain {array.min()}; use −1 if unknown.")
    return array.astype(np.int64)


def _sample_digest(sample: Sample) -> str:
    content = sample.reason if sample.image is None else str(describe(sample.image))
    if isinstance(sample.image, Tensor):
        content = array_digest(sample.image)
    return digest([f"{sample.key}\n{sample.label}\n{content}".encode()])


# The usual names of columns in image data sets.
_IMAGES = ("image", "img", "pixel_values", "jpg", "png", "x")
_COLLATED = (default_collate, default_convert)
_LABELS = ("label", "labels", "fine_label", "cls", "target", "y")


class DatasetSamples(SampleSource):
    """A map-style data set: of torchvision, of Hugging Face's `datasets`, or your own.

    An item is an image, (image, label), or a table row: a mapping with an image and possibly a
    label in the columns named by `image` and `label`, or in columns with usual names. An image is
    a tensor or array in the form that the model expects, or a Pillow image, which is turned
    upright, converted to RGB and passed through `transform`. One thread reads the data, because
    data sets need not be thread-safe.

    >>> rows = [{"image": Image.new("RGB", (6, 4)), "label": 1}]
    >>> sample = DatasetSamples(rows).load(0)
    >>> sample.image.shape, sample.label
    (torch.Size([3, 4, 6]), 1)
    """

    def __init__(
        self,
        dataset: Any,
        transform: Callable[[Image.Image], Any] | None = None,
        image: str | None = None,
        label: str | None = None,
    ) -> None:
        self.dataset = dataset
        self.transform = transform
        self.image_column = image
        self.label_column = label
        self.classes = self._class_names()

    def __len__(self) -> int:
        return len(self.dataset)

    def read(self, index: int) -> tuple[Any, Any]:
        image, label = self._parts(self.dataset[index])
        if isinstance(image, Image.Image):
            image = (self.transform or to_tensor)(as_rgb(image))
        return image, label

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "data set",
            "class": type(self.dataset).__qualname__,
            "samples": len(self),
            "transform": describe(self.transform),
            "pixels": self.probe(),
        }

    def _parts(self, item: Any) -> tuple[Any, Any]:
        if isinstance(item, Mapping):
            image = _column(item, self.image_column, _IMAGES)
            label = _column(item, self.label_column, _LABELS)
            for name, column, asked in (
                ("image", image, self.image_column or "image"),
                ("label", label, self.label_column),
            ):
                if column is None and asked is not None:
                    raise CodeclensError(
                        f'The data have no column "{asked}", only {", ".join(map(str, item))}; '
                        f'pass DatasetSamples(data, {name}="COLUMN").'
                    )
            return item[image], -1 if label is None else item[label]
        if isinstance(item, tuple | list) and len(item) in (1, 2):
            return item[0], item[1] if len(item) == 2 else -1
        return item, -1

    def _class_names(self) -> list[str] | None:
        names = getattr(self.dataset, "classes", None)
        features = getattr(self.dataset, "features", None)
        if isinstance(features, Mapping):
            column = _column(features, self.label_column, _LABELS)
            names = names if column is None else getattr(features[column], "names", names)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            return list(names)
        return None


def as_samples(data: Any, model_kwargs: Mapping[str, Any] | None = None) -> SampleSource:
    """Data as numbered samples, with the keyword arguments of the model, if there are any.

    `data` is a tensor or array `(N, …)`, a tuple of one and its labels `(N,)`, several inputs (a
    dict of tensors, or `Inputs`), alone or in such a tuple, a map-style data set (see
    `DatasetSamples`), a DataLoader that keeps the order of such a data set (its batches are
    ignored), or a `SampleSource` such as an `ImageFolder`. Raises CodeclensError for anything else,
    and for data without samples.

    >>> import torch
    >>> samples = as_samples((torch.zeros(3, 1, 8, 8), [2, 0, 1]))
    >>> len(samples), samples.load(0).label, samples.load(0).image.shape
    (3, 2, torch.Size([1, 8, 8]))
    """
    samples = _as_source(data)
    if not len(samples):
        raise CodeclensError("The data contain no samples.")
    return WithArguments(samples, model_kwargs) if model_kwargs else samples


def _column(row: Mapping[Any, Any], asked: str | None, usual: tuple[str, ...]) -> str | None:
    names = usual if asked is None else (asked,)
    return next((name for name in names if name in row), None)


def _as_source(data: Any) -> SampleSource:
    if isinstance(data, SampleSource):
        return data
    if isinstance(data, Tensor | np.ndarray):
        return ArraySamples(data)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor | np.ndarray):
        return ArraySamples(*data)
    if isinstance(data, Inputs | Mapping):
        return InputSamples(data)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Inputs | Mapping):
        return InputSamples(*data)
    if isinstance(data, str | os.PathLike):
        raise CodeclensError(
            f'The path "{os.fspath(data)!s}" alone is not data; pass '
            "ImageFolder(path, transform) with the model's transform."
        )
    if hasattr(data, "dataset") and not hasattr(data, "__getitem__"):
        return DatasetSamples(_dataset_of(data))
    if isinstance(data, IterableDataset) or not (
        hasattr(data, "__getitem__") and hasattr(data, "__len__")
    ):
        raise CodeclensError(
            f"Data of type {type(data).__name__} cannot be read by index; pass a tensor (N, …), a "
            "tuple (tensor, labels), a map-style data set or an ImageFolder."
        )
    return DatasetSamples(data)


def _dataset_of(loader: Any) -> Any:
    dataset = loader.dataset
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__getitem__"):
        raise CodeclensError(
            f"The loader's data set, {type(dataset).__name__}, cannot be read by index; pass a "
            "map-style data set, so that an interrupted run can resume."
        )
    if isinstance(loader, DataLoader) and loader.collate_fn not in _COLLATED:
        raise CodeclensError(
            "The loader has its own collate_fn, which may change samples; pass a data set whose "
            "items are the model's inputs."
        )
    if isinstance(loader, DataLoader) and not _keeps_order(loader):
        sampler = type(loader.sampler).__name__
        raise CodeclensError(
            f"The loader has its own order of samples ({sampler}), but a store keeps the order "
            "of the data; pass its data set, or a loader without shuffle and sampler."
        )
    return dataset


def _keeps_order(loader: DataLoader[Any]) -> bool:
    batches: Any = loader.batch_sampler
    plain = batches is None or (
        type(batches) is BatchSampler and isinstance(batches.sampler, SequentialSampler)
    )
    return plain and isinstance(loader.sampler, SequentialSampler)
