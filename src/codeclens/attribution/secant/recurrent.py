"""Recurrent layers and cells, unrolled with their own weights into products and nonlinearities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codeclens.attribution.secant.mode import SecantMode, rule

# The states of a cell: hidden, and the memory where there is one.
State = tuple[Tensor, ...]
# From what the input gives to the gates `(B, G)` and from the states before: the states after.
Step = Callable[[Tensor, State, Sequence[Tensor | None]], State]


def _lstm(at_gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    """`weights` are those of the hidden state, their bias and, for a projection, its own."""
    hidden, memory = state
    gates = at_gates + F.linear(hidden, weights[0], weights[1])  # type: ignore[arg-type]
    enter, keep, new, leave = gates.chunk(4, dim=1)
    memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
    hidden = leave.sigmoid() * memory.tanh()
    return (hidden if weights[2] is None else F.linear(hidden, weights[2])), memory


def _gru(at_gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
    (hidden,) = state
    reset, update, new = at_gates.chunk(3, dim=1)
    own_reset, own_update, own_new = F.linear(
        hidden,
        weights[0],  # type: ignore[arg-type]
        weights[1],
    ).chunk(3, dim=1)
    new = (new + (reset + own_reset).sigmoid() * own_new).tanh()
    return (new + (update + own_update).sigmoid() * (hidden - new),)


def _simple(nonlinearity: Callable[[Tensor], Tensor]) -> Step:
    def step(at_gates: Tensor, state: State, weights: Sequence[Tensor | None]) -> State:
        own = F.linear(state[0], weights[0], weights[1])  # type: ignore[arg-type]
        return (nonlinearity(at_gates + own),)

    return step


_STEPS: dict[str, Step] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _simple(torch.tanh),
    "rnn_relu": _simple(torch.relu),
}


@rule("lstm", "gru", "rnn_tanh", "rnn_relu")
def _layers(mode: SecantMode, func: Callable[..., Any], x: Tensor, *args: Any) -> Any:
    """All layers and directions of a padded or packed batch; gives what torch's function gives."""
    name = func.__name__
    packed = isinstance(args[0], Tensor) and (name == "lstm" or isinstance(args[1], Tensor))
    sizes, args = (args[0].tolist(), args[1:]) if packed else (None, args)
    given, weights, biased, layers, dropout, training, both_ways, *rest = args
    states: State = tuple(given) if name == "lstm" else (given,)
    first = bool(rest and rest[0])
    directions = 2 if both_ways else 1
    count = len(weights) // (layers * directions)
    with mode:
        if sizes is None:
            x = x.transpose(0, 1) if first else x
            steps = list(x.unbind(0))
        else:
            steps = list(x.split(sizes))
        ends: list[State] = []
        for layer in range(layers):
            if layer and dropout and training:
                steps = [F.dropout(step, dropout) for step in steps]
            found = []
            for back in range(directions):
                number = layer * directions + back
                own = _named(weights[number * count : (number + 1) * count], biased)
                start = tuple(state[number] for state in states)
                outputs, end = _unrolled(_STEPS[name], steps, start, own, bool(back))
                found.append(outputs)
                ends.append(end)
            steps = [torch.cat(parts, dim=1) for parts in zip(*found, strict=True)]
        output = torch.cat(steps) if sizes is not None else torch.stack(steps, 1 if first else 0)
        return (output, *(torch.stack(parts) for parts in zip(*ends, strict=True)))


def _named(weights: Sequence[Tensor], biased: bool) -> list[Tensor | None]:
    """The weights and bias of the input, those of the hidden state, and a projection or None."""
    of_input, of_hidden, *others = weights
    biases: list[Tensor | None] = list(others[:2]) if biased else [None, None]
    projection = others[2:] if biased else others
    return [of_input, biases[0], of_hidden, biases[1], projection[0] if projection else None]


def _unrolled(
    step: Step,
    inputs: Sequence[Tensor],
    state: State,
    weights: Sequence[Tensor | None],
    backwards: bool,
) -> tuple[list[Tensor], State]:
    """The hidden states in the order of the inputs, and the last state.

    Of a packed batch fewer samples take part as time goes on; the state of the others stays.
    """
    order = range(len(inputs))
    outputs: dict[int, Tensor] = {}
    for time in reversed(order) if backwards else order:
        x = inputs[time]
        at_gates = F.linear(x, weights[0], weights[1])  # type: ignore[arg-type]
        taking = tuple(part[: len(x)] for part in state)
        after = step(at_gates, taking, weights[2:])
        outputs[time] = after[0]
        state = tuple(
            new if len(new) == len(old) else torch.cat([new, old[len(new) :]])
            for new, old in zip(after, state, strict=True)
        )
    return [outputs[time] for time in order], state


@rule("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
def _cell(
    mode: SecantMode,
    func: Callable[..., Any],
    x: Tensor,
    state: Any,
    of_input: Tensor,
    of_hidden: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> Any:
    name = func.__name__.removesuffix("_cell")
    with mode:
        at_gates = F.linear(x, of_input, input_bias)
        states = tuple(state) if name == "lstm" else (state,)
        after = _STEPS[name](at_gates, states, [of_hidden, hidden_bias, None])
    return after if name == "lstm" else after[0]
