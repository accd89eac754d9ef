"""Explaining: the output for one input as a sum over modes, each with what is known of it."""

from codeclens.explanation.explaining import explain
from codeclens.explanation.explanation_figure import explanation_figure
from codeclens.explanation.explanations import Explanation
from codeclens.explanation.sums import SiteExplanation, Term

__all__ = [
    "Explanation",
    "SiteExplanation",
    "Term",
    "explain",
    "explanation_figure",
]


def __dir__() -> list[str]:
    return sorted(__all__)
