"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.cascades import LN, LNK, LNLN
from codeclens.retina.contributions import movie_contributions
from codeclens.retina.core_readout import CoreLayer, CoreReadout
from codeclens.retina.files import load_model, save_model
from codeclens.retina.fitting import Fit, FitEpoch, fit
from codeclens.retina.kinetics import Kinetics
from codeclens.retina.loaders import (
    DeepRetina,
    load_deep_retina,
    load_deep_retina_data,
    load_nwb,
    load_openretina,
    load_openretina_data,
)
from codeclens.retina.movies import Movie
from codeclens.retina.networks import RetinaCNN
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel
from codeclens.retina.stacks import StackedConv2d, fold
from codeclens.retina.windows import MovieWindows

__all__ = [
    "LN",
    "LNK",
    "LNLN",
    "CoreLayer",
    "CoreReadout",
    "DeepRetina",
    "Fit",
    "FitEpoch",
    "Kinetics",
    "Movie",
    "MovieWindows",
    "Recording",
    "ResponseModel",
    "RetinaCNN",
    "StackedConv2d",
    "fit",
    "fold",
    "load_deep_retina",
    "load_deep_retina_data",
    "load_model",
    "load_nwb",
    "load_openretina",
    "load_openretina_data",
    "movie_contributions",
    "save_model",
]
