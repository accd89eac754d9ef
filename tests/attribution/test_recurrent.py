"""Recurrent layers and cells: exact sums with all their options, and torch's own outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import networks
from codeclens.attribution import Attributor, Conductance
from codeclens.attribution.secant import SecantMode

Layer = Callable[..., nn.RNNBase]
LAYERS: dict[str, Layer] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn by tanh": nn.RNN,
    "rnn by relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "time first": {"batch_first": False},
    "two layers both ways": {"num_layers": 2, "bidirectional": True},
    "dropout and no bias": {"num_layers": 2, "dropout": 0.5, "bias": False},
}
CASES = [(kind, options) for kind in LAYERS for options in OPTIONS]


class Recurrent(nn.Module):
    """Tokens `(B, T, 4)` through a recurrent layer; its outputs and last states are read."""

    def __init__(self, make: Layer, lengths: list[int] | None = None, **settings: Any) -> None:
        super().__init__()
        settings = {"batch_first": True, **settings}
        self.embed = nn.Linear(4, 5)
        self.layer = make(5, 6, **settings)
        self.lengths = lengths
        ways = 2 if settings.get("bidirectional") else 1
        width = settings.get("proj_size") or 6
        states = ways * settings.get("num_layers", 1)
        memory = 6 * states if isinstance(self.layer, nn.LSTM) else 0
        self.head = nn.Linear(width * (ways + states) + memory, 3)

    def forward(self, x: Tensor) -> Tensor:
        z: Any = self.embed(x).mul(2)
        z = z if self.layer.batch_first else z.transpose(0, 1)
        if self.lengths is not None:
            z = pack_padded_sequence(
                z, self.lengths[: len(x)], self.layer.batch_first, enforce_sorted=False
            )
        output, states = self.layer(z)
        if self.lengths is not None:
            output, _ = pad_packed_sequence(output, self.layer.batch_first)
        states = states if isinstance(states, tuple) else (states,)
        last = [state.transpose(0, 1).flatten(1) for state in states]
        mean = output.mean(1 if self.layer.batch_first else 0)
        logits: Tensor = self.head(torch.cat([mean, *last], dim=1))
        return logits


class Cells(nn.Module):
    """A cell that is called once for each token."""

    def __init__(self, make: Callable[..., nn.Module], memory: bool) -> None:
        super().__init__()
        self.embed, self.cell, self.head = nn.Linear(4, 5), make(5, 6), nn.Linear(6, 3)
        self.memory = memory

    def forward(self, x: Tensor) -> Tensor:
        state: Any = None
        for token in self.embed(x).mul(2).unbind(1):
            state = self.cell(token, state)
        logits: Tensor = self.head(state[0] * state[1] if self.memory else state)
        return logits


def check(model: nn.Module, x: Tensor, steps: int) -> None:
    """Sums are exact to 1e-9 of Σ|C|, nothing is named, and outputs are torch's."""
    found = Attributor(model, sites="embed", method=Conductance(steps, nodes="uniform"))(x)
    site = found["embed"]
    assert not found.uncovered
    size = (site.positive - site.negative).sum(1)
    assert (site.completeness.abs() / size).max() < 1e-9
    with torch.no_grad():
        plain = model(x)
    torch.testing.assert_close(found.target, plain.max(1).values, rtol=1e-12, atol=1e-12)
    start = x.clone().requires_grad_()
    with SecantMode():
        torch.testing.assert_close(model(start), model(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_a_recurrent_layer_is_exact(kind: str, options: str) -> None:
    model = networks.seeded(lambda: Recurrent(LAYERS[kind], **OPTIONS[options])).double()
    for steps in (1, 3):
        check(model, networks.noise(3, 4, 4), steps)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_are_exact(kind: str, bidirectional: bool) -> None:
    model = networks.seeded(
        lambda: Recurrent(LAYERS[kind], [2, 4, 3], num_layers=2, bidirectional=bidirectional)
    ).double()
    check(model, networks.noise(3, 4, 4), 2)


@pytest.mark.parametrize("bias", [False, True])
def test_projections_are_exact(bias: bool) -> None:
    options = {"proj_size": 3, "bidirectional": True, "bias": bias, "num_layers": 2}
    model = networks.seeded(lambda: Recurrent(nn.LSTM, **options)).double()
    check(model, networks.noise(3, 4, 4), 2)


@pytest.mark.parametrize("make", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_cells_are_exact(make: Callable[..., nn.Module]) -> None:
    model = networks.seeded(lambda: Cells(make, make is nn.LSTMCell)).double()
    check(model, networks.noise(3, 4, 4), 2)


@given(kind=st.sampled_from(sorted(LAYERS)), seed=st.integers(0, 99), steps=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_sums_are_exact_for_any_input(kind: str, seed: int, steps: int) -> None:
    model = networks.seeded(lambda: Recurrent(LAYERS[kind]), seed).double()
    check(model, networks.noise(2, 3, 4, seed=seed) * 3, steps)


@pytest.mark.parametrize("kind", LAYERS)
def test_secants_converge_to_the_integral(kind: str) -> None:
    model = networks.seeded(lambda: Recurrent(LAYERS[kind])).double()
    x = networks.noise(2, 4, 4)

    def net(steps: int, rule: str) -> Tensor:
        method = Conductance(steps, rule, "power")  # type: ignore[arg-type]
        return Attributor(model, sites="embed", method=method)(x)["embed"].net

    peer = net(300, "trapezoid")
    errors = [float((net(steps, "secant") - peer).norm() / peer.norm()) for steps in (10, 60)]
    assert errors[1] < min(1e-2, errors[0])
