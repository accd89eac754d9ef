"""What contributions come back as: one mapping from sites to signed sums over units."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from codeclens.attribution.sites import Site
from codeclens.errors import CompletenessWarning


@dataclass(frozen=True)
class SiteContributions:
    """The contributions of one site's units `(B, U)`, in the target's own units (logits, Hz …).

    `positive` ≥ 0 and `negative` ≤ 0 are summed over positions with their signs apart;
    `activation` is the mean over positions at x. `completeness` `(B,)` is ΣC − (T(x) − T(x0)), NaN
    where the site is no cut or the method has no baseline. `full` holds the contributions in the
    activation's own layout where `reduce=None` asked for them.
    """

    site: Site
    positive: Tensor
    negative: Tensor
    activation: Tensor
    completeness: Tensor
    is_cut: bool
    full: Tensor | None = None

    @property
    def net(self) -> Tensor:
        """Positive and negative contributions together `(B, U)`."""
        return self.positive + self.negative

    def __repr__(self) -> str:
        samples, units = self.positive.shape
        return f"SiteContributions({self.site.key!r}: {samples} samples × {units} units)"


class Contributions(Mapping[str, SiteContributions]):
    """A mapping from site key to `SiteContributions`, with what belongs to the samples.

    `target` and `baseline_target` `(B,)` are T(x) and T(x0) (NaN where the method has no
    baseline); `prediction` `(B,)` is the class with the largest output at x (−1 where the output
    has no classes). Where the method adapts to a tolerance, `steps` `(B,)` says how many it took
    and `estimate` `(B,)` the relative change of the contributions in the last doubling (else None
    and NaN). `uncovered` names operations of the model that have no secant rule.
    """

    def __init__(
        self,
        sites: Mapping[str, SiteContributions],
        target: Tensor,
        baseline_target: Tensor,
        prediction: Tensor,
        estimate: Tensor,
        steps: Tensor | None = None,
        uncovered: Iterable[str] = (),
    ) -> None:
        self._sites = dict(sites)
        self.target = target
        self.baseline_target = baseline_target
        self.prediction = prediction
        self.estimate = estimate
        self.steps = steps
        self.uncovered = frozenset(uncovered)

    @staticmethod
    def joined(parts: Sequence[Contributions]) -> Contributions:
        """Contributions of several batches as those of one, in their order."""
        first, *others = parts
        if not others:
            return first
        sites = {key: _joined([part[key] for part in parts]) for key in first}
        steps = [part.steps for part in parts if part.steps is not None]
        return Contributions(
            sites,
            torch.cat([part.target for part in parts]),
            torch.cat([part.baseline_target for part in parts]),
            torch.cat([part.prediction for part in parts]),
            torch.cat([part.estimate for part in parts]),
            torch.cat(steps) if steps else None,
            frozenset().union(*(part.uncovered for part in parts)),
        )

    def __getitem__(self, key: str) -> SiteContributions:
        try:
            return self._sites[key]
        except KeyError:
            known = ", ".join(f'"{k}"' for k in self._sites)
            raise KeyError(f'No contributions of site "{key}"; there are {known}.') from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def __repr__(self) -> str:
        return f"Contributions({len(self.target)} samples at {', '.join(self._sites)})"


def _joined(parts: Sequence[SiteContributions]) -> SiteContributions:
    full = [part.full for part in parts if part.full is not None]
    return replace(
        parts[0],
        positive=torch.cat([part.positive for part in parts]),
        negative=torch.cat([part.negative for part in parts]),
        activation=torch.cat([part.activation for part in parts]),
        completeness=torch.cat([part.completeness for part in parts]),
        full=torch.cat(full) if full else None,
    )


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


def split_signs(contributions: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the positive and the negative contributions of every unit over its positions.

    Signs are split before the sum, because within one channel excitation at one place and
    suppression at another would cancel: `C⁺_u = Σ_p max(C_{u,p}, 0)` and `C⁻_u = Σ_p min(C_{u,p},
    0)`. Takes `(B, U, P)`, gives two `(B, U)`: the first ≥ 0, the second ≤ 0. (arXiv 2603.06557.)

    >>> import torch
    >>> split_signs(torch.tensor([[[1.0, -2.0, 3.0]]]))
    (tensor([[4.]]), tensor([[-2.]]))
    """
    return contributions.clamp(min=0).sum(dim=2), contributions.clamp(max=0).sum(dim=2)
