"""Export: modes as the sparse autoencoders of SAELens and of overcomplete."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import torch as safetensors
from torch import Tensor

from codeclens.decomposition.autoencoders.base import FittedAutoencoder
from codeclens.decomposition.autoencoders.networks import LinearEncoder
from codeclens.decomposition.modes import Modes
from codeclens.errors import CodeclensError
from codeclens.files import write_whole


class LinearForm(NamedTuple):
    """A linear autoencoder of unscaled data: `z = f(W x + b)`, `x ≈ z D`."""

    kind: str
    weight: Tensor
    bias: Tensor
    dictionary: Tensor
    k: int
    threshold: Tensor | None


def export_saelens(modes: Modes, folder: str | os.PathLike[str]) -> Path:
    """Write `cfg.json` and `sae_weights.safetensors`, which `sae_lens.SAE.load_from_disk` reads.

    The arrays are `W_enc` (D, K), `b_enc` (K,), `W_dec` (K, D), `b_dec` (D,), all zero, and for
    JumpReLU `threshold` (K,); D is the number of columns of the view. TopK becomes "topk", ReLUSAE
    "standard", JumpReLU, BatchTopK and Matryoshka "jumprelu". Codes and reconstructions
    equal ours up to rounding. Raises CodeclensError for methods without such a form.
    """
    form = _linear_form(modes, "SAELens")
    n_modes, columns = form.dictionary.shape
    tensors = {
        "W_enc": form.weight.T,
        "b_enc": form.bias,
        "W_dec": form.dictionary,
        "b_dec": torch.zeros(columns),
    }
    if form.threshold is not None:
        tensors["threshold"] = form.threshold
    config: dict[str, Any] = {
        "architecture": form.kind,
        "d_in": columns,
        "d_sae": n_modes,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"hook_name": modes.site, "codeclens_view": modes.view},
    }
    if form.kind == "topk":
        config["k"] = form.k
    to = Path(folder)
    packed = {name: value.clone().contiguous() for name, value in tensors.items()}
    write_whole(to / "sae_weights.safetensors", safetensors.save(packed))
    write_whole(to / "cfg.json", json.dumps(config, indent=2))
    return to


def export_overcomplete(modes: Modes, path: str | os.PathLike[str]) -> Path:
    """Write the state dict of an overcomplete TopKSAE or SAE as a safetensors file.

    overcomplete has no file format of its own. Its model is made as `TopKSAE(D, K, top_k=k,
    encoder_module=TieableEncoder(D, K, bias=True))`, or `SAE(D, K, …)` for ReLUSAE, and takes the
    file by `model.load_state_dict(load_file(path))`; the arrays are `encoder.weight` (K, D),
    `encoder.bias` (K,), `dictionary._weights` (K, D) and `dictionary.multiplier`, log 1. Raises
    CodeclensError for methods other than TopK and ReLUSAE with a linear encoder.
    """
    form = _linear_form(modes, "overcomplete")
    if form.threshold is not None:
        raise CodeclensError(
            f"{modes.method!r} has thresholds, for which overcomplete has no fixed form; export "
            "TopK or ReLUSAE, or to SAELens."
        )
    file = Path(path)
    tensors = {
        "encoder.weight": form.weight,
        "encoder.bias": form.bias,
        "dictionary._weights": form.dictionary,
        "dictionary.multiplier": torch.zeros(()),
    }
    packed = {name: value.clone().contiguous() for name, value in tensors.items()}
    facts = {"kind": form.kind, "top_k": str(form.k), "site": modes.site, "view": modes.view}
    return write_whole(file, safetensors.save(packed, metadata=facts))


@torch.no_grad()
def _linear_form(modes: Modes, whom: str) -> LinearForm:
    """The arrays of a linear autoencoder, for data that are not divided by their deviation."""
    fitted, method = modes.fitted, modes.method
    found = None
    # The exact class: subclasses add something that is not linear.
    if isinstance(fitted, FittedAutoencoder) and type(fitted.network.encoder) is LinearEncoder:
        found = fitted.method.saelens_kind(fitted.network, fitted.scale)
    if found is None:
        raise CodeclensError(
            f"{method!r} has no linear form with a counterpart in {whom}; export TopK, ReLUSAE or "
            "JumpReLU with a linear encoder, or share it by push_to_hub."
        )
    assert isinstance(fitted, FittedAutoencoder)
    encoder = fitted.network.encoder
    assert isinstance(encoder, LinearEncoder)
    kind, threshold = found
    return LinearForm(
        kind=kind,
        weight=encoder.weight.detach().cpu(),
        bias=(encoder.bias - encoder.weight @ encoder.centre).detach().cpu() * fitted.scale,
        dictionary=torch.from_numpy(modes.dictionary),
        k=min(int(getattr(method, "k", None) or len(modes)), len(modes)),
        threshold=None if threshold is None else threshold.expand(len(modes)),
    )
