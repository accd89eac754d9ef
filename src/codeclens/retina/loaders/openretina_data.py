"""Recordings in openretina's layout: films and responses in HDF5, shared films as arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from codeclens.errors import CodeclensError
from codeclens.retina.loaders.files import array, chosen, opened
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording


def load_openretina_data(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    responses: Literal["Hz", "counts"],
    stimulus: str | None = None,
    cells: Sequence[int] | None = None,
    colour: int | None = None,
    stats: tuple[float, float] = (0.0, 1.0),
) -> Recording:
    """Read one session `NAME.h5` and the film that it answers to, `stimulus`.

    Responses are `responses_STIMULUS` `(cells, time)`, in Hz or in counts of spikes a frame, as
    `responses` must say. The film is `stimulus_STIMULUS` in the same file, or
    `stimuli/STIMULUS.npy` beside it, `(colours, time, y, x)`, scored by `stats` (mean and
    deviation). `rate` in frames a second and `pixel` in `unit` are not in the file. Of several
    colours one is taken, `colour`; of several films the one that is named. Pickles, in which
    openretina keeps some of its data too, are never loaded.

    Raises CodeclensError where a file is missing or has another form.
    (Openretina: doi 10.1101/2025.03.07.642012.)

    >>> load_openretina_data("nowhere.h5", rate=30.0, pixel=50.0, unit="um", responses="Hz")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.h5".
    """
    if responses not in ("Hz", "counts"):
        raise CodeclensError(f'responses={responses!r} is not known; they are in "Hz" or "counts".')
    with opened(path) as content:
        known = sorted(n.removeprefix("responses_") for n in content if n.startswith("responses_"))
        name = known[0] if stimulus is None and len(known) == 1 else stimulus
        if name not in known:
            raise CodeclensError(
                f'"{path}" has responses to {", ".join(known) or "nothing"}, not to {name!r}; pass '
                "stimulus= as one of them."
            )
        rates = array(content, f"responses_{name}", path)
        if f"stimulus_{name}" in content:
            film = array(content, f"stimulus_{name}", path)
        else:
            film = _shared(Path(path).parent / "stimuli" / f"{name}.npy", path)
    if film.ndim != 4 or rates.ndim != 2 or rates.shape[1] != film.shape[1]:
        raise CodeclensError(
            f'"{path}" has a film {film.shape} and responses {rates.shape}; they must be (colours, '
            "time, y, x) and (cells, time), over the same frames."
        )
    if colour is None and len(film) > 1:
        raise CodeclensError(
            f'The film of "{path}" has {len(film)} colours; pass colour= as the number of one.'
        )
    number = 0 if colour is None else colour
    if not 0 <= number < len(film):
        raise CodeclensError(f'The film of "{path}" has colours 0 to {len(film) - 1}.')
    mean, std = stats
    picked, labels = chosen(rates, cells, path)
    movie = Movie(torch.from_numpy((film[number] - mean) / std), rate=rate, pixel=pixel, unit=unit)
    values = torch.from_numpy(picked.T.copy())
    if responses == "counts":
        return Recording.from_counts(movie, values, labels)
    return Recording(movie, values, labels)


def _shared(file: Path, path: Any) -> np.ndarray[Any, Any]:
    if not file.is_file():
        raise CodeclensError(f'"{path}" holds no film, and there is none at "{file}".')
    try:
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float32)
    except (ValueError, OSError, EOFError) as error:
        raise CodeclensError(
            f'"{file}" is no plain array; a file of objects could run code and is never loaded.'
        ) from error
