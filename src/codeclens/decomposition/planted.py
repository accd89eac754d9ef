"""Planted pathways: networks and inputs with known contribution pathways, to test recovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.decomposition.matrices import View, check_view
from codeclens.decomposition.stability import matched
from codeclens.errors import CodeclensError

Matrix = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Recovery:
    """How well modes recover planted pathways.

    `cosine` `(M,)` is the cosine of each pathway with the mode that was matched to it, 0 where
    there is none, and `auc` `(M,)` the probability that the mode is stronger in a sample with the
    pathway than in one without (0.5 where no mode was matched).
    """

    cosine: Float[np.ndarray, " motif"]
    auc: Float[np.ndarray, " motif"]


class PlantedNetwork(nn.Module):
    """Rectified units, a rotation of them, and one linear output.

    `hidden` is the site: the rotated units. The output is linear in them, so the contribution of a
    unit is its value times its weight, by any method with a zero baseline.
    """

    def __init__(self, into: Tensor, turn: Tensor, out: Tensor) -> None:
        super().__init__()
        units, inputs = into.shape
        self.hidden = nn.Sequential(
            nn.Linear(inputs, units, bias=False), nn.ReLU(), nn.Linear(units, units, bias=False)
        )
        self.out = nn.Linear(units, 1, bias=False)
        with torch.no_grad():
            for layer, weight in ((self.hidden[0], into), (self.hidden[2], turn)):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(weight)
            self.out.weight.copy_((turn @ out)[None])

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch 1"]:
        """The one output."""
        found: Tensor = self.out(self.hidden(x))
        return found


@dataclass(frozen=True)
class Planted:
    """A network, inputs, and the true contributions of its hidden units.

    `inputs` `(N, I)` are for `network`, whose site is "hidden". `present` `(N, M)` is how strongly
    each of M pathways is driven, `net` `(M, U)` its contribution through every unit for a drive of
    1, and `active` `(M, U)` the activation it causes.
    """

    network: PlantedNetwork
    inputs: Float[Tensor, "sample input"]
    present: Float[np.ndarray, "sample motif"]
    net: Float[np.ndarray, "motif unit"]
    active: Float[np.ndarray, "motif unit"]

    def motifs(self, view: View) -> Float[np.ndarray, "motif column"]:
        """The pathways in the columns of a view, `(M, U)` or `(M, 2U)`."""
        check_view(view)
        positive, negative = np.maximum(self.net, 0), np.minimum(self.net, 0)
        if view == "concat":
            return np.concatenate([positive, -negative], axis=1)
        parts = {"sum": self.net, "positive": positive, "negative": negative}
        return np.asarray(parts.get(view, self.active))

    def data(self, view: View) -> Float[np.ndarray, "sample column"]:
        """The contributions of the units, or their activations, as a view of them."""
        check_view(view)
        with torch.no_grad():
            values = self.network.hidden(self.inputs)
            contributed = values * self.network.out.weight
        if view == "activation":
            return np.asarray(values.numpy())
        positive, negative = contributed.clamp(min=0), contributed.clamp(max=0)
        made = {
            "concat": torch.cat([positive, -negative], dim=1),
            "sum": contributed,
            "positive": positive,
            "negative": negative,
        }
        return np.asarray(made[view].numpy())

    def recovery(
        self,
        dictionary: Float[np.ndarray, "mode column"],
        loadings: Float[np.ndarray, "sample mode"],
        view: View = "concat",
    ) -> Recovery:
        """How well the modes of a view recover the pathways.

        Modes are matched to pathways one to one, so that the sum of cosines is largest; the sign of
        a mode and its loadings may be flipped together. `loadings` are those of all samples. Raises
        CodeclensError where the number of columns differs.
        """
        truth = self.motifs(view)
        # Where loadings have either sign, the sign of a mode is arbitrary.
        turned = np.concatenate([dictionary, -dictionary])
        signed = bool((loadings < 0).any())
        match = matched(truth, turned if signed else dictionary)
        cosine = np.nan_to_num(match.cosine)
        modes = len(dictionary)
        auc = np.full(len(truth), 0.5)
        for motif, partner in enumerate(match.partner):
            if partner >= 0:
                strength = loadings[:, partner % modes] * (1 if partner < modes else -1)
                auc[motif] = area_under_curve(strength, self.present[:, motif] > 0)
        return Recovery(cosine, auc)


def plant(
    samples: int,
    *,
    pathways: int = 16,
    units: int = 32,
    units_each: int = 6,
    present: float = 3,
    idle: int = 8,
    noise: float = 0.0,
    mixing: float = 0.0,
    seed: int = 0,
) -> Planted:
    """Make a network with planted sparse pathways, and inputs that drive a few of them at a time.

    Each of `pathways` drives `units_each` of the `units`, so units belong to several pathways. Some
    pathways excite the output and some suppress it. On average `present` pathways are driven in a
    sample, with gamma-distributed strengths. `idle` further units are equally active, each driven
    in half of the samples by its own input, but have almost no effect on the output. `noise` is the
    standard deviation of the noise of every input, relative to the mean strength. `mixing` rotates
    the hidden units: 0 leaves them as they are, 1 mixes all by a random orthogonal matrix.

    Without noise and mixing, contributions are exactly `present @ motifs`, except for the idle
    units. Raises CodeclensError for impossible sizes.

    >>> planted = plant(100, pathways=4, units=8, units_each=2, idle=1)
    >>> planted.inputs.shape, planted.motifs("concat").shape, planted.data("sum").shape
    (torch.Size([100, 5]), (4, 18), (100, 9))
    """
    if not 1 <= units_each <= units or min(samples, pathways) < 1 or not 0 < present <= pathways:
        raise CodeclensError(
            f"{pathways} pathways through units_each={units_each} of {units} units, "
            f"present={present:g} in {samples} samples, cannot be planted; units_each must not "
            "exceed units, nor present the pathways."
        )
    rng = np.random.default_rng(seed)
    into = np.zeros((units + idle, pathways + idle))
    for pathway in range(pathways):
        chosen = rng.choice(units, units_each, replace=False)
        into[chosen, pathway] = rng.lognormal(0, 0.5, units_each)
    into[range(units, units + idle), range(pathways, pathways + idle)] = 2.0
    out = rng.lognormal(0, 0.5, units + idle) * rng.choice([-1.0, 1.0], units + idle)
    out[units:] *= 0.01
    strength = rng.gamma(2.0, 0.5, (samples, pathways + idle))
    chance = np.r_[np.full(pathways, present / pathways), np.full(idle, 0.5)]
    strength *= rng.random(strength.shape) < chance
    turn = _rotation(units + idle, mixing, rng)
    active = (turn @ into).T[:pathways]
    return Planted(
        network=PlantedNetwork(_tensor(into), _tensor(turn), _tensor(out)),
        inputs=_tensor(strength + noise * rng.normal(size=strength.shape)),
        present=strength[:, :pathways],
        net=active * (turn @ out),
        active=active,
    )


def area_under_curve(strength: Matrix, present: Matrix) -> float:
    """The probability that a sample with a feature is stronger than one without (Mann–Whitney).

    Ties count half; 0.5 where all samples have the feature or none has.

    >>> area_under_curve(np.array([3.0, 2.0, 1.0, 1.0]), np.array([True, True, False, True]))
    0.833...
    """
    from scipy.stats import mannwhitneyu

    have, lack = strength[present], strength[~present]
    if not len(have) or not len(lack):
        return 0.5
    return float(mannwhitneyu(have, lack).statistic) / (len(have) * len(lack))


def _rotation(size: int, share: float, rng: np.random.Generator) -> Matrix:
    """An orthogonal matrix between the identity (share 0) and a random one (share 1)."""
    noise = rng.normal(size=(size, size))
    turn, upper = np.linalg.qr((1 - share) * np.eye(size) + share * noise / np.sqrt(size))
    return np.asarray(turn * np.sign(np.diagonal(upper)))


def _tensor(values: Matrix) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
