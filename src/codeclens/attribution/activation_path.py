"""Activation paths: integrated gradients inside a layer, from its baseline activation to x's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.methods import AtInput, Attributed, Explained
from codeclens.attribution.path import RULES, Rule, integrate
from codeclens.attribution.replay import Replay, released
from codeclens.errors import CodeclensError


@dataclass(frozen=True)
class ActivationPath:
    """Integrated gradients in activation space, site by site.

    `C = (a − a0) ⊙ ∫₀¹ ∂T/∂a (a0 + α (a − a0)) dα`, where a and a0 are the site's activations at x
    and at the baseline input. Around a site that is no cut everything else stays as it is at x.
    `steps` segments of equal length; rules as in `Conductance`: with `"secant"` contributions sum
    to T(x) − T(x0) exactly at a cut, with `"trapezoid"`, `"left"` and `"midpoint"` in the limit.
    Only what follows the site runs at each node.

    Raises CodeclensError for an unknown rule and fewer than one step. (METHOD.md §2; Captum's
    LayerIntegratedGradients.)

    >>> from codeclens.attribution import contributions
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 3))
    >>> c = contributions(model, torch.randn(5, 4), sites="0", method=ActivationPath(steps=2))
    >>> bool(c["0"].completeness.abs().max() < 1e-5)
    True
    """

    steps: int = 10
    rule: Rule = "secant"

    complete: ClassVar[bool] = True
    pilot: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            known = ", ".join(f'"{rule}"' for rule in RULES)
            raise CodeclensError(
                f"ActivationPath has no rule {self.rule!r}; the rules are {known}."
            )
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise CodeclensError(
                f"ActivationPath needs at least one step, not steps={self.steps!r}."
            )

    def prepare(self, probe: Probe, x: Tensor, baseline: Tensor) -> ActivationPath:
        return self

    def attribute(self, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput) -> Attributed:
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
                    found = integrate(
                        self.rule,
                        nodes,
                        _Suffix(replay),
                        replay.activation,
                        starts.pop(site.key),
                        lambda _: bounds,
                    )
                uncovered |= found.uncovered
                for total, one in zip(totals, found.explained, strict=True):
                    total.update(one.contributions)
        explained = [Explained(*each) for each in zip(totals, targets, ends, strict=True)]
        return Attributed(explained, uncovered)


class _Suffix(Probe):
    """What follows a site, as a probe of that site whose input is the site's activation."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay.model, [replay.site])
        self._replay = replay

    def __call__(self, x: Tensor) -> Pass:
        with torch.enable_grad():
            activation = x.detach().requires_grad_()
            return Pass(self._replay(activation), {self.sites[0].key: activation})
