"""The integral along a path of inputs: where its nodes lie, and the rules that sum over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from codeclens.attribution.capture import Pass, Probe
from codeclens.attribution.inputs import Batch, between
from codeclens.attribution.methods import AtInput, Attributed, Explained, gradients_of, wide
from codeclens.attribution.secant import SecantMode, unseen
from codeclens.attribution.targets import Bound
from codeclens.errors import CodeclensError, require_number

Alphas = tuple[float, ...]
AnyWalk = TypeVar("AnyWalk", bound="Walk")
Schedule = Literal["uniform", "power", "geometric", "arc"]


# More steps than anybody waits for; their nodes alone would fill the memory.
MOST_STEPS = 1_000_000


@runtime_checkable
class Nodes(Protocol):
    """Places `steps + 1` ascending nodes between 0 (the baseline) and 1 (the input).

    `pilot` is the number of samples that it needs to see, 0 for none.
    """

    @property
    def pilot(self) -> int: ...

    def place(self, steps: int, probe: Probe, x: Batch, baseline: Batch) -> Alphas:
        """Place the nodes, if necessary by forward passes of the pilot samples `x` `(B, …)`."""
        ...


def _require_start(start: float) -> None:
    hint = "0 is the baseline and 1 the input, a start is for example 0.005"
    require_number("start", start, above=0, below=1, hint=hint)


@dataclass(frozen=True)
class Power:
    """Nodes `α = (s / S)^p`: uniform for p = 1 (as published), denser near the baseline for p > 1.

    Raises CodeclensError unless p is a number above 0.
    """

    p: float = 3.0
    pilot: ClassVar[int] = 0

    def __post_init__(self) -> None:
        require_number("p", self.p, above=0, hint="for example 3")

    def place(self, steps: int, probe: Probe, x: Batch, baseline: Batch) -> Alphas:
        return tuple((s / steps) ** self.p for s in range(steps + 1))


@dataclass(frozen=True)
class Geometric:
    """Nodes in equal ratios from `start` to 1, and 0: for networks with batch norm.

    With up to 20 steps the first ends at `start`; with more, a twentieth of them divide the range
    from 0 to `start` evenly. Each time a tolerance doubles the steps, the first node moves to a
    third: otherwise the first segment would stay the same, and its error would not be noticed.

    Raises CodeclensError unless `start` is between 0 and 1.
    """

    start: float = 0.005
    pilot: ClassVar[int] = 0

    def __post_init__(self) -> None:
        _require_start(self.start)

    def place(self, steps: int, probe: Probe, x: Batch, baseline: Batch) -> Alphas:
        if steps == 1:
            return (0.0, 1.0)
        # The share of the nodes below the start.
        low = 1 / min(steps, 20)
        shares = [s / steps for s in range(1, steps)]
        inner = [
            self.start * share / low if share < low else self.start ** ((1 - share) / (1 - low))
            for share in shares
        ]
        return (0.0, *inner, 1.0)

    def doubled(self, nodes: Alphas) -> Alphas:
        """Twice the steps: a node in every segment, between 0 and the first one at a third."""
        middles = [(a * b) ** 0.5 if a else b / 3 for a, b in pairwise(nodes)]
        pairs = zip(nodes, middles, strict=False)
        return (*(alpha for pair in pairs for alpha in pair), nodes[-1])


@dataclass(frozen=True)
class ArcLength:
    """Nodes by arc length in hidden space, averaged over the sites and a few samples.

    The relative lengths `‖a(α_{j+1}) − a(α_j)‖ / ‖a‖` along a fine geometric grid of α are summed
    over the sites, from forward passes only; their quantiles are the nodes. A trained network
    changes on a logarithmic scale of contrast, so most nodes lie near the baseline. Place the nodes
    once, with a few samples of a data set, and use them for all of it.

    The density of nodes is the length per logarithm of α to the power of `crowding`: 1 places them
    at equal arc length; more moves them to where the network changes fastest and a step has the
    largest error (docs/accuracy.md). Raises CodeclensError for a pilot without samples, a grid of
    fewer than two nodes, and a `start` that is not between 0 and 1.
    """

    pilot: int = 2
    grid: int = 32
    start: float = 0.001
    crowding: float = 1.3

    def __post_init__(self) -> None:
        require_number("pilot", self.pilot, least=1, whole=True)
        require_number("grid", self.grid, least=2, whole=True)
        _require_start(self.start)
        require_number("crowding", self.crowding, above=0)

    def place(self, steps: int, probe: Probe, x: Batch, baseline: Batch) -> Alphas:
        x, baseline = x[: self.pilot], baseline[: self.pilot]
        alphas = [
            0.0,
            *torch.logspace(
                torch.tensor(self.start, dtype=torch.float64).log10().item(), 0, self.grid
            ).tolist(),
        ]
        lengths = torch.zeros(self.grid, dtype=torch.float64)
        before: dict[str, Tensor] = {}
        for number, alpha in enumerate(alphas):
            now = probe.look(between(baseline, x, alpha))
            for key, activation in now.items():
                if key in before:
                    lengths[number - 1] += _relative_length(before[key], activation)
            before = now
        along = torch.cat([lengths.new_zeros(1), self._crowded(lengths, alphas).cumsum(0)])
        if not along[-1] > 0:
            # No activation changes at any site: all nodes are equally good.
            return Power(1).place(steps, probe, x, baseline)
        wanted = torch.linspace(0, 1, steps + 1, dtype=torch.float64) * along[-1]
        inner = _interpolate(wanted[1:-1], along, torch.tensor(alphas, dtype=torch.float64))
        return (0.0, *inner.tolist(), 1.0)

    def _crowded(self, lengths: Tensor, alphas: list[float]) -> Tensor:
        # The first interval starts at contrast 0 and has no ratio; it counts as a doubling.
        above = torch.tensor([alphas[1] / 2, *alphas[1:]], dtype=torch.float64).log().diff()
        return above * (lengths / above) ** self.crowding


SCHEDULES: dict[str, Nodes] = {
    "uniform": Power(1),
    "power": Power(),
    "geometric": Geometric(),
    "arc": ArcLength(),
}


def are_given(nodes: object) -> bool:
    """Whether nodes are the numbers themselves: a sequence, a tensor or an array of them."""
    return not isinstance(nodes, str) and (
        isinstance(nodes, Sequence) or hasattr(nodes, "__array__")
    )


def require_ascending(nodes: Any) -> Alphas:
    """Given nodes as a tuple; raises CodeclensError unless they ascend within [0, 1]."""
    try:
        alphas = tuple(float(alpha) for alpha in nodes)
    except (TypeError, ValueError):
        raise CodeclensError(f"Nodes must be numbers from 0 to 1, not {nodes!r}.") from None
    ascending = all(a < b for a, b in pairwise(alphas))
    if len(alphas) < 2 or not ascending or alphas[0] < 0 or alphas[-1] > 1:
        raise CodeclensError(
            "Nodes must be two or more numbers that ascend from 0 (baseline) to 1 (input), "
            f"not {alphas}."
        )
    return alphas


def _relative_length(before: Tensor, now: Tensor) -> float:
    step = (now - before).flatten(1).norm(dim=1)
    size = (now.flatten(1).norm(dim=1) + before.flatten(1).norm(dim=1)) / 2
    return float((step / size.masked_fill(size == 0, 1)).double().mean())


def _interpolate(at: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Linear interpolation of y over ascending x; of equal x the last counts."""
    high = torch.searchsorted(x, at, right=False).clamp(1, len(x) - 1)
    width = x[high] - x[high - 1]
    share = (at - x[high - 1]) / width.masked_fill(width == 0, 1)
    return y[high - 1] + share * (y[high] - y[high - 1])


