"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.averages import spike_triggered_average
from codeclens.retina.changes import field_changes, movie_changes
from codeclens.retina.clusters import CellClusters, cluster_cells
from codeclens.retina.combinations import active_modes, combinations
from codeclens.retina.explained import variance_explained
from codeclens.retina.figures import (
    changes_figure,
    explained_figure,
    fields_figure,
    loadings_figure,
    matrix_figure,
)
from codeclens.retina.groups import grouped_fields, prevailing
from codeclens.retina.movies import Movie
from codeclens.retina.population import mode_cell_matrix, population_modes
from codeclens.retina.receptive_fields import (
    field_cosine,
    field_parts,
    receptive_fields,
    separable,
)
from codeclens.retina.recordings import Recording
from codeclens.retina.removals import removal_agreement, removal_effects
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split, held_out_blocks

__all__ = [
    "CellClusters",
    "Movie",
    "Recording",
    "ResponseModel",
    "Split",
    "active_modes",
    "changes_figure",
    "cluster_cells",
    "combinations",
    "explained_figure",
    "field_changes",
    "field_cosine",
    "field_parts",
    "fields_figure",
    "grouped_fields",
    "held_out_blocks",
    "loadings_figure",
    "matrix_figure",
    "mode_cell_matrix",
    "movie_changes",
    "population_modes",
    "prevailing",
    "receptive_fields",
    "removal_agreement",
    "removal_effects",
    "separable",
    "spike_triggered_average",
    "variance_explained",
]
