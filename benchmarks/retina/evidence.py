"""Evidence: what a network gives for every frame of a film, kept in a folder once it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from codeclens import Conductance
from codeclens.retina import Movie, ResponseModel, movie_contributions

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of every frame: rates `(T, cells)` Hz, and by site what the units do.

    `positive` and `negative` contributions `(T, cells, U)`, summed over places with signs apart;
    `activation` `(T, U)`, the mean over places. `gap` is the largest that contributions miss of a
    rate, in Hz.
    """

    rates: Float[Array, "time cell"]
    positive: Mapping[str, Float[Array, "time cell unit"]]
    negative: Mapping[str, Float[Array, "time cell unit"]]
    activation: Mapping[str, Float[Array, "time unit"]]
    gap: float


def gathered(
    model: ResponseModel,
    film: Movie,
    *,
    sites: Sequence[Any] | None = None,
    drive: bool = False,
    steps: int = 10,
    every: int = 1,
    keep: Path | None = None,
) -> Evidence:
    """The evidence of a film, of each frame or one in `every`: contributions to rates or drives."""
    times = film.window_times(model.history)[::every].tolist()

    def made() -> dict[str, Array]:
        found = movie_contributions(
            model,
            film,
            sites=sites,
            times=times,
            drive=drive,
            method=Conductance(steps),
            batch_size=128,
        )
        arrays = {
            "rates": found.rate.to_numpy(),
            "gap": np.asarray(np.nanmax(np.abs(found.completeness.to_numpy()))),
        }
        for layer in found.layer.to_numpy():
            for name in ("positive", "negative", "activation"):
                values = found[name].sel(layer=layer).to_numpy()
                there = ~np.isnan(values).any(axis=tuple(range(values.ndim - 1)))
                arrays[f"{name} {layer}"] = values[..., there].astype(np.float32)
        return arrays

    arrays = kept(keep, made)
    layers = [name.removeprefix("positive ") for name in arrays if name.startswith("positive ")]
    parts = [
        {layer: arrays[f"{name} {layer}"] for layer in layers}
        for name in ("positive", "negative", "activation")
    ]
    return Evidence(arrays["rates"], *parts, float(arrays["gap"]))


def kept(file: Path | None, made: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """Arrays from a file, or made and written there, whole or not at all."""
    if file is not None and file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    arrays = made()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part.npz")
        np.savez(part, **arrays)  # type: ignore[arg-type]
        part.replace(file)
    return arrays
