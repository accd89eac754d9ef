"""How many steps are needed: errors relative to a converged reference, by rule and nodes.

For each network a few pilot images place the nodes; errors are measured on other images. The
reference is the mean of the secant and the trapezoid rule at many steps of equal arc length. The
difference of the two rules is printed first. Errors are relative L2 errors over the channels of a
site, the median over images: `net` for net contributions, `split` for contributions split by sign.

Effort is counted in pairs of one forward and one backward pass; a single pass is half a pair. N
steps are N pairs; one additional forward pass (for the trapezoid one pair) is not counted.

    python -m benchmarks.accuracy digits-resnet --keep RESULTS
    CODECLENS_BENCH=… python -m benchmarks.accuracy efficientnet-lite0 --images 5 --keep RESULTS
    python -m benchmarks.accuracy --keep RESULTS --figure docs/accuracy.svg

Results are kept as safetensors in the folder RESULTS and not computed again.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.material import NAMES, Material, material
from codeclens import CompletenessWarning, Conductance
from codeclens.attribution import Attributor, split_signs
from codeclens.attribution.path import ArcLength, Rule
from codeclens.visualization.canvas import CONTRIBUTION, CONTROLS, WIDTH, blank, save, styled

# Early, middle and late blocks; behind the last one most networks are linear, and all rules exact.
SITES = {
    "digits-resnet": ["blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4"],
    "cifar-resnet20": ["layer1.0", "layer1.2", "layer2.1", "layer3.0"],
    "cifar-resnet56": ["layer1.1", "layer1.6", "layer2.4", "layer3.2", "layer3.7"],
    "efficientnet-lite0": ["blocks.1.0", "blocks.2.1", "blocks.4.0", "blocks.5.0", "blocks.5.3"],
}
PILOT = 4
GOAL = 5.0
FINE = ArcLength(PILOT, grid=128, start=0.0005, crowding=1)

EVEN = ArcLength(crowding=1)

Contributions = dict[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """A weighted sum of integrals `(weight, rule, every how manieth node)` over the same nodes.

    `own` nodes are placed for each image by itself. `pairs` of one step, and `extra` ones once.
    """

    title: str
    nodes: str
    parts: tuple[tuple[float, Rule, int], ...]
    own: bool = False
    pairs: float = 1
    extra: float = 0

    def effort(self, steps: int) -> float:
        return steps * self.pairs + self.extra


SETTINGS = [
    Setting("uniform, trapezoid (published)", "uniform", ((1, "trapezoid", 1),)),
    Setting("uniform, secant", "uniform", ((1, "secant", 1),)),
    Setting("cubic, secant", "power", ((1, "secant", 1),)),
    Setting("geometric, secant", "geometric", ((1, "secant", 1),)),
    Setting("arc, secant (default)", "arc", ((1, "secant", 1),)),
    # Equal arc length, without crowding.
    Setting("even arc, trapezoid", "even arc", ((1, "trapezoid", 1),)),
    Setting("even arc, secant", "even arc", ((1, "secant", 1),)),
    # One forward, two backward passes a step.
    Setting(
        "even arc, ⅓ trapezoid + ⅔ secant", "even arc",
        ((1 / 3, "trapezoid", 1), (2 / 3, "secant", 1)),
        pairs=1.5,
    ),
    # Secants over pairs of segments take a backward pass of their own; trapezoids do not.
    Setting(
        "even arc, secant extrapolated", "even arc",
        ((4 / 3, "secant", 1), (-1 / 3, "secant", 2)), pairs=1.25,
    ),
    Setting(
        "even arc, trapezoid extrapolated", "even arc",
        ((4 / 3, "trapezoid", 1), (-1 / 3, "trapezoid", 2)),
    ),
    Setting(
        "even arc of each image, secant", "even arc", ((1, "secant", 1),), own=True,
        extra=(ArcLength().grid + 1) / 2,
    ),
]  # fmt: skip


@dataclass
class Judged:
    """One network with its pilot and its judged images, and what was computed for them."""

    name: str
    count: int
    keep: Path
    _given: list[Any] = field(default_factory=list)

    @property
    def given(self) -> tuple[Material, Tensor, Tensor]:
        """The network, the pilot's images and the judged ones, none of which are the same."""
        if not self._given:
            found = material(self.name)
            last = len(found.labels)
            judged = range(0, last, last // self.count)[: self.count]
            pilot = range(7, last, last // PILOT)[:PILOT]
            if set(judged) & set(pilot):
                raise ValueError(f"{self.count} judged images would hold some of the pilot's")
            self._given[:] = found, found.images(pilot), found.images(judged)
        return tuple(self._given)  # type: ignore[return-value]

    def integral(
        self, rule: Rule, nodes: Any, title: str, steps: int, stride: int = 1, own: bool = False
    ) -> Contributions:
        """Contributions of every judged image at every place, by site."""
        file = self._file(title, rule, steps, stride, own)
        if not file.exists():
            found, pilot, x = self.given
            groups = [(row, row) for row in x.split(1)] if own else [(pilot, x)]
            method = Conductance(steps, rule, EVEN if nodes == "even arc" else nodes)
            parts = [self._attributed(found, method, stride, *group) for group in groups]
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({key: torch.cat([p[key] for p in parts]) for key in parts[0]}, file)
        return load_file(file)

    def _file(self, title: str, rule: Rule, steps: int, stride: int, own: bool) -> Path:
        label = f"{title}-{rule}-{steps}-{stride}{'-own' if own else ''}"
        return self.keep / f"{self.name}-{self.count}" / f"{label}.safetensors"

    def has(self, setting: Setting, steps: int) -> bool:
        """Whether a setting was computed before."""
        parts = [(setting.nodes, rule, steps, stride) for _, rule, stride in setting.parts]
        return all(self._file(*part, setting.own).exists() for part in parts)

    def kept(self) -> list[int]:
        """All numbers of steps that were computed before, the reference's too."""
        files = (self.keep / f"{self.name}-{self.count}").glob("*.safetensors")
        return sorted({int(file.stem.removesuffix("-own").split("-")[-2]) for file in files})

    def _attributed(
        self, found: Material, method: Conductance, stride: int, pilot: Tensor, x: Tensor
    ) -> Contributions:
        options: dict[str, Any] = {"sites": SITES[self.name], "reduce": None}
        attributor = Attributor(found.model, method=method, **options)
        if method.pilot:
            attributor = attributor.prepared(pilot)
        if stride > 1:
            placed: Any = attributor.method
            every = Conductance(rule=method.rule, nodes=placed.nodes[::stride])
            attributor = attributor.replaced(method=every)
        result = attributor(x)
        full = {key: site.full for key, site in result.items()}
        return {key: values.contiguous() for key, values in full.items() if values is not None}

    def reference(self, steps: int) -> tuple[Contributions, Contributions]:
        """The secant's and the trapezoid's integral at many steps."""
        return tuple(self.integral(rule, FINE, "fine", steps) for rule in ("secant", "trapezoid"))

    def found(self, setting: Setting, steps: int) -> Contributions:
        total: Contributions = {}
        for weight, rule, stride in setting.parts:
            part = self.integral(rule, setting.nodes, setting.nodes, steps, stride, setting.own)
            total = {key: total.get(key, 0) + weight * value for key, value in part.items()}
        return total


Errors = list[tuple[float, float]]


def errors(found: Contributions, reference: Contributions, sites: Sequence[str]) -> Errors:
    """Net and sign-split error of every site in per cent, the median over images."""
    result = []
    for key in sites:
        mine, true = (split_signs(values.flatten(2)) for values in (found[key], reference[key]))
        pairs = ((mine[0] + mine[1], true[0] + true[1]), (torch.cat(mine, 1), torch.cat(true, 1)))
        relative = [(a - b).norm(dim=1) / b.norm(dim=1) for a, b in pairs]
        result.append((100 * relative[0].median().item(), 100 * relative[1].median().item()))
    return result


def told(title: str, found: Errors) -> str:
    """One row of a table: net errors, then sign-split errors, in per cent."""
    net, split = (" ".join(f"{e[i]:.1f}" for e in found) for i in (0, 1))
    return f"| {title} | {net} | {split} |"


def effort_at_goal(curve: Sequence[tuple[float, float]]) -> str:
    """The pairs at which a curve of (pairs, error) falls to the goal, between two measured ones."""
    if not curve:
        return "not measured"
    for (few, high), (many, low) in pairwise(curve):
        if high > GOAL >= low:
            share = math.log(high / GOAL) / math.log(high / low)
            return f"{few * (many / few) ** share:.1f}"
    return f"< {curve[0][0]:g}" if curve[0][1] <= GOAL else f"> {curve[-1][0]:g}"


def curves(
    judged: Judged, steps: Sequence[int], many: int, settings: Sequence[Setting], again: bool
) -> dict[str, list[tuple[float, float]]]:
    """Print the table of one network; for every setting its worst errors by pairs.

    Unless `again`, only of what was computed before.
    """
    sites = SITES[judged.name]
    secant, trapezoid = judged.reference(many)
    reference = {key: (secant[key] + trapezoid[key]) / 2 for key in sites}
    print(f"\n{judged.name}, {judged.count} images, sites {', '.join(sites)}; error in per cent")
    print(told(f"{many} | the two rules of the reference", errors(trapezoid, secant, sites)))
    result: dict[str, list[tuple[float, float]]] = {}
    for number in steps:
        for setting in settings:
            uneven = any(number % stride for _, _, stride in setting.parts)
            if uneven or not (again or judged.has(setting, number)):
                continue
            found = errors(judged.found(setting, number), reference, sites)
            print(told(f"{number} | {setting.title}", found), flush=True)
            result.setdefault(setting.title, []).append(
                (setting.effort(number), max(map(max, found)))
            )
    print(f"\n{judged.name}: pairs until the worst of these errors is {GOAL:g} %")
    for title, curve in result.items():
        print(f"| {title} | {effort_at_goal(curve)} |", flush=True)
    return result


def draw(panels: dict[str, dict[str, list[tuple[float, float]]]], path: str) -> None:
    """The worst error against pairs, both axes logarithmic, one panel a network."""
    shown = {
        "uniform, trapezoid (published)": (CONTROLS[0], "--", "o"),
        "uniform, secant": (CONTROLS[0], "-", "o"),
        "even arc, trapezoid": (CONTRIBUTION, "--", "s"),
        "arc, secant (default)": (CONTRIBUTION, "-", "s"),
    }
    with styled():
        figure = blank(WIDTH, 2.3)
        for axes, (name, found) in zip(
            figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(),
            strict=True,
        ):  # fmt: skip
            for title, (colour, line, marker) in shown.items():
                if title not in found:
                    continue
                efforts, values = zip(*found[title], strict=True)
                look = {"color": colour, "linestyle": line, "marker": marker, "label": title}
                axes.loglog(efforts, values, **look)
            axes.axhline(GOAL, color=CONTROLS[1], linewidth=0.8)
            axes.set_title(name)
            axes.set_xlabel("forward-backward pairs")
            ticks = sorted({int(effort) for effort, _ in found["arc, secant (default)"]})
            axes.set_xticks(ticks[:: 1 + len(ticks) // 5], minor=False)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.minorticks_off()
        left = figure.axes[0]
        left.set_ylabel("error of the worst site (%)")
        left.set_yticks([1, 2, 5, 10, 20, 50, 100])
        left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        save(figure, path)


def main() -> None:
    """Measure the network that the command line names, or draw what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", choices=NAMES)
    parser.add_argument("--steps", default="5,10,20")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--reference", type=int, default=160)
    parser.add_argument("--settings", default="", help="only those whose titles hold one of these")
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--figure", help="draw all that is kept, and tell it once more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", CompletenessWarning)
    words = options.settings.split(",")
    settings = [each for each in SETTINGS if any(word in each.title for word in words)]
    if options.network:
        judged = Judged(options.network, options.images, options.keep)
        steps = [int(number) for number in options.steps.split(",")]
        curves(judged, steps, options.reference, settings, again=True)
    if options.figure:
        panels = {}
        for name in NAMES:
            for folder in options.keep.glob(f"{name}-*"):
                judged = Judged(name, int(folder.name.removeprefix(f"{name}-")), options.keep)
                *steps, many = judged.kept()
                if steps:
                    panels[name] = curves(judged, steps, many, settings, again=False)
        draw(panels, options.figure)


if __name__ == "__main__":
    main()
