"""Seeing: which pixels, which images, and how the numbers look."""

from codeclens.visualization.canvas import save
from codeclens.visualization.channels import ChannelMap, channel_maps
from codeclens.visualization.control import curves_figure, necessity_figure
from codeclens.visualization.crops import crop_boxes, field_boxes
from codeclens.visualization.deletion import PixelCurve, deletion_curve
from codeclens.visualization.exemplars import Exemplar, Exemplars, exemplars
from codeclens.visualization.features import FeatureVisualization, feature_visualization
from codeclens.visualization.fields import Box, ReceptiveField, receptive_field, strongest_box
from codeclens.visualization.figures import control_figure, layer_figure
from codeclens.visualization.flows import flow_figure
from codeclens.visualization.fourier import Wobble
from codeclens.visualization.galleries import Gallery, gallery
from codeclens.visualization.images import Overlay, as_picture, common_scale, overlay
from codeclens.visualization.localisation import share_inside, side_by_side
from codeclens.visualization.paths import maps_of_modes, path_maps
from codeclens.visualization.pixels import PixelMap, pixel_map, pixel_maps
from codeclens.visualization.places import Place, Places, place_maps
from codeclens.visualization.randomisation import (
    Randomisation,
    randomisation_test,
    randomised,
)
from codeclens.visualization.semantics import semantics_figure
from codeclens.visualization.sheets import channel_figure, feature_figure, mode_figure
from codeclens.visualization.smoothing import smooth
from codeclens.visualization.walls import gallery_figure

__all__ = [
    "Box",
    "ChannelMap",
    "Exemplar",
    "Exemplars",
    "FeatureVisualization",
    "Gallery",
    "Overlay",
    "PixelCurve",
    "PixelMap",
    "Place",
    "Places",
    "Randomisation",
    "ReceptiveField",
    "Wobble",
    "as_picture",
    "channel_figure",
    "channel_maps",
    "common_scale",
    "control_figure",
    "crop_boxes",
    "curves_figure",
    "deletion_curve",
    "exemplars",
    "feature_figure",
    "feature_visualization",
    "field_boxes",
    "flow_figure",
    "gallery",
    "gallery_figure",
    "layer_figure",
    "maps_of_modes",
    "mode_figure",
    "necessity_figure",
    "overlay",
    "path_maps",
    "pixel_map",
    "pixel_maps",
    "place_maps",
    "randomisation_test",
    "randomised",
    "receptive_field",
    "save",
    "semantics_figure",
    "share_inside",
    "side_by_side",
    "smooth",
    "strongest_box",
]