Rule = Literal["secant", "trapezoid", "left", "midpoint"]


def integrate(
    rule: Rule, alphas: Alphas, probe: Probe, x: Batch, baseline: Batch, at_x: AtInput
) -> Attributed:
    """The contributions along a path, by a rule."""
    walk, target, baseline_target = follow(lambda: RULES[rule](probe, at_x), alphas, x, baseline)
    explained = [
        Explained(*each) for each in zip(walk.totals, target, baseline_target, strict=True)
    ]
    return Attributed(explained, walk.uncovered)


def follow(
    begin: Callable[[], AnyWalk], alphas: Alphas, x: Batch, baseline: Batch
) -> tuple[AnyWalk, list[Tensor], list[Tensor]]:
    """Walk from x back to the baseline: the first forward, at x, fixes the targets.

    Returns the walk, and every target at x and at the baseline, `(B,)` each. Where the model cannot
    run with entries in place that it did not choose, the walk begins again without them.
    """
    walk = begin()
    try:
        return walk, *_ends(walk, alphas, x, baseline)
    except _OtherEntriesError:
        walk = begin()
        walk.only_chosen()
        return walk, *_ends(walk, alphas, x, baseline)


class _OtherEntriesError(Exception):
    """Entries that a model did not choose have changed what it gives."""


