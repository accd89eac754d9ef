"""A control sweep over eight blocks of a ResNet-50 by replay, compared with full runs.

At every block nine fractions of its channels are ablated, as a control curve does. A full run
computes the whole network each time. Replay computes the part before the blocks once for each
batch, and then only the part after a block. So the speedup depends on the position of the blocks;
the speedup predicted by the number of multiplications is also printed.

    python -m benchmarks.control                       # spread blocks and the last eight, batch 8
    python -m benchmarks.control --images 16 --pairs 5
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.extraction import calibrated_resnet50, images
from benchmarks.timing import Paired, paired
from codeclens.attribution import Site, find_sites
from codeclens.control import FRACTIONS, Intervention, count_units, outputs_under
from codeclens.control.units import share_to_count

WANTED = 6
# Of the 16 blocks: every other one, and the last eight.
SPREAD, LAST = slice(1, None, 2), slice(8, None)


@dataclass(frozen=True)
class Sweep:
    """Full runs and replay: times, the largest difference, and the predicted speedup."""

    name: str
    times: Paired
    difference: float
    expected: float
    limit: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.times}; largest difference {self.difference}; multiplications "
            f"predict {self.expected:.2f}, and no more than {self.limit:.2f} however many images"
        )


def interventions(model: nn.Module, sites: Sequence[Site], x: Tensor) -> list[Intervention]:
    """Ablations of nine fractions of each site's channels, in random order."""
    random, found = np.random.default_rng(0), []
    for site in sites:
        units = count_units(model, site, x[:1])
        order = [int(unit) for unit in random.permutation(units)]
        for share in FRACTIONS:
            chosen = tuple(order[: share_to_count(share, units)])
            found.append(Intervention(site, "ablate", chosen, units=units))
    return found


def after(model: nn.Module, sites: Sequence[Site], x: Tensor) -> list[float]:
    """The share of the network's multiplications that follows each site."""
    done, marks = 0, {}

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal done
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d | nn.Linear) and isinstance(weight, Tensor):
            done += output.numel() * weight[0].numel()
        marks[module] = done

    handles = [module.register_forward_hook(count) for module in model.modules()]
    with torch.no_grad():
        model(x[:1])
    for handle in handles:
        handle.remove()
    return [1 - marks[model.get_submodule(site.name)] / done for site in sites]


def compare(
    name: str,
    model: nn.Module,
    sites: Sequence[Site],
    x: Tensor,
    batch_size: int,
    pairs: int = 3,
    at_once: int = 1,
) -> Sweep:
    """Time the sweep by full runs and by replay, in turns."""
    chosen = interventions(model, sites, x)
    found: dict[bool, np.ndarray] = {}

    def sweep(replay: bool) -> None:
        found[replay] = outputs_under(
            model, x, chosen, batch_size=batch_size, replay=replay,
            at_once=at_once if replay else 1,
        )  # fmt: skip

    times = paired(lambda: sweep(False), lambda: sweep(True), pairs=pairs, warm_up=False)
    following = sum(after(model, sites, x))
    fractions, batches = len(FRACTIONS), -(-len(x) // batch_size)
    full = 1 + fractions * len(sites)
    # Once for the sweep: a run of one image, a replay of it at each site, and one of a batch.
    learning = (1 + following) / len(x) + following / batches
    return Sweep(
        name,
        times,
        float(np.abs(found[True] - found[False]).max()),
        full / (1 + fractions * following + learning),
        full / (1 + fractions * following),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=1, help="masks in one batch of a replay")
    parser.add_argument("--blocks", choices=["spread", "last", "both"], default="both")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model, x = calibrated_resnet50(given.pixels), images(given.images, given.pixels)
    blocks = find_sites(model, "@blocks")
    for name, part in (("spread", SPREAD), ("last", LAST)):
        if given.blocks in (name, "both"):
            done = compare(
                f"{name} eight blocks", model, blocks[part], x, given.batch_size, given.pairs,
                given.at_once,
            )  # fmt: skip
            print(f"{done}; wanted {WANTED}", flush=True)


if __name__ == "__main__":
    main()
