"""Networks and recordings of torch-deep-retina."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.errors import CodeclensError
from codeclens.retina.cnn import RetinaCNN, fold
from codeclens.retina.loaders.foreign import array, chosen, opened, read_checkpoint
from codeclens.retina.movies import Movie, Unit
from codeclens.retina.recordings import Recording

# Norms inside stacks have torch's default eps.
_EPS_IN_STACKS = 1e-5


def modules(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by module, in the order of the modules."""
    modules: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        name, _, what = key.rpartition(".")
        modules.setdefault(name, {})[what] = value
    return modules


@dataclass
class Affine:
    """A norm in evaluation mode: mean, variance, weight and bias, by position or by channel."""

    mean: Tensor
    variance: Tensor | None
    weight: Tensor
    bias: Tensor


@dataclass
class Reading:
    """The layers found so far: convolutions or a dense layer, each with the norm behind it."""

    path: str
    absolute: bool | None
    layers: list[nn.Module] = field(default_factory=list)
    norms: list[Affine | None] = field(default_factory=list)
    noise: float = 0.0
    stack: str = ""

    def take(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Add one module, recognised by the names and shapes of its tensors."""
        tensors = {key: v for key, v in tensors.items() if key != "num_batches_tracked"}
        parent = name.rpartition(".")[0]
        inside = parent.endswith("convs")
        weight = tensors.get("weight")
        if set(tensors) == {"sigma"}:
            self.noise = float(tensors["sigma"].flatten()[0])
        elif "running_mean" in tensors or "scale_param" in tensors:
            try:
                affine = self._affine(name, tensors)
            except KeyError as error:
                self._refuse(name, f"a norm without its {error.args[0]}")
            if inside and parent == self.stack:
                stack = self.layers[-1]
                assert isinstance(stack, nn.Sequential)
                stack.append(_as_norm(affine))
            elif self.layers and self.norms[-1] is None:
                self.norms[-1] = affine
            else:
                self._refuse(name, "a norm without a layer before it")
        elif weight is not None and weight.ndim == 4:
            layer = _convolution(weight, tensors.get("bias"))
            if inside and parent == self.stack:
                stack = self.layers[-1]
                assert isinstance(stack, nn.Sequential)
                stack.append(layer)
            else:
                self.layers.append(nn.Sequential(layer))
                self.norms.append(None)
                self.stack = parent if inside else ""
        elif weight is not None and weight.ndim == 2:
            dense: nn.Linear = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
            dense.weight.data = weight
            bias = tensors.get("bias")
            dense.bias.data = weight.new_zeros(len(weight)) if bias is None else bias
            self.layers.append(dense)
            self.norms.append(None)
        elif tensors:
            self._refuse(name, f"tensors {', '.join(sorted(tensors))}")

    def _affine(self, name: str, tensors: dict[str, Tensor]) -> Affine:
        if "scale_param" in tensors:
            scale, shift = (tensors[key].flatten() for key in ("scale_param", "shift_param"))
            return Affine(torch.zeros_like(scale), None, self._sign(name, scale), shift)
        mean, variance = tensors["running_mean"], tensors["running_var"]
        if "scale" in tensors:
            # The package's own norms, some of which take the absolute value.
            scale, shift = self._sign(name, tensors["scale"]), tensors["shift"]
        else:
            scale = tensors.get("weight", torch.ones_like(mean))
            shift = tensors.get("bias", torch.zeros_like(mean))
        return Affine(mean, variance, scale, shift)

    def _sign(self, name: str, scale: Tensor) -> Tensor:
        if self.absolute is None and bool((scale < 0).any()):
            raise CodeclensError(
                f'Scales of "{name}" in "{self.path}" are negative, and the file does not say '
                "whether the norm takes their absolute value; pass absolute=True or False."
            )
        return scale.abs() if self.absolute else scale

    def _refuse(self, name: str, what: str) -> NoReturn:
        raise CodeclensError(
            f'"{name}" in "{self.path}" holds {what}, which is not a supported layer '
            "(convolutions, stacks of them, norms, noise and a dense layer)."
        )


def _convolution(weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    outputs, inputs, height, width = weight.shape
    layer: nn.Conv2d = nn.utils.skip_init(nn.Conv2d, inputs, outputs, (height, width))
    layer.weight.data = weight
    assert layer.bias is not None
    layer.bias.data = weight.new_zeros(outputs) if bias is None else bias
    return layer


def _as_norm(affine: Affine) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(affine.mean), eps=_EPS_IN_STACKS)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    variance = affine.variance
    norm.running_mean.data = affine.mean
    unit = torch.full_like(affine.mean, 1 - _EPS_IN_STACKS)
    norm.running_var.data = unit if variance is None else variance
    norm.weight.data, norm.bias.data = affine.weight, affine.bias
    return norm.eval()


_ACTIVATIONS = {"ReLU": "relu", "Softplus": "softplus"}


class DeepRetina(NamedTuple):
    """A network, the mean and deviation of its training film, and the rest of the file.

    The input of the model is `(film − mean) / std`; both are NaN where the file has none.
    """

    model: RetinaCNN
    mean: float
    std: float
    facts: dict[str, Any]


def load_deep_retina(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    cells: Sequence[str] | None = None,
    absolute: bool | None = None,
    eps: Sequence[float] = (1e-3, 1e-3, 1e-3),
) -> DeepRetina:
    """Read a network of baccuslab/torch-deep-retina (BNCNN, LinearStackedBNCNN, VaryModel …).

    The clock and the scale are not in the file: pass `rate` in Hz (the package's 10-ms bins are 100
    Hz), `pixel` and `unit`. Supported are two convolutions, single or stacked (stacks are folded
    exactly), norms by position or by channel, a dense or convolutional layer of cells, and a
    softplus. `absolute` says whether norms take the absolute value of their scale, as AbsBatchNorm
    does; it is required only where scales are negative and the class of the model does not say.
    `eps` are the constants of the norms, which are not in the file. The package pairs each window
    with the bin *after* it, so the model has `ahead=-1`. Cells have the numbers in the file unless
    names are given.

    Raises CodeclensError for a missing file, objects that could run code, another architecture,
    layers that do not match, weights that are not finite, and a wrong number of names.
    (Maheswaranathan et al. 2023, Neuron 111.)

    >>> load_deep_retina("nowhere.pt", rate=100.0, pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no checkpoint at "nowhere.pt".
    """
    content = read_checkpoint(path, strange=("torchdeepretina", "builtins.set"))
    state = content.get("model_state_dict")
    if not isinstance(state, dict) or not state:
        raise CodeclensError(
            f'"{path}" has no "model_state_dict" (it has {", ".join(map(str, content))}); its '
            "weights were deleted, or it is not a checkpoint of torch-deep-retina."
        )
    _require_finite(path, state)
    facts = {key: value for key, value in content.items() if "state_dict" not in str(key)}
    hyps = _hyperparameters(facts)
    kind = str(facts.get("model_type", hyps.get("model_type", "")))
    _require_readable(path, hyps)
    found = Reading(os.fspath(path), _absolute(kind, absolute))
    for name, tensors in modules(state).items():
        found.take(name, tensors)
    if len(eps) != 3:
        raise CodeclensError(f"eps (={eps!r}) must be three numbers, one for each norm.")
    try:
        about: dict[str, Any] = {"rate": rate, "pixel": pixel, "unit": unit}
        model = _built(found, hyps, about, cells, facts, eps)
        seen = _of_zeros(model)
    except CodeclensError:
        raise
    except (RuntimeError, ValueError, TypeError, LookupError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise CodeclensError(
            f'The layers in "{path}" do not fit together ({reason}); is the file whole?'
        ) from error
    if not seen.isfinite().all():
        raise CodeclensError(
            f'The output of the network in "{path}" is not finite for a dark film; are the '
            "variances of its norms positive?"
        )
    stats = facts.get("norm_stats", hyps.get("norm_stats"))
    mean, std = _stats(stats)
    return DeepRetina(model, mean, std, facts)


def _hyperparameters(facts: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters, from the places that versions of the package use."""
    merged = {key: value for key, value in facts.items() if isinstance(key, str)}
    for place in ("model_hyps", "hyps"):
        if isinstance(facts.get(place), dict):
            merged |= facts[place]
    return merged


def _require_finite(path: Any, state: dict[str, Any]) -> None:
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise CodeclensError(
                f'"{name}" in "{path}" is a {type(value).__name__}, not a tensor of weights.'
            )
        if not value.isfinite().all():
            raise CodeclensError(
                f'"{name}" in "{path}" holds NaN or infinity; the fit probably diverged.'
            )


@torch.no_grad()
def _of_zeros(model: RetinaCNN) -> Tensor:
    """The output for one dark window, which fails where sizes do not match."""
    like = next(model.parameters())
    height, width = model.config()["size"]
    rates: Tensor = model(like.new_zeros(1, model.history, height, width))
    return rates


def _require_readable(path: Any, hyps: dict[str, Any]) -> None:
    for name, usual in (("inference_exp", False), ("recurrent", False), ("kinetic", False)):
        if hyps.get(name, usual):
            raise CodeclensError(
                f'The network in "{path}" has {name}=True, which is not supported.'
            )
    if not hyps.get("softplus", True):
        raise CodeclensError(
            f'The network in "{path}" ends in an exponential; only a softplus is supported.'
        )
    if any(hyps.get("paddings") or ()):
        raise CodeclensError(f'The network in "{path}" pads its films, which is not supported.')


def _absolute(kind: str, given: bool | None) -> bool | None:
    if given is not None:
        return given
    if kind.startswith("Abs") or kind in ("LinearStackedBNCNN", "VaryModel", "RetinotopicModel"):
        return True
    return False if kind in ("BNCNN", "BN_CNN", "BNCNN2D", "CNN") else None


def _built(
    found: Reading,
    hyps: dict[str, Any],
    about: dict[str, Any],
    cells: Sequence[str] | None,
    facts: dict[str, Any],
    eps: Sequence[float],
) -> RetinaCNN:
    kinds = ["dense" if isinstance(layer, nn.Linear) else "conv" for layer in found.layers]
    if kinds not in (["conv", "conv", "dense"], ["conv", "conv", "conv"]):
        raise CodeclensError(
            f'The layers with weights in "{found.path}" are {", ".join(kinds) or "none"}; two '
            "convolutions and a layer of cells are supported."
        )
    first, second = fold(found.layers[0]), fold(found.layers[1])
    last = found.layers[2] if kinds[2] == "dense" else fold(found.layers[2])
    assert isinstance(last, nn.Linear | nn.Conv2d)
    assert last.bias is not None
    count = len(last.weight)
    if len(last.bias) != count:
        raise ValueError(f"a layer of {count} cells has {len(last.bias)} biases")
    kernels = [int(layer.weight.shape[-1]) for layer in (first, second)]
    options: dict[str, Any] = {}
    if isinstance(last, nn.Conv2d):
        kernels.append(int(last.weight.shape[-1]))
    size = _size(found.path, hyps, kernels, second, last)
    left = [side - sum(kernel - 1 for kernel in kernels) for side in size]
    if isinstance(last, nn.Conv2d):
        margins = [(side - rest) // 2 for side, rest in zip(size, left, strict=True)]
        places = _grabbed(found.path, hyps, kernels, size)
        if len(places) != count:
            raise ValueError(f"{len(places)} centers of {count} cells")
        options["positions"] = [(row + margins[0], column + margins[1]) for row, column in places]
    activation = str(hyps.get("activ_fxn", "ReLU"))
    if activation not in _ACTIVATIONS:
        raise CodeclensError(f'The activation {activation} in "{found.path}" is not supported.')
    maps = [(s - kernels[0] + 1) * (t - kernels[0] + 1) for s, t in [size]]
    maps.append((size[0] - sum(kernels[:2]) + 2) * (size[1] - sum(kernels[:2]) + 2))
    by_place = any(
        norm is not None and len(norm.mean) != layer.out_channels
        for norm, layer in zip(found.norms[:2], (first, second), strict=True)
    )
    model = RetinaCNN(
        _names(cells, facts, count),
        **about,
        history=int(first.weight.shape[1]),
        size=size,
        channels=(first.out_channels, second.out_channels),
        kernels=kernels,
        nonlinearity=_ACTIVATIONS[activation],  # type: ignore[arg-type]
        ganglion="dense" if isinstance(last, nn.Linear) else "convolutional",
        norm="position" if by_place else "channel",
        noise=found.noise,
        eps=list(eps),
        ahead=-1,
        **options,
    )
    for layer, mine in ((first, model.conv1), (second, model.conv2), (last, model.ganglion)):
        _put(mine, "weight", layer.weight.data)
        if mine.bias is not None:
            _put(mine, "bias", layer.bias.data)  # type: ignore[union-attr]
    norms = [model.norm1, model.norm2]
    norms.append(model.potential if isinstance(last, nn.Linear) else model.potential[0])  # type: ignore[index]
    for place, (norm, read) in enumerate(zip(norms, found.norms, strict=True)):
        _fill(norm, read, maps[place] if place < 2 and by_place else 1)
    if isinstance(last, nn.Linear):
        # The dense layer here has no bias: a norm behind it takes it off the mean.
        model.potential.get_buffer("running_mean").sub_(last.bias.data)
    return model.eval()


def _fill(norm: Any, read: Affine | None, places: int) -> None:
    """Give a norm what was read, spread over places where only channels were normed."""
    count = len(norm.running_mean)
    if read is None:
        read = Affine(torch.zeros(count), None, torch.ones(count), torch.zeros(count))
    variance = read.variance
    if variance is None:
        variance = torch.full_like(read.mean, 1 - norm.eps)

    def spread(values: Tensor) -> Tensor:
        return values if len(values) == count else values.repeat_interleave(places)

    for name, values in (
        *(("running_mean", read.mean), ("running_var", variance)),
        *(("weight", read.weight), ("bias", read.bias)),
    ):
        _put(norm, name, spread(values).clone())


def _put(module: Any, name: str, values: Tensor) -> None:
    """Give a module one of its tensors; raises ValueError for one of another shape."""
    shape = tuple(getattr(module, name).shape)
    if tuple(values.shape) != shape:
        raise ValueError(
            f"{name} of a {type(module).__name__} has shape {tuple(values.shape)} where {shape} "
            "fits"
        )
    getattr(module, name).data = values


def _size(
    path: str, hyps: dict[str, Any], kernels: list[int], second: nn.Conv2d, last: Any
) -> tuple[int, int]:
    if hyps.get("img_shape") is not None:
        _, height, width = (int(side) for side in hyps["img_shape"])
        return height, width
    if isinstance(last, nn.Linear):
        side = math.isqrt(last.in_features // second.out_channels)
        if side * side * second.out_channels == last.in_features:
            return (side + sum(kernels) - 2,) * 2
    raise CodeclensError(f'"{path}" does not tell the size of its films (img_shape).')


def _grabbed(
    path: str, hyps: dict[str, Any], kernels: list[int], size: tuple[int, int]
) -> list[tuple[int, int]]:
    """The position of each cell on the last map, with the arithmetic of GrabUnits."""
    centers = hyps.get("centers")
    if centers is None:
        raise CodeclensError(f'"{path}" has convolutional cells but not their centers.')
    half = (kernels[0] - 1) + (kernels[1] - 1) + (kernels[2] // 2 - 1) + 1
    places = []
    for center in np.asarray(centers).tolist():
        row, column = (
            int(min(max(0, at - half), side - 2 * (half - 1)))
            for at, side in zip(center, size, strict=True)
        )
        places.append((row, column))
    return places


def _names(cells: Sequence[str] | None, facts: dict[str, Any], count: int) -> list[str]:
    if cells is not None:
        if isinstance(cells, str) or len(cells) != count or len(set(cells)) != count:
            raise CodeclensError(
                f"cells (={cells!r}) must be {count} unique names, one for each cell."
            )
        return list(cells)
    numbers = facts.get("cells")
    if isinstance(numbers, list | tuple) and len(numbers) == count:
        return [f"cell {number}" for number in numbers]
    return [f"cell {number}" for number in range(count)]


def _stats(stats: Any) -> tuple[float, float]:
    if isinstance(stats, dict) and {"mean", "std"} <= stats.keys():
        return float(stats["mean"]), float(stats["std"])
    if isinstance(stats, list | tuple) and len(stats) == 2:
        return float(stats[0]), float(stats[1])
    return math.nan, math.nan


Part = Literal["train", "test"]


def load_deep_retina_data(
    path: str | os.PathLike[str],
    *,
    rate: float,
    pixel: float,
    unit: Unit,
    part: Part = "train",
    response: str = "firing_rate_10ms",
    cells: Sequence[int] | None = None,
    stats: tuple[float, float] | None = None,
) -> Recording:
    """Read film and responses of `naturalscene.h5`, `whitenoise.h5` and similar files.

    The film is `part/stimulus` `(time, y, x)`, standardised by its own mean and deviation or by
    `stats` (those of the training film, for a test film). Responses are `part/response/response`
    `(cells, time)`: `"firing_rate_10ms"` in Hz, or `"binned"`, spike counts that are converted to
    Hz; or `"repeats"`, the repeats `part/repeats/cell…` `(repeats, time)` in Hz. `rate` (frames a
    second), `pixel` and `unit` are not in the file; `rate` must agree with its `part/time`. `cells`
    are numbers in the file, which the names contain.

    Raises CodeclensError where the file has another format or its times another rate.
    (Maheswaranathan et al. 2023, Neuron 111; data: doi 10.25740/rk663dm5577.)

    >>> load_deep_retina_data("nowhere.h5", rate=100.0, pixel=50.0, unit="um")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: There is no file "nowhere.h5".
    """
    with opened(path) as content:
        film = array(content, f"{part}/stimulus", path)
        if response == "repeats":
            group = content.get(f"{part}/repeats", {})
            names = sorted((n for n in group if n.startswith("cell")), key=_number)
            if not names:
                raise CodeclensError(f'"{path}" has no repeats "{part}/repeats/cell…".')
            trials = [array(content, f"{part}/repeats/{name}", path) for name in names]
            least = min(len(one) for one in trials)
            rates = np.stack([one[:least] for one in trials])
        else:
            rates = array(content, f"{part}/response/{response}", path)
        times = array(content, f"{part}/time", path) if f"{part}/time" in content else None
        exact = None if times is None else content[f"{part}/time"][()].astype("float64").ravel()
    if film.ndim != 3 or rates.ndim not in (2, 3) or rates.shape[-1] != len(film):
        raise CodeclensError(
            f'"{path}" has a film {film.shape} and responses {rates.shape}; they must be (time, y, '
            "x) and (cells, time), over the same frames."
        )
    if exact is not None and len(exact) > 1:
        told = (len(exact) - 1) / (exact[-1] - exact[0])
        if abs(told - rate) > 0.01 * rate:
            raise CodeclensError(
                f'The times in "{path}" make {told:.6g} frames a second; rate={rate:g} was given.'
            )
    picked, labels = chosen(rates, cells, path)
    mean, std = (float(film.mean()), float(film.std()) + 1e-7) if stats is None else stats
    movie = Movie(torch.from_numpy((film - mean) / std), rate=rate, pixel=pixel, unit=unit)
    values = torch.from_numpy(np.moveaxis(picked, 0, -1).copy())
    if response == "binned":
        return Recording.from_counts(movie, values, labels)
    return Recording(movie, values, labels)


def _number(name: str) -> int:
    digits = "".join(letter for letter in name if letter.isdigit())
    return int(digits) if digits else 0
