"""Macaque ganglion cells under flickering light: LN, LNLN and LNK models, and their states.

    CODECLENS_BENCH=… python -m benchmarks.retina.macaque
    CODECLENS_BENCH=… python -m benchmarks.retina.macaque --figure docs/macaque.svg

`CODECLENS_BENCH` names a folder with `rgc_uzzell2004/RGCdata.mat`: spikes of four cells in 144,051
frames of 8.34 ms of binary light that fills the field (Uzzell and Chichilnisky 2004). The last
fifth is held out. Ends with a message where the folder does not exist.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from codeclens import Conductance
from codeclens.retina import (
    LN,
    LNK,
    LNLN,
    FitEpoch,
    Movie,
    Recording,
    ResponseModel,
    evaluate,
    fit,
    movie_contributions,
    spike_triggered_average,
)
from codeclens.visualization.canvas import ACTIVATION, CONTROLS, MODE, WIDTH, blank, save, styled

CELLS = ("cell 1", "cell 2", "cell 3", "cell 4")
COLOURS = (MODE, ACTIVATION, CONTROLS[1], CONTROLS[2])
TRAINED, TAPS, HISTORY, RATE = 0.8, 30, 120, 1 / 0.008340605
EXPLAINED = 20.0


def load(folder: Path) -> Recording:
    """The recording of `folder/rgc_uzzell2004`, in contrasts and Hz.

    The light fills the field and the file does not say how large that is: the movie has one pixel,
    and its size of 1° is a placeholder, which no result depends on.
    """
    from scipy.io import loadmat

    content = loadmat(folder / "rgc_uzzell2004" / "RGCdata.mat")
    light = torch.from_numpy(content["Stim"].astype(np.float32))
    movie = Movie(light[:, :, None], rate=1 / content["dtStim"].item(), pixel=1.0, unit="deg")
    counts = torch.from_numpy(content["SpCounts"].astype(np.float32))
    return Recording.from_counts(movie, counts, CELLS)


@dataclass(frozen=True)
class Judged:
    """A fitted model and its evaluation on the held-out fifth, by cell."""

    name: str
    model: ResponseModel
    scores: xr.Dataset
    seconds: float


def judge(name: str, model: ResponseModel, recording: Recording, epochs: int) -> Judged:
    """Fit on the first four fifths, part of which chooses the epoch, and evaluate on the last."""
    rate = recording.movie.rate
    edge = round(TRAINED * len(recording.movie)) / rate
    train = recording.between(0, edge)
    # The first response of all models is to the same frame.
    test = recording.between(edge + (HISTORY - model.history) / rate, recording.movie.duration)
    begun = time.process_time()

    def say(epoch: FitEpoch) -> None:
        print(f"  {name} {epoch.epoch}/{epoch.epochs}: r {epoch.r:.4f}", flush=True)

    fit(model, train, epochs=epochs, batch_size=1024, lr=5e-3, patience=4, progress=say)
    taken = time.process_time() - begun
    return Judged(name, model, evaluate(model, test), taken)


def linear(recording: Recording) -> LN:
    """One filter and a softplus for each cell."""
    return LN(CELLS, history=TAPS, size=(1, 1), **_clock(recording.movie))


def subunits(recording: Recording) -> LNLN:
    """Six rectified filters that all cells share, with weights of each cell's own."""
    return LNLN(CELLS, history=TAPS, size=(1, 1), channels=6, **_clock(recording.movie))


def kinetic(recording: Recording, start: LN) -> LNK:
    """A channel of four states for each cell, whose filter starts where the LN model's has ended.

    Drawn at random, all channels come to follow the two cells that fire most, and the two others
    are lost.
    """
    model = LNK(CELLS, history=HISTORY, taps=TAPS, size=(1, 1), channels=len(CELLS),
                **_clock(recording.movie))  # fmt: skip
    found = start.potential
    assert found.full is not None
    assert model.filters.full is not None
    with torch.no_grad():
        model.filters.full.copy_(found.full)
        model.filters.bias.copy_(found.bias)
        model.potential.weight.mul_(torch.eye(len(CELLS)))
    return model


def _clock(movie: Movie) -> dict[str, Any]:
    return {"rate": movie.rate, "pixel": movie.pixel, "unit": movie.unit}


def explain(model: ResponseModel, recording: Recording) -> tuple[xr.Dataset, xr.Dataset]:
    """Contributions in Hz on held-out film, of active states and, by lag, of what drives them."""
    movie = recording.movie
    edge = TRAINED * movie.duration
    film = movie.between(edge, edge + EXPLAINED)
    method = Conductance(10)
    active = movie_contributions(model, film, sites="active", method=method, batch_size=512)
    driven = movie_contributions(
        model, film, sites="nonlinear", lags=True, method=method, batch_size=512
    )
    return active, driven


