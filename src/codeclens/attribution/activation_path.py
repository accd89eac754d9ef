"""Activation paths: integrated gradients inside a layer, from its baseline activation to x's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe, leaf
from codeclens.attribution.inputs import Batch
from codeclens.attribution.methods import AtInput, Attributed, Explained, Method, wide
from codeclens.attribution.path import MOST_STEPS, RULES, Rule, integrate
from codeclens.attribution.replay import Replay, released
from codeclens.attribution.sites import Site
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError, require_number, unknown


@dataclass(frozen=True)
class ActivationPath(Method):
    """Integrated gradients in activation space, site by site.

    `C = (a − a0) ⊙ ∫₀¹ ∂T/∂a (a0 + α (a − a0)) dα`, where a and a0 are the site's activations at x
    and at the baseline input. If the site is not a cut, everything around it stays as it is at x.
    `steps` segments have equal length; rules as in `Conductance`: with `"secant"` contributions sum
    to T(x) − T(x0) exactly at a cut, with `"trapezoid"`, `"left"` and `"midpoint"` in the limit.
    Only the part of the model after the site runs at each node.

    `start` is where on the way from a0 (0) to a (below 1) the mean of the gradient begins.
    `ActivationPath(start=0.5)` takes it over the last half of the way: of the methods measured it
    is the best compromise to predict what happens when single units, and groups of units, return
    to their baseline (docs/faithfulness.md). With a start above 0 contributions have no exact sum.

    Raises CodeclensError for an unknown rule, fewer than one step, and a start outside 0 to 1.
    (method.md §2; Captum's LayerIntegratedGradients.)

    >>> from codeclens.attribution import contributions
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    >>> c = contributions(model, torch.randn(5, 4), sites="0", method=ActivationPath(steps=2))
    >>> bool(c["0"].completeness.abs().max() < 1e-5)
    True
    """

    steps: int = 10
    rule: Rule = "secant"
    start: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown("rule", self.rule, RULES, "ActivationPath has")
        require_number("steps", self.steps, least=1, most=MOST_STEPS, whole=True)
        require_number("start", self.start, least=0, below=1)

    @property
    def complete(self) -> bool:
        """Whether contributions sum to T(x) − T(x0) at a cut: those along the whole way do."""
        return self.start == 0

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        here = probe(x)
        bounds = at_x(here)
        targets = [bound(here.output).detach() for bound in bounds]
        del here
        there = probe(baseline)
        starts = {key: activation.detach() for key, activation in there.activations.items()}
        ends = [bound(there.output).detach() for bound in bounds]
        del there
        nodes = tuple(step / self.steps for step in range(self.steps + 1))
        totals: list[dict[str, Tensor]] = [{} for _ in bounds]
        uncovered: set[str] = set()
        with released(probe) as model:
            for site in probe.sites:
                with Replay(model, site, x, probe.output) as replay:
                    first = starts.pop(site.key)
                    if self.start:
                        first = first.lerp(replay.activation.detach(), self.start)
                    found = integrate(
                        self.rule,
                        nodes,
                        _Suffix(replay),
                        replay.activation,
                        first,
                        lambda _: bounds,
                    )
                uncovered |= found.uncovered
                for total, one in zip(totals, found.explained, strict=True):
                    # The change over a part of the way becomes that over the whole way.
                    for key, value in one.contributions.items():
                        total[key] = value / (1 - self.start) if self.start else value
        explained = [Explained(*each) for each in zip(totals, targets, ends, strict=True)]
        return Attributed(explained, uncovered)


class _Suffix(Probe):
    """The part of a model after a site, as a probe whose input is the site's activation."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay.model, [replay.site])
        self._replay = replay

    def __call__(self, x: Batch) -> Pass:
        assert isinstance(x, Tensor)
        with torch.enable_grad():
            activation = leaf(x)
            return Pass(self._replay(activation), {self.sites[0].key: activation})


@dataclass(frozen=True)
class AblationEffect(Method):
    """The exact effect of each unit: `T(x) − T(x with the unit set to its baseline)`.

    The unit is set at all its positions to its activation at the baseline input (`to="baseline"`)
    or to zero (`to="zero"`); everything else at the site stays as it is at x. The effect
    belongs to the unit as a whole: it is spread evenly over the positions, so that their sum is
    correct, and either the positive or the negative part of a unit is zero. The effects of several
    units do not sum to a meaningful total.

    Each unit needs one forward pass of the part of the model after the site. `batch_size` samples
    run at once, so several units at once if the batch is smaller. Units already at their baseline
    are skipped.

    Raises CodeclensError for another `to` and a batch size below 1. (method.md §2, the ground truth
    for all other methods.)

    >>> from codeclens.attribution import contributions
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> x = torch.ones(1, 2)
    >>> effect = contributions(model, x, sites="1", method=AblationEffect(to="zero"))["1"].net
    >>> without = model[1](model[0](x)) * torch.tensor([0.0, 1.0, 1.0])
    >>> predicted = model(x).argmax()
    >>> bool((model(x) - model[2](without))[0, predicted].isclose(effect[0, 0], atol=1e-6))
    True
    """

    to: Literal["baseline", "zero"] = "baseline"
    batch_size: int = 64

    by_gradients: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.to not in ("baseline", "zero"):
            raise CodeclensError(
                f'AblationEffect has no to={self.to!r}; choose "baseline" or "zero".'
            )
        require_number("batch_size", self.batch_size, least=1, whole=True)

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        with torch.no_grad():
            bounds = at_x(probe(x))
            instead: dict[str, Tensor] = {}
            at_baseline: list[Tensor] | None = None
            if self.to == "baseline":
                there = probe(baseline)
                instead = {key: a.detach() for key, a in there.activations.items()}
                at_baseline = [bound(there.output).detach() for bound in bounds]
            totals: list[dict[str, Tensor]] = [{} for _ in bounds]
            targets: list[Tensor] = []
            with released(probe) as model:
                for site in probe.sites:
                    replay = Replay(model, site, x, probe.output)
                    targets = [bound(replay.output) for bound in bounds]
                    found = self._effects(replay, instead.get(site.key), bounds, targets)
                    for total, effect in zip(totals, found, strict=True):
                        total[site.key] = _spread(site, effect, replay.activation)
        ends = [None] * len(bounds) if at_baseline is None else at_baseline
        return Attributed([Explained(*each) for each in zip(totals, targets, ends, strict=True)])

    def _effects(
        self, replay: Replay, instead: Tensor | None, bounds: Sequence[Bound], here: list[Tensor]
    ) -> list[Tensor]:
        """The effect of every unit `(B, U)` on each target."""
        site, activation = replay.site, replay.activation
        units = site.units(activation)
        others = torch.zeros_like(units) if instead is None else site.units(instead)
        differs = (units != others).any(dim=2)
        found = [torch.zeros_like(differs, dtype=wide(target).dtype) for target in here]
        todo = differs.any(dim=0).nonzero().flatten().tolist()
        count = max(1, self.batch_size // len(activation))
        with replay:
            for start in range(0, len(todo), count):
                chosen = todo[start : start + count]
                edited = units.repeat(len(chosen), 1, 1, 1)
                for copy, unit in zip(edited, chosen, strict=True):
                    copy[:, unit] = others[:, unit]
                output = replay(site.restore(edited.flatten(0, 1), like=activation))
                for effect, bound, target in zip(found, bounds, here, strict=True):
                    for unit, one in zip(chosen, output.split(len(activation)), strict=True):
                        effect[:, unit] = wide(target) - wide(bound(one))
        # If a unit of a sample was at its baseline, only rounding can have changed the target.
        return [effect.masked_fill_(~differs, 0) for effect in found]


def _spread(site: Site, effect: Tensor, activation: Tensor) -> Tensor:
    """The effects `(B, U)` in the layout of the activation, the same at all positions of a unit."""
    positions = site.units(activation).shape[2]
    return site.restore((effect / positions)[:, :, None].expand(-1, -1, positions), activation)
