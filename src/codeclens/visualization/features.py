"""Feature visualisation: the picture that drives a mode or a unit most, by optimisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from codeclens.attribution import (
    Predicted,
    Selector,
    Site,
    Target,
    find_sites,
    frozen,
    split_signs,
    tapped,
)
from codeclens.attribution.capture import run, same_randomness
from codeclens.attribution.targets import Bound, bind
from codeclens.errors import CodeclensError

if TYPE_CHECKING:
    from codeclens.decomposition import Mode


# The square root of the covariance of colours in ImageNet photographs (Olah et al. 2017), scaled
# so that its longest column has length one: in these axes colours vary independently.
_COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
_SPREAD = 0.01


@dataclass
class FourierPicture:
    """One picture `(C, H, W)` in [0, 1], as amplitudes of its frequencies.

    Amplitudes are scaled by the inverse of their frequency, as in photographs, so that one step of
    an optimiser changes coarse and fine shapes alike. Three channels are colours in decorrelated
    axes.
    (Olah, Mordvintsev and Schubert, Feature Visualization, Distill 2017.)

    >>> picture = FourierPicture.drawn((3, 16, 12), torch.Generator().manual_seed(0))
    >>> picture().shape, bool((picture() > 0).all() and (picture() < 1).all())
    (torch.Size([1, 3, 16, 12]), True)
    """

    amplitudes: Tensor
    weights: Tensor
    shape: tuple[int, int, int]

    @classmethod
    def drawn(
        cls,
        shape: Sequence[int],
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> FourierPicture:
        """A nearly grey picture, drawn from `generator`, whose amplitudes need gradients."""
        channels, rows, columns = shape
        # Drawn on the CPU in float64, so that all devices and types start with the same picture.
        size = (channels, rows, columns // 2 + 1, 2)
        drawn = _SPREAD * torch.randn(size, generator=generator, dtype=torch.float64)
        high = torch.fft.fftfreq(rows, dtype=torch.float64)[:, None]
        wide = torch.fft.rfftfreq(columns, dtype=torch.float64)[None]
        frequency = torch.sqrt(high**2 + wide**2).clamp(min=1 / max(rows, columns))
        weights = math.sqrt(rows * columns) / frequency
        amplitudes = drawn.to(device, dtype).requires_grad_()
        return cls(amplitudes, weights.to(device, dtype), (channels, rows, columns))

    def __call__(self) -> Float[Tensor, "1 channel row column"]:
        """The current picture, with a gradient to the amplitudes."""
        spectrum = torch.view_as_complex(self.amplitudes) * self.weights
        # A quarter keeps the picture of the first steps in the slope of the sigmoid.
        values = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="backward") / 4
        if self.shape[0] == 3:
            colours = torch.tensor(_COLOURS, dtype=values.dtype, device=values.device)
            values = torch.einsum("dc,chw->dhw", colours / colours.norm(dim=0).max(), values)
        picture: Tensor = values.sigmoid()[None]
        return picture


@dataclass(frozen=True)
class Jitter:
    """Small random shifts, rotations and changes of scale, for a robust picture.

    `shift` is the largest shift as a share of the side, `angle` the largest rotation in degrees,
    `scale` the largest relative change of scale. The border reflects.

    >>> pictures = torch.rand(1, 3, 8, 8)
    >>> Jitter()(pictures, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3, 8, 8])
    >>> still = Jitter(shift=0, angle=0, scale=0)(pictures, torch.Generator())
    >>> bool(torch.allclose(still, pictures, atol=1e-5))
    True
    """

    shift: float = 0.06
    angle: float = 10.0
    scale: float = 0.1

    def __call__(
        self, pictures: Float[Tensor, "batch channel row column"], generator: torch.Generator
    ) -> Float[Tensor, "batch channel row column"]:
        """Move each picture at random."""
        rows, columns = pictures.shape[2:]
        draw = 2 * torch.rand(4, len(pictures), generator=generator, dtype=torch.float64) - 1
        turn, size = draw[0] * math.radians(self.angle), 1 + draw[1] * self.scale
        cosine, sine = turn.cos() * size, turn.sin() * size
        # affine_grid measures in half sides, so rotating a rectangle needs the ratio of its sides.
        across, down = (2 * self.shift * part for part in draw[2:])
        first = torch.stack([cosine, -sine * rows / columns, across], 1)
        second = torch.stack([sine * columns / rows, cosine, down], 1)
        moves = torch.stack([first, second], 1).to(pictures)
        grid = F.affine_grid(moves, list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


Objective = Literal["loading", "contribution", "activation"]
OBJECTIVES: tuple[Objective, ...] = ("loading", "contribution", "activation")

_Parts = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FeatureVisualization:
    """A picture that was optimised to drive a mode, or a unit, of a site.

    `picture` `(C, H, W)` lies in [0, 1], `x` `(1, C, H, W)` is the same as the network's input.
    `objective` was maximised; `before` and `after` are its values for the first and for the final
    picture, `history` `(steps,)` those for the moved pictures of all steps.
    """

    picture: Float[Tensor, "channel row column"]
    x: Float[Tensor, "1 channel row column"]
    site: str
    feature: str
    objective: Objective
    before: float
    after: float
    history: Float[np.ndarray, " step"]

    def __repr__(self) -> str:
        return (
            f"FeatureVisualization({tuple(self.picture.shape)} of {self.feature} of "
            f"{self.site!r}: {self.objective} {self.before:.3g} → {self.after:.3g})"
        )


def feature_visualization(
    model: nn.Module,
    mode: Mode | None = None,
    *,
    shape: Sequence[int],
    site: str | Site | None = None,
    unit: int | None = None,
    objective: Objective | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    target: Target | Bound | None = None,
    output: Selector = None,
    steps: int = 256,
    learning_rate: float = 0.05,
    jitter: Jitter | None = None,
    seed: int = 0,
) -> FeatureVisualization:
    """Optimise a picture `(C, H, W)` until it drives a `mode`, or a `unit` of a site, most.

    The input is (picture − `mean`) / `std`, with one number a channel or one for all; the network
    sees it moved by `jitter` at every step. With the contributions `C = (a − a0) ⊙ ∂T/∂a` of the
    site's places, a0 at a zero input, signs apart and summed over places, the objectives are

    - `"loading"` (default for modes): `⟨C⁺, m⁺⟩ + ⟨C⁻, m⁻⟩` over the length of m, the projection
      on the mode's excitation and suppression, a differentiable substitute for its loading;
    - `"contribution"`: the change of the target through the mode's units, each counted by its
      strength relative to the strongest;
    - `"activation"` (default for units): the mean activation along the mode's net weights.

    A unit is a mode with one entry. `target` (default: the class that is predicted at each step)
    and `output` are those of `contributions`. The same seed gives the same picture; the model is
    not changed. (Parametrisation: Olah et al., Feature Visualization, Distill 2017.)

    Raises CodeclensError for unknown sites, units and objectives, a mode of another site, a shape
    that the model does not take, and an objective that does not depend on the input.

    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(392, 5)]
    >>> model = nn.Sequential(*layers)
    >>> found = feature_visualization(model, site="1", unit=2, shape=(3, 9, 9), steps=20)
    >>> found.picture.shape, found.after > found.before
    (torch.Size([3, 9, 9]), True)
    """
    place, feature = _feature(model, mode, site, unit)
    chosen = ("activation" if mode is None else "loading") if objective is None else objective
    channels, rows, columns = _checked(chosen, shape, steps, learning_rate)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    centre, spread = (_per_channel(v, channels, n, like) for v, n in ((mean, "mean"), (std, "std")))
    if bool((spread == 0).any()):
        raise CodeclensError(f"std (={std}) must not be 0 in any channel.")
    moved = Jitter() if jitter is None else jitter
    generator = torch.Generator().manual_seed(seed)
    where: dict[str, Any] = {"dtype": like.dtype, "device": like.device}
    drawn = FourierPicture.drawn((channels, rows, columns), generator, **where)
    explained = Predicted() if target is None else target

    def score(picture: Tensor) -> Tensor:
        x = (picture - centre) / spread
        activation, selected = _run(model, x, place, output)
        parts = _parts(mode, unit, place.units(activation), place)
        if chosen == "activation":
            return _along(parts, place.units(activation))
        value = bind(explained, selected, None)(selected)
        gradient = _gradient(value, activation, place)
        contribution = place.units((activation - start) * gradient)
        return _CONTRIBUTING[chosen](parts, contribution)

    with (
        torch.inference_mode(False), torch.enable_grad(), frozen(model),
        sdpa_kernel(SDPBackend.MATH),  # fused attention has no second derivative
    ):  # fmt: skip
        with torch.no_grad():
            start, _ = _run(model, torch.zeros_like(drawn()), place, output)
        before = float(score(drawn()).detach())
        optimizer = torch.optim.Adam([drawn.amplitudes], lr=learning_rate)
        history = np.zeros(steps)
        for step in range(steps):
            value = score(moved(drawn(), generator))
            _step(optimizer, value, drawn.amplitudes, place)
            history[step] = float(value.detach())
        picture = drawn().detach()
        after = float(score(picture.clone().requires_grad_()).detach())
    return FeatureVisualization(
        picture[0], (picture - centre) / spread, place.key, feature, chosen, before, after, history
    )


def _feature(
    model: nn.Module, mode: Mode | None, site: str | Site | None, unit: int | None
) -> tuple[Site, str]:
    """The site, and the name of the feature."""
    if (mode is None) == (unit is None):
        given = "neither" if mode is None else "both"
        raise CodeclensError(f"Choose the feature by exactly one of mode and unit; got {given}.")
    named = site if site is not None else None if mode is None else mode.site
    if named is None:
        raise CodeclensError('No site was given; pass the name of a module as site="…".')
    found = find_sites(model, named)
    if len(found) != 1:
        keys = ", ".join(f'"{one.key}"' for one in found[:4])
        raise CodeclensError(f'"{named}" means {len(found)} sites ({keys} …); name one of them.')
    if mode is None:
        return found[0], f"unit {unit}"
    if mode.site != found[0].key:
        raise CodeclensError(
            f'The mode was found at site "{mode.site}", not at "{found[0].key}"; omit site.'
        )
    return found[0], f"mode {mode.index}"


def _checked(
    objective: str, shape: Sequence[int], steps: int, learning_rate: float
) -> tuple[int, int, int]:
    if objective not in OBJECTIVES:
        known = ", ".join(f'"{one}"' for one in OBJECTIVES)
        raise CodeclensError(f'There is no objective "{objective}"; choose one of {known}.')
    sizes = tuple(int(size) for size in shape)
    if len(sizes) != 3 or min(sizes) < 1:
        raise CodeclensError(
            f"shape (={sizes}) must be (channels, rows, columns), such as (3, 224, 224)."
        )
    if steps < 1:
        raise CodeclensError(f"steps (={steps}) must be at least 1.")
    if not 0 < learning_rate < math.inf:
        raise CodeclensError(f"learning_rate (={learning_rate}) must be above 0.")
    return sizes


def _per_channel(
    value: float | Sequence[float], channels: int, name: str, like: Tensor
) -> Float[Tensor, "channel 1 1"]:
    numbers = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)]
    if len(numbers) not in (1, channels):
        raise CodeclensError(
            f"{name} has {len(numbers)} entries for {channels} channels; pass one for each, or one "
            "for all."
        )
    return torch.tensor(numbers).to(like).expand(channels)[:, None, None]


def _run(model: nn.Module, x: Tensor, site: Site, output: Selector) -> tuple[Tensor, Tensor]:
    """The site's activation and the selected output."""
    met: list[Tensor] = []

    def note(_site: Site, activation: Tensor) -> Tensor:
        met.append(activation)
        # The model goes on with a copy: it may change its own in place.
        copy: Tensor = activation.clone()
        return copy

    try:
        with tapped(model, [site], note), same_randomness(model):
            selected = run(model, x, output)
    except RuntimeError as error:  # what torch raises for shapes that differ
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CodeclensError(
            f"The model does not run on a picture of shape {tuple(x.shape[1:])}: {reason}"
        ) from error
    if len(met) != 1:
        advice = f'say which call is meant, such as "{site.key}#0"' if met else "choose another"
        raise CodeclensError(
            f'Site "{site.key}" is reached {len(met)} times when the model runs; {advice}.'
        )
    return met[0], selected


