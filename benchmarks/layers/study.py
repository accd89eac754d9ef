"""One network of the study: its images, its stores by both rules, and the test of the claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codeclens as cl
from benchmarks.layers import vit
from benchmarks.material import bench, material
from codeclens import zoo
from codeclens.analysis import LayerStatistics, Trend
from codeclens.extraction import View

NAMES = (
    *("digits-resnet", "digits-vit", "cifar-resnet20", "cifar-resnet56", "efficientnet-lite0"),
)
RULES: dict[str, dict[str, Any]] = {
    "secant": {"rule": "secant", "nodes": "arc"},
    "trapezoid": {"rule": "trapezoid", "nodes": "uniform"},
}
# The published claims: the column of the statistics, and the expected sign of its trend.
CLAIMS = {
    "sparsity grows": ("contribution_sparsity", 1),
    "dimensionality grows": ("contribution_class_components", 1),
    "signs decorrelate": ("sign_correlation", -1),
}
# Dimensionality without the information of classes, and with as many units at every site.
CONTROLS = {"shuffled": "labels shuffled", "equal_units": "equally many units"}


@dataclass(frozen=True)
class Subject:
    """A network, its images and labels, and the sites under study."""

    name: str
    model: nn.Module
    data: Any
    sites: dict[str, str]
    batch: int = 50


def subject(name: str, limit: int | None, folder: Path) -> Subject:
    """The network of that name with at most `limit` images, spread over the data."""
    if name == "digits-vit":
        images, labels = zoo.digits_data("held_out")
        # One site a block, of each kind.
        kinds = {"blocks": "@blocks", "mlp": "@mlp", "attention": "@attention", "heads": "@heads"}
        return Subject(name, vit.load(folder), (images[:limit], labels[:limit]), kinds)
    if name == "efficientnet-lite0":
        ready = zoo.load(name)
        data = cl.ImageFolder(bench() / "imagenette_val", ready.transform, limit=limit)
        return Subject(name, ready.model, data, {"blocks": "@blocks"}, 16)
    found = material(name)
    total = len(found.labels)
    # At random: images may be ordered by class.
    rows = np.sort(np.random.default_rng(0).permutation(total)[:limit])
    images = torch.cat(
        [found.images(part.tolist()) for part in np.array_split(rows, 1 + len(rows) // 100)]
    )
    labels = torch.from_numpy(np.asarray(found.labels)[rows]).long()
    return Subject(name, found.model, (images, labels), {"blocks": found.sites})


def statistics(
    found: Subject, kind: str, rule: str, steps: int, folder: Path, view: View = "sum"
) -> LayerStatistics:
    """The statistics of one kind of site by one rule; an unfinished store is resumed."""
    store = cl.extract(
        found.model,
        found.data,
        sites=found.sites[kind],
        method=cl.Conductance(steps, **RULES[rule]),
        batch_size=found.batch,
        to=folder / f"{found.name}-{kind}-{rule}-{steps}.zarr",
        progress=lambda done, total: print(f"\r{found.name} {kind} {rule} {done}/{total}", end=""),
    )
    print()
    return cl.layer_statistics(store, view=view)


def row(name: str, kind: str, rule: str, found: LayerStatistics) -> dict[str, Any]:
    """One line of the table: first, middle and last value of each claim, trend and verdict."""
    line: dict[str, Any] = {
        "network": name, "sites": f"{kind} ({len(found)})", "rule": rule, "samples": found.samples
    }  # fmt: skip
    for claim, (column, sign) in CLAIMS.items():
        trend = found.trends[column]
        line[claim] = f"{_ends(trend)} {verdict(trend, sign)}"
        other = column.replace("contribution", "activation")
        if other != column:
            line[f"{claim}, activations"] = f"{_ends(found.trends[other])}"
    column = "contribution_class_components"
    for control in ("shuffled", "equal_units"):
        if (named := f"{column}_{control}") in found.trends:
            line[f"dimensionality, {CONTROLS[control]}"] = _ends(found.trends[named])
    return line


def verdict(trend: Trend, sign: int) -> str:
    """Whether the interval of the rank correlation with depth lies on the claimed side of zero."""
    low, high = sorted((sign * trend.low, sign * trend.high))
    if np.isnan(low):
        return "?"
    return "holds" if low > 0 else "the opposite" if high < 0 else "undecided"


def _ends(trend: Trend) -> str:
    values = trend.values
    first, middle, last = values[0], values[len(values) // 2], values[-1]
    number = "{:.0f}" if np.abs(values).max() > 2 else "{:.2f}"
    values_in_words = " → ".join(number.format(v) for v in (first, middle, last))
    return f"{values_in_words}, ρ {trend.rho:.2f} [{trend.low:.2f}, {trend.high:.2f}]"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of all lines."""
    columns = list(rows[0])
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    lines += [f"| {' | '.join(str(line[c]) for c in columns)} |" for line in rows]
    return "\n".join(lines)


def dead_units(found: Subject, x: Tensor, site: str) -> float:
    """The share of units of a site that are zero for all given images."""
    seen: list[Tensor] = []
    module = found.model.get_submodule(site)
    handle = module.register_forward_hook(lambda _m, _i, output: seen.append(output.detach()))
    try:
        with torch.no_grad():
            found.model(x)
    finally:
        handle.remove()
    values = seen[0].flatten(2) if seen[0].ndim == 4 else seen[0].transpose(1, 2)
    return float((values == 0).all(dim=2).all(dim=0).double().mean())
