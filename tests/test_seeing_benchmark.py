"""The benchmark of mode maps, on a small network: every check tells its table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from benchmarks import seeing
from torch import Tensor

from codeclens.attribution import contributions
from codeclens.decomposition import NMF, Modes
from networks import noise, residual_cnn


class Held(seeing.Photographs):
    def __init__(self) -> None:
        super().__init__(lambda image: image, 0, 2)  # type: ignore[arg-type,return-value]

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return noise(3, 12, 12, seed=row, dtype=torch.float32), row // self.count


@pytest.mark.parametrize("check", seeing.CHECKS)
def test_a_check_prints_its_table(
    check: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seeing, "CLASSES", {"a": (0, "ant"), "b": (3, "bee")})
    monkeypatch.setattr(seeing, "LAYERS", ["fc", "layer2"])
    monkeypatch.setattr(seeing, "FRACTIONS", (0.0, 0.5, 1.0))
    model, x = residual_cnn(), noise(16, 3, 12, 12, dtype=torch.float32)
    found = contributions(model, x, sites="layer1.1")["layer1.1"]
    given = torch.cat([found.positive, -found.negative], dim=1).numpy()
    nmf = NMF(n_modes=3).fit(given)
    modes = Modes("layer1.1", "concat", nmf, nmf.encode(given), np.arange(16) % 2, ("ant", "bee"))
    seeing.CHECKS[check](model, {"layer1.1": modes}, Held(), 2)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) >= 4
    assert sum("layer1.1" in row for row in rows) >= 1
    assert all("nan" not in row for row in rows)


def test_photographs_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeing, "CLASSES", {"a": (0, "ant"), "b": (3, "bee"), "c": (5, "cat")})
    held = Held()
    assert [held.other(row)[1] for row in range(4)] == [0, 1, 2, 0]
    assert held.other(1, 2)[1] == 0
    first = [held.other(row)[0] for row in range(6)]
    assert not any(torch.equal(a, b) for i, a in enumerate(first) for b in first[:i])
