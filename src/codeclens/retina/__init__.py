"""The retina: movies for images, ganglion cells for classes, hertz for logits."""

from codeclens.retina.cascades import LN, LNK, LNLN
from codeclens.retina.changes import field_changes, movie_changes, variance_explained
from codeclens.retina.circuit import Circuit
from codeclens.retina.cnn import RetinaCNN, StackedConv2d, fold
from codeclens.retina.contributions import movie_contributions
from codeclens.retina.core_readout import CoreLayer, CoreReadout
from codeclens.retina.evaluation import evaluate, noise_ceiling
from codeclens.retina.exports import to_nwb, to_pynapple
from codeclens.retina.figures import (
    changes_figure,
    explained_figure,
    fields_figure,
    loadings_figure,
    matrix_figure,
)
from codeclens.retina.fit import Fit, FitEpoch, fit
from codeclens.retina.loaders import (
    DeepRetina,
    load_deep_retina,
    load_deep_retina_data,
    load_nwb,
    load_nwb_parts,
    load_openretina,
    load_openretina_data,
)
from codeclens.retina.matching import match_units
from codeclens.retina.model_files import load_model, ready_cnn, ready_cnn_facts, save_model
from codeclens.retina.motion import (
    direction_selectivity,
    motion_anticipation,
    motion_reversal,
    object_motion,
)
from codeclens.retina.movies import Movie, MovieWindows, Screen
from codeclens.retina.natural_movies import natural_movie, photographs
from codeclens.retina.pathways import Pathways, pathways
from codeclens.retina.phenomena import Phenomenon, explain_phenomenon
from codeclens.retina.photoreceptors import Kinetics, Photoreceptors
from codeclens.retina.physiology import (
    contrast_adaptation,
    frequency_doubling,
    latency,
    omitted_stimulus,
    polarity_reversal,
)
from codeclens.retina.places import mode_maps, mode_maps_figure
from codeclens.retina.population import (
    CellClusters,
    active_modes,
    cluster_cells,
    combinations,
    mode_cell_matrix,
    population_modes,
    sign_balance,
)
from codeclens.retina.published import PublishedSettings, published_settings
from codeclens.retina.receptive_fields import (
    field_cosine,
    field_parts,
    grouped_fields,
    prevailing,
    receptive_fields,
    separable,
)
from codeclens.retina.recordings import (
    Recording,
    cut_repeats,
    join_repeats,
    spike_triggered_average,
)
from codeclens.retina.removals import removal_agreement, removal_effects
from codeclens.retina.response import ResponseModel
from codeclens.retina.splits import Split, held_out_blocks
from codeclens.retina.stimuli import (
    bar,
    flash,
    flash_train,
    flashed_bar,
    flicker,
    grating,
    moving_object,
    reversing_grating,
    shifted_surround,
    white_noise,
)
from codeclens.retina.subnetworks import HeldAtRest, Subnetwork, minimal_subnetwork

__all__ = [
    "LN",
    "LNK",
    "LNLN",
    "CellClusters",
    "Circuit",
    "CoreLayer",
    "CoreReadout",
    "DeepRetina",
    "Fit",
    "FitEpoch",
    "HeldAtRest",
    "Kinetics",
    "Movie",
    "MovieWindows",
    "Pathways",
    "Phenomenon",
    "Photoreceptors",
    "PublishedSettings",
    "Recording",
    "ResponseModel",
    "RetinaCNN",
    "Screen",
    "Split",
    "StackedConv2d",
    "Subnetwork",
    "active_modes",
    "bar",
    "changes_figure",
    "cluster_cells",
    "combinations",
    "contrast_adaptation",
    "cut_repeats",
    "direction_selectivity",
    "evaluate",
    "explain_phenomenon",
    "explained_figure",
    "field_changes",
    "field_cosine",
    "field_parts",
    "fields_figure",
    "fit",
    "flash",
    "flash_train",
    "flashed_bar",
    "flicker",
    "fold",
    "frequency_doubling",
    "grating",
    "grouped_fields",
    "held_out_blocks",
    "join_repeats",
    "latency",
    "load_deep_retina",
    "load_deep_retina_data",
    "load_model",
    "load_nwb",
    "load_nwb_parts",
    "load_openretina",
    "load_openretina_data",
    "loadings_figure",
    "match_units",
    "matrix_figure",
    "minimal_subnetwork",
    "mode_cell_matrix",
    "mode_maps",
    "mode_maps_figure",
    "motion_anticipation",
    "motion_reversal",
    "movie_changes",
    "movie_contributions",
    "moving_object",
    "natural_movie",
    "noise_ceiling",
    "object_motion",
    "omitted_stimulus",
    "pathways",
    "photographs",
    "polarity_reversal",
    "population_modes",
    "prevailing",
    "published_settings",
    "ready_cnn",
    "ready_cnn_facts",
    "receptive_fields",
    "removal_agreement",
    "removal_effects",
    "reversing_grating",
    "save_model",
    "separable",
    "shifted_surround",
    "sign_balance",
    "spike_triggered_average",
    "to_nwb",
    "to_pynapple",
    "variance_explained",
    "white_noise",
]


def __dir__() -> list[str]:
    return sorted(__all__)
