"""What was tried: networks, and settings of the decomposition, by the choosing film alone.

python -m benchmarks.retina.tried --keep FOLDER            # settings of the decomposition
python -m benchmarks.retina.tried --keep FOLDER --fits     # networks and their fits
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.retina.candidates import makers, signs_apart
from benchmarks.retina.networks import CONFIGURATIONS
from benchmarks.retina.recovery import table
from benchmarks.retina.study import Network, Size, Study, Target
from codeclens.decomposition import NMF, PCA, Estimator, SemiNMF, TopK

SETTINGS: tuple[tuple[str, Estimator, Target], ...] = (
    ("NMF, 4", NMF(n_modes=4), "rate"),
    ("NMF, 6", NMF(n_modes=6), "rate"),
    ("NMF, 8", NMF(n_modes=8), "rate"),
    ("NMF, 12", NMF(n_modes=12), "rate"),
    ("NMF, 16", NMF(n_modes=16), "rate"),
    ("NMF, 24", NMF(n_modes=24), "rate"),
    ("SemiNMF, 8", SemiNMF(n_modes=8), "rate"),
    ("PCA, 8", PCA(n_modes=8), "rate"),
    ("TopK, 16, k 4", TopK(n_modes=16, k=4), "rate"),
    ("drive: NMF, 8", NMF(n_modes=8), "drive"),
    ("drive: NMF, 16", NMF(n_modes=16), "drive"),
)


def rows(network: Network, settings: Sequence[tuple[str, Estimator, Target]]) -> list[list[str]]:
    """Mean |r| of excitatory and inhibitory pathways, by modes of contributions and activations."""
    pathways = network.study.pathways
    found = []
    for label, method, target in settings:
        make = makers(method)
        row = [label]
        for name in ("contribution modes", "activation modes"):
            scores = [one.held for one in network.recovery(make[name], "choosing", target)]
            for kind in (True, False):
                here = [
                    s for s, one in zip(scores, pathways, strict=True) if one.excitatory == kind
                ]
                row.append(f"{np.mean(here):.2f}")
        found.append(row)
    return found


def apart(network: Network, modes: int) -> list[str]:
    """The same for so many modes of excitation and as many of inhibition."""
    scores = network.recovery(signs_apart(NMF(n_modes=modes)), "choosing")
    row = [f"signs apart: NMF, {modes} + {modes}"]
    for kind in (True, False):
        pairs = zip(scores, network.study.pathways, strict=True)
        row.append(f"{np.mean([s.held for s, one in pairs if one.excitatory == kind]):.2f}")
    return [*row, "", ""]


def fits(study: Study) -> list[list[str]]:
    """How well every network says the circuit's rates and fields, on the choosing film."""
    found = []
    for name, about in CONFIGURATIONS.items():
        network = study.network(name, about, 0)
        r = network.r("choosing")
        each, together = network.cosines("choosing")
        frames = round((about.natural + about.white) * study.circuit.rate * about.epochs / 1000)
        values = (r[4], np.mean(r[5:]), np.mean(r), np.mean(each), np.mean(together))
        found.append([name, f"{frames}", *(f"{value:.2f}" for value in values)])
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where fits and contributions are kept")
    parser.add_argument("--network", default="fine", choices=CONFIGURATIONS)
    parser.add_argument("--fits", action="store_true", help="networks in place of modes")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study = Study(Size(), given.keep)
    if given.fits:
        head = ("network", "1,000 frames", "r: oms", "r: ds", "r", "cosine", "of all frames")
        print(table(head, fits(study)))
        return
    network = study.network(given.network, CONFIGURATIONS[given.network], 0)
    head = (
        "modes", "contributions: excitatory", "inhibitory", "activations: excitatory", "inhibitory",
    )  # fmt: skip
    print(table(head, []))
    for modes in (4, 6):
        print(f"| {' | '.join(apart(network, modes))} |", flush=True)
    for setting in SETTINGS:
        print(f"| {' | '.join(rows(network, [setting])[0])} |", flush=True)


if __name__ == "__main__":
    main()
