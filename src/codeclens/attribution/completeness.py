"""Completeness: whether contributions add up, and the warning where they do not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping

from torch import Tensor

from codeclens.errors import CompletenessWarning

# The median gap, relative to the median change of the target, from which on a user should know.
GAP_WORTH_A_WARNING = 0.25


def warn_of_gaps(gaps: Mapping[str, Tensor], change: Tensor, uncovered: Iterable[str] = ()) -> None:
    """Warn once, naming the worst site, where contributions miss the change of the target by much.

    `gaps` holds the completeness `(B,)` of every site and `change` `(B,)` is T(x) − T(x0).
    Operations that are `uncovered` by secant rules are named with the gap they cause, however
    small it is.
    """
    scale = change.abs().median().item()
    relative = {key: gap.abs().median().item() / scale for key, gap in gaps.items() if scale > 0}
    known = {key: gap for key, gap in relative.items() if not math.isnan(gap)}
    worst = max(known, key=lambda key: known[key], default=None)
    missed = (
        "no site is a cut, so that their effect is not known"
        if worst is None
        else f'contributions at "{worst}" miss the change of the target by {known[worst]:.1%} '
        "(median over samples)"
    )
    names = ", ".join(sorted(uncovered))
    if names:
        message = f"There is no secant rule for {names} (derivatives are used instead): {missed}."
    elif worst is not None and known[worst] > GAP_WORTH_A_WARNING:
        message = f"Too few steps: {missed}."
    else:
        return
    warnings.warn(message, CompletenessWarning, stacklevel=3)


def warn_of_tolerance(tolerance: float | None, estimate: Tensor) -> None:
    """Warn once where the estimate `(B,)` of the error of some samples is above the tolerance."""
    missed = estimate > (math.inf if tolerance is None else tolerance)
    if missed.any():
        warnings.warn(
            f"The tolerance {tolerance} was not reached within max_steps for "
            f"{int(missed.sum())} of {len(estimate)} samples; the largest estimate of the error is "
            f"{estimate[missed].max().item():.2g}.",
            CompletenessWarning,
            stacklevel=3,
        )
