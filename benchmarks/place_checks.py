"""Checks of the place maps of the modes that ship, on photographs that no mode was learned from.

    CODECLENS_BENCH=… python -m benchmarks.place_checks localisation --images 100 --to places.jsonl
    CODECLENS_BENCH=… python -m benchmarks.place_checks curves --images 100 --to curves.jsonl
    CODECLENS_BENCH=… python -m benchmarks.place_checks randomisation --to randomisation.jsonl

*localisation*: two photographs side by side; how much of the map of a class's own mode lies in the
half with that class. *curves*: the area under deletion and insertion curves of the logit, by order
of the place map of the mode that contributes most, of two gradients and of noise.
*randomisation*: the rank correlation of a map with that of the same network after its weights were
mixed up from the output down to a layer; none where the mode is no longer active. Rows that are in
the file already are not computed again. Intervals are bootstraps over photographs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor, nn

import codeclens as cl
from benchmarks.ready_modes import SEED, Photograph, key_of, photographs
from benchmarks.seeing import CLASSES, SMOOTH, gradient
from codeclens import zoo
from codeclens.decomposition import Modes, shares_of
from codeclens.visualization import (
    deletion_curve,
    place_maps,
    randomised,
    share_inside,
    side_by_side,
    smooth,
    spread,
)

NAME = "efficientnet-lite0"
SITES = ("blocks.4.2", "blocks.5.3", "blocks.6.0")
FRACTIONS = (0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
# Sums are exact at any number of steps.
METHOD = cl.Conductance(4, nodes="geometric")
RESAMPLES = 2000
# Weights are mixed up from the output down to each of these.
LAYERS = ("classifier", "conv_head", "blocks.6", "blocks.4", "blocks.2", "blocks.0", "conv_stem")


class Held:
    """Photographs of the ten classes in turn, none among those that modes were learned from."""

    def __init__(self, transform: object, modes: Modes) -> None:
        assert modes.keys is not None
        unseen = set(modes.keys[modes.fitted.held_out_rows])
        known = [one for one in photographs() if key_of(one.key) in unseen]
        order = np.random.default_rng(SEED).permutation(len(known))
        self.transform = transform
        self.by_class: dict[str, list[Photograph]] = {name: [] for name in CLASSES}
        for row in order:
            folder = known[row].file.parent.name
            if folder in self.by_class and known[row].key.startswith("imagenette"):
                self.by_class[folder].append(known[row])

    def __call__(self, row: int) -> tuple[Tensor, int, str]:
        """One photograph as the network's input, with the number and the name of its class."""
        turn, place = divmod(row, len(CLASSES))
        folder = list(CLASSES)[place]
        with Image.open(self.by_class[folder][turn].file) as image:
            x = self.transform(image.convert("RGB"))[None]  # type: ignore[operator]
        number, _ = CLASSES[folder]
        return x, number, folder


def maps_at(
    model: nn.Module, x: Tensor, modes: dict[str, Modes], output: int, which: dict[str, int] | None
) -> dict[str, Tensor]:
    """The place map of one mode a site, spread over the pixels; of the strongest unless given."""
    found = cl.contributions(
        model, x, sites=list(modes), target=cl.Output(output), method=METHOD, reduce=None
    )
    maps = {}
    for site, own in modes.items():
        if which is None:
            shares = shares_of(own, found[site], most=len(own))
            known = (shares.mode[0] >= 0) & (shares.mode[0] < len(own))
            mode = int(shares.mode[0][known][shares.contribution[0][known].argmax()])
        else:
            mode = which[site]
        plane = place_maps(own, found, [mode]).of(0, mode)
        maps[f"{site}, place map"] = torch.from_numpy(spread(plane, x.shape[2:]))[None].float()
    return maps


def others(model: nn.Module, x: Tensor, output: int) -> dict[str, Tensor]:
    slope = gradient(model, x, output)
    return {"gradient × input": (slope * x).sum(dim=1), "saliency": slope.abs().amax(dim=1)}


def localisation(
    model: nn.Module, modes: dict[str, Modes], held: Held, rows: range
) -> Iterator[dict[str, object]]:
    """For each class of each pair, and each map: the share of its strength in the class's half."""
    own = {site: one.for_class for site, one in modes.items()}
    labels = zoo.load(NAME).labels or []
    for row in rows:
        (left, first, _), (right, second, _) = held(row), held(row + 5 - 10 * (row % 10 >= 5))
        x, halves = side_by_side(left, right)
        for output, half in zip((first, second), halves, strict=True):
            which = {site: of(labels[output]).index for site, of in own.items()}
            maps = maps_at(model, x, modes, output, which) | others(model, x, output)
            for name, map_ in maps.items():
                inside = float(share_inside(smooth(map_, SMOOTH), half))
                yield {"row": row, "class": output, "map": name, "inside": inside}


