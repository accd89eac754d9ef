"""Films of the benchmark: to fit on, to choose by, and to report on, of different photographs."""

from __future__ import annotations

import torch

from codeclens.retina import Circuit, Movie, Recording, natural_movie, white_noise

# No photograph serves two purposes.
FITTED = ("astronaut", "chelsea", "china", "coffee", "motorcycle")
CHOSEN = ("camera",)
REPORTED = ("flower", "rocket")
# Sides of the checks of white noise, px, and for how many frames each stays.
CHECKS = ((1, 1), (2, 1), (4, 2))


def fitting_film(circuit: Circuit, natural: float, noise: float, *, seed: int = 100) -> Movie:
    """`natural` s of photographs under a moving eye, then `noise` s of white noise."""
    screen = circuit.screen
    parts = [natural_movie(natural, screen, names=FITTED, seed=seed)]
    if noise > 0:
        parts += [
            white_noise(noise / len(CHECKS), screen, check=check, every=every, seed=seed + check)
            for check, every in CHECKS
        ]
    return screen.movie(torch.cat([part.frames for part in parts]))


def choosing_film(circuit: Circuit, seconds: float) -> Movie:
    """What settings and epochs are chosen by."""
    return natural_movie(seconds, circuit.screen, names=CHOSEN, seed=200)


def training_film(circuit: Circuit, seconds: float) -> Movie:
    """What modes are found in, and candidates chosen by: photographs that were fitted on."""
    return natural_movie(seconds, circuit.screen, names=FITTED, seed=300)


def reported_film(circuit: Circuit, seconds: float) -> Movie:
    """What is reported: photographs that nothing was fitted or chosen by."""
    return natural_movie(seconds, circuit.screen, names=REPORTED, seed=400)


def recording(circuit: Circuit, film: Movie, history: int) -> Recording:
    """The circuit's rates to a film, from where a model of `history` frames has its first window.

    The circuit looks further back than the model: the film loses the frames before. Rates of frames
    without a window are zero, and nobody asks for them.
    """
    spare = circuit.history - history
    rates = circuit.respond(film)
    return Recording(
        circuit.screen.movie(film.frames[spare:]),
        torch.cat([rates.new_zeros(history - 1, rates.shape[1]), rates]),
        circuit.cells,
    )
