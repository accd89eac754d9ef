"""Stores in object storage: the same bytes as on disk, whoever writes and is interrupted."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import numpy as np
import pytest
from torch import Tensor

from codeclens import CodeclensError, ContributionStore
from codeclens.extraction.storage import ObjectFolder, locate

Run = Callable[..., ContributionStore]
Content = Callable[[Path], dict[str, bytes]]


class Stopped(BaseException):
    """The process stops here."""


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a store in the memory of this process, which fsspec shows as objects."""
    folder = f"memory://{uuid4().hex}"
    yield f"{folder}/s.zarr"
    fsspec.filesystem("memory").rm(folder, recursive=True)


@pytest.fixture
def undisturbed(run: Run, x: Tensor, tmp_path: Path, content: Content) -> dict[str, bytes]:
    """The content of a store on disk of fifty samples, one skipped."""
    x[20] = float("nan")
    run(x, tmp_path / "undisturbed.zarr")
    return content(tmp_path / "undisturbed.zarr")


def objects(address: str) -> dict[str, bytes]:
    """The bytes of all objects, without the time of the store's making."""
    folder = ObjectFolder(address)
    found = folder.read_several(folder.sizes())
    root = json.loads(found["zarr.json"])
    del root["attributes"]["codeclens"]["created"], root["attributes"]["checksums"]
    return found | {"zarr.json": json.dumps(root).encode()}


def test_the_objects_are_the_files(
    run: Run, x: Tensor, address: str, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    store = run(x, address)
    assert objects(address) == undisturbed
    on_disk = ContributionStore(tmp_path / "undisturbed.zarr")
    for view in ("concat", "sum", "activation"):
        np.testing.assert_array_equal(store.view("3", view), on_disk.view("3", view))
        rows = [40, 2, 2, 17]
        np.testing.assert_array_equal(store.view("1", view, rows), on_disk.view("1", view, rows))
    for here, there in zip(store.batches("3", batch=7), on_disk.batches("3", batch=7), strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(store.key, on_disk.key)
    assert store.skipped == on_disk.skipped
    assert store.verify() == {}
    assert f"ContributionStore '{address}'" in repr(store)
    assert len(ContributionStore(store.path)) == 49


@pytest.mark.parametrize(
    "file", ["zarr.json", "sites/3/zarr.json", "sites/1/positive/c/1/0", "shard_record/c/2"]
)
def test_a_stopped_run_resumes_to_the_same_objects(
    run: Run,
    x: Tensor,
    address: str,
    undisturbed: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
) -> None:
    put = ObjectFolder.write_bytes

    def stopping(self: ObjectFolder, content: bytes) -> None:
        if self.url.endswith(f"s.zarr/{file}"):
            raise Stopped
        put(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectFolder, "write_bytes", stopping)
        patch.setattr(ObjectFolder, "create_bytes", stopping)
        with pytest.raises(Stopped):
            run(x, address)
    run(x, address)
    assert objects(address) == undisturbed


@pytest.mark.parametrize("damage", ["short", "missing"])
def test_the_same_run_mends_what_was_damaged(
    run: Run, x: Tensor, address: str, undisturbed: dict[str, bytes], damage: str
) -> None:
    run(x, address)
    file = ObjectFolder(address) / "sites/3/negative/c/1/0"
    cut = file.read_bytes()[:20]
    file.unlink()
    if damage == "short":
        file.write_bytes(cut)
    store = ContributionStore(address)
    assert list(store.verify()) == [1]
    with pytest.raises(CodeclensError, match=r"negative/c/1/0.* is missing or truncated"):
        store.view("3")
    run(x, address)
    assert objects(address) == undisturbed


def test_a_lost_object_is_not_read_as_something_else(run: Run, x: Tensor, address: str) -> None:
    run(x, address)
    store = ContributionStore(address)
    (ObjectFolder(address) / "target/c/2").unlink()
    with pytest.raises(CodeclensError, match=r'"target" in the store .* is missing or truncated'):
        _ = store.target


def test_several_that_begin_at_once_share_what_the_first_put(
    run: Run, x: Tensor, address: str, undisturbed: dict[str, bytes]
) -> None:
    begun: list[ContributionStore] = []

    def second(done: int, total: int) -> None:
        if not begun:
            begun.append(run(x, address, shards=[0, 2]))

    run(x, address, shards=[1, 3], progress=second)
    assert objects(address) == undisturbed


def test_who_comes_second_adopts_the_metadata_of_the_first(
    run: Run, x: Tensor, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = ObjectFolder.create_bytes
    settings = {"sites": ["1", "3"]}

    def beaten(self: ObjectFolder, content: bytes) -> None:
        monkeypatch.setattr(ObjectFolder, "create_bytes", create)
        first.append(run(x, address, **settings))
        create(self, content)

    first: list[ContributionStore] = []
    monkeypatch.setattr(ObjectFolder, "create_bytes", beaten)
    store = run(x, address)
    assert store.metadata["created"] == first[0].metadata["created"]
    fsspec.filesystem("memory").rm(address, recursive=True)
    settings = {"sites": ["3"]}
    monkeypatch.setattr(ObjectFolder, "create_bytes", beaten)
    with pytest.raises(CodeclensError, match="was made with sites = '3', but now it is"):
        run(x, address)


def test_other_settings_and_other_peoples_objects_are_refused(
    run: Run, x: Tensor, address: str
) -> None:
    run(x, address)
    before = objects(address)
    with pytest.raises(CodeclensError, match="shard_size = 16, but now it is 8"):
        run(x, address, shard_size=8)
    assert objects(address) == before
    other = address.replace("s.zarr", "thesis")
    (ObjectFolder(other) / "chapter.tex").write_bytes(b"...")
    with pytest.raises(CodeclensError, match="exists and is not a store of contributions"):
        run(x, other)


def test_failing_storage_is_reported(
    run: Run, x: Tensor, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(x, address, shards=[0])

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("memory"), "pipe_file", refused)
        with pytest.raises(CodeclensError, match=r"is not writable \(Access Denied\)"):
            run(x, address)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no route to\n  the end point")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("memory"), "cat_file", broken)
        with pytest.raises(CodeclensError, match="cannot be read: no route to the end point"):
            ContributionStore(address)
    assert len(ContributionStore(address)) == 16


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("s4://bucket/s.zarr", 's4://bucket/s.zarr" cannot be reached'),
        ("local://s.zarr", "is on disk; pass its path without"),
    ],
)
def test_unreachable_addresses_are_reported(to: str, words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        locate(to)


def test_long_rows_come_in_the_same_batches_from_objects_and_files(
    run: Run, x: Tensor, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeclens.extraction.reader.LONG_ROW", 1)
    stores = [run(x, tmp_path / "s.zarr"), run(x, address)]
    batches = [list(store.batches("3", batch=7, seed=2)) for store in stores]
    for here, there in zip(*batches, strict=True):
        np.testing.assert_array_equal(here, there)
