"""torch-deep-retina's checkpoints and data, in files of exactly their form."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codeclens as cl
from codeclens import CodeclensError
from codeclens.retina import load_deep_retina, load_deep_retina_data

ABOUT: dict = {"rate": 100.0, "pixel": 50.0, "unit": "um"}


class Flatten(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Reshape(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1, *self.shape)


class GaussianNoise(nn.Module):
    """Its noise is a parameter."""

    def __init__(self, std: float = 0.05) -> None:
        super().__init__()
        self.sigma = nn.Parameter(torch.ones(1) * std, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x


class AbsBatchNorm(nn.Module):
    """Running statistics as parameters, and the absolute value of a scale."""

    def __init__(self, units: int, eps: float = 1e-5) -> None:
        super().__init__()
        for name in ("running_mean", "running_var", "scale", "shift"):
            setattr(self, name, nn.Parameter(torch.zeros(units)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        by = [1, -1] + [1] * (x.ndim - 2)
        x = (x - self.running_mean.view(by)) / (self.running_var.view(by) + self.eps).sqrt()
        return x * self.scale.abs().view(by) + self.shift.view(by)


class LinearStackedConv2d(nn.Module):
    def __init__(self, inputs: int, outputs: int, size: int, norms: bool = False) -> None:
        super().__init__()
        count = (size - 1) // 2
        convs: list[nn.Module] = []
        for place in range(count):
            last = place == count - 1
            convs.append(nn.Conv2d(outputs if place else inputs, outputs, 3, bias=last))
            if norms and not last:
                convs.append(AbsBatchNorm(outputs))
            convs.append(nn.Dropout(0.1))
        self.convs = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> Tensor:
        return self.convs(x)


class GrabUnits(nn.Module):
    """The arithmetic of the original, without padding."""

    def __init__(self, centers: list, ksizes: tuple, shape: tuple) -> None:
        super().__init__()
        half = (ksizes[0] - 1) + (ksizes[1] - 1) + (ksizes[2] // 2 - 1) + 1
        self.coords = [
            [min(max(0, c - half), shape[axis] - 2 * (half - 1)) for axis, c in enumerate(place, 1)]
            for place in centers
        ]

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, n, r, c] for n, (r, c) in enumerate(self.coords)], dim=1)


class Net(nn.Module):
    """A network as the original builds it: everything in one `sequential`."""

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.sequential = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.sequential(x)


def bncnn(bias: bool = True, by_channel: bool = False, late_reshape: bool = False) -> Net:
    """BNCNN on 14 × 14 pixels with 6 frames: kernels 5 and 3, maps 10 and 8."""

    def norm(channels: int, side: int) -> list[nn.Module]:
        if by_channel:
            return [nn.BatchNorm2d(channels, eps=1e-3), GaussianNoise(), nn.ReLU()]
        flat = nn.BatchNorm1d(channels * side * side, eps=1e-3)
        back = Reshape(channels, side, side)
        if late_reshape:  # as the first versions had it
            return [Flatten(), flat, GaussianNoise(), nn.ReLU(), back]
        return [Flatten(), flat, back, GaussianNoise(), nn.ReLU()]

    return Net(
        nn.Conv2d(6, 3, 5, bias=bias),
        *norm(3, 10),
        nn.Conv2d(3, 4, 3, bias=bias),
        *norm(4, 8),
        Flatten(),
        nn.Linear(4 * 64, 2, bias=bias),
        nn.BatchNorm1d(2, eps=1e-3),
        nn.Softplus(),
    )


def stacked(norms: bool = False) -> Net:
    return Net(
        LinearStackedConv2d(6, 3, 5, norms),
        Flatten(),
        AbsBatchNorm(300, 1e-3),
        Reshape(3, 10, 10),
        GaussianNoise(),
        nn.ReLU(),
        LinearStackedConv2d(3, 4, 3),
        Flatten(),
        AbsBatchNorm(4 * 64, 1e-3),
        Reshape(4, 8, 8),
        GaussianNoise(),
        nn.ReLU(),
        Flatten(),
        nn.Linear(4 * 64, 2, bias=False),
        AbsBatchNorm(2, 1e-3),
        nn.Softplus(),
    )


CENTERS = [[6, 8], [9, 7]]


def convolutional() -> Net:
    return Net(
        nn.Conv2d(6, 3, 5),
        AbsBatchNorm(3, 1e-3),
        GaussianNoise(),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3),
        AbsBatchNorm(4, 1e-3),
        GaussianNoise(),
        nn.ReLU(),
        nn.Conv2d(4, 2, 3, bias=False),
        GrabUnits(CENTERS, (5, 3, 3), (6, 14, 14)),
        AbsBatchNorm(2, 1e-3),
        nn.Softplus(),
    )


KINDS = {
    "BNCNN": lambda: bncnn(),
    "BNCNN without biases": lambda: bncnn(bias=False),
    "BNCNN by channel": lambda: bncnn(by_channel=True),
    "BNCNN of the first kind": lambda: bncnn(late_reshape=True),
    "LinearStackedBNCNN": lambda: stacked(),
    "LinearStackedBNCNN with norms": lambda: stacked(norms=True),
    "VaryModel": convolutional,
}


def stirred(net: nn.Module) -> nn.Module:
    """With weights, statistics and scales of both signs that say something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if "num_batches" in name or "sigma" in name:
                continue
            random = torch.randn(value.shape, generator=generator)
            value.copy_(random.abs() + 0.5 if "running_var" in name else random * 0.3)
    return net.eval()


