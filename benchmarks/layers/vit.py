"""A small vision transformer for digits, trained in a minute or two: `train` or `load`."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.train_digits import DigitsRecipe, augment
from codeclens import zoo

FEATURES, HEADS, DEPTH, PATCH = 64, 4, 6, 4
EPOCHS, BATCH, RATE, DECAY = 60, 128, 2e-3, 0.05


class Attention(nn.Module):
    """Self-attention with several heads, whose concatenated outputs `proj` mixes."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads = HEADS
        self.qkv = nn.Linear(FEATURES, 3 * FEATURES)
        self.proj = nn.Linear(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        shape = batch, tokens, 3, HEADS, FEATURES // HEADS
        q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(batch, tokens, FEATURES))


class Mlp(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(FEATURES, 4 * FEATURES)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each behind a layer norm and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(FEATURES), nn.LayerNorm(FEATURES)
        self.attn, self.mlp = Attention(), Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class DigitsViT(nn.Module):
    """`(B, 1, 28, 28)` to 10 logits: 49 patches and a class token of 64 features, six blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(1, FEATURES, PATCH, stride=PATCH)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, FEATURES))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 50, FEATURES))
        self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(FEATURES)
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


def train(epochs: int = EPOCHS, seed: int = 0) -> DigitsViT:
    """Train on the 4,000 training digits, shifted and turned a little."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = zoo.digits_data("train")
    model = DigitsViT()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            x = augment(images[rows], DigitsRecipe(), generator)
            loss = F.cross_entropy(model(x), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def load(folder: Path) -> DigitsViT:
    """The network from a file in the folder, trained and written there the first time."""
    file = folder / "digits-vit.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_file(train().state_dict(), file)
    model = DigitsViT()
    model.load_state_dict(load_file(file))
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """The share of the 1,000 held-out digits that are named right."""
    images, labels = zoo.digits_data("held_out")
    return float((model(images).argmax(dim=1) == labels).double().mean())