def curves(
    model: nn.Module, modes: dict[str, Modes], held: Held, rows: range
) -> Iterator[dict[str, object]]:
    """For each photograph and each order: the areas under deletion and insertion curves."""
    for row in rows:
        x, output, _ = held(row)
        maps = maps_at(model, x, modes, output, None) | others(model, x, output)
        noise = torch.Generator().manual_seed(row)
        maps["noise"] = torch.randn(1, *x.shape[2:], generator=noise)
        ends: dict[bytes, Tensor] = {}

        def logit(x: Tensor, output: int = output, ends: dict[bytes, Tensor] = ends) -> Tensor:
            key = x.numpy().tobytes()
            if key not in ends:
                with torch.no_grad():
                    ends[key] = model(x)[:, output]
            return ends[key]

        for name, map_ in maps.items():
            order = smooth(map_, SMOOTH)
            areas = [
                float(deletion_curve(logit, x, order, fractions=FRACTIONS, insert=i).area[0])
                for i in (False, True)
            ]
            yield {"row": row, "map": name, "deletion": areas[0], "insertion": areas[1]}


def randomisation(
    model: nn.Module, modes: dict[str, Modes], held: Held, rows: range
) -> Iterator[dict[str, object]]:
    """For each photograph and layer: how a map changes as weights are mixed up down to there."""
    own = {site: one.for_class for site, one in modes.items()}
    labels = zoo.load(NAME).labels or []
    for row in rows:
        x, output, _ = held(row)
        which = {site: of(labels[output]).index for site, of in own.items()}

        def maps(
            net: nn.Module, x: Tensor = x, output: int = output, which: dict[str, int] = which
        ) -> dict[str, np.ndarray]:
            slope = (gradient(net, x, output) * x).sum(dim=1)
            found = maps_at(net, x, modes, output, which) | {"gradient × input": slope}
            return {name: one.abs().double().flatten().numpy() for name, one in found.items()}

        before = maps(model)
        for layer, mixed in randomised(model, LAYERS, seed=row):
            for name, after in maps(mixed).items():
                there = before[name].any() and after.any()
                rank = float(spearmanr(before[name], after).statistic) if there else float("nan")
                yield {"row": row, "map": f"{name}, {layer}", "rank": rank}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    random = np.random.default_rng(SEED)
    drawn = random.integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), [0.025, 0.975])
    return float(low), float(high)


def told(rows: list[dict[str, float]], figures: tuple[str, ...]) -> None:
    """Print the median and its interval of each map, and how often it is right."""
    for name in dict.fromkeys(row["map"] for row in rows):
        of_map = [row for row in rows if row["map"] == name]
        parts = []
        for figure in figures:
            values = np.array([row[figure] for row in of_map])
            values = values[np.isfinite(values)]
            if not len(values):
                parts.append(f"{figure}: none")
                continue
            low, high = interval(values)
            parts.append(f"{figure} {np.median(values):.3f} ({low:.3f} to {high:.3f})")
        if figures == ("inside",):
            parts.append(f"more than half in {int((values > 0.5).sum())} of {len(values)}")
        print(f"{name}: {'; '.join(parts)}; n {len(values)} of {len(of_map)}")


Check = Callable[[nn.Module, dict[str, Modes], Held, range], Iterator[dict[str, object]]]
CHECKS: dict[str, tuple[Check, tuple[str, ...]]] = {
    "localisation": (localisation, ("inside",)),
    "curves": (curves, ("deletion", "insertion")),
    "randomisation": (randomisation, ("rank",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("check", choices=list(CHECKS))
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--modes", type=Path, help="a folder of modes [default: those that ship]")
    parser.add_argument("--to", type=Path, required=True, help="rows are appended here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ready = zoo.load(NAME)
    ready.model.requires_grad_(False)
    shipped = {} if options.modes else cl.ready_modes(NAME)
    modes = {s: shipped[s] if shipped else Modes.load(options.modes / s) for s in SITES}
    done: list[dict[str, float]] = []
    if options.to.exists():
        done = [json.loads(line) for line in options.to.read_text().splitlines()]
    first = 1 + max((int(row["row"]) for row in done), default=-1)
    check, figures = CHECKS[options.check]
    held = Held(ready.transform, modes[SITES[-1]])
    for row in range(first, options.images):
        found = list(check(ready.model, modes, held, range(row, row + 1)))
        with options.to.open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in found)
        done += found  # type: ignore[arg-type]
    told(done, figures)


if __name__ == "__main__":
    main()
