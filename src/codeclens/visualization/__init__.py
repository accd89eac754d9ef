"""Seeing: which pixels, which images, and how the numbers look."""

from codeclens.visualization.pixels import PixelMap, pixel_map, pixel_maps

__all__ = ["PixelMap", "pixel_map", "pixel_maps"]
