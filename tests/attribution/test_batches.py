"""Batches: their size, order and portions change no sample's contributions."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

import codeclens.attribution.attributor as attributor_module
import networks
import reference
from attribution.cases import SITES, assert_equal, attribute, few, methods, network, rows
from codeclens.attribution import (
    ActivationGradient,
    Attributor,
    Conductance,
    Label,
    Method,
)
from codeclens.errors import CodeclensError

# --- Batches ---


@methods
@pytest.mark.parametrize("kind", SITES)
@few
@given(order=st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_batch_size_and_order_do_not_matter(kind: str, method: Method, order: list[int]) -> None:
    model, x = network(kind)
    attributor = Attributor(model, sites=SITES[kind], method=method).prepared(x)
    assert_equal(attributor(x[order]), rows(attributor(x), order))


@methods
def test_a_batch_of_one(method: Method) -> None:
    model, x = network("residual")
    whole = attribute(model, x, sites=SITES["residual"], method=method)
    single = attribute(model, x[3:4], sites=SITES["residual"], method=method)
    assert single["layer1.0"].positive.shape == (1, 6)
    assert_equal(single, rows(whole, [3]))


def test_the_default_learns_its_nodes_once() -> None:
    model, x = network("residual")
    attributor = Attributor(model, sites="layer1.0").prepared(x)
    first = attributor(x)
    assert_equal(attributor(x.flip(0)), rows(first, [4, 3, 2, 1, 0]))


# --- Portions of a batch ---


@methods
@pytest.mark.parametrize("at_once", [1, 2, 4, 9])
def test_a_batch_in_portions_is_the_batch(method: Method, at_once: int) -> None:
    model, x = network("residual")
    baseline, labels = networks.noise(*x.shape, seed=3), torch.tensor([4, 3, 2, 1, 0])
    given = {"sites": SITES["residual"], "method": method, "baseline": baseline}
    given |= {"target": Label(), "reduce": None}
    whole = attribute(model, x, labels, at_once=5, **given)
    found = attribute(model, x, labels, at_once=at_once, **given)
    assert_equal(found, whole)
    for key, site in whole.items():
        assert site.full is not None
        assert found[key].full is not None
        assert reference.difference(found[key].full, site.full) < 1e-9


def test_a_tolerance_in_portions() -> None:
    model, x = network("vit")
    method = Conductance(steps=2, nodes="uniform", tolerance=1e-2)
    whole = attribute(model, x, sites="blocks.0", method=method, at_once=5)
    found = attribute(model, x, sites="blocks.0", method=method, at_once=2)
    assert found.steps is not None
    assert whole.steps is not None
    assert found.steps.tolist() == whole.steps.tolist()
    torch.testing.assert_close(found.estimate, whole.estimate)
    torch.testing.assert_close(found["blocks.0"].net, whole["blocks.0"].net)


class Counting(nn.Module):
    """`(B, 6)` → `(B, 4)`; notes how many samples each forward had."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(6, 8), nn.Linear(8, 4)
        self.counts: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.counts.append(len(x))
        out: Tensor = self.last(self.hidden(x).relu())
        return out


def test_portions_are_as_equal_as_can_be_and_a_function_gets_all() -> None:
    model, x = networks.seeded(Counting), torch.ones(7, 6)
    attributor = Attributor(model, sites="hidden", method=ActivationGradient(), at_once=3)
    attributor = attributor.prepared(x)
    model.counts.clear()
    attributor(x)
    assert model.counts == [3, 2, 2]
    model.counts.clear()
    # It was written for these seven samples.
    classes = torch.arange(7) % 4
    attributor.several(x, [lambda output: output[torch.arange(7), classes]])
    assert model.counts == [7]


def test_portions_keep_within_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = networks.seeded(Counting), torch.ones(7, 6)
    attributor = Attributor(model, sites="hidden", method=ActivationGradient()).prepared(x)
    # Of one sample: the input, the hidden layer before and after the relu in the graph (one of
    # them counted with the site's copy), and twice the site.
    assert 4 * 8 * 3 <= attributor.survey(x).memory <= 4 * (6 + 8 * 5)
    monkeypatch.setattr(attributor_module, "MEMORY_AT_ONCE", attributor.survey(x).memory * 2)
    model.counts.clear()
    attributor(x)
    assert model.counts == [2, 2, 2, 1]


@pytest.mark.parametrize("at_once", [0, -2])
def test_at_least_one_sample_at_once(at_once: int) -> None:
    with pytest.raises(CodeclensError, match=rf"at_once \(={at_once}\) must be at least 1"):
        Attributor(networks.plain_mlp(), sites="1", at_once=at_once)
