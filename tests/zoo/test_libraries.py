"""torchvision and timm: their transforms, their weights, and what to do without their hubs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from codeclens._compat import import_timm, import_torchvision
from codeclens.errors import CodeclensError
from codeclens.zoo import demo_photographs, load
from codeclens.zoo.libraries import _timm_transform, _torchvision_options

CHELSEA = demo_photographs()[0][1]


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make every download fail as it does without a connection, and hide what was fetched."""
    from huggingface_hub import constants

    def fail(*args: Any, **kwargs: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(import_torchvision().models._api, "load_state_dict_from_url", fail)


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet18"])
def test_without_weights_of_the_hub_the_error_suggests_a_fix(no_hub: None, name: str) -> None:
    with pytest.raises(
        CodeclensError, match=rf'"{name}" cannot be fetched.*--weights FILE.*random'
    ):
        load(name)


def test_weights_of_the_hub_are_loaded_without_running_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torchvision = import_torchvision()
    fetched: dict[str, Tensor] = torchvision.models.resnet18().state_dict()
    asked: dict[str, Any] = {}

    def fetch(url: str, **options: Any) -> dict[str, Tensor]:
        asked.update(options, url=url)
        return fetched

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fetch)
    model = load("torchvision:resnet18").model
    assert torch.equal(model.state_dict()["fc.weight"], fetched["fc.weight"])
    assert asked["weights_only"] is True
    assert asked["check_hash"] is True
    assert "resnet18" in asked["url"]


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet18"])
def test_a_weights_file_replaces_the_hub(no_hub: None, tmp_path: Path, name: str) -> None:
    random = load(name, weights="random").model
    state = {entry: tensor + 1 for entry, tensor in random.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    loaded = load(name, weights=tmp_path / "w.safetensors").model
    assert torch.equal(loaded.state_dict()["conv1.weight"], state["conv1.weight"])
    assert not loaded.training


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:resnet18"])
def test_both_name_their_classes(name: str) -> None:
    labels = load(name, weights="random").labels
    assert labels is not None
    assert (len(labels), labels[0], labels[967]) == (1000, "tench", "espresso")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet51", r'torchvision has no classifier "resnet51".*"resnet50"'),
        ("torchvision:fasterrcnn_resnet50_fpn", "no classifier"),
        ("timm:resnet51", r'timm has no model "resnet51".*"resnet5'),
        ("timm:botnet50ts_256", "publishes no weights .*--weights FILE"),
    ],
)
def test_a_wrong_name_is_answered(no_hub: None, name: str, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        load(name)


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_v2_s", "vit_b_16"])
def test_the_transform_equals_torchvisions(
    name: str, no_hub: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchvision = import_torchvision()
    small = torch.nn.Identity()
    monkeypatch.setattr(torchvision.models, "get_model", lambda *args, **kwargs: small)
    theirs = torchvision.models.get_model_weights(name).DEFAULT.transforms()(CHELSEA)
    ours = load(f"torchvision:{name}", weights="random").transform(CHELSEA)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "tf_efficientnet_lite0", "vit_base_patch16_clip_224", "vit_base_patch16_224"],
)
@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(3, 224, 224), (3, 160, 224)])
def test_the_transform_equals_timms(name: str, mode: str, size: tuple[int, ...]) -> None:
    timm = import_timm()
    published = timm.get_pretrained_cfg(name).to_dict()
    config = timm.data.resolve_data_config({}, pretrained_cfg=published)
    config |= {"crop_mode": mode, "input_size": size}
    theirs = timm.data.create_transform(**config, is_training=False)(CHELSEA)
    ours = _timm_transform(config, timm)(CHELSEA)
    assert ours.shape == size
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_networks_are_built_for_their_published_weights() -> None:
    models = import_torchvision().models
    large = models.get_model_weights("vit_h_14").DEFAULT.meta
    assert _torchvision_options("vit_h_14", large) == {"image_size": 518}
    assert _torchvision_options("googlenet", {})["transform_input"] is True
    assert _torchvision_options("resnet18", {}) == {}
