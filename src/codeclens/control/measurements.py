"""Measurements: what a network says of labelled images while units are off, each set run once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.interventions import Intervention, Kind
from codeclens.control.sweep import Progress, count_units, outputs_under
from codeclens.errors import CodeclensError


class Said(NamedTuple):
    """Of every run and image `(R, N)`: whether the class was right, and the label's own logit."""

    correct: Bool[np.ndarray, "run sample"]
    logit: Float[np.ndarray, "run sample"]


class Measurements:
    """A network, labelled images and a site: what the network says while some units are off.

    What was measured is kept, so that a set of units that several classes, kinds or controls share
    runs once. `labels` is `(N,)`, `units` how many units the site has. Raises CodeclensError for
    data that do not fit.

    >>> import torch
    >>> measure = Measurements(nn.Sequential(nn.Identity()), (torch.eye(2), [0, 1]), Site("0"))
    >>> measure("ablate", [(0,)]).correct.tolist()  # undisturbed first
    [[True, True], [True, True]]
    >>> measure("preserve", [(0,)]).logit.tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(
        self,
        model: nn.Module,
        data: tuple[Tensor, Tensor],
        site: Site,
        *,
        batch_size: int = 256,
        output: Selector = None,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.site = model, site
        self.x, self.labels = checked(data)
        self.units = count_units(model, site, self.x[:1])
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "output": output,
            "progress": progress,
        }
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, kind: Kind, sets: Sequence[tuple[int, ...]]) -> Said:
        """The undisturbed network, and each set of units ablated or preserved, `(1 + M, N)`."""
        keys = [self._off(kind, chosen) for chosen in sets]
        nothing = self._off("ablate", ())
        new = {
            key: chosen
            for key, chosen in zip(keys, sets, strict=True)
            if key not in self._known and key != nothing
        }
        if new or nothing not in self._known:
            acting = [Intervention(self.site, kind, c, units=self.units) for c in new.values()]
            scores = np.asarray(outputs_under(self.model, self.x, acting, **self._options))
            self._keep([nothing, *new], scores)
        rows = [self._known[key] for key in (nothing, *keys)]
        return Said(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))

    def _keep(self, keys: Sequence[bytes], scores: Float[np.ndarray, "run sample classes"]) -> None:
        if self.labels.max() >= scores.shape[2]:
            raise CodeclensError(
                f"A label is {self.labels.max()}, but the model's output has {scores.shape[2]} "
                "classes; check the labels, or pass output=… to select it."
            )
        for key, of_run in zip(keys, scores, strict=True):
            own = of_run[np.arange(len(self.labels)), self.labels]
            self._known[key] = of_run.argmax(axis=1) == self.labels, own

    def _off(self, kind: Kind, chosen: tuple[int, ...]) -> bytes:
        """The units that are off, however that was said."""
        off = np.full(self.units, kind == "preserve")
        off[list(chosen)] = kind == "ablate"
        return np.packbits(off).tobytes()


def checked(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Int[np.ndarray, " sample"]]:
    """Images and labels, as a tensor `(N, …)` and integers `(N,)`.

    Raises CodeclensError where they do not fit each other or are no such thing.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise CodeclensError(
            f"data is a {type(data).__name__}; pass a pair (images, labels) of tensors."
        )
    x, labels = data[0], np.asarray(data[1])
    if not isinstance(x, Tensor):
        raise CodeclensError(f"The images are a {type(x).__name__}; pass a tensor (samples, …).")
    if labels.shape != x.shape[:1] or not len(x):
        raise CodeclensError(
            f"The images have shape {tuple(x.shape)} and the labels {labels.shape}; "
            "pass one label for each image, and at least one image."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise CodeclensError(
            f"The labels have type {labels.dtype} and smallest value {labels.min()}; control needs "
            "the true class of every image, counted from 0."
        )
    return x, labels.astype(np.int64)
