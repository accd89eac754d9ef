"""Completeness: the error of Σ C relative to T(x) − T(x0) at every cut of real networks.

For each network (with trained weights if available), the sum of contributions at every cut is
compared with the change of the target, at 1, 2, 5 and 10 steps, in single and double precision.
`gap` is the error relative to |T(x) − T(x0)|, `of Σ|C|` the same error relative to the sum of the
contributions' magnitudes. `forward` is the error of the two forward passes themselves relative to
double precision, which no backward pass can correct.

    CODECLENS_BENCH=… python -m benchmarks.completeness
    python -m benchmarks.completeness digits-resnet "timm vit_tiny" --images 4
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import material, untrained
from codeclens.attribution import Attributor, Conductance, Predicted, Target, Token
from codeclens.attribution.capture import Selector

STEPS = (1, 2, 5, 10)
ALLOWED = {torch.float64: 1e-12, torch.float32: 1e-5}
MANY, FEW = 50, 4  # images of networks with trained weights, inputs of those without
COLUMNS = (
    *("network", "precision", "cuts", "gap: median", "worst", "over the bound"),
    *("of Σ|C|: median", "worst", "forward: median", "worst"),
)


class Case(NamedTuple):
    """A network, inputs for it, and what of its output is explained."""

    name: str
    model: nn.Module
    x: Tensor
    target: Target
    output: Selector


@dataclass(frozen=True)
class Gaps:
    """Misses at all cuts, numbers of steps and samples, `(R,)` each, and what they belong to.

    `gap` is relative to the `change` of the target `(B,)`, `share` to the sum of magnitudes.
    """

    gap: Tensor
    share: Tensor
    change: Tensor
    sites: Sequence[str]
    uncovered: frozenset[str]


def gaps(case: Case, steps: Iterable[int] = STEPS, portion: int = 5) -> Gaps:
    """The gaps at every cut of a network, in the precision of its inputs."""
    sites = cuts(case)
    gap: list[Tensor] = []
    share: list[Tensor] = []
    change: list[Tensor] = []
    uncovered: set[str] = set()
    for count in steps:
        attributor = Attributor(
            case.model,
            sites=sites,
            method=Conductance(count, rule="secant"),
            target=case.target,
            output=case.output,
        ).prepared(case.x)
        change.clear()
        for rows in case.x.split(portion):
            c = attributor(rows)
            change.append((c.target - c.baseline_target).double())
            uncovered |= c.uncovered
            for site in c.values():
                miss = site.completeness.abs().double()
                gap.append(miss / change[-1].abs())
                share.append(miss / (site.positive - site.negative).sum(dim=1))
    return Gaps(torch.cat(gap), torch.cat(share), torch.cat(change), sites, frozenset(uncovered))


def cuts(case: Case) -> list[str]:
    """Every module whose output is a tensor and a cut."""
    x = case.x[:2]
    names = {module: name for name, module in case.model.named_modules() if name}
    tensors: dict[str, None] = {}

    def note(module: nn.Module, _inputs: object, given: object) -> None:
        if isinstance(given, Tensor) and given.ndim > 1 and len(given) == len(x):
            tensors[names[module]] = None

    hooks = [module.register_forward_hook(note) for module in names]
    with torch.no_grad():
        case.model(x)
    for hook in hooks:
        hook.remove()
    found = Attributor(case.model, sites=tensors, output=case.output).survey(x)
    return [site.key for site in found.sites if site.key in found.cuts]


def case(name: str, count: int | None) -> Case:
    """The network of that name with `count` inputs."""
    if name in material.NAMES:
        trained = material.material(name)
        return Case(name, trained.model, trained.spread(count or MANY), Predicted(), None)
    new = untrained.untrained(name, count or FEW)
    target = Token(-1) if name == "transformers GPT-2" else Predicted()
    return Case(name, new.model, new.x, target, new.output)


def told(name: str, dtype: torch.dtype, found: Gaps, exact: Gaps) -> str:
    """One row of the table."""
    forward = ((found.change - exact.change) / exact.change).abs()
    over = (found.gap > ALLOWED[dtype]).double().mean()
    cells = [name, str(dtype).removeprefix("torch."), str(len(found.sites))]
    cells += [f"{found.gap.median():.1e}", f"{found.gap.max():.1e}", f"{over:.1%}"]
    cells += [f"{found.share.median():.1e}", f"{found.share.max():.1e}"]
    known = found is not exact
    cells += [f"{forward.median():.1e}", f"{forward.max():.1e}"] if known else ["", ""]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the networks that the command line names, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*material.NAMES, *untrained.NAMES]
    parser.add_argument("networks", nargs="*", default=every, help=", ".join(every))
    parser.add_argument("--images", type=int)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for name in given.networks:
        single = case(name, given.images)
        exact: Gaps | None = None
        for dtype in ALLOWED:
            here = single._replace(model=single.model.to(dtype), x=single.x.to(dtype))
            found = gaps(here)
            exact = exact or found
            print(told(name, dtype, found, exact), *sorted(found.uncovered), flush=True)


if __name__ == "__main__":
    main()
