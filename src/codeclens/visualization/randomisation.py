"""Randomisation: whether maps change when a network's weights are mixed up, layer by layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.errors import CodeclensError

# From a network and inputs `(B, …)` to maps `(B, …)`.
MapOf = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Randomisation:
    """How alike maps are to those of the trained network, after each layer was mixed up, too.

    `layers` are in the order in which they were mixed up, from the output to the input. `rank`
    `(L, B)` is Spearman's correlation of the maps' magnitudes over pixels, `linear` Pearson's of
    the maps with their signs. A map that stays alike does not depend on what the network learned.
    """

    layers: tuple[str, ...]
    rank: Float[np.ndarray, "layer sample"]
    linear: Float[np.ndarray, "layer sample"]

    def __repr__(self) -> str:
        last = f"{np.nanmedian(self.rank[-1]):.2f}" if len(self.layers) else "–"
        return f"Randomisation({len(self.layers)} layers; rank correlation at the end {last})"


def randomised(
    model: nn.Module, layers: Sequence[str] | None = None, *, seed: int = 0
) -> Iterator[tuple[str, nn.Module]]:
    """Mix up the weights of one layer after another, from the output to the input, in a copy.

    The entries of each weight and bias of a layer are permuted, so that their distribution stays;
    normalisation layers are left alone. `layers` are names of modules, all that is below them with
    them (by default every convolution and linear layer, the last first); each step yields its name
    and the copy, in which all layers before it are mixed up as well. (Adebayo et al. 2018.)

    Raises CodeclensError for a name that there is not, or without weights.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> [name for name, _ in randomised(model)]
    ['2', '0']
    """
    mixed = copy.deepcopy(model)
    modules = dict(mixed.named_modules())
    chosen = [n for n, m in modules.items() if _has_weights(m)][::-1] if layers is None else layers
    for name in chosen:
        if name not in modules or not any(_has_weights(m) for m in modules[name].modules()):
            raise CodeclensError(
                f'"{name}" is no layer with weights; name modules that hold convolutions or linear '
                "layers."
            )
    generator = torch.Generator().manual_seed(seed)
    for name in chosen:
        for module in modules[name].modules():
            if _has_weights(module):
                for parameter in module.parameters(recurse=False):
                    order = torch.randperm(parameter.numel(), generator=generator)
                    with torch.no_grad():
                        flat = parameter.reshape(-1)[order.to(parameter.device)]
                        parameter.copy_(flat.reshape(parameter.shape))
        yield name, mixed


def randomisation_test(
    maps: MapOf,
    model: nn.Module,
    x: Tensor,
    layers: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Randomisation:
    """Compare the maps of a trained network with those of the same one, mixed up layer by layer.

    `maps` gives from a network and `x` `(B, …)` maps `(B, …)`; fix the target in it
    (`target=Output(3)`), since a network that is mixed up predicts something else. Layers and
    errors are those of `randomised`.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    >>> def edges(model, x):
    ...     return x.diff(dim=3)
    >>> randomisation_test(edges, model, torch.rand(2, 1, 6, 6)).rank.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    before = _flat(maps(model, x))
    names, rank, linear = [], [], []
    for name, mixed in randomised(model, layers, seed=seed):
        after = _flat(maps(mixed, x))
        names.append(name)
        pairs = list(zip(before, after, strict=True))
        rank.append([_correlation(_ranks(np.abs(a)), _ranks(np.abs(b))) for a, b in pairs])
        linear.append([_correlation(a, b) for a, b in pairs])
    shape = (len(names), len(x))
    return Randomisation(
        tuple(names), np.reshape(rank, shape).astype(float), np.reshape(linear, shape).astype(float)
    )


def _has_weights(module: nn.Module) -> bool:
    own = [parameter for parameter in module.parameters(recurse=False) if parameter.ndim > 1]
    return bool(own)


def _flat(maps: Tensor) -> np.ndarray:
    return np.asarray(maps.detach().cpu().double().flatten(1).numpy())


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy import stats

    return np.asarray(stats.rankdata(values))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; NaN where one of them does not vary."""
    a, b = a - a.mean(), b - b.mean()
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    # Rounding must not carry it beyond 1.
    return float(round(min(max(float(a @ b / lengths), -1.0), 1.0), 12)) if lengths else np.nan
