"""The studies of control, at small sizes: tokens as units, and a planted shortcut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks import bias, transformers
from benchmarks.layers import vit
from torch import nn

from codeclens import zoo


@pytest.fixture(scope="module")
def transformer() -> vit.DigitsViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return vit.DigitsViT().eval()


@pytest.mark.slow
@pytest.mark.parametrize("reduction", transformers.REDUCTIONS)
def test_tokens_become_units_in_every_way(
    transformer: vit.DigitsViT, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers, "STEPS", 2)
    x = zoo.digits_data("train")[0][:4]
    found = transformers.reduced(transformer, x, reduction, vit.DEPTH - 1)
    units = {"places": 3200, "tokens": 50, "mlp": 256, "heads": 4}.get(reduction, 64)
    assert found.positive.shape == found.negative.shape == (4, units)
    assert (found.positive >= 0).all()
    assert (found.negative <= 0).all()
    if reduction not in ("mlp", "values", "heads"):
        # The class token is all that counts behind the last block, so all ways see the same change.
        whole = transformers.reduced(transformer, x, "sum", vit.DEPTH - 1)
        total = (whole.positive + whole.negative).sum(axis=1)
        assert np.allclose((found.positive + found.negative).sum(axis=1), total, atol=1e-4)


def test_attention_weights_are_those_of_the_next_block(transformer: vit.DigitsViT) -> None:
    x = zoo.digits_data("train")[0][:3]
    weights = transformers.attention(transformer, x, 1)
    assert weights.shape == (3, 50)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3))
    tokens = torch.zeros(3, 50, vit.FEATURES)

    def keep(_module: object, given: tuple[torch.Tensor, ...]) -> None:
        tokens.copy_(given[0])

    handle = transformer.blocks[2].attn.register_forward_pre_hook(keep)
    with torch.no_grad():
        transformer(x)
    handle.remove()
    # Said again by torch's own attention: the values are the tokens' numbers, one hot.
    attn = transformer.blocks[2].attn
    shape = 3, 50, 3, vit.HEADS, vit.FEATURES // vit.HEADS
    q, k, _ = attn.qkv(tokens).reshape(shape).permute(2, 0, 3, 1, 4)
    one_hot = torch.eye(50).expand(3, vit.HEADS, 50, 50)
    said = torch.nn.functional.scaled_dot_product_attention(q, k, one_hot)
    assert torch.allclose(weights, said[:, :, 0].mean(dim=1), atol=1e-6)


def test_only_digits_of_the_class_carry_the_patch(generator: torch.Generator) -> None:
    labels = torch.arange(1000) % 10
    carries = bias.planted(labels, 0.9, generator)
    assert 80 <= int(carries.sum()) <= 98
    assert (labels[carries] == bias.CLASS).all()
    x = torch.zeros(1000, 1, 28, 28)
    shown = bias.marked(x, carries)
    assert (shown.flatten(1).any(dim=1) == carries).all()
    assert not x.any()


def network_with_a_shortcut(x: torch.Tensor, labels: torch.Tensor) -> nn.Sequential:
    """Ten hidden units that each see a digit (least squares), and one that sees the patch."""
    pixels = torch.cat([x.flatten(1), torch.ones(len(x), 1)], dim=1).double()
    wanted = nn.functional.one_hot(labels, 10).double()
    ridge = 10 * torch.eye(785, dtype=torch.float64)
    seen = torch.linalg.solve(pixels.T @ pixels + ridge, pixels.T @ wanted).float()
    patch = bias.marked(torch.zeros(1, 1, 28, 28), torch.tensor([True])).flatten()
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 11), nn.ReLU(), nn.Linear(11, 10))
    with torch.no_grad():
        model[1].weight.copy_(torch.cat([seen[:784].T, patch[None]]))
        model[1].bias.copy_(torch.cat([seen[784], torch.tensor([-12.0])]))
        model[3].weight.copy_(torch.eye(10, 11))
        model[3].weight[bias.CLASS, 10] = 1.0
        model[3].bias.zero_()
    return model.eval()


def test_a_shortcut_is_found_by_the_mistakes_and_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bias, "TRIALS", 1)
    monkeypatch.setattr(bias, "COUNTS", (1,))
    digits, names = zoo.digits_data("train")
    model = network_with_a_shortcut(digits[:2000], names[:2000])
    x, labels = digits[2000:2200], names[2000:2200]
    carries = torch.arange(200) % 3 == 0
    found = bias.audit(model, bias.marked(x, carries), labels, "2", seed=0)
    assert found.suspect == bias.CLASS
    assert found.modes[found.mode].top_units(1).tolist() == [10]
    sets = bias.shown(x, labels, 0.9, torch.Generator().manual_seed(0))
    rows = {(row["remedy"], row["units"]): row for row in bias.mended(model, found, sets, seed=0)}
    before, after = rows["none", 0], rows["the mode's units", 1]
    assert before["counter-examples"] < 0.2
    assert after["counter-examples"] > 0.6
    assert after["clean"] == before["clean"]
    assert rows["random units", 1]["counter-examples"] < after["counter-examples"]


@pytest.mark.slow
def test_a_network_learns_a_shortcut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bias, "TRIALS", 1)
    sizes = "--train 2000 --audit 300 --images 200 --epochs 4 --share 1 --sites blocks.5"
    bias.main([*sizes.split(), "--to", str(tmp_path)])
    assert f"are named {bias.CLASS} wrongly" in capsys.readouterr().out
    assert (tmp_path / "bias-blocks.5.csv").exists()
