"""Autoencoders that keep a given number of codes: TopK, BatchTopK and Matryoshka."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.decomposition.autoencoders.base import CountedAutoencoder
from codeclens.decomposition.autoencoders.networks import (
    SparseAutoencoder,
    UnitRowNetwork,
    largest,
    level_of,
    level_of_parts,
)


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

    After Gao et al. 2024, arXiv 2406.04093 (method.md §3). Raises CodeclensError if k exceeds
    the number of modes, and as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> motifs = np.eye(4).repeat(2, axis=1)
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 4)) @ motifs
    >>> fitted = TopK(n_modes=6, k=4).fit(X, seed=0)
    >>> fitted
    TopK(n_modes=6, k=4) fitted: 4 modes of 8 columns, R² 1.000, L0 3.9
    >>> fitted.dictionary.shape[1], bool(fitted.encode(X).min() >= 0)
    (8, True)
    """

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return TopKNetwork(**shared, count=self.k)

    def saelens_kind(self, network: SparseAutoencoder, scale: float) -> tuple[str, Tensor | None]:
        """SAELens' "topk"."""
        return "topk", None


# Decay of the threshold's running mean, which converges within about fifty batches.
_MEMORY = 0.98


class BatchTopKNetwork(UnitRowNetwork):
    """The `count` largest codes per sample, chosen over the batch; later those above a threshold.

    In training the threshold is a running mean of the smallest chosen code; afterwards it is the
    level that `count` codes per sample reach.
    """

    threshold: Tensor

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self.register_buffer("threshold", torch.zeros(()))

    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Start with the threshold that `count` codes per sample exceed."""
        self.threshold.copy_(level_of(torch.relu(self.encoder(x)), self.count))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The largest rectified codes of the batch; the smallest updates the threshold."""
        codes = torch.relu(pre)
        number = min(self.count * len(codes), codes.numel())
        values, where = codes.flatten().topk(number, sorted=False)
        if self.training and number:
            chosen = values.detach()
            smallest = chosen.where(chosen > 0, math.inf).min()
            level = smallest.where(smallest < math.inf, self.threshold)
            self.threshold.mul_(_MEMORY).add_((1 - _MEMORY) * level.to(self.threshold))
        return torch.zeros_like(codes).flatten().scatter(0, where, values).view_as(codes)

    @torch.no_grad()
    def finish(self, parts: Iterable[Float[Tensor, "part unit"]], samples: int) -> None:
        """Set the threshold that `count` codes per sample reach."""
        level = level_of_parts((self.encoder(part) for part in parts), self.count * samples)
        self.threshold.copy_(level.clamp(min=1e-6))

    def settle(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The codes that reach the threshold, independent of the other samples."""
        return torch.relu(pre) * (pre >= self.threshold)


@dataclass(frozen=True, repr=False)
class BatchTopK(CountedAutoencoder):
    """A sparse autoencoder that keeps `k` codes per sample on average.

    In training the k · B largest rectified codes of a batch of B samples are kept, so a sample may
    have more or fewer than k modes. Afterwards each sample is encoded by itself: codes below a
    threshold, which k codes per held-out sample reach (per training sample where fewer than 32 are
    held out), are zero. Everything else is as in `TopK`.

    After Bussmann, Leask and Nanda 2024, arXiv 2412.06410. Raises CodeclensError if k exceeds
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

    def saelens_kind(self, network: SparseAutoencoder, scale: float) -> tuple[str, Tensor | None]:
        """SAELens' "jumprelu" with one threshold."""
        return threshold_kind(network, scale)


def threshold_kind(network: SparseAutoencoder, scale: float) -> tuple[str, Tensor]:
    """A network with one threshold as SAELens' "jumprelu"."""
    level = network.get_buffer("threshold").cpu() * scale
    # Ours keeps codes that equal the threshold, SAELens only those above it.
    return "jumprelu", torch.nextafter(level, torch.zeros_like(level))


class MatryoshkaNetwork(BatchTopKNetwork):
    """BatchTopK whose loss is the mean over nested parts of the dictionary.

    `level` `(K,)` is the smallest part that holds each mode, 0 for the innermost.
    """

    per_mode: ClassVar[tuple[str, ...]] = (*BatchTopKNetwork.per_mode, "level")

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
        """The squared error of each part by itself, averaged over parts, and the whole's error."""
        error, start, total = x, 0, torch.zeros((), device=x.device)
        for end in self.ends:
            error = error - codes[:, start:end] @ self.dictionary[start:end]
            total = total + error.square().mean()
            start = end
        return total / len(self.ends), error


@dataclass(frozen=True, repr=False)
class Matryoshka(CountedAutoencoder):
    """A BatchTopK autoencoder with `levels` nested dictionaries.

    The innermost has `K / 2^(levels − 1)` modes, each further one twice as many; each must
    reconstruct the data by itself, and the loss is the mean over all. The first modes stay general,
    whereas a single large dictionary would split them. `mode_level` `(K,)` of the fitted object is
    the innermost dictionary that holds each mode, 0 for the smallest; modes are ordered by their
    share, as everywhere. Dead modes are resampled every `resample` epochs.

    After Bussmann, Nabeshima, Karvonen and Nanda 2025, arXiv 2503.17547. Raises CodeclensError
    if k exceeds the number of modes, and as `Autoencoder.fit` does.

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
        self._require("levels", least=1, most=30, whole=True)

    def saelens_kind(self, network: SparseAutoencoder, scale: float) -> tuple[str, Tensor | None]:
        """SAELens' "jumprelu" with one threshold."""
        return threshold_kind(network, scale)

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return MatryoshkaNetwork(**shared, levels=self.levels, count=self.k)
