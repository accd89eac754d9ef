"""Find and remove a shortcut by its mode: one class of digits has a watermark in training.

A small network is trained on digits in which nearly all threes, and no other digits, have a bright
patch in a corner. The audit uses labelled images and the network's mistakes, never the patch. The
mode whose loadings correlate most with the mistakes is removed. The accuracy on clean digits, on
digits as in training, and on other digits with the patch is reported before and after, with
controls.

    python -m benchmarks.bias
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import codeclens as cl
from codeclens import zoo
from codeclens.analysis import save_table
from codeclens.attribution import Attributor, Contributions
from codeclens.control import ablate, activation_at, remove
from codeclens.decomposition import Modes
from codeclens.decomposition.quality import indicator_correlation
from codeclens.zoo.digits import DigitsResNet

CLASS, PATCH, LEVEL = 3, 4, 1.0
FOLLOWING = 0.2
SHARE = 0.98  # of the class's digits carry the patch, and none of the others
STEPS, TRIALS, BATCH = 5, 5, 100
SITE = "blocks.3"
COUNTS = (1, 2, 4, 8)
CHANNELS = (8, 16, 32)


def marked(x: Tensor, which: Tensor) -> Tensor:
    """The images `(N, 1, 28, 28)` with the patch in the corner of those that are meant `(N,)`."""
    x = x.clone()
    x[which, :, 1 : 1 + PATCH, 1 : 1 + PATCH] = LEVEL
    return x


def train(x: Tensor, labels: Tensor, epochs: int, seed: int) -> nn.Module:
    """A small residual network for digits, trained as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DigitsResNet(CHANNELS)
    generator = torch.Generator().manual_seed(seed)
    batches = -(-len(x) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(64):
            loss = F.cross_entropy(model(x[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@dataclass(frozen=True)
class Audit:
    """Modes of audited images, the class that is named wrongly most often, and the mode behind it.

    `follows` `(K,)` is the correlation of each mode's loadings with those mistakes.
    """

    modes: Modes
    suspect: int
    mistakes: np.ndarray
    follows: np.ndarray
    activation: np.ndarray

    @property
    def mode(self) -> int:
        """The mode that follows the mistakes best."""
        return int(self.follows.argmax())

    @property
    def several(self) -> list[int]:
        """All modes that follow them above 0.2, and at least that one."""
        return [int(k) for k in np.flatnonzero(self.follows > FOLLOWING)] or [self.mode]


def audit(model: nn.Module, x: Tensor, labels: Tensor, site: str, seed: int) -> Audit:
    """Look for the mode with which one class is named wrongly; the patch is not told."""
    found = contributed(model, x, site)[site]
    signed = np.concatenate([found.positive.numpy(), found.negative.numpy()], axis=1)
    method = cl.TopK(expansion=3, k=8).fit(signed, seed=seed, n_units=found.positive.shape[1])
    modes = Modes(site, "concat", method, method.encode(signed), labels=labels.numpy())
    with torch.no_grad():
        named = model(x).argmax(dim=1)
    wrong = named != labels
    suspect = int(torch.bincount(named[wrong], minlength=10).argmax())
    mistakes = (wrong & (named == suspect)).numpy()
    follows = correlations(modes.loadings, mistakes)
    return Audit(modes, suspect, mistakes, follows, found.activation.numpy())


def contributed(model: nn.Module, x: Tensor, site: str) -> Contributions:
    """The contributions of images to the class that is predicted."""
    attributor = Attributor(model, sites=site, method=cl.Conductance(steps=STEPS))
    attributor = attributor.prepared(x[:BATCH])
    return Contributions.joined([attributor(batch) for batch in x.split(BATCH)])


def correlations(columns: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The correlation of each column `(N, K)` with what is true of some samples `(N,)`."""
    return np.nan_to_num(indicator_correlation(columns, flags.astype(np.int64), 2)[:, 1])


def mended(
    model: nn.Module, found: Audit, sets: dict[str, tuple[Tensor, Tensor]], seed: int
) -> list[dict[str, Any]]:
    """The accuracy on each set of images, as the network is and after each remedy."""
    site, random = found.modes.site, np.random.default_rng(seed)
    units = found.modes.n_units
    own = int(np.argmax(correlations(found.modes.loadings, found.modes.labels == found.suspect)))
    orders = {
        "the mode's units": [found.modes[found.mode].top_units(units)],
        "the class's own mode's units": [found.modes[own].top_units(units)],
        "channels that follow the mistakes": [
            np.argsort(-correlations(found.activation, found.mistakes), kind="stable")
        ],
        "random units": [random.permutation(units) for _ in range(TRIALS)],
    }
    rows = [{"remedy": "none", "units": 0} | scores(model, sets)]
    removed = {
        "the mode, exactly": [found.mode],
        f"all {len(found.several)} modes that follow the mistakes, exactly": found.several,
        "the class's own mode, exactly": [own],
    }
    for name, which in removed.items():
        rows.append({"remedy": name, "units": units} | without(model, found.modes, which, sets))
    others = [int(k) for k in random.permutation(len(found.modes)) if k != found.mode][:TRIALS]
    several = [without(model, found.modes, [which], sets) for which in others]
    rows.append({"remedy": "a random mode, exactly", "units": units} | mean(several))
    for name, trials in orders.items():
        for count in COUNTS:
            several = []
            for order in trials:
                with ablate(model, site, units=[int(unit) for unit in order[:count]]):
                    several.append(scores(model, sets))
            rows.append({"remedy": name, "units": count} | mean(several))
    return rows


def without(
    model: nn.Module, modes: Modes, which: list[int], sets: dict[str, tuple[Tensor, Tensor]]
) -> dict[str, float]:
    """The accuracies where exactly a mode's share is taken from every image."""
    accuracies = {}
    for name, (x, labels) in sets.items():
        found = contributed(model, x, modes.site)
        rest = activation_at(model, modes.site, torch.zeros_like(x[:1]))
        with remove(model, modes, which, found, baseline=rest):
            accuracies |= scores(model, {name: (x, labels)})
    return accuracies


@torch.no_grad()
def scores(model: nn.Module, sets: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    """The accuracy on each set of images."""
    return {
        name: float((model(x).argmax(dim=1) == labels).double().mean())
        for name, (x, labels) in sets.items()
    }


def mean(several: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of each number."""
    return {name: float(np.mean([one[name] for one in several])) for name in several[0]}


def shown(
    x: Tensor, labels: Tensor, share: float, generator: torch.Generator
) -> dict[str, tuple[Tensor, Tensor]]:
    """Images without the patch, with it as in training, and other digits with it."""
    other = labels != CLASS
    return {
        "clean": (x, labels),
        "as in training": (marked(x, planted(labels, share, generator)), labels),
        "counter-examples": (marked(x, other)[other], labels[other]),
        f"clean {CLASS}s": (x[~other], labels[~other]),
    }


def planted(labels: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Which digits carry the patch, as in training `(N,)`."""
    return (torch.rand(len(labels), generator=generator) < share) & (labels == CLASS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, audit, mend and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", default=SITE, help="separated by commas")
    parser.add_argument("--train", type=int, default=3000, help="digits that are learnt")
    parser.add_argument("--audit", type=int, default=1000, help="other digits that are audited")
    parser.add_argument("--images", type=int, default=1000, help="held-out digits, measured on")
    parser.add_argument("--share", type=float, default=SHARE, help="of the class with the patch")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--to", type=Path, default=Path("bias"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    digits, names = zoo.digits_data("train")
    x, labels = digits[: options.train], names[: options.train]
    carries = planted(labels, options.share, generator)
    model = train(marked(x, carries), labels, options.epochs, options.seed)
    x, labels = digits[options.train :][: options.audit], names[options.train :][: options.audit]
    # The audited images come from elsewhere: there the patch says nothing about the class.
    carries = torch.rand(len(labels), generator=generator) < 0.3
    held_out, truth = (part[: options.images] for part in zoo.digits_data("held_out"))
    sets = shown(held_out, truth, options.share, generator)
    options.to.mkdir(parents=True, exist_ok=True)
    for site in options.sites.split(","):
        found = audit(model, marked(x, carries), labels, site, options.seed)
        tell(found, carries.numpy())
        rows = mended(model, found, sets, options.seed)
        save_table(options.to / f"bias-{site}.csv", rows)
        print("| remedy | units | " + " | ".join(sets) + " |\n" + "|---" * (2 + len(sets)) + "|")
        for row in rows:
            values = (f"{row[name]:.3f}" for name in sets)
            print(f"| {row['remedy']} | {row['units']} | " + " | ".join(values) + " |", flush=True)


def tell(found: Audit, carries: np.ndarray) -> None:
    """Print what the audit found, and, known to whoever planted it, whether that is the patch."""
    patch = correlations(found.modes.loadings, carries)
    print(
        f"{found.modes.site}: {int(found.mistakes.sum())} of {len(carries)} images are named "
        f"{found.suspect} wrongly. Mode {found.mode} follows these mistakes best (r "
        f"{found.follows[found.mode]:.2f}, the next {np.sort(found.follows)[-2]:.2f}). With the "
        f"patch itself it correlates with r {patch[found.mode]:.2f}, rank "
        f"{1 + int((patch > patch[found.mode]).sum())} of {len(patch)} modes; the best channel's "
        f"activation with r {np.abs(correlations(found.activation, carries)).max():.2f}."
    )


if __name__ == "__main__":
    main()
