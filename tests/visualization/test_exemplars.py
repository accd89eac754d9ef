"""Exemplars against a plain sort."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codeclens import CodeclensError
from codeclens.decomposition import Modes
from codeclens.visualization import Exemplar, exemplars
from visualization.conftest import Run


def with_loadings(modes: Modes, loadings: np.ndarray) -> Modes:
    return replace(modes, loadings=loadings.astype(np.float32), labels=None, keys=None)


def test_they_are_the_strongest_in_order(run: Run) -> None:
    modes = run.modes["layer1.0"]
    found = exemplars(modes, count=5)
    assert (found.site, len(found)) == ("layer1.0", len(modes))
    for k, mode in enumerate(found):
        order = sorted(range(60), key=lambda row: (-modes.loadings[row, k], row))
        expected = [row for row in order if modes.loadings[row, k] > 0][:5]
        assert [one.sample for one in mode] == expected
        assert [one.loading for one in mode] == [float(modes.loadings[row, k]) for row in expected]
        assert [one.key for one in mode] == [str(modes.keys[row]) for row in expected]


def test_many_modes_and_ties(run: Run, rng: np.random.Generator) -> None:
    modes = run.modes["layer1.0"]
    coarse = np.round(rng.random((300, len(modes))), 1)
    coarse[coarse < 0.5] = 0
    found = exemplars(with_loadings(modes, coarse), count=40)
    for k in range(len(modes)):
        order = np.argsort(-coarse[:, k], kind="stable")[:40]
        assert [one.sample for one in found[k]] == order.tolist()


def test_an_absent_mode_has_none(run: Run) -> None:
    modes = run.modes["layer1.0"]
    loadings = np.zeros((4, len(modes)))
    loadings[2, 1] = 3.0
    found = exemplars(with_loadings(modes, loadings), count=8)
    assert found[0] == []
    assert found[1] == [Exemplar(2, 3.0)]
    assert found.sample.shape == (len(modes), 4)
    assert found.sample[1].tolist() == [2, -1, -1, -1]
    assert found.samples().tolist() == [2]


def test_mistakes_get_a_sentence(run: Run) -> None:
    modes = run.modes["layer1.0"]
    with pytest.raises(CodeclensError, match=r"count \(=0\)"):
        exemplars(modes, count=0)
    with pytest.raises(CodeclensError, match="have no samples"):
        exemplars(with_loadings(modes, np.zeros((0, len(modes)))))
    with pytest.raises(CodeclensError, match="NaN or infinite"):
        exemplars(with_loadings(modes, np.full((4, len(modes)), np.nan)))
    with pytest.raises(IndexError, match=rf"no mode {len(modes)}; layer1\.0 has {len(modes)}"):
        exemplars(modes)[len(modes)]
