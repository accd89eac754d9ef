"""Secants on networks without plain ReLU, compared with the trapezoid, the floor and Captum.

EfficientNet-Lite0 (ReLU6, trained), ConvNeXt-T and ViT-S (GELU, layer norm, attention) and a
language model of the size of GPT-2, the last three with random weights. All blocks are sites, the
nodes are uniform, and every way runs in turns on one thread.

    python -m benchmarks.architectures                          # all four, batch 1 and 8
    python -m benchmarks.architectures lite0 --batches 1 --pairs 7 --captum
    python -m benchmarks.architectures --memory                 # of EfficientNet-Lite0 at batch 8
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.captum import one_by_one
from benchmarks.extraction import grown
from benchmarks.timing import Paired, Work, in_turns
from codeclens import zoo
from codeclens._compat import import_timm, prepare_torchvision
from codeclens.attribution import Attributor, Conductance, find_sites
from codeclens.attribution.capture import Probe

STEPS = 10
TOKENS = 32
ALLOWED = {1: 1.4, 8: 1.25}  # secant / trapezoid, by batch
MEMORY_ALLOWED = 500  # MB added by secants on EfficientNet-Lite0 at batch 8


class NextToken(nn.Module):
    """A language model that takes embeddings `(B, T, F)` and gives the next token's logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.inner(inputs_embeds=embeddings, use_cache=False).logits
        return logits[:, -1]


def gpt2(layers: int = 12, tokens: int = TOKENS) -> tuple[nn.Module, tuple[int, ...]]:
    """GPT-2 with random weights, and the shape of its input."""
    prepare_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=layers)
    return NextToken(GPT2LMHeadModel(config)), (tokens, config.n_embd)


def _timm(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    return import_timm().create_model(name), (3, 224, 224)


NETWORKS: dict[str, Callable[[], tuple[nn.Module, tuple[int, ...]]]] = {
    "lite0": lambda: (zoo.load("efficientnet-lite0").model, (3, 224, 224)),
    "convnext": lambda: _timm("convnext_tiny"),
    "vit": lambda: _timm("vit_small_patch16_224"),
    "gpt2": gpt2,
}


def network(name: str, batch: int) -> tuple[nn.Module, Tensor]:
    """One of `NETWORKS` and noise for it; random weights come from one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, shape = NETWORKS[name]()
        return model.eval(), torch.randn(batch, *shape) * (0.05 if name == "gpt2" else 1)


def floor(model: nn.Module, x: Tensor, steps: int = STEPS) -> None:
    """steps + 1 forwards, each with the gradient of the predicted output at the earliest block."""
    first = find_sites(model, "@blocks")[:1]
    with Probe(model, first) as probe:
        classes: Tensor | None = None
        for step in range(steps, -1, -1):
            here = probe(x * (step / steps))
            if classes is None:
                classes = here.output.detach().argmax(dim=1, keepdim=True)
            target = here.output.gather(1, classes).sum()
            torch.autograd.grad(target, list(here.activations.values()))


def ways(model: nn.Module, x: Tensor, steps: int = STEPS) -> dict[str, Work]:
    """Contributions at all blocks by secants and by the trapezoid, and the floor."""
    works: dict[str, Work] = {}
    for rule in ("secant", "trapezoid"):
        method = Conductance(steps, rule, "uniform")  # type: ignore[arg-type]
        attributor = Attributor(model, sites="@blocks", method=method).prepared(x)
        works[rule] = lambda attributor=attributor: attributor(x)  # type: ignore[misc]
    return {**works, "floor": lambda: floor(model, x, steps)}


def compare(
    model: nn.Module, x: Tensor, pairs: int = 5, steps: int = STEPS, captum: bool = False
) -> dict[str, Paired]:
    """CPU time of secants over the trapezoid, of that over the floor, of Captum over secants."""
    works = ways(model, x, steps)
    if captum:
        sites = [site.key for site in find_sites(model, "@blocks")]
        works["Captum"] = lambda: one_by_one(model, sites, x, steps)
    in_turns([works["secant"], works["trapezoid"]], rounds=1)
    times = dict(zip(works, in_turns(list(works.values()), pairs), strict=True))
    found = {
        "secant / trapezoid": Paired(times["secant"], times["trapezoid"]),
        "trapezoid / floor": Paired(times["trapezoid"], times["floor"]),
    }
    if captum:
        found["Captum / secant"] = Paired(times["Captum"], times["secant"])
    return found


def memory_added(what: str, batch: int = 8) -> float:
    """MB by which the peak of a fresh process grows on EfficientNet-Lite0, by one of the ways."""
    command = [sys.executable, "-m", "benchmarks.architectures", "--memory-of", what]
    root = Path(__file__).parents[1]
    numbers = ["--batches", str(batch)]
    done = subprocess.run(
        [*command, *numbers], cwd=root, capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout))


def _growth(what: str, batch: int) -> float:
    torch.set_num_threads(1)
    model, x = network("lite0", batch)
    with torch.no_grad():
        model(x[:1])  # what the libraries allocate once is not the method's
    work = ways(model, x, steps=3)[what]
    return grown(work)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the networks that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", help=", ".join(NETWORKS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--captum", action="store_true", help="Captum's LayerConductance as well")
    parser.add_argument("--memory", action="store_true", help="memory of EfficientNet-Lite0")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.memory_of:
        print(_growth(given.memory_of, given.batches[0]))
        return
    if given.memory:
        added = {what: memory_added(what) for what in ("secant", "trapezoid", "floor")}
        told = ", ".join(f"{what} {size:.0f} MB" for what, size in added.items())
        print(f"memory added at batch 8: {told}; allowed {MEMORY_ALLOWED} MB")
        return
    for name in given.networks or NETWORKS:
        for batch in given.batches:
            model, x = network(name, batch)
            found = compare(model, x, given.pairs, given.steps, given.captum)
            for what, result in found.items():
                limit = f"; allowed {ALLOWED.get(batch)}" if what.startswith("secant") else ""
                print(f"{name}, batch {batch}: {what}: {result}{limit}", flush=True)


if __name__ == "__main__":
    main()
