"""Captum's LayerConductance vs. ours: the same sites, the same number of steps, one thread.

At all 16 blocks of a ResNet-50 at 224 px. Captum computes one layer at a time; we compute all sites
in one pass, first by the same sum at the same nodes (where the numbers must agree), then by the
default rule and nodes. The default nodes are placed beforehand, as for a data set.

    python -m benchmarks.captum                      # batch 1, 5 rounds
    python -m benchmarks.captum --batch 2 --rounds 3
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from captum.attr import LayerConductance
from captum.attr._utils.approximation_methods import approximation_parameters
from torch import Tensor, nn

from benchmarks.extraction import PIXELS, STEPS, calibrated_resnet50, images
from benchmarks.timing import Paired, in_turns
from codeclens.attribution import Attributor, Conductance, Contributions, find_sites

SITES = "@blocks"
SPEED_WANTED = 8


@dataclass(frozen=True)
class Comparison:
    """Captum's time over ours by either way, and how far the numbers of every site differ.

    `difference` is the relative L2 difference at each site between Captum's contributions and ours
    by the same sum, all units and positions of all samples together.
    """

    same_sum: Paired
    default: Paired
    difference: dict[str, float]


def one_by_one(model: nn.Module, sites: Sequence[str], x: Tensor, steps: int) -> dict[str, Tensor]:
    """Captum's conductance of the predicted class at every site, in the activations' layout."""
    with torch.no_grad():
        classes = model(x).argmax(dim=1)
    return {
        site: LayerConductance(model, model.get_submodule(site))
        .attribute(x, target=classes, n_steps=steps)
        .detach()
        for site in sites
    }


def at_once(
    model: nn.Module, sites: Sequence[str], x: Tensor, method: Conductance, *, full: bool = False
) -> Callable[[], Contributions]:
    """Ours at all sites, prepared and ready to run."""
    attributor = Attributor(model, sites=sites, method=method, reduce=None if full else "sum")
    prepared = attributor.prepared(x)
    return lambda: prepared(x)


def captum_nodes(steps: int) -> list[float]:
    """Where Captum's LayerConductance takes its gradients: at one node more than it has steps."""
    return list(approximation_parameters("gausslegendre")[1](steps + 1))


def compare(
    model: nn.Module, x: Tensor, rounds: int = 5, steps: int = STEPS, blocks: str = SITES
) -> Comparison:
    """Time all three ways in turns, after one round that warms up and compares the numbers."""
    sites = [site.key for site in find_sites(model, blocks)]
    left = Conductance(rule="left", nodes=captum_nodes(steps))
    theirs = one_by_one(model, sites, x, steps)
    ours = at_once(model, sites, x, left, full=True)()
    difference = {site: _difference(ours[site].full, theirs[site]) for site in sites}
    del theirs, ours
    same, default = (at_once(model, sites, x, one) for one in (left, Conductance(steps)))
    default()
    slow, *fast = in_turns([lambda: one_by_one(model, sites, x, steps), same, default], rounds)
    return Comparison(Paired(slow, fast[0]), Paired(slow, fast[1]), difference)


def _difference(ours: Tensor | None, theirs: Tensor) -> float:
    assert ours is not None, "reduce=None keeps the activations' layout"
    return float((ours - theirs).norm() / theirs.norm())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=PIXELS)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, x = calibrated_resnet50(given.pixels), images(given.batch, given.pixels)
    found = compare(model, x, given.rounds, given.steps)
    told = f"batch {given.batch}, {given.steps} steps, {len(found.difference)} sites: Captum"
    print(f"{told} / same sum: {found.same_sum}; wanted {SPEED_WANTED}")
    print(f"{told} / default: {found.default}; wanted {SPEED_WANTED}")
    worst = max(found.difference, key=lambda site: found.difference[site])
    middle = median(found.difference.values())
    print(f"relative difference of the same sum: median site {middle:.1e}, ", end="")
    print(f"most {found.difference[worst]:.1e} (at {worst})")


if __name__ == "__main__":
    main()
