"""Models by name: the right loader, and one clear sentence for every wrong name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from codeclens import zoo
from codeclens.attribution.sites import find_sites
from codeclens.errors import CodeclensError
from codeclens.zoo import available, load


@pytest.mark.parametrize("name", available())
def test_what_ships_loads_ready_to_use(name: str) -> None:
    ready = load(name)
    x = ready.transform(Image.new("RGB", (400, 300), "gray"))
    assert ready.name == name
    assert not ready.model.training
    assert ready.labels is not None
    with torch.no_grad():
        assert ready.model(x[None]).shape == (1, len(ready.labels))
    assert find_sites(ready.model, ready.sites)


def test_the_digits_sites_are_its_blocks() -> None:
    ready = load("digits-resnet")
    assert [site.key for site in find_sites(ready.model, ready.sites)] == [
        f"blocks.{index}" for index in range(6)
    ]


def test_random_weights_leave_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    first, again = (load("digits-resnet", weights="random").model for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.state_dict()["head.weight"], again.state_dict()["head.weight"])
    shipped = load("digits-resnet").model
    assert not torch.equal(first.state_dict()["head.weight"], shipped.state_dict()["head.weight"])


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r"no weights file .*w\.safetensors"):
        load("digits-resnet", weights=tmp_path / "w.safetensors")


def test_weights_of_another_network_are_refused() -> None:
    shipped = Path(zoo.__file__).parent / "weights" / "digits-resnet.safetensors"
    with pytest.raises(CodeclensError, match=r"do not fit EfficientNet: .* missing, first"):
        load("efficientnet-lite0", weights=shipped)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit-resnet", 'nearest included model is "digits-resnet"'),
        ("resnet50", r'"torchvision:resnet50", "timm:resnet50" or "hf:resnet50"'),
        ("timm:", "on both sides of the colon"),
        (":build", "on both sides of the colon"),
        ("tochvision:resnet50", r'no module "tochvision".*"torchvision:…"'),
        ("", "by its name"),
    ],
)
def test_a_wrong_name_is_answered(name: str, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        load(name)


def test_a_model_is_no_name() -> None:
    with pytest.raises(CodeclensError, match="by its name, not by Identity"):
        load(torch.nn.Identity())  # type: ignore[arg-type]


def test_weights_of_another_type_are_refused() -> None:
    with pytest.raises(CodeclensError, match="weights is a dict; pass the path"):
        load("digits-resnet", weights={})  # type: ignore[arg-type]


def test_import_brings_in_nothing_optional() -> None:
    optional = ["torchvision", "timm", "transformers", "mlxtend", "skimage", "sklearn"]
    code = f"import sys, codeclens.zoo; print([m for m in {optional} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
