"""The mathematics of the retina room again: slower, less clever, and meant to be obvious.

Nothing here comes from the package. Run it in float64.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def correlation(ours: Tensor, theirs: Tensor) -> float:
    """Pearson's r of two series."""
    return float(np.corrcoef(ours.numpy(), theirs.numpy())[0, 1])


def normed(x: Tensor, state: dict[str, Tensor], name: str, eps: float) -> Tensor:
    """Batch norm in evaluation, by channel `(B, C, …)` or, flattened, by place."""
    shape = x.shape
    mean = state[f"{name}.running_mean"]
    if len(mean) != shape[1]:
        x = x.flatten(1)
    by = [1, -1] + [1] * (x.ndim - 2)
    x = (x - mean.view(by)) / (state[f"{name}.running_var"].view(by) + eps).sqrt()
    return (x * state[f"{name}.weight"].view(by) + state[f"{name}.bias"].view(by)).view(shape)


def retina_cnn(state: dict[str, Tensor], x: Tensor, eps: float) -> Tensor:
    """The dense three-layer network, from its weights, with softplus everywhere."""
    for layer in ("1", "2"):
        x = F.conv2d(x, state[f"conv{layer}.weight"], state[f"conv{layer}.bias"])
        x = F.softplus(normed(x, state, f"norm{layer}", eps))
    drive = normed(x.flatten(1) @ state["ganglion.weight"].T, state, "potential", eps)
    return state["output.gain"] * F.softplus(drive)


def lnln(state: dict[str, Tensor], film: Tensor, frame: int, history: int) -> Tensor:
    """Subunits one place after another, for one frame of a film: the drive of every cell."""
    kernel, bias = state["filters.weight"], state["filters.bias"]
    channels, _, size, _ = kernel.shape
    window = film[frame - history + 1 : frame + 1]
    found = []
    for channel in range(channels):
        for row in range(film.shape[1] - size + 1):
            for column in range(film.shape[2] - size + 1):
                seen = window[:, row : row + size, column : column + size]
                found.append(F.softplus((seen * kernel[channel]).sum() + bias[channel]))
    return torch.stack(found) @ state["potential.weight"].T + state["potential.bias"]


def kinetic_rates(u: float, k: dict[str, float]) -> np.ndarray:
    """The matrix M of dP/dt = M P for the states R, A, I1, I2 at a constant input."""
    up, refill = k["activate"] * u, k["refill"] * (1 + u)
    m = np.zeros((4, 4))
    for source, target, rate in (
        (0, 1, up),
        (1, 2, k["inactivate"]),
        (2, 0, k["recover"]),
        (2, 3, k["deplete"]),
        (3, 2, refill),
    ):
        m[target, source] += rate
        m[source, source] -= rate
    return m


def temporal_kernel(sines: Tensor, cosines: Tensor, speed: float, taps: int) -> Tensor:
    """Waves weighed and masked, one tap after another, as openretina does: `(out, in, taps)`."""
    out, inputs, waves = sines.shape
    kernel = torch.zeros(out, inputs, taps, dtype=sines.dtype)
    for tap in range(taps):
        time = tap - taps
        mask = 1 / (1 + math.exp(-time - int(taps * 0.95) / speed))
        for wave in range(waves):
            angle = speed * time * 2 * math.pi / taps * wave
            kernel[:, :, tap] += mask * math.sin(angle) * sines[:, :, wave]
            kernel[:, :, tap] += mask * math.cos(angle) * cosines[:, :, wave]
    return kernel
