"""Networks of the benchmark: which are fitted to the circuit, on how much film, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.retina.films import choosing_film, fitting_film, recording
from codeclens.retina import Circuit, Fit, FitEpoch, Photoreceptors, RetinaCNN, fit


@dataclass(frozen=True)
class Configuration:
    """A network and its fit; what is not said is as `RetinaCNN` and `fit` have it."""

    history: int = 30
    channels: tuple[int, int] = (8, 8)
    kernels: tuple[int, ...] = (9, 5)
    stacked: bool = True
    nonlinearity: str = "softplus"
    noise: float = 0.0
    front: str | None = None
    natural: float = 300.0
    white: float = 180.0
    epochs: int = 40
    lr: float = 3e-3
    weight_decay: float = 1e-3
    activity_l1: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)


CONFIGURATIONS = {
    "small": Configuration(),
    "plain": Configuration(stacked=False, noise=0.05),
    "wide": Configuration(channels=(16, 16)),
    "cones": Configuration(history=40, front="fixed"),
}


def network(circuit: Circuit, about: Configuration, seed: int) -> RetinaCNN:
    """The network of a configuration before its fit."""
    front = None
    if about.front is not None:
        front = Photoreceptors(circuit.rate).requires_grad_(about.front == "trained")
    return RetinaCNN(
        circuit.cells,
        rate=circuit.rate,
        pixel=circuit.pixel,
        unit=circuit.unit,
        history=about.history,
        size=(circuit.size, circuit.size),
        channels=about.channels,
        kernels=about.kernels,
        stacked=about.stacked,
        nonlinearity=about.nonlinearity,  # type: ignore[arg-type]
        noise=about.noise,
        seed=seed,
        front=front,
        front_history=None if front is None else about.history - front.taps + 1,
        **about.more,
    )


def fitted(
    circuit: Circuit,
    about: Configuration,
    *,
    seed: int = 0,
    to: Path | None = None,
    choose: float = 60.0,
) -> Fit:
    """Fit it to the circuit's rates; a fit that was cut off goes on in the folder `to`.

    Held-out r, by which the best epoch is chosen, is that of the choosing film.
    """
    film = fitting_film(circuit, about.natural, about.white)
    answers = recording(circuit, film, about.history)
    model = network(circuit, about, seed)
    model.calibrate(answers.rates[about.history - 1 :])

    def say(epoch: FitEpoch) -> None:
        print(f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, r {epoch.r:.3f}", flush=True)

    found = fit(
        model,
        answers,
        held_out=recording(circuit, choosing_film(circuit, choose), about.history),
        epochs=about.epochs,
        lr=about.lr,
        weight_decay=about.weight_decay,
        activity_l1=about.activity_l1,
        patience=None,
        seed=seed,
        to=to,
        progress=say,
    )
    return found
