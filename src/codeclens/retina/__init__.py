"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.movies import Movie
from codeclens.retina.recordings import Recording
from codeclens.retina.response import ResponseModel

__all__ = ["Movie", "Recording", "ResponseModel"]
