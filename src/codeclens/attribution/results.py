"""What contributions come back as: one mapping from sites to signed sums over units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

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
