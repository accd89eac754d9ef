"""BatchTopK: the largest codes of a whole batch, and a threshold that takes their place later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.decomposition.autoencoders.unit_rows import CountedAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork, level_of

# How slowly the threshold follows the batches: it settles over some fifty of them.
_MEMORY = 0.98


class BatchTopKNetwork(UnitRowNetwork):
    """The `count` largest codes a sample, chosen over the batch; later those above a threshold.

    The threshold is a running mean of the smallest code that was chosen.
    """

    threshold: Tensor

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self.register_buffer("threshold", torch.zeros(()))

    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Begin with the threshold that as many codes of these samples lie above."""
        self.threshold.copy_(level_of(torch.relu(self.encoder(x)), self.count))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The largest rectified codes of the batch; the threshold takes note of the smallest."""
        codes = torch.relu(pre)
        number = min(self.count * len(codes), codes.numel())
        values, where = codes.flatten().topk(number, sorted=False)
        if self.training and number:
            chosen = values.detach()
            smallest = chosen.where(chosen > 0, math.inf).min()
            level = smallest.where(smallest < math.inf, self.threshold)
            self.threshold.mul_(_MEMORY).add_((1 - _MEMORY) * level.to(self.threshold))
        return torch.zeros_like(codes).flatten().scatter(0, where, values).view_as(codes)

    def settle(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The codes that reach the threshold, whatever the other samples are."""
        return torch.relu(pre) * (pre >= self.threshold)


@dataclass(frozen=True, repr=False)
class BatchTopK(CountedAutoencoder):
    """A sparse autoencoder that keeps `k` codes a sample on average, more where there is more.

    While training, the k · B largest rectified codes of a batch of B samples are kept, so samples
    may have more or fewer than k modes. Afterwards every sample stands alone: codes below a
    threshold, learned as the running mean of the smallest code that was kept, are zero. Everything
    else is as in `TopK`.

    After Bussmann, Leask and Nanda 2024, arXiv 2412.06410. Raises CodeclensError where k exceeds
    the number of modes, and as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> method = BatchTopK(n_modes=12, k=3).fit(X, seed=0)
    >>> counts = (method.encode(X) > 0).sum(axis=1)
    >>> bool(counts.max() > 3), 2 < float(counts.mean()) < 4
    (True, True)
    """

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return BatchTopKNetwork(**shared, count=self.k)
