"""Openretina's checkpoints and data, in files of exactly their form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import codeclens as cl
import retina_reference
from codeclens import CodeclensError
from codeclens.retina import (
    Movie,
    load_openretina,
    load_openretina_data,
    movie_contributions,
    receptive_fields,
)

# Torch says that padding even kernels costs a copy; the originals do it all the same.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")

ABOUT: dict = {"rate": 30.0, "pixel": 50.0, "unit": "um"}
CHANNELS, TAPS, SIZES = (1, 3, 2), (6, 4), (3, 3)
# Side of the maps of layer 1 where only the second layer is padded.
MAPS = 9 - 2


@pytest.fixture
def random() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator) * 0.3


def core(random: Callable[..., Tensor], kind: str) -> dict[str, Tensor]:
    """The state of a SimpleCoreWrapper of two layers."""
    state: dict[str, Tensor] = {}
    for layer, (before, after, taps, size) in enumerate(
        zip(CHANNELS, CHANNELS[1:], TAPS, SIZES, strict=False)
    ):
        at = f"core.features.layer{layer}"
        if kind != "full":
            state[f"{at}.conv._log_speed_default"] = torch.full((1,), 0.1)
        if kind == "custom_separable":
            state[f"{at}.conv.sin_weights"] = random(after, before, taps // 3)
            state[f"{at}.conv.cos_weights"] = random(after, before, taps // 3)
            state[f"{at}.conv.weight_spatial"] = random(after, before, 1, size, size)
        elif kind == "separable":
            state[f"{at}.conv.space_conv.weight"] = random(after, before, 1, size, size)
            state[f"{at}.conv.time_conv.weight"] = random(after, after, taps, 1, 1)
        else:
            state[f"{at}.conv.conv.weight"] = random(after, before, taps, size, size)
        state[f"{at}.norm.weight"] = random(after) + 1
        state[f"{at}.norm.bias"] = random(after)
        state[f"{at}.norm.running_mean"] = random(after)
        state[f"{at}.norm.running_var"] = random(after).abs() + 0.5
        state[f"{at}.norm.num_batches_tracked"] = torch.tensor(5)
        state[f"{at}.bias.bias"] = random(1, after, 1, 1, 1)
    return state


def gaussian(random: Callable[..., Tensor], cells: int, name: str) -> dict[str, Tensor]:
    """The state of a GaussianMaskReadout, its grid as the package makes it."""
    line = torch.linspace(-1, 1, MAPS)
    grid = torch.stack(torch.meshgrid([line, line], indexing="ij"), 2)[None]
    at = f"readout.{name}"
    return {
        f"{at}.mask_mean": random(cells, 2) * 0.2,
        f"{at}.mask_log_var": random(cells) - 0.3,
        f"{at}.grid": grid.repeat(cells, 1, 1, 1),
        f"{at}.features": random(1, CHANNELS[-1], 1, cells) + 0.3,
        f"{at}.scale_param": random(cells) + 1,
        f"{at}.bias": random(cells),
    }


def original(state: dict[str, Tensor], x: Tensor, kind: str, cells: str, **how: Any) -> Tensor:
    """The forward of the package, from its own tensors: `(B, C, T, H, W)` to `(B, T', cells)`."""
    for layer in range(2):
        at = f"core.features.layer{layer}"
        padding = how["input_padding" if layer == 0 else "hidden_padding"]
        pad: Any = "same" if padding is True else padding or 0
        if kind == "custom_separable":
            sines, cosines = (state[f"{at}.conv.{which}_weights"] for which in ("sin", "cos"))
            speed = float(state[f"{at}.conv._log_speed_default"].exp())
            time = retina_reference.temporal_kernel(sines, cosines, speed, TAPS[layer])
            space = state[f"{at}.conv.weight_spatial"]
            x = F.conv3d(x, time[..., None, None] * space, padding=pad)
        elif kind == "separable":
            x = F.conv3d(x, state[f"{at}.conv.space_conv.weight"], padding=pad)
            x = F.conv3d(x, state[f"{at}.conv.time_conv.weight"], padding=pad)
            x = x * state[f"{at}.conv._log_speed_default"].exp()
        else:
            x = F.conv3d(x, state[f"{at}.conv.conv.weight"], padding=pad)
        x = retina_reference.normed(x, state, f"{at}.norm", 1e-5) + state[f"{at}.bias.bias"]
        x = F.elu(x)
        if how.get("pool") and layer == 0:
            x = F.max_pool3d(x, (1, 2, 2))
    x = x[:, :, how.get("cut", 0) :]
    at = f"readout.{cells}"
    found = []
    for cell in range(len(state[f"{at}.bias"])):
        var = (state[f"{at}.mask_log_var"][cell] * how["var_scale"]).exp()
        mean = state[f"{at}.mask_mean"][cell] * how["mean_scale"]
        away = (state[f"{at}.grid"][cell] - mean).square().sum(-1) / (var + 1e-8)
        mask = torch.exp(-0.5 * away.clamp(max=20))
        mask = mask / mask.sum()
        features = state[f"{at}.features"][0, :, 0, cell].clamp(min=0)
        drive = torch.einsum("bcthw,hw,c->bt", x, mask, features)
        scale, bias = state[f"{at}.scale_param"][cell], state[f"{at}.bias"][cell]
        found.append(F.softplus(drive * scale + bias))
    return torch.stack(found, dim=2)


def example(kind: str, **changed: object) -> dict:
    """Hyperparameters as Lightning keeps those of ExampleCoreReadout."""
    return {
        "in_shape": (1, 100, 9, 9),
        "hidden_channels": list(CHANNELS[1:]),
        "temporal_kernel_sizes": list(TAPS),
        "spatial_kernel_sizes": list(SIZES),
        "n_neurons_dict": {"session_1": 3},
        "core_input_padding": False,
        "core_hidden_padding": True,
        "readout_gaussian_mean_scale": 6.0,
        "readout_gaussian_var_scale": 4.0,
        "readout_positive": True,
        "cut_first_n_frames_in_core": 0,
        "convolution_type": kind,
        "data_info": {"stim_mean": np.float32(37.2), "movie": {"mean": np.float64(1.0)}},
    } | changed


def saved(place: Path, state: dict, hyperparameters: object) -> Path:
    content = {
        "epoch": 7,
        "global_step": 700,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state,
        "hparams_name": "kwargs",
        "hyper_parameters": hyperparameters,
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    torch.save(content, place)
    return place


HOW = {"input_padding": False, "hidden_padding": True, "mean_scale": 6.0, "var_scale": 4.0}


@pytest.mark.parametrize("kind", ["custom_separable", "separable", "full", "time_independent"])
def test_a_network_matches_the_original(
    kind: str, tmp_path: Path, random: Callable[..., Tensor]
) -> None:
    state = core(random, kind) | gaussian(random, 3, "session_1")
    if kind == "time_independent":
        for layer in range(2):
            name = f"core.features.layer{layer}.conv.conv.weight"
            state[name] = state[name][:, :, :1]
    model = load_openretina(saved(tmp_path / "a.ckpt", state, example(kind)), **ABOUT)
    film = random(2, 1, 40, 9, 9)
    whole = original(state, film, kind, "session_1", **HOW)
    assert (model.over_time()(film) - whole).abs().max() < 1e-5
    # A window holds all that one frame depends on, wherever in the film it lies.
    windows = film[0, 0].unfold(0, model.history, 1).movedim(-1, 1)
    rates = model(windows)
    if kind == "time_independent":
        assert (model.history, model.ahead) == (1, 0)
    else:
        assert (model.history, model.ahead) == (9, 2)  # 5 and 1 back, 2 ahead
    shrunk = 40 - whole.shape[1]
    frames = torch.arange(len(windows)) + model.history - 1 - model.ahead
    assert (rates - whole[0, frames - shrunk]).abs().max() < 1e-5
    assert list(model.cells) == ["session_1 0", "session_1 1", "session_1 2"]


def test_targets_are_a_cell_and_an_output_frame(
    tmp_path: Path, random: Callable[..., Tensor]
) -> None:
    state = core(random, "full") | gaussian(random, 3, "session_1")
    model = load_openretina(saved(tmp_path / "a.ckpt", state, example("full")), **ABOUT)
    film = random(2, 1, 12, 9, 9)
    network = model.over_time()
    found = cl.contributions(
        network, film, sites="model.layer0", target=cl.Token(4, cl.Output(1)), reduce=None
    )
    assert torch.allclose(found.target, network(film)[:, 4, 1], atol=1e-5)
    assert found["model.layer0"].completeness.abs().max() < 1e-4
    by_frame = found["model.layer0"].full.abs().sum(dim=(0, 1, 3, 4))
    # Output frame 4 sees frames 3 to 6 of layer 0 (a kernel of four, padded 1 and 2).
    assert (by_frame[3:7] > 0).all()
    assert by_frame.sum() == by_frame[3:7].sum()
    # The same through windows, with its lag: 2 ahead of the frame to 1 behind it.
    movie = Movie(film[0, 0], **ABOUT)
    labelled = movie_contributions(model, movie, cells=["session_1 1"], sites="layer0", lags=True)
    assert np.allclose(labelled.lag, np.array([1, 0, -1, -2]) / 30)
    at = labelled.isel(time=0, cell=0, layer=0)
    assert float(at.time) == pytest.approx(6 / 30)
    other = cl.contributions(
        network, film, sites="model.layer0", target=cl.Token(1, cl.Output(1)), reduce=None
    )
    wanted = other["model.layer0"].full[0].sum(dim=(2, 3))[:, 0:4].numpy()
    assert np.allclose(at.positive + at.negative, wanted, atol=1e-4)
    assert abs(labelled.completeness).max() < 1e-4


def test_settings_of_both_kinds_are_followed(tmp_path: Path, random: Callable[..., Tensor]) -> None:
    state = core(random, "full") | gaussian(random, 2, "a") | gaussian(random, 3, "b")
    settings = example("full", core_input_padding=[0, 1, 1], maxpool_every_n_layers=2)
    settings["cut_first_n_frames_in_core"] = 3
    # Padded by a pixel and pooled by two: 9 → 9 → 4 pixels.
    line = torch.linspace(-1, 1, 4)
    for name, cells in (("a", 2), ("b", 3)):
        grid = torch.stack(torch.meshgrid([line, line], indexing="ij"), 2)
        state[f"readout.{name}.grid"] = grid[None].repeat(cells, 1, 1, 1)
    place = saved(tmp_path / "a.ckpt", state, settings)
    model = load_openretina(place, session="b", cells=["x", "y", "z"], **ABOUT)
    film = random(1, 1, 30, 9, 9)
    how = HOW | {"input_padding": (0, 1, 1), "pool": True, "cut": 3}
    whole = original(state, film, "full", "b", **how)
    assert (model.over_time()(film) - whole).abs().max() < 1e-5
    rates = model(film[0, 0].unfold(0, model.history, 1).movedim(-1, 1))
    assert (rates[-1] - whole[0, -1 - model.ahead]).abs().max() < 1e-5
    with pytest.raises(CodeclensError, match="has the sessions a, b; choose one"):
        load_openretina(place, **ABOUT)


def test_colours_go_in_as_films_of_colours(tmp_path: Path, random: Callable[..., Tensor]) -> None:
    state = core(random, "full") | gaussian(random, 3, "session_1")
    state["core.features.layer0.conv.conv.weight"] = random(3, 2, 6, 3, 3)
    model = load_openretina(saved(tmp_path / "a.ckpt", state, example("full")), **ABOUT)
    film = random(1, 2, 9, 9, 9)
    whole = original(state, film, "full", "session_1", **HOW)
    assert (model(film) - whole[:, -1 - model.ahead]).abs().max() < 1e-5

    # The same through a movie in colour: rates, contributions and receptive fields.
    longer = random(1, 2, model.history + 6, 9, 9)
    about = {name: ABOUT[name] for name in ("rate", "pixel", "unit")}
    movie = Movie(longer[0].swapaxes(0, 1), **about, colours=("green", "uv"))
    wanted = original(state, longer, "full", "session_1", **HOW)
    rates = model.respond(movie)
    last = wanted.shape[1] - model.ahead
    assert (rates - wanted[0, last - len(rates) : last]).abs().max() < 1e-5
    found = movie_contributions(model, movie)
    assert float(abs(found.completeness).max()) < 1e-3
    fields = receptive_fields(model, movie)
    assert fields.dims == ("time", "cell", "colour", "lag", "y", "x")
    assert fields.colour.values.tolist() == ["green", "uv"]
    with pytest.raises(CodeclensError, match="has no colours and the model takes 2 colours"):
        model.respond(movie.of_colour("uv"))


@pytest.mark.parametrize("constraint", [None, "abs", "norm", "absnorm"])
def test_a_factorised_readout(
    constraint: str | None, tmp_path: Path, random: Callable[..., Tensor]
) -> None:
    state = core(random, "full")
    state["readout.s.mask_weights"] = random(MAPS * MAPS, 2)
    state["readout.s.feature_weights"] = random(CHANNELS[-1], 2)
    state["readout.s.bias"] = random(2)
    settings = {
        "core": {
            "input_padding": False,
            "hidden_padding": True,
            "cut_first_n_frames": 0,
            "temporal_kernel_sizes": list(TAPS),
        },
        "readout": {
            "weights_constraint": constraint,
            "mask_constraint": "abs",
            "readout_bias": True,
            "in_shape": (CHANNELS[-1], 35, MAPS, MAPS),
        },
    }
    model = load_openretina(saved(tmp_path / "a.ckpt", state, settings), **ABOUT)
    x = random(1, 1, 9, 9, 9)
    frame = model.core(x)[:, :, -1 - model.ahead]
    weights = state["readout.s.feature_weights"]
    if constraint in ("abs", "absnorm"):
        weights = weights.abs()
    if constraint in ("norm", "absnorm"):
        weights = weights / (weights.square().sum(0, keepdim=True) + 1e-5).sqrt()
    masked = frame.flatten(2) @ state["readout.s.mask_weights"].abs()
    wanted = F.softplus((masked * weights).sum(dim=1) + state["readout.s.bias"])
    assert (model(x) - wanted).abs().max() < 1e-5


def omegaconf(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """OmegaConf's containers as they are pickled: contents, metadata with types, parents."""
    made: dict[str, type] = {}
    for module, names in (
        ("omegaconf.dictconfig", ["DictConfig"]),
        ("omegaconf.listconfig", ["ListConfig"]),
        ("omegaconf.nodes", ["AnyNode"]),
        ("omegaconf.base", ["ContainerMetadata", "Metadata"]),
    ):
        home = ModuleType(module)
        monkeypatch.setitem(sys.modules, module, home)
        for name in names:
            made[name] = type(name, (), {"__module__": module})
            setattr(home, name, made[name])
    monkeypatch.setitem(sys.modules, "omegaconf", ModuleType("omegaconf"))

    def wrapped(value: Any, parent: Any = None) -> Any:
        kind = {dict: "DictConfig", list: "ListConfig"}.get(type(value), "AnyNode")
        node, about = made[kind](), made["Metadata" if kind == "AnyNode" else "ContainerMetadata"]()
        about.__dict__.update(ref_type=Any, object_type=type(value), optional=True, key=None)
        node.__dict__.update(_metadata=about, _parent=parent, _flags_cache=None)
        if kind == "DictConfig":
            node.__dict__["_content"] = {key: wrapped(one, node) for key, one in value.items()}
        elif kind == "ListConfig":
            node.__dict__["_content"] = [wrapped(one, node) for one in value]
        else:
            node.__dict__["_val"] = value
        return node

    return wrapped


