"""How well, and how sparsely, each method decomposes real contributions and activations.

Contributions of three networks are extracted once into a folder (an interrupted run resumes). Then
every method is fitted with several numbers of modes per sample, and three modes per unit or
`--expansion`. A table
and a figure of held-out R² over L0 are written there.

    CODECLENS_BENCH=… python -m benchmarks.decomposition_sweep extract --folder cache
    python -m benchmarks.decomposition_sweep fit --folder cache
    python -m benchmarks.decomposition_sweep draw --folder cache --to frontier.svg
    python -m benchmarks.decomposition_sweep report --folder cache --k 8
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import codeclens as cl
from benchmarks.material import material
from codeclens import zoo
from codeclens.decomposition import (
    ICA,
    NMF,
    PCA,
    BatchTopK,
    Estimator,
    Gated,
    JumpReLU,
    KMeans,
    Matryoshka,
    ReLUSAE,
    SemiNMF,
    ThresholdSAE,
    TopK,
    quality,
)
from codeclens.decomposition.matrices import View, net_total

# Images, steps of the path, and sites of each network, from early to late.
PLANS: dict[str, tuple[int, int, Sequence[str]]] = {
    "digits-resnet": (4000, 5, ("@blocks",)),
    "cifar-resnet56": (2000, 5, ("layer1.8", "layer2.8", "layer3.7")),
    "efficientnet-lite0": (1000, 5, ("blocks.3.1", "blocks.4.2", "blocks.5.3")),
}


def extracted(name: str, folder: Path) -> cl.ContributionStore:
    """The store of one network's contributions, which is completed where it is not."""
    count, steps, sites = PLANS[name]
    if name == "digits-resnet":
        ready = zoo.load(name)
        model, images, labels = ready.model, *zoo.digits_data("train")
    else:
        found = material(name)
        step = len(found.labels) // count
        rows = range(0, step * count, step)
        model, labels = found.model, torch.from_numpy(found.labels[list(rows)])
        images = torch.cat([found.images(rows[i : i + 100]) for i in range(0, count, 100)])
    return cl.extract(
        model,
        (images[:count], labels[:count]),
        sites=list(sites),
        method=cl.Conductance(steps=steps),
        to=folder / f"{name}.zarr",
        batch_size=25,
        shard_size=250,
        progress=lambda done, total: print(name, done, "of", total, flush=True),
    )


def methods(modes: int, budgets: Sequence[int], published: bool) -> Iterator[Estimator]:
    """Every method at every budget of modes a sample, or at the penalties that lead there."""
    for k in budgets:
        yield from (kind(n_modes=modes, k=k) for kind in (TopK, BatchTopK, Matryoshka, JumpReLU))
        yield from (kind(n_modes=k) for kind in (PCA, ICA, NMF, SemiNMF))
    for penalty in np.geomspace(0.05, 0.4, len(budgets)).round(2):
        yield Gated(n_modes=modes, penalty=2 * penalty)
        yield ReLUSAE(n_modes=modes, penalty=penalty)
    yield KMeans(n_modes=modes)
    if published:
        yield ThresholdSAE(n_modes=modes)


def measured(X: np.ndarray, method: Estimator, view: View, change: np.ndarray) -> dict[str, Any]:
    """Figures of one fit on its held-out samples."""
    start = time.process_time()
    fitted = method.fit(X, seed=0)
    seconds = time.process_time() - start
    rows = fitted.held_out_rows
    Z = fitted.encode(X[rows])
    reconstruction = fitted.decode(Z)
    fidelity = quality.fidelity(change[rows], net_total(reconstruction, view)) if (
        view == "concat") else None  # fmt: skip
    return {
        "method": type(method).__name__,
        "options": repr(method),
        "modes": len(fitted.dictionary),
        "dropped": fitted.n_dropped,
        "r2": quality.r2(X[rows], reconstruction),
        "l0": quality.l0(Z),
        "redundancy": float(np.mean(quality.redundancy(fitted.dictionary))),
        "target_r2": float("nan") if fidelity is None else fidelity.r2,
        "target_error": float("nan") if fidelity is None else fidelity.median_error,
        "seconds": seconds,
    }


