"""Families of networks in torchvision, timm and transformers: a small one of each, with an input.

A family of timm or torchvision is a file of models, one of transformers is a kind of model with its
configuration. The network is the smallest of its family, or one with a small configuration, with
random weights.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.untrained import awake
from codeclens._compat import import_timm, import_torchvision, prepare_torchvision

Selected = Callable[[Any], Tensor]
SAMPLES = 2
TOKENS = 6


class CannotRunError(Exception):
    """A network that cannot be made or does not run here, also without contributions."""


@dataclass(frozen=True)
class Small:
    """A network with a name, an input `(B, …)`, and what selects scores `(B, C)` of its output."""

    name: str
    model: nn.Module
    x: Tensor
    output: Selected


def families(library: str) -> list[str]:
    """The families of a library, sorted.

    >>> "resnet" in families("torchvision")
    True
    """
    return sorted(_FAMILIES[library]())


def small(library: str, family: str) -> Small:
    """A small network of a family, in double precision.

    >>> small("torchvision", "squeezenet").name
    'squeezenet1_1'
    """
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        name, builds = _BUILDERS[library](family)
        reasons = []
        for build in builds:
            try:
                model, x, output = build()
                model = _calibrated(awake(model).double(), x)
                with torch.no_grad():
                    scores = output(model(x))
                if not torch.isfinite(scores).all():
                    raise ValueError("the network's own output is not finite")
                return Small(name, model, x, output)
            except Exception as error:  # whatever a library raises for another size of input
                reasons.append(next(iter(str(error).strip().splitlines()), "no reason"))
    raise CannotRunError(f"{name}: {reasons[-1] if reasons else 'no configuration'}")


def scores_of(output: Any) -> Tensor:
    """Scores `(B, C)`: logits, of the last token or the mean pixel where there are several."""
    for key in ("logits", "out", "prediction_logits", "last_hidden_state"):
        if isinstance(output, Mapping) and key in output:
            output = output[key]
    while isinstance(output, tuple | list):
        output = output[0]
    if output.ndim == 3:
        return output[:, -1]
    scores: Tensor = output.flatten(2).mean(2) if output.ndim > 3 else output
    return scores


def _calibrated(model: nn.Module, x: Tensor) -> nn.Module:
    """Batch norms that know the statistics of the input, in evaluation mode."""
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    norms = [module for module in model.modules() if isinstance(module, kinds)]
    model.eval()
    for norm in norms:
        norm.momentum, norm.training = None, True
    if norms:
        try:
            with torch.no_grad():
                model(x)
        except ValueError:  # one value for each channel has no variance
            pass
    return model.eval()


Build = Callable[[], tuple[nn.Module, Tensor, Selected]]
Built = tuple[str, Iterable[Build]]


# --- torchvision and timm ---


@lru_cache
def _torchvision_models() -> dict[str, list[str]]:
    models = import_torchvision().models
    found: dict[str, list[str]] = {}
    for name in models.list_models():
        module = models.get_model_builder(name).__module__
        kind = module.removeprefix("torchvision.models.").replace(".", "/")
        if "quantization" not in kind:
            found.setdefault(kind, []).append(name)
    return found


def _torchvision(family: str) -> Built:
    models = import_torchvision().models
    plain = {"weights": None, "weights_backbone": None}

    def made(name: str) -> nn.Module:
        takes = inspect.signature(models.get_model_builder(name)).parameters
        given = {key: value for key, value in plain.items() if key in takes}
        model: nn.Module = models.get_model(name, **given)
        return model

    name = _smallest(_torchvision_models()[family])
    shapes = [(3, size, size) for size in (64, 128, 224, 299)]
    if family.startswith("video"):
        shapes = [(3, 8, 112, 112), (3, 16, 112, 112), (3, 16, 224, 224)]
    output = scores_of
    if family.startswith("detection"):
        output = lambda found: torch.stack([one["scores"][:1] for one in found])  # noqa: E731
    model = made(name)
    return name, [
        lambda shape=shape: (_no_aux(model), noise(shape), output)  # type: ignore[misc]
        for shape in shapes
    ]


def _no_aux(model: nn.Module) -> nn.Module:
    # A classifier that is only trained with is not a part of the network.
    if getattr(model, "aux_logits", False):
        model.aux_logits = False  # type: ignore[assignment]
    return model


@lru_cache
def _timm_models() -> dict[str, list[str]]:
    timm = import_timm()
    found: dict[str, list[str]] = {}
    for name in timm.list_models():
        module = timm.models._registry._model_to_module[name]
        found.setdefault(module, []).append(name)
    return found


def _timm(family: str) -> Built:
    timm = import_timm()
    name = _smallest(_timm_models()[family])

    def build(size: int | None, given: bool) -> Callable[[], tuple[nn.Module, Tensor, Selected]]:
        def built() -> tuple[nn.Module, Tensor, Selected]:
            model = timm.create_model(name, **({"img_size": size} if given else {}))
            channels, height, width = model.default_cfg["input_size"]
            shape = (channels, size, size) if size else (channels, height, width)
            return model, noise(shape), scores_of

        return built

    sizes = (64, 96, 128, 160, 192)
    return name, [
        *(build(size, given) for size in sizes for given in (True, False)),
        build(None, False),
    ]


def _smallest(names: list[str]) -> str:
    """The smallest model of a family, by its name."""

    def size(name: str) -> tuple[int, list[int], int]:
        small = re.search(r"test_|atto|femto|pico|nano|zepto|xx_?s|_t0|_s0|_m0|_a0", name)
        middle = re.search(
            r"tiny|_xs|mini|small|_[st]$|_s_|_b_|_0?[25]0$|_00[24]|_400mf|lite", name
        )
        numbers = [int(each) for each in re.findall(r"\d+", name)]
        return (0 if small else 1 if middle else 2), numbers, len(name)

    return min(names, key=size)


def noise(shape: Iterable[int], samples: int = SAMPLES) -> Tensor:
    """Standard normal numbers for some samples, in double precision."""
    return torch.randn(samples, *shape, dtype=torch.float64)


# --- transformers ---

_KINDS = (
    *("IMAGE_CLASSIFICATION", "VIDEO_CLASSIFICATION", "AUDIO_CLASSIFICATION", "CAUSAL_LM"),
    *("SEQ_TO_SEQ_CAUSAL_LM", "SEQUENCE_CLASSIFICATION", "MASKED_LM"),
)
# Small values for the numbers of a configuration, by what they are called.
_SMALL_NUMBERS: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embed_dim", "dim", "emb_dim"), 32),
    **dict.fromkeys(("embedding_size", "hidden_dim", "model_dim", "attention_hidden_size"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "conv_dim", "state_size_proj", "lru_width"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers", "layers"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_blocks", "num_hidden_groups"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "n_head_kv", "num_query_groups"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "dim_feedforward"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "ffn_hidden_size", "d_inner"), 48),
    **dict.fromkeys(("feed_forward_proj_dim", "hidden_dim_mlp", "shared_intermediate_size"), 48),
    **dict.fromkeys(("vocab_size", "n_vocab", "text_vocab_size"), 64),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), 64),
    **dict.fromkeys(("head_dim", "d_kv", "attention_head_dim", "global_head_dim"), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("moe_num_experts", "num_moe_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_dim"), 24),
    **dict.fromkeys(("shared_expert_intermediate_size", "intermediate_size_mlp"), 24),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "n_shared_experts"), 1),
    **dict.fromkeys(("sliding_window", "attention_window", "block_size", "local_window_size"), 8),
    **dict.fromkeys(("pad_token_id", "bos_token_id"), 0),
    **dict.fromkeys(("eos_token_id", "sep_token_id", "decoder_start_token_id"), 1),
    **dict.fromkeys(("hidden_size_per_layer_input", "vocab_size_per_layer_input"), 32),
    **dict.fromkeys(("mamba_n_heads", "mamba_num_heads"), 4),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 2),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim"), 8),
    "image_size": 64,
    "mamba_d_state": 8,
    "num_labels": 5,
}
# What a family needs besides, or in place of these.
_OTHERWISE: dict[str, dict[str, Any]] = {
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "esm": {"vocab_size": 33, "pad_token_id": 1},
    "reformer": {"is_decoder": True},
}


@lru_cache
def _transformers_models() -> dict[str, list[str]]:
    from transformers.models.auto import modeling_auto

    found: dict[str, list[str]] = {}
    for kind in _KINDS:
        for name in getattr(modeling_auto, f"MODEL_FOR_{kind}_MAPPING_NAMES"):
            found.setdefault(name, [kind])
    return found


def _transformers(family: str) -> Built:
    prepare_torchvision()
    import transformers

    (kind,) = _transformers_models()[family]
    from transformers.models.auto import modeling_auto

    names = getattr(modeling_auto, f"MODEL_FOR_{kind}_MAPPING_NAMES")[family]
    name = names if isinstance(names, str) else names[0]

    def build(**given: Any) -> tuple[nn.Module, Tensor, Selected]:
        config = _small_configuration(family)
        return _with_input(getattr(transformers, name)._from_config(config, **given), config)

    # Grouped products are not there in double precision.
    return name, [build, lambda: build(experts_implementation="eager")]


def _small_configuration(family: str) -> Any:
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[family]
    return kind(**{**_small_numbers(kind()), **_OTHERWISE.get(family, {})})


def _small_numbers(config: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    known = {**config.to_dict(), **{k: v for k, v in vars(config).items() if k[:1] != "_"}}
    for name, value in known.items():
        if name in _SMALL_NUMBERS and type(value) is int:
            found[name] = _SMALL_NUMBERS[name]
            if name == "image_size":
                found[name] = min(value, 64)
        elif name in ("depths", "num_blocks") and isinstance(value, list | tuple):
            found[name] = [min(each, 2) for each in value]
        elif hasattr(value, "to_dict") and hasattr(value, "model_type"):
            found[name] = _small_numbers(value)
    if "kv_lora_rank" in known:  # every head has a key of its own
        found["num_key_value_heads"] = found.get("num_attention_heads", 4)
        found.pop("head_dim", None)
    if isinstance(known.get("num_heads"), list | tuple):
        found.pop("embed_dim", None)
        found.pop("hidden_size", None)
    return found


def _with_input(model: nn.Module, config: Any) -> tuple[nn.Module, Tensor, Selected]:
    """A model of transformers with its input: pixels, sound or the embeddings of tokens."""
    name = getattr(model, "main_input_name", "input_ids")
    takes = inspect.signature(model.forward).parameters
    given: dict[str, Any] = {"use_cache": False} if "use_cache" in takes else {}
    if name in ("input_ids", "inputs_embeds"):
        embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
        if "inputs_embeds" not in takes:
            raise CannotRunError("it takes no embeddings")
        if getattr(config, "is_encoder_decoder", False):
            given["decoder_input_ids"] = torch.tensor([[1, 2, 3]] * SAMPLES)
        return (
            Named(model, "inputs_embeds", given),
            noise((TOKENS, embeddings.embedding_dim)),
            scores_of,
        )
    if name == "pixel_values":
        size = getattr(config, "image_size", 64)
        size = size if isinstance(size, int) else size[0]
        shape = (getattr(config, "num_channels", 3), size, size)
        if hasattr(config, "num_frames"):
            shape = (config.num_frames, *shape)
        return Named(model, name, given), noise(shape), scores_of
    if hasattr(config, "num_mel_bins") and hasattr(config, "max_length"):
        return Named(model, name, given), noise((config.max_length, config.num_mel_bins)), scores_of
    shape = (4000,) if name == "input_values" else (80, 3000)
    return Named(model, name, given), noise(shape), scores_of


class Named(nn.Module):
    """A model that takes its input by name."""

    def __init__(self, inner: nn.Module, name: str, given: dict[str, Any]) -> None:
        super().__init__()
        self.inner, self.name, self.given = inner, name, given

    def forward(self, x: Tensor) -> Any:
        return self.inner(**{self.name: x}, **self.given)


_FAMILIES: dict[str, Callable[[], Iterable[str]]] = {
    "torchvision": _torchvision_models,
    "timm": _timm_models,
    "transformers": _transformers_models,
}
_BUILDERS: dict[str, Callable[[str], Built]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "transformers": _transformers,
}
LIBRARIES = tuple(_FAMILIES)
