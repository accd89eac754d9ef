"""Fit a network to the simulated retina and keep it as a small file.

    python -m benchmarks.retina.fit small --to FOLDER/NAME

Writes `NAME.safetensors` and `NAME.json`, stacks folded into single convolutions; the same command
gives the same file again. With `--keep FOLDER` a fit that was cut off goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.retina.films import recording, reported_film
from benchmarks.retina.networks import CONFIGURATIONS, Configuration, fitted
from codeclens.retina import Circuit, RetinaCNN, save_model


def quality(circuit: Circuit, model: RetinaCNN, seconds: float) -> dict[str, float]:
    """Pearson's r of every cell on the reported film."""
    held = recording(circuit, reported_film(circuit, seconds), model.history)
    predicted = model.respond(held.movie).double()
    truth = held.rates[model.history - 1 :].double()
    return {
        cell: round(float(torch.corrcoef(torch.stack([predicted[:, n], truth[:, n]]))[0, 1]), 4)
        for n, cell in enumerate(model.cells)
    }


def make(
    name: str,
    about: Configuration,
    to: Path,
    *,
    seed: int,
    keep: Path | None,
    report: float = 120.0,
) -> dict[str, float]:
    """Fit, fold, judge and write one network; returns its r by cell."""
    circuit = Circuit()
    found = fitted(circuit, about, seed=seed, to=keep)
    model = found.model
    assert isinstance(model, RetinaCNN)
    folded = model.fold().eval()
    r = quality(circuit, folded, report)
    save_model(
        folded,
        to,
        about={
            "made by": f"python -m benchmarks.retina.fit {name} --seed {seed}",
            "fitted to": "the rates of codeclens.retina.Circuit() to photographs and white noise",
            "configuration": dataclasses.asdict(about) | {"more": dict(about.more)},
            "r on photographs not fitted on": r,
        },
    )
    return r


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(CONFIGURATIONS))
    parser.add_argument("--to", type=Path, required=True, help="FOLDER/NAME of the file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where the fit is kept while it runs")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    r = make(given.name, CONFIGURATIONS[given.name], given.to, seed=given.seed, keep=given.keep)
    for cell, value in r.items():
        print(f"{cell}: r {value:.3f}")
    print(f"mean: r {sum(r.values()) / len(r):.3f}")


if __name__ == "__main__":
    main()