def fit(folder: Path, names: Sequence[str], sites: Sequence[str], given: Any) -> None:
    """Fit every method to every network that was extracted; the table grows line by line.

    Lines of methods that are not asked for stay as they are.
    """
    rows: list[dict[str, Any]] = []
    if given.methods and (folder / "frontier.csv").exists():
        with (folder / "frontier.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["method"] not in given.methods]
    for name in names:
        store = cl.ContributionStore(folder / f"{name}.zarr")
        change = store.target - store.baseline_target
        for site in store.sites:
            if sites and site not in sites:
                continue
            for view in ("concat", "activation"):
                X = store.view(site, view)
                for method in methods(
                    round(given.expansion * store.units(site)), given.k, given.published
                ):
                    if given.methods and type(method).__name__ not in given.methods:
                        continue
                    if (isinstance(method, NMF) and (X < 0).any()) or (
                        isinstance(method, PCA | ICA) and method.n_modes > X.shape[1]
                    ):
                        continue
                    row = {"network": name, "site": site, "view": view, "samples": len(X)}
                    rows.append(row | measured(X, method, view, change))
                    line = rows[-1]
                    print(
                        name, site, view, line["options"], f"R² {line['r2']:.3f}",
                        f"L0 {line['l0']:.1f} ({line['seconds']:.1f} CPU s)", flush=True,
                    )  # fmt: skip
                with (folder / "frontier.csv").open("w", newline="") as file:
                    writer = csv.DictWriter(file, list(rows[0]))
                    writer.writeheader()
                    writer.writerows(rows)


def at_budget(points: Sequence[tuple[float, float]], k: float) -> float:
    """R² at `k` modes a sample from points (L0, R²), between which it is straight over log L0.

    NaN where no two points have k between them.
    """
    known = sorted((np.log(l0), r2) for l0, r2 in points if l0 > 0)
    if not known or not known[0][0] - 0.05 <= np.log(k) <= known[-1][0] + 0.05:
        return float("nan")
    return float(np.interp(np.log(k), *zip(*known, strict=True)))


def report(folder: Path, k: int) -> None:
    """A table: each method's held-out R² at `k` modes a sample, the mean over a network's sites."""
    with (folder / "frontier.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(dict.fromkeys((row["network"], row["view"]) for row in rows))
    heads = [f"{name}, {'contributions' if view == 'concat' else 'activations'}"
             for name, view in columns]  # fmt: skip
    print(f"| method | {' | '.join(heads)} |\n|---|{'---:|' * len(columns)}")
    for method in dict.fromkeys(row["method"] for row in rows):
        cells = []
        for network, view in columns:
            sites: dict[str, list[tuple[float, float]]] = {}
            for row in rows:
                if (row["network"], row["view"], row["method"]) == (network, view, method):
                    sites.setdefault(row["site"], []).append((float(row["l0"]), float(row["r2"])))
            budget = 1 if method == "KMeans" else k
            found = [at_budget(points, budget) for points in sites.values()]
            known = [r2 for r2 in found if not np.isnan(r2)]
            of = f" ({len(known)} of {len(found)} sites)" if len(known) < len(found) else ""
            cells.append(f"{np.mean(known):.3f}{of}" if known else "–")
        name = "KMeans, L0 1" if method == "KMeans" else method
        print(f"| {name} | {' | '.join(cells)} |")


def draw(folder: Path, to: Path) -> None:
    """A panel for each site and view, two sites a line: held-out R² over modes a sample."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with (folder / "frontier.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = list(dict.fromkeys((row["network"], row["site"]) for row in rows))
    names = list(dict.fromkeys(row["method"] for row in rows))
    lines = -(-len(places) // 2)
    figure = Figure(figsize=(11, 2.1 * lines + 0.8), layout="constrained")
    axes = figure.subplots(lines, 4, squeeze=False, sharex=True, sharey="row")
    panels = [(place, view) for place in places for view in ("concat", "activation")]
    for (place, view), ax in zip(panels, axes.flat, strict=False):
        for number, name in enumerate(names):
            points = sorted(
                (float(row["l0"]), float(row["r2"]))
                for row in rows
                if (row["network"], row["site"], row["view"], row["method"]) == (*place, view, name)
            )
            style: dict[str, Any] = {"marker": "osv^Dxp*+1hP"[number], "label": name}
            style["color"] = f"C{number}" if number < 10 else "0.2" if number == 10 else "black"
            ax.plot(*zip(*points, strict=True), linewidth=1, markersize=4, **style)
        what = "contributions" if view == "concat" else "activations"
        ax.set_title(f"{place[0]} {place[1]}\n{what}", fontsize=8)
        low = min(float(row["r2"]) for row in rows if (row["network"], row["site"]) == place)
        ax.set(xscale="log", ylim=(max(0.0, low) - 0.03, 1.02))
        ax.tick_params(labelsize=7)
    for ax in axes[-1]:
        ax.set_xlabel("modes a sample (L0)", fontsize=8)
    for line in axes:
        line[0].set_ylabel("held-out R²", fontsize=8)
    found = {label: line for ax in axes.flat for line, label in zip(
        *ax.get_legend_handles_labels(), strict=True)}  # fmt: skip
    figure.legend(
        list(found.values()), list(found), loc="outside lower center", ncols=6, fontsize=8
    )
    with rc_context({"svg.fonttype": "none"}):  # letters stay letters, and the file small
        figure.savefig(to)


def main(arguments: Sequence[str] | None = None) -> None:
    """Extract, measure what was extracted, or draw what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["extract", "fit", "draw", "report"])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--networks", default=",".join(PLANS))
    parser.add_argument("--sites", default="", help="of those extracted; all without it")
    parser.add_argument("--k", type=lambda text: [int(k) for k in text.split(",")],
                        default=[4, 8, 16])  # fmt: skip
    parser.add_argument("--expansion", type=float, default=3, help="modes a unit")
    parser.add_argument("--methods", default="", help="only these, separated by commas")
    parser.add_argument("--published", action="store_true", help="ThresholdSAE too, which is slow")
    parser.add_argument("--to", type=Path, default=Path("frontier.svg"))
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = given.networks.split(",")
    if given.what == "draw":
        draw(given.folder, given.to)
    elif given.what == "report":
        report(given.folder, given.k[0])
    elif given.what == "fit":
        fit(given.folder, names, [s for s in given.sites.split(",") if s], given)
    else:
        for name in names:
            extracted(name, given.folder)


if __name__ == "__main__":
    main()
