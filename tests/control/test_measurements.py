"""Measurements: the network edited by hand, and nothing run twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from codeclens.attribution import Site
from codeclens.control.measurements import Measurements
from codeclens.errors import CodeclensError

UNITS = 10


def measuring(count: int = 12) -> tuple[Measurements, nn.Sequential, torch.Tensor, np.ndarray]:
    torch_generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Identity(), nn.Linear(UNITS, 4))
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(4, UNITS, generator=torch_generator))
    x = torch.randn(count, UNITS, generator=torch_generator)
    labels = np.arange(count) % 4
    return Measurements(model, (x, torch.from_numpy(labels)), Site("0")), model, x, labels


@given(st.sets(st.integers(0, UNITS - 1)), st.sampled_from(["ablate", "preserve"]))
def test_measurements_match_a_network_edited_by_hand(chosen: set[int], kind: str) -> None:
    measure, model, x, labels = measuring()
    said = measure(kind, [tuple(sorted(chosen))])
    off = chosen if kind == "ablate" else set(range(UNITS)) - chosen
    edited = x.clone()
    edited[:, sorted(off)] = 0
    for row, hidden in enumerate((x, edited)):
        scores = model[1](hidden).detach().numpy()
        np.testing.assert_array_equal(said.correct[row], scores.argmax(axis=1) == labels)
        own = scores[np.arange(len(labels)), labels]
        np.testing.assert_allclose(said.logit[row], own, rtol=1e-5, atol=1e-5)


def test_the_same_units_run_once_in_any_form() -> None:
    measure, model, *_ = measuring()
    runs: list[int] = []
    model.register_forward_hook(lambda *_: runs.append(1))
    first = measure("ablate", [(0, 1), (2,), ()])
    count = len(runs)  # the three of them, and what replay needs to learn
    assert count > 0
    rest = tuple(range(2, UNITS))
    again = measure("preserve", [rest, tuple(range(UNITS))])
    assert len(runs) == count
    np.testing.assert_array_equal(again.logit[1], first.logit[1])
    np.testing.assert_array_equal(again.logit[2], first.logit[0])


def test_a_label_beyond_the_output_is_reported() -> None:
    model = nn.Sequential(nn.Identity())
    measure = Measurements(model, (torch.eye(3), torch.tensor([0, 1, 7])), Site("0"))
    with pytest.raises(CodeclensError, match="A label is 7, but the model's output has 3 classes"):
        measure("ablate", [(0,)])
