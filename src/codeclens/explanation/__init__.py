"""Explaining: the output for one input as a sum over modes, each with what is known of it."""

from codeclens.explanation.explaining import explain
from codeclens.explanation.figure import explanation_figure
from codeclens.explanation.names import names_beyond_chance, target_words
from codeclens.explanation.results import Explanation, SiteExplanation, Term

__all__ = [
    "Explanation",
    "SiteExplanation",
    "Term",
    "explain",
    "explanation_figure",
    "names_beyond_chance",
    "target_words",
]
