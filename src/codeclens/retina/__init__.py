"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.circuit import Circuit
from codeclens.retina.movies import Movie
from codeclens.retina.natural import natural_movie, photographs
from codeclens.retina.noise import white_noise
from codeclens.retina.pathways import Pathways, pathways
from codeclens.retina.photoreceptors import Photoreceptors
from codeclens.retina.physiology import (
    contrast_adaptation,
    direction_selectivity,
    latency,
    motion_reversal,
    object_motion,
    omitted_stimulus,
)
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel
from codeclens.retina.screens import Screen
from codeclens.retina.stimuli import bar, flash, flash_train, flicker, grating, moving_object

__all__ = [
    "Circuit",
    "Movie",
    "Pathways",
    "Photoreceptors",
    "Recording",
    "ResponseModel",
    "Screen",
    "bar",
    "contrast_adaptation",
    "direction_selectivity",
    "flash",
    "flash_train",
    "flicker",
    "grating",
    "latency",
    "motion_reversal",
    "moving_object",
    "natural_movie",
    "object_motion",
    "omitted_stimulus",
    "pathways",
    "photographs",
    "white_noise",
]
