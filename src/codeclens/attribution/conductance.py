"""Conductance: integrated gradients along the input path, at hidden units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.inputs import Batch
from codeclens.attribution.methods import AtInput, Attributed, Method
from codeclens.attribution.path import (
    MOST_STEPS,
    RULES,
    SCHEDULES,
    Alphas,
    Geometric,
    Nodes,
    Rule,
    Schedule,
    are_given,
    integrate,
    require_ascending,
)
from codeclens.attribution.sites import Site
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError, require_number, unknown


@dataclass(frozen=True)
class Conductance(Method):
    """Integrated gradients along the input path, at hidden units (layer conductance).

    `C = ∫₀¹ ∂T/∂a (x(α)) ⊙ da(x(α))/dα dα` with `x(α) = x0 + α (x − x0)`, over `steps` segments.
    Rules, with a and g = ∂T/∂a at the nodes s:

    - `"secant"` (default): gradients by secant propagation; sums at a cut are exact.
    - `"trapezoid"`: `Σ ½ (g_s + g_{s+1}) ⊙ (a_{s+1} − a_s)`, as published.
    - `"left"`: `Σ g_s ⊙ (a_{s+1} − a_s)`. `"midpoint"`: g halfway between the nodes.

    `nodes` places the ends of the segments: `"arc"` (default; by arc length in hidden space,
    from forward passes of a few samples), `"uniform"` (as published), `"power"`, `"geometric"`, an
    object of `codeclens.attribution.path`, or the nodes themselves. With a `tolerance` the steps of
    each sample are doubled until its contributions change by less than that share (L2 norm over
    units, at the worst site), up to `max_steps`. The last change is kept as the estimate of the
    error; the error itself is smaller. One node is in memory at a time.

    There are 20 steps by default. Given nodes determine the steps, one per segment; with a
    tolerance they are the finest nodes, and the first round takes `steps` of them (by default a
    quarter).

    Raises CodeclensError for an unknown rule or schedule, fewer than one step, nodes that do not
    ascend, steps that contradict given nodes, and a tolerance without room to double the steps.
    (arXiv 2603.06557 with `Conductance(10, "trapezoid", "uniform")`.)

    >>> Conductance(10, "trapezoid", "uniform").complete
    True
    >>> Conductance(nodes=[0, 0.1, 1]).steps
    2
    """

    # None means: as the nodes say, or 20. After construction it is a number.
    steps: int = None  # type: ignore[assignment]
    rule: Rule = "secant"
    nodes: Schedule | Nodes | Sequence[float] | Tensor = "arc"
    tolerance: float | None = None
    max_steps: int = 320

    complete: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise unknown("rule", self.rule, RULES, "Conductance has")
        if isinstance(self.nodes, str) and self.nodes not in SCHEDULES:
            raise unknown("schedule", self.nodes, SCHEDULES)
        steps: Any = self.steps
        given = steps is not None
        for name in ("steps", "max_steps"):
            value: Any = getattr(self, name)
            if value is None and name == "steps":
                continue
            require_number(name, value, least=1, most=MOST_STEPS, whole=True)
            object.__setattr__(self, name, int(value))
        if self.tolerance is not None:
            require_number("tolerance", self.tolerance, above=0, hint="for example 0.05")
        nodes: Any = self.nodes
        if are_given(nodes):
            self._use(require_ascending(nodes), given)
        elif isinstance(nodes, type) or not isinstance(nodes, str | Nodes):
            raise CodeclensError(
                f'{nodes!r} does not place nodes; pass "arc", Geometric() or the nodes themselves.'
            )
        elif not given:
            object.__setattr__(self, "steps", 20)
        if self.tolerance is not None and not are_given(self.nodes) and self._most == self.steps:
            raise CodeclensError(
                f"A tolerance needs room to double {self.steps} steps, but max_steps is "
                f"{self.max_steps}; set it to {2 * self.steps} or more, or begin with fewer steps."
            )

    def _use(self, alphas: Alphas, given: bool) -> None:
        """Set the given nodes, and the steps that they determine."""
        object.__setattr__(self, "nodes", alphas)
        segments = len(alphas) - 1
        if not given:
            steps = segments if self.tolerance is None else max(1, segments // 4)
            object.__setattr__(self, "steps", steps)
        if self.tolerance is None and self.steps != segments:
            raise CodeclensError(
                f"steps={self.steps} contradicts the given nodes, which make {segments} "
                f"segments; leave out steps."
            )
        if self.tolerance is not None and 2 * self.steps > segments:
            raise CodeclensError(
                f"A tolerance needs room to double {self.steps} steps, but the given nodes make "
                f"{segments} segments; give more nodes or begin with fewer steps."
            )

    @property
    def pilot(self) -> int:
        """The number of samples that `prepare` needs to place the nodes, 0 for none."""
        return 0 if are_given(self.nodes) else self._schedule.pilot

    @property
    def _schedule(self) -> Nodes:
        return SCHEDULES[self.nodes] if isinstance(self.nodes, str) else self.nodes  # type: ignore

    def prepare(self, probe: Probe, x: Batch, baseline: Batch) -> Conductance:
        """The same method with its nodes placed, if necessary by forward passes of samples `x`."""
        if are_given(self.nodes):
            return self
        schedule, most = self._schedule, self._most
        if not isinstance(schedule, Geometric):
            return replace(self, nodes=schedule.place(most, probe, x, baseline))
        alphas = schedule.place(self.steps, probe, x, baseline)
        while len(alphas) <= most:
            alphas = schedule.doubled(alphas)
        return replace(self, nodes=alphas)

    @property
    def _most(self) -> int:
        """The steps after all doublings that `max_steps` allows."""
        most = self.steps
        while self.tolerance is not None and 2 * most <= self.max_steps:
            most *= 2
        return most

    def attribute(self, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput) -> Attributed:
        ready = self.prepare(probe, x, baseline)
        alphas: Alphas = ready.nodes  # type: ignore[assignment]
        if self.tolerance is None:
            return integrate(self.rule, alphas, probe, x, baseline, at_x)
        return ready._refine(alphas, self.tolerance, probe, x, baseline, at_x)

    def _refine(
        self,
        alphas: Alphas,
        tolerance: float,
        probe: Probe,
        x: Batch,
        baseline: Batch,
        at_x: AtInput,
    ) -> Attributed:
        """Double the steps of those samples whose contributions still change."""
        stride = max(1, (len(alphas) - 1) // self.steps)
        fixed: list[Bound] = []

        def remembered(here: Pass) -> list[Bound]:
            # In place: a walk may begin again.
            fixed[:] = at_x(here)
            return fixed

        coarse = _every(alphas, stride)
        best = integrate(self.rule, coarse, probe, x, baseline, remembered)
        rows = torch.arange(len(x), device=x.device)
        steps = torch.full((len(x),), len(coarse) - 1, device=x.device)
        estimate = torch.full((len(x),), torch.inf, device=x.device)
        while stride > 1 and len(rows):
            stride //= 2
            bounds = [_for_rows(bound, rows, len(x)) for bound in fixed]
            fine = _every(alphas, stride)
            finer = integrate(self.rule, fine, probe, x[rows], baseline[rows], _already(bounds))
            change = _replace(best, finer, rows, probe.sites)
            estimate[rows], steps[rows] = change.to(estimate), len(fine) - 1
            best.uncovered.update(finer.uncovered)
            rows = rows[change > tolerance]
        return replace(best, steps=steps, estimate=estimate)


def _replace(best: Attributed, finer: Attributed, rows: Tensor, sites: list[Site]) -> Tensor:
    """Replace the contributions of some samples by finer ones; returns their relative change."""
    worst = torch.zeros(len(rows), device=rows.device)
    for old, new in zip(best.explained, finer.explained, strict=True):
        for site in sites:
            if (after := new.contributions.get(site.key)) is None:
                # No sample reaches the site.
                continue
            none = after.new_zeros(len(old.target), *after.shape[1:])
            before = old.contributions.setdefault(site.key, none)
            units = site.units(after).sum(dim=2)
            moved = (units - site.units(before[rows]).sum(dim=2)).norm(dim=1)
            # Where all contributions are zero there is no error.
            worst = torch.maximum(worst, (moved / units.norm(dim=1)).nan_to_num_(0.0))
            before[rows] = after
    return worst


def _every(alphas: Alphas, stride: int) -> Alphas:
    """Every `stride`-th node, and always the last: a path that stops before x sums to less."""
    return (*alphas[:-1:stride], alphas[-1])


def _for_rows(bound: Bound, rows: Tensor, count: int) -> Bound:
    """A target that was fixed for a whole batch, restricted to some of its samples."""

    def value(output: Tensor) -> Tensor:
        whole = output.new_zeros(count, *output.shape[1:]).index_copy(0, rows, output)
        return bound(whole)[rows]

    return value


def _already(bounds: list[Bound]) -> AtInput:
    return lambda _: bounds
