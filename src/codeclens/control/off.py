"""Off values: what a unit is set to when it is switched off, and how it is described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import Site
from codeclens.attribution.baselines import (
    Constant,
    MeanEmbedding,
    TokenEmbedding,
    as_baseline,
)
from codeclens.attribution.embeddings import starts_of
from codeclens.attribution.inputs import Inputs
from codeclens.control.edits import Value, activation_at, as_value, finite
from codeclens.decomposition import Mode, Modes
from codeclens.errors import CodeclensError, unknown

Given = float | Sequence[float] | np.ndarray[Any, Any] | Tensor
Named = Literal["baseline", "mean"]
Off = Named | Given
NAMES = ("baseline", "mean")
# Images that run at once.
_BATCH = 64


def off_value(model: nn.Module, site: Site, images: Any, off: Off, baseline: Any = 0.0) -> Value:
    """What units of a site are set to: a number, or a tensor for one sample or for each image.

    `off` is a number, one for each unit `(U,)`, a tensor in the layout of the site, `"baseline"`
    (the site's activation at the `baseline` of each image, as for `contributions`; with several
    draws their mean) or `"mean"` (its mean over the images, at each position its own).

    Raises CodeclensError for another word, for numbers that are not finite, and for "baseline" and
    "mean" without images.

    >>> model, x = nn.Sequential(nn.Linear(2, 2)), torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    >>> _ = model.load_state_dict({"0.weight": torch.eye(2), "0.bias": torch.tensor([5.0, 0.0])})
    >>> off_value(model, Site("0"), x, "baseline").tolist()
    [[5.0, 0.0]]
    >>> off_value(model, Site("0"), x, "mean").tolist()
    [[7.0, 1.0]]
    """
    if not isinstance(off, str):
        value = as_value(off)
        finite("off", value)
        return value
    if off not in NAMES:
        raise unknown("off value", off, NAMES, "There is")
    if images is None or not len(images):
        raise CodeclensError(f'off="{off}" is computed from images; pass images=x.')
    images = Inputs.of(images)
    if off == "mean":
        sums = [
            activation_at(model, site, b).sum(dim=0, keepdim=True) for b in images.split(_BATCH)
        ]
        return torch.stack(sums).sum(dim=0) / len(images)
    start = as_baseline(baseline)
    if isinstance(start, Constant) and isinstance(images, Tensor):  # the same for all images
        images = images[:1]
    found = []
    for begun in starts_of(model, images, start):
        parts = [activation_at(model, site, batch.clone()) for batch in begun.split(_BATCH)]
        found.append(torch.cat(parts))
    return torch.stack(found).mean(dim=0)


def default_off(modes: Modes | Mode, baseline: Any = None) -> tuple[Off, Any]:
    """The off value that matches how modes were found, and the baseline to compute it from.

    Contributions that count from a baseline predict the effect of returning units to it, so the
    default is `"baseline"`. Activations, gradient × activation and a single mode, of which it is
    not known what it counts from, have 0. `baseline` is the input that contributions count from; by
    default the one that the modes' store names.

    Raises CodeclensError where that baseline is not one number, and none is given.

    >>> mode = Mode("fc", 0, np.ones(2), np.zeros(2), np.ones(1))
    >>> default_off(mode)
    (0.0, 0.0)
    """
    settings = _settings(modes)
    counted = settings.get("baseline")
    if baseline is None and isinstance(counted, Mapping) and counted.get("class") == "Constant":
        baseline = float(counted["value"])
    if baseline is None and isinstance(counted, Mapping):
        kinds = {"MeanEmbedding": MeanEmbedding, "TokenEmbedding": TokenEmbedding}
        if made := kinds.get(str(counted.get("class"))):
            baseline = made(**{name: value for name, value in counted.items() if name != "class"})
    unknown_or_none = isinstance(modes, Mode) or modes.view == "activation" or not settings
    if unknown_or_none or not counts_from_baseline(settings.get("method")):
        return 0.0, 0.0 if baseline is None else baseline
    if baseline is None:
        kind = counted.get("class") if isinstance(counted, Mapping) else "another kind"
        raise CodeclensError(
            f'The contributions at "{modes.site}" count from a baseline of class {kind}, which the '
            "store only names; pass it, baseline=…, or another off value, such as off=0."
        )
    return "baseline", baseline


def counts_from_baseline(method: Any) -> bool:
    """Whether a method, or its settings in a store, counts contributions from a baseline.

    >>> counts_from_baseline(None), counts_from_baseline({"class": "ActivationGradient"})
    (True, False)
    """
    if isinstance(method, Mapping):
        name, to = method.get("class"), method.get("to")
    else:
        name, to = type(method).__name__, getattr(method, "to", None)
    return name not in ("ActivationGradient", "GradientFrom") and to != "zero"


def _settings(modes: Modes | Mode) -> Mapping[str, Any]:
    if isinstance(modes, Mode):
        return {}
    found = (modes.provenance.get("contributions") or {}).get("settings")
    return found if isinstance(found, Mapping) else {}


def off_name(off: Off) -> str:
    """An off value in a few words, for tables and sentences.

    >>> off_name("baseline"), off_name(0), off_name([1.0, 2.0])
    ('the baseline activation', '0', 'given values')
    """
    if isinstance(off, str):
        return {"baseline": "the baseline activation", "mean": "the mean activation"}[off]
    return "given values" if np.ndim(off) else f"{float(np.asarray(off)):g}"
