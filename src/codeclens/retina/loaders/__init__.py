"""Loaders: models and recordings of other packages, one file a format, never unpickled."""

from codeclens.retina.loaders.deep_retina import DeepRetina, load_deep_retina, load_deep_retina_data
from codeclens.retina.loaders.nwb import load_nwb, load_nwb_parts
from codeclens.retina.loaders.openretina import load_openretina, load_openretina_data

__all__ = [
    "DeepRetina",
    "load_deep_retina",
    "load_deep_retina_data",
    "load_nwb",
    "load_nwb_parts",
    "load_openretina",
    "load_openretina_data",
]
