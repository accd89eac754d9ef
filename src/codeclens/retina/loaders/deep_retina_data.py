"""Recordings of the Baccus laboratory's HDF5 files, as torch-deep-retina is trained on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import torch

from codeclens.errors import CodeclensError
from codeclens.retina.loaders.files import array, chosen, opened
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording

Part = Literal["train", "test"]


def load_deep_retina_data(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    part: Part = "train",
    response: str = "firing_rate_10ms",
    cells: Sequence[int] | None = None,
    stats: tuple[float, float] | None = None,
) -> Recording:
    """Read film and responses of `naturalscene.h5`, `whitenoise.h5` and the like.

    The film is `part/stimulus` `(time, y, x)`, scored by the mean and deviation of its own frames
    or by `stats` (those of training, for a film to test on). Responses are
    `part/response/response` `(cells, time)`: `"firing_rate_10ms"` in Hz or `"binned"`, the counts
    of spikes, which become Hz. With `"repeats"` of a test film they are the mean over
    `test/repeats/cell…` `(repeats, time)` in Hz. `rate` in frames a second and `pixel` in `unit`
    are not in the file, but `part/time` is, and must agree with the rate. `cells` are numbers in
    the file; names keep them.

    Raises CodeclensError where the file has another form or the times another rate.
    (Maheswaranathan et al. 2023, Neuron 111; data: doi 10.25740/rk663dm5577.)

    >>> load_deep_retina_data("nowhere.h5", rate=100.0, pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.h5".
    """
    with opened(path) as content:
        film = array(content, f"{part}/stimulus", path)
        if response == "repeats":
            group = content.get(f"{part}/repeats", {})
            names = sorted((n for n in group if n.startswith("cell")), key=_number)
            if not names:
                raise CodeclensError(f'"{path}" has no repeats "{part}/repeats/cell…".')
            rows = [array(content, f"{part}/repeats/{name}", path).mean(axis=0) for name in names]
            rates = torch.stack([torch.from_numpy(row) for row in rows]).numpy()
        else:
            rates = array(content, f"{part}/response/{response}", path)
        times = array(content, f"{part}/time", path) if f"{part}/time" in content else None
        exact = None if times is None else content[f"{part}/time"][()].astype("float64").ravel()
    if film.ndim != 3 or rates.ndim != 2 or rates.shape[1] != len(film):
        raise CodeclensError(
            f'"{path}" has a film {film.shape} and responses {rates.shape}; they must be (time, y, '
            "x) and (cells, time), over the same frames."
        )
    if exact is not None and len(exact) > 1:
        told = (len(exact) - 1) / (exact[-1] - exact[0])
        if abs(told - rate) > 0.01 * rate:
            raise CodeclensError(
                f'The times in "{path}" make {told:.6g} frames a second; rate={rate:g} was said.'
            )
    picked, labels = chosen(rates, cells, path)
    mean, std = (float(film.mean()), float(film.std()) + 1e-7) if stats is None else stats
    movie = Movie(torch.from_numpy((film - mean) / std), rate=rate, pixel=pixel, unit=unit)
    values = torch.from_numpy(picked.T.copy())
    if response == "binned":
        return Recording.from_counts(movie, values, labels)
    return Recording(movie, values, labels)


def _number(name: str) -> int:
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits) if digits else 0
