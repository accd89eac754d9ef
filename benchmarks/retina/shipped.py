"""The network that ships for `codeclens retina demo`: fitted to the simulated retina, and folded.

    python -m benchmarks.retina.shipped --to src/codeclens/retina/shipped/cnn

Fits a RetinaCNN to what the circuit's cells answer to natural movies, on one thread, and writes
`cnn.safetensors` and `cnn.json`. The epoch is chosen by films of CHOSEN; those of HELD_OUT are in
none, and r is theirs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from codeclens.retina import (
    Circuit,
    FitEpoch,
    Recording,
    RetinaCNN,
    fit,
    natural_movie,
    photographs,
    save_model,
)

HELD_OUT, CHOSEN = ("flower", "rocket"), ("camera",)
SECONDS, EPOCHS, SEED = 900.0, 30, 0


def recording(circuit: Circuit, seconds: float, names: Sequence[str], seed: int) -> Recording:
    """What the circuit's cells answer to a natural movie of these photographs, without noise."""
    movie = natural_movie(seconds + circuit.history / circuit.rate, circuit.screen, names=names,
                          seed=seed)  # fmt: skip
    rates = circuit.respond(movie)
    # The first second has no whole history, and so no rate.
    return Recording(movie.between((circuit.history - 1) / circuit.rate, movie.duration), rates,
                     circuit.cells)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    circuit = Circuit()
    learned = [name for name in sorted(photographs()) if name not in HELD_OUT + CHOSEN]
    train = recording(circuit, given.seconds, learned, seed=1)
    chosen, judged = (
        recording(circuit, 120.0, names, seed) for names, seed in ((CHOSEN, 2), (HELD_OUT, 3))
    )
    model = RetinaCNN(
        circuit.cells, rate=circuit.rate, pixel=circuit.pixel, unit="um", size=(22, 22),
        kernels=(9, 7), stacked=True, seed=SEED,
    )  # fmt: skip

    def say(epoch: FitEpoch) -> None:
        print(f"{epoch.epoch}/{epoch.epochs}: loss {epoch.loss:.4f}, r {epoch.r:.3f}", flush=True)

    fit(model, train, held_out=chosen, epochs=given.epochs, lr=3e-3, seed=SEED,
                progress=say)  # fmt: skip
    folded = model.fold().eval()
    pairs = zip(folded.respond(judged.movie).T, judged.targets(folded.history).T, strict=True)
    r = {
        cell: round(float(torch.corrcoef(torch.stack(pair))[0, 1]), 4)
        for cell, pair in zip(circuit.cells, pairs, strict=True)
    }
    print(r)
    about = {
        "made by": "python -m benchmarks.retina.shipped",
        "fitted to": f"the rates of codeclens.retina.Circuit() to {', '.join(learned)}",
        "seconds": given.seconds,
        "epochs": given.epochs,
        "r on photographs not fitted on": r,
    }
    print(save_model(folded, given.to, about=about))


if __name__ == "__main__":
    main()
