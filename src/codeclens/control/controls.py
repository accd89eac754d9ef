"""Controls: the other ways to choose units for a class, made from the same samples as the modes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from codeclens.attribution import ActivationGradient, Attributor, Label, Selector
from codeclens.decomposition import PCA, Mode, Modes, decompose
from codeclens.decomposition.matrices import signed_parts
from codeclens.decomposition.quality import indicator_correlation
from codeclens.errors import CodeclensError
from codeclens.extraction import ContributionStore


@runtime_checkable
class Ranking(Protocol):
    """An order of a site's units, the ones to act on first.

    `name` is how results are filed; `source` says in a few words what the order comes from.
    """

    @property
    def name(self) -> str:
        """A short name, unique among the controls of one curve."""
        ...

    @property
    def source(self) -> str:
        """What the order comes from."""
        ...

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        """The units in order, once for each trial; one row where there is no chance in it."""
        ...


@dataclass(frozen=True)
class ByMode:
    """The units by the strength of a mode's entries (`Mode.top_units`).

    `called` is the name, `mode N` unless given. Raises CodeclensError where the mode has another
    number of units than the site.
    """

    mode: Mode
    called: str = ""
    source: str = "the entries of the mode that follows the class best"

    @property
    def name(self) -> str:
        return self.called or f"mode {self.mode.index}"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        if len(self.mode.positive) != units:
            raise CodeclensError(
                f'Mode {self.mode.index} of site "{self.mode.site}" has '
                f"{len(self.mode.positive)} units, but the site to act on has {units}."
            )
        return self.mode.top_units(units)[None]


@dataclass(frozen=True)
class ByScore:
    """The units by any score `(U,)`: by its magnitude, or from the largest down where `signed`.

    Equal units come in their own order. Raises CodeclensError where there is not one finite score
    for each unit.

    >>> scores = np.array([0.1, -3.0, 2.0])
    >>> ByScore("mean contribution", scores).orders(3, trials=1, seed=0)
    array([[1, 2, 0]])
    >>> ByScore("mean contribution", scores, signed=True).orders(3, trials=1, seed=0)
    array([[2, 0, 1]])
    """

    name: str
    scores: Num[np.ndarray, " unit"]
    source: str = "scores that were given"
    signed: bool = False

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        scores = np.asarray(self.scores)
        if scores.shape != (units,) or not np.isfinite(scores).all():
            raise CodeclensError(
                f'The scores of control "{self.name}" have shape {scores.shape}; they must be one '
                f"finite number for each of the {units} units."
            )
        return np.argsort(-scores if self.signed else -np.abs(scores), kind="stable")[None]


@dataclass(frozen=True)
class Random:
    """The units in an order drawn anew for every trial: what removing anything at all does.

    >>> Random().orders(4, trials=2, seed=0).shape
    (2, 4)
    """

    name: str = "random"
    source: str = "chance"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        random = np.random.default_rng(seed)
        return np.stack([random.permutation(units) for _ in range(trials)])


# Modes that follow a class more closely than this are its modes (method.md §5).
FOLLOWING = 0.2
# Images of a class whose gradients are averaged, and how many at once.
_GRADIENTS, _BATCH = 200, 50


@dataclass(frozen=True)
class Evidence:
    """What rankings are made from: a site's rows of a store, the modes found there, the model.

    `training` are images and labels whose gradients are taken; `activation_modes` saves finding
    modes of the activations, which are otherwise found with the same method as `modes`. `measured`
    says that `training` are the very images that control is measured on. Nothing is read or
    computed before a control asks for it, and then once for all classes.
    """

    model: nn.Module
    modes: Modes
    store: ContributionStore | None = None
    training: tuple[Tensor, Tensor] | None = None
    activation_modes: Modes | None = None
    site: Any = None
    output: Selector = None
    seed: int = 0
    measured: bool = False

    @cached_property
    def labels(self) -> Int[np.ndarray, " sample"]:
        """The labels of the store's samples, −1 where they are not known."""
        return np.asarray(self._store("labels").label)

    @cached_property
    def activation(self) -> Float[np.ndarray, "sample unit"]:
        """The activations of the store's samples."""
        return self._store("activations").view(self.modes.site, "activation")

    @cached_property
    def signed(self) -> tuple[Float[np.ndarray, "sample unit"], Float[np.ndarray, "sample unit"]]:
        """Positive and negative contributions of the store's samples."""
        store, site = self._store("contributions"), self.modes.site
        return store.view(site, "positive"), store.view(site, "negative")

    @cached_property
    def of_activations(self) -> Modes:
        """The modes of the activations, by the method of `modes` unless they were given."""
        if self.activation_modes is not None:
            return self.activation_modes
        store, site = self._store("activation modes"), self.modes.site
        method = self.modes.method.clone()
        return decompose(store, method, sites=[site], view="activation", seed=self.seed)[site]

    @cached_property
    def components(self) -> Modes:
        """The principal components of the contributions, in the view of `modes`, as many as they.

        There are no more than columns, and no more than half as many as samples.
        """
        store, site = self._store("PCA modes"), self.modes.site
        columns = self.modes.dictionary.shape[1]
        count = max(1, min(len(self.modes), columns, len(store.label) // 2))
        method = PCA(n_modes=count)
        return decompose(store, method, sites=[site], view=self.modes.view, seed=self.seed)[site]

    def member(self, members: Sequence[int]) -> Bool[np.ndarray, " sample"]:
        """Which samples of the store are of these classes; raises CodeclensError where none is."""
        found = np.isin(self.labels, members)
        if not found.any():
            raise CodeclensError(
                f"The store has no sample of class {', '.join(map(str, members))}, "
                "so no control can be made for it."
            )
        return found

    def gradients(self, members: Sequence[int]) -> Float[np.ndarray, " unit"]:
        """Gradient × activation of the label's logit, summed over positions, mean over the class.

        Each class has the same weight. Raises CodeclensError without images.
        """
        if self.training is None:
            raise CodeclensError(
                'The control "gradient" needs images of the class; pass training=(images, labels).'
            )
        x, labels = self.training[0], np.asarray(self.training[1])
        attributor = Attributor(
            self.model,
            sites=self.modes.site if self.site is None else self.site,
            method=ActivationGradient(),
            target=Label(),
            output=self.output,
        )
        device = next((parameter.device for parameter in self.model.parameters()), x.device)
        means = []
        for which in members:
            rows = np.flatnonzero(labels == which)[:_GRADIENTS]
            if not len(rows):
                raise CodeclensError(f"No training image has the label {which}; pass some.")
            sums: Any = 0.0
            for start in range(0, len(rows), _BATCH):
                some = rows[start : start + _BATCH]
                batch = x[some].to(device)
                (of_site,) = attributor(batch, torch.from_numpy(labels[some])).values()
                sums = sums + of_site.net.sum(dim=0).double().cpu().numpy()
            means.append(sums / len(rows))
        return np.asarray(np.mean(means, axis=0))

    def _store(self, what: str) -> ContributionStore:
        if self.store is None:
            raise CodeclensError(
                f"Controls by {what} are made from the samples that the modes were found in; "
                "pass store=…, the store of contributions."
            )
        return self.store


def following(modes: Modes, members: Sequence[int]) -> Float[np.ndarray, " mode"]:
    """The correlation of every mode's loadings with a class, or with any of several, `(K,)`.

    Raises CodeclensError as `Modes.for_class` does.
    """
    if len(members) == 1:
        modes.for_class(int(members[0]))  # says what is wrong with a class
        return modes.class_correlation()[:, int(members[0])]
    for which in members:
        modes.for_class(int(which))
    assert modes.labels is not None
    known = modes.labels >= 0
    grouped = np.where(known, np.isin(modes.labels, members).astype(np.int64), -1)
    return indicator_correlation(modes.loadings, grouped, 2)[:, 1]


def mode_of(modes: Modes, members: Sequence[int]) -> Mode:
    """The mode whose loadings correlate best with a class, or with the union of several.

    Raises CodeclensError as `Modes.for_class` does, and where no mode varies with them.
    """
    found = following(modes, members)
    if np.isnan(found).all():
        raise CodeclensError(
            f'No mode of "{modes.site}" can be correlated with the classes '
            f"{', '.join(map(str, members))} together; choose fewer of them."
        )
    return modes[int(np.nanargmax(found))]


def by_random(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by chance."""
    return Random()


def by_summed_modes(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by the sum of all modes that follow the class above 0.2, or else the best alone."""
    found = np.nan_to_num(following(evidence.modes, members), nan=-1.0)
    chosen = np.flatnonzero(found > FOLLOWING)
    chosen = chosen if len(chosen) else np.array([found.argmax()])
    strength = _strength(
        evidence.modes.positive[chosen].sum(axis=0), evidence.modes.negative[chosen].sum(axis=0)
    )
    source = f"the sum of the {len(chosen)} modes that follow the class above {FOLLOWING:g}"
    return ByScore("summed modes", strength, source)


def by_net_mode(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by the net weights of the same mode, the largest first: those that speak for it."""
    mode = mode_of(evidence.modes, members)
    source = f"the net weights of mode {mode.index}, from the largest down"
    return ByScore("net weights", np.asarray(mode.weights, np.float64), source, True)


def by_activation_mode(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by the mode of activations that follows the class best."""
    mode = mode_of(evidence.of_activations, members)
    source = f"mode {mode.index} of the activations, which follows the class best among theirs"
    return ByMode(mode, "activation modes", source)


def by_best_channels(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by how their activation correlates with the class, the closest first."""
    member = evidence.member(members)
    grouped = np.where(evidence.labels >= 0, member.astype(np.int64), -1)
    found = np.nan_to_num(indicator_correlation(evidence.activation, grouped, 2)[:, 1])
    return ByScore("best channels", found, "the correlation of activations with the class", True)


def by_class_mean(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by their mean contribution to the class's images, the larger of both signs."""
    member = evidence.member(members)
    positive, negative = (part[member].mean(axis=0) for part in evidence.signed)
    return ByScore("class mean", _strength(positive, negative), "mean contributions of the class")


def by_class_contrast(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by how much more they contribute to the class's images than to others."""
    member = evidence.member(members)
    others = ~member & (evidence.labels >= 0)
    net = evidence.signed[0] + evidence.signed[1]
    scores = net[member].mean(axis=0) - (net[others].mean(axis=0) if others.any() else 0.0)
    source = "mean contributions of the class less those of the others"
    return ByScore("class contrast", np.asarray(scores, np.float64), source, True)


def by_gradient(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by the mean of gradient × activation of the class's logit, the largest first."""
    images = "the very images that are measured" if evidence.measured else "its training images"
    source = f"gradient × activation of the class's logit, mean over {images}"
    return ByScore("gradient", evidence.gradients(members), source, True)


def by_component(evidence: Evidence, members: Sequence[int]) -> Ranking:
    """Units by the principal component of contributions that follows the class best."""
    modes = evidence.components
    # A component has no sign of its own.
    found = np.nan_to_num(np.abs(following(modes, members)), nan=-1.0)
    number = int(found.argmax())
    positive, negative = signed_parts(modes.dictionary[number][None], modes.view)
    source = f"principal component {number} of the contributions, which follows the class best"
    return ByMode(replace(modes[number], positive=positive[0], negative=negative[0]),
                  "PCA modes", source)  # fmt: skip


Maker = Callable[[Evidence, Sequence[int]], Ranking]
Control = str | Ranking | Maker

CONTROLS: dict[str, Maker] = {
    "random": by_random,
    "activation modes": by_activation_mode,
    "best channels": by_best_channels,
    "class mean": by_class_mean,
    "class contrast": by_class_contrast,
    "gradient": by_gradient,
    "PCA modes": by_component,
    "net weights": by_net_mode,
    "summed modes": by_summed_modes,
}
ALL = tuple(CONTROLS)


def find_controls(
    controls: str | Iterable[Control], evidence: Evidence | None, members: Sequence[int]
) -> list[Ranking]:
    """The rankings that names, `Ranking` objects and functions that make them mean for a class.

    Raises CodeclensError for an unknown name, where a control needs what `evidence` lacks, and
    where two have the same name.

    >>> [control.name for control in find_controls(["random"], None, [0])]
    ['random']
    """
    found: list[Ranking] = []
    for control in [controls] if isinstance(controls, str) else controls:
        ranking = _made(control, evidence, members)
        require_apart([*found, ranking])
        found.append(ranking)
    return found


def require_apart(rankings: Sequence[Ranking]) -> None:
    """Raise CodeclensError where the last of the rankings is called as one before."""
    *before, last = rankings
    if last.name in {other.name for other in before}:
        raise CodeclensError(f'Two rankings are called "{last.name}"; name them apart.')


def _made(control: Any, evidence: Evidence | None, members: Sequence[int]) -> Ranking:
    if isinstance(control, Ranking):
        return control
    if isinstance(control, str):
        if control not in CONTROLS:
            known = ", ".join(f'"{name}"' for name in CONTROLS)
            raise CodeclensError(
                f'There is no control "{control}"; known are {known}, '
                "and any Ranking, such as ByScore(name, scores)."
            )
        if control == "random":
            return Random()
        control = CONTROLS[control]
    if not callable(control):
        raise CodeclensError(
            f"A control is a name, a Ranking or a function that makes one, not a "
            f"{type(control).__name__}."
        )
    if evidence is None:
        raise CodeclensError(
            "Controls are made from the modes of a site and their samples, and a single mode was "
            'given; pass the Modes, or controls=[] or ["random"].'
        )
    made: Ranking = control(evidence, members)
    return made


def _strength(
    positive: Float[np.ndarray, " unit"], negative: Float[np.ndarray, " unit"]
) -> Float[np.ndarray, " unit"]:
    """The larger of both signs, as modes are ranked."""
    return np.asarray(np.maximum(positive, -negative), np.float64)
