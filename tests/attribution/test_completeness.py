"""Sums that are exact at every cut of real architectures, at any number of steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.completeness import Case, Gaps, case, gaps
from benchmarks.untrained import FromEmbeddings, awake, calibrated
from torch import Tensor, nn

import networks
from codeclens._compat import import_timm, import_torchvision, prepare_torchvision
from codeclens.attribution import Attributor, Conductance, Predicted, Token

STEPS = (1, 3)
IMAGE = (3, 32, 32)
TOKENS = (5, 16)


class Encoder(nn.Module):
    """Tokens through `torch.nn`'s own transformer, whose layers have a fused way without grads."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            16, 2, 24, batch_first=True, norm_first=norm_first, activation="gelu"
        )
        self.embed = nn.Linear(16, 16)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder(self.embed(x)).mean(dim=1))
        return logits


class Attending(nn.Module):
    """`nn.MultiheadAttention` over tokens, with whatever it is called with."""

    def __init__(self, same: bool, given: dict[str, Any], **settings: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(16, 16)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True, dropout=0.5, **settings)
        self.head = nn.Linear(16, 5)
        self.same, self.given = same, given

    def forward(self, x: Tensor) -> Tensor:
        z = self.embed(x)
        key, value = (z, z) if self.same else (z.tanh(), z.flip(1))
        mixed, _ = self.attention(z, key, value, **self.given)
        logits: Tensor = self.head(mixed.mean(dim=1))
        return logits


def attending(same: bool, **given: Any) -> Callable[[], nn.Module]:
    settings = {name: given.pop(name) for name in ("add_bias_kv", "add_zero_attn") if name in given}
    return lambda: Attending(same, given, **settings)


def torchvisions(name: str) -> Callable[[], nn.Module]:
    return lambda: getattr(import_torchvision().models, name)(num_classes=5)


def timms(name: str, **settings: Any) -> Callable[[], nn.Module]:
    return lambda: import_timm().create_model(name, num_classes=5, **settings)


def vit_of_transformers() -> nn.Module:
    prepare_torchvision()
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 24, "intermediate_size": 32, "image_size": 32, "patch_size": 8}
    config = ViTConfig(num_hidden_layers=2, num_attention_heads=3, num_labels=5, **sizes)
    return ViTForImageClassification(config)


def gpt2() -> nn.Module:
    prepare_torchvision()
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 20, "n_positions": 8, "bos_token_id": 0, "eos_token_id": 0}
    return FromEmbeddings(GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, **sizes)))


TRIANGLE = torch.ones(5, 5).triu(1).bool()
ARCHITECTURES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "resnet18 of torchvision": (torchvisions("resnet18"), IMAGE),
    "squeeze and excitation": (torchvisions("mobilenet_v3_small"), IMAGE),
    "ViT of timm": (timms("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24), IMAGE),
    "ConvNeXt": (timms("convnext_tiny", depths=(1, 1, 1, 1), dims=(8, 16, 16, 16)), IMAGE),
    "ViT of transformers": (vit_of_transformers, IMAGE),
    "GPT-2": (gpt2, TOKENS),
    "encoder of torch, norm first": (lambda: Encoder(True), TOKENS),
    "encoder of torch, norm last": (lambda: Encoder(False), TOKENS),
    "self-attention": (attending(True), TOKENS),
    "self-attention, weights not needed": (attending(True, need_weights=False), TOKENS),
    "self-attention, masked": (attending(True, attn_mask=TRIANGLE, need_weights=False), TOKENS),
    "attention to others": (attending(False), TOKENS),
    "attention, fused": (attending(False, need_weights=False, attn_mask=TRIANGLE), TOKENS),
    "attention with a bias": (attending(False, add_bias_kv=True, add_zero_attn=True), TOKENS),
}


def built(name: str) -> Case:
    build, shape = ARCHITECTURES[name]
    model = networks.seeded(lambda: calibrated(awake(build()), torch.zeros(1, *shape))).double()
    target = Token(-1) if name == "GPT-2" else Predicted()
    output = "logits" if "transformers" in name or name == "GPT-2" else None
    return Case(name, model, networks.noise(3, *shape), target, output)


def assert_exact(found: Gaps, cuts: int, bound: float = 1e-12) -> None:
    assert not found.uncovered
    assert len(found.sites) >= cuts
    assert found.gap.max() < bound


HEAVY = ("resnet18 of torchvision", "squeeze and excitation")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in HEAVY else n for n in ARCHITECTURES],
)
def test_architectures_are_exact_at_every_cut(name: str) -> None:
    assert_exact(gaps(built(name), STEPS), cuts=2)


def test_a_baseline_without_variance_loses_nothing() -> None:
    # At zero every layer norm of this network has a variance of zero: 1/σ falls a thousandfold.
    single = built("ConvNeXt")
    for name, parameter in single.model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    found = gaps(single, STEPS)
    assert_exact(found, cuts=10)


@pytest.mark.parametrize("site", ["encoder.layers.0.linear1", "encoder.layers.1.self_attn[0]"])
def test_sites_inside_a_layer_with_a_fused_way_are_met(site: str) -> None:
    model, x = networks.seeded(lambda: Encoder(True)), networks.noise(2, *TOKENS).float()
    for rule in ("trapezoid", "secant"):
        method = Conductance(2, rule, "uniform")  # type: ignore[arg-type]
        found = Attributor(model, sites=site, method=method)(x)
        assert found[site].net.ne(0).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-resnet", "cifar-resnet20", "cifar-resnet56"])
def test_trained_networks_are_exact(bench: Path, name: str) -> None:
    single = case(name, 6)
    found = gaps(single._replace(model=single.model.double(), x=single.x.double()))
    assert_exact(found, cuts=10)


def test_in_single_precision_only_rounding_is_left(bench: Path) -> None:
    found = gaps(case("cifar-resnet20", 3), STEPS)
    assert_exact(found, cuts=10, bound=1e-4)
    assert found.gap.median() < 1e-6
    assert found.share.max() < 1e-6