def sentences(active: xr.Dataset, driven: xr.Dataset) -> list[str]:
    """What the contributions show, computed."""
    said = []
    net = (active.positive + active.negative).isel(layer=0)
    size = abs(net).mean("time")
    share = size / size.sum("channel")
    for cell in CELLS:
        one = share.sel(cell=cell)
        best = int(one.to_numpy().argmax())
        said.append(
            f"{cell}: channel {best} has {float(one[best]):.0%} of what the active states give, "
            f"on average {float(net.sel(cell=cell, channel=best).mean()):+.1f} Hz from grey."
        )
    moved = (driven.positive + driven.negative).isel(layer=0).sum("channel")
    for cell in CELLS:
        one = moved.sel(cell=cell).sortby("lag")
        mean = one.mean("time").to_numpy()
        # From the newest frame back, to the first lag at which the drive takes from the rate.
        turn = int(np.argmax(mean < 0))
        now, earlier = (one.isel(lag=part).sum("lag") for part in (slice(turn), slice(turn, None)))
        said.append(
            f"{cell}: what drove it in the last {1e3 * turn / RATE:.0f} ms gives "
            f"{float(now.mean()):+.1f} Hz on average, what drove it before that "
            f"{float(earlier.mean()):+.1f} Hz ({float(earlier.min()):+.0f} Hz at most); the two "
            f"correlate with {float(xr.corr(now, earlier)):.2f}."
        )
    gap = float(abs(active.completeness).max()), float(abs(driven.completeness).max())
    said.append(f"Sums of contributions miss the rates by {max(gap):.1e} Hz at worst.")
    return said


def draw(
    recording: Recording, judged: Sequence[Judged], average: xr.Dataset, driven: xr.Dataset,
    path: Path,
) -> None:  # fmt: skip
    """Averages before spikes, rates on held-out film, and contributions by lag."""
    rate = recording.movie.rate
    with styled():
        figure = blank(WIDTH, 4.4)
        above, below = figure.subplots(2, 1).tolist()
        for axes in (above, below):
            axes.remove()
        grid = figure.add_gridspec(2, 2)
        sta = figure.add_subplot(grid[0, 0])
        for number, cell in enumerate(CELLS):
            one = average.average.sel(cell=cell).isel(y=0, x=0)
            sta.plot(-1e3 * one.lag, one, color=COLOURS[number], label=cell)
        sta.axhline(0, color="#9ca3af", linewidth=0.8)
        sta.set(title="Mean contrast before spikes", xlabel="time (ms)", ylabel="contrast")
        sta.legend(loc="lower left")
        lags = figure.add_subplot(grid[0, 1])
        for number, cell in enumerate(CELLS):
            one = driven.sel(cell=cell).isel(layer=0).sum("channel")
            moved = (one.positive + one.negative).mean("time")
            lags.plot(-1e3 * one.lag, moved, color=COLOURS[number], label=cell)
        lags.axhline(0, color="#9ca3af", linewidth=0.8)
        lags.set(title="LNK: contributions of the drive by lag", xlabel="time (ms)",
                 ylabel="mean (Hz)", xlim=(-80, 1))  # fmt: skip
        rates = figure.add_subplot(grid[1, :])
        edge = round(TRAINED * len(recording.movie))
        some = recording.movie.frames[edge : edge + HISTORY + round(2 * rate)]
        film = Movie(some, rate, 1.0, "deg")
        best = int(judged[-1].scores.r.argmax("cell"))
        counts = recording.rates[edge + HISTORY - 1 : edge + len(some), best]
        when = np.arange(len(counts)) / rate
        rates.bar(when, counts, 1 / rate, color="#d1d5db", label="spikes in each frame")
        for one, colour in zip((judged[0], judged[-1]), (ACTIVATION, MODE), strict=True):
            shown = one.model.respond(film)[-len(counts) :, best]
            rates.plot(when, shown, color=colour, label=one.name)
        rates.set(title=f"{CELLS[best]}, held out", xlabel="time (s)", ylabel="rate (Hz)")
        rates.legend(loc="upper right", ncols=3)
        rates.set_ylim(0, float(counts.max()) * 1.25)
        save(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", type=Path, help="draw there, too")
    parser.add_argument("--epochs", type=int, default=12, help="of the LNK model")
    given = parser.parse_args(arguments)
    folder = os.environ.get("CODECLENS_BENCH")
    if not folder or not (Path(folder) / "rgc_uzzell2004").is_dir():
        print("CODECLENS_BENCH names no folder with rgc_uzzell2004; nothing is measured.")
        return
    torch.set_num_threads(1)
    recording = load(Path(folder))
    average = spike_triggered_average(recording.between(0, 300.0), TAPS, draws=40)
    ln = linear(recording)
    judged = [judge("LN", ln, recording, 1), judge("LNLN", subunits(recording), recording, 1)]
    judged.append(judge("LNK", kinetic(recording, ln), recording, given.epochs))
    heads = " | ".join(f"{one.name}: r, bits a spike" for one in judged)
    print(f"\n| cell | rate, Hz | peak of the STA, ms | {heads} |")
    print("|---|---|---|" + "---|" * len(judged))
    for number, cell in enumerate(CELLS):
        one = average.average.sel(cell=cell).isel(y=0, x=0)
        peak = int(np.abs(one.to_numpy()).argmax())
        scores = " | ".join(
            f"{float(j.scores.r[number]):.3f}, {float(j.scores.bits_per_spike[number]):.3f}"
            for j in judged
        )
        print(
            f"| {cell} | {float(recording.rates[:, number].mean()):.1f} | "
            f"{1e3 * float(one.lag[peak]):.0f} ({'bright' if float(one[peak]) > 0 else 'dark'}) | "
            f"{scores} |"
        )
    widest = max(
        float((j.scores.bits_per_spike_high - j.scores.bits_per_spike_low).max()) for j in judged
    )
    print(f"\n95 % intervals of bits a spike are at most {widest:.3f} wide")
    print(f"fits took {', '.join(f'{j.seconds:.1f} CPU s ({j.name})' for j in judged)}")
    active, driven = explain(judged[-1].model, recording)
    print("\n".join(sentences(active, driven)))
    if given.figure:
        draw(recording, judged, average, driven, given.figure)


if __name__ == "__main__":
    main()
