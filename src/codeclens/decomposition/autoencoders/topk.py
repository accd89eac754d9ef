"""TopK: the k largest codes of every sample, and no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.decomposition.autoencoders.unit_rows import CountedAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork, largest


class TopKNetwork(UnitRowNetwork):
    """The `count` largest codes of a rectified encoder, and a dictionary of unit rows."""

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The largest rectified codes of every sample, the others zero."""
        return largest(torch.relu(pre), self.count)


@dataclass(frozen=True, repr=False)
class TopK(CountedAutoencoder):
    """A sparse autoencoder that keeps the `k` largest codes of every sample.

    Codes are rectified and all but the k largest set to zero. Everything else is as in
    `UnitRowAutoencoder`: rows of length one, a non-negative dictionary where the data have no
    negative entry (`non_negative`), a linear or an MLP `encoder`, an auxiliary loss and, on demand,
    resampling against dead modes.

    After Gao et al. 2024, arXiv 2406.04093 (METHOD.md §3). Raises CodeclensError where k exceeds
    the number of modes, and as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> motifs = np.eye(4).repeat(2, axis=1)
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 4)) @ motifs
    >>> method = TopK(n_modes=6, k=4).fit(X, seed=0)
    >>> method
    TopK(n_modes=6, k=4)
    >>> method.dictionary.shape[1], bool(method.encode(X).min() >= 0), method.r2 > 0.95
    (8, True, True)
    """

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return TopKNetwork(**shared, count=self.k)
