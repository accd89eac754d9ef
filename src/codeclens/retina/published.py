"""The settings of the published study of retina models, under one name."""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Conductance, Surprisal
from codeclens.decomposition import ThresholdSAE


@dataclass(frozen=True)
class PublishedSettings:
    """How the published study explains and decomposes: a target, a method and an autoencoder.

    `target` is the surprisal of the population, `method` 20 even steps from grey with trapezoids,
    `modes` the autoencoder with ten modes for each unit and a threshold of 0.9, with the penalty,
    learning rate and epochs of the study. `published_settings` makes them.
    """

    target: Surprisal
    method: Conductance = field(
        default_factory=lambda: Conductance(20, rule="trapezoid", nodes="uniform")
    )
    modes: ThresholdSAE = field(
        default_factory=lambda: ThresholdSAE(
            expansion=10, threshold=0.9, penalty=1e-4, learning_rate=1e-5, epochs=800
        )
    )


def published_settings(rates: Float[Tensor, "time cell"]) -> PublishedSettings:
    """The settings of the published study, with the surprisal of these rates (arXiv 2603.06557).

    Pass the rates of training frames: the study fitted the surprisal on the frames that it
    explained. Its path sums to the change of the target only up to an error of its steps; the
    defaults of `movie_contributions` are exact. Raises CodeclensError as `Surprisal.fit` does.

    >>> import torch
    >>> from codeclens.retina import Movie, RetinaCNN, movie_contributions
    >>> cnn = RetinaCNN(["on", "off"], rate=50.0, pixel=1.0, unit="deg", history=4, size=(8, 8),
    ...                 kernels=(3, 3)).eval()
    >>> movie = Movie(torch.randn(40, 8, 8), rate=50.0, pixel=1.0, unit="deg")
    >>> usual = published_settings(cnn.respond(movie.between(0.0, 0.6)))
    >>> usual.method.steps, usual.modes
    (20, ThresholdSAE(expansion=10, threshold=0.9, penalty=0.0001, learning_rate=1e-05, epochs=800))
    >>> found = movie_contributions(cnn, movie, cells=[], targets={"surprisal": usual.target},
    ...                             method=usual.method, between=(0.6, 0.7))
    >>> found.positive.attrs["units"]
    'nats'
    """
    return PublishedSettings(Surprisal.fit(rates))
