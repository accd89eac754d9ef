"""Evaluation: predicted against recorded rates, and the noise ceilings that repeats set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.errors import CodeclensError, require_number
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import block_draws, with_bounds

if TYPE_CHECKING:
    import xarray

Array = np.ndarray[Any, Any]
# Sums over the frames of each block, by name.
Sums = dict[str, Any]
# Random halves of the repeats, over which the split-half reliability is averaged.
_HALVES = 50
# The smallest expected count a frame, so that a spike in a silent frame has a finite cost.
_LEAST = 1e-6


def correlation(
    predicted: Float[Tensor, "time cell"], measured: Float[Tensor, "time cell"]
) -> Float[Tensor, " cell"]:
    """Pearson's r of each column; NaN where one of the two is constant.

    >>> correlation(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]]))
    tensor([1.], dtype=torch.float64)
    """
    ours, theirs = (x.double() - x.double().mean(dim=0) for x in (predicted, measured))
    size = (ours.square().sum(dim=0) * theirs.square().sum(dim=0)).sqrt()
    r = (ours * theirs).sum(dim=0) / size
    return torch.where(size > 0, r, torch.full_like(r, torch.nan))


def evaluate(
    model: ResponseModel,
    recording: Recording,
    *,
    block: float = 1.0,
    draws: int = 1000,
    seed: int = 0,
) -> xarray.Dataset:
    """Compare a model's rates with a recording, which it should not have been fitted to.

    Every response is compared with the frame that it belongs to, also where the model looks ahead.
    Returns by `cell`, each with 95 % bounds `*_low` and `*_high` from `draws` samples of blocks of
    `block` s:

    - `r`: Pearson's r with the rates, the mean over repeats;
    - `bits_per_spike`: the Poisson log-likelihood above that of the mean rate of this recording;
    - with repeats, `normalised_r`: the correlation with the noise-free response, r divided by its
      ceiling (CC_norm of Schoppe et al. 2016, Frontiers in Computational Neuroscience 10: 10);
    - with repeats, `explained`: the fraction of the explainable variance of single repeats that is
      explained (FEV of Cadena et al. 2019, PLoS Computational Biology 15: e1006897). Unlike r it
      also falls with a wrong gain or offset;
    - with repeats, the ceilings of `noise_ceiling`.

    Raises CodeclensError for cells that differ from the model's, and for a movie of another clock,
    scale or size.

    >>> from codeclens.retina import LN, Movie
    >>> movie = Movie(torch.randn(200, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> model = LN(["on"], rate=50.0, pixel=1.0, unit="deg", history=5, size=(1, 1))
    >>> rates = torch.cat([torch.zeros(4, 1), model.respond(movie)])
    >>> round(evaluate(model, Recording(movie, rates, ["on"])).r.item(), 6)
    1.0
    """
    import xarray

    if tuple(recording.cells) != tuple(model.cells):
        raise CodeclensError(
            f"The recording's cells are {', '.join(recording.cells)}, and the model's "
            f"{', '.join(model.cells)}; pass the same ones in the same order."
        )
    rows = recording.rows_of(model)
    answers = model.respond(recording.movie)[: rows.stop - rows.start]
    predicted = answers.detach().cpu().double().numpy()
    sums, weight = _sums(recording, rows, block, draws, seed, predicted)
    found: dict[str, Any] = {}
    for name, values in (_ceilings(sums, weight) | _scores(sums, weight)).items():
        if recording.repeats is not None or name in ("r", "bits_per_spike"):
            found |= with_bounds(name, "cell", values[0], values[1:])
    found["mean_rate"] = ("cell", sums["mean"].sum(axis=0) / sums["frames"].sum(), {"units": "Hz"})
    return xarray.Dataset(found, {"cell": np.array(recording.cells, object)})


def noise_ceiling(
    recording: Recording, *, block: float = 1.0, draws: int = 1000, seed: int = 0
) -> xarray.Dataset:
    """How much of a recording with repeats is determined by the stimulus.

    Returns by `cell`, each with 95 % bounds `*_low` and `*_high` from `draws` samples of blocks of
    `block` s:

    - `reliability`: the correlation between means over random halves of the repeats, corrected to
      all repeats by Spearman and Brown, an average over halves;
    - `ceiling`: the r of a perfect model with the mean over repeats, √(signal power / power of the
      mean) (CC_max of Schoppe et al. 2016), where the signal power is that of Sahani and Linden
      (2003, NIPS 15), which needs no Gaussian noise;
    - `explainable`: the fraction of the variance of single repeats that is signal.

    A ceiling is NaN where the signal power is not positive. Raises CodeclensError for a recording
    without repeats.

    >>> from codeclens.retina import Movie
    >>> movie = Movie(torch.zeros(400, 1, 1), rate=50.0, pixel=1.0, unit="deg")
    >>> signal = torch.rand(400, 1).square() * 40
    >>> counts = torch.poisson((signal / 50).expand(50, 400, 1))
    >>> found = noise_ceiling(Recording.from_counts(movie, counts, ["on"]))
    >>> bool(0.9 < found.ceiling.item() < 1), bool(found.explainable.item() < 0.5)
    (True, True)
    """
    import xarray

    if recording.repeats is None:
        raise CodeclensError(
            "The recording has no repeats, so no ceiling; pass rates as (repeats, time, cells)."
        )
    sums, weight = _sums(recording, slice(0, len(recording.rates)), block, draws, seed)
    found: dict[str, Any] = {}
    for name, values in _ceilings(sums, weight).items():
        found |= with_bounds(name, "cell", values[0], values[1:])
    return xarray.Dataset(found, {"cell": np.array(recording.cells, object)})


def _sums(
    recording: Recording,
    rows: slice,
    block: float,
    draws: int,
    seed: int,
    predicted: Float[np.ndarray, "time cell"] | None = None,
) -> tuple[Sums, Float[np.ndarray, "draw block"]]:
    """Sums over each block that all measures follow from, and the weights of the blocks.

    The first row of weights is the recording itself, the others are bootstrap samples.
    """
    require_number("block", block, above=0, hint="seconds")
    require_number("draws", draws, least=1, whole=True)
    rates = recording.rates[rows].detach().cpu().double().numpy()
    number = np.arange(len(rates)) // max(1, round(block * recording.movie.rate))
    starts = np.flatnonzero(np.diff(number, prepend=-1))

    def total(values: Array) -> Array:
        return np.add.reduceat(values, starts, axis=0)

    sums = {
        "frames": total(np.ones(len(rates))),
        "mean": total(rates),
        "mean_square": total(rates**2),
    }
    if recording.repeats is not None:
        trials = recording.repeats[:, rows].detach().cpu().double().numpy().swapaxes(0, 1)
        sums["trial"], sums["trial_square"] = total(trials), total(trials**2)
        random = np.random.default_rng(seed)
        pairs = []
        for _ in range(_HALVES):
            order = random.permutation(trials.shape[1])
            one = trials[:, order[::2]].mean(axis=1)
            other = trials[:, order[1::2]].mean(axis=1)
            pairs.append(total(np.stack([one, other, one**2, other**2, one * other], axis=1)))
        sums["halves"] = np.stack(pairs, axis=1)
    if predicted is not None:
        frame = 1 / recording.movie.rate
        expected = np.maximum(predicted * frame, _LEAST)
        sums["predicted"] = total(predicted)
        sums["predicted_square"] = total(predicted**2)
        sums["product"] = total(predicted * rates)
        sums["likelihood"] = total(rates * frame * np.log(expected) - expected)
        sums["spikes"] = total(rates * frame)
    weight = np.concatenate([np.ones((1, len(starts))), block_draws(len(starts), draws, seed)])
    return sums, weight


class _Moments:
    """Means over all frames of a weighted set of blocks, by name."""

    def __init__(self, sums: Sums, weight: Float[np.ndarray, "draw block"]) -> None:
        self._sums, self._weight = sums, weight
        self._frames = weight @ sums["frames"]

    def __getitem__(self, name: str) -> Array:
        found = np.tensordot(self._weight, self._sums[name], axes=1)
        return np.asarray(found / self._frames.reshape(-1, *[1] * (found.ndim - 1)))


def _ceilings(
    sums: Sums, weight: Float[np.ndarray, "draw block"]
) -> dict[str, Float[np.ndarray, "draw cell"]]:
    if "trial" not in sums:
        return {}
    moments = _Moments(sums, weight)
    signal, single = _signal_power(moments)
    power = moments["mean_square"] - moments["mean"] ** 2
    one, other, one_square, other_square, product = np.moveaxis(moments["halves"], 2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (one_square - one**2) * (other_square - other**2)
        halves = (product - one * other) / np.sqrt(np.where(spread > 0, spread, np.nan))
        return {
            "reliability": (2 * halves / (1 + halves)).mean(axis=1),
            "ceiling": np.sqrt(np.where(signal > 0, signal, np.nan) / power),
            "explainable": signal / single,
        }


def _signal_power(moments: _Moments) -> tuple[Array, Array]:
    """Signal power, and the mean variance of single repeats over time (Sahani and Linden)."""
    trials = moments["trial"]
    count = trials.shape[1]
    single = (moments["trial_square"] - trials**2).mean(axis=1)
    power = moments["mean_square"] - moments["mean"] ** 2
    return (count * power - single) / (count - 1), single


def _scores(
    sums: Sums, weight: Float[np.ndarray, "draw block"]
) -> dict[str, Float[np.ndarray, "draw cell"]]:
    moments = _Moments(sums, weight)
    mean, predicted = moments["mean"], moments["predicted"]
    power = moments["mean_square"] - mean**2
    spread = moments["predicted_square"] - predicted**2
    # A small difference of large sums is rounding.
    power = np.where(power > 1e-12 * moments["mean_square"], power, np.nan)
    spread = np.where(spread > 1e-12 * moments["predicted_square"], spread, np.nan)
    shared = moments["product"] - mean * predicted
    spikes = moments["spikes"]
    with np.errstate(invalid="ignore", divide="ignore"):
        constant = spikes * np.log(spikes) - spikes
        found = {
            "r": shared / np.sqrt(power * spread),
            "bits_per_spike": (moments["likelihood"] - constant) / spikes / np.log(2),
        }
        if "trial" in sums:
            signal, _ = _signal_power(moments)
            count = moments["trial"].shape[1]
            square = moments["trial_square"].mean(axis=1)
            noise = (square - moments["mean_square"]) * count / (count - 1)
            missed = square - 2 * moments["product"] + moments["predicted_square"]
            found["normalised_r"] = shared / np.sqrt(spread * np.where(signal > 0, signal, np.nan))
            found["explained"] = 1 - (missed - noise) / (square - mean**2 - noise)
    return found
