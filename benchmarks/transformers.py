"""How should tokens be reduced to units? Control of a vision transformer with every reduction.

Modes are computed from the contributions of some digits with each reduction. On other digits the
units of each class's mode are ablated, compared with random units, gradients and the classes' mean
contributions.

    python -m benchmarks.transformers --folder transformers
    python -m benchmarks.transformers --folder transformers --reductions sum,class-axes --blocks 5
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import codeclens as cl
from benchmarks.layers import vit
from codeclens import zoo
from codeclens.analysis import save_table
from codeclens.attribution import Attributor, Site, find_sites, in_axes
from codeclens.control import ByScore, ControlCurves, RankingInputs, activation_at, control_curves
from codeclens.decomposition import Modes

FRACTIONS = (0.02, 0.05, 0.1, 0.18, 0.25, 0.5, 0.8)
STEPS, BATCH = 5, 50
# What tokens become, by name: the preset of the site, and what its units are.
REDUCTIONS = {
    "sum": ("@blocks", "features, summed over tokens"),
    "attention": ("@blocks", "features, tokens weighted by the class token's attention"),
    "class": ("@blocks", "features of the class token, from its mean"),
    "centred": ("@blocks", "features, summed over tokens, from their means"),
    "places": ("@blocks", "every feature at every position"),
    "tokens": ("@blocks", "tokens, summed over features"),
    "mlp": ("@mlp", "neurons of the MLP"),
    "values": ("@attention", "mixed values before attention's output projection"),
    "heads": ("@heads", "attention heads"),
    "principal": ("@blocks", "principal axes of all tokens"),
    "axes": ("@blocks", "varimax axes of all tokens"),
    "class-axes": ("@blocks", "varimax axes of the class token"),
}


class Places(Site):
    """A site of which every feature at every position is a unit of its own."""

    def units(self, activation: Tensor) -> Tensor:
        return activation.flatten(1)[:, :, None]

    def restore(self, units: Tensor, like: Tensor) -> Tensor:
        return units[:, :, 0].reshape(len(units), *like.shape[1:])

    def grid(self, activation: Tensor) -> tuple[int, ...]:
        return (1,)


@dataclass(frozen=True)
class Reduced:
    """What units contribute to images `(N, U)`, and the network and site to act on them."""

    model: nn.Module
    site: Site
    positive: np.ndarray
    negative: np.ndarray


def reduced(model: nn.Module, x: Tensor, reduction: str, block: int) -> Reduced:
    """The contributions of images `x` at one block, with tokens reduced in the way of that name."""
    site = find_sites(model, REDUCTIONS[reduction][0])[block]
    weights = None
    if reduction in ("class", "centred", "principal", "axes", "class-axes"):
        axes: Any = {"class": "features", "centred": "features", "principal": "principal"}
        tokens = [0] if reduction.startswith("class") else None
        model, site = in_axes(model, site, x, axes=axes.get(reduction, "varimax"), tokens=tokens)
    elif reduction == "places":
        site = Places(**{field.name: getattr(site, field.name) for field in fields(site)})
    elif reduction == "tokens":
        site = replace(site, unit_axis=1)
    elif reduction == "attention":
        weights = attention(model, x, block)
    attributor = Attributor(model, sites=site, method=cl.Conductance(steps=STEPS), reduce=None)
    attributor = attributor.prepared(x[:BATCH])
    parts = []
    for start in range(0, len(x), BATCH):
        found = attributor(x[start : start + BATCH])[site.key]
        if weights is None:
            parts.append((found.positive, found.negative))
        else:
            units = site.units(found.full) * weights[start : start + BATCH, None]
            parts.append((units.clamp(min=0).sum(2), units.clamp(max=0).sum(2)))
    positive, negative = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Reduced(model, site, positive, negative)


def attention(model: nn.Module, x: Tensor, block: int) -> Tensor:
    """How much the class token looks at each token in the block after this one `(N, T)`.

    After the last block nothing is mixed: the class token alone counts.
    """
    if block + 1 == vit.DEPTH:
        return nn.functional.one_hot(torch.zeros(len(x), dtype=torch.long), 50).float()
    qkv = activation_at(model, f"blocks.{block + 1}.attn.qkv", x)
    shape = len(x), qkv.shape[1], 3, vit.HEADS, vit.FEATURES // vit.HEADS
    queries, keys, _ = qkv.reshape(shape).permute(2, 0, 3, 1, 4)
    looks = (queries[:, :, :1] @ keys.transpose(2, 3)) / shape[4] ** 0.5
    return looks.softmax(dim=3)[:, :, 0].mean(dim=1)


def measure(
    found: Reduced,
    training: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    seed: int,
) -> ControlCurves:
    """Ablation of every class's mode, beside controls."""
    x = np.concatenate([found.positive, found.negative], axis=1)
    count = min(3 * found.positive.shape[1], 200)
    method = cl.TopK(n_modes=count, k=min(8, count)).fit(x, seed=seed)
    labels = training[1].numpy()
    modes = Modes(found.site.key, "concat", method, method.encode(x), labels=labels)
    net = found.positive + found.negative

    def contrast(_: RankingInputs, members: Sequence[int]) -> ByScore:
        member = np.isin(labels, members)
        scores = net[member].mean(axis=0) - net[~member].mean(axis=0)
        return ByScore("class contrast", scores.astype(np.float64), signed=True)

    return control_curves(
        found.model, held_out, modes, site=found.site, training=training, fractions=FRACTIONS,
        controls=["random", "gradient", contrast, "strength"], trials=1, seed=seed,
    )  # fmt: skip


def row(reduction: str, block: int, curves: ControlCurves) -> dict[str, Any]:
    """Selectivity of each condition, and accuracy where 5 % of the units are gone."""
    found: dict[str, Any] = {
        "reduction": reduction, "block": block, "units": curves[0].units
    }  # fmt: skip
    for name in curves.names:
        found[name] = round(float(curves.mean(name).value), 3)
    at = FRACTIONS.index(0.05)
    for what in ("target", "others"):
        found[f"{what} at 5 %"] = round(float(curves.averaged("modes", what).value[at]), 3)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the reductions that are asked for, one table for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reductions", default=",".join(REDUCTIONS), help=", ".join(REDUCTIONS))
    parser.add_argument("--blocks", default=",".join(map(str, range(vit.DEPTH))))
    parser.add_argument("--images", type=int, default=100, help="held-out digits, measured on")
    parser.add_argument("--found-in", type=int, default=600, help="digits that modes are found in")
    parser.add_argument("--folder", type=Path, default=Path("transformers"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = vit.load(options.folder)
    print(f"digits-vit names {vit.accuracy(model):.1%} of held-out digits right")
    x, labels = (part[: options.found_in] for part in zoo.digits_data("train"))
    held_out = tuple(part[: options.images] for part in zoo.digits_data("held_out"))
    rows = []
    for reduction in options.reductions.split(","):
        for block in (int(number) for number in options.blocks.split(",")):
            found = reduced(model, x, reduction, block)
            curves = measure(found, (x, labels), (held_out[0], held_out[1]), options.seed)
            rows.append(row(reduction, block, curves))
            print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
            save_table(options.folder / "transformers.csv", rows)


if __name__ == "__main__":
    main()
