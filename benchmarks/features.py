"""Draw what drives the ready modes of EfficientNet-Lite0 most, and how long that takes.

python -m benchmarks.features --to docs/features.jpg
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

import codeclens as cl
from codeclens import zoo
from codeclens.visualization import feature_figure, feature_visualization

NAME = "efficientnet-lite0"
SIDE = 128
STEPS = 80
# Blocks from early to late, and a mode of each.
MODES = (
    *(("blocks.1.1", 1), ("blocks.2.1", 3), ("blocks.3.2", 2), ("blocks.4.2", 25)),
    *(("blocks.5.1", 3), ("blocks.5.3", 20), ("blocks.6.0", 4), ("blocks.6.0", 25)),
)


def main() -> None:
    """Draw the figure, and print a line for each mode."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--objective", default="loading")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ready, modes = zoo.load(NAME), cl.ready_modes(NAME)
    found, captions = [], []
    for site, number in MODES:
        mode = modes[site][number]
        start = time.process_time()
        one = feature_visualization(
            ready.model, mode, objective=options.objective, shape=(3, SIDE, SIDE), steps=STEPS,
            mean=ready.transform.mean, std=ready.transform.std,
        )  # fmt: skip
        seconds = time.process_time() - start
        name = mode.name or "no clear name"
        print(one, f"{seconds:.0f} CPU s; {name}", flush=True)
        found.append(one)
        captions.append(f"{site}, mode {number}\n{name}")
    # Photographs' noise has no place in a vector format, nor in a lossless one.
    feature_figure(found, captions=captions).savefig(
        options.to, dpi=130, pil_kwargs={"quality": 85}
    )


if __name__ == "__main__":
    main()
