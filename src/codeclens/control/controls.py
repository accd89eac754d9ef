"""Controls: other ways to choose units for a class, from the samples that modes were found in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from codeclens.attribution import Attributor, Label, Selector
from codeclens.attribution.capture import Probe
from codeclens.attribution.inputs import Batch
from codeclens.attribution.methods import AtInput, Attributed, Explained, gradients_of, wide
from codeclens.control.edits import Frame, Value, one_site
from codeclens.control.off import Off, off_name, off_value
from codeclens.control.units import ranked_units
from codeclens.decomposition import PCA, Mode, Modes, decompose
from codeclens.decomposition.loadings import Loadings
from codeclens.decomposition.quality import indicator_correlation
from codeclens.errors import CodeclensError, unknown
from codeclens.extraction import ContributionStore


@runtime_checkable
class Ranking(Protocol):
    """An order of a site's units, the ones to act on first.

    `name` is how results are filed; `source` says in a few words what the order comes from.
    """

    @property
    def name(self) -> str:
        """A short name, different from those of the other controls of a curve."""
        ...

    @property
    def source(self) -> str:
        """What the order comes from."""
        ...

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        """The units in order, once for each trial; one row for deterministic rankings."""
        ...


@dataclass(frozen=True)
class ByMode:
    """The units by a mode's net entry, the largest first (`ranked_units`).

    With `by="strength"` they are ranked by the larger of both signs (`Mode.top_units`). `called` is
    the name, `mode N` unless given. Raises CodeclensError where the mode has another number of
    units than the site.
    """

    mode: Mode
    called: str = ""
    source: str = "the net entries of the mode that follows the class best"
    by: Literal["net", "strength"] = "net"

    @property
    def name(self) -> str:
        return self.called or f"mode {self.mode.index}"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        if len(self.mode.positive) != units:
            raise CodeclensError(
                f'Mode {self.mode.index} of site "{self.mode.site}" has '
                f"{len(self.mode.positive)} units, but the site to act on has {units}."
            )
        if self.by == "strength":
            return self.mode.top_units(units)[None]
        return ranked_units(self.mode)[None]


@dataclass(frozen=True)
class ByScore:
    """The units by any score `(U,)`: by its magnitude, or with `signed` from the largest down.

    Ties keep the order of the units. Raises CodeclensError where there is not one finite score
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
    """The units in a random order, drawn anew for every trial: the effect of removing any units.

    >>> Random().orders(4, trials=2, seed=0).shape
    (2, 4)
    """

    name: str = "random"
    source: str = "chance"

    def orders(self, units: int, trials: int, seed: int) -> Int[np.ndarray, "trial unit"]:
        random = np.random.default_rng(seed)
        return np.stack([random.permutation(units) for _ in range(trials)])


# Images of a class whose gradients are averaged, and how many at once.
_GRADIENTS, _BATCH = 200, 50


