"""How well each method recovers planted contribution motifs: cosine and AUC of matched modes.

python -m benchmarks.recovery --to recovery.csv
python -m benchmarks.recovery --to recovery.csv --report   # what was measured, as tables
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

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
    TopK,
)
from codeclens.decomposition.planted import plant

PATHWAYS = 16
USUAL: dict[str, float] = {"samples": 2000, "present": 3, "noise": 0.1, "mixing": 0.0}
CHANGED: dict[str, Sequence[float]] = {
    "samples": (500, 8000),
    "noise": (0.5, 0.0),
    "mixing": (0.5,),
    "present": (6, 1),
}


def methods() -> list[Estimator]:
    """Autoencoders with three modes a pathway, classical methods with one (KMeans with three)."""
    modes, k = 3 * PATHWAYS, 4
    counted = [kind(n_modes=modes, k=k) for kind in (TopK, BatchTopK, Matryoshka, JumpReLU)]
    return [
        *counted,
        *(kind(n_modes=modes) for kind in (Gated, ReLUSAE)),
        *(kind(n_modes=PATHWAYS) for kind in (PCA, ICA, NMF, SemiNMF)),
        KMeans(n_modes=modes),
    ]


def settings(most: int) -> list[dict[str, float]]:
    """The usual setting, then those in which one thing differs, at most so many values of each."""
    return [
        USUAL,
        *(USUAL | {name: v} for name, values in CHANGED.items() for v in values[:most]),
    ]


def measured(
    setting: dict[str, float], method: Estimator, view: Any, seeds: int
) -> dict[str, Any] | None:
    """One row: mean and range over seeds, each a new network; None where a method cannot."""
    cosines, aucs = [], []
    for seed in range(seeds):
        planted = plant(
            int(setting["samples"]),
            pathways=PATHWAYS,
            present=setting["present"],
            noise=setting["noise"],
            mixing=setting["mixing"],
            seed=seed,
        )
        X = planted.data(view)
        if isinstance(method, NMF) and (X < 0).any():
            return None
        fitted = method.fit(X, seed=seed)
        found = planted.recovery(fitted.dictionary, fitted.encode(X), view)
        cosines.append(found.cosine.mean())
        aucs.append(found.auc.mean())
    return {
        **setting,
        "view": view,
        "method": type(method).__name__,
        "cosine": np.mean(cosines),
        "cosine_low": min(cosines),
        "cosine_high": max(cosines),
        "auc": np.mean(aucs),
        "auc_low": min(aucs),
        "auc_high": max(aucs),
    }


def report(rows: Sequence[dict[str, Any]]) -> None:
    """A table of cosines for each view: methods by settings, in which one thing differs."""
    changes = [USUAL, *(s for s in settings(2) if s != USUAL)]
    heads = ["usual"] + [
        ", ".join(f"{name} {value:g}" for name, value in s.items() if value != USUAL[name])
        for s in changes[1:]
    ]
    for view in ("concat", "activation"):
        print(f"{view}\n\n| method | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
        for method in dict.fromkeys(row["method"] for row in rows):
            cells = []
            for setting in changes:
                found = [
                    f"{float(row['cosine']):.2f}, {float(row['auc']):.2f}"
                    for row in rows
                    if (row["view"], row["method"]) == (view, method)
                    and all(float(row[name]) == value for name, value in setting.items())
                ]
                cells.append(found[0] if found else "–")
            print(f"| {method} | {' | '.join(cells)} |")
        print()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every method in every setting, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=Path("recovery.csv"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--values", type=int, default=2, help="of each thing that is changed")
    parser.add_argument("--report", action="store_true", help="only show what the table holds")
    given = parser.parse_args(arguments)
    if given.report:
        with given.to.open(newline="") as file:
            report(list(csv.DictReader(file)))
        return
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for setting in settings(given.values):
        for view in ("concat", "activation"):
            for method in methods():
                start = time.process_time()
                row = measured(setting, method, view, given.seeds)
                if row is None:
                    continue
                rows.append(row)
                print(
                    " ".join(f"{name}={value:g}" for name, value in setting.items()),
                    f"{view:<10} {row['method']:<10} cosine {row['cosine']:.3f}",
                    f"AUC {row['auc']:.3f} ({time.process_time() - start:.0f} CPU s)",
                    flush=True,
                )
        with given.to.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
