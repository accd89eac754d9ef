"""Sites: the tensors inside a network that we look at, and how they are named and found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from torch import Tensor, nn

from codeclens.errors import CodeclensError

Port = Literal["output", "input"]

_SPEC = re.compile(
    r"^(?P<name>[^:\[\]#]+)(?::(?P<port>input|output))?(?:\[(?P<item>\w+)\])?(?:#(?P<call>\d+))?$"
)

# Blocks are recognised by the name of their class: the outermost match counts, so that a block
# inside a block is not found twice.
_BLOCK = re.compile(
    r"(Basic)?Block|Bottleneck|\w*(Residual|Transformer|Encoder|Decoder|Inverted|MBConv)\w*Block"
    r"|InvertedResidual|\w*MBConv|DepthwiseSeparableConv|UniversalInvertedResidual|EdgeResidual"
    r"|CNBlock|ConvNeXtBlock|ConvNextLayer|ConvNextV2Layer|ResNetBottleNeckLayer|ResNetBasicLayer"
    r"|(ViT|DeiT|Dinov2|Beit|CLIP\w*|Siglip\w*)(Encoder)?Layer|GPT2Block|Swin\w*(Block|Layer)"
    r"|TransformerEncoderLayer|TransformerDecoderLayer|\w*DecoderLayer|_DenseLayer|Preact\w+"
)
_MLP = re.compile(r"\w*(Mlp|MLP\w*|MLPBlock|FeedForward|GluMlp)")
_ATTENTION = re.compile(r"\w*Attention\w*")
_MIXED_VALUES = ("proj", "out_proj", "o_proj", "to_out", "c_proj")
_SECOND_LINEAR = ("fc2", "lin2", "linear2", "down_proj", "c_proj", "w2", "3")
_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Sigmoid, nn.Tanh),
)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)
_CHANNELS_FIRST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)

PRESETS = ("@blocks", "@mlp", "@attention", "@heads")


@dataclass(frozen=True)
class Site:
    """One tensor inside a network: the output or the input of one call of a named module.

    Written as text: `"layer1.0"`, `"fc2:input"`, `"relu#1"` (its second call), `"h.0[0]"` (the
    first element of a tuple). `heads` groups the features of a token into that many attention
    heads; `unit_axis` says where the units are when the number of dimensions does not tell.

    >>> Site.parse("blocks.3.mlp.fc2:input").key
    'blocks.3.mlp.fc2:input'
    >>> import torch
    >>> Site("conv1").units(torch.zeros(2, 16, 7, 7)).shape
    torch.Size([2, 16, 49])
    >>> Site("attn", heads=4).units(torch.zeros(2, 10, 64)).shape
    torch.Size([2, 4, 160])
    """

    name: str
    port: Port = "output"
    call: int | None = None
    item: int | str | None = None
    heads: int | None = None
    unit_axis: int | None = None

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read a site from its text; raises CodeclensError where the text is no site."""
        match = _SPEC.match(text)
        if match is None:
            raise CodeclensError(
                f'"{text}" is no site: write a module name, optionally with ":input", '
                '"[item]" and "#call", for example "layer1.0" or "fc2:input".'
            )
        item = int(match["item"]) if (match["item"] or "").isdigit() else match["item"]
        call = None if match["call"] is None else int(match["call"])
        port: Port = "input" if match["port"] == "input" else "output"
        return cls(match["name"], port, call, item)

    @property
    def key(self) -> str:
        """The name under which results of this site are filed."""
        port = ":input" if self.port == "input" else ""
        item = "" if self.item is None else f"[{self.item}]"
        call = "" if self.call is None else f"#{self.call}"
        return f"{self.name}{port}{item}{call}"

    def units(self, activation: Tensor) -> Tensor:
        """View an activation `(B, …)` as samples, units and positions `(B, U, P)`."""
        if activation.ndim < 2:
            raise CodeclensError(
                f'Site "{self.key}" gives a tensor of shape {tuple(activation.shape)}; '
                "a site needs a sample axis and a unit axis."
            )
        moved = activation.movedim(self._axis(activation), 1)
        flat = moved.reshape(moved.shape[0], moved.shape[1], -1)
        if self.heads is None:
            return flat
        samples, features, positions = flat.shape
        if features % self.heads:
            raise CodeclensError(
                f'Site "{self.key}" has {features} features, which do not divide into '
                f"{self.heads} heads."
            )
        return flat.reshape(samples, self.heads, features // self.heads * positions)

    def restore(self, units: Tensor, like: Tensor) -> Tensor:
        """Give values `(B, U, P)` the layout of the activation `like` again: inverse of `units`."""
        moved = like.movedim(self._axis(like), 1)
        shape = (units.shape[0], *moved.shape[1:])
        return (
            units.expand(-1, -1, self._positions(like)).reshape(shape).movedim(1, self._axis(like))
        )

    def grid(self, activation: Tensor) -> tuple[int, ...]:
        """The shape of the positions: `(H, W)` of a feature map, `(T,)` of tokens."""
        moved = activation.movedim(self._axis(activation), 1)
        if self.heads is None:
            return tuple(moved.shape[2:])
        return (moved.shape[1] // self.heads, *moved.shape[2:])

    def _positions(self, activation: Tensor) -> int:
        count = 1
        for size in self.grid(activation):
            count *= size
        return count

    def _axis(self, activation: Tensor) -> int:
        if self.unit_axis is not None:
            return self.unit_axis
        # (B, U), (B, T, features) with tokens, (B, C, H, W) with feature maps.
        return 2 if activation.ndim == 3 else 1


def find_sites(model: nn.Module, sites: str | Site | Iterable[str | Site]) -> list[Site]:
    """Find the sites that patterns name, in natural order within each pattern.

    A pattern is a module name, a glob (`"layer*.*"`; `*` stops at no dot), either with `":input"`,
    or a preset: `"@blocks"` (outputs of residual or transformer blocks; activations of a plain
    `nn.Sequential`), `"@mlp"` (hidden neurons: input of each MLP's second linear layer),
    `"@attention"` (mixed values before the output projection), `"@heads"` (the same by head).

    Raises CodeclensError, with the nearest names, where nothing matches.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> [site.key for site in find_sites(model, "@blocks")]
    ['1']
    >>> [site.key for site in find_sites(model, ["0", "2:input"])]
    ['0', '2:input']
    """
    patterns: Sequence[str | Site] = [sites] if isinstance(sites, str | Site) else list(sites)
    if not patterns:
        raise CodeclensError('No sites were given; pass a module name, a glob or "@blocks".')
    modules = {name: module for name, module in model.named_modules() if name}
    found: dict[Site, None] = {}
    for pattern in patterns:
        if isinstance(pattern, Site):
            _require(pattern.name, modules)
            found[pattern] = None
        elif pattern.startswith("@"):
            found.update(dict.fromkeys(_preset(pattern, model, modules)))
        else:
            found.update(dict.fromkeys(_glob(pattern, modules)))
    return [_with_axis(site, modules[site.name]) for site in found]


def _glob(pattern: str, modules: dict[str, nn.Module]) -> list[Site]:
    # A glob's own "[…]" is told from "[item]" by trying the exact name first.
    site = Site.parse(pattern)
    if site.name in modules:
        return [site]
    names = sorted((n for n in modules if fnmatchcase(n, site.name)), key=natural_key)
    # "layer*.*" means the children of the layers, not everything below them.
    names = [n for n in names if n.count(".") == site.name.count(".")]
    if not names:
        _require(site.name, modules)
    return [replace(site, name=name) for name in names]


def _require(name: str, modules: dict[str, nn.Module]) -> None:
    if name in modules:
        return
    near = difflib.get_close_matches(name, modules, n=3, cutoff=0.0)
    offered = ", ".join(f'"{n}"' for n in near)
    raise CodeclensError(f'The model has no site "{name}"; the nearest names are {offered}.')


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts "h.10" after "h.9".

    >>> sorted(["h.10", "h.9"], key=natural_key)
    ['h.9', 'h.10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def _preset(preset: str, model: nn.Module, modules: dict[str, nn.Module]) -> list[Site]:
    finders = {
        "@blocks": _blocks,
        "@mlp": _mlps,
        "@attention": _attentions,
        "@heads": _heads,
    }
    if preset not in finders:
        near = difflib.get_close_matches(preset, PRESETS, n=1, cutoff=0.0)[0]
        raise CodeclensError(
            f'There is no preset "{preset}"; the presets are {", ".join(PRESETS)} '
            f'(did you mean "{near}"?).'
        )
    sites = finders[preset](model, modules)
    if not sites:
        some = ", ".join(f'"{n}"' for n in list(modules)[:5])
        raise CodeclensError(
            f'The preset "{preset}" finds nothing in a {type(model).__name__}; '
            f"name its sites by module, for example {some}."
        )
    return sites


def _blocks(model: nn.Module, modules: dict[str, nn.Module]) -> list[Site]:
    names: list[str] = []
    for name, module in modules.items():
        inside = any(name.startswith(f"{outer}.") for outer in names)
        if _BLOCK.fullmatch(type(module).__name__) and not inside:
            names.append(name)
    if not names:
        # A plain stack has no blocks: its nonlinearities are where units act.
        names = [n for n, m in modules.items() if isinstance(m, _ACTIVATIONS)]
    return [Site(name) for name in names]


def _mlps(model: nn.Module, modules: dict[str, nn.Module]) -> list[Site]:
    return _inputs_of(modules, _MLP, _SECOND_LINEAR)


def _attentions(model: nn.Module, modules: dict[str, nn.Module]) -> list[Site]:
    return _inputs_of(modules, _ATTENTION, _MIXED_VALUES)


def _inputs_of(
    modules: dict[str, nn.Module], owner: re.Pattern[str], children: tuple[str, ...]
) -> list[Site]:
    sites = []
    for name, module in modules.items():
        if owner.fullmatch(type(module).__name__):
            child = next((c for c in children if f"{name}.{c}" in modules), None)
            if child is not None:
                sites.append(Site(f"{name}.{child}", port="input"))
    return sites


def _heads(model: nn.Module, modules: dict[str, nn.Module]) -> list[Site]:
    sites = []
    for site in _attentions(model, modules):
        owner = modules[site.name.rpartition(".")[0]]
        counts = ("num_heads", "num_attention_heads", "n_head", "heads")
        heads = next((h for c in counts if isinstance(h := getattr(owner, c, None), int)), None)
        if heads is None:
            raise CodeclensError(
                f'The attention that owns "{site.name}" does not say how many heads it has; '
                f'pass Site("{site.name}", port="input", heads=…).'
            )
        sites.append(replace(site, heads=heads))
    return sites


def _with_axis(site: Site, module: nn.Module) -> Site:
    """Take the unit axis from the module's class where that is certain."""
    if site.unit_axis is not None or site.heads is not None:
        return site
    if isinstance(module, _CHANNELS_LAST) or "Swin" in type(module).__name__:
        return replace(site, unit_axis=-1)
    if isinstance(module, _CHANNELS_FIRST):
        return replace(site, unit_axis=1)
    return site
