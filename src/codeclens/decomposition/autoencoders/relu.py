"""ReLUSAE: rectified codes, sparse because their sum has a price."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.decomposition.autoencoders.unit_rows import UnitRowAutoencoder
from codeclens.decomposition.networks import UnitRowNetwork, level_of


class ReLUNetwork(UnitRowNetwork):
    """Rectified codes with a price on their sum, and a dictionary of unit rows."""

    def __init__(self, *, penalty: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.penalty = penalty

    @torch.no_grad()
    def calibrate(self, x: Float[Tensor, "batch unit"]) -> None:
        """Begin with a bias that leaves `count` codes a sample above zero."""
        self.encoder.bias.zero_()
        self.encoder.bias.sub_(level_of(torch.relu(self.encoder(x)), self.few))

    def select(self, pre: Float[Tensor, "batch mode"]) -> Float[Tensor, "batch mode"]:
        """The rectified codes."""
        return torch.relu(pre)

    def cost(self, x: Tensor, pre: Tensor, codes: Tensor) -> Tensor:
        """The mean sum of a sample's codes, in units of a sample's length."""
        return self.penalty * codes.sum(dim=1).mean() / math.sqrt(x.shape[1])


@dataclass(frozen=True, repr=False)
class ReLUSAE(UnitRowAutoencoder):
    """A sparse autoencoder with rectified codes and an L1 penalty: the classical one.

    The loss is the mean squared error of data scaled to deviation one, plus `penalty` times the sum
    of a sample's codes over √D, about the length of a sample; so the same penalty means the same at
    sites of any size. Rows have length one, so the penalty cannot be dodged by longer rows. It
    shrinks codes, which costs R². Dead modes are resampled every `resample` epochs; everything else
    is as in `TopK`.

    After Bricken et al. 2023, "Towards Monosemanticity", and Cunningham et al. 2023, arXiv
    2309.08600. Raises CodeclensError as `Autoencoder.fit` does.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).gamma(0.3, size=(400, 8)).astype(np.float32)
    >>> dense, thin = (ReLUSAE(n_modes=12, penalty=p).fit(X) for p in (0.02, 0.3))
    >>> dense.l0 > thin.l0, dense.r2 > thin.r2
    (True, True)
    """

    penalty: float = 0.1
    _: KW_ONLY
    aux_weight: float = 0.0
    resample: int | None = 5

    _shown: ClassVar[tuple[str, ...]] = ("penalty",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._within("penalty", self.penalty, 0, math.inf)

    def unit_rows(self, **shared: Any) -> UnitRowNetwork:
        """A new network of this kind."""
        return ReLUNetwork(**shared, penalty=self.penalty)
