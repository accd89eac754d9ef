"""Untrained networks of known architectures, with random weights that preserve signals.

A newly initialised network is often not typical of its kind: uncalibrated batch norms let
activations grow from block to block, layer scales of 1e-6 switch blocks off, and small weights make
attention uniform. Here every layer approximately preserves the scale of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from codeclens._compat import import_torchvision, prepare_torchvision


@dataclass(frozen=True)
class Untrained:
    """A network with random weights, an input `(B, …)` for it, and the item that it gives."""

    name: str
    model: nn.Module
    x: Tensor
    output: str | None = None


def untrained(name: str, count: int = 4) -> Untrained:
    """The network of that name, one of `NAMES`, with `count` inputs of noise.

    >>> untrained("timm vit_tiny", 1).x.shape
    torch.Size([1, 3, 224, 224])
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prepare_torchvision()  # timm and transformers import it
        model, shape, output = _BUILDERS[name]()
        x = torch.randn(count, *shape)
        return Untrained(name, calibrated(awake(model), x), x, output)


def awake(model: nn.Module) -> nn.Module:
    """Weights that keep the size of what they are given, small biases, layer scales of 1."""
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            if parameter.ndim > 1 and "embed" not in name:
                # Kept along the axes over which it sums; GPT-2 has its own transposed layers.
                transposed = type(model.get_submodule(name.rpartition(".")[0])).__name__ == "Conv1D"
                fan_in = parameter[:, 0] if transposed else parameter[0]
                parameter.normal_(0, fan_in.numel() ** -0.5)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.1)
            elif "scale" in name or (
                parameter.abs().max() < 0.1 and "token" not in name and "embed" not in name
            ):
                # A scale that switches a block off; tokens and positions are no scales.
                parameter.fill_(1)
    return model


def calibrated(model: nn.Module, x: Tensor) -> nn.Module:
    """Batch norms that know the statistics of noise of the shape of `x`, in evaluation mode."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain average of all batches seen
    if norms:
        model.train()
        with torch.no_grad():
            for _ in range(2):
                model(torch.randn(4, *x.shape[1:]))
    return model.eval()


class FromEmbeddings(nn.Module):
    """A language model that takes the embeddings of its tokens `(B, T, F)`, not their numbers."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, embeddings: Tensor) -> Any:
        return self.inner(inputs_embeds=embeddings, use_cache=False)


Built = tuple[nn.Module, Sequence[int], str | None]


def _torchvision(name: str) -> Callable[[], Built]:
    def build() -> Built:
        return getattr(import_torchvision().models, name)(weights=None), (3, 224, 224), None

    return build


def _vit_tiny() -> Built:
    import timm

    return timm.create_model("vit_tiny_patch16_224"), (3, 224, 224), None


def _vit_of_transformers() -> Built:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=96,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=192,
        image_size=64,
        patch_size=8,
        num_labels=20,
    )
    return ViTForImageClassification(config), (3, 64, 64), "logits"


def _gpt2() -> Built:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=500, n_positions=32, n_embd=96, n_layer=6, n_head=4)
    return FromEmbeddings(GPT2LMHeadModel(config)), (16, 96), "logits"


_BUILDERS: dict[str, Callable[[], Built]] = {
    "torchvision resnet18": _torchvision("resnet18"),
    "torchvision resnet50": _torchvision("resnet50"),
    "torchvision convnext_tiny": _torchvision("convnext_tiny"),
    "timm vit_tiny": _vit_tiny,
    "transformers ViT": _vit_of_transformers,
    "transformers GPT-2": _gpt2,
}
NAMES = tuple(_BUILDERS)
