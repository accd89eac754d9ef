"""How many steps the integral takes: errors against a converged reference, by rule and nodes.

For each network a pilot of images places the nodes; other images are judged. The reference is the
mean of the secant and the trapezoid rule at many cubically graded steps, whose difference is
printed first. Errors are relative L2 errors over the channels of a site, the median over images:
`net` of the net contributions, `split` of positive and negative ones side by side.

    python -m benchmarks.accuracy                       # the digits network
    CODECLENS_BENCH=… python -m benchmarks.accuracy efficientnet-lite0 --steps 10,20 --images 4
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from codeclens import CompletenessWarning, Conductance, zoo
from codeclens.attribution import Attributor, Contributions, find_sites
from codeclens.attribution.nodes import Power

SETTINGS: dict[str, tuple[str, str | Power]] = {
    "uniform, trapezoid (published)": ("trapezoid", "uniform"),
    "uniform, secant": ("secant", "uniform"),
    "cubic, secant": ("secant", Power(3)),
    "geometric, secant": ("secant", "geometric"),
    "arc length, trapezoid": ("trapezoid", "arc"),
    "arc length, secant (default)": ("secant", "arc"),
}
PILOT = 3


def images_of(name: str, count: int) -> Tensor:
    """Images for a network of the zoo: the first are the pilot's, the rest are judged."""
    if name == "digits-resnet":
        pixels, _ = zoo.digits_data("held_out")
        return pixels[:: len(pixels) // count][:count]
    folder = Path(os.environ["CODECLENS_BENCH"]) / "imagenet_sample_1000" / "images"
    files = sorted(folder.iterdir())
    chosen = files[:: len(files) // count][:count]
    transform = zoo.load(name).transform
    return torch.stack([transform(Image.open(file).convert("RGB")) for file in chosen])


def errors(found: Contributions, reference: Contributions) -> list[tuple[float, float]]:
    """Net and sign-split error of every site."""
    result = []
    for key in reference:
        pairs = [(found[key].net, reference[key].net)]
        signed = [torch.cat([c[key].positive, c[key].negative], 1) for c in (found, reference)]
        pairs.append((signed[0], signed[1]))
        result.append(
            tuple(float(((a - b).norm(dim=1) / b.norm(dim=1)).median()) for a, b in pairs)
        )
    return result  # type: ignore[return-value]


def told(title: str, found: Sequence[tuple[float, float]]) -> str:
    """One row: net errors, then sign-split errors, in per cent."""
    net, split = (" ".join(f"{100 * e[i]:5.1f}" for e in found) for i in (0, 1))
    return f"{title:<34} net {net}   split {split}"


def measure(name: str, steps: Sequence[int], count: int, many: int) -> None:
    """Print the table of one network."""
    ready = zoo.load(name)
    blocks = [site.key for site in find_sites(ready.model, ready.sites)]
    sites = [blocks[round(share * (len(blocks) - 1))] for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    images = images_of(name, count + PILOT)
    pilot, x = images[:PILOT], images[PILOT:]

    def attributed(rule: str, nodes: object, steps: int) -> Contributions:
        method = Conductance(steps, rule, nodes)  # type: ignore[arg-type]
        attributor = Attributor(ready.model, sites=sites, method=method)
        attributor.prepare(pilot)
        return attributor(x)

    reference = attributed("secant", Power(3), many)
    other = attributed("trapezoid", Power(3), many)
    print(f"{name}, {len(x)} images, sites {', '.join(sites)}; error in per cent")
    print(told(f"the two rules at {many} steps", errors(other, reference)))
    for number in steps:
        for title, (rule, nodes) in SETTINGS.items():
            found = attributed(rule, nodes, number)
            print(told(f"{number:3d} {title}", errors(found, reference)), flush=True)


def main() -> None:
    """Measure the networks that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", default="digits-resnet")
    parser.add_argument("--steps", default="5,10,20")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--reference", type=int, default=240)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", CompletenessWarning)
    steps = [int(number) for number in options.steps.split(",")]
    measure(options.network, steps, options.images, options.reference)


if __name__ == "__main__":
    main()
