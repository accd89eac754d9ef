"""Fitted models on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from codeclens import CodeclensError
from codeclens.retina import LN, LNK, LNLN, ResponseModel, RetinaCNN, load_model, save_model

ABOUT: dict = {"rate": 50.0, "pixel": 30.0, "unit": "deg", "history": 8, "size": (9, 9)}
MODELS = {
    "dense": lambda: RetinaCNN(["a", "b"], kernels=(3, 3), **ABOUT),
    "convolutional": lambda: RetinaCNN(
        ["a", "b"],
        kernels=(3, 3, 3),
        ganglion="convolutional",
        positions=[(4, 4), (4, 5)],
        types=[0, 0],
        stacked=True,
        eps=(1e-3, 1e-3, 1e-5),
        norm="position",
        **ABOUT,
    ),
    "double": lambda: RetinaCNN(["a"], kernels=(3, 3), **ABOUT).double(),
    "LN": lambda: LN(["a"], rank=2, **ABOUT),
    "LNLN": lambda: LNLN(["a"], kernel=3, positive=True, **ABOUT),
    "LNK": lambda: LNK(["a"], taps=4, channels=2, **ABOUT),
}


@pytest.mark.parametrize("which", MODELS)
def test_a_model_comes_back_as_it_was(
    which: str, tmp_path: Path, generator: torch.Generator
) -> None:
    model = MODELS[which]().eval()
    dtype = next(model.parameters()).dtype
    x = torch.randn(3, 8, 9, 9, generator=generator, dtype=dtype)
    place = save_model(model, tmp_path / "deep" / "model.v1", about={"r": 0.5})
    back = load_model(place)
    assert type(back) is type(model)
    assert back.config() == model.config()
    assert torch.equal(back(x), model(x))
    facts = json.loads((tmp_path / "deep" / "model.v1.json").read_text())
    assert facts["about"] == {"r": 0.5}


class Front(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gain * x


def test_a_front_is_given_and_gets_its_weights_back(tmp_path: Path) -> None:
    model = LN(["a"], front=Front(), **ABOUT)
    model.front.gain.data.fill_(3.0)
    place = save_model(model, tmp_path / "model")
    assert float(load_model(place, front=Front()).front.gain.detach()) == 3.0
    with pytest.raises(CodeclensError, match="has the front Front, and no front was passed"):
        load_model(place)


def test_bad_input_is_reported(tmp_path: Path) -> None:
    place = save_model(MODELS["LN"](), tmp_path / "model")
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CodeclensError, match="damaged"):
        load_model(place)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CodeclensError, match="is missing, but"):
        load_model(place)
    facts = tmp_path / "model.json"
    told = json.loads(facts.read_text())
    for change, says in (
        ({"version": 99}, "of version 99"),
        ({"format": "other"}, "does not describe"),
    ):
        facts.write_text(json.dumps(told | change))
        with pytest.raises(CodeclensError, match=says):
            load_model(place)
    facts.write_text("{")
    with pytest.raises(CodeclensError, match="cannot be read as JSON"):
        load_model(place)

    class Mine(ResponseModel):
        pass

    mine = Mine(history=1, rate=1.0, pixel=1.0, unit="um", cells=["a"])
    with pytest.raises(CodeclensError, match="A Mine cannot be saved"):
        save_model(mine, tmp_path / "mine")
    with pytest.raises(CodeclensError, match="JSON cannot"):
        save_model(MODELS["LN"](), tmp_path / "m", about={"x": torch.ones(1)})
