"""Presets: sites of networks whose architecture is known by the names of its classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from torch import Tensor, nn

from codeclens.errors import CodeclensError, unknown

Modules = Mapping[str, nn.Module]


class PresetSite(NamedTuple):
    """The fields of a `Site` that a preset sets."""

    name: str
    port: Literal["output", "input"] = "output"
    item: int | None = None
    heads: int | None = None
    found: bool = False


# Blocks are recognised by the name of their class. The outermost match counts, so that a block
# inside a block is not found twice.
_BLOCK = re.compile(
    r"\w*Block(V\d+|\dd|ClassAttn)?|\w*Bottle[nN]eck(V\d+)?|\w*InvertedResidual|\w*M[Bb]Conv|DlaBasic"
    r"|Block\d+[A-Z]?|Mixed_\w+|(First|Normal)?Cell|ReductionCell\d|DepthwiseSeparableConv|EdgeResidual"
    r"|\w*XceptionModule|Fire|Inception(?!Aux)\w*|\w*Layer"
)
# Names of blocks and of whole networks alike: blocks where they are numbered.
_NUMBERED_BLOCK = re.compile(r"Outlooker|Transformer")
# Names like those of blocks that are not blocks: parts of blocks, and stages made of blocks.
_NO_BLOCK = re.compile(
    r"\w*(Norm|Drop|Embed|Conv(?!Ne[xX]t)|Pool|Linear|Attention|Attn|SE|Activation|M[Ll][Pp])\w*Layer"
    r"|\w*(MLP|Mlp|Stem|SE|Patch)Block"
    r"|_?DenseBlock|MaxVitBlock|MobileViTMobileNetLayer"
)
# Parts of a network that hold no blocks of it, by the beginnings of their names.
_ENDS = ("head", "classifier", "fc", "aux", "stem", "downsample", "final_conv", "global_block")
_CONTAINERS = (nn.Sequential, nn.ModuleList)
_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Sigmoid, nn.Tanh),
    *(nn.PReLU, nn.CELU, nn.GLU, nn.Hardtanh, nn.RReLU, nn.Softsign, nn.LogSigmoid),
)

# The second linear layer of an MLP (its input: the hidden neurons), by the class that owns it.
_SECOND_LINEAR = (
    (
        re.compile(r"\w*(Mlp|MLP|FeedForward|FFN|SwiGLU|DenseActDense|DenseGatedActDense)\w*"),
        (
            *("fc2", "lin2", "linear2", "down_proj", "c_proj", "dense_4h_to_h"),
            *("wo", "w2", "w3", "weights_out", "3"),
        ),
    ),
    (re.compile(r"Transformer(En|De)coderLayer"), ("linear2",)),
    (re.compile(r"CNBlock"), ("block.5",)),
    (re.compile(r"ConvNext(V2)?Layer"), ("pwconv2",)),
    # BERT and what was written after it: Layer(attention, intermediate.dense, output.dense).
    (re.compile(r"\w+Layer"), ("output.dense",)),
)
# The output projection of an attention (its input: the mixed values).
_OUTPUT_PROJECTION = (
    (
        re.compile(r"\w*(Attention|Attn)\w*"),
        (
            *("proj", "out_proj", "o_proj", "c_proj", "out_lin"),
            *("to_out.0", "to_out", "o", "dense", "output.dense"),
        ),
    ),
)
# These pass the weights of their projection to one function: the projection is never called.
_FUSED = ("MultiheadAttention", "ShiftedWindowAttention", "ShiftedWindowAttentionV2")
_HEAD_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "heads")


def find_preset(preset: str, model: nn.Module) -> list[PresetSite]:
    """Find the sites that a preset names, in the order of definition.

    Raises CodeclensError for an unknown preset and if a preset finds nothing.

    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, batch_first=True)
    >>> find_preset("@mlp", nn.Sequential(layer))
    [PresetSite(name='0.linear2', port='input', item=None, heads=None, found=False)]
    """
    if preset not in _FINDERS:
        raise unknown("preset", preset, _FINDERS)
    modules = {name: module for name, module in model.named_modules() if name}
    found = list(_FINDERS[preset](modules))
    if not found:
        some = ", ".join(f'"{n}"' for n in list(modules)[:5])
        raise CodeclensError(
            f'The preset "{preset}" finds nothing in a {type(model).__name__}; '
            f"name its sites by module, for example {some}."
        )
    return found


def _blocks(modules: Modules) -> Iterator[PresetSite]:
    names = _outermost([name for name, module in modules.items() if _is_block(name, module)])
    beside = {name.rpartition(".")[0] for name in names if ".blocks." in f".{name}"}
    # What runs in turns with blocks, in one list of blocks, is a block too.
    names += [
        name
        for name, module in modules.items()
        if name.rpartition(".")[0] in beside and name not in names and _is_composite(module)
    ]
    names = names or _outermost(_in_series(modules))
    if not names and all(
        isinstance(m, _CONTAINERS) or not _is_composite(m) for m in modules.values()
    ):
        # A plain stack has no blocks: its units are the outputs of its nonlinearities.
        names = [n for n, m in modules.items() if isinstance(m, _ACTIVATIONS)]
    places = {name: place for place, name in enumerate(modules)}
    for name in sorted(names, key=places.__getitem__):
        yield PresetSite(name, found=True)


def _outermost(names: list[str]) -> list[str]:
    known = set(names)
    return [name for name in names if known.isdisjoint(_owners(name))]


def _owners(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _is_at_an_end(name: str) -> bool:
    return any(part.startswith(_ENDS) for part in name.split("."))


def _is_composite(module: nn.Module) -> bool:
    # A layer without layers inside is one linear map or one activation, whatever its name.
    return next(module.children(), None) is not None


def _is_block(name: str, module: nn.Module) -> bool:
    called = type(module).__name__
    if not _is_composite(module) or _NO_BLOCK.fullmatch(called) or _is_at_an_end(name):
        return False
    if isinstance(getattr(module, "blocks", None), _CONTAINERS):
        # What holds a list of blocks is a stage.
        return False
    if _NUMBERED_BLOCK.fullmatch(called):
        return name.rpartition(".")[2].isdigit()
    return bool(_BLOCK.fullmatch(called))


def _in_series(modules: Modules) -> list[str]:
    """Modules of several layers that follow others of their class, and what lies between them."""
    children: dict[str, list[str]] = {}
    for name in modules:
        children.setdefault(name.rpartition(".")[0], []).append(name)
    series = {
        owner: between
        for owner, inside in children.items()
        if (between := _between_alike(owner, inside, modules)) and not _is_at_an_end(owner)
    }
    holders = {owner for owner in series if isinstance(modules.get(owner), _CONTAINERS)}
    # A module with a list that is a series is a stage.
    stages = {type(modules[stage]) for h in holders if (stage := h.rpartition(".")[0])}
    stages -= set(_CONTAINERS)
    found = [name for inside in series.values() for name in inside]
    return [name for name in found if type(modules[name]) not in stages]


def _between_alike(owner: str, names: list[str], modules: Modules) -> list[str]:
    # Lists of layers are blocks in a list of such lists only.
    listed = isinstance(modules.get(owner), _CONTAINERS)
    names = [n for n in names if listed or not isinstance(modules[n], _CONTAINERS)]
    made = [name for name in names if _has_layers(modules[name])]
    kinds = [type(modules[name]).__name__ for name in made]
    places = [place for place, kind in enumerate(kinds) if kinds.count(kind) > 1]
    return made[places[0] : places[-1] + 1] if places else []


def _has_layers(module: nn.Module) -> bool:
    """Whether a module has two linear layers or more, and is no list of other modules."""
    if isinstance(module, _CONTAINERS) and all(map(_is_composite, module.children())):
        return False
    weights = [getattr(part, "weight", None) for part in module.modules()]
    matrices = [w for w in weights if isinstance(w, Tensor) and w.ndim > 1]
    return _is_composite(module) and len(matrices) > 1


def _mlps(modules: Modules) -> Iterator[PresetSite]:
    for name, _ in _inputs(modules, _SECOND_LINEAR):
        yield PresetSite(name, "input")


def _attentions(modules: Modules) -> Iterator[PresetSite]:
    for name, _ in _mixed_values(modules):
        yield PresetSite(name, "input")


def _heads(modules: Modules) -> Iterator[PresetSite]:
    for name, owner in _mixed_values(modules):
        heads = _head_count(owner)
        if heads is None:
            raise CodeclensError(
                f'The attention around "{name}" does not say how many heads it has; '
                f'pass Site("{name}", port="input", heads=…).'
            )
        yield PresetSite(name, "input", heads=heads)


def _mixed_values(modules: Modules) -> list[tuple[str, nn.Module]]:
    found = list(_inputs(modules, _OUTPUT_PROJECTION))
    fused = [n for n, m in modules.items() if type(m).__name__ in _FUSED]
    if fused and not found:
        called = type(modules[fused[0]]).__name__
        item = "[0]" if called == "MultiheadAttention" else ""
        raise CodeclensError(
            f'"{fused[0]}" is a {called}, which mixes and projects values in one function: no '
            f'tensor lies between. Take its output "{fused[0]}{item}" instead.'
        )
    return found


def _inputs(
    modules: Modules, table: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
) -> Iterator[tuple[str, nn.Module]]:
    """Names of the children that the table lists, each with the module it is a part of."""
    for name, module in modules.items():
        called = type(module).__name__
        if called in _FUSED:
            continue
        for owner, children in table:
            child = next((c for c in children if f"{name}.{c}" in modules), None)
            if owner.fullmatch(called) and child is not None:
                yield f"{name}.{child}", module
                break


def _head_count(owner: nn.Module) -> int | None:
    for module in owner.modules():
        for holder in (module, getattr(module, "config", None)):
            for count in _HEAD_COUNTS:
                heads = getattr(holder, count, None)
                if isinstance(heads, int):
                    return heads
    return None


_FINDERS: dict[str, Callable[[Modules], Iterator[PresetSite]]] = {
    "@blocks": _blocks,
    "@mlp": _mlps,
    "@attention": _attentions,
    "@heads": _heads,
}
PRESETS = tuple(_FINDERS)
