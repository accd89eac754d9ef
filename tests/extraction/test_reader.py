from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from benchmarks.store import plain_metadata

from codeclens import CodeclensError, ContributionStore
from codeclens.extraction.layout import Layout, SiteEntry
from codeclens.extraction.shards import blank
from codeclens.extraction.writer import writing

VIEWS = ("concat", "sum", "positive", "negative", "activation")


@pytest.fixture(
    scope="module", params=[(16, "float32"), (512, "float32"), (16, "float16")], ids=str
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return stores of three hundred samples, three of them skipped: both types, two cuts."""
    rows, dtype = request.param
    site = SiteEntry("3", "3", 6, True)
    layout = Layout(300, dtype, rows, (site,))
    metadata = plain_metadata(layout)
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("reader") / "s.zarr"
    with writing(path, lambda: metadata, lambda _: None) as writer:
        for shard in range(layout.shards):
            arrays = blank(layout, len(layout.rows(shard)))
            for name in ("positive", "negative", "activation"):
                values = arrays[f"sites/3/{name}"]
                values[:] = rng.normal(size=values.shape).clip(min=0)
            arrays["sites/3/negative"] *= -1
            arrays["valid"][:] = [row not in (0, 17, 299) for row in layout.rows(shard)]
            with writer.claim(shard):
                writer.write(shard, arrays, {})
    return path


@pytest.fixture
def store(made: Path) -> ContributionStore:
    """Return the store, opened."""
    return ContributionStore(made)


@pytest.fixture
def through_zarr(store: ContributionStore) -> Callable[[str], np.ndarray]:
    """Return a function from an array's name to what zarr itself reads of the usable samples."""

    def read(name: str) -> np.ndarray:
        group = zarr.open_group(store.path, mode="r")
        return np.asarray(group[f"sites/3/{name}"][:], dtype=np.float32)[store.sample]

    return read


def test_views_are_what_zarr_reads(
    store: ContributionStore, through_zarr: Callable[[str], np.ndarray]
) -> None:
    positive, negative = through_zarr("positive"), through_zarr("negative")
    assert len(store) == 297
    for part in ("positive", "negative", "activation"):
        np.testing.assert_array_equal(store.view("3", part), through_zarr(part))
    np.testing.assert_array_equal(store.view("3", "sum"), positive + negative)
    np.testing.assert_array_equal(store.view("3"), np.hstack([positive, -negative]))
    for view in VIEWS:
        assert store.view("3", view).dtype == np.float32


def test_concat_holds_no_negative_zero(store: ContributionStore) -> None:
    concat = store.view("3", "concat")
    assert not np.signbit(concat).any()
    assert (concat == 0).any(), "some unit never contributes"


@pytest.mark.parametrize(
    "rows",
    [
        slice(None),
        slice(10, 40),
        slice(None, None, -3),
        [296, 3, 3, 0, 150],
        [0, 0, 2],
        np.array([], dtype=int),
        np.arange(297) % 7 == 0,
    ],
    ids=str,
)
@pytest.mark.parametrize("view", ["concat", "activation"])
def test_rows_are_those_of_the_whole(store: ContributionStore, view: str, rows: object) -> None:
    np.testing.assert_array_equal(store.view("3", view, rows=rows), store.view("3", view)[rows])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("batch", [1, 64, 1000])
def test_batches_hold_every_sample_once(store: ContributionStore, view: str, batch: int) -> None:
    batches = list(store.batches("3", view, batch=batch, seed=1))
    assert [len(b) for b in batches[:-1]] == [batch] * (len(batches) - 1)
    found = np.concatenate(batches)
    whole = store.view("3", view)
    assert found.shape == whole.shape
    assert not np.array_equal(found, whole)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(whole, axis=0))


