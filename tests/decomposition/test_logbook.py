"""Logbooks: figures of every epoch, checkpoints that are believed only where they belong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from codeclens.decomposition import Logbook, TopK
from codeclens.errors import CodeclensError

METHOD = TopK(n_modes=8, k=2, epochs=3)


def test_one_line_an_epoch(small: np.ndarray[Any, Any], tmp_path: Path) -> None:
    logbook = Logbook(tmp_path / "deep", "layer1.0")
    method = METHOD.fit(small, logbook=logbook)
    lines = [json.loads(text) for text in logbook.metrics.read_text().splitlines()]
    assert [{name: line[name] for name in line if name != "learning_rate"} for line in lines] == [
        epoch._asdict() for epoch in method.history
    ]
    rates = [line["learning_rate"] for line in lines]
    assert rates[0] > rates[1] > rates[2] > 0
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [
        "layer1.0.jsonl",
        "layer1.0.safetensors",
    ]


def test_tensorboard_gets_the_same_numbers(
    small: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            said.append((Path(folder).name, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            said.append((name, value, step))

        def close(self) -> None:
            said.append(("closed",))

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    method = METHOD.fit(small, logbook=Logbook(tmp_path, "a", tensorboard=True))
    assert said[0] == ("a", 1)
    assert said[-1] == ("closed",)
    assert [entry[1:] for entry in said if entry[0] == "r2"] == [
        (epoch.r2, epoch.epoch) for epoch in method.history
    ]
    assert {entry[0] for entry in said[1:-1]} == {"loss", "r2", "l0", "dead", "learning_rate"}


def test_tensorboard_that_is_missing(
    small: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CodeclensError, match=r'pip install tensorboard, or read "a\.jsonl"'):
        METHOD.fit(small, logbook=Logbook(tmp_path, "a", tensorboard=True))


@pytest.mark.parametrize(
    ("method", "seed", "size", "said"),
    [
        (METHOD, 1, 1, "seed is 0 there and 1 here"),
        (TopK(n_modes=8, k=3, epochs=3), 0, 1, "k is 2 there and 3 here"),
        (METHOD, 0, 2, "deviation is .* there and .* here"),
    ],
)
def test_a_checkpoint_of_another_run(
    small: np.ndarray[Any, Any], tmp_path: Path, method: TopK, seed: int, size: int, said: str
) -> None:
    logbook = Logbook(tmp_path, "a")
    METHOD.fit(small, logbook=logbook)
    before = logbook.checkpoint.read_bytes()
    with pytest.raises(CodeclensError, match=rf'a\.safetensors" is of another run: {said}'):
        method.fit(size * small, seed=seed, logbook=logbook)
    assert logbook.checkpoint.read_bytes() == before


def test_a_checkpoint_that_is_damaged(small: np.ndarray[Any, Any], tmp_path: Path) -> None:
    logbook = Logbook(tmp_path, "a")
    METHOD.fit(small, logbook=logbook)
    whole = logbook.checkpoint.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content, said in (
        (bytes(flipped), "is damaged: its checksum differs; delete it"),
        (whole[: len(whole) // 2], r"cannot be read \(.*\); delete it"),
        (b"", r"cannot be read \(.*\); delete it"),
        (whole.replace(b"codeclens training", b"codeclens brewings"), "is damaged"),
        (whole.replace(b'\\"version\\": 1', b'\\"version\\": 9'), "is of version 9"),
    ):
        logbook.checkpoint.write_bytes(content)
        with pytest.raises(CodeclensError, match=said):
            METHOD.fit(small, logbook=logbook)


def test_a_checkpoint_that_cannot_be_written(
    small: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logbook = Logbook(tmp_path, "a")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CodeclensError, match="cannot be written: No space left on device"):
        METHOD.fit(small, logbook=logbook)


def test_every_zero_epochs() -> None:
    with pytest.raises(CodeclensError, match=r"every \(=0\) must be a whole number at least 1"):
        Logbook("somewhere", every=0)
