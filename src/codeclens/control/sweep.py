"""Sweeps: what a network predicts for many images under many interventions at one site."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float32, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site, frozen, select, tapped
from codeclens.control.interventions import Intervention
from codeclens.errors import CodeclensError

Progress = Callable[[int, int], None]


def predictions_under(
    model: nn.Module,
    x: Tensor,
    interventions: Sequence[Intervention],
    *,
    batch_size: int = 256,
    output: Selector = None,
    progress: Progress | None = None,
) -> Int[np.ndarray, "condition sample"]:
    """The class that the network predicts for every image, undisturbed and under each intervention.

    `x` is `(N, …)`; the result is `(1 + M, N)` for M interventions, the undisturbed network first.
    Evaluation mode, no gradients, one full run for each; `progress(done, total)` counts the runs.

    Raises CodeclensError where the output is not `(samples, classes)`.

    >>> model = nn.Flatten()
    >>> nothing = Intervention(Site("0"), "preserve", ())
    >>> x = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> predictions_under(nn.Sequential(model), x, [nothing]).tolist()
    [[1, 0], [0, 0]]
    """
    scores = outputs_under(
        model, x, interventions, batch_size=batch_size, output=output, progress=progress
    )
    predicted: Int[np.ndarray, "condition sample"] = scores.argmax(axis=2)
    return predicted


def outputs_under(
    model: nn.Module,
    x: Tensor,
    interventions: Sequence[Intervention],
    *,
    batch_size: int = 256,
    output: Selector = None,
    progress: Progress | None = None,
) -> Float32[np.ndarray, "condition sample classes"]:
    """What the network says of every image, undisturbed and under each intervention.

    As `predictions_under`, but with the scores of all classes, `(1 + M, N, classes)`.

    >>> x = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> outputs_under(nn.Sequential(nn.Flatten()), x, []).tolist()
    [[[1.0, 2.0], [4.0, 3.0]]]
    """
    found: np.ndarray | None = None
    starts = range(0, len(x), batch_size)
    total, done = len(starts) * (1 + len(interventions)), 0
    device = next((parameter.device for parameter in model.parameters()), x.device)
    with frozen(model), torch.no_grad():
        for start in starts:
            batch = x[start : start + batch_size].to(device)
            for row, intervention in enumerate([None, *interventions]):
                if intervention is None:
                    scores = select(model(batch), output)
                else:
                    with intervention.applied(model):
                        scores = select(model(batch), output)
                values = _classes(scores, len(batch))
                if found is None:
                    shape = 1 + len(interventions), len(x), values.shape[1]
                    found = np.empty(shape, np.float32)
                found[row, start : start + len(batch)] = values
                done += 1
                if progress is not None:
                    progress(done, total)
    return np.zeros((1 + len(interventions), 0, 0), np.float32) if found is None else found


def count_units(model: nn.Module, site: Site, x: Tensor) -> int:
    """How many units a site has, by one run of the images `x` `(N, …)`.

    Raises CodeclensError where the run does not reach the site.

    >>> count_units(nn.Sequential(nn.Linear(2, 5)), Site("0"), torch.zeros(1, 2))
    5
    """
    counts: list[int] = []
    device = next((parameter.device for parameter in model.parameters()), x.device)
    with (
        frozen(model),
        torch.no_grad(),
        tapped(model, [site], lambda met, tensor: counts.append(met.units(tensor).shape[1])),
    ):
        model(x.to(device))
    if not counts:
        raise CodeclensError(
            f'Site "{site.key}" is not reached when the model runs; choose another module.'
        )
    return counts[0]


def _classes(scores: Tensor, samples: int) -> Float32[np.ndarray, "sample classes"]:
    if scores.ndim != 2 or len(scores) != samples:
        raise CodeclensError(
            f"The model's output has shape {tuple(scores.shape)} for {samples} images; control "
            "needs (samples, classes). Pass output=… to select it."
        )
    values: Float32[np.ndarray, "sample classes"] = scores.float().cpu().numpy()
    return values
