"""Pathways: of one batch, what the output owes to each mode, and to each pair of modes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Baseline,
    Contributions,
    Division,
    Method,
    Selector,
    Site,
    Target,
)
from codeclens.attribution.joint import Pair, secants_of
from codeclens.attribution.targets import Bound
from codeclens.decomposition import Modes
from codeclens.decomposition.shares import Shares, division, shares_of
from codeclens.errors import CodeclensError


@dataclass(frozen=True)
class Passage:
    """What `Pathways` found for one batch.

    `shares` and `divisions` say for each site how contributions divide among the modes present,
    the same numbers as arrays and as tensors; `joint` is for each pair of sites `(B, A, A')`, what
    the output owes to what passes through a mode of the one and then a mode of the other.
    """

    contributions: Contributions
    shares: dict[str, Shares]
    divisions: dict[str, Division]
    joint: dict[Pair, Float[np.ndarray, "sample source sink"]]


class Pathways:
    """A network and the modes of some of its sites, prepared once for many batches.

    `sites` are the keys of the sites in their order from input to output, `pairs` each with the
    next. Call it with batches `x` `(B, …)`. Raises CodeclensError for fewer than two sites, for
    sites without modes and for a method that is not secants along a path.
    """

    def __init__(
        self,
        model: nn.Module,
        modes: Mapping[str, Modes],
        *,
        sites: Iterable[str | Site] | None = None,
        method: Method | None = None,
        target: Target | Bound | None = None,
        baseline: float | Tensor | Baseline = 0.0,
        output: Selector = None,
        most: int = 32,
    ) -> None:
        if most < 1:
            raise CodeclensError(f"most={most} keeps no modes; pass a positive number.")
        chosen = _chosen(modes, sites)
        self.attributor = Attributor(
            model,
            sites=chosen,
            method=method,
            target=target,
            baseline=baseline,
            output=output,
            reduce=None,
        )
        # Before anything is computed: a method without exact sums has no flow.
        secants_of(self.attributor.method)
        self.sites = [site if isinstance(site, str) else site.key for site in chosen]
        self.modes = {site: modes[site] for site in self.sites}
        self.pairs: list[Pair] = list(pairwise(self.sites))
        self.most = most

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Passage:
        """Divide the contributions of a batch among modes, and among pairs of them."""
        found = self.attributor(x, labels)
        for site in self.sites:
            if site not in found:
                raise CodeclensError(
                    f'Site "{site}" runs {len(found)} times as {", ".join(found)}; flow needs the '
                    "modes of one of its calls."
                )
        shares = {site: self.shares(site, found) for site in self.sites}
        divisions = {site: division(shares[site], found[site]) for site in self.sites}
        joint = self.attributor.joint(x, divisions, self.pairs, labels)
        return Passage(
            found, shares, divisions, {pair: _array(values) for pair, values in joint.items()}
        )

    def shares(self, site: str, found: Contributions) -> Shares:
        """How the contributions of one site divide among its modes."""
        return shares_of(self.modes[site], found[site], self.most)

    def is_cut(self, x: Tensor) -> dict[str, bool]:
        """Whether all paths from the input to the output lead through each site."""
        cuts = self.attributor.survey(x).cuts
        return {site: site in cuts for site in self.sites}


def _chosen(modes: Mapping[str, Modes], sites: Iterable[str | Site] | None) -> Sequence[str | Site]:
    chosen = list(modes) if sites is None else list(sites)
    keys = [site if isinstance(site, str) else site.key for site in chosen]
    for key in keys:
        if key not in modes:
            known = ", ".join(f'"{name}"' for name in modes) or "none"
            raise CodeclensError(f'There are no modes of site "{key}"; there are those of {known}.')
    if len(set(keys)) < 2 or len(set(keys)) < len(keys):
        raise CodeclensError(
            f"Flow goes from one site to the next; {len(keys)} were given "
            f"({', '.join(keys) or 'none'}), and two or more different ones are needed."
        )
    return chosen


def _array(values: Tensor) -> Float[np.ndarray, "..."]:
    return values.detach().cpu().double().numpy()
