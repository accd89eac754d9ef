"""Selectivity: how much each class's mode acts on its own class alone, over all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.curves import FRACTIONS, control_curve
from codeclens.control.interventions import Kind
from codeclens.control.rankings import Random
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError


@dataclass(frozen=True)
class Selectivity:
    """The selectivity of the mode of each class, beside that of as many random units.

    `classes` `(C,)` are the classes; `modes` and `random` `(C,)` are METHOD.md §5's
    `(AUC_target − AUC_others) / AUC_others`: below zero where ablation hits the class more than the
    others, above zero where preservation keeps it more.
    """

    kind: Kind
    classes: Int[np.ndarray, " class"]
    modes: Float[np.ndarray, " class"]
    random: Float[np.ndarray, " class"]

    @property
    def mean(self) -> float:
        """The mean over classes."""
        return float(np.nanmean(self.modes))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean by Student's t over classes, NaN for a single class."""
        from scipy.stats import t

        known = self.modes[~np.isnan(self.modes)]
        if len(known) < 2:
            return float("nan"), float("nan")
        half = t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known))
        return self.mean - float(half), self.mean + float(half)


def selectivity_of_modes(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes,
    *,
    classes: Sequence[int] | None = None,
    kind: Kind = "ablate",
    fractions: Sequence[float] = FRACTIONS,
    site: str | Site | None = None,
    trials: int = 3,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
) -> Selectivity:
    """Measure by interventions how selective the modes of a decomposition are.

    For each of the `classes` (default: all that have images) one control curve is run with the mode
    that follows it best and with random units; everything else is as in `control_curve`. So any
    two decompositions of a site can be compared by what their modes do (METHOD.md §3). Raises
    CodeclensError without classes, and as `control_curve` does.

    >>> import torch
    >>> from codeclens.decomposition import NMF
    >>> model = nn.Sequential(nn.Identity())  # a network that sees class c by its unit c alone
    >>> labels = torch.arange(60) % 3
    >>> x = torch.eye(3)[labels] * torch.rand(60, 1, generator=torch.Generator().manual_seed(0))
    >>> method = NMF(n_modes=3).fit(x)
    >>> modes = Modes("0", "activation", method, method.encode(x), labels=labels.numpy())
    >>> selectivity_of_modes(
    ...     model, (x, labels), modes, classes=[1, 2], fractions=[0.3, 0.4]
    ... ).modes
    array([-1., -1.])
    """
    labels = np.asarray(data[1])
    chosen = np.unique(labels) if classes is None else np.asarray(classes, dtype=np.int64)
    if not len(chosen):
        raise CodeclensError("No classes were given, and the data have none; pass labelled images.")
    found: dict[str, list[float]] = {"modes": [], "random": []}
    for which in chosen:
        curve = control_curve(
            model,
            data,
            modes,
            class_index=int(which),
            kind=kind,
            fractions=fractions,
            site=site,
            controls=[Random()],
            trials=trials,
            seed=seed,
            batch_size=batch_size,
            output=output,
            resamples=1,  # the interval is over classes
        )
        values: list[Any] = [condition.selectivity.value for condition in curve.conditions]
        for name, value in zip(found, values, strict=True):
            found[name].append(float(value))
    arrays = {name: np.array(values) for name, values in found.items()}
    return Selectivity(kind=kind, classes=chosen.astype(np.int64), **arrays)
