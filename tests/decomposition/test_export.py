"""Exported files decode to our reconstruction, by what the other libraries do with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from codeclens.decomposition import (
    Autoencoder,
    BatchTopK,
    Gated,
    JumpReLU,
    Modes,
    ReLUSAE,
    ThresholdSAE,
    TopK,
    export_overcomplete,
    export_saelens,
)
from codeclens.decomposition.autoencoders.networks import largest
from codeclens.errors import CodeclensError

Array = np.ndarray[Any, Any]
Make = Callable[..., Modes]


def modes_of(method: Autoencoder, X: Array) -> Modes:
    fitted = method.fit(X, seed=0)
    return Modes("layer3.5", "activation", fitted, fitted.encode(X))


def saelens(folder: Path, x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and reconstruction as SAELens computes them from its files."""
    facts = json.loads((folder / "cfg.json").read_text())
    arrays = load_file(folder / "sae_weights.safetensors")
    assert arrays["W_enc"].shape == (facts["d_in"], facts["d_sae"])
    assert arrays["W_dec"].shape == (facts["d_sae"], facts["d_in"])
    assert arrays["b_enc"].shape == (facts["d_sae"],)
    assert arrays["b_dec"].shape == (facts["d_in"],)
    assert facts["normalize_activations"] == "none"
    pre = (x - arrays["b_dec"] * facts["apply_b_dec_to_input"]) @ arrays["W_enc"] + arrays["b_enc"]
    codes = torch.relu(pre)
    if facts["architecture"] == "topk":
        codes = largest(codes, facts["k"])
    elif facts["architecture"] == "jumprelu":
        codes = codes * (pre > arrays["threshold"])
    else:
        assert facts["architecture"] == "standard"
    return codes, codes @ arrays["W_dec"] + arrays["b_dec"]


@pytest.mark.parametrize(
    "method",
    [
        TopK(n_modes=12, k=3, epochs=20),
        ReLUSAE(n_modes=12, epochs=5),
        JumpReLU(n_modes=12, k=3, epochs=5),
        BatchTopK(n_modes=12, k=3, epochs=5),
    ],
    ids=lambda method: type(method).__name__,
)
def test_saelens_reconstructs_as_we_do(method: Autoencoder, small: Array, tmp_path: Path) -> None:
    X = 30 * small
    modes = modes_of(method, X)
    codes, made = saelens(export_saelens(modes, tmp_path / "sae"), torch.from_numpy(X))
    ours = modes.encode(X)
    # A code at its threshold, or at the k-th place, may fall on either side by a rounding.
    same = np.isclose(codes.numpy(), ours, rtol=1e-4, atol=1e-3 * ours.max()).all(axis=1)
    assert same.mean() > 0.98
    np.testing.assert_allclose(
        made.numpy()[same], modes.decode(ours)[same], rtol=1e-3, atol=1e-3 * X.max()
    )
    assert np.abs(ours).max() > 1


@pytest.mark.parametrize(
    "method", [TopK(n_modes=12, k=3, epochs=20), ReLUSAE(n_modes=12, epochs=5)], ids=repr
)
def test_overcomplete_reconstructs_as_we_do(
    method: Autoencoder, small: Array, tmp_path: Path
) -> None:
    modes = modes_of(method, small)
    arrays = load_file(export_overcomplete(modes, tmp_path / "deep" / "sae.safetensors"))
    assert set(arrays) == {
        "encoder.weight",
        "encoder.bias",
        "dictionary._weights",
        "dictionary.multiplier",
    }
    x = torch.from_numpy(small)
    codes = torch.relu(x @ arrays["encoder.weight"].T + arrays["encoder.bias"])
    if isinstance(method, TopK):
        codes = largest(codes, 3)
    rows = arrays["dictionary._weights"]
    rows = rows / (rows.norm(dim=1, keepdim=True) + 1e-8) * arrays["dictionary.multiplier"].exp()
    ours = modes.encode(small)
    same = np.isclose(codes.numpy(), ours, atol=1e-4).all(axis=1)
    assert same.mean() > 0.98
    np.testing.assert_allclose((codes @ rows).numpy()[same], modes.decode(ours)[same], atol=1e-3)


def test_what_has_no_counterpart(small: Array, tmp_path: Path) -> None:
    threshold = ThresholdSAE(n_modes=8, threshold=0.4, epochs=2, learning_rate=1e-2)
    for method, said in (
        (threshold, "ThresholdSAE.* has no linear form with a counterpart in SAELens"),
        (TopK(n_modes=8, k=2, epochs=1, encoder="mlp"), "has no linear form"),
        (Gated(n_modes=8, epochs=1), "Gated.* has no linear form with a counterpart in SAELens"),
    ):
        with pytest.raises(CodeclensError, match=said):
            export_saelens(modes_of(method, small), tmp_path / "x")
    with pytest.raises(CodeclensError, match="has thresholds, for which overcomplete has no"):
        export_overcomplete(modes_of(JumpReLU(n_modes=8, k=2, epochs=1), small), tmp_path / "x")
    assert not (tmp_path / "x").exists()
