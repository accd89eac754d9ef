"""Explaining: the output for one input as a sum over modes, each with what is known of it."""

from codeclens.explanation.explaining import explain, target_words
from codeclens.explanation.explanations import Explanation, SiteExplanation, Term
from codeclens.explanation.waterfall import explanation_figure

__all__ = [
    "Explanation",
    "SiteExplanation",
    "Term",
    "explain",
    "explanation_figure",
    "target_words",
]
