"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.circuit import Circuit
from codeclens.retina.movies import Movie
from codeclens.retina.natural import natural_movie, photographs
from codeclens.retina.noise import white_noise
from codeclens.retina.photoreceptors import Photoreceptors
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel
from codeclens.retina.screens import Screen

__all__ = [
    "Circuit",
    "Movie",
    "Photoreceptors",
    "Recording",
    "ResponseModel",
    "Screen",
    "natural_movie",
    "photographs",
    "white_noise",
]
