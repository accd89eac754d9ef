"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.changes import field_changes, movie_changes
from codeclens.retina.explained import variance_explained
from codeclens.retina.movies import Movie
from codeclens.retina.receptive_fields import field_parts, receptive_fields, separable
from codeclens.retina.recordings import Recording
from codeclens.retina.removals import removal_agreement, removal_effects
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split, held_out_blocks

__all__ = [
    "Movie",
    "Recording",
    "ResponseModel",
    "Split",
    "field_changes",
    "field_parts",
    "held_out_blocks",
    "movie_changes",
    "receptive_fields",
    "removal_agreement",
    "removal_effects",
    "separable",
    "variance_explained",
]