def checkpoint(net: nn.Module, kind: str, **more: object) -> dict:
    """What the original's trainer saves."""
    return {
        "model_type": kind.split()[0],
        "model_hyps": {
            "n_units": 2,
            "noise": 0.05,
            "img_shape": [6, 14, 14],
            "softplus": True,
            "centers": CENTERS,
        },
        "model_state_dict": net.state_dict(),
        "optim_state_dict": {},
        "epoch": 3,
        "val_acc": np.float64(0.7),
        # NumPy's numbers, as it computes them from the film.
        "norm_stats": {"mean": np.float32(51.5), "std": np.float32(20.25)},
        "y_stats": {"mean": np.zeros(2, dtype=np.float32)},
        "cells": [3, 7],
    } | more


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_matches_the_original(kind: str, tmp_path: Path) -> None:
    net = stirred(KINDS[kind]())
    torch.save(checkpoint(net, kind), tmp_path / "test_epoch_3.pt")
    found = load_deep_retina(tmp_path / "test_epoch_3.pt", **ABOUT)
    x = torch.randn(5, 6, 14, 14, generator=torch.Generator().manual_seed(2))
    assert (found.model(x) - net(x)).abs().max() < 1e-5
    assert found.model.cells == ("cell 3", "cell 7")
    assert (found.mean, found.std) == (51.5, 20.25)
    assert found.model.noise1.std == pytest.approx(0.05)
    assert found.model.ahead == -1
    assert found.facts["epoch"] == 3
    seen = cl.contributions(found.model, x, sites=found.model.sites, target=cl.Output(0))
    assert seen["first"].completeness.abs().max() < 1e-4


