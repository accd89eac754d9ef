"""Do modes of contributions give greater control than modes of activations?

Twenty modes by NMF are found in half of the images, from contributions and from activations of the
same site, with the same settings. In other images the units of each class's best mode are switched
off, or all others are, and accuracy and logits of the class are compared with those of the others.
Controls: activation modes with both off values, sums of modes, gradient × activation with matching
off values, class means and contrasts, single channels, chance, modes of contributions to one fixed
target, the gradient of a cluster of activations, and a learned mask. Exact
removal by sign is compared with permuted units and with each image's own contributions. Merged
classes ask for two rankings that each hit one half of a class.

The command resumes: parts that are saved are not measured again.

    CODECLENS_BENCH=… python -m benchmarks.control_study efficientnet-imagenette --to FOLDER
    CODECLENS_BENCH=… python -m benchmarks.control_study cifar-resnet20 --to FOLDER --seeds 3
    python -m benchmarks.control_study efficientnet-imagenette --to FOLDER --tables

The tests were fixed before the first run (`tables.FAMILIES`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.control_study import tables
from benchmarks.control_study.parts import Data, Sizes, all_parts, run
from benchmarks.material import material

# The sites, the most important first; images found in, measured on, and for merged classes.
NETWORKS = {
    "efficientnet-imagenette": (
        "blocks.4.2,blocks.5.3,blocks.6.0,blocks.3.2,blocks.2.1", (240, 100, 200)
    ),
    "cifar-resnet20": ("layer2.2,layer3.0,layer3.1,layer1.2,layer2.0", (1500, 500, 500)),
    "cifar-resnet56": ("layer3.4,layer2.8,layer3.0,layer2.4,layer1.8", (1500, 400, 400)),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the parts of one network that are missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("--to", type=Path, required=True, help="the folder of results")
    parser.add_argument("--sites", help="separated by commas")
    parser.add_argument("--images", type=int, nargs=3, metavar=("FOUND", "MEASURED", "MERGED"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", help=f"separated by commas, of {', '.join(all_parts(3))}")
    parser.add_argument("--tables", action="store_true", help="only write the tables")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sites, sizes = NETWORKS[options.network]
    folder = options.to / options.network
    if not options.tables:
        # Contributions are extracted at all sites at once, whichever are measured now.
        images = Sizes(*(options.images or sizes))
        data = Data(material(options.network), tuple(sites.split(",")), images, folder)
        chosen = (options.sites or sites).split(",")
        only = options.parts.split(",") if options.parts else None
        run(data, chosen, options.seeds, only, lambda line: print(line, flush=True))
    files = sorted((folder / "parts").glob("*.json"))
    found = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
    text = tables.report(found)
    (folder / "tables.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
