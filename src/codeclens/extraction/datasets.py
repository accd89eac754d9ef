"""Data sets: map-style ones, whose items are images, pairs or rows of a table, and loaders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
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

from codeclens.errors import CodeclensError
from codeclens.extraction.data import ArraySamples, Samples
from codeclens.extraction.fingerprint import describe
from codeclens.extraction.images import as_rgb, to_tensor

# What columns are called in the tables of image data sets.
_IMAGES = ("image", "img", "pixel_values", "jpg", "png", "x")
_COLLATED = (default_collate, default_convert)
_LABELS = ("label", "labels", "fine_label", "cls", "target", "y")


class DatasetSamples(Samples):
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


def as_samples(data: Any) -> Samples:
    """See data as numbered samples.

    `data` is a tensor or array `(N, …)`, a tuple of one and its labels `(N,)`, a map-style data
    set (see `DatasetSamples`), a DataLoader over one that keeps its order (its batches are not
    used), or `Samples` such as an `ImageFolder`. Raises CodeclensError for anything else.

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


def _seen_as_samples(data: Any) -> Samples:
    if isinstance(data, Samples):
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
