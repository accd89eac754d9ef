"""Pixel maps of three channels of a 28 × 28 site at 224 px, vs. one backward pass per position.

The alternative runs one backward pass from every position of every channel to the pixels, here
2,352. Only some are run, and their time is multiplied. The forward pass and the gradient at the
site, which it also needs, are not counted.

    python -m benchmarks.pixel_maps                  # time on a ResNet-50's layer2, and memory
    python -m benchmarks.pixel_maps --places 48 --pairs 7
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.extraction import calibrated_resnet50, images
from benchmarks.timing import Paired, paired
from codeclens.visualization import pixel_map

SITE = "layer2"
CHANNELS = (3, 141, 308)
PLACES = 28 * 28 * len(CHANNELS)
PLACES_RUN = 24
SPEED_WANTED = 100
MEMORY_ALLOWED = 1024  # MB added


class PlaceByPlace:
    """The map of each place by a backward of its own, on one kept graph."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        model.requires_grad_(False)
        self.start = x.clone().requires_grad_()
        met: list[Tensor] = []
        handle = model.get_submodule(SITE).register_forward_hook(
            lambda _m, _i, out: met.append(out)
        )
        output = model(self.start)
        handle.remove()
        self.activation = met[0]
        best = output.max(dim=1).values.sum()
        (self.gradient,) = torch.autograd.grad(best, self.activation, retain_graph=True)

    def __call__(self, places: int) -> tuple[Tensor, Tensor]:
        """The summed maps, signs apart, of so many places spread over the channels."""
        positive, negative = torch.zeros_like(self.start), torch.zeros_like(self.start)
        slope = self.gradient[:, list(CHANNELS)]
        chosen = self.activation[:, list(CHANNELS)]
        for place in torch.linspace(0, slope.numel() - 1, places).long():
            cotangent = torch.zeros_like(slope).view(-1)
            cotangent[place] = slope.reshape(-1)[place]
            (through,) = torch.autograd.grad(
                chosen, self.start, cotangent.view_as(slope), retain_graph=True
            )
            pixels = through * self.start.detach()
            (positive if pixels.sum() > 0 else negative).add_(pixels)
        return positive, negative


def compare(places: int = PLACES_RUN, pairs: int = 5) -> Paired:
    """Time all places by three passes against `places` of them one by one."""
    model, x = calibrated_resnet50(), images(1)
    slow = PlaceByPlace(model, x)
    return paired(
        lambda: slow(places), lambda: pixel_map(model, x, site=SITE, units=CHANNELS), pairs=pairs
    )


def memory_added() -> float:
    """MB by which a fresh process grows at its peak while it makes the maps."""
    arguments = [sys.executable, "-m", "benchmarks.pixel_maps", "--memory"]
    root = Path(__file__).parents[1]
    done = subprocess.run(arguments, cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _growth() -> float:
    torch.set_num_threads(1)
    model, x = calibrated_resnet50(), images(1)
    pixel_map(model, x[:, :, :32, :32], site=SITE, units=CHANNELS)  # what is allocated only once
    # "5" makes the kernel forget the peak that calibration left behind.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    pixel_map(model, x, site=SITE, units=CHANNELS)
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    value = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(value) / 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--places", type=int, default=PLACES_RUN)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory:
        print(_growth())
        return
    result = compare(given.places, given.pairs)
    speed = result.ratio * PLACES / given.places
    print(f"{given.places} places one by one against {PLACES} at once: {result}")
    print(f"hence {PLACES} places: {speed:.0f} times faster; wanted {SPEED_WANTED}")
    print(f"memory added: {memory_added():.0f} MB; allowed {MEMORY_ALLOWED} MB")


if __name__ == "__main__":
    main()