def _ends(
    walk: Walk, alphas: Alphas, x: Batch, baseline: Batch
) -> tuple[list[Tensor], list[Tensor]]:
    ends: dict[float, list[Tensor]] = {}
    if alphas[-1] < 1:
        ends[1.0] = walk.look(x)
    for alpha in reversed(alphas):
        targets = walk.visit(_node(baseline, x, alpha))
        if alpha in (0.0, 1.0):
            ends[alpha] = targets
    if 0.0 not in ends:
        ends[0.0] = walk.look(baseline)
    return ends[1.0], ends[0.0]


class Walk:
    """Accumulates contributions along the path, one node in memory, from x to the baseline."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        self.totals: list[dict[str, Tensor]] = []
        self.uncovered: set[str] = set()
        self._probe = probe
        self._at_x = at_x
        self._bounds: list[Bound] = []
        self._activations: dict[str, Tensor] = {}
        self._gradients: dict[tuple[int, str], Tensor] = {}

    def only_chosen(self) -> None:
        """Compute no entries that the model does not choose."""

    def look(self, x: Batch) -> list[Tensor]:
        """The targets at an end of the path that is not a node."""
        return [target.detach() for target in self._targets(self._probe(x))]

    def visit(self, x: Batch) -> list[Tensor]:
        """Add the segment between this node and the one visited before, nearer to the input."""
        here = self._probe(x)
        targets = self._targets(here)
        self._add_all(here.activations, gradients_of(targets, here.activations))
        return [target.detach() for target in targets]

    def _targets(self, here: Pass) -> list[Tensor]:
        self._fix(here)
        return [bound(here.output) for bound in self._bounds]

    def _fix(self, here: Pass) -> None:
        if not self._bounds:
            self._bounds = self._at_x(here)
            self.totals = [{} for _ in self._bounds]

    def _add_all(self, activations: dict[str, Tensor], gradients: list[dict[str, Tensor]]) -> None:
        for key, activation in activations.items():
            change = self._change(key, activation)
            for number, found in enumerate(gradients):
                if key in found:
                    self._add(number, key, wide(found.pop(key)), change)
        # Where this node does not reach a site there is no segment.
        for key in self._activations.keys() - activations.keys():
            del self._activations[key]

    def _add(self, number: int, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            both = gradient + self._gradients[number, key]
            self.totals[number][key].addcmul_(both, change, value=0.5)
        self._gradients[number, key] = gradient

    def _change(self, key: str, activation: Tensor) -> Tensor | None:
        """The change of the activation to the node visited before; None at the first node."""
        here = wide(activation.detach())
        before = self._activations.get(key)
        self._activations[key] = here
        if before is None:
            for total in self.totals:
                total.setdefault(key, torch.zeros_like(here))
            return None
        return before - here


class _LeftWalk(Walk):
    """Uses only the gradient at the node nearer to the baseline."""

    def _add(self, number: int, key: str, gradient: Tensor, change: Tensor | None) -> None:
        if change is not None:
            self.totals[number][key].addcmul_(gradient, change)


class _MidpointWalk(_LeftWalk):
    """Uses the gradient halfway between two nodes, with one more forward per segment."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        super().__init__(probe, at_x)
        self._x: Batch | None = None

    def visit(self, x: Batch) -> list[Tensor]:
        end = self._probe(x)
        targets = [target.detach() for target in self._targets(end)]
        ends = {key: activation.detach() for key, activation in end.activations.items()}
        del end
        if self._x is None:
            self._add_all(ends, [])
        else:
            middle = self._probe(between(x, self._x, 0.5))
            self._add_all(ends, gradients_of(self._targets(middle), middle.activations))
        self._x = x
        return targets


