"""Measuring control curves: rankings, the runs they need, and the curve of each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.controls import (
    ByMode,
    Control,
    Ranking,
    RankingInputs,
    find_controls,
    mode_of,
    require_distinct,
)
from codeclens.control.curves import ControlCurve, Measured, Setting, compare
from codeclens.control.edits import Kind, one_site
from codeclens.control.measurements import Measurements, Members, Sides, checked, members_of
from codeclens.control.off import Off, default_off, off_name, off_value
from codeclens.control.sweep import Progress
from codeclens.control.units import share_to_count
from codeclens.decomposition import Mode, Modes
from codeclens.draws import Draws
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.18, 0.25, 0.5, 0.8, 0.99)
TRIALS = 5


def control_curve(
    model: nn.Module,
    data: tuple[Any, Tensor],
    modes: Modes | Mode,
    *,
    class_index: Members,
    name: str | None = None,
    kind: Kind = "ablate",
    fractions: Sequence[float] = FRACTIONS,
    off: Off | None = None,
    baseline: Any = None,
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Any, Tensor] | None = None,
    activation_modes: Modes | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> ControlCurve:
    """Measure what a mode's units do to its class and to all others, with controls.

    `data` are images `(N, …)` and their true classes `(N,)`, best ones that the modes were not
    found in. `class_index` is a class, or several that form a superclass, which `name` names. The
    units are ranked by the mode that follows the class best (`mode_of`, or the `Mode` that is
    passed) and by every control. A mode's units are ranked by their net entry, the largest first.
    Rankings with chance in them run `trials` times. The network runs in evaluation mode, once
    undisturbed and once for each different set of units. `fractions` are shares of the site's
    units, rounded to whole units. `site` is the site to act on if it is not that of the modes.

    `off` is what units are set to: a number, a tensor, "mean" (the mean activation over the images)
    or "baseline": the activation at the input that contributions count from, sample by sample. The
    default matches how the modes were found: "baseline" where contributions count from one, 0 for
    activations, for gradient × activation and for a single `Mode`. `baseline` is that input if it
    is not the constant that the modes' store names.

    `controls=ALL` takes every control of `codeclens.control.CONTROLS`. They are computed from the
    samples of `store`, in which the modes were found. "gradient" also takes the `training` images
    and labels, and without them the images of `data` themselves, which favours it.
    `activation_modes` saves finding modes of the activations, by the method of `modes`.

    Intervals are 95 % bootstrap intervals over images, drawn within each class, and over trials;
    the same draws serve all conditions, so comparisons are paired. (Where every image of a class is
    recognised they have no width: drawing the same images again shows no failure.)
    `progress(done, total)` is called after every run of a batch.

    The summary is `selectivity`, method.md §5's `(AUC_target − AUC_others) / AUC_others`: below
    zero where ablation affects the class more than the others, above zero where preservation keeps
    it more. An AUC is the mean height of accuracy, divided by the accuracy before, over the share
    of units that are acted on (trapezoid rule, from the smallest share to the largest).

    Raises CodeclensError for labels that do not fit, a class without images or one that the network
    never recognises, unknown controls, controls without a store, and fractions outside [0, 1].

    >>> import torch
    >>> model = nn.Sequential(nn.Identity())  # a network that sees class c by its unit c alone
    >>> x, labels = torch.eye(4), torch.arange(4)
    >>> mode = Mode("0", 2, np.array([0.0, 0.0, 1.0, 0.0]), np.zeros(4), np.ones(1))
    >>> curve = control_curve(model, (x, labels), mode, class_index=2, fractions=[0.25, 0.75])
    >>> curve.mode.target.value, curve.mode.others.value
    (array([0., 0.]), array([1.        , 0.66666667]))
    >>> float(curve.mode.selectivity.value), curve.off
    (-1.0, '0')
    """
    study = prepared(
        model, data, modes, fractions=fractions, off=off, baseline=baseline, site=site,
        controls=controls, store=store, training=training, activation_modes=activation_modes,
        trials=trials, seed=seed, batch_size=batch_size, output=output, resamples=resamples,
        progress=progress,
    )  # fmt: skip
    return study.curve(class_index, kind, name)


@dataclass(frozen=True)
class Study:
    """Everything of a control curve but the class and the kind; what they share runs once.

    `off` names the value that units are set to. `draws` are those of images for the intervals.
    """

    measure: Measurements
    modes: Modes | Mode
    shares: Float[np.ndarray, " fraction"]
    counts: Int[np.ndarray, " fraction"]
    controls: tuple[Control, ...]
    inputs: RankingInputs | None
    trials: int
    draws: Draws
    off: str
    _planned: dict[tuple[int, ...], _ClassRuns] = field(default_factory=dict, repr=False)

    def classes(self) -> list[int]:
        """The classes that can be controlled: those that the network recognises in some image.

        Where modes are chosen by class, some of their samples must be of the class, too.
        """
        labels, correct = self.measure.labels, self.measure("ablate", []).correct[0]
        found = np.unique(labels[correct])
        if isinstance(self.modes, Modes) and self.modes.labels is not None:
            found = np.intersect1d(found, self.modes.labels)
        return [int(which) for which in found]

    def measure_all(self, classes: Sequence[Members], kind: Kind) -> None:
        """Measure what the curves of many classes need in one sweep, which is then shared.

        What lies before the site runs once for all of them, and not once for each class.
        """
        self.measure(kind, [chosen for one in classes for chosen in self._runs(one).sets])

    def curve(self, class_index: Members, kind: Kind, name: str | None = None) -> ControlCurve:
        """The curve of one class, or of several together; raises as `control_curve` does."""
        if kind not in get_args(Kind):
            raise CodeclensError(f'kind="{kind}" is not known; choose "ablate" or "preserve".')
        members = members_of(class_index)
        measure = self.measure
        sides = Sides(measure.labels, members)
        rankings, rows, sets = self._runs(members)
        found = measure(kind, sets)
        accuracy = sides.measure(found.correct)
        if (accuracy[0] == 0).any():
            which, inside = " and ".join(map(str, members)), np.isin(measure.labels, members)
            images = int((inside if accuracy[0, 0] == 0 else ~inside).sum())
            raise CodeclensError(
                "The undisturbed network recognises "
                f"{'not the only image' if images == 1 else f'none of the {images} images'} of "
                f"{f'class {which}' if accuracy[0, 0] == 0 else 'the other classes'}, "
                "so there is no accuracy to control; check the labels and the preprocessing."
            )
        # One set of draws for both, so that they belong together.
        draws = sides.redraw(np.concatenate([found.correct, found.logit]), self.draws)
        setting = Setting(
            site=measure.site.key,
            kind=kind,
            members=members,
            class_name=_class_name(self.modes, members, name),
            others=sides.others,
            samples=len(measure.labels),
            seed=self.draws.seed,
            units=measure.units,
            fractions=self.shares,
            counts=self.counts,
            off=self.off,
        )
        return compare(
            setting,
            rankings,
            rows,
            Measured(accuracy, draws[:, : len(accuracy)]),
            Measured(sides.measure(found.logit), draws[:, len(accuracy) :]),
        )

    def _runs(self, class_index: Members) -> _ClassRuns:
        """The rankings of a class and the runs that they need, found once."""
        members = members_of(class_index)
        if members not in self._planned:
            Sides(self.measure.labels, members)  # raises for classes that do not occur
            mode = self.modes if isinstance(self.modes, Mode) else mode_of(self.modes, members)
            rankings: list[Ranking] = [ByMode(mode)]
            for ranking in find_controls(self.controls, self.inputs, members):
                rankings.append(ranking)
                require_distinct(rankings)
            orders = [
                ranking.orders(self.measure.units, self.trials, self.draws.seed)
                for ranking in rankings
            ]
            self._planned[members] = _ClassRuns(rankings, *_distinct(orders, self.counts))
        return self._planned[members]


class _ClassRuns(NamedTuple):
    """Rankings, the run of each trial and fraction, and the sets of units of the runs."""

    rankings: list[Ranking]
    rows: list[Int[np.ndarray, "_trial fraction"]]
    sets: list[tuple[int, ...]]


def prepared(
    model: nn.Module,
    data: tuple[Any, Tensor],
    modes: Modes | Mode,
    *,
    fractions: Sequence[float] = FRACTIONS,
    off: Off | None = None,
    baseline: Any = None,
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Any, Tensor] | None = None,
    activation_modes: Modes | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Study:
    """What `control_curve` needs for any class; arguments and errors are the same."""
    if min(trials, batch_size, resamples) < 1:
        raise CodeclensError(
            f"trials (={trials}), batch_size (={batch_size}) and resamples (={resamples}) "
            "must be at least 1."
        )
    if not isinstance(modes, Modes | Mode):
        raise CodeclensError(
            f"modes is a {type(modes).__name__}; pass the modes of one site, such as modes[SITE], "
            "or one mode."
        )
    if store is not None and not isinstance(store, ContributionStore):
        raise CodeclensError(f"store is a {type(store).__name__}; pass ContributionStore(PATH).")
    x, _ = checked(data)
    place = one_site(model, modes.site if site is None else site)
    if off is None:
        off, baseline = default_off(modes, baseline)
    baseline = 0.0 if baseline is None else baseline
    measure = Measurements(
        model, (x, data[1]), place, value=off_value(model, place, x, off, baseline),
        batch_size=batch_size, output=output, progress=progress,
    )  # fmt: skip
    shares = np.array(sorted(set(fractions)), np.float64)
    if not len(shares):
        raise CodeclensError("No fractions were given; pass at least one, such as fractions=[0.1].")
    counts = np.array([share_to_count(share, measure.units) for share in shares])
    inputs = None
    if isinstance(modes, Modes):
        inputs = RankingInputs(
            model,
            modes,
            store,
            (x, data[1]) if training is None else training,
            activation_modes,
            place,
            output,
            seed,
            measured=training is None,
            off=off,
            baseline=baseline,
        )
    wanted = (controls,) if isinstance(controls, str) else tuple(controls)
    draws = Draws(resamples, seed)
    return Study(measure, modes, shares, counts, wanted, inputs, trials, draws, off_name(off))


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


def _class_name(modes: Modes | Mode, members: tuple[int, ...], name: str | None) -> str:
    if name is not None:
        return f'{"class" if len(members) == 1 else "superclass"} "{name}"'
    if isinstance(modes, Mode) or modes.classes is None:
        names = [str(member) for member in members]
    else:
        names = [f'"{modes.classes[member]}"' for member in members]
    return f"{'class' if len(members) == 1 else 'classes'} {', '.join(names)}"
