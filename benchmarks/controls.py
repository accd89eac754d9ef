"""Do modes select units better than controls? Control curves of all classes, on real networks.

Modes are computed from the contributions of some images. On other images the units of each class's
mode are ablated and preserved, and so are the units that each control selects. A test over classes
says which selection is more selective. Then each mode is removed, and kept alone, and the effect is
compared with its contribution.

    python -m benchmarks.controls digits-resnet --to FOLDER
    CODECLENS_BENCH=… python -m benchmarks.controls cifar-resnet56 --sites layer2.8,layer3.4
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
import torch
from torch import Tensor

import codeclens as cl
from benchmarks.material import Material, material
from codeclens import zoo
from codeclens.analysis import save_table
from codeclens.control import (
    ALL,
    control_curves,
    covering,
    curves_figure,
    necessity,
    necessity_figure,
)
from codeclens.decomposition import Modes
from codeclens.visualization import save

FRACTIONS = (0.02, 0.05, 0.1, 0.18, 0.25, 0.5, 0.8)
STEPS, TRIALS = 5, 3
# What is measured by default: sites, images for modes, images for curves, images for necessity.
SIZES = {
    "digits-resnet": ("blocks.2,blocks.4,blocks.5", 1500, 300, 64),
    "efficientnet-imagenette": ("blocks.6.0", 120, 60, 0),
    "cifar-resnet56": ("layer2.8,layer3.2,layer3.7", 1500, 300, 48),
}


def halves(of: Material, found_in: int, measured: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Images and labels that modes are found in, and others that are measured on."""
    if of.name == "digits-resnet":
        x, labels = zoo.digits_data("train")
        first = x[:found_in], labels[:found_in]
        rows = list(range(measured))
    else:
        rows = list(range(found_in))
        first = of.images(rows), torch.from_numpy(of.labels[rows])
        rows = list(range(len(of.labels) - measured, len(of.labels)))
    return first, (of.images(rows), torch.from_numpy(of.labels[rows]))


def study(
    of: Material,
    sites: Sequence[str],
    sizes: Sequence[int],
    method: str,
    to: Path,
    seed: int,
    groups: dict[str, list[int]],
) -> None:
    """Print the sentences of every site, and write tables and figures into a folder."""
    training, held_out = halves(of, sizes[0], max(sizes[1], sizes[2]))
    with tempfile.TemporaryDirectory() as folder:
        store = cl.extract(
            of.model, training, sites=list(sites), method=cl.Conductance(steps=STEPS),
            to=Path(folder) / "c.zarr", classes=list(of.classes), batch_size=32,
        )  # fmt: skip
        modes = {site: found(store, site, method, seed) for site in store.sites}
        for site, one in modes.items():
            print(f"\n{of.name}, {one!r}")
            stem = to / f"{of.name}-{method}-{site}"
            if sizes[1]:
                measured = held_out[0][: sizes[1]], held_out[1][: sizes[1]]
                report_curves(of, one, measured, store, training, stem, seed, groups)
            if sizes[2]:
                report_necessity(of, one, held_out[0][: sizes[2]], stem, seed)


def found(store: cl.ContributionStore, site: str, method: str, seed: int) -> Modes:
    """Three modes a unit, 8 in a sample, or 20 by NMF; of few samples half as many as they."""
    kind: cl.TopK | cl.NMF = cl.NMF(n_modes=20)
    if method == "topk":
        few = len(store.label) // 2 < 3 * store.units(site)
        kind = cl.TopK(n_modes=len(store.label) // 2, k=8) if few else cl.TopK(expansion=3, k=8)
    return cl.decompose(store, kind, sites=[site], seed=seed)[site]


def report_curves(
    of: Material,
    modes: Modes,
    data: tuple[Tensor, Tensor],
    store: cl.ContributionStore,
    training: tuple[Tensor, Tensor],
    stem: Path,
    seed: int,
    groups: dict[str, list[int]],
) -> None:
    """Print what ablation and preservation of all classes' modes do, and of all controls."""
    start = time.perf_counter()
    runs = [
        control_curves(
            of.model, data, modes, kind=acting, controls=ALL, store=store,
            training=training, fractions=FRACTIONS, trials=TRIALS, seed=seed,
            superclasses=groups or None,
        )
        for acting in ("ablate", "preserve")
    ]  # fmt: skip
    print(f"both kinds in {time.perf_counter() - start:.0f} s")
    print("\n".join(line for curves in runs for line in curves.sentences()))
    for curves in runs if groups else []:
        for curve in curves:
            selectivities = (
                f"{name} {curves.of(curve, name).selectivity}" for name in curves.names
            )
            print(f"{curves.kind}, {curve.class_name}: {'; '.join(selectivities)}")
    save(curves_figure(runs), Path(f"{stem}.png"))
    table = pandas.concat([curves.to_dataframe() for curves in runs])
    save_table(Path(f"{stem}.csv"), table)


def report_necessity(of: Material, modes: Modes, x: Tensor, stem: Path, seed: int) -> None:
    """Print how removal and keeping alone compare with what contributions predict.

    Once with exactly the mode's share of each unit, and once with whole units.
    """
    for name, acting in (("exact", None), ("units", covering(0.5))):
        found = necessity(
            of.model, x, modes, acting=acting, method=cl.Conductance(steps=STEPS), seed=seed
        )
        print(f"necessity, {name}:\n" + "\n".join(found.sentences(3)), flush=True)
        save(necessity_figure(found), Path(f"{stem}-necessity-{name}.png"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=sorted(SIZES))
    parser.add_argument("--sites", help="separated by commas")
    parser.add_argument("--method", choices=("topk", "nmf"), default="topk")
    parser.add_argument("--images", type=int, help="images for curves, 0 for none")
    parser.add_argument("--found-in", type=int, help="images that modes are found in")
    parser.add_argument("--necessity", type=int, help="images for necessity, 0 for none")
    parser.add_argument(
        "--superclass", nargs="*", default=[], help="NAME=NUMBER,NUMBER,…, instead of all classes"
    )
    parser.add_argument("--to", type=Path, default=Path("controls"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    sites, *sizes = SIZES[options.network]
    given = (options.found_in, options.images, options.necessity)
    sizes = [b if a is None else a for a, b in zip(given, sizes, strict=True)]
    np.set_printoptions(precision=3)
    sites = (options.sites or sites).split(",")
    pairs = (text.split("=") for text in options.superclass)
    groups = {name: [int(number) for number in numbers.split(",")] for name, numbers in pairs}
    of = material(options.network)
    study(of, sites, sizes, options.method, options.to, options.seed, groups)


if __name__ == "__main__":
    main()
