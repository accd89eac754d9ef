"""The section on completeness: what it says of a method that estimates its own error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import networks
from codeclens import CompletenessWarning, Conductance, extract
from codeclens.reporting import completeness_section


def section(method: Conductance, to: Path) -> str:
    x = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(3))
    store = extract(networks.residual_cnn(), x, sites=["layer1.0"], method=method, to=to)
    return json.dumps(completeness_section(store).data())


def test_an_estimated_error_is_shown_beside_the_gap(tmp_path: Path) -> None:
    with_tolerance = Conductance(2, nodes="uniform", tolerance=1e-6, max_steps=4)
    with pytest.warns(CompletenessWarning, match="tolerance 1e-06 was not reached"):
        found = section(with_tolerance, tmp_path / "a.zarr")
    assert "The method took 4 to 4 steps a sample (median 4)" in found
    plain = section(Conductance(2, nodes="uniform"), tmp_path / "b.zarr")
    assert "steps a sample" not in plain
    assert "sum to the change of the target" in plain
