"""Views of signed contributions, and modes of a view turned back into signed contributions."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from codeclens.errors import CodeclensError

View = Literal["concat", "sum", "positive", "negative", "activation"]
VIEWS: tuple[View, ...] = ("concat", "sum", "positive", "negative", "activation")


def check_view(view: str) -> None:
    """Raise CodeclensError unless there is such a view."""
    if view not in VIEWS:
        known = ", ".join(f'"{name}"' for name in VIEWS)
        raise CodeclensError(f'There is no view "{view}"; choose one of {known}.')


def units_of(columns: int, view: View) -> int:
    """The number of units behind so many columns of a view."""
    if view == "concat" and columns % 2:
        raise CodeclensError(
            f"The concat view has two columns for each unit, but there are {columns}."
        )
    return columns // 2 if view == "concat" else columns


def columns_of(units: int, view: View) -> int:
    """The number of columns that so many units have in a view."""
    return 2 * units if view == "concat" else units


def signed_parts(
    dictionary: Float[np.ndarray, "mode column"], view: View
) -> tuple[Float[np.ndarray, "mode unit"], Float[np.ndarray, "mode unit"]]:
    """Excitation `(K, U)` ≥ 0 and suppression `(K, U)` ≤ 0 of each unit in each mode.

    In the concat view the first half of the columns are positive contributions and the second half
    the magnitudes of negative ones, whose signs come back here. A dictionary with negative entries
    can also take away: less suppression then counts as excitation and less excitation as
    suppression, so that both always add up to the mode's net weight. In the other views entries are
    split by their sign.

    >>> positive, negative = signed_parts(np.array([[1.0, 0.0, 0.0, 2.0]]), "concat")
    >>> positive, negative
    (array([[1., 0.]]), array([[ 0., -2.]]))
    """
    if view != "concat":
        return np.maximum(dictionary, 0), np.minimum(dictionary, 0)
    units = units_of(dictionary.shape[1], view)
    gain, loss = dictionary[:, :units], -dictionary[:, units:]
    return (
        np.maximum(gain, 0) + np.maximum(loss, 0),
        np.minimum(gain, 0) + np.minimum(loss, 0),
    )


def net_total(
    values: Float[np.ndarray, "sample column"], view: View
) -> Float[np.ndarray, " sample"]:
    """What the contributions of each sample sum to, excitation and suppression together, `(N,)`.

    Only the views concat and sum hold both; raises CodeclensError for the others.

    >>> net_total(np.array([[3.0, 1.0, 0.0, 2.0]]), "concat")
    array([2.])
    """
    if view not in ("concat", "sum"):
        raise CodeclensError(
            f'The view "{view}" holds only a part of the contributions, so they sum to nothing '
            'known; take "concat" or "sum".'
        )
    if view == "sum":
        return np.asarray(values.sum(axis=1, dtype=np.float64))
    units = units_of(values.shape[1], view)
    gain = values[:, :units].sum(axis=1, dtype=np.float64)
    return np.asarray(gain - values[:, units:].sum(axis=1, dtype=np.float64))
