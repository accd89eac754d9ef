"""Networks of the benchmark: which are fitted to the circuit, on how much film, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.retina.films import choosing_film, fitting_film, recording
from codeclens.retina import (
    Circuit,
    Fit,
    FitEpoch,
    Movie,
    Photoreceptors,
    Recording,
    RetinaCNN,
    fit,
)


@dataclass(frozen=True)
class Configuration:
    """A network and its fit; what is not said is as `RetinaCNN` and `fit` have it.

    `history` is in frames of what the first convolution sees; `cones` puts photoreceptors in front,
    the circuit's own, which are not trained. `natural` and `white` are s of film.
    """

    history: int = 30
    channels: tuple[int, int] = (8, 8)
    kernels: tuple[int, ...] = (9, 5)
    stacked: bool = True
    nonlinearity: str = "softplus"
    noise: float = 0.0
    cones: bool = False
    natural: float = 300.0
    white: float = 180.0
    epochs: int = 40
    batch_size: int = 256
    lr: float = 3e-3
    weight_decay: float = 1e-3
    activity_l1: float = 0.0
    more: Mapping[str, Any] = field(default_factory=dict)


FINE = Configuration(
    history=23, cones=True, channels=(16, 16), natural=600.0, white=120.0, epochs=14, batch_size=80
)
CONFIGURATIONS = {
    "small": Configuration(),
    "cones": Configuration(history=23, cones=True, channels=(16, 16), natural=900.0, epochs=12),
    "fine": FINE,
    "relu": replace(FINE, nonlinearity="relu"),
}


def network(circuit: Circuit, about: Configuration, seed: int) -> RetinaCNN:
    """The network of a configuration before its fit, without cones."""
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
        **about.more,
    )


def with_cones(model: RetinaCNN, cones: Photoreceptors) -> RetinaCNN:
    """The same network behind photoreceptors: what it said of their signal it says of the film."""
    seen = {"history": model.history + cones.taps - 1, "front_history": model.history}
    whole = RetinaCNN(**model.config() | seen, front=cones)
    fronts = {f"front.{name}": value for name, value in cones.state_dict().items()}
    whole.load_state_dict(model.state_dict() | fronts)
    return whole.eval()


def seen_by(cones: Photoreceptors, given: Recording) -> Recording:
    """A recording whose film is the photoreceptors' signal: for a front that is not trained.

    A front of a fit would be run anew for every window, though windows share nearly all frames.
    """
    lost = cones.taps - 1
    with torch.no_grad():
        frames = torch.cat(
            [
                cones(given.movie.frames[None, start : start + 1000 + lost])[0]
                for start in range(0, len(given.movie) - lost, 1000)
            ]
        )
    film = Movie(frames, given.movie.rate, given.movie.pixel, given.movie.unit)
    return Recording(film, given.rates[lost:], given.cells)


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
    cones = Photoreceptors(circuit.rate).requires_grad_(False)
    film = fitting_film(circuit, about.natural, about.white)
    sets = []
    for one in (film, choosing_film(circuit, choose)):
        history = about.history + (cones.taps - 1 if about.cones else 0)
        given = recording(circuit, one, history)
        sets.append(seen_by(cones, given) if about.cones else given)
    model = network(circuit, about, seed)
    model.calibrate(sets[0].rates[about.history - 1 :])

    def say(epoch: FitEpoch) -> None:
        print(f"epoch {epoch.epoch}: loss {epoch.loss:.4f}, r {epoch.r:.3f}", flush=True)

    found = fit(
        model,
        sets[0],
        held_out=sets[1],
        epochs=about.epochs,
        batch_size=about.batch_size,
        lr=about.lr,
        weight_decay=about.weight_decay,
        activity_l1=about.activity_l1,
        patience=None,
        seed=seed,
        to=to,
        progress=say,
    )
    return replace(found, model=with_cones(model, cones)) if about.cones else found
