"""Models and data that are ready to use."""

from __future__ import annotations

from codeclens.zoo.custom import load_tokenizer
from codeclens.zoo.digits import digits_data
from codeclens.zoo.load import available, load, runs_code
from codeclens.zoo.photographs import demo_photographs
from codeclens.zoo.ready import Ready

__all__ = [
    "Ready",
    "available",
    "demo_photographs",
    "digits_data",
    "load",
    "load_tokenizer",
    "runs_code",
]


def __dir__() -> list[str]:
    return sorted(__all__)
