"""How fast autoencoders train: the published recipe, our recommended one, sparse codes.

Contributions are simulated: 512 units, sparse sums of planted motifs with a little noise, 1,536
modes. The reference is the published training as a plain loop: a DataLoader over a TensorDataset,
torch's default Adam, the loss read after every batch.

    python -m benchmarks.training                 # samples per second of the published training
    python -m benchmarks.training products        # sparse products of codes
    python -m benchmarks.training recipe          # the full published training vs. TopK
    python -m benchmarks.training recipe --samples 50000 --epochs 30
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.timing import paired
from codeclens import ThresholdSAE, TopK
from codeclens.decomposition.autoencoders import sparse_products as sparse
from codeclens.decomposition.trainer import train
from codeclens.decomposition.training import seeded, split

UNITS, MODES, MOTIFS, PRESENT = 512, 1536, 400, 10
SPEED_WANTED, SHARE_ALLOWED = 1.3, 0.1


def contributions(samples: int, seed: int = 0) -> Tensor:
    """Samples `(N, 512)`, each the sum of about ten of 400 motifs, scaled to deviation one."""
    generator = torch.Generator().manual_seed(seed)
    motifs = torch.rand(MOTIFS, UNITS, generator=generator)
    motifs = motifs.pow(2) * (torch.rand(MOTIFS, UNITS, generator=generator) < 0.1)
    present = torch.rand(samples, MOTIFS, generator=generator) < PRESENT / MOTIFS
    strength = -torch.rand(samples, MOTIFS, generator=generator).clamp(min=1e-6).log()
    X = (present * (0.3 + strength)) @ motifs
    X += 0.05 * torch.rand(X.shape, generator=generator)
    return X / X.std()


class Published(nn.Module):
    """The published autoencoder in torch's own layers."""

    def __init__(self, threshold: float = 0.8) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.Linear(UNITS, UNITS), nn.Dropout(0.05), nn.ReLU(), nn.LayerNorm(UNITS)]
        layers += [nn.Linear(UNITS, MODES, bias=False), nn.Sigmoid()]
        self.encoder = nn.Sequential(*layers)
        self.decoder = nn.Linear(MODES, UNITS, bias=False)
        self.threshold = threshold

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction and the codes."""
        codes = self.encoder(x)
        codes = codes * (codes >= self.threshold).float()
        return self.decoder(codes), codes

    @torch.no_grad()
    def scores(self, x: Tensor) -> tuple[float, float]:
        """R² about the mean and mean number of codes above zero."""
        self.eval()
        reconstruction, codes = self(x)
        error = (x - reconstruction).square().sum() / (x - x.mean(dim=0)).square().sum()
        return 1 - float(error), float((codes > 0).sum(dim=1).float().mean())


class Peer:
    """The published training, a plain loop; `run` goes on for so many epochs."""

    def __init__(self, X: Tensor) -> None:
        torch.manual_seed(0)
        self.network = Published()
        self.loader = DataLoader(TensorDataset(X), batch_size=128, shuffle=True)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=5e-5)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5)

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            self.network.train()
            total = 0.0
            for (x,) in self.loader:
                self.optimizer.zero_grad()
                reconstruction, _ = self.network(x)
                loss = nn.functional.mse_loss(reconstruction, x)
                loss = loss + 5e-5 * self.network.decoder.weight.abs().mean()
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(x)
            self.scheduler.step(total)


def ours(X: Tensor, epochs: int) -> None:
    """The same network, batches and learning rate by our trainer."""
    method = ThresholdSAE(n_modes=MODES, epochs=epochs)
    with seeded(0) as generator:
        network = method.network(
            n_features=UNITS, n_modes=MODES, n_units=UNITS, non_negative=False
        ).to(X.device)
    rows = torch.arange(len(X))
    network.start_from(X, generator)
    settings = method.training_settings(len(rows), UNITS)
    train(network, X, rows=rows, held_out=rows[:256], settings=settings, generator=generator)


def throughput(samples: int, epochs: int, pairs: int) -> None:
    """The published recipe by both trainers."""
    X = contributions(samples)
    peer = Peer(X)
    result = paired(lambda: peer.run(epochs), lambda: ours(X, epochs), pairs=pairs)
    done = samples * epochs
    ours_rate = done / sorted(result.second)[len(result.second) // 2]
    print(f"published recipe, {samples} samples, {epochs} epochs: peer / ours = {result}")
    print(f"  ours {ours_rate:.0f} samples a CPU second; wanted {SPEED_WANTED}", flush=True)


def products(pairs: int) -> None:
    """TopK by the entries of its codes against all products, and which of them is chosen."""
    for units, modes, k in ((64, 192, 8), (256, 768, 16), (512, 1536, 16), (512, 3072, 32)):
        samples = max(1024, modes)
        X = contributions(samples)[:, :units].contiguous()
        method = TopK(n_modes=modes, k=k, epochs=1)

        def fit(by_entries: bool, X: Tensor = X, method: TopK = method) -> None:
            chosen = sparse.pays
            sparse.pays = lambda codes, columns: by_entries
            try:
                with seeded(0) as generator:
                    network = method.network(
                        n_features=X.shape[1],
                        n_modes=method.n_modes or 0,
                        n_units=X.shape[1],
                        non_negative=True,
                    )
                rows = torch.arange(len(X))
                network.start_from(X, generator)
                settings = method.training_settings(len(X), X.shape[1])
                train(
                    network,
                    X,
                    rows=rows,
                    held_out=rows[:64],
                    settings=settings,
                    generator=generator,
                )
            finally:
                sparse.pays = chosen

        result = paired(partial(fit, False), partial(fit, True), pairs=pairs)
        codes = torch.zeros(method.batch_size, modes)
        codes[:, :k] = 1
        choice = "entries" if sparse.pays(codes, units) else "all products"
        print(f"TopK, {units} units, {modes} modes, k {k}: all / entries = {result}; {choice}")


def recipe(samples: int, epochs: int) -> None:
    """The published recipe in full, then TopK with its defaults, on the same split."""
    X = contributions(samples)
    rows, held_out = split(samples, 0.1, torch.Generator().manual_seed(0))
    peer = Peer(X[rows])
    spent, best = 0.0, -1.0
    for epoch in range(1, epochs + 1):
        start = time.process_time()
        peer.run(1)
        spent += time.process_time() - start
        if epoch % max(1, epochs // 15) == 0 or epoch == epochs:
            best, l0 = peer.network.scores(X[held_out])
            print(
                f"published, epoch {epoch:4d}: {spent:7.1f} CPU s, R² {best:.4f}, L0 {l0:.1f}",
                flush=True,
            )
    print(f"TopK must reach R² {best:.4f} in {SHARE_ALLOWED * spent:.1f} CPU s")
    start = time.process_time()
    found = TopK(n_modes=MODES, k=16).fit(X, seed=0)
    took = time.process_time() - start
    print(f"{found!r}: {took:.1f} CPU s ({took / spent:.3f}), R² {found.r2:.4f}, L0 {found.l0:.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="speed", choices=["speed", "products", "recipe"])
    parser.add_argument("--samples", type=int, default=8192)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.what == "recipe":
        recipe(given.samples, given.epochs)
        return
    if given.what == "products":
        products(given.pairs)
        return
    throughput(8192, 3, given.pairs)
    throughput(50_000, 1, given.pairs)


if __name__ == "__main__":
    main()
