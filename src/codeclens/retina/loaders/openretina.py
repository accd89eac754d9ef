"""Networks and recordings of openretina, from Lightning checkpoints and HDF5 files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from codeclens.errors import CodeclensError, unknown
from codeclens.retina.core_readout import CoreLayer, CoreReadout
from codeclens.retina.loaders.foreign import StandIn, array, chosen, opened, read_checkpoint
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording

# Classes that hold settings, which are read as plain values.
_STRANGE = (
    *("omegaconf", "openretina", "lightning", "pytorch_lightning", "typing", "collections"),
    *("functools", "torch.nn.functional", "torch._C._nn"),
    *("builtins.int", "builtins.str", "builtins.float", "builtins.bool", "builtins.dict"),
    *("builtins.list", "builtins.tuple", "builtins.set", "builtins.type", "pathlib"),
)
_LAYER = re.compile(r"core\.features\.layer(\d+)\.")
_SUBSAMPLING = 3


def load_openretina(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    session: str | None = None,
    cells: Sequence[str] | None = None,
) -> CoreReadout:
    """Read a core–readout network of openretina (1.x; `.ckpt`), for the cells of one `session`.

    The clock and the scale are not in the file: pass `rate` (frames a second), `pixel` and `unit`.
    Rates have the unit of the training data, which should be Hz; films have its contrast. Cores of
    SimpleCoreWrapper with any of its convolutions and the readouts GaussianMaskReadout and
    FactorizedReadout are supported, recognised by their tensors.

    Raises CodeclensError for a missing file, another kind of network, and several sessions where
    none is named. (Openretina: doi 10.1101/2025.03.07.642012; Höfling et al. 2024,
    eLife 13.)

    >>> load_openretina("nowhere.ckpt", rate=30.0, pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no checkpoint at "nowhere.ckpt".
    """
    content = read_checkpoint(path, strange=_STRANGE)
    state, given = content.get("state_dict"), plain(content.get("hyper_parameters"))
    if not isinstance(state, dict) or not isinstance(given, dict):
        raise CodeclensError(
            f'"{path}" is not a Lightning checkpoint: "state_dict" or "hyper_parameters" is '
            "missing."
        )
    settings = _settings(given)
    numbers = sorted({int(match[1]) for key in state if (match := _LAYER.match(key))})
    if not numbers:
        raise CodeclensError(
            f'"{path}" has no layers "core.features.layer0 …"; other cores are not supported.'
        )
    _require_whole(path, state, numbers)
    layers = [_layer(os.fspath(path), state, number, settings) for number in numbers]
    name = _session(os.fspath(path), state, session)
    readout = {
        key.removeprefix(f"readout.{name}."): value
        for key, value in state.items()
        if key.startswith(f"readout.{name}.")
    }
    features, masks, scale, bias = _readout(os.fspath(path), readout, settings)
    count = features.shape[1]
    model = CoreReadout(
        [f"{name} {number}" for number in range(count)] if cells is None else list(cells),
        layers,
        features,
        masks,
        rate=rate,
        pixel=pixel,
        unit=unit,
        scale=scale,
        bias=bias,
        colours=state.get("core.color_squashing_layer.channel_weights"),
        pooled=_pooled(os.fspath(path), settings.get("downsample_input_kernel_size")),
        cut=int(settings.get("cut_first_n_frames") or 0),
    )
    for place, number in enumerate(numbers):
        norm = model.get_submodule(f"norm{place}")
        prefix = f"core.features.layer{number}."
        for key in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, key).data = state[f"{prefix}norm.{key}"].clone()
        # openretina adds a bias behind the norm.
        norm.bias.data += state[f"{prefix}bias.bias"].flatten()
    return model.eval()


def _require_whole(path: Any, state: dict[str, Any], numbers: Sequence[int]) -> None:
    """Raises CodeclensError for missing weights and weights that are not finite."""
    for number in numbers:
        prefix = f"core.features.layer{number}."
        norm = [f"norm.{key}" for key in ("weight", "bias", "running_mean", "running_var")]
        for key in (*norm, "bias.bias"):
            if f"{prefix}{key}" not in state:
                raise CodeclensError(f'"{path}" has no "{prefix}{key}"; is the file whole?')
    for name, value in state.items():
        if isinstance(value, Tensor) and not value.isfinite().all():
            raise CodeclensError(
                f'"{name}" in "{path}" holds NaN or infinity; the fit probably diverged.'
            )


def plain(value: Any) -> Any:
    """Settings as plain values, without the containers of OmegaConf.

    >>> plain({"a": (1, 2)})
    {'a': (1, 2)}
    """
    if isinstance(value, StandIn):
        # OmegaConf's containers hold nodes in _content, its nodes their value in _val.
        inside = value.__dict__
        for key in ("_content", "_val"):
            if key in inside:
                return plain(inside[key])
        return None
    if isinstance(value, dict):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(one) for one in value)
    return value


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """The settings of core and readout under the same names for both kinds of model."""
    core, readout = given.get("core"), given.get("readout")
    if isinstance(core, dict) and isinstance(readout, dict):
        return core | {f"readout_{key}": value for key, value in readout.items()}
    names = {
        "core_input_padding": "input_padding",
        "core_hidden_padding": "hidden_padding",
        "cut_first_n_frames_in_core": "cut_first_n_frames",
    }
    # The defaults of ExampleCoreReadout.
    usual = {"cut_first_n_frames": 30, "readout_gaussian_mean_scale": 6.0}
    usual |= {"readout_gaussian_var_scale": 4.0, "readout_positive": True}
    return usual | {names.get(key, key): value for key, value in given.items()}


def _layer(path: str, state: dict[str, Tensor], number: int, settings: dict[str, Any]) -> CoreLayer:
    prefix = f"core.features.layer{number}.conv."
    conv = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    speed = conv.get("_log_speed_default", torch.zeros(1)).exp()
    if {"weight_spatial", "sin_weights", "cos_weights"} <= conv.keys():
        taps = _taps(path, settings, number, conv["sin_weights"].shape[2])
        time = temporal(conv["sin_weights"], conv["cos_weights"], speed, taps)
        kernel = torch.einsum("oit,oihw->oithw", time, conv["weight_spatial"][:, :, 0])
    elif {"space_conv.weight", "time_conv.weight"} <= conv.keys():
        space, later = conv["space_conv.weight"][:, :, 0], conv["time_conv.weight"][..., 0, 0]
        kernel = speed * torch.einsum("omt,mihw->oithw", later, space)
    elif "conv.weight" in conv:
        kernel = conv["conv.weight"]
    else:
        raise CodeclensError(
            f'Layer {number} of the core in "{path}" holds {", ".join(conv) or "nothing"}, '
            "which is not a supported convolution of openretina."
        )
    usual = number > 0  # by default hidden layers are padded and the first is not
    padding = settings.get("hidden_padding" if number else "input_padding", usual)
    if padding is True or padding == "same":
        pads: tuple[int, int, int] | str = "same"
    elif not padding or padding == "valid":
        pads = (0, 0, 0)
    elif "space_conv.weight" in conv:
        raise CodeclensError(
            f'"{path}" pads a separable convolution by {padding!r}; only "same" and no padding are '
            "supported."
        )
    else:
        pads = (padding,) * 3 if isinstance(padding, int) else tuple(padding)
    every = settings.get("maxpool_every_n_layers")
    pool = every is not None and number % int(every) == 0
    return CoreLayer(kernel.clone(), pads, pool)


def _taps(path: str, settings: dict[str, Any], number: int, waves: int) -> int:
    """The number of frames of a kernel made of waves, from the settings."""
    given = settings.get("temporal_kernel_sizes")
    if given is None or int(given[number]) // _SUBSAMPLING != waves:
        raise CodeclensError(
            f'"{path}" does not contain the length of the kernels of layer {number} '
            f"(temporal_kernel_sizes: {given!r}, for {waves} waves)."
        )
    return int(given[number])


def temporal(sines: Tensor, cosines: Tensor, speed: Tensor, taps: int) -> Tensor:
    """Temporal kernels `(out, in, taps)` from weights of waves `(out, in, waves)`, masked in time.

    (Höfling et al. 2024, eLife 13; the arithmetic of openretina's STSeparableBatchConv3d.)
    """
    time = torch.arange(taps, dtype=sines.dtype) - taps
    angle = speed * time * 2 * math.pi / taps
    mask = 1 / (1 + torch.exp(-time - int(taps * 0.95) / speed))
    waves = torch.arange(sines.shape[2], dtype=sines.dtype)[:, None]
    return torch.einsum("oik,kt->oit", sines, mask * torch.sin(angle * waves)) + torch.einsum(
        "oik,kt->oit", cosines, mask * torch.cos(angle * waves)
    )


def _session(path: str, state: dict[str, Tensor], session: str | None) -> str:
    known = sorted({key.split(".")[1] for key in state if key.startswith("readout.")})
    if session is None and len(known) == 1:
        return known[0]
    if session is None:
        raise CodeclensError(
            f'"{path}" has the sessions {", ".join(known[:5]) or "(none)"}; choose one, session=….'
        )
    if session not in known:
        raise unknown("session", session, known, f'"{path}" has')
    return str(session)


def _readout(
    path: str, held: dict[str, Tensor], settings: dict[str, Any]
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Features `(C, cells)`, masks `(y, x, cells)`, scale and bias of both kinds of readout."""
    bias = held.get("bias", held.get("bias_param"))
    if {"mask_mean", "mask_log_var", "grid", "features"} <= held.keys():
        features = held["features"][0, :, 0]
        features = features.clamp(min=0) if settings.get("readout_positive", False) else features
        mean = held["mask_mean"] * float(settings.get("readout_gaussian_mean_scale", 1.0))
        spread = held["mask_log_var"] * float(settings.get("readout_gaussian_var_scale", 1.0))
        width = spread.clamp(-20, 20).exp().view(-1, 1, 1) + 1e-8
        away = (held["grid"] - mean[:, None, None]).square().sum(dim=-1) / width
        masks = torch.exp(-0.5 * away.clamp(max=20))
        masks = torch.nan_to_num(masks / masks.sum(dim=(1, 2), keepdim=True))
        return features, masks.permute(1, 2, 0), held.get("scale_param"), bias
    if {"mask_weights", "feature_weights"} <= held.keys():
        features, flat = held["feature_weights"], held["mask_weights"]
        how = settings.get("readout_weights_constraint")
        features = features.abs() if how in ("abs", "absnorm") else features
        if how in ("norm", "absnorm"):
            features = features / (features.square().sum(dim=0, keepdim=True) + 1e-5).sqrt()
        flat = flat.abs() if settings.get("readout_mask_constraint") == "abs" else flat
        shape = settings.get("readout_in_shape")
        side = math.isqrt(len(flat))
        if shape is not None:
            masks = flat.view(int(shape[2]), int(shape[3]), -1)
        elif side * side == len(flat):
            masks = flat.view(side, side, -1)
        else:
            raise CodeclensError(f'"{path}" does not contain the shape of its readout masks.')
        return features, masks, None, bias if settings.get("readout_readout_bias", False) else None
    raise CodeclensError(
        f'The readout in "{path}" holds {", ".join(held) or "nothing"}; Gaussian masks and '
        "factorised readouts are supported."
    )


def _pooled(path: str, given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    time, height, width = (int(side) for side in given)
    if time != 1:
        raise CodeclensError(
            f'The core in "{path}" pools its film over {time} frames, which is not supported.'
        )
    return height, width


def load_openretina_data(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    responses: Literal["Hz", "counts"],
    stimulus: str | None = None,
    cells: Sequence[int] | None = None,
    colour: int | None = None,
    stats: tuple[float | Sequence[float], float | Sequence[float]] = (0.0, 1.0),
) -> Recording:
    """Read one session `NAME.h5` with the film `stimulus`.

    Responses are `responses_STIMULUS` `(cells, time)`, in Hz or in spike counts a frame, as
    `responses` says. The film is `stimulus_STIMULUS` in the same file or `stimuli/STIMULUS.npy` in
    the same folder, `(colours, time, y, x)`, standardised by `stats` (mean and deviation). `rate`
    (frames a second), `pixel` and `unit` are not in the file. `stimulus` chooses among several
    films. A film of several colours is a movie in colour, and means and deviations may be one for
    each; `colour` is the number of one of them. Pickled data of openretina are never loaded.

    Raises CodeclensError where a file is missing or has another format.
    (Openretina: doi 10.1101/2025.03.07.642012.)

    >>> load_openretina_data("nowhere.h5", rate=30.0, pixel=50.0, unit="um", responses="Hz")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.h5".
    """
    if responses not in ("Hz", "counts"):
        raise unknown("unit of responses", responses, ("Hz", "counts"))
    with opened(path) as content:
        known = sorted(n.removeprefix("responses_") for n in content if n.startswith("responses_"))
        name = known[0] if stimulus is None and len(known) == 1 else stimulus
        if name is None:
            raise CodeclensError(
                f'"{path}" has responses to {", ".join(known) or "nothing"}; choose one, '
                "stimulus=…."
            )
        if name not in known:
            raise unknown("stimulus", name, known, f'"{path}" has')
        rates = array(content, f"responses_{name}", path)
        if f"stimulus_{name}" in content:
            film = array(content, f"stimulus_{name}", path)
        else:
            film = _shared(Path(path).parent / "stimuli" / f"{name}.npy", path)
    if film.ndim != 4 or rates.ndim != 2 or rates.shape[1] != film.shape[1]:
        raise CodeclensError(
            f'"{path}" has a film {film.shape} and responses {rates.shape}; they must be (colours, '
            "time, y, x) and (cells, time), over the same frames."
        )
    if colour is not None and not 0 <= colour < len(film):
        raise CodeclensError(f'The film of "{path}" has colours 0 to {len(film) - 1}.')
    mean, std = (np.asarray(one, np.float64).reshape(-1, 1, 1, 1) for one in stats)
    for one in (mean, std):
        if len(one) not in (1, len(film)):
            raise CodeclensError(
                f"stats must be a mean and a deviation, or one of each for {len(film)} colours."
            )
    scaled = ((film - mean) / std).astype(np.float32).swapaxes(0, 1)
    picked, labels = chosen(rates, cells, path)
    if colour is not None or len(film) == 1:
        scaled = scaled[:, 0 if colour is None else colour]
    movie = Movie(torch.from_numpy(scaled.copy()), rate=rate, pixel=pixel, unit=unit)
    values = torch.from_numpy(picked.T.copy())
    if responses == "counts":
        return Recording.from_counts(movie, values, labels)
    return Recording(movie, values, labels)


def _shared(file: Path, path: Any) -> np.ndarray[Any, Any]:
    if not file.is_file():
        raise CodeclensError(f'There is no film in "{path}", and none at "{file}".')
    try:
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float32)
    except (ValueError, OSError, EOFError) as error:
        raise CodeclensError(
            f'"{file}" is not a plain array; a file of objects could run code and is never loaded.'
        ) from error
