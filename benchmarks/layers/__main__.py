"""Run the study: `python -m benchmarks.layers`; a killed run resumes.

    CODECLENS_BENCH=… python -m benchmarks.layers --folder study
    python -m benchmarks.layers digits-resnet digits-vit --folder study
    python -m benchmarks.layers efficientnet-lite0 --limit 500 --rules secant --folder study

For the blocks of each network (and MLPs, attention and heads of the transformer), by the secant
rule and by the published trapezoid, it writes a CSV and figures into the folder, and a table of the
three published claims. The same for ResNet-50 or ViT-B on a folder of ImageNet is
`codeclens extract --model torchvision:resnet50 --images imagenet/val --to run/c.zarr` and
`codeclens analyze run/c.zarr --to run/analysis`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.layers import vit
from benchmarks.layers.study import NAMES, RULES, markdown, row, statistics, subject
from codeclens.analysis import layer_figure
from codeclens.visualization import save


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="images of each network [default: all]")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES))
    views = ["sum", "concat", "positive", "negative"]
    parser.add_argument("--view", default="sum", choices=views, help="what stands for a unit")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for name in given.networks:
        found = subject(name, given.limit, given.folder)
        if name == "digits-vit":
            accuracy = vit.accuracy(found.model)
            print(f"digits-vit classifies {accuracy:.1%} of held-out digits correctly")
        for kind in found.sites:
            for rule in given.rules:
                result = statistics(found, kind, rule, given.steps, given.folder, given.view)
                rows.append(row(name, kind, rule, result))
                stem = given.folder / f"{name}-{kind}-{rule}"
                result.to_csv(stem.with_suffix(".csv"))
                for ending in (".svg", ".png"):
                    save(layer_figure(result), stem.with_suffix(ending))
                print("\n".join(result.sentences()), flush=True)
    print(markdown(rows))
    (given.folder / "claims.md").write_text(markdown(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
