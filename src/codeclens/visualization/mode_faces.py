"""Faces of modes: small pictures, optimised by their phases, that drive one mode and few others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from codeclens.attribution import Site, find_sites, frozen, tapped
from codeclens.attribution.capture import same_randomness
from codeclens.errors import CodeclensError, require_number
from codeclens.visualization.features import _COLOURS

if TYPE_CHECKING:
    from codeclens.decomposition import Modes
    from codeclens.extraction import ContributionStore

# Amplitudes of the three decorrelated colours over frequency f, in cycles a picture: factor and
# power, fitted to the mean spectrum of 150 photographs of 128 × 128 pixels.
_SPECTRA = ((15.4, -1.36), (68.6, -2.09), (36.8, -1.83))
# The mean and the standard deviation of a picture's values.
_LEVEL, _CONTRAST = 0.48, 0.25
# What the network sees at a step: a part of the picture this large at least, turned by so many
# degrees, with noise of this strength.
_SMALLEST, _TURN, _NOISE = 0.6, 10.0, 0.06
# Steps shrink to this share of the first one.
_LAST_RATE = 0.2
# Pictures that are optimised together.
_BATCH = 8
# Colours are optimised strong and shown weaker, since most of them are noise.
_COLOUR = 0.55
# Where the network looks less than this share of the most, the picture fades to grey.
_FADE = 0.35


class _ReachedError(Exception):
    """The site was reached, and the rest of the network is not needed."""


def mode_faces(
    model: nn.Module,
    modes: Modes,
    store: ContributionStore,
    *,
    which: Sequence[int] | None = None,
    size: int = 64,
    canvas: int = 128,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    steps: int = 192,
    learning_rate: float = 0.3,
    focus: float = 0.1,
    starts: int = 1,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> UInt8[np.ndarray, "mode size size 3"]:
    """Optimise a small colour picture for each mode (of `which`): `(M, size, size, 3)`.

    A picture has the amplitudes that photographs have at each frequency, and only its phases are
    optimised, on a `canvas` of so many pixels: this keeps it natural. At each step the network sees
    another part of it, turned, with noise. What is maximised is how well the mean activation of the
    site, about its mean in the `store`, agrees with the mode's `direction`: their projection times
    their cosine, after dividing by the covariance of the activations in the store (with `focus`
    times the mean variance added to each), so that what all modes share counts little. Of `starts`
    draws the best is kept. Parts that the network hardly looks at fade to grey.

    The input is (picture − `mean`) / `std`. The same seed gives the same pictures, whatever `which`
    is; the model is not changed. (Fel et al., Unlocking Feature Visualization for Deeper Networks
    with MAgnitude Constrained Optimization, NeurIPS 2023, without its Fourier spectrum of ImageNet;
    Olah et al., Feature Visualization, Distill 2017.)

    Raises CodeclensError for modes without directions, a store without the site, and a model that
    does not take colour pictures of this size.

    >>> import tempfile
    >>> from codeclens.decomposition import NMF, decompose
    >>> from codeclens.extraction import extract
    >>> _ = torch.manual_seed(0)
    >>> layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    >>> model = nn.Sequential(*layers, nn.Linear(6, 4))
    >>> folder = tempfile.mkdtemp() + "/store.zarr"
    >>> store = extract(model, torch.rand(30, 3, 16, 16), sites="1", to=folder)
    >>> modes = decompose(store, NMF(n_modes=2))["1"]
    >>> mode_faces(model, modes, store, size=8, canvas=16, steps=3).shape
    (2, 8, 8, 3)
    """
    numbers = list(range(len(modes))) if which is None else [int(k) for k in which]
    for name, value in (("size", size), ("canvas", canvas), ("steps", steps), ("starts", starts)):
        require_number(name, value, least=1, whole=True, hint="it is a count")
    directions = [modes[k].direction for k in numbers]
    if any(one is None for one in directions):
        raise CodeclensError(
            f'The modes of "{modes.site}" have no directions in activation space, which faces are '
            "made from; decompose a store."
        )
    if not numbers:
        return np.zeros((0, size, size, 3), np.uint8)
    (site,) = find_sites(model, modes.site)
    aims = _FaceAims.of(store, modes.site, np.array(directions, np.float64), focus)
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
    seen = _MeanActivation(model, site, _three(mean, like), _three(std, like), canvas)
    found: list[np.ndarray] = []
    with torch.inference_mode(False), torch.enable_grad(), frozen(model), same_randomness(model):
        for start in range(0, len(numbers), _BATCH):
            part = slice(start, start + _BATCH)
            drawn = [
                _optimised(seen, aims, part, [seed, *numbers[part]], draw, steps, learning_rate)
                for draw in range(starts)
            ]
            best = torch.stack([score for _, score in drawn]).argmax(dim=0)
            pictures = torch.stack([picture for picture, _ in drawn])[best, torch.arange(len(best))]
            small = F.interpolate(pictures, (size, size), mode="area").clamp(0, 1)
            found.append((255 * small).round().byte().permute(0, 2, 3, 1).cpu().numpy())
            if progress is not None:
                progress(min(start + _BATCH, len(numbers)), len(numbers))
    return np.concatenate(found)


class _FaceAims:
    """The directions of modes in whitened activations, each of length one, and how to get there."""

    def __init__(self, aims: Tensor, mean: Tensor, whitening: Tensor) -> None:
        self.aims, self.mean, self.whitening = aims, mean, whitening

    @classmethod
    def of(
        cls,
        store: ContributionStore,
        site: str,
        directions: Float[np.ndarray, "mode unit"],
        focus: float,
    ) -> _FaceAims:
        activations = store.view(site, "activation").astype(np.float64)
        mean = activations.mean(axis=0)
        variance, axes = np.linalg.eigh(np.cov(activations.T, bias=True).reshape(2 * [len(mean)]))
        floor = max(focus * float(variance.mean()), np.finfo(np.float64).tiny)
        whitening = axes / np.sqrt(variance.clip(min=0) + floor) @ axes.T
        aims = directions @ whitening
        aims /= np.linalg.norm(aims, axis=1, keepdims=True).clip(min=np.finfo(np.float64).tiny)
        return cls(*(torch.from_numpy(one).float() for one in (aims, mean, whitening)))

    def score(
        self, activation: Float[Tensor, "batch unit"], part: slice
    ) -> Float[Tensor, " batch"]:
        """The projection on each mode times the cosine with it, `(B,)`."""
        white = (activation.float() - self.mean.to(activation.device)) @ self.whitening.to(
            activation.device
        )
        along = (white * self.aims[part].to(white)).sum(dim=1)
        cosine = along / white.norm(dim=1).clamp(min=1e-6)
        # Where the two disagree, the projection alone shows the way.
        found: Tensor = along * cosine.clamp(min=0.1)
        return found


class _MeanActivation:
    """What a site makes of pictures: the mean activation of each unit."""

    def __init__(self, model: nn.Module, site: Site, mean: Tensor, std: Tensor, side: int) -> None:
        self.model, self.site, self.mean, self.std, self.side = model, site, mean, std, side

    def __call__(
        self, pictures: Float[Tensor, "batch 3 row column"]
    ) -> Float[Tensor, "batch unit"]:
        met: list[Tensor] = []

        def note(site: Site, activation: Tensor) -> Tensor:
            met.append(site.units(activation).mean(dim=2))
            raise _ReachedError

        try:
            with tapped(self.model, [self.site], note):
                self.model((pictures - self.mean) / self.std)
        except _ReachedError:
            return met[0]
        except RuntimeError as error:  # what torch raises for shapes that differ
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise CodeclensError(
                f"The model does not run on colour pictures of {self.side} × {self.side}: {reason}"
            ) from error
        raise CodeclensError(f'Site "{self.site.key}" is not reached when the model runs.')


def _optimised(
    seen: _MeanActivation,
    aims: _FaceAims,
    part: slice,
    seeds: Sequence[int],
    draw: int,
    steps: int,
    rate: float,
) -> tuple[Float[Tensor, "batch 3 row column"], Float[Tensor, " batch"]]:
    """The pictures of some modes, and their scores: the mean over the last quarter of the steps."""
    first, *numbers = seeds
    # Each mode has a generator of its own, so that its picture does not depend on the others.
    random = [torch.Generator().manual_seed(_seed(first, number, draw)) for number in numbers]
    side = seen.side
    amplitude = _amplitudes(side).to(seen.mean)
    size = (3, side, side // 2 + 1)
    phases = torch.stack([2 * math.pi * torch.rand(size, generator=one) for one in random])
    phases = phases.to(seen.mean).requires_grad_()
    optimizer = torch.optim.Adam([phases], lr=rate)
    looked = torch.zeros(len(numbers), side, side)
    score = torch.zeros(len(numbers))
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - (1 - _LAST_RATE) * step / steps)
        pictures = _pictures(phases, amplitude)
        pictures.retain_grad()
        values = aims.score(seen(_moved(pictures, random)), part)
        outside = (pictures - pictures.clamp(0, 1)).square().mean() * 10 * len(numbers)
        optimizer.zero_grad()
        (outside - values.sum()).backward()
        optimizer.step()
        assert pictures.grad is not None
        looked += pictures.grad.abs().sum(dim=1).cpu()
        if step >= 3 * steps // 4:
            score += values.detach().cpu()
    return _faded(_pictures(phases, amplitude).detach(), looked.to(seen.mean)), score


def _amplitudes(side: int) -> Float[Tensor, "3 row column"]:
    """The amplitude of each frequency in three decorrelated colours; none for the mean."""
    high, wide = torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]
    cycles = side * torch.sqrt(high**2 + wide**2)
    found = torch.stack([factor * cycles.clamp(min=1) ** power for factor, power in _SPECTRA])
    found[:, 0, 0] = 0
    return found


def _pictures(phases: Tensor, amplitude: Tensor) -> Float[Tensor, "batch 3 row column"]:
    """Pictures of fixed mean and contrast with these phases; some values may leave [0, 1]."""
    side = phases.shape[2]
    spectrum = torch.polar(amplitude.expand_as(phases), phases)
    values = torch.fft.irfft2(spectrum, s=(side, side), norm="ortho")
    colours = torch.tensor(_COLOURS, dtype=values.dtype, device=values.device)
    values = torch.einsum("dc,nchw->ndhw", colours / colours.norm(dim=0).max(), values)
    return _LEVEL + _CONTRAST * values / values.flatten(1).std(dim=1)[:, None, None, None]


def _moved(
    pictures: Float[Tensor, "batch 3 row column"], random: Sequence[torch.Generator]
) -> Float[Tensor, "batch 3 row column"]:
    """A part of each picture at random, turned, as large as the picture, with noise."""
    draws = torch.stack([torch.rand(4, generator=one) for one in random])
    share = _SMALLEST + (1 - _SMALLEST) * draws[:, 0]
    across, down = ((1 - share) * (2 * draws[:, n] - 1) for n in (1, 2))
    angle = math.radians(_TURN) * (2 * draws[:, 3] - 1)
    first = torch.stack([share * angle.cos(), -share * angle.sin(), across], 1)
    second = torch.stack([share * angle.sin(), share * angle.cos(), down], 1)
    grid = F.affine_grid(
        torch.stack([first, second], 1).to(pictures), list(pictures.shape), align_corners=False
    )
    parts = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    noise = torch.stack([torch.randn(parts.shape[1:], generator=one) for one in random])
    return parts + _NOISE * noise.to(parts)


def _faded(
    pictures: Float[Tensor, "batch 3 row column"], looked: Float[Tensor, "batch row column"]
) -> Float[Tensor, "batch 3 row column"]:
    """The pictures, with weaker colours, and with grey where the network hardly looked."""
    side = pictures.shape[2]
    width = max(1, side // 8) | 1
    smooth = looked[:, None]
    for _ in range(3):
        smooth = F.avg_pool2d(smooth, width, stride=1, padding=width // 2, count_include_pad=False)
    most = smooth.flatten(1).quantile(0.9, dim=1)[:, None, None, None]
    strength = (smooth / most.clamp(min=1e-30) / _FADE).clamp(0, 1)
    faded = _LEVEL + (pictures - _LEVEL) * strength
    grey = faded.mean(dim=1, keepdim=True)
    return grey + _COLOUR * (faded - grey)


def _three(value: float | Sequence[float], like: Tensor) -> Float[Tensor, "3 1 1"]:
    numbers = [float(v) for v in value] if isinstance(value, Sequence) else 3 * [float(value)]
    if len(numbers) != 3:
        raise CodeclensError(f"Colour pictures have three channels, not {len(numbers)} of them.")
    return torch.tensor(numbers).to(like)[:, None, None]


def _seed(*numbers: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
