"""Contributions of a data set, extracted in shards into a store."""

from codeclens.extraction.computing import default_device, usable_device
from codeclens.extraction.data import ArraySamples, DatasetSamples, Sample, SampleSource, as_samples
from codeclens.extraction.extract import extract
from codeclens.extraction.plan import Plan, plan
from codeclens.extraction.ranks import Rank, SharedProgress
from codeclens.extraction.ray import RayEngine
from codeclens.extraction.reader import Sign, View
from codeclens.extraction.sources import ArrayFile, ImageFolder, TarImages, open_samples
from codeclens.extraction.storage import ObjectFolder, locate
from codeclens.extraction.store import ContributionStore
from codeclens.extraction.text_lines import TextLines
from codeclens.pictures import open_rgb

__all__ = [
    "ArrayFile",
    "ArraySamples",
    "ContributionStore",
    "DatasetSamples",
    "ImageFolder",
    "ObjectFolder",
    "Plan",
    "Rank",
    "RayEngine",
    "Sample",
    "SampleSource",
    "SharedProgress",
    "Sign",
    "TarImages",
    "TextLines",
    "View",
    "as_samples",
    "default_device",
    "extract",
    "locate",
    "open_rgb",
    "open_samples",
    "plan",
    "usable_device",
]


def __dir__() -> list[str]:
    return sorted(__all__)
