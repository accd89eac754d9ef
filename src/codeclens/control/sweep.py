"""Sweeps: a network's outputs for many images under many interventions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from codeclens.attribution import Replay, Selector, Site, frozen, tapped
from codeclens.attribution.capture import run, same_randomness
from codeclens.attribution.inputs import Batch, Inputs, called
from codeclens.attribution.recording import UnreplayableError
from codeclens.attribution.replay import follow, record
from codeclens.control.edits import Intervention, intervene
from codeclens.errors import CodeclensError

Progress = Callable[[int, int], None]
Condition = Intervention | Sequence[Intervention]
Reduce = Callable[[Tensor], Tensor]


def outputs_under(
    model: nn.Module,
    x: Any,
    interventions: Sequence[Condition],
    *,
    batch_size: int = 256,
    output: Selector = None,
    reduce: Reduce | None = None,
    at_once: int = 1,
    replay: bool = True,
    progress: Progress | None = None,
) -> Shaped[np.ndarray, "condition sample *rest"]:
    """The network's output for every image, undisturbed and under each intervention.

    `x` is `(N, …)`, or several inputs (`Inputs.of`); the result is `(1 + M, N, …)` for M
    interventions, the undisturbed network first. Each may be several that act together, at one
    site or at many; one with M masks counts as M. Where an edit holds values for each sample, they
    are those of the N images. `reduce` is applied to the output `(B, …)` of every batch before it
    is kept: `lambda logits: logits[:, 3]`
    instead of all classes.

    Evaluation mode, no gradients. What lies before a site is computed once for each batch, for all
    sites together, and only the rest for each intervention: the same numbers, exactly, as full runs
    of the same batches give (`Replay`). Where that cannot be, one warning says why and the whole
    model runs; so it does for interventions at several sites together, and with `replay=False`.
    `at_once` interventions at one site run as one larger batch, which pays where batches are
    small; kernels may then round differently. Memory holds the model and the activations of all
    sites for one batch. `progress(done, total)` counts the runs.

    Raises CodeclensError where the output does not count samples, and as interventions do.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> nothing = Intervention(Site("0"), "preserve", ())
    >>> outputs_under(model, torch.tensor([[1.0, 2.0], [4.0, 3.0]]), [nothing]).tolist()
    [[[1.0, 2.0], [4.0, 3.0]], [[0.0, 0.0], [0.0, 0.0]]]
    """
    if min(batch_size, at_once) < 1:
        raise CodeclensError(
            f"batch_size (={batch_size}) and at_once (={at_once}) must be at least 1."
        )
    x = Inputs.of(x)
    conditions = _conditions(interventions)
    results: np.ndarray | None = None
    starts = range(0, len(x), batch_size)
    total, done = len(starts) * (1 + len(conditions)), 0
    sweep = _Sweep(model, conditions, output, at_once, replay)
    device = next((parameter.device for parameter in model.parameters()), x.device)
    for start in starts:
        batch = x[start : start + batch_size].to(device)
        rows = slice(start, start + len(batch))
        for row, found in sweep.run(batch, rows, len(x)):
            kept = (found if reduce is None else reduce(found)).detach().cpu().numpy()
            if kept.shape[:1] != (len(batch),):
                raise CodeclensError(
                    f"The model's output has shape {kept.shape} for {len(batch)} images; its first "
                    "axis must count them. Pass output=… to select it."
                )
            if results is None:
                results = np.empty((1 + len(conditions), len(x), *kept.shape[1:]), kept.dtype)
            results[row, rows] = kept
            done += 1
            if progress is not None:
                progress(done, total)
    return np.empty((1 + len(conditions), 0)) if results is None else results


def predictions_under(
    model: nn.Module,
    x: Any,
    interventions: Sequence[Condition],
    *,
    batch_size: int = 256,
    output: Selector = None,
    at_once: int = 1,
    replay: bool = True,
    progress: Progress | None = None,
) -> Int[np.ndarray, "condition sample"]:
    """The class that the network predicts for every image, undisturbed and under each intervention.

    `(1 + M, N)`: `outputs_under`, of which only the largest output's place is kept. Raises
    CodeclensError where the output is not `(samples, classes)`.

    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> nothing = Intervention(Site("0"), "preserve", ())
    >>> x = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> predictions_under(model, x, [nothing]).tolist()
    [[1, 0], [0, 0]]
    """
    x = Inputs.of(x)
    samples = min(batch_size, len(x))

    def classes(scores: Tensor) -> Tensor:
        if scores.ndim != 2:
            raise CodeclensError(
                f"The model's output has shape {tuple(scores.shape)} for {samples} images; control "
                "needs (samples, classes). Pass output=… to select it."
            )
        return scores.argmax(dim=1)

    found = outputs_under(
        model,
        x,
        interventions,
        batch_size=batch_size,
        output=output,
        reduce=classes,
        at_once=at_once,
        replay=replay,
        progress=progress,
    )
    return found.astype(np.int64)


def count_units(model: nn.Module, site: Site, x: Batch) -> int:
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
        called(model, x.to(device))
    if not counts:
        raise CodeclensError(
            f'Site "{site.key}" is not reached when the model runs; choose another module.'
        )
    return counts[0]


class _Sweep:
    """The conditions of a sweep by where they act, and the replays of the sites, batch by batch."""

    def __init__(
        self,
        model: nn.Module,
        conditions: Sequence[tuple[Intervention, ...]],
        output: Selector,
        at_once: int,
        replay: bool,
    ) -> None:
        self._model = model
        self._conditions = conditions
        self._output = output
        self._at_once = at_once
        self._wanted = replay
        self._by_site: dict[Site, list[int]] = {}
        # Several sites at once: what lies between them differs from one such condition to another.
        self._whole: list[int] = []
        for number, condition in enumerate(conditions):
            sites = {one.site for one in condition}
            if len(sites) == 1:
                self._by_site.setdefault(sites.pop(), []).append(number)
            else:
                self._whole.append(number)
        self._replays: dict[Site, Replay] | None = None

    def run(self, batch: Batch, rows: slice, total: int) -> Iterator[tuple[int, Tensor]]:
        """The output for one batch, condition by condition; 0 is the undisturbed network."""
        replays = self._prepared(batch)
        undisturbed = next((replay.output for replay in replays.values()), None)
        yield 0, self._run(batch, ()) if undisturbed is None else undisturbed
        for number in self._whole:
            yield number + 1, self._run(batch, self._cut(number, rows, total))
        for site, numbers in self._by_site.items():
            replay = replays.get(site)
            if replay is None or not replay.shortened:
                for number in numbers:
                    yield number + 1, self._run(batch, self._cut(number, rows, total))
                continue
            for start in range(0, len(numbers), self._at_once):
                together = numbers[start : start + self._at_once]
                edited = [
                    _edited(self._cut(number, rows, total), replay.activation)
                    for number in together
                ]
                with torch.no_grad():
                    found = replay(torch.cat(edited) if len(edited) > 1 else edited[0])
                parts = found.split(len(batch)) if len(edited) > 1 else [found]
                for number, part in zip(together, parts, strict=True):
                    yield number + 1, part

    def _cut(self, number: int, rows: slice, total: int) -> tuple[Intervention, ...]:
        return tuple(one.of_samples(rows, total) for one in self._conditions[number])

    def _run(self, batch: Batch, condition: Sequence[Intervention]) -> Tensor:
        model = self._model
        with (
            frozen(model),
            same_randomness(model),
            torch.no_grad(),
            intervene(model, condition),
        ):
            # A copy: the model may change its input in place.
            return run(model, batch.clone(), self._output)

    def _prepared(self, batch: Batch) -> dict[Site, Replay]:
        """The replays of this batch: all sites are recorded in one run."""
        if not self._wanted or not len(batch):
            return {}
        if self._replays is None:
            self._replays = self._first(batch)
        else:
            follow(list(self._replays.values()), batch)
            self._replays = {s: r for s, r in self._replays.items() if r.shortened}
        return self._replays

    def _first(self, batch: Batch) -> dict[Site, Replay]:
        found = {site: Replay(self._model, site, None, self._output) for site in self._by_site}
        while found:
            try:
                record(list(found.values()), batch)
                break
            except UnreplayableError as error:
                # No error here: an intervention may act at every call of its module.
                # The error names the site as it was resolved, the sweep as it was given.
                given = next(site for site in found if site.key == error.site.key)
                del found[given]
                warnings.warn(
                    f"The whole model runs for every intervention, since what follows the site "
                    f"cannot be run alone: {error}",
                    stacklevel=6,
                )
        return {site: replay for site, replay in found.items() if replay.shortened}


def _edited(condition: Sequence[Intervention], activation: Tensor) -> Tensor:
    for one in condition:
        activation = one(one.site, activation)
    return activation


def _conditions(interventions: Sequence[Condition]) -> list[tuple[Intervention, ...]]:
    found: list[tuple[Intervention, ...]] = []
    for given in interventions:
        if isinstance(given, Intervention):
            found += [(one,) for one in given.split()]
        else:
            found.append(tuple(given))
    return found
