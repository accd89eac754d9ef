"""Extraction on a ResNet-50 at 224 px, 16 blocks, 10 steps: time relative to the floor, and memory.

The floor is the minimum cost of any method of this kind: one forward pass for each node of the path
and one backward pass to the earliest block, with frozen parameters and nothing stored. Secants are
also compared with the trapezoid at equal nodes.

    python -m benchmarks.extraction                     # time at batch 2 and 8, memory at batch 4
    python -m benchmarks.extraction --batches 2 --pairs 7
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from benchmarks.timing import Paired, Work, paired
from codeclens._compat import import_torchvision
from codeclens.attribution import Attributor, Conductance

Rule = Literal["trapezoid", "secant"]
STEPS = 10
PIXELS = 224
RATIO_ALLOWED = 1.15
SECANT_RATIO_ALLOWED = 1.35  # against the trapezoid
MEMORY_ALLOWED = 600  # MB added at batch 4


def calibrated_resnet50(pixels: int = PIXELS) -> nn.Module:
    """A ResNet-50 with random weights whose batch norms know the statistics of noise images.

    Without them activations would grow from block to block until nothing of the path is left.
    """
    torch.manual_seed(0)
    model = import_torchvision().models.resnet50(weights=None)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain average of all batches seen
    model.train()
    with torch.no_grad():
        for _ in range(2):
            model(torch.randn(4, 3, pixels, pixels))
    return model.eval()


def images(batch: int, pixels: int = PIXELS) -> Tensor:
    """Noise images `(B, 3, pixels, pixels)`."""
    return torch.randn(batch, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))


def floor(model: nn.Module, x: Tensor, steps: int = STEPS, first_block: str = "layer1.0") -> None:
    """steps + 1 forwards, each with the gradient of the predicted logit at the earliest block."""
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
        leaves[:] = [output.detach().requires_grad_()]
        return leaves[0]

    parameters = [(p, p.requires_grad) for p in model.parameters()]
    handle = model.get_submodule(first_block).register_forward_hook(cut)
    try:
        for parameter, _ in parameters:
            parameter.requires_grad_(False)
        classes: Tensor | None = None
        for step in range(steps, -1, -1):
            output = model(x * (step / steps))
            if classes is None:
                classes = output.detach().argmax(dim=1, keepdim=True)
            torch.autograd.grad(output.gather(1, classes).sum(), leaves[0])
            del output
    finally:
        handle.remove()
        for parameter, needed in parameters:
            parameter.requires_grad_(needed)


def extraction(model: nn.Module, x: Tensor, rule: Rule, steps: int) -> Work:
    """Contributions at all 16 blocks, ready to run."""
    method = Conductance(steps=steps, rule=rule, nodes="uniform")
    attributor = Attributor(model, sites="@blocks", method=method).prepared(x)
    return lambda: attributor(x)


def compare(batch: int, pairs: int, pixels: int = PIXELS, steps: int = STEPS) -> dict[str, Paired]:
    """Time the trapezoid against the floor, and secants against the trapezoid."""
    model, x = calibrated_resnet50(pixels), images(batch, pixels)
    trapezoid, secant = (extraction(model, x, rule, steps) for rule in ("trapezoid", "secant"))
    return {
        "trapezoid / floor": paired(trapezoid, lambda: floor(model, x, steps), pairs=pairs),
        "secant / trapezoid": paired(secant, trapezoid, pairs=pairs),
    }


def memory_added(batch: int = 4, pixels: int = PIXELS, steps: int = STEPS) -> dict[str, float]:
    """MB by which the peak of a fresh process grows: by rule, and for the floor alone."""
    return {
        what: _measured_apart(what, batch, pixels, steps)
        for what in ("trapezoid", "secant", "floor")
    }


def _measured_apart(what: str, batch: int, pixels: int, steps: int) -> float:
    arguments = [sys.executable, "-m", "benchmarks.extraction", "--memory-of", what]
    numbers = ["--batches", str(batch), "--pixels", str(pixels), "--steps", str(steps)]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [*arguments, *numbers], cwd=root, capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


def _growth(what: Any, batch: int, pixels: int, steps: int) -> float:
    """Growth of this process's peak; to be run in a process of its own."""
    torch.set_num_threads(1)
    model, x = calibrated_resnet50(pixels), images(batch, pixels)
    with torch.no_grad():
        model(x[:1])  # what the libraries allocate once is not the extraction's
    if what == "floor":
        return grown(lambda: floor(model, x, steps))
    return grown(lambda: extraction(model, x, what, steps)())


def grown(work: Work) -> float:
    """MB by which the peak of this process grows; to be run in a process of its own."""
    # "5" makes the kernel forget the peak that preparations left behind.
    Path("/proc/self/clear_refs").write_text("5")
    before = _resident("VmRSS")
    work()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    value = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(value) / 1000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pixels", type=int, default=PIXELS)
    parser.add_argument("--steps", type=int, default=STEPS)
    rules = ["trapezoid", "secant", "floor"]
    parser.add_argument("--memory-of", choices=rules, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory_of:
        print(_growth(given.memory_of, given.batches[0], given.pixels, given.steps))
        return
    allowed = {"trapezoid / floor": RATIO_ALLOWED, "secant / trapezoid": SECANT_RATIO_ALLOWED}
    for batch in given.batches:
        for what, result in compare(batch, given.pairs, given.pixels, given.steps).items():
            print(f"batch {batch}: {what}: {result}; allowed {allowed[what]}", flush=True)
    added = memory_added(4, given.pixels, given.steps)
    told = ", ".join(f"{what} {size:.0f} MB" for what, size in added.items())
    print(f"memory added at batch 4: {told}; allowed {MEMORY_ALLOWED} MB")


if __name__ == "__main__":
    main()
