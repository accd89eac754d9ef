"""Processes that train together take the steps of one."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from codeclens.decomposition.trainer import Team
from codeclens.errors import CodeclensError

SCRIPT = Path(__file__).with_name("train_together.py")


class Of:
    """What a Team needs of an accelerator, for one process among several."""

    def __init__(self, processes: int, index: int) -> None:
        self.num_processes = processes
        self.process_index = index


def test_shares_are_a_partition_and_weights_add_up() -> None:
    batch = torch.arange(20.0).reshape(10, 2)
    teams = [Team(Of(3, rank)) for rank in range(3)]
    parts = [team.share(batch) for team in teams]
    assert torch.equal(torch.cat(parts), batch)
    weights = [team.weight(part, batch) for team, part in zip(teams, parts, strict=True)]
    assert sum(weights) == pytest.approx(1)
    whole = sum(float(p.mean()) * w for p, w in zip(parts, weights, strict=True))
    assert whole == pytest.approx(float(batch.mean()))
    assert [team.leads for team in teams] == [True, False, False]


def test_fewer_samples_than_processes() -> None:
    batch = torch.ones(2, 2)
    for rank in range(3):
        team = Team(Of(3, rank))
        assert torch.equal(team.share(batch), batch)
        assert team.weight(team.share(batch), batch) == pytest.approx(1 / 3)


def test_accelerate_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(CodeclensError, match=r"2 processes.*pip install 'codeclens\[distributed\]"):
        Team.gathered(torch.device("cpu"))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("accelerate") is None, reason="accelerate is not installed")
def test_two_processes_train_as_one(small: np.ndarray, tmp_path: Path) -> None:  # type: ignore[type-arg]
    np.save(tmp_path / "X.npy", small)
    alone = [sys.executable, str(SCRIPT), str(tmp_path), "one"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    together = [*launch, str(SCRIPT), str(tmp_path), "two"]
    for command in (alone, together):
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "training.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == len(two) == 6
    for a, b in zip(one, two, strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["r2"] == pytest.approx(a["r2"], abs=1e-4)
        assert (b["l0"], b["dead"]) == (pytest.approx(a["l0"], abs=0.2), a["dead"])
    first, second, by_one = (np.load(tmp_path / f"{n}.npy") for n in ("two.0", "two.1", "one.0"))
    assert np.array_equal(first, second)
    assert first.shape == by_one.shape
    np.testing.assert_allclose(first, by_one, atol=1e-3)
