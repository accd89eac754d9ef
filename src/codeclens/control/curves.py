"""Control curves: what acting on a mode's units does to its class and to all the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import numpy as np
from jaxtyping import Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.accuracy import ClassAccuracy
from codeclens.control.interventions import Intervention, Kind, one_site, share_to_count
from codeclens.control.rankings import ByMode, Ranking, find_controls
from codeclens.control.results import ControlCurve, Setting, compare
from codeclens.control.sweep import Progress, count_units, predictions_under
from codeclens.decomposition import Mode, Modes
from codeclens.errors import CodeclensError

FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.18, 0.25, 0.5, 0.8, 0.99)
TRIALS = 5


def control_curve(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes | Mode,
    *,
    class_index: int,
    fractions: Sequence[float] = FRACTIONS,
    kind: Kind = "ablate",
    site: str | Site | None = None,
    controls: Iterable[str | Ranking] = ("random",),
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> ControlCurve:
    """Accuracy on a class and on all the others while more and more units are ablated or preserved.

    `data` is the images `(N, …)` and their labels `(N,)`. The units are ranked by the mode of the
    class (`modes.for_class(class_index)`, or the `Mode` that is passed) and by every control;
    those with chance in them run `trials` times. The network runs in evaluation mode, once
    undisturbed and once for each different set of units. `fractions` are shares of the site's
    units, rounded to whole units. `site` says where to act if not at the modes' own site.

    Intervals are 95 % bootstrap intervals over images, drawn within each class, and over trials;
    the same draws serve all conditions, so comparisons are paired. (Where every image of a class is
    recognised they have no width: drawing the same images again shows no failure.)
    `progress(done, total)` is called after every run of a batch.

    The summary is `selectivity`, METHOD.md §5's `(AUC_target − AUC_others) / AUC_others`: below
    zero where ablation hits the class more than the others, above zero where preservation keeps it
    more. An AUC is the mean height of accuracy, divided by the accuracy before, over the share of
    units really acted on (trapezoid rule, from the smallest share to the largest).

    Raises CodeclensError for labels that do not fit, a class without images or that the network
    never recognises, unknown controls, and fractions outside [0, 1].

    >>> import torch
    >>> model = nn.Sequential(nn.Identity())  # a network that sees class c by its unit c alone
    >>> x, labels = torch.eye(4), torch.arange(4)
    >>> mode = Mode("0", 2, np.array([0.0, 0.0, 1.0, 0.0]), np.zeros(4), np.ones(1))
    >>> curve = control_curve(model, (x, labels), mode, class_index=2, fractions=[0.25, 0.75])
    >>> curve.mode.target.value, curve.mode.others.value
    (array([0., 0.]), array([1.        , 0.66666667]))
    >>> float(curve.mode.selectivity.value)
    -1.0
    """
    x, labels = _checked(data)
    if kind not in get_args(Kind):
        raise CodeclensError(f'kind="{kind}" is not known; choose "ablate" or "preserve".')
    if min(trials, batch_size, resamples) < 1:
        raise CodeclensError(
            f"trials (={trials}), batch_size (={batch_size}) and resamples (={resamples}) "
            "must be at least 1."
        )
    groups = ClassAccuracy(labels, class_index)
    mode = modes if isinstance(modes, Mode) else modes.for_class(class_index)
    rankings = find_controls(
        [ByMode(mode), *([controls] if isinstance(controls, str) else controls)]
    )
    place = one_site(model, mode.site if site is None else site)
    units = count_units(model, place, x[:1])
    shares = np.array(sorted(set(fractions)), np.float64)
    if not len(shares):
        raise CodeclensError("No fractions were given; pass at least one, such as fractions=[0.1].")
    counts = np.array([share_to_count(share, units) for share in shares])
    orders = [ranking.orders(units, trials, seed) for ranking in rankings]
    rows, sets = _distinct(orders, counts)
    interventions = [Intervention(place, kind, chosen, units=units) for chosen in sets]
    predicted = predictions_under(
        model, x, interventions, batch_size=batch_size, output=output, progress=progress
    )
    correct = predicted == labels
    accuracy = groups.measure(correct)
    if (accuracy[0] == 0).any():
        which = f"class {class_index}" if accuracy[0, 0] == 0 else "the other classes"
        raise CodeclensError(
            f"The undisturbed network recognises none of the {len(x)} images of {which}, "
            "so there is no accuracy to control; check the labels and the preprocessing."
        )
    setting = Setting(
        site=place.key,
        kind=kind,
        class_index=class_index,
        class_name=_class_name(modes, class_index),
        others=groups.others,
        samples=len(x),
        seed=seed,
        units=units,
        fractions=shares,
        counts=counts,
    )
    names = [ranking.name for ranking in rankings]
    return compare(setting, names, rows, accuracy, groups.redraw(correct, resamples, seed))


def _checked(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Int[np.ndarray, " sample"]]:
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


def _distinct(
    orders: Sequence[Int[np.ndarray, "_trial unit"]], counts: Int[np.ndarray, " fraction"]
) -> tuple[list[Int[np.ndarray, "_trial fraction"]], list[tuple[int, ...]]]:
    """The different sets of units, and for every order and count which of them it is.

    Row 0 is the undisturbed network, so the sets count from 1. In a small site several fractions
    mean the same units, which then run once.
    """
    places: dict[tuple[int, ...], int] = {}
    rows = []
    for trials in orders:
        row = np.empty((len(trials), len(counts)), np.int64)
        for t, order in enumerate(trials):
            for f, count in enumerate(counts):
                chosen = tuple(sorted(int(unit) for unit in order[:count]))
                row[t, f] = places.setdefault(chosen, len(places) + 1)
        rows.append(row)
    return rows, list(places)


def _class_name(modes: Modes | Mode, class_index: int) -> str:
    if isinstance(modes, Mode) or modes.classes is None:
        return f"class {class_index}"
    return f'class "{modes.classes[class_index]}"'
