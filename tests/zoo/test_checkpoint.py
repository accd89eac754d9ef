"""Weights files: what fits is loaded, what does not is named."""

from __future__ import annotations

import pickle
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.zoo.checkpoint import load_weights, read_weights


def network(classes: int = 3, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, classes)
        )


def state() -> dict[str, Tensor]:
    return dict(network(seed=1).state_dict())


def equal(model: nn.Module, expected: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_safetensors_are_loaded(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    model = network()
    load_weights(model, str(tmp_path / "w.safetensors"))
    assert equal(model, state())


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_are_found(
    tmp_path: Path, suffix: str, wrapper: str | None, prefix: str
) -> None:
    named = {prefix + name: tensor for name, tensor in state().items()}
    torch.save({wrapper: named, "epoch": 3} if wrapper else named, tmp_path / f"w{suffix}")
    model = network()
    load_weights(model, tmp_path / f"w{suffix}")
    assert equal(model, state())


def test_a_model_with_a_part_called_module_keeps_its_names(tmp_path: Path) -> None:
    model = nn.ModuleDict({"module": nn.Linear(2, 1)})
    ones = {"module.weight": torch.ones(1, 2), "module.bias": torch.ones(1)}
    save_file(ones, tmp_path / "w.safetensors")
    load_weights(model, tmp_path / "w.safetensors")
    assert model["module"].weight.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("3.bias"), r'1 missing, first "3\.bias"'),
        (lambda s: s.update(head=torch.ones(1)), '1 unexpected, first "head"'),
        (
            lambda s: s.update({"3.bias": torch.ones(7)}),
            r'1 of another shape, first "3\.bias" with \(7,\) in the file and \(3,\) in the model',
        ),
    ],
)
def test_what_differs_is_named_and_nothing_loaded(tmp_path: Path, change, message: str) -> None:
    changed = state()
    change(changed)
    save_file(changed, tmp_path / "w.safetensors")
    model = network()
    with pytest.raises(CodeclensError, match=message):
        load_weights(model, tmp_path / "w.safetensors")
    assert equal(model, dict(network().state_dict()))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r"no weights file .*nowhere\.pt"):
        read_weights(tmp_path / "nowhere.pt")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(CodeclensError, match=r"w\.h5 is not a weights file; pass a \.safetensors"):
        read_weights(tmp_path / "w.h5")


def test_damaged_safetensors_are_refused(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(CodeclensError, match="not a valid safetensors file"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04garbage"])
def test_damaged_state_dicts_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(CodeclensError, match="damaged or contains more than tensors"):
        read_weights(tmp_path / "w.pt")


def test_a_pickled_model_is_not_run(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "w.pt")
    with pytest.raises(CodeclensError, match=r"contains more than tensors; save model\.state_dict"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "described"),
    [
        (torch.ones(3), "a Tensor"),
        ({"epoch": 3, "loss": 0.1}, "a dict with the keys 'epoch', 'loss'"),
    ],
)
def test_what_holds_no_state_dict_is_refused(tmp_path: Path, content, described: str) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CodeclensError, match=f"contains {described}"):
        read_weights(tmp_path / "w.pt")


def test_what_strict_loading_accepts_is_accepted(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    state = {name: torch.full_like(one, 3) for name, one in model.state_dict().items()}
    old = {name: one for name, one in state.items() if not name.endswith("num_batches_tracked")}
    for name in ("old.th", "old.pth.tar"):
        torch.save(
            {"state_dict": {f"module.{key}": one for key, one in old.items()}}, tmp_path / name
        )
        model[1].weight.data.zero_()
        load_weights(model, tmp_path / name)
        assert model[1].weight.tolist() == [3, 3]
    lazy = nn.Sequential(nn.LazyLinear(2))
    torch.save({"_orig_mod.0.weight": torch.ones(2, 5), "_orig_mod.0.bias": torch.ones(2)},
               tmp_path / "lazy.pt")  # fmt: skip
    load_weights(lazy, tmp_path / "lazy.pt")
    assert lazy[0].weight.shape == (2, 5)


def test_damaged_weights_are_one_sentence(tmp_path: Path) -> None:
    """Whatever a damaged file makes the readers raise, it is a CodeclensError."""
    torch.save({"weight": torch.ones(1, 2), "bias": torch.ones(1)}, tmp_path / "w.pt")
    save_file({"weight": torch.ones(1, 2)}, tmp_path / "w.safetensors")
    rng = random.Random(0)
    for name in ("w.pt", "w.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for attempt in range(60):
            damaged = bytearray(whole)
            for _ in range(rng.randint(1, 4)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            cut = damaged[: rng.randrange(len(damaged))] if attempt % 3 == 0 else damaged
            (tmp_path / f"bad-{name}").write_bytes(bytes(cut))
            with suppress(CodeclensError):
                load_weights(nn.Linear(2, 1), tmp_path / f"bad-{name}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.to("meta"), "has no values"),
        (lambda t: t.to_sparse(), "is stored as sparse_coo"),
        (lambda t: t.to(torch.complex64), "holds complex numbers"),
        (lambda t: (t * 100).to(torch.int8), "holds whole numbers"),
    ],
    ids=["meta", "sparse", "complex", "whole"],
)
def test_tensors_of_another_kind_are_named(
    tmp_path: Path, change: Callable[[Tensor], Tensor], words: str
) -> None:
    torch.save(state() | {"3.weight": change(state()["3.weight"])}, tmp_path / "w.pt")
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CodeclensError, match=words) as caught:
        load_weights(model, tmp_path / "w.pt")
    assert '"3.weight"' in str(caught.value)
    assert equal(model, before)


def test_halves_and_doubles_are_converted(tmp_path: Path) -> None:
    wide = {name: t.double() if t.is_floating_point() else t for name, t in state().items()}
    torch.save(wide, tmp_path / "w.pt")
    model = network()
    load_weights(model, tmp_path / "w.pt")
    assert equal(model, state())


def test_files_that_are_no_weights_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_text("version https://git-lfs.github.com/spec/v1\nsize 9\n")
    with pytest.raises(CodeclensError, match="only a pointer of Git LFS"):
        load_weights(network(), tmp_path / "a.pt")
    torch.save(state(), tmp_path / "b.pt")
    with (
        zipfile.ZipFile(tmp_path / "b.pt") as whole,
        zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in whole.namelist():
            bomb.writestr(name, bytes(10**7) if name.endswith("data/0") else whole.read(name))
    with pytest.raises(CodeclensError, match=r"claims 10,0.* bytes of weights, but has only"):
        load_weights(network(), tmp_path / "c.pt")
    torch.save({"x" * 100_000: torch.zeros(1)}, tmp_path / "d.pt")
    with pytest.raises(CodeclensError) as caught:
        load_weights(network(), tmp_path / "d.pt")
    assert len(str(caught.value)) < 600
    (tmp_path / "e.pt").write_bytes(pickle.dumps({"a": 1}, protocol=4))
    with pytest.raises(CodeclensError):  # and no warning, which would be an error here
        load_weights(network(), tmp_path / "e.pt")
