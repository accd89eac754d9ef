"""What contributions come back as: one mapping from sites to signed sums over units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from codeclens.attribution.sites import Site


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