def test_batches_stay_whole_when_the_pool_is_refilled(
    store: ContributionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeclens.extraction.reader.SHUFFLED_ROWS", 40)
    batches = list(store.batches("3", "concat", batch=30, seed=1))
    assert [len(b) for b in batches] == [30] * 9 + [27]
    whole = store.view("3", "concat")
    np.testing.assert_array_equal(np.sort(np.concatenate(batches), axis=0), np.sort(whole, axis=0))


@pytest.mark.parametrize("view", ["concat", "sum", "positive"])
@pytest.mark.parametrize("batch", [1, 30, 1000])
def test_long_rows_are_gathered_from_the_files(
    store: ContributionStore, monkeypatch: pytest.MonkeyPatch, view: str, batch: int
) -> None:
    monkeypatch.setattr("codeclens.extraction.reader.SHUFFLED_ROWS", 40)
    monkeypatch.setattr("codeclens.extraction.reader.LONG_ROW", 1)
    batches = list(store.batches("3", view, batch=batch, seed=1))
    assert [len(b) for b in batches[:-1]] == [batch] * (len(batches) - 1)
    whole = store.view("3", view)
    found = np.concatenate(batches)
    assert np.array_equal(found, whole) == (batch == 1000)  # ascending within a batch
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(whole, axis=0))
    again = list(store.batches("3", view, batch=batch, seed=1))
    np.testing.assert_array_equal(np.concatenate(again), found)


def test_a_seed_fixes_the_order(store: ContributionStore) -> None:
    first, again, other = (np.concatenate(list(store.batches("3", seed=s))) for s in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_batches_are_not_overwritten_by_later_ones(store: ContributionStore) -> None:
    batches, kept = [], []
    for batch in store.batches("3", batch=10):
        batches.append(batch)
        kept.append(batch.copy())
    np.testing.assert_array_equal(np.concatenate(batches), np.concatenate(kept))


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_file_is_named(made: Path, tmp_path: Path, damage: str) -> None:
    store = ContributionStore(shutil.copytree(made, tmp_path / "s.zarr"))
    file = store.path / "sites" / "3" / "negative" / "c" / "0" / "0"
    content = file.read_bytes()
    file.unlink()
    if damage == "short":
        file.write_bytes(content[:100])
    words = "sites/3/negative/c/0/0.* is missing or truncated; run the same extraction again"
    with pytest.raises(CodeclensError, match=words):
        store.view("3", "sum")
    with pytest.raises(CodeclensError, match=words):
        list(store.batches("3"))
    assert store.view("3", "positive").shape == (297, 6)


def test_five_thousand_shards_are_read_with_few_open_files(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on open files are POSIX")
    rows, shards = 2, 5000
    site = SiteEntry("3", "3", 2, True)
    layout = Layout(rows * shards, "float32", rows, (site,))
    metadata = plain_metadata(layout)
    with writing(tmp_path, lambda: metadata, lambda _: None) as writer, writer.claim(0):
        arrays = blank(layout, rows)
        arrays["valid"][:] = True
        writer.write(0, arrays, {})
    # Each shard is the first one, with contributions that are the numbers of the rows.
    flat = [f"{name}/c" for name, (_, row) in layout.arrays.items() if not row]
    for shard in range(shards):
        numbers = np.repeat(np.arange(shard * rows, (shard + 1) * rows, dtype="<f4"), 2)
        for name, sign in (("positive", 1), ("negative", -1)):
            file = tmp_path / layout.file(f"sites/3/{name}", shard)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes((sign * numbers).tobytes())
        for folder in (*flat, "shard_record/c") if shard else ():
            (tmp_path / folder / str(shard)).hardlink_to(tmp_path / folder / "0")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[0]), limits[1]))
    try:
        store = ContributionStore(tmp_path)
        wanted = np.repeat(np.arange(rows * shards), 4).reshape(-1, 4)
        np.testing.assert_array_equal(store.view("3"), wanted)
        drawn = np.concatenate(list(store.batches("3", batch=512)))
        np.testing.assert_array_equal(drawn[np.argsort(drawn[:, 0])], wanted)
        assert not np.array_equal(drawn, wanted)
        assert len(store.label) == rows * shards
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