def _parts(mode: Mode | None, unit: int | None, units: Tensor, site: Site) -> _Parts:
    """Excitation and suppression `(U,)` of a mode, of length one together; of a unit, one entry."""
    count = units.shape[1]
    if mode is None:
        assert unit is not None
        if not 0 <= unit < count:
            raise CodeclensError(
                f'There is no unit {unit} at "{site.key}": it has {count} (0 to {count - 1}).'
            )
        positive = torch.zeros(count, dtype=units.dtype, device=units.device)
        positive[unit] = 1
        # Suppression through the unit takes away from what it contributes.
        return positive, positive
    if len(mode.weights) != count:
        raise CodeclensError(
            f'The mode has {len(mode.weights)} units, but site "{site.key}" gives {count}; take '
            "the network that the mode was found in."
        )
    positive, negative = (
        torch.from_numpy(np.asarray(part)).to(units) for part in (mode.positive, mode.negative)
    )
    length = torch.cat([positive, negative]).norm().clamp(min=torch.finfo(units.dtype).tiny)
    return positive / length, negative / length


def _along(parts: _Parts, activation: Float[Tensor, "1 unit place"]) -> Tensor:
    """The mean activation along the net weights."""
    weights = parts[0] if parts[0] is parts[1] else parts[0] + parts[1]
    mean: Tensor = (weights * activation.mean(dim=2)[0]).sum() / weights.norm()
    return mean


