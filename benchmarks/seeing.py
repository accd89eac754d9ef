"""Sanity checks of mode maps on EfficientNet-Lite0: do they depend on network, mode and class?

Modes are computed from 24 photographs of each of ten ImageNet classes; maps are of other ones.

    CODECLENS_BENCH=… python -m benchmarks.seeing --keep FOLDER                  # all three checks
    CODECLENS_BENCH=… python -m benchmarks.seeing curves --images 3 --keep FOLDER

*randomisation*: rank correlation of a map with the map of the same network after its weights were
randomised from the output to the input. *curves*: the area under deletion curves, of what the mode
contributes and of the logit, and under insertion curves of the logit, by order of the mode's map,
of plain saliency and of noise. *localisation*: two photographs side by side; how much of the map of
a class's own mode lies in the half with that class.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import codeclens as cl
from benchmarks.material import bench
from codeclens import zoo
from codeclens.attribution import contributions
from codeclens.decomposition import Modes, load_modes, save_modes, shares_of
from codeclens.visualization import (
    deletion_curve,
    path_maps,
    pixel_map,
    place_maps,
    randomisation_test,
    share_inside,
    side_by_side,
    smooth,
    spread,
)

# Folders of the bench, with the numbers and names of their classes.
CLASSES = {
    "n01440764": (0, "tench"),
    "n02102040": (217, "English springer"),
    "n02979186": (482, "cassette player"),
    "n03000684": (491, "chain saw"),
    "n03028079": (497, "church"),
    "n03394916": (566, "French horn"),
    "n03417042": (569, "garbage truck"),
    "n03425413": (571, "gas pump"),
    "n03445777": (574, "golf ball"),
    "n03888257": (701, "parachute"),
}
SITES = ["blocks.4.2", "blocks.6.0"]
LEARNED, FIRST = 24, 40
LAYERS = ["classifier", "conv_head", *(f"blocks.{i}" for i in range(6, -1, -1)), "conv_stem"]
STEPS = 10
# Sums are exact at any number of steps; these must be computed for many inputs.
FEW, FEWEST = (cl.Conductance(steps, nodes="geometric") for steps in (5, 3))
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
# Pixels: all orders of deletion are equally smooth.
SMOOTH = 4.0
PATH, PLACES = "mode, along the path", "mode, at the site's places"

Maps = dict[str, Tensor]


@dataclass(frozen=True)
class Photographs:
    """Photographs of the ten classes, as (input, number of the class among the ten)."""

    transform: Callable[[Image.Image], Tensor]
    first: int
    count: int

    def __len__(self) -> int:
        return self.count * len(CLASSES)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        number, place = divmod(row, self.count)
        folder = bench() / "imagenette_val" / list(CLASSES)[number]
        with Image.open(sorted(folder.iterdir())[self.first + place]) as image:
            return self.transform(image.convert("RGB")), number

    def other(self, row: int, classes: int = 0) -> tuple[Tensor, int]:
        """Photographs of all classes in turn, their first ones first; `classes` further on."""
        turn, number = divmod(row, len(CLASSES))
        number = (number + classes) % len(CLASSES)
        return self[number * self.count + turn % self.count]


def learned(ready: zoo.Ready, keep: Path) -> dict[str, Modes]:
    """The modes, from the folder or computed."""
    if not (keep / "modes").is_dir():
        store = cl.extract(
            ready.model, Photographs(ready.transform, 0, LEARNED), sites=SITES,
            method=cl.Conductance(STEPS), to=keep / "store.zarr", batch_size=8, shard_size=48,
        )  # fmt: skip
        names = tuple(name for _, name in CLASSES.values())
        found = cl.decompose(store, cl.NMF(n_modes=24), seed=0)
        save_modes({site: replace(m, classes=names) for site, m in found.items()}, keep / "modes")
    return load_modes(keep / "modes")


def strongest(model: nn.Module, x: Tensor, modes: Modes, target: object) -> int:
    """The mode that contributes most to the target of one input."""
    found = contributions(model, x, sites=modes.site, target=target, method=FEWEST)
    shares = shares_of(modes, found[modes.site], most=len(modes))
    known = shares.mode[0] < len(modes)
    return int(shares.mode[0][known][shares.contribution[0][known].argmax()])


def at_places(model: nn.Module, x: Tensor, modes: Modes, mode: int, target: object) -> Tensor:
    """The place map of a mode, spread over the pixels, `(1, H, W)`."""
    found = contributions(
        model, x, sites=modes.site, target=target, method=FEW, reduce=None
    )  # fmt: skip
    plane = place_maps(modes, found, [mode]).of(0, mode)
    return torch.from_numpy(spread(plane, x.shape[2:]))[None].float()


def gradient(model: nn.Module, x: Tensor, output: int) -> Tensor:
    start = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(model(start)[:, output].sum(), start)
    return found


def orders(model: nn.Module, x: Tensor, modes: Modes, mode: int, output: int, seed: int) -> Maps:
    """Maps `(1, H, W)` whose order is compared: of the mode three ways, and three that are not."""
    target = cl.Output(output)
    slope = gradient(model, x, output)
    noise = torch.randn(1, *x.shape[2:], generator=torch.Generator().manual_seed(seed))
    (path,) = path_maps(model, x, modes, [mode], method=FEW, target=target)
    maps = {
        PATH: path.net,
        "mode, three units at x": pixel_map(model, x, mode=modes[mode], target=target).net,
        "gradient × input": slope * x,
    }  # fmt: skip
    summed = {name: found.sum(dim=1) for name, found in maps.items()}
    summed |= {"saliency": slope.abs().amax(dim=1), "noise": noise}
    summed[PLACES] = at_places(model, x, modes, mode, target)
    return {name: smooth(found, SMOOTH) for name, found in summed.items()}


def curves(model: nn.Module, modes: dict[str, Modes], held: Photographs, images: int) -> None:
    areas: dict[tuple[str, str], list[list[float]]] = {}
    numbers = [number for number, _ in CLASSES.values()]
    for row in range(images):
        x, label = held.other(row)
        x, output = x[None], numbers[label]
        for site, own in modes.items():
            mode = strongest(model, x, own, cl.Output(output))

            def of_mode(x: Tensor, own: Modes = own, mode: int = mode, out: int = output) -> Tensor:
                found = contributions(
                    model, x, sites=own.site, target=cl.Output(out), method=FEWEST
                )
                shares = shares_of(own, found[own.site], most=len(own))
                return torch.from_numpy(shares.only([mode]).contribution[:, 0])

            def logit(x: Tensor, out: int = output) -> Tensor:
                with torch.no_grad():
                    return model(x)[:, out]

            # The ends are the same for all orders.
            known: dict[bytes, Tensor] = {}

            def of_mode_once(x: Tensor, known: dict = known, of: Callable = of_mode) -> Tensor:
                key = x.numpy().tobytes()
                known[key] = known[key] if key in known else of(x)
                return known[key]

            for name, order in orders(model, x, own, mode, output, row).items():
                found = [
                    deletion_curve(of_mode_once, x, order, fractions=FRACTIONS),
                    deletion_curve(logit, x, order, fractions=FRACTIONS),
                    deletion_curve(logit, x, order, fractions=FRACTIONS, insert=True),
                ]
                areas.setdefault((site, name), []).append([float(c.area[0]) for c in found])
        print(f"{row + 1} of {images} photographs", flush=True)
    print("\n| site | order | deletion: the mode | deletion: the logit | insertion: the logit |")
    print("|---|---|---|---|---|")
    for (site, name), values in areas.items():
        told = [f"{np.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in np.transpose(values)]
        print(f"| {site} | {name} | {' | '.join(told)} |")
    print(
        f"\nIn how many of {images} photographs the map along the path does better than the other:"
    )
    print("\n| site | other | deletion: the mode | deletion: the logit | insertion: the logit |")
    print("|---|---|---|---|---|")
    for (site, name), values in areas.items():
        if name != PATH:
            gain = (np.array(values) - areas[site, PATH]) * (1, 1, -1)
            told = [str(int(count)) for count in (gain > 0).sum(axis=0)]
            print(f"| {site} | {name} | {' | '.join(told)} |")


def localisation(model: nn.Module, modes: dict[str, Modes], held: Photographs, images: int) -> None:
    shares: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    numbers = [number for number, _ in CLASSES.values()]
    for row in range(images):
        pair = held.other(row), held.other(row, 5)
        x, halves = side_by_side(pair[0][0][None], pair[1][0][None])
        for (_, label), half in zip(pair, halves, strict=True):
            target = cl.Output(numbers[label])
            slope = gradient(model, x, numbers[label])
            maps = {("", "gradient × input"): slope * x, ("", "saliency"): slope.abs()}
            for site, own in modes.items():
                mode = own.for_class(label)
                (path,) = path_maps(model, x, own, [mode.index], method=FEW, target=target)
                at_x = pixel_map(model, x, mode=mode, target=target)
                maps[site, PATH] = path.net
                maps[site, PLACES] = at_places(model, x, own, mode.index, target)[:, None]
                maps[site, "mode, three units at x"] = at_x.net
            for key, map_ in maps.items():
                inside = float(share_inside(smooth(map_.sum(dim=1), SMOOTH), half))
                own_half = float(map_[(..., *half.slices)].sum())
                more = own_half > float(map_.sum()) - own_half
                shares.setdefault(key, []).append((inside, more))
        print(f"{row + 1} of {images} composites", flush=True)
    print(
        "\n| site | map of a class | strength in its half | more than half, in | sum larger, in |"
    )
    print("|---|---|---|---|---|")
    for (site, name), found in shares.items():
        known = [inside for inside, _ in found if np.isfinite(inside)]
        right = sum(value > 0.5 for value in known)
        low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
        spread = f"{middle:.0%} ({low:.0%} to {high:.0%})"
        larger = f"{sum(more for _, more in found)} of {len(found)}"
        print(f"| {site} | {name} | {spread} | {right} of {len(known)} | {larger} |")


def randomisation(
    model: nn.Module, modes: dict[str, Modes], held: Photographs, images: int
) -> None:
    numbers = [number for number, _ in CLASSES.values()]
    ranks: dict[tuple[str, str], list[np.ndarray]] = {}
    for row in range(images):
        x, label = held.other(row)
        x, output = x[None], numbers[label]

        def edges(_: nn.Module, x: Tensor) -> Tensor:
            grey = x.mean(dim=1)
            return torch.hypot(*torch.gradient(grey, dim=(1, 2)))

        def plain(model: nn.Module, x: Tensor, out: int = output) -> Tensor:
            return smooth((gradient(model, x, out) * x).sum(dim=1), SMOOTH)

        made: dict[tuple[str, str], Callable[[nn.Module, Tensor], Tensor]] = {
            ("", "gradient × input"): plain,
            ("", "edges of the photograph"): edges,
        }
        for site, own in modes.items():
            mode = own[strongest(model, x, own, cl.Output(output))]

            def of_mode(model: nn.Module, x: Tensor, m: object = mode, out: int = output) -> Tensor:
                found = pixel_map(model, x, mode=m, target=cl.Output(out))
                return smooth(found.net.sum(dim=1), SMOOTH)

            made[site, "mode, three units at x"] = of_mode
        for key, maps in made.items():
            found = randomisation_test(maps, model, x, LAYERS, seed=row)
            ranks.setdefault(key, []).append(found.rank[:, 0])
        print(f"{row + 1} of {images} photographs", flush=True)
    print(f"\n| site | map | {' | '.join(LAYERS)} |\n|---|---|{'---|' * len(LAYERS)}")
    for (site, name), values in ranks.items():
        middle = np.nanmedian(values, axis=0)
        print(f"| {site} | {name} | {' | '.join(f'{value:.2f}' for value in middle)} |")


def draw(ready: zoo.Ready, modes: dict[str, Modes], path: Path) -> None:
    """Explain a photograph that may be shown, the coffee of scikit-image."""
    image = dict(zoo.demo_photographs())["coffee"]
    explanation = cl.explain(
        ready.model, ready.transform(image)[None], modes["blocks.6.0"], most=4,
        method=cl.Conductance(STEPS), target=cl.Contrast(), classes=ready.labels,
        picture=ready.transform.picture(image),
    )  # fmt: skip
    print("\n".join(explanation.sentences()))
    explanation.save(path)


CHECKS = {"randomisation": randomisation, "curves": curves, "localisation": localisation}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checks", nargs="*", help=f"{', '.join(CHECKS)}; all unless said")
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--keep", type=Path, required=True, help="where modes are kept")
    parser.add_argument("--figure", type=Path, help="draw an explanation there, and check nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ready = zoo.load("efficientnet-lite0")
    ready.model.requires_grad_(False)
    modes = learned(ready, given.keep)
    if given.figure:
        draw(ready, modes, given.figure)
        return
    held = Photographs(ready.transform, FIRST, 3)
    for name in given.checks or CHECKS:
        print(f"\n{name}", flush=True)
        CHECKS[name](ready.model, modes, held, given.images)


if __name__ == "__main__":
    main()
