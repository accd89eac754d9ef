"""Ranks by the environment, and what the first of them knows of all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from codeclens import CodeclensError, ContributionStore
from codeclens.extraction import Rank, SharedProgress

Run = Callable[..., ContributionStore]


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, Rank(0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "4"}, Rank(2, 4, guarded=True)),
        ({"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "3"}, Rank(1, 3)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, Rank(0, 1)),  # a batch script, not a step
        (
            {"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
            Rank(1, 2, guarded=True),
        ),
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "5"}, Rank(3, 5, launched=False)),
        (
            {
                "SLURM_ARRAY_TASK_ID": "14",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
                "RANK": "1",
                "WORLD_SIZE": "4",
            },
            Rank(9, 12, launched=False),
        ),
    ],
)
def test_the_environment_gives_the_rank(environment: dict[str, str], rank: Rank) -> None:
    assert Rank.from_environment(environment) == rank


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"RANK": "4", "WORLD_SIZE": "4"}, "process 4 of 4"),
        ({"RANK": "one", "WORLD_SIZE": "4"}, 'RANK .="one"'),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "2"}, "without gaps.*--array=0-1"),
    ],
)
def test_an_invalid_environment_is_reported(environment: dict[str, str], words: str) -> None:
    with pytest.raises(CodeclensError, match=words):
        Rank.from_environment(environment)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 60))
def test_every_shard_is_one_ranks(tasks: int, processes: int, shards: int) -> None:
    taken = []
    for task, process in product(range(tasks), range(processes)):
        rank = Rank.from_environment(
            {
                "SLURM_ARRAY_TASK_ID": str(task),
                "SLURM_ARRAY_TASK_COUNT": str(tasks),
                "RANK": str(process),
                "WORLD_SIZE": str(processes),
            }
        )
        taken += range(shards)[rank.shards or slice(None)]
    assert sorted(taken) == list(range(shards))


def test_progress_is_that_of_all(run: Run, x: Tensor, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rank = Rank(0, 2)
    whole = SharedProgress(
        tmp_path / "s.zarr", rank, lambda done, total: told.append((done, total))
    )
    run(x, tmp_path / "s.zarr", shards=[1])
    run(x, tmp_path / "s.zarr", shards=rank.shards, progress=whole)
    assert (told[0], told[-1]) == ((16, 50), (48, 50))
    run(x, tmp_path / "s.zarr", shards=[3])
    whole.wait()
    assert told[-1] == (50, 50)


def test_who_died_is_not_waited_for(run: Run, x: Tensor, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    rank = Rank(0, 2)
    whole = SharedProgress(
        tmp_path / "s.zarr", rank, lambda done, total: told.append((done, total))
    )
    run(x, tmp_path / "s.zarr", shards=rank.shards, progress=whole)
    whole.wait(shortest=0)
    assert told[-1] == (32, 50)
    SharedProgress(tmp_path / "s.zarr", Rank(0, 2, launched=False), whole.progress).wait()
