"""Small networks that the tests of all rooms share: seeded, in evaluation mode, without surprises.

Each holds one thing that real networks do and that is easily got wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from codeclens._compat import prepare_torchvision

Model = TypeVar("Model", bound=nn.Module)


def seeded(build: Callable[[], Model], seed: int = 0) -> Model:
    """Build a network from its own seed, in evaluation mode; the global random state is kept.

    Batch norms get statistics and weights that are not those of a new one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


def noise(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal noise from its own seed."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64).to(dtype)


def plain_mlp(seed: int = 0) -> nn.Sequential:
    """`(B, 6)` → `(B, 4)`: two hidden layers, activations `1` and `3`."""
    return seeded(
        lambda: nn.Sequential(
            *(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.GELU(), nn.Linear(7, 4))
        ),
        seed,
    )


def plain_cnn(seed: int = 0) -> nn.Sequential:
    """`(B, 3, 12, 12)` → `(B, 5)`: convolutions with a max pooling, in one `nn.Sequential`."""
    return seeded(
        lambda: nn.Sequential(
            *(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
            *(nn.Flatten(), nn.Linear(8, 5)),
        ),
        seed,
    )


def linear_network(seed: int = 0) -> nn.Sequential:
    """`(B, 6)` → `(B, 4)` without a nonlinearity: every rule is exact here, at one step too."""
    return seeded(
        lambda: nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 7, bias=False), nn.Linear(7, 4)), seed
    )


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut; `inplace` adds and rectifies in place, as torchvision."""

    def __init__(self, inputs: int, outputs: int, stride: int, inplace: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace)  # called twice
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.relu.inplace:
            out += self.downsample(x)
        else:
            out = out + self.downsample(x)
        rectified: Tensor = self.relu(out)
        return rectified


class ResidualCNN(nn.Module):
    """`(B, 3, 12, 12)` → `(B, 5)`: blocks `layer1.0`, `layer1.1`, `layer2.0`, all of them cuts."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace)
        self.layer1 = nn.Sequential(BasicBlock(6, 6, 1, inplace), BasicBlock(6, 6, 1, inplace))
        self.layer2 = nn.Sequential(BasicBlock(6, 8, 2, inplace))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        logits: Tensor = self.fc(self.layer2(self.layer1(x)).mean(dim=(2, 3)))
        return logits


def residual_cnn(seed: int = 0, inplace: bool = False) -> ResidualCNN:
    return seeded(lambda: ResidualCNN(inplace), seed)


class Attention(nn.Module):
    """Multi-head self-attention over tokens `(B, T, F)`, mixed values before `proj`."""

    def __init__(self, features: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        samples, tokens, features = x.shape
        parts = self.qkv(x).reshape(samples, tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        scores = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2)
        out: Tensor = self.proj(mixed.reshape(samples, tokens, features))
        return out


class Mlp(nn.Module):
    """Two linear layers over token features; the hidden neurons are the input of `fc2`."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, features)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.act(self.fc1(x)))
        return out


class Block(nn.Module):
    """A transformer block as vision transformers have it: norm first, two residual branches."""

    def __init__(self, features: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(features)
        self.attn = Attention(features, num_heads)
        self.norm2 = nn.LayerNorm(features)
        self.mlp = Mlp(features, 2 * features)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Module):
    """`(B, 3, 8, 8)` → `(B, 5)`: four patches and a class token of 12 features, two blocks."""

    def __init__(self, features: int = 12, num_heads: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, features, 4, stride=4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, features))
        self.pos_embed = nn.Parameter(torch.randn(1, 5, features))
        self.blocks = nn.Sequential(*(Block(features, num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(features)
        self.head = nn.Linear(features, 5)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        logits: Tensor = self.head(self.norm(self.blocks(tokens + self.pos_embed))[:, 0])
        return logits


def small_vit(seed: int = 0) -> SmallViT:
    return seeded(SmallViT, seed)


class CalledTwice(nn.Module):
    """`(B, 6)` → `(B, 4)`: the module `shared` runs twice in every forward, `act` as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.shared = nn.Linear(8, 8)
        self.act = nn.Tanh()
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.shared(self.first(x)))
        logits: Tensor = self.last(self.act(self.shared(x)))
        return logits


def called_twice(seed: int = 0) -> CalledTwice:
    return seeded(CalledTwice, seed)


class Pair(NamedTuple):
    """A named tuple with a tensor and something that is none."""

    hidden: Tensor
    note: str


@dataclass
class Record:
    """A dataclass with a tensor and something that is none."""

    hidden: Tensor
    note: str = "none"


class Wrapping(nn.Module):
    """A layer whose output is wrapped: in a `tuple`, `list`, `pair` (named), `dict` or `record`."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 8)
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        hidden = torch.tanh(self.layer(x))
        wrapped: dict[str, object] = {
            "tuple": (hidden, None),
            "list": [hidden, None],
            "pair": Pair(hidden, "second"),
            "dict": OrderedDict(hidden=hidden, note=None),
            "record": Record(hidden),
        }
        return wrapped[self.kind]


class Wrapped(nn.Module):
    """`(B, 6)` → `(B, 4)`: its site `inner` gives no tensor but something that holds one."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.inner = Wrapping(kind)
        self.last = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        found = self.inner(x)
        named = self.inner.kind in ("pair", "record")
        key: object = 0 if self.inner.kind in ("tuple", "list") else "hidden"
        logits: Tensor = self.last(found.hidden if named else found[key])
        return logits