class SecantWalk(_LeftWalk):
    """Uses secants in place of derivatives: the sum over a segment is exact."""

    def __init__(self, probe: Probe, at_x: AtInput) -> None:
        super().__init__(probe, at_x)
        self._mode = SecantMode()
        self.uncovered = self._mode.uncovered

    def visit(self, x: Batch) -> list[Tensor]:
        first = not self._bounds
        here, targets = self._forward(x)
        # There is no segment yet at the first node.
        gradients = [] if first else gradients_of(targets, here.activations)
        self._add_all(here.activations, gradients)
        return [target.detach() for target in targets]

    def _forward(self, x: Batch) -> tuple[Pass, list[Tensor]]:
        """Run the model with secants to the node visited before, and read the targets."""
        self._mode.step()
        first = not self._bounds
        while True:
            here = self._run(x)
            # Fixing the targets is not part of the path.
            self._fix(here)
            with self._mode:
                targets = self._targets(here)
            if self._mode.intact():
                break
            self._mode.redo()
        self._require_same(x, here, targets)
        if first:
            names = unseen(targets, self._mode.named)
            where = " inside torch.vmap" if self._mode.transformed else ""
            self.uncovered |= {f"{name}{where}" for name in names}
            self._mode.named.clear()
        return here, targets

    def only_chosen(self) -> None:
        self._mode.dense = False

    def _run(self, x: Batch) -> Pass:
        try:
            with self._mode.memory.following(self._probe.model), self._mode:
                return self._probe(x)
        except (RuntimeError, IndexError, ValueError):
            if self._mode.dense and self._mode.densified:
                raise _OtherEntriesError from None
            raise

    def _require_same(self, x: Batch, here: Pass, targets: list[Tensor]) -> None:
        """Raise _OtherEntriesError if entries that were not chosen reach a site or a target."""
        if not (self._mode.dense and self._mode.densified):
            return
        with torch.no_grad():
            plain = self._probe(x)
            pairs = list(zip(targets, self._targets(plain), strict=True))
        if here.activations.keys() != plain.activations.keys():
            raise _OtherEntriesError
        pairs += [(here.activations[key], a) for key, a in plain.activations.items()]
        for ours, theirs in pairs:
            allowed = 1e4 * torch.finfo(theirs.dtype).eps * theirs.abs().max().clamp(min=1e-3)
            if ours.shape != theirs.shape or ((ours - theirs).abs() > allowed).any():
                raise _OtherEntriesError


RULES: dict[Rule, type[Walk]] = {
    "secant": SecantWalk,
    "trapezoid": Walk,
    "left": _LeftWalk,
    "midpoint": _MidpointWalk,
}


def _node(baseline: Batch, x: Batch, alpha: float) -> Any:
    # The ends are returned exactly, not up to rounding.
    if alpha in (0.0, 1.0):
        return x if alpha else baseline
    return between(baseline, x, alpha)
