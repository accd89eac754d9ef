"""The blind comparison assigns and scores as its rules say, and runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.retina import blind
from benchmarks.retina.scores import Pathway
from benchmarks.retina.study import QUICK, Study


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(QUICK, None)


def test_effects_are_scored_with_their_sign() -> None:
    random = np.random.default_rng(0)
    block = random.normal(size=50)
    found = blind.scored(-0.5 * block, -block, block)
    assert (found.r, found.block) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.slope == pytest.approx(2.0)
    wrong = blind.scored(0.5 * block, -block, block)
    assert (wrong.r, wrong.block, wrong.slope) == (
        pytest.approx(1.0), pytest.approx(-1.0), pytest.approx(-2.0),
    )  # fmt: skip


def test_assignments_follow_their_rules(study: Study) -> None:
    names = study.circuit.units["interneurons"]
    cell = study.circuit.types.index("on.transient")
    wide, cross = (
        Pathway(cell, names.index(name), name, False)
        for name in ("amacrine.wide", "amacrine.crossover.off")
    )
    # Crossover has the larger weight (0.8 to 0.2), so it takes the strongest inhibition.
    time = np.linspace(0, 20, 200)
    train = np.stack([3 * np.sin(time) + 5, -2 * np.sin(time) - 4, -np.cos(time) - 2], axis=1)
    truths = [np.sin(time), np.cos(time)]
    pair = [wide, cross]
    assert blind.assigned(study, pair, (train, train), truths, "blind") == [2, 1]
    only = train[:, :2]
    assert blind.assigned(study, pair, (only, only), truths, "blind") == [None, 1]
    found = blind.assigned(study, pair, (train, train), truths, "one to one")
    assert found[1] == 2
    assert found[0] in (0, 1)


def test_ridge_is_that_of_the_normal_equations() -> None:
    random = np.random.default_rng(1)
    for columns in (5, 60):
        X, y = random.normal(size=(40, columns)), random.normal(size=40)
        weights, mean, start = blind.ridge(X, y, 0.1)
        scale = X.std(axis=0)
        Z = (X - X.mean(0)) / scale
        wanted = np.linalg.solve(Z.T @ Z + 4.0 * np.eye(columns), Z.T @ (y - y.mean())) / scale
        np.testing.assert_allclose(weights, wanted, atol=1e-9)
        np.testing.assert_allclose(mean, X.mean(0))
        assert start == pytest.approx(y.mean())


def test_bounds_hold_the_mean() -> None:
    values = np.random.default_rng(2).normal(size=(3, 6))
    mean, low, high = blind.bounds(values, [0, 0, 1, 2, 3, 4])
    assert low <= mean <= high
    assert mean == pytest.approx(values.mean())


@pytest.mark.slow
def test_it_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    blind.main(["--quick", "--keep", str(tmp_path)])
    printed = capsys.readouterr().out
    for method in (*blind.METHODS, *blind.SUPERVISED):
        assert f"| {method} |" in printed
    assert "several inhibitory pathways" in printed
