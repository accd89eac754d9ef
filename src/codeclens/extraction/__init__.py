"""Contributions of a whole data set: extracted in shards, kept in a store."""

from codeclens.extraction.data import ArraySamples, DatasetSamples, Sample, Samples, as_samples
from codeclens.extraction.extract import extract
from codeclens.extraction.images import ImageFolder, open_rgb
from codeclens.extraction.ranks import Rank, Whole
from codeclens.extraction.reader import View
from codeclens.extraction.store import ContributionStore

__all__ = [
    "ArraySamples",
    "ContributionStore",
    "DatasetSamples",
    "ImageFolder",
    "Rank",
    "Sample",
    "Samples",
    "View",
    "Whole",
    "as_samples",
    "extract",
    "open_rgb",
]
