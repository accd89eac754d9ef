"""Several processes at one store: each its shards, none in another's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from codeclens import CodeclensError, ContributionStore
from codeclens.extraction.locks import Lock

Run = Callable[..., ContributionStore]
Content = Callable[[Path], dict[str, bytes]]


@pytest.fixture
def undisturbed(run: Run, x: Tensor, tmp_path: Path, content: Content) -> dict[str, bytes]:
    """Return the content of a store of fifty samples in four shards, made by one process."""
    run(x, tmp_path / "undisturbed.zarr")
    return content(tmp_path / "undisturbed.zarr")


def test_each_does_its_part_alone(
    run: Run, x: Tensor, tmp_path: Path, content: Content, undisturbed: dict[str, bytes]
) -> None:
    told: list[tuple[int, int]] = []
    options: dict[str, Any] = {"progress": lambda done, total: told.append((done, total))}
    part = run(x, tmp_path / "s.zarr", shards=[3, 0, 3], **options)
    assert part.sample.tolist() == [*range(16), 48, 49]
    assert not part.finished
    assert (told[0], told[-1]) == ((0, 18), (18, 18))
    assert len(run(x, tmp_path / "s.zarr", shards=[0], **options)) == 18
    assert told[-1] == (16, 16)
    assert run(x, tmp_path / "s.zarr", **options).finished
    assert told[-1] == (50, 50)
    assert content(tmp_path / "s.zarr") == undisturbed


@pytest.mark.parametrize("theirs", [None, [2]])
@pytest.mark.parametrize("mine", [None, [2]])
def test_models_that_cannot_be_shared_are_reported(
    run: Run,
    x: Tensor,
    tmp_path: Path,
    content: Content,
    undisturbed: dict[str, bytes],
    mine: list[int] | None,
    theirs: list[int] | None,
) -> None:
    def meanwhile(done: int, total: int) -> None:
        what = 'writing shard 2 of ".*s.zarr"' if mine and theirs else 'writing to ".*s.zarr"'
        if done == 5:
            with pytest.raises(CodeclensError, match=f"Another process is {what} .*; wait until"):
                run(x, tmp_path / "s.zarr", shards=theirs)

    run(x, tmp_path / "s.zarr", shards=mine, progress=meanwhile)
    run(x, tmp_path / "s.zarr")
    assert content(tmp_path / "s.zarr") == undisturbed


def test_a_mistake_of_one_that_shares_leaves_nothing_behind(
    run: Run, x: Tensor, tmp_path: Path
) -> None:
    with pytest.raises(CodeclensError, match="There is no shard 4: the 50 samples are in 4"):
        run(x, tmp_path / "s.zarr", shards=[4])
    with pytest.raises(CodeclensError, match="None of the 50 samples"):
        run(x * float("nan"), tmp_path / "t.zarr", shards=[0])
    assert not (tmp_path / "t.zarr").exists()


def test_other_settings_do_not_share(run: Run, x: Tensor, tmp_path: Path) -> None:
    def other(done: int, total: int) -> None:
        with pytest.raises(CodeclensError, match="sites"):
            run(x, tmp_path / "s.zarr", shards=[1], sites=["3"])

    run(x, tmp_path / "s.zarr", shards=[0], progress=other)


def test_a_lock_of_several_becomes_one_of_one_alone(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    with Lock(file, "it", shared=True) as first:
        with Lock(file, "it", shared=True) as second:
            assert not second.alone()
        assert first.alone()
        with pytest.raises(CodeclensError, match="Another process is writing it"):
            Lock(file, "it", shared=True)


def test_a_lock_whose_file_was_taken_away_is_taken_anew(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    got: list[Lock] = []
    waiting = threading.Thread(target=lambda: got.append(Lock(file, "it", wait=True, kept=False)))
    with Lock(file, "it", kept=False):
        waiting.start()
        time.sleep(0.05)
        assert not got
    waiting.join(timeout=10)
    with got[0], pytest.raises(CodeclensError, match="Another process is writing it"):
        Lock(file, "it")
    assert not file.exists()
