"""Stretches: a timed network's fit, in which neighbouring frames share their work."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.retina.evidence import kept
from benchmarks.retina.films import choosing_film, fitting_film, recording
from benchmarks.retina.networks import Configuration
from benchmarks.retina.timed import TimedCNN
from codeclens.retina import Circuit
from codeclens.retina.heldout import correlation

# Frames that are answered in one stretch, and stretches in a step.
ANSWERED, TOGETHER = 40, 8


def fitted_timed(
    circuit: Circuit,
    about: Configuration,
    *,
    seed: int = 0,
    to: Path | None = None,
    choose: float = 60.0,
) -> TimedCNN:
    """Fit a timed network to the circuit's rates, by Poisson's loss, as `fit` does with windows.

    The epoch with the best r on the choosing film is kept; with a folder `to` a fit that is done is
    not made again.
    """
    model = TimedCNN(
        circuit, channels=about.channels, kernels=about.kernels, seed=seed, **about.more
    )
    state = kept(
        None if to is None else to / "timed.npz",
        lambda: _fit(model, circuit, about, seed, choose),
    )
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return model.eval()


def _fit(
    model: TimedCNN, circuit: Circuit, about: Configuration, seed: int, choose: float
) -> dict[str, Any]:
    film = recording(circuit, fitting_film(circuit, about.natural, about.white), model.history)
    test = recording(circuit, choosing_film(circuit, choose), model.history)
    truth = test.rates[model.history - 1 :]
    rates = film.rates[model.history - 1 :]
    model.output.calibrate(rates)
    lost = model.history - 1 - (model.cones.taps - 1)
    with torch.no_grad():
        frames = film.movie.frames
        reach = model.cones.taps - 1
        signal = torch.cat(
            [
                model.signal(frames[None, s : s + 1000 + reach])[0]
                for s in range(0, len(frames) - reach, 1000)
            ]
        )
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": about.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=about.lr)
    count = (len(rates) - ANSWERED) // ANSWERED
    steps = about.epochs * (count // TOGETHER)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, about.lr, total_steps=steps, pct_start=0.05
    )
    source = np.random.default_rng(seed)
    best, state = -np.inf, {}
    for epoch in range(about.epochs):
        start, total = time.perf_counter(), 0.0
        model.train()
        first = int(source.integers(ANSWERED))
        order = source.permutation(count)[: count // TOGETHER * TOGETHER].reshape(-1, TOGETHER)
        for batch in order:
            at = [first + int(n) * ANSWERED for n in batch]
            shown = torch.stack([signal[s : s + ANSWERED + lost] for s in at])
            wanted = torch.stack([rates[s : s + ANSWERED] for s in at])
            loss = poisson(model.output(model.heard(shown)), wanted, circuit.rate)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        model.eval()
        r = float(correlation(model.respond(test.movie), truth).mean())
        print(
            f"epoch {epoch + 1}: loss {total / len(order):.4f}, r {r:.3f}, "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
        if r > best:
            best = r
            state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    return state


def poisson(rates: Tensor, wanted: Tensor, clock: float) -> Tensor:
    """Poisson's loss in nats a frame and cell, of rates in Hz at `clock` frames a second."""
    expected = rates.clamp(min=1e-6) / clock
    return (expected - wanted / clock * expected.log()).mean()
