from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from codeclens import CodeclensError
from codeclens._compat import import_torchvision
from codeclens.extraction import DatasetSamples, as_samples

RED = Image.new("RGB", (6, 4), (255, 0, 0))


class Table:
    """What matters here of a data set of Hugging Face: rows as dicts, and what columns hold."""

    def __init__(self, image: str = "image", label: str = "label") -> None:
        self.features = {image: object(), label: SimpleNamespace(names=["cat", "dog"])}
        self.rows = [{image: RED, label: i % 2} for i in range(4)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


@pytest.mark.parametrize(("image", "label"), [("image", "label"), ("img", "fine_label")])
def test_rows_of_tables_are_images_and_labels(image: str, label: str) -> None:
    samples = as_samples(Table(image, label))
    assert samples.classes == ["cat", "dog"]
    assert [samples.load(i).label for i in range(4)] == [0, 1, 0, 1]
    assert samples.load(0).image[:, 0, 0].tolist() == [1, 0, 0]


def test_columns_may_be_named() -> None:
    samples = DatasetSamples(Table("photo", "kind"), image="photo", label="kind")
    assert samples.load(1).label == 1
    assert samples.classes == ["cat", "dog"]
    unlabelled = DatasetSamples([{"image": RED}]).load(0)
    assert unlabelled.label == -1
    with pytest.raises(CodeclensError, match='no column "kind", only image, label; pass'):
        DatasetSamples(Table(), label="kind").load(0)


def test_pictures_go_through_the_transform() -> None:
    seen: list[str] = []

    def transform(picture: Image.Image) -> Tensor:
        seen.append(picture.mode)
        return torch.ones(1, 2, 2)

    grey = Image.new("L", (4, 4))
    for item in (grey, (grey, 3), {"image": grey, "label": 3}):
        assert DatasetSamples([item], transform).load(0).image.shape == (1, 2, 2)
    assert seen == ["RGB"] * 3
    one, other = (DatasetSamples([grey], t).describe() for t in (transform, None))
    assert one != other


def test_data_sets_of_torchvision_are_read() -> None:
    made = import_torchvision().datasets.FakeData(5, (3, 8, 8), 3)
    samples = as_samples(made)
    assert len(samples) == 5
    for i in range(5):
        picture, label = made[i]
        sample = samples.load(i)
        pixels = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
        np.testing.assert_allclose(sample.image, pixels, rtol=1e-6)
        assert sample.label == int(label)


def test_loaders_that_keep_the_order_are_read() -> None:
    data = TensorDataset(torch.arange(8.0).reshape(4, 2), torch.tensor([3, 2, 1, 0]))
    for options in ({"batch_size": 3}, {"batch_size": None}):
        samples = as_samples(DataLoader(data, **options))
        assert [samples.load(i).label for i in range(4)] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("options", "sampler"),
    [
        ({"shuffle": True}, "RandomSampler"),
        ({"sampler": WeightedRandomSampler([1.0] * 4, 4)}, "WeightedRandomSampler"),
        ({"batch_sampler": [[1, 0], [3, 2]]}, "SequentialSampler"),
    ],
)
def test_loaders_with_an_order_of_their_own_are_refused(
    options: dict[str, Any], sampler: str
) -> None:
    data = TensorDataset(torch.zeros(4, 2))
    with pytest.raises(
        CodeclensError, match=rf"its own order of samples \({sampler}\).*pass its data set"
    ):
        as_samples(DataLoader(data, **options))
