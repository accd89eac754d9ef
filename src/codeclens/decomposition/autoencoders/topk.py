"""TopK: the k largest codes of every sample, and no others."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.decomposition.autoencoders.unit_rows import CountedAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork, largest, level_of
from codeclens.errors import CodeclensError


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

    After Gao et al. 2024, arXiv 2406.04093 (method.md §3). Raises CodeclensError where k exceeds
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


class MatryoshkaNetwork(BatchTopKNetwork):
    """BatchTopK whose loss is the mean over nested parts of the dictionary.

    `level` says of every mode in which part it came in, 0 for the innermost.
    """

    level: Tensor

    def __init__(self, *, levels: int, **shared: Any) -> None:
        super().__init__(**shared)
        n_modes = len(self.dictionary)
        self.ends = sorted({math.ceil(n_modes / 2**i) for i in range(levels)})
        sizes = np.diff([0, *self.ends])
        self.register_buffer(
            "level", torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
        )

    def misfit(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The mean over all parts of the squared error that each leaves alone; the last error."""
        error, start, total = x, 0, torch.zeros((), device=x.device)
        for end in self.ends:
            error = error - codes[:, start:end] @ self.dictionary[start:end]
            total = total + error.square().mean()
            start = end
        return total / len(self.ends), error

    def keep(self, index: Int64[Tensor, " kept"]) -> None:
        """Keep these modes, in this order, and forget the others."""
        super().keep(index)
        self.level = self.level[index.to(self.level.device)]


@dataclass(frozen=True, repr=False)
class Matryoshka(CountedAutoencoder):
    """A BatchTopK autoencoder with `levels` dictionaries inside each other.

    The innermost has `K / 2^(levels − 1)` modes, each further one twice as many; each must
    reconstruct the data alone, and the loss is the mean over all. So the first modes stay general
    where a single large dictionary would split them. `mode_level` `(K,)` says of every mode in
    which part it came in, 0 for the innermost; modes are ordered as everywhere, by their share.
    Dead modes are resampled every `resample` epochs.

    After Bussmann, Nabeshima, Karvonen and Nanda 2025, arXiv 2503.17547. Raises CodeclensError
    where k exceeds the number of modes, and as `Autoencoder.fit` does.

    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> method = Matryoshka(n_modes=16, k=3, levels=3).fit(X, seed=0)
    >>> sorted(set(method.mode_level.tolist()))
    [0, 1, 2]
    """

    _: KW_ONLY
    resample: int | None = 5
    levels: int = 4

    _shown: ClassVar[tuple[str, ...]] = ("k", "levels")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._count("levels", self.levels)
        if self.levels > 30:
            raise CodeclensError(f"Matryoshka has levels={self.levels}; at most 30 make sense.")

    @property
    def mode_level(self) -> Int64[np.ndarray, " mode"]:
        """In which of the nested dictionaries each mode came in, `(K,)`, 0 for the innermost."""
        network = self.fitted.network
        assert isinstance(network, MatryoshkaNetwork)
        return np.asarray(network.level.cpu().numpy())

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return MatryoshkaNetwork(**shared, levels=self.levels, count=self.k)
