"""The zoo: what it finds in networks whose sums are known, and that it resumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks import families, zoo
from torch import Tensor, nn

import networks


def case(model: nn.Module, *shape: int) -> families.Small:
    return families.Small("mine", model.double().eval(), networks.noise(2, *shape), lambda y: y)


class Detaching(nn.Module):
    """A part of the target's change that no gradient shows."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = networks.plain_mlp()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.blocks(x)
        return found * found.data.tanh()


def test_exact_sums_are_told_from_others() -> None:
    exact = zoo.checked(case(networks.seeded(networks.residual_cnn), 3, 12, 12))
    assert exact["verdict"] == "exact"
    assert exact["gap"] < 1e-12
    assert exact["cuts"] == exact["sites"] > 1
    width = next(m for m in networks.plain_mlp().modules() if isinstance(m, nn.Linear)).in_features
    named = zoo.checked(case(networks.seeded(Detaching), width))
    assert named["verdict"] == "named"
    assert named["gap"] > 1e-6
    assert "without a gradient" in named["reason"]


def test_an_error_without_a_name_is_silent() -> None:
    assert zoo._verdict(1e-3, [], True) == "silent"
    assert zoo._verdict(1e-3, ["a cast to float32"], True) == "exact up to casts"
    assert zoo._verdict(0.0, [], False) == "no cut"


def test_families_are_run_once_and_written_as_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    def run(library: str, family: str, seconds: int) -> dict[str, object]:
        runs.append(family)
        return {"library": library, "family": family, "network": "a|b", "verdict": "exact"}

    monkeypatch.setattr(zoo, "run", run)
    page, results = tmp_path / "page.md", tmp_path / "zoo.jsonl"
    page.write_text(f"before\n{zoo.MARKS[0]}\nold\n{zoo.MARKS[1]}\nafter\n", encoding="utf-8")
    for _ in range(2):
        zoo.main(["torchvision/vgg", "--to", str(results), "--page", str(page)])
    assert runs == ["vgg"]
    assert json.loads(results.read_text())["family"] == "vgg"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| torchvision vgg |" in text
    assert "exact" in capsys.readouterr().out


def test_zero_weights_do_not_make_a_sum_exact() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    families.awake(model)
    assert all(bool(parameter.abs().sum() > 0) for parameter in model.parameters())