def test_settings_in_omegaconf_are_read_without_it(
    tmp_path: Path, random: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = core(random, "custom_separable") | gaussian(random, 3, "session_1")
    wrapped = omegaconf(monkeypatch)
    settings = {
        "in_shape": (1, 100, 9, 9),
        "n_neurons_dict": {"session_1": 3},
        "core": wrapped(
            {
                "_target_": "openretina.modules.core.base_core.SimpleCoreWrapper",
                "temporal_kernel_sizes": list(TAPS),
                "input_padding": False,
                "hidden_padding": True,
                "cut_first_n_frames": 0,
                "maxpool_every_n_layers": None,
                "downsample_input_kernel_size": None,
            }
        ),
        "readout": wrapped(
            {"gaussian_mean_scale": 6.0, "gaussian_var_scale": 4.0, "positive": True}
        ),
    }
    place = saved(tmp_path / "a.ckpt", state, settings)
    monkeypatch.undo()
    assert "omegaconf" not in sys.modules
    model = load_openretina(place, **ABOUT)
    film = random(1, 1, 20, 9, 9)
    whole = original(state, film, "custom_separable", "session_1", **HOW)
    assert (model.over_time()(film) - whole).abs().max() < 1e-5


def test_bad_checkpoints_are_reported(tmp_path: Path, random: Callable[..., Tensor]) -> None:
    state = core(random, "full") | gaussian(random, 3, "s")

    def refused(state: dict, settings: object, says: str) -> None:
        with pytest.raises(CodeclensError, match=says):
            load_openretina(saved(tmp_path / "a.ckpt", state, settings), **ABOUT)

    refused(state, None, "not a Lightning checkpoint")
    for key in [name for name in state if name.endswith(("norm.running_var", "bias.bias"))]:
        less = {name: value for name, value in state.items() if name != key}
        refused(less, {}, f'has no "{key}"')
    bad = next(name for name in state if name.endswith("norm.weight"))
    refused({**state, bad: torch.full_like(state[bad], float("nan"))}, {}, "NaN or infinity")
    refused({"readout.s.bias": torch.zeros(1)}, {}, "other cores are not supported")
    refused(core(random, "full") | {"readout.s.mu": torch.zeros(1)}, {}, "holds mu; Gaussian")
    waves = core(random, "custom_separable") | gaussian(random, 3, "s")
    refused(waves, example("", temporal_kernel_sizes=None), "does not contain the length")
    pooled = example("full", downsample_input_kernel_size=(2, 1, 1))
    refused(state, pooled, "over 2 frames")
    broken = {key: v for key, v in state.items() if "layer1.conv" not in key}
    refused(broken, example("full"), "Layer 1 of the core .* holds nothing")


@pytest.fixture
def session(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A session as openretina's reader of HDF5 files wants it."""
    with h5py.File(tmp_path / "session_1.h5", "w") as file:
        file["responses_noise"] = rng.gamma(1, 5, (3, 40))
        file["responses_mouse cam"] = rng.poisson(0.2, (3, 25))
        file["stimulus_noise"] = rng.normal(size=(2, 40, 5, 6))
        file["session_info/roi_ids"] = np.arange(3)
    (tmp_path / "stimuli").mkdir()
    np.save(tmp_path / "stimuli" / "mouse cam.npy", rng.normal(size=(1, 25, 5, 6)))
    return tmp_path / "session_1.h5"


def test_data_of_a_session(session: Path) -> None:
    with h5py.File(session) as file:
        rates, film = file["responses_noise"][()], file["stimulus_noise"][()]
        counts = file["responses_mouse cam"][()]
    found = load_openretina_data(
        session, stimulus="noise", responses="Hz", colour=1, stats=(0.5, 2.0), cells=[2], **ABOUT
    )
    assert np.allclose(found.rates[:, 0], rates[2])
    assert np.allclose(found.movie.frames, (film[1] - 0.5) / 2.0, atol=1e-6)
    assert list(found.cells) == ["cell 2"]
    both = load_openretina_data(
        session, stimulus="noise", responses="Hz", stats=((0.0, 1.0), (1.0, 2.0)), **ABOUT
    )
    assert np.allclose(both.movie.of_colour("1").frames, (film[1] - 1.0) / 2.0, atol=1e-6)
    assert np.allclose(both.movie.of_colour("0").frames, film[0], atol=1e-6)
    shared = load_openretina_data(session, stimulus="mouse cam", responses="counts", **ABOUT)
    assert np.allclose(shared.rates, counts.T * 30)
    assert np.allclose(
        shared.movie.frames, np.load(session.parent / "stimuli" / "mouse cam.npy")[0], atol=1e-6
    )


def test_bad_data_are_reported(session: Path) -> None:
    for options, says in (
        ({"responses": "dF"}, 'no unit of responses "dF"'),
        ({}, "responses to mouse cam, noise; choose one"),
        ({"stimulus": "noise", "stats": ((0.0, 1.0, 2.0), 1.0)}, "one of each for 2 colours"),
        ({"stimulus": "noise", "colour": 2}, "colours 0 to 1"),
    ):
        with pytest.raises(CodeclensError, match=says):
            load_openretina_data(session, **{"responses": "Hz"} | ABOUT | options)
    place = session.parent / "stimuli" / "mouse cam.npy"
    np.save(place, np.array([{}], dtype=object))
    with pytest.raises(CodeclensError, match="could run code"):
        load_openretina_data(session, stimulus="mouse cam", responses="Hz", **ABOUT)
    place.unlink()
    with pytest.raises(CodeclensError, match="There is no film"):
        load_openretina_data(session, stimulus="mouse cam", responses="Hz", **ABOUT)
    with pytest.raises(CodeclensError, match="is a pickle"):
        load_openretina_data(session.parent / "movies.pkl", responses="Hz", **ABOUT)
