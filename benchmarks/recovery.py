"""How well each method recovers planted contribution motifs: cosine and AUC of matched modes.

python -m benchmarks.recovery --to recovery.csv
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
        fitted = method.clone().fit(X, seed=seed)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every method in every setting, and write a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=Path("recovery.csv"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--values", type=int, default=2, help="of each thing that is changed")
    given = parser.parse_args(arguments)
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
