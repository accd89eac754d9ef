"""Maps of places and pixels, galleries of samples, feature visualisation, and their figures."""

from codeclens.visualization.canvas import save
from codeclens.visualization.checks import (
    PixelCurve,
    Randomisation,
    deletion_curve,
    randomisation_test,
    randomised,
    share_inside,
    side_by_side,
)
from codeclens.visualization.exemplar_figures import (
    feature_figure,
    mode_figure,
)
from codeclens.visualization.features import FeatureVisualization, Jitter, feature_visualization
from codeclens.visualization.fields import (
    Box,
    ReceptiveField,
    crop_boxes,
    field_boxes,
    receptive_field,
    strongest_box,
)
from codeclens.visualization.galleries import Exemplar, Exemplars, Gallery, exemplars, gallery
from codeclens.visualization.gallery_figure import gallery_figure
from codeclens.visualization.mode_faces import mode_faces
from codeclens.visualization.overlays import Overlay, as_picture, common_scale, overlay, smooth
from codeclens.visualization.pixel_maps import (
    PixelMap,
    Place,
    Places,
    maps_of_modes,
    path_maps,
    pixel_map,
    pixel_maps,
    unit_places,
)
from codeclens.visualization.place_maps import (
    PlaceMaps,
    as_plane,
    common_place_scale,
    draw_places,
    place_maps,
    place_overlay,
    region,
    spread,
)

__all__ = [
    "Box",
    "Exemplar",
    "Exemplars",
    "FeatureVisualization",
    "Gallery",
    "Jitter",
    "Overlay",
    "PixelCurve",
    "PixelMap",
    "Place",
    "PlaceMaps",
    "Places",
    "Randomisation",
    "ReceptiveField",
    "as_picture",
    "as_plane",
    "common_place_scale",
    "common_scale",
    "crop_boxes",
    "deletion_curve",
    "draw_places",
    "exemplars",
    "feature_figure",
    "feature_visualization",
    "field_boxes",
    "gallery",
    "gallery_figure",
    "maps_of_modes",
    "mode_faces",
    "mode_figure",
    "overlay",
    "path_maps",
    "pixel_map",
    "pixel_maps",
    "place_maps",
    "place_overlay",
    "randomisation_test",
    "randomised",
    "receptive_field",
    "region",
    "save",
    "share_inside",
    "side_by_side",
    "smooth",
    "spread",
    "strongest_box",
    "unit_places",
]


def __dir__() -> list[str]:
    return sorted(__all__)
