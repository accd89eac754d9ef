"""Does flow predict the effect at the next site of removing a mode from one site?

Modes of the digits network are computed on training images. In held-out images every active mode is
removed from every block except the last. The change at the next block is compared with the flow and
with two other predictors. Prints the tables of docs/flow.md and writes its picture.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import codeclens as cl
from benchmarks.timing import paired
from codeclens import zoo
from codeclens.analysis import Agreement, Flow, FlowModel, flow_agreement, flow_figure
from codeclens.visualization import save

STEPS = 5
RIVALS = ("flow", "product of contributions", "correlation of loadings")


def table(agreements: Sequence[Agreement], fixed: bool, resamples: int = 500) -> str:
    """Rank correlations with their intervals, one row for each pair of sites."""
    lines = [f"| pair of sites | {' | '.join(RIVALS)} |", "|---" * (len(RIVALS) + 1) + "|"]
    for one in agreements:
        ranks = one.ranks(fixed=fixed, resamples=resamples)
        cells = " | ".join(str(ranks[name]) for name in RIVALS)
        lines.append(f"| {one.source} → {one.sink} | {cells} |")
    return "\n".join(lines)


def sums(found: Flow) -> str:
    """Errors of sums, the largest over samples, and the share of the flow between modes."""
    lines = [
        "| pair of sites | total | rows | columns | between modes | pairs for half |",
        "|---" * 6 + "|",
    ]
    for one in found.values():
        half, every = one.fewest(0.5)
        lines.append(
            f"| {one.source} → {one.sink} | {np.abs(one.completeness).max():.1e} | "
            f"{one.gaps[:, 0].max():.1e} | {one.gaps[:, 1].max():.1e} | {one.explained:.1%} | "
            f"{half} of {every:,} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--train", type=int, default=2000, help="images that modes are learned from"
    )
    parser.add_argument("--images", type=int, default=100, help="held-out images of the flow")
    parser.add_argument(
        "--interventions", type=int, default=40, help="of these, with interventions"
    )
    parser.add_argument("--pairs", type=int, default=5, help="timed pairs")
    parser.add_argument("--figures", type=Path, help="a folder for the picture")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    ready = zoo.load("digits-resnet")
    method = cl.Conductance(steps=STEPS)
    x, y = (part[: given.train] for part in zoo.digits_data("train"))
    with tempfile.TemporaryDirectory() as folder:
        store = cl.extract(
            ready.model, (x, y), sites=ready.sites, method=method, to=f"{folder}/store.zarr",
            classes=ready.labels, batch_size=50,
        )  # fmt: skip
        modes = cl.decompose(store, cl.TopK(expansion=3, k=8), seed=0)
    x, y = (part[: given.images] for part in zoo.digits_data("held_out"))
    found = cl.flow(ready.model, (x, y), modes, method=method, batch_size=50)
    timed = paired(
        lambda: cl.flow(ready.model, x[:20], modes, method=method, batch_size=20),
        lambda: cl.contributions(ready.model, x[:20], sites=ready.sites, method=method),
        pairs=given.pairs,
    )
    print(f"{sums(found)}\n\nFlow to contributions alone: {timed}\n", flush=True)
    if given.figures:
        save(flow_figure(found), given.figures / "flow.svg")
    prepared = FlowModel(ready.model, modes, method=method)
    batch = [(x[: given.interventions], y[: given.interventions])]
    agreements = [flow_agreement(prepared, batch, source=site) for site in prepared.sites[:-1]]
    for fixed, what in ((True, "Fixed shares"), (False, "Modes encoded again")):
        print(f"{what}:\n\n{table(agreements, fixed)}\n")
    print(f"{sum(len(one.sample) for one in agreements):,} triples.")


if __name__ == "__main__":
    main()
