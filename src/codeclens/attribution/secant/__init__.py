"""Secant propagation: sums of contributions that are exact at any number of steps."""

from codeclens.attribution.secant import (
    choices,
    maxima,
    multivariate,
    normalization,
    orders,
    products,
    recurrent,
    selection,
)
from codeclens.attribution.secant.mode import SecantMode, rule, unseen, with_gradient
from codeclens.attribution.secant.nonlinearities import elementwise

__all__ = [
    "SecantMode",
    "choices",
    "elementwise",
    "maxima",
    "multivariate",
    "normalization",
    "orders",
    "products",
    "recurrent",
    "rule",
    "selection",
    "unseen",
    "with_gradient",
]