def wrapped(kind: str, seed: int = 0) -> Wrapped:
    return seeded(lambda: Wrapped(kind), seed)


class SeveralInputs(nn.Module):
    """`a (B, 5)`, `b (B, 3, 2)`, `c (B, 4)` and a keyword `mask (B, 4)` → `(B, 3)`, all mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.second = nn.Linear(6, 4)
        self.joined = nn.Linear(4, 6)
        self.head = nn.Linear(6, 3)

    def forward(
        self, a: Tensor, b: Tensor, c: Tensor, *, mask: Tensor | None = None, scale: float = 1.0
    ) -> Tensor:
        z = self.first(a).tanh() * self.second(b.flatten(1)).sigmoid() + c
        if mask is not None:
            z = z * mask
        logits: Tensor = self.head(nn.functional.gelu(self.joined(z)) * scale)
        return logits


def several_inputs(seed: int = 0) -> SeveralInputs:
    """A network with three inputs in float64."""
    return seeded(SeveralInputs, seed).double()


class LlamaBlock(nn.Module):
    """A block as in Llama: rotary positions, grouped queries, RMS norms, a gated MLP."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, features // heads
        self.before, self.between = nn.RMSNorm(features), nn.RMSNorm(features)
        self.q = nn.Linear(features, features, bias=False)
        self.kv = nn.Linear(features, 2 * self.size, bias=False)
        self.o = nn.Linear(features, features, bias=False)
        self.gate, self.up = (nn.Linear(features, 2 * features, bias=False) for _ in range(2))
        self.down = nn.Linear(2 * features, features, bias=False)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        samples, tokens, _ = x.shape
        z = self.before(x)
        q = self.q(z).reshape(samples, tokens, self.heads, self.size).transpose(1, 2)
        k, v = self.kv(z)[:, None].chunk(2, dim=3)
        angle = torch.arange(tokens, dtype=x.dtype)[:, None] / 10 ** torch.arange(
            self.size // 2, dtype=x.dtype
        )
        cos, sin = (f(angle).repeat(1, 2) for f in (torch.cos, torch.sin))

        def turned(t: Tensor) -> Tensor:
            left, right = t.chunk(2, dim=3)
            return t * cos + torch.cat([-right, left], dim=3) * sin

        scores = turned(q) @ turned(k).transpose(2, 3) / self.size**0.5
        mixed = scores.masked_fill(~seen, float("-inf")).softmax(dim=3) @ v
        x = x + self.o(mixed.transpose(1, 2).reshape(samples, tokens, -1))
        z = self.between(x)
        found: Tensor = x + self.down(nn.functional.silu(self.gate(z)) * self.up(z))
        return found


class SmallLanguageModel(nn.Module):
    """Token ids `(B, T)` → `(B, T, words)`: two blocks as in Llama, or as in GPT-2 (positions)."""

    def __init__(self, words: int = 11, features: int = 8, positions: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(words, features)
        self.positions = nn.Embedding(16, features) if positions else None
        self.layers = nn.ModuleList(LlamaBlock(features, 2) for _ in range(2))
        self.norm = nn.RMSNorm(features)
        self.head = nn.Linear(features, words, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        tokens = input_ids.shape[1]
        seen = torch.ones(tokens, tokens, dtype=torch.bool).tril()[None, None]
        if attention_mask is not None:
            # A token always sees itself, so that no softmax is over nothing.
            seen = (seen & (attention_mask != 0)[:, None, None]) | torch.eye(tokens).bool()
        x = self.embed(input_ids.view(-1, tokens))
        if self.positions is not None:
            x = x + self.positions(torch.arange(tokens))
        for layer in self.layers:
            x = layer(x, seen)
        logits: Tensor = self.head(self.norm(x))
        return logits


def language_model(seed: int = 0, positions: bool = False) -> SmallLanguageModel:
    """An untrained language model in float64."""
    return seeded(lambda: SmallLanguageModel(positions=positions), seed).double()


class Returning(nn.Module):
    """`(B, 6)` → whatever `wrap` makes of the logits `(B, 4)`."""

    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
        self.wrap = wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.body(x))


def returning(wrap: Callable[[Tensor], object], seed: int = 0) -> Returning:
    return seeded(lambda: Returning(wrap), seed)


class Switching(nn.Module):
    """`(B, 2)` → `(B, 2)`: class 0 leads early on the path from zero, class 1 from its middle on.

    From zero to `x = (1, 1)` the outputs at α are `α` and `relu(3 α − 1)`; they cross at α = ½.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 2)
        self.act = nn.ReLU()
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 3.0]]))
            self.hidden.bias.copy_(torch.tensor([0.0, -1.0]))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.hidden(x))
        return out


class Failing(nn.Module):
    """`(B, 6)` → `(B, 4)`: raises at its forward number `at`, behind the hidden layer."""

    def __init__(self, at: int, error: Exception) -> None:
        super().__init__()
        self.hidden = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(8, 4)
        self.at = at
        self.error = error
        self.forwards = 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.norm(self.hidden(x)).relu())
        self.forwards += 1
        if self.forwards == self.at:
            raise self.error
        logits: Tensor = self.last(x)
        return logits


def transformers_vit() -> nn.Module:
    """A small vision transformer of the package transformers, for images (B, 3, 16, 16)."""
    prepare_torchvision()
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
        num_labels=4,
    )
    return seeded(lambda: ViTForImageClassification(config))
