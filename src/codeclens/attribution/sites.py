"""Sites: the tensors inside a network whose units are analysed, and how they are named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from torch import Tensor, nn

from codeclens.attribution.presets import find_preset
from codeclens.errors import CodeclensError, unknown

Port = Literal["output", "input"]

_SPEC = re.compile(
    r"^(?P<name>[^:\[\]#]+)(?::(?P<port>input|output))?(?:\[(?P<item>\w+)\])?(?:#(?P<call>\d+))?$"
)
# Layers whose class determines which axis of their input and output holds the units.
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CHANNELS_FIRST = (
    *_CONVOLUTIONS,
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
# Layers that keep the layout, by the module of torch that defines them.
_KEEP_LAYOUT = tuple(f"torch.nn.modules.{kind}" for kind in ("activation", "dropout", "pooling"))


@dataclass(frozen=True)
class Site:
    """One tensor inside a network: the output or the input of one call of a named module.

    Written as text: `"layer1.0"`, `"fc2:input"`, `"relu#1"` (its second call), `"h.0[0]"` (the
    first element of a tuple). `heads` groups the features of a token into that many attention
    heads; `unit_axis` is the axis of the units, if the number of dimensions does not show it.

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
    # Found by the structure of a model: left out if the model does not run it, and of several
    # tensors the one that goes on.
    found: bool = field(default=False, compare=False, repr=False)
    # The possible numbers of units of a module whose layers are linear. A gate of linear layers may
    # return feature maps; only the tensor shows that.
    _widths: frozenset[int] = field(default=frozenset(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.port not in ("output", "input"):
            raise CodeclensError(
                f'Site "{self.name}" has port={self.port!r}; it is "output" or "input".'
            )
        if self.heads is not None and self.heads < 1:
            raise CodeclensError(f'Site "{self.key}" has heads={self.heads}; it needs one or more.')

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read a site from its text; raises CodeclensError if the text is not a site."""
        match = _SPEC.match(text)
        if match is None:
            raise CodeclensError(
                f'"{text}" is not a site: write a module name, optionally with ":input", '
                '"[item]" and "#call", for example "layer1.0" or "fc2:input".'
            )
        item = int(match["item"]) if (match["item"] or "").isdigit() else match["item"]
        call = None if match["call"] is None else int(match["call"])
        port: Port = "input" if match["port"] == "input" else "output"
        return cls(match["name"], port, call, item)

    @property
    def key(self) -> str:
        """The name of the site in results."""
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
        """Give values `(B, U, P)` the layout of the activation `like`: the inverse of `units`."""
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
            axis, count = self.unit_axis, activation.ndim
            if self._widths and count == 4 and activation.shape[-1] not in self._widths:
                return 1
            if not -count < axis < count or axis == 0:
                raise CodeclensError(
                    f'Site "{self.key}" has unit_axis={axis}, but its tensor has shape '
                    f"{tuple(activation.shape)}, whose axis 0 counts samples."
                )
            return axis
        # (B, U), (B, T, features) with tokens, (B, C, H, W) with feature maps.
        return 2 if activation.ndim == 3 else 1


def find_sites(model: nn.Module, sites: str | Site | Iterable[str | Site]) -> list[Site]:
    """Find the sites that patterns name, in natural order within each pattern.

    A pattern is a module name or a glob such as `"layer*.*"`, either with `":input"`, or a preset:
    `"@blocks"` (outputs of residual or transformer blocks, or of modules that repeat; in a plain
    stack of layers, which has none, the outputs of its activations), `"@mlp"` (hidden neurons: the
    input of each MLP's second linear layer), `"@attention"` (mixed values before the output
    projection), `"@heads"` (the same by head). Of the blocks that are found, those that the model
    does not run are left out, and one that returns several tensors gives the one that goes on.

    Raises CodeclensError, with the nearest names, if nothing matches.

    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> [site.key for site in find_sites(model, "@blocks")]
    ['1']
    >>> [site.key for site in find_sites(model, ["0", "2:input"])]
    ['0', '2:input']
    """
    given = [sites] if isinstance(sites, str | Site) else sites
    patterns: list[str | Site] = list(given) if isinstance(given, Iterable) else [given]
    for pattern in patterns:
        if not isinstance(pattern, str | Site):
            raise CodeclensError(
                f'{pattern!r} is not a site; pass module names, globs, "@blocks" or Site objects.'
            )
    if not patterns:
        raise CodeclensError('No sites were given; pass a module name, a glob or "@blocks".')
    modules = dict(model.named_modules())
    found: dict[str, Site] = {}
    for pattern in patterns:
        for site in _matches(pattern, model, modules):
            complete = _with_axis(site, modules)
            if found.setdefault(site.key, complete) != complete:
                raise CodeclensError(
                    f'Site "{site.key}" is requested twice with different units '
                    f"({found[site.key]} and {complete}); request one of them at a time."
                )
    return list(found.values())


def _matches(
    pattern: str | Site, model: nn.Module, modules: Mapping[str, nn.Module]
) -> Iterable[Site]:
    if isinstance(pattern, Site):
        _require(pattern.name, modules)
        return [pattern]
    if pattern.startswith("@"):
        return [
            Site(found.name, found.port, item=found.item, heads=found.heads, found=found.found)
            for found in find_preset(pattern, model)
        ]
    return _glob(pattern, modules)


def _glob(pattern: str, modules: Mapping[str, nn.Module]) -> list[Site]:
    site = Site.parse(pattern)
    if site.name in modules:
        return [site]
    names = sorted((n for n in modules if n and fnmatchcase(n, site.name)), key=natural_key)
    # "layer*.*" means the children of the layers, not everything below them.
    names = [n for n in names if n.count(".") == site.name.count(".")]
    if not names:
        _require(site.name, modules)
    return [replace(site, name=name) for name in names]


def _require(name: str, modules: Mapping[str, nn.Module]) -> None:
    if name and name in modules:
        return
    raise unknown("site", name, filter(None, modules), "The model has")


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts "h.10" after "h.9".

    >>> sorted(["h.10", "h.9"], key=natural_key)
    ['h.9', 'h.10']
    """
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def _with_axis(site: Site, modules: Mapping[str, nn.Module]) -> Site:
    """Set the unit axis by the kind of the module or of its neighbours, where that is certain."""
    if site.unit_axis is not None:
        return site
    module = modules[site.name]
    if type(module).__module__ in _KEEP_LAYOUT:
        # Only in a Sequential is the layer that is defined before also the one that runs before.
        parent = modules.get(site.name.rpartition(".")[0])
        for sibling in parent if isinstance(parent, nn.Sequential) else ():
            if sibling is module:
                break
            axis = _layer_axis(sibling)
            site = site if axis is None else replace(site, unit_axis=axis)
        return site
    axis = _layer_axis(module)
    if axis is not None:
        return replace(site, unit_axis=axis)
    axis = _composite_axis(module)
    return replace(site, unit_axis=axis, _widths=_widths(module) if axis == -1 else frozenset())


def _widths(module: nn.Module) -> frozenset[int]:
    layers = [part for part in module.modules() if isinstance(part, nn.Linear)]
    norms = [part for part in module.modules() if isinstance(part, nn.LayerNorm)]
    return frozenset(
        [size for layer in layers for size in (layer.in_features, layer.out_features)]
        + [norm.normalized_shape[-1] for norm in norms]
    )


def _layer_axis(layer: nn.Module) -> int | None:
    if isinstance(layer, _CHANNELS_FIRST):
        return 1
    if isinstance(layer, nn.LayerNorm):
        # Some layer norms act on the channels of feature maps, others on whole feature maps.
        first = type(layer).__name__.endswith("2d")
        first = first or getattr(layer, "data_format", None) == "channels_first"
        return 1 if first or len(layer.normalized_shape) > 1 else -1
    return -1 if isinstance(layer, nn.Linear) else None


def _composite_axis(module: nn.Module) -> int | None:
    """The unit axis of a module made of layers; None leaves it to the number of dimensions."""
    parts = list(module.modules())
    linear = any(isinstance(part, _CHANNELS_LAST) for part in parts)
    convolutions = [part for part in parts if isinstance(part, _CONVOLUTIONS)]
    if linear and not convolutions:
        return -1
    if convolutions and not linear and all(isinstance(c, nn.Conv1d) for c in convolutions):
        return 1
    return None
