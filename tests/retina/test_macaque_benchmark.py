"""The macaque example: what it reads, how it judges, and that the page holds its numbers' form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benchmarks.retina.macaque import CELLS, kinetic, linear, load, main


def test_without_the_data_it_reports_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CODECLENS_BENCH", raising=False)
    main([])
    assert "nothing is measured" in capsys.readouterr().out


def test_the_recording_is_in_contrasts_and_hertz(bench: Path) -> None:
    recording = load(bench)
    assert recording.movie.frames.shape == (144_051, 1, 1)
    assert recording.movie.rate == pytest.approx(119.9, abs=0.1)
    assert recording.movie.frames.unique().tolist() == pytest.approx([-0.48, 0.48])
    assert tuple(recording.cells) == CELLS
    assert recording.rates.mean(dim=0).tolist() == pytest.approx([26.2, 17.9, 41.6, 35.9], abs=0.1)


def test_the_kinetic_model_starts_from_the_linear_one(bench: Path) -> None:
    recording = load(bench).between(0, 3.0)
    ln = linear(recording)
    lnk = kinetic(recording, ln)
    assert torch.equal(lnk.filters.weight, ln.potential.weight)
    windows = recording.movie.windows(lnk.history)[:4]
    # Each cell hears its own channel alone.
    active = lnk.active(lnk.nonlinear(lnk.filters(windows)))
    alone = lnk.potential.weight.diagonal() * active + lnk.potential.bias
    assert torch.allclose(lnk.potential(active), alone)
