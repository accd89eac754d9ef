"""Explaining: the output for one input as a sum over modes, each with what is known of it."""

from codeclens.explanation.explaining import explain
from codeclens.explanation.figure import explanation_figure
from codeclens.explanation.results import Explanation, SiteExplanation, Term
from codeclens.explanation.words import target_words

__all__ = [
    "Explanation",
    "SiteExplanation",
    "Term",
    "explain",
    "explanation_figure",
    "target_words",
]
