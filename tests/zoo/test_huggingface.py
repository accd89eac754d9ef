"""transformers: a small vision transformer, saved to a folder and loaded from there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from codeclens._compat import prepare_torchvision
from codeclens.attribution.sites import find_sites
from codeclens.errors import CodeclensError
from codeclens.zoo import load

prepare_torchvision()
transformers: Any = pytest.importorskip("transformers")


def config() -> Any:
    return transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "owl"},
        label2id={"cat": 0, "dog": 1, "owl": 2},
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("vit")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = transformers.ViTForImageClassification(config()).eval()
    model.save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder, model


@pytest.fixture
def folder(saved: tuple[Path, Any], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[0], tmp_path / "vit"))


def test_a_saved_model_is_ready(saved: tuple[Path, Any]) -> None:
    ready = load(f"hf:{saved[0]}")
    assert ready.labels == ["cat", "dog", "owl"]
    assert ready.output == "logits"
    assert not ready.model.training
    x = ready.transform(Image.new("L", (50, 40), "white"))[None]
    assert x.shape == (1, 3, 32, 32)
    assert x.unique().tolist() == [1.0]
    with torch.no_grad():
        assert torch.equal(ready.model(x)[ready.output], saved[1](x).logits)
    assert len(find_sites(ready.model, ready.sites)) == 2


def test_random_weights_need_only_the_configuration(saved: tuple[Path, Any], folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    before = torch.random.get_rng_state()
    first, again = (load(f"hf:{folder}", weights="random").model for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    state = first.state_dict()
    assert torch.equal(state["classifier.weight"], again.state_dict()["classifier.weight"])
    assert not torch.equal(state["classifier.weight"], saved[1].state_dict()["classifier.weight"])


def test_a_weights_file_is_loaded(saved: tuple[Path, Any], folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder / "other.safetensors")
    loaded = load(f"hf:{folder}", weights=folder / "other.safetensors").model.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in saved[1].state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("classifier.bias"), r'1 missing, first "classifier\.bias"'),
        (lambda s: s.update(extra=torch.ones(1)), '1 unexpected, first "extra"'),
        (
            lambda s: s.update({"classifier.bias": torch.ones(7)}),
            r'first "classifier\.bias" with \(7,\) in the file and \(3,\)',
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder: Path, change: Any, message: str) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "other.safetensors")
    with pytest.raises(CodeclensError, match=f"do not fit ViTForImageClassification: .*{message}"):
        load(f"hf:{folder}", weights=folder / "other.safetensors")


def test_a_backbone_without_classifier_is_refused(folder: Path) -> None:
    transformers.ViTModel(config()).save_pretrained(folder)
    with pytest.raises(CodeclensError, match=r'lack 2 entries, first "classifier\.bias"'):
        load(f"hf:{folder}")


def test_pickled_weights_are_not_read(folder: Path, saved: tuple[Path, Any]) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(saved[1].state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(CodeclensError, match=r"is not a saved classifier.*model\.safetensors"):
        load(f"hf:{folder}")


def test_a_folder_without_processor_is_refused(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    said = r"is not a saved classifier.*preprocessor_config\.json"
    with pytest.raises(CodeclensError, match=said):
        load(f"hf:{folder}")


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    transformers.GPT2Config(n_layer=1).save_pretrained(folder)
    with pytest.raises(CodeclensError, match="cannot be loaded as a classifier"):
        load(f"hf:{folder}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r"There is no folder .*nowhere"):
        load(f"hf:{tmp_path / 'nowhere'}")


def test_without_the_hub_the_error_suggests_a_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CodeclensError, match=r'"hf:nobody/none" cannot be fetched.*hf:FOLDER'):
        load("hf:nobody/none")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(CodeclensError, match=r"transformers is not installed.*codeclens\[hf\]"):
        load("hf:nobody/none")
