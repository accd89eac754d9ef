"""Seeing: which pixels, which images, and how the numbers look."""

from codeclens.visualization.canvas import save
from codeclens.visualization.channels import ChannelMap, channel_maps
from codeclens.visualization.control import curves_figure, necessity_figure
from codeclens.visualization.exemplars import Exemplar, Exemplars, exemplars
from codeclens.visualization.features import FeatureVisualization, feature_visualization
from codeclens.visualization.figures import control_figure, layer_figure
from codeclens.visualization.flows import flow_figure
from codeclens.visualization.fourier import Wobble
from codeclens.visualization.images import Overlay, as_picture, common_scale, overlay
from codeclens.visualization.pixels import PixelMap, pixel_map, pixel_maps
from codeclens.visualization.semantics import semantics_figure
from codeclens.visualization.sheets import channel_figure, feature_figure, mode_figure

__all__ = [
    "ChannelMap",
    "Exemplar",
    "Exemplars",
    "FeatureVisualization",
    "Overlay",
    "PixelMap",
    "Wobble",
    "as_picture",
    "channel_figure",
    "channel_maps",
    "common_scale",
    "control_figure",
    "curves_figure",
    "exemplars",
    "feature_figure",
    "feature_visualization",
    "flow_figure",
    "layer_figure",
    "mode_figure",
    "necessity_figure",
    "overlay",
    "pixel_map",
    "pixel_maps",
    "save",
    "semantics_figure",
]
