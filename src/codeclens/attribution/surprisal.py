"""Surprisal: how unlikely the responses of a population are, as a target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from codeclens.attribution.targets import Bound, Names, Target
from codeclens.errors import CodeclensError


@dataclass(frozen=True, eq=False)
class Surprisal(Target):
    """`½ (y − μ)ᵀ Σ⁻¹ (y − μ)` of the responses y of a population, in nats.

    `mean` is `(cells,)` and `precision` `(cells, cells)` = Σ⁻¹. Estimate them with `fit` from other
    responses than those that are explained. (arXiv 2603.06557.)

    >>> rates = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    >>> surprisal = Surprisal.fit(rates)
    >>> surprisal.bind(rates, None)(surprisal.mean[None])
    tensor([0.])
    """

    mean: Tensor
    precision: Tensor
    shrinkage: float = 0.0

    @classmethod
    def fit(cls, responses: Tensor, shrinkage: float | None = None) -> Surprisal:
        """Estimate mean and covariance from responses `(samples, cells)`.

        The covariance is shrunk towards a multiple of the identity by `shrinkage` in [0, 1], or by
        the share of Ledoit and Wolf (2004): with few samples, or with cells that fire together,
        the plain estimate has no useful inverse. Raises CodeclensError for fewer than two samples
        and for responses that do not vary.
        """
        if responses.ndim != 2 or len(responses) < 2:
            raise CodeclensError(
                f"Surprisal.fit needs responses (samples, cells) of two samples or more, not "
                f"{tuple(responses.shape)}."
            )
        values = responses.detach().double()
        centred = values - values.mean(dim=0)
        covariance = centred.T @ centred / len(values)
        size = covariance.diagonal().mean()
        if not size > 0:
            raise CodeclensError("Surprisal.fit needs responses that vary; these are constant.")
        identity = torch.eye(len(covariance), dtype=values.dtype, device=values.device) * size
        share = _ledoit_wolf(centred, covariance, identity) if shrinkage is None else shrinkage
        shrunk = (1 - share) * covariance + share * identity
        if torch.linalg.matrix_rank(shrunk) < len(shrunk):
            raise CodeclensError(
                f"The covariance of {len(values)} samples of {len(shrunk)} cells has no inverse "
                f"at shrinkage {share:.3g}; pass a larger shrinkage or more samples."
            )
        precision = torch.linalg.inv(shrunk)
        return cls(values.mean(dim=0).to(responses), precision.to(responses), float(share))

    def bind(self, output: Tensor, labels: Tensor | None) -> Bound:
        if output.ndim != 2 or output.shape[1] != len(self.mean):
            raise CodeclensError(
                f"This Surprisal was fitted on {len(self.mean)} cells; the model's output has "
                f"shape {tuple(output.shape)}."
            )
        mean, precision = self.mean.to(output), self.precision.to(output)

        def value(output: Tensor) -> Tensor:
            away = output - mean
            return (torch.nn.functional.linear(away, precision) * away).sum(dim=1) / 2

        return value

    def words(self, classes: Names = None) -> str:
        return "the surprisal of the population's responses"

    def unit(self, outputs: str = "logits") -> str:
        return "nats"

    def __repr__(self) -> str:
        return f"Surprisal({len(self.mean)} cells, shrinkage={self.shrinkage:.3g})"


def _ledoit_wolf(centred: Tensor, covariance: Tensor, identity: Tensor) -> float:
    """The shrinkage with the least expected squared error (Ledoit and Wolf 2004)."""
    samples = len(centred)
    distance = (covariance - identity).square().sum()
    # Σ_n ‖x_n x_nᵀ − S‖² = Σ_n ‖x_n‖⁴ − N ‖S‖²
    spread = centred.square().sum(dim=1).square().sum() - samples * covariance.square().sum()
    return float((spread / samples**2 / distance).clamp(0, 1)) if distance > 0 else 0.0