def _projected(parts: _Parts, contribution: Float[Tensor, "1 unit place"]) -> Tensor:
    """Contributions projected on the mode, signs apart."""
    positive, negative = split_signs(contribution)
    return (parts[0] * positive[0] + parts[1] * negative[0]).sum()


def _through(parts: _Parts, contribution: Float[Tensor, "1 unit place"]) -> Tensor:
    """What the units add to the target, each counted by its strength."""
    strength = torch.maximum(parts[0], parts[1].abs())
    return (strength / strength.max() * contribution.sum(dim=2)[0]).sum()


_CONTRIBUTING: dict[str, Callable[[_Parts, Tensor], Tensor]] = {
    "loading": _projected,
    "contribution": _through,
}


def _gradient(value: Tensor, activation: Tensor, site: Site) -> Tensor:
    """∂T/∂a, itself with a gradient."""
    found = None
    if value.requires_grad and activation.requires_grad:
        (found,) = torch.autograd.grad(
            value.sum(), activation, create_graph=True, allow_unused=True
        )
    if found is None:
        raise CodeclensError(
            f'The target does not depend on the input through site "{site.key}", so no picture '
            'changes what it contributes; choose another site, or objective="activation".'
        )
    return found


def _step(optimizer: torch.optim.Optimizer, value: Tensor, amplitudes: Tensor, site: Site) -> None:
    """One step uphill."""
    found = None
    if value.requires_grad:
        (found,) = torch.autograd.grad(-value, amplitudes, allow_unused=True)
    if found is None:
        raise CodeclensError(
            f'Site "{site.key}" does not depend on the input, so no picture drives it; choose '
            "another module."
        )
    if not bool(torch.isfinite(found).all()):
        raise CodeclensError(
            f'The objective at "{site.key}" has a gradient that is NaN or infinite; take a smaller '
            "learning_rate."
        )
    amplitudes.grad = found
    optimizer.step()
