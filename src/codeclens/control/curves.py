"""Control curves: what acting on a mode's units does to its class and to all the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import Selector, Site
from codeclens.control.controls import Control, Evidence, find_controls, mode_of, require_apart
from codeclens.control.interventions import Kind, one_site, share_to_count
from codeclens.control.measurements import Measurements, checked
from codeclens.control.rankings import ByMode
from codeclens.control.results import ControlCurve, Measured, Setting, compare
from codeclens.control.sides import Sides
from codeclens.control.sweep import Progress
from codeclens.decomposition import Mode, Modes
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore

FRACTIONS = (0.01, 0.02, 0.05, 0.10, 0.18, 0.25, 0.5, 0.8, 0.99)
TRIALS = 5
Members = int | Sequence[int]


def control_curve(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes | Mode,
    *,
    class_index: Members,
    name: str | None = None,
    fractions: Sequence[float] = FRACTIONS,
    kind: Kind = "ablate",
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Tensor, Tensor] | None = None,
    activation_modes: Modes | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    batch_size: int = 256,
    output: Selector = None,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> ControlCurve:
    """Accuracy and logit of a class and of all others while more and more units are switched off.

    `data` is the images `(N, …)` and their labels `(N,)`, best ones that the modes were not found
    in. `class_index` is a class, or several that form a superclass, which `name` names. The units
    are ranked by the mode that follows the class best (`mode_of`, or the `Mode` that is passed)
    and by every control; those with chance in them run `trials` times. The network runs in
    evaluation mode, once undisturbed and once for each different set of units. `fractions` are
    shares of the site's units, rounded to whole units. `site` says where to act if not at the
    modes' own site.

    `controls=ALL` takes every control of `codeclens.control.CONTROLS`. They are made from the
    samples of `store`, in which the modes were found; "gradient" also takes the `training` images
    and labels, and without them the images of `data` themselves, which favours it.
    `activation_modes` saves finding modes of the activations, by the method of `modes`.

    Intervals are 95 % bootstrap intervals over images, drawn within each class, and over trials;
    the same draws serve all conditions, so comparisons are paired. (Where every image of a class is
    recognised they have no width: drawing the same images again shows no failure.)
    `progress(done, total)` is called after every run of a batch.

    The summary is `selectivity`, METHOD.md §5's `(AUC_target − AUC_others) / AUC_others`: below
    zero where ablation hits the class more than the others, above zero where preservation keeps it
    more. An AUC is the mean height of accuracy, divided by the accuracy before, over the share of
    units really acted on (trapezoid rule, from the smallest share to the largest).

    Raises CodeclensError for labels that do not fit, a class without images or that the network
    never recognises, unknown controls, controls without a store, and fractions outside [0, 1].

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
    study = prepared(
        model, data, modes, fractions=fractions, site=site, controls=controls, store=store,
        training=training, activation_modes=activation_modes, trials=trials, seed=seed,
        batch_size=batch_size, output=output, resamples=resamples, progress=progress,
    )  # fmt: skip
    return study.curve(class_index, kind, name)


@dataclass(frozen=True)
class Study:
    """Everything of a control curve but the class and the kind; what they share runs once."""

    measure: Measurements
    modes: Modes | Mode
    shares: Float[np.ndarray, " fraction"]
    counts: Int[np.ndarray, " fraction"]
    controls: tuple[Control, ...]
    evidence: Evidence | None
    trials: int
    seed: int
    resamples: int

    def classes(self) -> list[int]:
        """The classes that can be controlled: those that the network recognises in some image.

        Of the modes' samples, too, some must be of the class, where modes are chosen by class.
        """
        labels, correct = self.measure.labels, self.measure("ablate", []).correct[0]
        found = np.unique(labels[correct])
        if isinstance(self.modes, Modes) and self.modes.labels is not None:
            found = np.intersect1d(found, self.modes.labels)
        return [int(which) for which in found]

    def curve(self, class_index: Members, kind: Kind, name: str | None = None) -> ControlCurve:
        """The curve of one class, or of several together; raises as `control_curve` does."""
        if kind not in get_args(Kind):
            raise CodeclensError(f'kind="{kind}" is not known; choose "ablate" or "preserve".')
        members = members_of(class_index)
        measure = self.measure
        sides = Sides(measure.labels, members)
        mode = self.modes if isinstance(self.modes, Mode) else mode_of(self.modes, members)
        rankings = [ByMode(mode)]
        for ranking in find_controls(self.controls, self.evidence, members):
            rankings.append(ranking)  # type: ignore[arg-type]
            require_apart(rankings)
        orders = [ranking.orders(measure.units, self.trials, self.seed) for ranking in rankings]
        rows, sets = _distinct(orders, self.counts)
        said = measure(kind, sets)
        accuracy = sides.measure(said.correct)
        if (accuracy[0] == 0).any():
            which = " and ".join(map(str, members))
            raise CodeclensError(
                f"The undisturbed network recognises none of the {len(measure.labels)} images of "
                f"{f'class {which}' if accuracy[0, 0] == 0 else 'the other classes'}, "
                "so there is no accuracy to control; check the labels and the preprocessing."
            )
        # One set of draws for both, so that they belong together.
        draws = sides.redraw(np.concatenate([said.correct, said.logit]), self.resamples, self.seed)
        setting = Setting(
            site=measure.site.key,
            kind=kind,
            members=members,
            class_name=_class_name(self.modes, members, name),
            others=sides.others,
            samples=len(measure.labels),
            seed=self.seed,
            units=measure.units,
            fractions=self.shares,
            counts=self.counts,
        )
        return compare(
            setting,
            rankings,
            rows,
            Measured(accuracy, draws[:, : len(accuracy)]),
            Measured(sides.measure(said.logit), draws[:, len(accuracy) :]),
        )


def prepared(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    modes: Modes | Mode,
    *,
    fractions: Sequence[float] = FRACTIONS,
    site: str | Site | None = None,
    controls: str | Iterable[Control] = ("random",),
    store: ContributionStore | None = None,
    training: tuple[Tensor, Tensor] | None = None,
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
    options: dict[str, Any] = {"batch_size": batch_size, "output": output, "progress": progress}
    measure = Measurements(model, (x, data[1]), place, **options)
    shares = np.array(sorted(set(fractions)), np.float64)
    if not len(shares):
        raise CodeclensError("No fractions were given; pass at least one, such as fractions=[0.1].")
    counts = np.array([share_to_count(share, measure.units) for share in shares])
    evidence = None
    if isinstance(modes, Modes):
        evidence = Evidence(
            model,
            modes,
            store,
            (x, data[1]) if training is None else training,
            activation_modes,
            place,
            output,
            seed,
            measured=training is None,
        )
    wanted = (controls,) if isinstance(controls, str) else tuple(controls)
    return Study(measure, modes, shares, counts, wanted, evidence, trials, seed, resamples)


def members_of(class_index: Members) -> tuple[int, ...]:
    """The classes of one side, each once.

    >>> members_of(3), members_of([5, 2, 5])
    ((3,), (2, 5))
    """
    given: Any = class_index
    members = [given] if isinstance(given, int | np.integer) else given
    numbers = isinstance(members, Iterable) and not isinstance(members, str | bytes)
    if not numbers or any(
        isinstance(one, bool) or not isinstance(one, int | np.integer) for one in members
    ):
        raise CodeclensError(
            f"class_index={class_index!r} is no class; pass its number, or several numbers."
        )
    if isinstance(class_index, int | np.integer):
        return (int(class_index),)
    return tuple(sorted({int(one) for one in class_index}))


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
