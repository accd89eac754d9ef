"""Matryoshka: dictionaries inside each other, each of which must do alone."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from codeclens.decomposition.autoencoders.batch_topk import BatchTopKNetwork
from codeclens.decomposition.autoencoders.unit_rows import CountedAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork
from codeclens.errors import CodeclensError


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
