"""The study of layers: its network, its table and its verdicts, at tiny sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.layers import study, vit

from codeclens import find_sites, zoo
from codeclens.analysis import Trend


@pytest.mark.parametrize(
    ("low", "high", "sign", "said"),
    [
        (0.2, 0.9, 1, "holds"),
        (-0.9, -0.2, -1, "holds"),
        (-0.9, -0.2, 1, "the opposite"),
        (-0.1, 0.9, 1, "undecided"),
        (np.nan, np.nan, 1, "?"),
    ],
)
def test_a_verdict_is_where_the_interval_lies(
    low: float, high: float, sign: int, said: str
) -> None:
    assert study.verdict(Trend(np.array([1.0, 2.0]), 0.5, low, high), sign) == said


def test_a_network_of_the_study_gives_a_line(tmp_path: Path) -> None:
    found = study.subject("digits-resnet", 40, tmp_path)
    told = study.statistics(found, "blocks", "secant", 2, tmp_path)
    line = study.row(found.name, "blocks", "secant", told)
    assert line["samples"] == 40
    assert set(study.CLAIMS) <= set(line)
    assert study.markdown([line, line]).count("\n") == 3


def test_the_transformer_has_blocks_mlps_attention_and_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vit, "EPOCHS", 1)
    torch.manual_seed(0)
    made = vit.DigitsViT().eval()
    monkeypatch.setattr(vit, "train", lambda: made)
    model = vit.load(tmp_path)
    again = vit.load(tmp_path)
    x = zoo.digits_data("held_out")[0][:5]
    torch.testing.assert_close(again(x), made(x), rtol=0, atol=0)
    for preset in ("@blocks", "@mlp", "@attention", "@heads"):
        assert len(find_sites(model, preset)) == vit.DEPTH


def test_dead_units_are_those_that_never_fire() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    with torch.no_grad():
        net[0].bias[:] = torch.tensor([-100.0, -100.0, 100.0, 100.0])
    found = study.Subject("tiny", net, None, {})
    assert study.dead_units(found, torch.rand(3, 1, 6, 6), "1") == 0.5