@dataclass(frozen=True)
class RankingInputs:
    """What rankings are computed from: a site's rows of a store, the modes found there, the model.

    `training` are images and labels whose gradients are taken; `activation_modes` saves finding
    modes of the activations, which are otherwise found with the same method as `modes`. `measured`
    says that `training` are the very images that control is measured on. `off` is the value that
    units will be set to, with the `baseline` that it is computed from. Everything is computed when
    a control first needs it, once for all classes.
    """

    model: nn.Module
    modes: Modes
    store: ContributionStore | None = None
    training: tuple[Any, Tensor] | None = None
    activation_modes: Modes | None = None
    site: Any = None
    output: Selector = None
    seed: int = 0
    measured: bool = False
    off: Off = 0.0
    baseline: Any = 0.0
    _products: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def labels(self) -> Int[np.ndarray, " sample"]:
        """The labels of the store's samples, −1 where unknown."""
        return np.asarray(self._store("labels").label)

    @cached_property
    def activation(self) -> Float[np.ndarray, "sample unit"]:
        """The activations of the store's samples."""
        return self._store("activations").view(self.modes.site, "activation")

    @cached_property
    def net(self) -> Float[np.ndarray, "sample unit"]:
        """The net contributions of the store's samples, both signs together."""
        view = self._store("contributions").view(self.modes.site, "sum")
        return np.asarray(view, np.float64)

    @cached_property
    def of_activations(self) -> Modes:
        """The modes of the activations, by the method of `modes` unless they were given."""
        if self.activation_modes is not None:
            return self.activation_modes
        store, site = self._store("activation modes"), self.modes.site
        method = self.modes.method
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
                "so no control can be computed for it."
            )
        return found

    def gradients(self, members: Sequence[int]) -> Float[np.ndarray, " unit"]:
        """Gradient × (activation − off value) of the label's logit, a mean over the class's images.

        Summed over positions; each class has the same weight. This predicts, to first order, what
        switching a unit off removes. Raises CodeclensError without images.
        """
        return np.asarray(np.mean([self.products(one)[0].mean(axis=0) for one in members], axis=0))

    def images(self) -> tuple[Any, Int[np.ndarray, " sample"]]:
        """The training images and their labels; raises CodeclensError where there are none."""
        if self.training is None:
            raise CodeclensError(
                'The control "gradient" needs images of the class; pass training=(images, labels).'
            )
        return self.training[0], np.asarray(self.training[1])

    def products(
        self, which: int
    ) -> tuple[Float[np.ndarray, "sample unit"], Float[np.ndarray, "sample unit"]]:
        """For a class's training images: gradient × (activation − off value), and activations.

        The first is summed over positions, the second a mean over them. Computed once for a class.
        """
        if which not in self._products:
            self._products[which] = self._computed(which)
        product, activation = self._products[which]
        return product, activation

    def _computed(self, which: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        x, labels = self.images()
        rows = np.flatnonzero(labels == which)[:_GRADIENTS]
        if not len(rows):
            raise CodeclensError(f"No training image has the label {which}; pass some.")
        site = one_site(self.model, self.modes.site if self.site is None else self.site)
        # What does not depend on the image is computed once, from all of them.
        fixed = None if self.off == "baseline" else off_value(self.model, site, x, self.off)
        device = next((parameter.device for parameter in self.model.parameters()), x.device)
        net, activation = [], []
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]
            batch, value = x[some].to(device), fixed
            if value is None:
                value = off_value(self.model, site, batch, self.off, self.baseline)
            attributor = Attributor(
                self.model, sites=site, method=GradientFrom(value), target=Label(),
                output=self.output,
            )  # fmt: skip
            (found,) = attributor(batch, torch.from_numpy(labels[some])).values()
            net.append(found.net.double().cpu().numpy())
            activation.append(found.activation.double().cpu().numpy())
        return np.concatenate(net), np.concatenate(activation)

    def _store(self, what: str) -> ContributionStore:
        if self.store is None:
            raise CodeclensError(
                f"Controls by {what} are computed from the samples that the modes were found in; "
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


def by_random(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by chance."""
    return Random()


def by_summed_modes(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the net entries of all modes, weighted by how much more the class loads on each.

    The weight of a mode is its mean loading in the class minus its mean loading overall, so the
    ranking uses the labels of the samples.
    """
    modes = inputs.modes
    following(modes, members)  # raises where the labels are missing
    assert modes.labels is not None
    known = modes.labels >= 0
    member = np.isin(modes.labels, members)
    of_mean = member / member.sum() - known / known.sum()
    weight = Loadings.of(modes.loadings).sums(of_mean)
    source = (
        f"the net entries of all {len(modes)} modes, each weighted by its mean loading in the "
        "class minus that overall (uses labels)"
    )
    return ByScore("summed modes", weight @ modes.weights.astype(np.float64), source, True)


def by_strength(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the strength of the same mode's entries, the larger of both signs."""
    mode = mode_of(inputs.modes, members)
    return ByMode(mode, "strength", f"the larger of both signs in mode {mode.index}", "strength")


def by_activation_mode(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the mode of activations that follows the class best."""
    mode = mode_of(inputs.of_activations, members)
    source = f"mode {mode.index} of the activations, which follows the class best among them"
    return ByMode(mode, "activation modes", source)


def by_best_channels(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the correlation of their activation with the class, the closest first."""
    member = inputs.member(members)
    grouped = np.where(inputs.labels >= 0, member.astype(np.int64), -1)
    found = np.nan_to_num(indicator_correlation(inputs.activation, grouped, 2)[:, 1])
    return ByScore("best channels", found, "the correlation of activations with the class", True)


def by_class_mean(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by their mean net contribution to the class's images."""
    member = inputs.member(members)
    scores = inputs.net[member].mean(axis=0)
    return ByScore("class mean", scores, "mean net contributions to the class", True)


def by_class_contrast(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by how much more they contribute to the class's images than to others."""
    member = inputs.member(members)
    others = ~member & (inputs.labels >= 0)
    scores = inputs.net[member].mean(axis=0)
    if others.any():
        scores = scores - inputs.net[others].mean(axis=0)
    source = "mean net contributions to the class minus those to the others"
    return ByScore("class contrast", scores, source, True)


def by_gradient(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by gradient × (activation − off value) of the class's logit, the largest first."""
    images = "the very images that are measured" if inputs.measured else "its training images"
    value = off_name(inputs.off)
    product = "activation" if value == "0" else f"(activation − {value})"
    source = f"gradient × {product} of the class's logit, mean over {images}"
    return ByScore("gradient", inputs.gradients(members), source, True)


def by_component(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the principal component of contributions that follows the class best."""
    modes = inputs.components
    found = np.nan_to_num(following(modes, members), nan=0.0)
    number = int(np.abs(found).argmax())
    # A component has no sign of its own: it is turned so that it rises with the class.
    columns = modes.dictionary[number].astype(np.float64) * (1 if found[number] >= 0 else -1)
    units = modes.n_units
    scores = columns[:units] - columns[units:] if modes.view == "concat" else columns
    source = f"principal component {number} of the contributions, which follows the class best"
    return ByScore("PCA modes", -scores if modes.view == "negative" else scores, source, True)


@dataclass(frozen=True, eq=False)
class GradientFrom:
    """Gradient × (activation − off value) at x: a method of attribution for one site."""

    off: Value
    complete: ClassVar[bool] = False
    pilot: ClassVar[int] = 0

    def prepare(self, probe: Probe, x: Batch, baseline: Batch) -> GradientFrom:
        """There is nothing to prepare."""
        return self

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        """The contributions of a batch."""
        here = probe(x)
        targets = [bound(here.output) for bound in at_x(here)]
        explained = []
        for target, found in zip(targets, gradients_of(targets, here.activations), strict=True):
            total = {}
            for site in probe.sites:
                activation, gradient = here.activations[site.key].detach(), found[site.key]
                frame = Frame(site, wide(activation))
                departure = frame.values - frame.fit("off", self.off)
                product = departure * site.units(wide(gradient))
                total[site.key] = site.restore(product, like=activation)
            explained.append(Explained(total, target.detach(), None))
        return Attributed(explained)


Maker = Callable[[RankingInputs, Sequence[int]], Ranking]
Control = str | Ranking | Maker

CONTROLS: dict[str, Maker] = {
    "random": by_random,
    "activation modes": by_activation_mode,
    "best channels": by_best_channels,
    "class mean": by_class_mean,
    "class contrast": by_class_contrast,
    "gradient": by_gradient,
    "PCA modes": by_component,
    "strength": by_strength,
    "summed modes": by_summed_modes,
}
ALL = tuple(CONTROLS)


def find_controls(
    controls: str | Iterable[Control], inputs: RankingInputs | None, members: Sequence[int]
) -> list[Ranking]:
    """The rankings that names, `Ranking` objects and functions that make them mean for a class.

    Raises CodeclensError for an unknown name, where a control needs what `inputs` lacks, and
    where two have the same name.

    >>> [control.name for control in find_controls(["random"], None, [0])]
    ['random']
    """
    found: list[Ranking] = []
    for control in [controls] if isinstance(controls, str) else controls:
        ranking = _made(control, inputs, members)
        require_distinct([*found, ranking])
        found.append(ranking)
    return found


def require_distinct(rankings: Sequence[Ranking]) -> None:
    """Raise CodeclensError where the last of the rankings has the name of another."""
    *before, last = rankings
    if last.name in {other.name for other in before}:
        raise CodeclensError(f'Two rankings are called "{last.name}"; give them different names.')


def _made(control: Any, inputs: RankingInputs | None, members: Sequence[int]) -> Ranking:
    if isinstance(control, Ranking):
        return control
    if isinstance(control, str):
        if control not in CONTROLS:
            raise unknown("control", control, CONTROLS)
        if control == "random":
            return Random()
        control = CONTROLS[control]
    if not callable(control):
        raise CodeclensError(
            f"A control is a name, a Ranking or a function that makes one, not a "
            f"{type(control).__name__}."
        )
    if inputs is None:
        raise CodeclensError(
            "Controls are computed from the modes of a site and their samples, but a single mode "
            'was given; pass the Modes, or controls=[] or ["random"].'
        )
    made: Ranking = control(inputs, members)
    return made