def test_classes_of_its_package_in_the_file_are_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer puts the class itself among the hyperparameters."""
    package, models = ModuleType("torchdeepretina"), ModuleType("torchdeepretina.models")
    models.BNCNN = type("BNCNN", (), {"__module__": "torchdeepretina.models"})
    for name, module in (("torchdeepretina", package), ("torchdeepretina.models", models)):
        monkeypatch.setitem(sys.modules, name, module)
    net = stirred(bncnn())
    torch.save(checkpoint(net, "BNCNN", model_class=models.BNCNN), tmp_path / "a.pt")
    monkeypatch.undo()
    found = load_deep_retina(tmp_path / "a.pt", cells=["a", "b"], **ABOUT)
    assert found.model.cells == ("a", "b")


def test_hyperparameters_may_lie_elsewhere(tmp_path: Path) -> None:
    net = stirred(bncnn())
    content = checkpoint(net, "BNCNN")
    content["hyps"] = content.pop("model_hyps")
    del content["hyps"]["img_shape"], content["norm_stats"], content["cells"]
    torch.save(content, tmp_path / "a.pt")
    found = load_deep_retina(tmp_path / "a.pt", **ABOUT)
    x = torch.randn(2, 6, 14, 14)
    assert (found.model(x) - net(x)).abs().max() < 1e-5
    assert math.isnan(found.mean)
    assert found.model.cells == ("cell 0", "cell 1")


def test_unknown_signs_of_scales_are_requested(tmp_path: Path) -> None:
    net = stirred(stacked())
    torch.save(checkpoint(net, "Mine"), tmp_path / "a.pt")
    with pytest.raises(CodeclensError, match="absolute=True or False"):
        load_deep_retina(tmp_path / "a.pt", **ABOUT)
    x = torch.randn(2, 6, 14, 14)
    right = load_deep_retina(tmp_path / "a.pt", absolute=True, **ABOUT).model
    assert (right(x) - net(x)).abs().max() < 1e-5
    wrong = load_deep_retina(tmp_path / "a.pt", absolute=False, **ABOUT).model
    assert (wrong(x) - net(x)).abs().max() > 1e-3


class Evil:
    def __reduce__(self) -> tuple:
        return (print, ("run",))


def test_bad_files_are_reported_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = stirred(bncnn())
    place = tmp_path / "a.pt"

    def refused(content: object, says: str) -> None:
        torch.save(content, place)
        with pytest.raises(CodeclensError, match=says) as caught:
            load_deep_retina(place, **ABOUT)
        assert "\n" not in str(caught.value)

    refused(checkpoint(net, "BNCNN", extra=Evil()), "could run code")
    assert capsys.readouterr().out == "", "nothing ran"
    refused([1, 2], "holds a list")
    refused({"epoch": 1}, r'no "model_state_dict" \(it has epoch\)')
    hyps = checkpoint(net, "BNCNN")["model_hyps"]
    for change, says in (
        ({"inference_exp": True}, "inference_exp=True"),
        ({"softplus": False}, "exponential"),
        ({"paddings": [1, 1]}, "pads its films"),
        ({"activ_fxn": "Tanh"}, "Tanh"),
    ):
        refused(checkpoint(net, "BNCNN", model_hyps=hyps | change), says)
    refused(checkpoint(Net(nn.Conv2d(6, 3, 5), nn.Linear(4, 2)), "BNCNN"), "are conv, dense")
    refused(checkpoint(Net(nn.GRU(3, 3)), "BNCNN"), "which is not a supported layer")
    place.write_bytes(b"no checkpoint")
    with pytest.raises(CodeclensError, match="cannot be read as a checkpoint"):
        load_deep_retina(place, **ABOUT)


def test_foreign_files_are_reported_without_advice_from_torch(tmp_path: Path) -> None:
    place = tmp_path / "a.pt"
    for content in (
        b"",
        b"hello text\n",
        b"PK\x03\x04 broken",
        b"\x80\x02}",
        b"{}",
        b"I am text\n",
    ):
        place.write_bytes(content)
        with pytest.raises(
            CodeclensError, match=r"is empty|it is damaged, or torch\.save"
        ) as caught:
            load_deep_retina(place, **ABOUT)
        assert "weights_only" not in str(caught.value)
        assert str(caught.value).endswith(".")
    torch.save({"a": Evil()}, place, _use_new_zipfile_serialization=False)
    with pytest.raises(CodeclensError, match=r"holds print, which could run code\.$"):
        load_deep_retina(place, **ABOUT)


@pytest.mark.parametrize("kind", ["BNCNN", "BNCNN by channel", "LinearStackedBNCNN", "VaryModel"])
def test_layers_that_do_not_fit_are_reported_when_loaded(kind: str, tmp_path: Path) -> None:
    """Every tensor in turn is cut, by its first and by its second axis."""
    whole = checkpoint(stirred(KINDS[kind]()), kind)
    state = whole["model_state_dict"]
    place = tmp_path / "a.pt"
    for name, value in state.items():
        # A film of another length is a network, too: the first layer alone tells it.
        for axis in range(min(value.ndim, 2)):
            if value.shape[axis] < 2 or (axis == 1 and name in FIRST):
                continue
            cut = value.narrow(axis, 0, value.shape[axis] - 1).clone()
            torch.save(whole | {"model_state_dict": {**state, name: cut}}, place)
            with pytest.raises(CodeclensError, match=r"do not fit (together|into)"):
                load_deep_retina(place, **ABOUT)


FIRST = ("sequential.0.weight", "sequential.0.convs.0.weight")


def test_weights_and_names_are_checked(tmp_path: Path) -> None:
    whole = checkpoint(stirred(bncnn()), "BNCNN")
    state, place = whole["model_state_dict"], tmp_path / "a.pt"

    def refused(says: str, change: dict, **options: object) -> None:
        torch.save(whole | {"model_state_dict": {**state, **change}}, place)
        with pytest.raises(CodeclensError, match=says):
            load_deep_retina(place, **ABOUT, **options)  # type: ignore[arg-type]

    name = "sequential.0.weight"
    refused(f'"{name}" in .* NaN', {name: torch.full_like(state[name], math.nan)})
    refused(f'"{name}" in .* is a list', {name: [1.0]})
    refused("do not fit together", {name: state[name].double()})
    name = "sequential.2.running_var"
    refused("variances", {name: -state[name]})
    refused("must be 2 unique names", {}, cells=["a"])
    refused("must be 2 unique names", {}, cells=["a", "a"])
    refused("must be 2 unique names", {}, cells="ab")
    refused("must be three numbers", {}, eps=(1e-3,))
    torch.save(checkpoint(Net(nn.Conv2d(6, 3, 5), AbsBatchNorm(3)), "BNCNN"), place)
    content = torch.load(place, weights_only=False)
    del content["model_state_dict"]["sequential.1.shift"]
    torch.save(content, place)
    with pytest.raises(CodeclensError, match="a norm without its shift"):
        load_deep_retina(place, **ABOUT)


def test_an_old_torch_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, tmp_path / "a.pt")
    monkeypatch.delattr(torch.serialization, "get_unsafe_globals_in_checkpoint")
    with pytest.raises(CodeclensError, match=r"torch 2\.6 or newer"):
        load_deep_retina(tmp_path / "a.pt", **ABOUT)


@pytest.fixture
def experiment(tmp_path: Path, rng: np.random.Generator) -> Path:
    """`naturalscene.h5`, as `loadexpt` reads it."""
    place = tmp_path / "naturalscene.h5"
    with h5py.File(place, "w") as file:
        for part, frames in (("train", 60), ("test", 30)):
            group = file.create_group(part)
            group["stimulus"] = rng.integers(0, 255, (frames, 5, 6)).astype(np.uint8)
            group["time"] = np.arange(frames) / 100
            group["response/firing_rate_10ms"] = rng.gamma(1, 5, (3, frames))
            group["response/binned"] = rng.poisson(0.1, (3, frames)).astype(np.uint8)
        for cell in (1, 2, 10):
            file[f"test/repeats/cell{cell:02d}"] = np.full((4, 30), float(cell))
    return place


def test_data_are_scored_and_keep_their_cells(experiment: Path) -> None:
    with h5py.File(experiment) as file:
        film = file["train/stimulus"][()].astype(np.float32)
        rates = file["train/response/firing_rate_10ms"][()]
        counts = file["train/response/binned"][()]
        test = file["test/stimulus"][()].astype(np.float32)
    found = load_deep_retina_data(experiment, cells=[2, 0], **ABOUT)
    assert list(found.cells) == ["cell 2", "cell 0"]
    assert np.allclose(found.rates, rates[[2, 0]].T)
    assert np.allclose(found.movie.frames, (film - film.mean()) / film.std(), atol=1e-5)
    assert (found.movie.rate, found.movie.pixel, found.movie.unit) == (100.0, 50.0, "um")
    binned = load_deep_retina_data(experiment, response="binned", **ABOUT)
    assert np.allclose(binned.rates, counts.T * 100.0)
    stats = (float(film.mean()), float(film.std()))
    other = load_deep_retina_data(experiment, part="test", stats=stats, **ABOUT)
    assert np.allclose(other.movie.frames, (test - stats[0]) / stats[1], atol=1e-5)
    repeats = load_deep_retina_data(experiment, part="test", response="repeats", **ABOUT)
    assert repeats.rates[0].tolist() == [1.0, 2.0, 10.0]


def test_bad_data_are_reported(experiment: Path, tmp_path: Path) -> None:
    for options, says in (
        ({"rate": 60.0}, "make 100 frames a second; rate=60"),
        ({"response": "firing_rate_1ms"}, 'no array "train/response/firing_rate_1ms"; there are'),
        ({"response": "repeats"}, "no repeats"),
        ({"cells": [3]}, "cells 0 to 2; cells= names 3"),
    ):
        with pytest.raises(CodeclensError, match=says):
            load_deep_retina_data(experiment, **ABOUT | options)
    with h5py.File(experiment, "a") as file:
        file.move("train/stimulus", "train/kept")
        file["train/stimulus"] = "a film"
    with pytest.raises(CodeclensError, match="not numbers"):
        load_deep_retina_data(experiment, **ABOUT)
    with h5py.File(experiment, "a") as file:
        del file["train/stimulus"]
        file["train/stimulus"] = np.zeros((59, 5, 6))
    with pytest.raises(CodeclensError, match="over the same frames"):
        load_deep_retina_data(experiment, **ABOUT)
    pickled = tmp_path / "data.pkl"
    pickled.write_bytes(b"")
    with pytest.raises(CodeclensError, match="is a pickle"):
        load_deep_retina_data(pickled, **ABOUT)
    pickled.with_suffix(".h5").write_bytes(b"no")
    with pytest.raises(CodeclensError, match="not an HDF5 file"):
        load_deep_retina_data(pickled.with_suffix(".h5"), **ABOUT)


def test_overwritten_bytes_are_reported(experiment: Path) -> None:
    """Wherever the file is damaged, it loads (data have no checksum) or one sentence says so."""
    whole = experiment.read_bytes()
    said = set()
    for start in range(0, len(whole), 100):
        experiment.write_bytes(whole[:start] + b"\xa5" * 100 + whole[start + 100 :])
        try:
            load_deep_retina_data(experiment, **ABOUT)
        except CodeclensError as error:
            said.add(str(error).removeprefix(f'"{experiment}" '))
    assert "is damaged and cannot be read; copy or download it again." in said
    assert "is not an HDF5 file, or it is damaged." in said
