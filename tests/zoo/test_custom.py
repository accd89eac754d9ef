"""A user's own model: found in the current folder, used as it comes, and every slip explained."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from codeclens.errors import CodeclensError
from codeclens.zoo import load

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Write:
    """Write a module into the current folder under a name that no other test uses."""
    monkeypatch.chdir(tmp_path)
    name = f"users_{abs(hash(request.node.nodeid))}"

    def written(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(f"import torch\nfrom torch import nn\n{code}\n")
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return written


def test_a_function_of_the_current_folder_is_called(write: Write) -> None:
    name = write("def build(): return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))")
    path = list(sys.path)
    ready = load(f"{name}:build")
    assert sys.path == path
    assert (ready.name, ready.labels, ready.output) == (f"{name}:build", None, None)
    assert not ready.model.training
    x = ready.transform(Image.new("RGB", (500, 300), "white"))
    assert x.shape == (3, 224, 224)
    assert ready.model(x[None]).shape == (1, 2)


def test_a_class_and_a_network_serve_as_well(write: Write) -> None:
    name = write("class Net(nn.Identity): pass\nnet = Net()")
    assert type(load(f"{name}:Net").model).__name__ == "Net"
    assert load(f"{name}:net").model is sys.modules[name].net


def test_its_own_transform_and_labels_are_used(write: Write) -> None:
    name = write(
        "def build():\n"
        "    net = nn.Flatten()\n"
        "    net.transform = lambda image: torch.full((1, 2, 2), image.size[0])\n"
        "    net.labels = ('cat', 'dog')\n"
        "    return net"
    )
    ready = load(f"{name}:build")
    assert ready.labels == ["cat", "dog"]
    assert ready.transform(Image.new("L", (7, 5))).flatten().tolist() == [7] * 4


def test_a_part_called_transform_is_no_transform(write: Write) -> None:
    name = write("def build(): return nn.ModuleDict({'transform': nn.ReLU(), 'labels': nn.ReLU()})")
    ready = load(f"{name}:build")
    assert ready.transform(Image.new("L", (300, 300))).shape == (3, 224, 224)
    assert ready.labels is None


def test_weights_are_loaded_into_it(write: Write, tmp_path: Path) -> None:
    name = write("def build(): return nn.Linear(2, 1)")
    save_file({"weight": torch.ones(1, 2), "bias": torch.ones(1)}, tmp_path / "w.safetensors")
    assert load(f"{name}:build", weights="w.safetensors").model.weight.tolist() == [[1, 1]]


def test_it_may_import_torchvision_itself(write: Write) -> None:
    name = write("def build():\n    import torchvision\n    return torchvision.ops.Permute([0])")
    assert load(f"{name}:build").model.dims == [0]


@pytest.mark.parametrize(
    ("code", "function", "message"),
    [
        (
            "def build_net(): pass",
            "build",
            r'has no function "build"; the nearest name is "build_net"',
        ),
        ("size = 3", "size", "is a int; name a function"),
        ("def build(): return 3", "build", "returned a int, not an nn.Module"),
        ("def build(width): pass", "build", "without arguments: TypeError: .*width"),
        ("def build(): return nn.Linear('a', 1)", "build", "failed when .*TypeError"),
        ("import not_there_at_all", "build", "cannot be imported: No module named 'not_there"),
        ("1 / 0", "build", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def build(:", "build", "cannot be imported: SyntaxError"),
        ("import sys; sys.exit(3)", "build", r"ended while it was imported \(exit code 3\)"),
        ("import argparse; argparse.ArgumentParser().exit()", "build", "put what it runs as"),
        ("import sys\ndef build(): sys.exit(4)", "build", "failed when .*SystemExit: 4"),
        (
            "def build():\n    net = nn.Identity()\n    net.labels = 'cat'\n    return net",
            "build",
            "`labels` of the model .* is a str; it must be a list",
        ),
    ],
)
def test_a_slip_is_explained(write: Write, code: str, function: str, message: str) -> None:
    path = list(sys.path)
    with pytest.raises(CodeclensError, match=message):
        load(f"{write(code)}:{function}")
    assert sys.path == path


def test_random_weights_have_no_meaning_for_it(write: Write) -> None:
    with pytest.raises(CodeclensError, match=r"builds its own weights\. Omit weights"):
        load(f"{write('build = nn.Identity')}:build", weights="random")


def test_a_missing_package_of_modules_is_named() -> None:
    with pytest.raises(CodeclensError, match=r'no module "nowhere\.models" in'):
        load("nowhere.models:build")


def test_it_may_use_a_library_that_hides_what_torchvision_lacks(write: Write) -> None:
    name = write(
        "calls = []\n"
        "def build():\n"
        "    calls.append(1)\n"
        "    if len(calls) == 1:\n"
        "        cause = RuntimeError('operator torchvision::nms does not exist')\n"
        "        raise ModuleNotFoundError('Could not import module') from cause\n"
        "    return nn.Identity()"
    )
    assert type(load(f"{name}:build").model).__name__ == "Identity"
    assert sys.modules[name].calls == [1, 1]
