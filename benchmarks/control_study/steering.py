"""One mode of a photograph, lowered and raised, and the class probabilities.

    CODECLENS_BENCH=… python -m benchmarks.control_study.steering --to FOLDER

takes the modes and the folder of the study (`benchmarks.control_study`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import codeclens as cl
from benchmarks.control_study.__main__ import NETWORKS
from benchmarks.control_study.parts import Data, Sizes
from benchmarks.material import material

NETWORK = "efficientnet-imagenette"
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
FAR = (-8.0, -4.0, -2.0, 0.0, 2.0, 4.0, 8.0)
TRUCK, PUMP = 569, 571


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each class: its own mode in one photograph, and in one of another class."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, required=True, help="the folder of the study")
    parser.add_argument("--site", default="blocks.5.3")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sites, sizes = NETWORKS[NETWORK]
    data = Data(material(NETWORK), tuple(sites.split(",")), Sizes(*sizes), options.to / NETWORK)
    modes, (x, labels) = data.modes(options.site, 0), data.held_out
    names = data.of.classes
    print("class | its mode, r | mean probability at strengths " + " ".join(map(str, STRENGTHS)))
    others: dict[str, list[float]] = {}
    for which in data.classes:
        mode = modes.for_class(which)
        rows = torch.nonzero(labels == which).flatten()
        elsewhere = torch.nonzero(labels != which).flatten()[:: max(1, len(labels) // 12)]
        found = []
        for strength in STRENGTHS:
            with torch.no_grad(), cl.steer(data.of.model, mode, strength):
                probability = data.of.model(x[rows]).softmax(dim=1)[:, which]
                spread = data.of.model(x[elsewhere]).softmax(dim=1)[:, which]
            found.append(f"{float(probability.mean()):.2f}")
            others.setdefault(names[which], []).append(float(spread.mean()))
        r = modes.class_correlation()[mode.index, which]
        print(f"{names[which]} | {mode.index}, {r:.2f} | {' '.join(found)} | in other classes: "
              + " ".join(f"{value:.2f}" for value in others[names[which]]))  # fmt: skip
    image = x[labels == TRUCK][:1]
    for which in (TRUCK, PUMP):
        mode = modes.for_class(which)
        print(f"\nThe first photograph of a {names[TRUCK]}, along mode {mode.index}:")
        for strength in FAR:
            with torch.no_grad(), cl.steer(data.of.model, mode, strength):
                probability = data.of.model(image).softmax(dim=1)[0]
            top = np.argsort(-probability.numpy())[:2]
            words = ", ".join(f"{names[int(i)]} {float(probability[i]):.2f}" for i in top)
            print(f"{strength:+.0f}: {words}; {names[which]} {float(probability[which]):.3f}")


if __name__ == "__main__":
    main()
