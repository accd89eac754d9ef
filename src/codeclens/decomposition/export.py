"""Export: modes as the sparse autoencoders of SAELens and of overcomplete."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import torch as safetensors
from torch import Tensor

from codeclens.decomposition.autoencoders import (
    BatchTopK,
    JumpReLU,
    Matryoshka,
    ReLUSAE,
    TopK,
)
from codeclens.decomposition.fitting import Autoencoder
from codeclens.decomposition.modes import Modes
from codeclens.decomposition.networks import LinearEncoder
from codeclens.errors import CodeclensError


class Parts(NamedTuple):
    """A linear autoencoder of data in their own unit: `z = f(W x + b)`, `x ≈ z D`."""

    kind: str
    weight: Tensor
    bias: Tensor
    dictionary: Tensor
    k: int
    threshold: Tensor | None


def export_saelens(modes: Modes, folder: str | os.PathLike[str]) -> Path:
    """Write `cfg.json` and `sae_weights.safetensors`, which `sae_lens.SAE.load_from_disk` reads.

    The arrays are `W_enc` (D, K), `b_enc` (K,), `W_dec` (K, D), `b_dec` (D,), all zero, and for
    JumpReLU `threshold` (K,); D are the columns of the view. TopK becomes "topk", ReLUSAE
    "standard", JumpReLU, BatchTopK and Matryoshka "jumprelu". Codes are our loadings and
    reconstructions ours, up to rounding. Raises CodeclensError for methods without such a form.
    """
    parts = _parts(modes, "SAELens")
    n_modes, columns = parts.dictionary.shape
    tensors = {
        "W_enc": parts.weight.T,
        "b_enc": parts.bias,
        "W_dec": parts.dictionary,
        "b_dec": torch.zeros(columns),
    }
    if parts.threshold is not None:
        tensors["threshold"] = parts.threshold
    config: dict[str, Any] = {
        "architecture": parts.kind,
        "d_in": columns,
        "d_sae": n_modes,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": modes.site, "codeclens_view": modes.view},
    }
    if parts.kind == "topk":
        config["k"] = parts.k
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    packed = {name: value.clone().contiguous() for name, value in tensors.items()}
    safetensors.save_file(packed, to / "sae_weights.safetensors")
    (to / "cfg.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return to


def export_overcomplete(modes: Modes, path: str | os.PathLike[str]) -> Path:
    """Write the state dict of an overcomplete TopKSAE or SAE as a safetensors file.

    overcomplete has no file format of its own. Its model is made as `TopKSAE(D, K, top_k=k,
    encoder_module=TieableEncoder(D, K, bias=True))`, or `SAE(D, K, …)` for ReLUSAE, and takes the
    file by `model.load_state_dict(load_file(path))`; the arrays are `encoder.weight` (K, D),
    `encoder.bias` (K,), `dictionary._weights` (K, D) and `dictionary.multiplier`, log 1. Raises
    CodeclensError for methods other than TopK and ReLUSAE with a linear encoder.
    """
    parts = _parts(modes, "overcomplete")
    if parts.threshold is not None:
        raise CodeclensError(
            f"{modes.method!r} has thresholds, for which overcomplete has no fixed form; export "
            "TopK or ReLUSAE, or to SAELens."
        )
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        "encoder.weight": parts.weight,
        "encoder.bias": parts.bias,
        "dictionary._weights": parts.dictionary,
        "dictionary.multiplier": torch.zeros(()),
    }
    packed = {name: value.clone().contiguous() for name, value in tensors.items()}
    facts = {"kind": parts.kind, "top_k": str(parts.k), "site": modes.site, "view": modes.view}
    safetensors.save_file(packed, file, metadata=facts)
    return file


@torch.no_grad()
def _parts(modes: Modes, whom: str) -> Parts:
    """The arrays of a linear autoencoder, for data that are not divided by their deviation."""
    method = modes.method
    encoder = method.fitted.network.encoder if isinstance(method, Autoencoder) else None
    # Not isinstance: an encoder that adds something to a linear one is no linear one.
    if not isinstance(method, Autoencoder) or type(encoder) is not LinearEncoder:
        raise CodeclensError(
            f"{method!r} has no linear encoder, which {whom} would need; export TopK, ReLUSAE or "
            "JumpReLU, or share it by push_to_hub."
        )
    network, scale = method.fitted.network, method.scale
    threshold: Tensor | None = None
    if isinstance(method, TopK):
        kind = "topk"
    elif isinstance(method, ReLUSAE):
        kind = "standard"
    elif isinstance(method, JumpReLU):
        kind, threshold = "jumprelu", network.get_parameter("log_threshold").exp() * scale
    elif isinstance(method, BatchTopK | Matryoshka):
        # Ours keeps codes that equal the threshold, theirs those above it.
        level = network.get_buffer("threshold").expand(len(modes)) * scale
        kind, threshold = "jumprelu", torch.nextafter(level, torch.zeros_like(level))
    else:
        raise CodeclensError(
            f"{method!r} has no counterpart in {whom}; export TopK, ReLUSAE or JumpReLU, or share "
            "it by push_to_hub."
        )
    weight = encoder.weight.detach().cpu()
    bias = (encoder.bias - encoder.weight @ encoder.centre).detach().cpu() * scale
    k = min(int(getattr(method, "k", None) or len(modes)), len(modes))
    return Parts(kind, weight, bias, torch.from_numpy(modes.dictionary), k, threshold)
