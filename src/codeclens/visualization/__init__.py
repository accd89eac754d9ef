"""Seeing: which pixels, which images, and how the numbers look."""

from codeclens.visualization.canvas import save
from codeclens.visualization.channels import ChannelMap, channel_maps
from codeclens.visualization.exemplars import Exemplar, Exemplars, exemplars
from codeclens.visualization.fields import Box, ReceptiveField, receptive_field, strongest_box
from codeclens.visualization.figures import control_figure, layer_figure
from codeclens.visualization.flows import flow_figure
from codeclens.visualization.galleries import Gallery, gallery
from codeclens.visualization.images import Overlay, as_picture, common_scale, overlay
from codeclens.visualization.paths import maps_of_modes, path_maps
from codeclens.visualization.pixels import PixelMap, pixel_map, pixel_maps
from codeclens.visualization.places import Place, Places, place_maps
from codeclens.visualization.semantics import semantics_figure
from codeclens.visualization.sheets import channel_figure, mode_figure

__all__ = [
    "Box",
    "ChannelMap",
    "Exemplar",
    "Exemplars",
    "Gallery",
    "Overlay",
    "PixelMap",
    "Place",
    "Places",
    "ReceptiveField",
    "as_picture",
    "channel_figure",
    "channel_maps",
    "common_scale",
    "control_figure",
    "exemplars",
    "flow_figure",
    "gallery",
    "layer_figure",
    "maps_of_modes",
    "mode_figure",
    "overlay",
    "path_maps",
    "pixel_map",
    "pixel_maps",
    "place_maps",
    "receptive_field",
    "save",
    "semantics_figure",
    "strongest_box",
]
