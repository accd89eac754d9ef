"""Tensors, data sets and loaders as numbered samples."""

from __future__ import annotations

import errno
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    WeightedRandomSampler,
)

from codeclens import CodeclensError
from codeclens._compat import import_torchvision
from codeclens.extraction import DatasetSamples, SampleSource, as_samples
from codeclens.extraction.data import read_ahead


class Listed(Dataset[Any]):
    """A map-style data set of given items; exceptions among them are raised."""

    def __init__(self, items: list[Any], classes: list[str] | None = None) -> None:
        self.items = items
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


ONE = torch.ones(1, 2, 2)


def test_a_tensor_is_read_by_rows(x: Tensor) -> None:
    samples = as_samples(x)
    sample = samples.load(7)
    assert len(samples) == 50
    assert (sample.index, sample.key, sample.label, sample.reason) == (7, "7", -1, "")
    assert torch.equal(sample.image, x[7])


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_labels_come_with_a_tensor_or_array(kind: Any) -> None:
    samples = as_samples((np.zeros((3, 1, 2, 2), dtype=np.float32), kind([2, -1, 1])))
    assert [samples.load(i).label for i in range(3)] == [2, -1, 1]


def test_read_only_and_foreign_arrays_are_read() -> None:
    array = np.arange(8, dtype=">f4").reshape(2, 4)
    array.flags.writeable = False
    assert as_samples(array).load(1).image.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "item", [ONE, (ONE,), (ONE, 3), [ONE, torch.tensor(3)], (ONE.numpy(), np.int64(3)), (ONE, None)]
)
def test_items_of_a_data_set_are_images_or_pairs(item: Any) -> None:
    sample = as_samples(Listed([item])).load(0)
    assert torch.equal(sample.image, ONE)
    labelled = isinstance(item, tuple | list) and len(item) == 2 and item[1] is not None
    assert sample.label == (3 if labelled else -1)


def test_a_list_of_tensors_is_a_data_set() -> None:
    assert len(as_samples([ONE, ONE])) == 2


def test_a_loader_is_seen_through(x: Tensor, labels: Tensor) -> None:
    samples = as_samples(DataLoader(TensorDataset(x, labels), batch_size=7))
    assert len(samples) == 50
    assert samples.load(3).label == 3


def test_class_names_of_a_data_set_are_taken() -> None:
    assert as_samples(Listed([ONE], ["cat", "dog"])).classes == ["cat", "dog"]
    assert as_samples(Listed([ONE])).classes is None


def test_samples_stay_as_they_are(x: Tensor) -> None:
    samples = as_samples(x)
    assert as_samples(samples) is samples


@pytest.mark.parametrize("error", [OSError("broken"), ValueError("broken"), KeyError("broken")])
def test_an_unreadable_sample_is_recorded(error: Exception) -> None:
    sample = as_samples(Listed([error])).load(0)
    assert sample.image is None
    assert type(error).__name__ in sample.reason
    assert "broken" in sample.reason


def test_a_reason_is_short_and_holds_no_addresses() -> None:
    sample = as_samples(Listed([OSError(f"in\n{object()!r} " + "x" * 1000)])).load(0)
    assert "0x" not in sample.reason
    assert "\n" not in sample.reason
    assert len(sample.reason) <= 200


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_no_numbers_are_recorded(value: float) -> None:
    image = ONE.clone()
    image[0, 1, 1] = value
    sample = as_samples(Listed([(image, 4)])).load(0)
    assert sample.image is None
    assert sample.label == 4
    assert "NaN or infinite" in sample.reason


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError(errno.EMFILE, "too many open files"), CodeclensError("no")]
)
def test_what_is_wrong_with_the_machine_is_not_recorded(error: Exception) -> None:
    with pytest.raises(type(error)):
        as_samples(Listed([error])).load(0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("pictures", 'The path "pictures" alone is not data; pass ImageFolder'),
        (42, "type int cannot be read by index"),
        ({1, 2}, "type set cannot be read by index"),
        (Stream(), "type Stream cannot be read by index"),
        (DataLoader(Stream()), "Stream, cannot be read by index"),
        (DataLoader(Listed([ONE]), collate_fn=list), "its own collate_fn"),
        (torch.zeros(0, 3, 4, 4), "no samples"),
        (Listed([]), "no samples"),
        (torch.zeros(5), r"shape \(5,\)"),
        (torch.zeros(5, 3, 4, 4, dtype=torch.uint8), r"type uint8 and shape \(5, 3, 4, 4\)"),
        (np.zeros((5, 3), dtype=np.int64), "type int64"),
        ((torch.zeros(3, 2), [0, 1]), r"Labels of shape \(2,\) and type int64 do not fit 3"),
        ((torch.zeros(2, 2), [0.5, 1]), "type float64 do not fit 2 samples"),
        ((torch.zeros(2, 2), [0, -2]), "Labels contain -2"),
    ],
)
def test_unsuitable_data_are_refused(data: Any, words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        as_samples(data)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"picture": ONE}, 'no column "image", only picture; pass DatasetSamples'),
        ({"image": "a.jpg"}, 'Sample "0" is a str, not a tensor'),
        ("a.jpg", 'Sample "0" is a str'),
        (torch.ones(2, 2, dtype=torch.uint8), "type uint8"),
        ((ONE, "cat"), "label 'cat'"),
        ((ONE, 0.5), r"label 0\.5"),
        ((ONE, torch.zeros(2)), "a label must be one integer"),
        ((ONE, -7), "label -7"),
    ],
)
def test_unsuitable_items_are_refused(item: Any, words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        as_samples(Listed([item])).load(0)


def test_descriptions_differ_between_data(x: Tensor, labels: Tensor) -> None:
    def described(data: Any) -> Any:
        return as_samples(data).describe()

    other = x.clone()
    other[49, 2, 7, 7] += 1e-3
    assert described(x) == described(x.numpy())
    assert described(x)["content"] != described(other)["content"]
    assert described((x, labels)) != described((x, labels.flip(0)))
    assert described(list(x)) == described(list(x))
    assert described(list(x)) != described(list(other))
    assert described(list(x)) != described(list(x[:49]))


def test_a_random_data_set_is_refused() -> None:
    class Noise(Listed):
        def __getitem__(self, index: int) -> Any:
            return ONE + np.random.default_rng().normal()

    with pytest.raises(CodeclensError, match=r'Sample "0" differs when it is read twice; remove'):
        as_samples(Noise([0, 0])).describe()


def test_reading_ahead_keeps_the_order_and_is_bounded() -> None:
    started: list[int] = []

    class Slow(SampleSource):
        threads = 3

        def __len__(self) -> int:
            return 40

        def read(self, index: int) -> tuple[Any, Any]:
            started.append(index)
            time.sleep(0.002 * (index % 3))
            return torch.full((1, 2), float(index)), index

        def describe(self) -> dict[str, Any]:
            return {}

    seen = []
    for sample in read_ahead(Slow(), range(40), ahead=8):
        seen.append(sample.label)
        assert len(started) <= len(seen) + 8
    assert seen == list(range(40))


def test_reading_ahead_stops_its_threads_when_left() -> None:
    stream = read_ahead(as_samples(torch.zeros(100, 2)), range(100), ahead=4)
    next(stream)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("codeclens-read")]


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
