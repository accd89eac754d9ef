"""Data: whatever a user has, seen as numbered samples with a key, a label and an image."""

from __future__ import annotations

import errno
import operator
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    SequentialSampler,
    default_collate,
    default_convert,
)

from codeclens.errors import CodeclensError
from codeclens.extraction.fingerprint import array_digest, describe, digest, without_addresses

# The state of the machine, not of one sample: recording these as skipped would lose good samples.
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN}
_LONGEST_REASON = 200


@dataclass(frozen=True)
class Sample:
    """One sample: `image` without a batch axis, or None with the `reason` why it is skipped.

    `label` is −1 where it is not known.
    """

    index: int
    key: str
    label: int
    image: Tensor | None
    reason: str = ""


class SampleSource(ABC):
    """Numbered samples: what `extract` reads from.

    `load(i)` gives sample `i`, always the same one; a sample that cannot be read comes with its
    reason and without an image. `classes` are names for the labels, and `threads` is how many
    samples may be loaded at once.
    """

    classes: list[str] | None = None
    threads: int = 1

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> tuple[Any, Any]:
        """The image and the label of one sample, or any exception if it cannot be read."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The fingerprint of the data, in JSON."""

    def key(self, index: int) -> str:
        """The name of a sample: its index, or its relative path."""
        return str(index)

    def label(self, index: int) -> int:
        """The label as far as it is known without reading the sample."""
        return -1

    def load(self, index: int) -> Sample:
        """Read one sample; raises CodeclensError only for what is wrong with all of them."""
        key = self.key(index)
        try:
            image, label = self.read(index)
        except (CodeclensError, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _MACHINE:
                raise
            return Sample(index, key, self.label(index), None, self.reason(error))
        tensor = _as_tensor(image, key)
        number = _as_label(label, key)
        if not bool(torch.isfinite(tensor).all()):
            return Sample(index, key, number, None, "the image holds NaN or infinite values")
        return Sample(index, key, number, tensor)

    def reason(self, error: Exception) -> str:
        """One line on why a sample could not be read, the same on every machine."""
        text = without_addresses(" ".join(str(error).split()))
        name = type(error).__name__
        return (f"{name}: {text}" if text else name)[:_LONGEST_REASON]

    def probe(self) -> str:
        """A digest of the first, middle and last sample as they reach the model.

        Raises CodeclensError where a sample comes out differently when it is read again.
        """
        last = len(self) - 1
        found = []
        for index in sorted({0, last // 2, last}):
            once, again = (_sample_digest(self.load(index)) for _ in range(2))
            if once != again:
                raise CodeclensError(
                    f'Sample "{self.key(index)}" comes out differently when it is read twice; '
                    "take random crops, flips and noise out of the data set's transform."
                )
            found.append(once.encode())
        return digest(found)


class ArraySamples(SampleSource):
    """The rows of a tensor or array `(N, …)`, with labels `(N,)` or without."""

    def __init__(self, x: Tensor | np.ndarray[Any, Any], labels: Any = None) -> None:
        if x.ndim < 2:
            raise CodeclensError(
                f"The data have shape {tuple(x.shape)}; pass (samples, channels, height, width), "
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


def read_ahead(
    samples: SampleSource, indices: Iterable[int], ahead: int
) -> Generator[Sample, None, None]:
    """Give samples in order while threads load the next ones, at most `ahead` at a time."""
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
    """`limit` of `count` numbers, spread evenly; all where there is no limit.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    if limit is not None and limit < 1:
        raise CodeclensError(f"limit={limit} keeps no images; pass a positive number.")
    if limit is None or limit >= count:
        return range(count)
    return [i * count // limit for i in range(limit)]


_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")


def as_rgb(picture: Image.Image) -> Image.Image:
    """A picture upright and in RGB."""
    image = ImageOps.exif_transpose(picture)
    if image.mode in _SIXTEEN_BITS:
        # Pillow would clip: everything brighter than 1/256 of the range would be white.
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def to_tensor(image: Image.Image) -> Tensor:
    """Pixels `(3, H, W)` in 0 … 1."""
    pixels = torch.from_numpy(np.array(image, dtype=np.float32) / np.float32(255))
    return pixels.permute(2, 0, 1).contiguous()


def _as_tensor(image: Any, key: str) -> Tensor:
    if isinstance(image, np.ndarray):
        # Arrays read from files may be read-only or of foreign byte order; torch takes neither.
        image = torch.from_numpy(np.array(image, dtype=image.dtype.newbyteorder("=")))
    if not isinstance(image, Tensor):
        raise CodeclensError(
            f'Sample "{key}" is a {type(image).__name__}, not a tensor or (tensor, label); give '
            "the data set a transform that returns what the model takes."
        )
    require_floating(image, f'Sample "{key}"')
    return image.detach()


def require_floating(x: Tensor | np.ndarray[Any, Any], what: str) -> None:
    """Raise CodeclensError, which tells `what` they are, where values have no gradient."""
    floating = (
        x.is_floating_point() if isinstance(x, Tensor) else np.issubdtype(x.dtype, np.floating)
    )
    if not floating:
        raise CodeclensError(
            f"{what} of type {str(x.dtype).removeprefix('torch.')} and shape {tuple(x.shape)} "
            "cannot be explained; pass floating-point values, scaled as the model takes them."
        )


def _as_label(label: Any, key: str) -> int:
    if label is None:
        return -1
    try:
        scalar: Any = label.item() if isinstance(label, Tensor | np.ndarray) else label
        number = operator.index(scalar)
    except (TypeError, ValueError, RuntimeError):
        raise CodeclensError(
            f'Sample "{key}" has the label {label!r}; a label is one integer, −1 if unknown.'
        ) from None
    if number < -1:
        raise CodeclensError(f'Sample "{key}" has the label {number}; use −1 for unknown.')
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
        raise CodeclensError(f"Labels hold {array.min()}; use −1 for unknown.")
    return array.astype(np.int64)


def _sample_digest(sample: Sample) -> str:
    content = sample.reason if sample.image is None else array_digest(sample.image)
    return digest([f"{sample.key}\n{sample.label}\n{content}".encode()])


# What columns are called in the tables of image data sets.
_IMAGES = ("image", "img", "pixel_values", "jpg", "png", "x")
_COLLATED = (default_collate, default_convert)
_LABELS = ("label", "labels", "fine_label", "cls", "target", "y")


class DatasetSamples(SampleSource):
    """A map-style data set: torchvision's, one of Hugging Face's `datasets`, or one's own.

    Items are an image, (image, label), or a row of a table: a mapping with an image and, perhaps, a
    label, in the columns `image` and `label`, or in those that are usually called so. Images are
    tensors or arrays, as the model takes them, or pictures of Pillow, which become RGB, upright,
    and go through `transform`. It is read by one thread, because data sets need not be safe for
    several.

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
            name = _column(item, self.image_column, _IMAGES)
            if name is None:
                wanted = self.image_column or "image"
                raise CodeclensError(
                    f"Rows of the data have the columns {', '.join(map(str, item))} and none "
                    f'called "{wanted}"; pass DatasetSamples(data, image="COLUMN").'
                )
            label = _column(item, self.label_column, _LABELS)
            if label is None and self.label_column is not None:
                raise CodeclensError(
                    f"Rows of the data have the columns {', '.join(map(str, item))} and none "
                    f'called "{self.label_column}", which should hold the labels.'
                )
            return item[name], -1 if label is None else item[label]
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


def as_samples(data: Any) -> SampleSource:
    """See data as numbered samples.

    `data` is a tensor or array `(N, …)`, a tuple of one and its labels `(N,)`, a map-style data
    set (see `DatasetSamples`), a DataLoader over one that keeps its order (its batches are not
    used), or `SampleSource` such as an `ImageFolder`. Raises CodeclensError for anything else.

    >>> import torch
    >>> samples = as_samples((torch.zeros(3, 1, 8, 8), [2, 0, 1]))
    >>> len(samples), samples.load(0).label, samples.load(0).image.shape
    (3, 2, torch.Size([1, 8, 8]))
    """
    samples = _seen_as_samples(data)
    if not len(samples):
        raise CodeclensError("The data hold no samples.")
    return samples


def _column(row: Mapping[Any, Any], asked: str | None, usual: tuple[str, ...]) -> str | None:
    names = usual if asked is None else (asked,)
    return next((name for name in names if name in row), None)


def _seen_as_samples(data: Any) -> SampleSource:
    if isinstance(data, SampleSource):
        return data
    if isinstance(data, Tensor | np.ndarray):
        return ArraySamples(data)
    if isinstance(data, tuple) and len(data) == 2 and isinstance(data[0], Tensor | np.ndarray):
        return ArraySamples(*data)
    if isinstance(data, str | os.PathLike):
        raise CodeclensError(
            f'Data cannot be the path "{os.fspath(data)!s}" alone; pass '
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
            f"The loader reads {type(dataset).__name__}, which has no samples by index; "
            "pass a map-style data set, so that an interrupted run can resume."
        )
    if isinstance(loader, DataLoader) and loader.collate_fn not in _COLLATED:
        raise CodeclensError(
            "The loader has a collate_fn of its own, which may change samples; pass a data set "
            "whose items are already what the model takes."
        )
    if isinstance(loader, DataLoader) and not _keeps_order(loader):
        sampler = type(loader.sampler).__name__
        raise CodeclensError(
            f"The loader takes samples in an order of its own ({sampler}), and a store is in the "
            "order of the data; pass its data set, or a loader without shuffle and sampler."
        )
    return dataset


def _keeps_order(loader: DataLoader[Any]) -> bool:
    batches: Any = loader.batch_sampler
    plain = batches is None or (
        type(batches) is BatchSampler and isinstance(batches.sampler, SequentialSampler)
    )
    return plain and isinstance(loader.sampler, SequentialSampler)
