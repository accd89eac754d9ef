"""The mathematics of the attribution room again: slower, less clever, and meant to be obvious.

Nothing here comes from the package. Run it in float64. A site is a module's name, `"name"` for
its output or `"name:input"` for its first input; a module that runs several times gives `"name#0"`,
`"name#1"` and so on. Sample axes come first. A target is a function from the output of the network
`(B, …)` to one number for each sample `(B,)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

TargetFunction = Callable[[Tensor], Tensor]


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two tensors, relative to the largest entry of the second."""
    assert ours.shape == theirs.shape, f"{tuple(ours.shape)} is not {tuple(theirs.shape)}"
    apart, size = float((ours - theirs).abs().max()), float(theirs.abs().max())
    return apart / size if size > 0 else apart


@dataclass
class Trace:
    """One forward and one full backward: activations and gradients of every site."""

    target: Tensor
    activations: dict[str, Tensor]
    gradients: dict[str, Tensor]


def predicted(model: nn.Module, x: Tensor) -> TargetFunction:
    """The output of the class that the model predicts at x; this class is kept from here on."""
    with torch.no_grad():
        classes = model(x).argmax(dim=1).tolist()
    return labelled(classes)


def labelled(classes: Sequence[int]) -> TargetFunction:
    """The output of one given class for each sample."""

    def target(output: Tensor) -> Tensor:
        return torch.stack([output[sample, k] for sample, k in enumerate(classes)])

    return target


def trace(model: nn.Module, x: Tensor, sites: Sequence[str], target: TargetFunction) -> Trace:
    """Run the model on x forward and backward, and note what the sites are and how they matter."""
    met: dict[str, list[Tensor]] = {site: [] for site in sites}

    def note(site: str, tensor: Tensor) -> Tensor:
        kept = tensor.clone()
        kept.retain_grad()
        met[site].append(kept)
        return kept.clone()  # what the model does to it in place must not reach what is kept

    handles = []
    for site in sites:
        module = model.get_submodule(site.removesuffix(":input"))
        if site.endswith(":input"):
            handles.append(
                module.register_forward_pre_hook(
                    lambda _module, inputs, site=site: (note(site, inputs[0]), *inputs[1:])
                )
            )
        else:
            handles.append(
                module.register_forward_hook(
                    lambda _module, _inputs, output, site=site: note(site, output)
                )
            )
    start = x.clone().requires_grad_()
    with torch.enable_grad():
        value = target(model(start.clone()))
        value.sum().backward()
    for handle in handles:
        handle.remove()
    activations, gradients = {}, {}
    for site, tensors in met.items():
        for call, tensor in enumerate(tensors):
            key = site if len(tensors) == 1 else f"{site}#{call}"
            activations[key] = tensor.detach()
            gradient = tensor.grad
            gradients[key] = torch.zeros_like(tensor) if gradient is None else gradient.detach()
    return Trace(value.detach(), activations, gradients)


def conductance(
    model: nn.Module,
    x: Tensor,
    sites: Sequence[str],
    target: TargetFunction,
    baseline: Tensor,
    nodes: Sequence[float],
    rule: str,
) -> dict[str, Tensor]:
    """Σ over segments of (gradient) × (change of the activation), one node of the path at a time.

    The gradient of a segment is the one at its left end, or the mean of those at both ends.
    """
    traces = [trace(model, baseline + alpha * (x - baseline), sites, target) for alpha in nodes]
    contributions = {}
    for key in traces[0].activations:
        total = torch.zeros_like(traces[0].activations[key])
        for left, right in pairwise(traces):
            change = right.activations[key] - left.activations[key]
            if rule == "left":
                gradient = left.gradients[key]
            elif rule == "trapezoid":
                gradient = (left.gradients[key] + right.gradients[key]) / 2
            else:
                raise ValueError(rule)
            total = total + gradient * change
        contributions[key] = total
    return contributions


def gradient_times_activation(
    model: nn.Module, x: Tensor, sites: Sequence[str], target: TargetFunction
) -> dict[str, Tensor]:
    """Gradient times activation at x itself."""
    seen = trace(model, x, sites, target)
    return {key: seen.activations[key] * seen.gradients[key] for key in seen.activations}


def normalized_gradient_times_activation(
    model: nn.Module, x: Tensor, sites: Sequence[str], target: TargetFunction
) -> dict[str, Tensor]:
    """The same with each sample's gradient divided by its norm over the whole site."""
    seen = trace(model, x, sites, target)
    contributions = {}
    for key, activation in seen.activations.items():
        samples = []
        for sample in range(len(x)):
            gradient = seen.gradients[key][sample]
            norm = (gradient**2).sum().sqrt()
            samples.append(activation[sample] * (gradient / norm if norm > 0 else gradient))
        contributions[key] = torch.stack(samples)
    return contributions


def by_unit(values: Tensor, axis: int, heads: int | None = None) -> list[list[list[float]]]:
    """The values of each unit of each sample: `[sample][unit]` is the list over its positions.

    `axis` is where the units are. With `heads`, a unit is one of that many equal groups of
    neighbouring features.
    """
    samples = []
    for sample in values:  # the sample axis is gone, so the unit axis has moved by one
        units = [unit.flatten().tolist() for unit in sample.unbind(axis - 1)]
        if heads is not None:
            size = len(units) // heads
            units = [
                [value for feature in units[h * size : (h + 1) * size] for value in feature]
                for h in range(heads)
            ]
        samples.append(units)
    return samples


def split_signs(samples: list[list[list[float]]]) -> tuple[Tensor, Tensor]:
    """Sum what is positive and what is negative over the positions of every unit, apart."""
    positive = torch.zeros(len(samples), len(samples[0]), dtype=torch.float64)
    negative = torch.zeros(len(samples), len(samples[0]), dtype=torch.float64)
    for s, units in enumerate(samples):
        for u, positions in enumerate(units):
            for value in positions:
                if value > 0:
                    positive[s, u] += value
                else:
                    negative[s, u] += value
    return positive, negative


def mean_over_positions(samples: list[list[list[float]]]) -> Tensor:
    """The mean over the positions of every unit."""
    means = [[sum(positions) / len(positions) for positions in units] for units in samples]
    return torch.tensor(means, dtype=torch.float64)


def secant_slopes(model: nn.Module, left: Tensor, right: Tensor) -> list[Tensor]:
    """The secant slope of every call of every ReLU of a network between two inputs, in order."""
    seen: list[list[Tensor]] = [[], []]
    for inputs, x in zip(seen, (left, right), strict=True):
        handles = [
            module.register_forward_pre_hook(
                lambda _module, given, inputs=inputs: inputs.append(given[0].clone())
            )
            for module in model.modules()
            if isinstance(module, nn.ReLU)
        ]
        with torch.no_grad():
            model(x.clone())
        for handle in handles:
            handle.remove()
    slopes = []
    for before, after in zip(*seen, strict=True):
        rise, run = after.clamp(min=0) - before.clamp(min=0), after - before
        derivative = ((before > 0).to(run) + (after > 0).to(run)) / 2
        slopes.append(torch.where(run == 0, derivative, rise / torch.where(run == 0, 1, run)))
    return slopes


def joint_flow(
    model: nn.Module,
    x: Tensor,
    sites: tuple[str, str],
    target: TargetFunction,
    baseline: Tensor,
    nodes: Sequence[float],
    shares: tuple[Tensor, Tensor],
) -> Tensor:
    """What passes through part i of one site and then part j of another, `(B, I, J)`.

    The network knows no nonlinearity but ReLU modules. In each segment every ReLU is replaced by
    its secant slope, so that the network is linear; for each (i, j) one backward from the later
    site, with the gradient there times the share of j, arrives at the earlier one, where it meets
    the change of the activation times the share of i. `shares` are `(B, I, …)` and `(B, J, …)`,
    shaped like the activations of the two sites.
    """
    parts = shares[0].shape[1], shares[1].shape[1]
    flow = torch.zeros(len(x), *parts, dtype=x.dtype)
    for low, high in pairwise(nodes):
        left, right = (baseline + alpha * (x - baseline) for alpha in (low, high))
        slopes = secant_slopes(model, left, right)
        before, after = (trace(model, at, sites[:1], target) for at in (left, right))
        change = after.activations[sites[0]] - before.activations[sites[0]]
        for i in range(parts[0]):
            for j in range(parts[1]):
                value, first, second = with_slopes(model, right, slopes, sites, target)
                (there,) = torch.autograd.grad(value.sum(), second, retain_graph=True)
                (back,) = torch.autograd.grad(second, first, there * shares[1][:, j])
                flow[:, i, j] += (back * shares[0][:, i] * change).flatten(1).sum(dim=1)
    return flow


def with_slopes(
    model: nn.Module,
    x: Tensor,
    slopes: Sequence[Tensor],
    sites: tuple[str, str],
    target: TargetFunction,
) -> tuple[Tensor, Tensor, Tensor]:
    """The target and the outputs of two sites, every call of a ReLU a product with its slope."""
    waiting = list(slopes)
    kept: dict[str, Tensor] = {}

    def keep(_module: object, _inputs: object, output: Tensor, site: str) -> None:
        kept[site] = output

    handles = [
        module.register_forward_hook(lambda _module, inputs, _output: waiting.pop(0) * inputs[0])
        for module in model.modules()
        if isinstance(module, nn.ReLU)
    ]
    handles += [
        model.get_submodule(site).register_forward_hook(partial(keep, site=site)) for site in sites
    ]
    value = target(model(x.clone().requires_grad_()))
    for handle in handles:
        handle.remove()
    return value, kept[sites[0]], kept[sites[1]]


def ablation_effect(
    model: nn.Module,
    x: Tensor,
    site: str,
    target: TargetFunction,
    axis: int,
    replacement: Tensor | float = 0.0,
) -> Tensor:
    """T(x) − T(x with one unit replaced), for one unit after another `(B, U)`.

    `replacement` is a number, or what the activation shall be instead, shaped like it.
    """
    module = model.get_submodule(site)
    shapes = []
    with torch.no_grad():
        counting = module.register_forward_hook(lambda _m, _i, output: shapes.append(output.shape))
        before = target(model(x))
        counting.remove()
        effects = []
        for unit in range(shapes[0][axis]):

            def replace(_module: object, _inputs: object, output: Tensor, u: int = unit) -> Tensor:
                changed = output.clone()
                instead = torch.as_tensor(replacement, dtype=output.dtype).expand_as(output)
                changed.select(axis, u).copy_(instead.select(axis, u))
                return changed

            handle = module.register_forward_hook(replace)
            effects.append(before - target(model(x)))
            handle.remove()
    return torch.stack(effects, dim=1)


def late_path(
    model: nn.Module,
    site: str,
    x: Tensor,
    baseline: Tensor,
    target: TargetFunction,
    start: float,
    steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Change of an activation times the mean gradient over the rest of its straight way.

    Also the change of the target over that part of the way divided by its length, and the change
    over the whole way. The activation is put into the network by a hook, node by node.
    """
    name, _, kind = site.partition(":")
    module = model.get_submodule(name)
    given: list[Tensor] = []

    def before(_module: object, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return exchange(inputs[0]), *inputs[1:]

    def after(_module: object, _inputs: object, output: Tensor) -> Tensor:
        return exchange(output)

    def exchange(found: Tensor) -> Tensor:
        if not given:
            seen.append(found.detach())
            return found
        return given[0]

    seen: list[Tensor] = []
    handle = (
        module.register_forward_pre_hook(before)
        if kind == "input"
        else module.register_forward_hook(after)
    )
    ends = target(model(x)).detach() - target(model(baseline)).detach()
    a, rest = seen[0], seen[1]

    def value(alpha: float) -> tuple[Tensor, Tensor]:
        node = (rest + alpha * (a - rest)).requires_grad_()
        given[:] = [node]
        output = target(model(x))
        return output.detach(), torch.autograd.grad(output.sum(), node)[0]

    total = torch.zeros_like(a)
    for step in range(steps):
        total += value(start + (step + 0.5) / steps * (1 - start))[1] / steps
    change = (value(1.0)[0] - value(start)[0]) / (1 - start)
    handle.remove()
    return (a - rest) * total, change, ends


def semi_nmf_step(X: np.ndarray, Z: np.ndarray, D: np.ndarray) -> np.ndarray:
    """One multiplicative step of semi-non-negative factorisation, entry by entry.

    In the words of Ding, Li and Jordan 2010 X is `Xᵀ`, F is `Dᵀ` and G is `Z`.
    """

    def sizes(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (np.abs(matrix) + matrix) / 2, (np.abs(matrix) - matrix) / 2

    up, down = sizes(X @ D.T)
    own_up, own_down = sizes(D @ D.T)
    made = Z.copy()
    for sample in range(len(Z)):
        for mode in range(Z.shape[1]):
            pulled = up[sample, mode] + sum(
                Z[sample, j] * own_down[j, mode] for j in range(Z.shape[1])
            )
            pushed = down[sample, mode] + sum(
                Z[sample, j] * own_up[j, mode] for j in range(Z.shape[1])
            )
            made[sample, mode] = Z[sample, mode] * (pulled / pushed) ** 0.5
    return made


def correlation_with_group(values: np.ndarray, member: np.ndarray) -> float:
    """Pearson's correlation of one column with an indicator, by its definition; NaN without one."""
    indicator = member.astype(np.float64)
    a, b = values - values.mean(), indicator - indicator.mean()
    length = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / length) if length > 0 else float("nan")


def best_by_chance(
    Z: np.ndarray, labels: np.ndarray, groups: Sequence[Sequence[int]], n: int, seed: int
) -> np.ndarray:
    """The best correlation of each column with any group of classes, labels dealt out anew."""
    known = Z[labels >= 0]
    dealt = np.sort(labels[labels >= 0])
    random = np.random.default_rng(seed)
    best = np.zeros((n, Z.shape[1]))
    for row in range(n):
        label = np.empty_like(dealt)
        label[random.permutation(len(dealt))] = dealt
        for k in range(Z.shape[1]):
            of_groups = [
                correlation_with_group(known[:, k], np.isin(label, group)) for group in groups
            ]
            best[row, k] = max(0.0, *(r for r in of_groups if not np.isnan(r)))
    return best


def gini(shares: np.ndarray) -> float:
    """Half the mean absolute difference of all pairs, relative to the mean."""
    differences = [abs(a - b) for a in shares for b in shares]
    return float(np.mean(differences) / (2 * np.mean(shares)))


def holm_by_steps(p: Sequence[float]) -> list[float]:
    """Holm's correction: how large alpha must be before the step-down procedure rejects each."""
    found = []
    for value in p:
        rejected_at = 0.0
        for smaller in sorted(p):
            if smaller > value:
                break
            left = sum(other >= smaller for other in p)
            rejected_at = max(rejected_at, smaller * left)
        found.append(min(1.0, rejected_at))
    return found


def mean_gradient_times_activation(
    first: nn.Module, rest: nn.Module, x: Tensor, which: int
) -> list[float]:
    """Activation times the slope of one output, by small steps of every unit, mean over images."""
    first, rest = deepcopy(first).double(), deepcopy(rest).double()
    hidden = first(x.double()).detach()
    means = []
    for unit in range(hidden.shape[1]):
        step = torch.zeros_like(hidden)
        step[:, unit] = 1e-6
        slope = (rest(hidden + step)[:, which] - rest(hidden - step)[:, which]) / 2e-6
        means.append((hidden[:, unit] * slope).mean().item())
    return means


@dataclass
class RetinaTables:
    """What the simulated retina is tuned by; all else are the constants below."""

    bipolar_gain: Sequence[float]
    bipolar_threshold: Sequence[float]
    depression: Sequence[float]
    amacrine_gain: Sequence[float]
    amacrine_threshold: Sequence[float]
    veto: float
    # One row a cell: what it hears by interneuron (signed), sigma and ring in µm, its rest.
    cells: Sequence[tuple[dict[int, float], float, float | None, float]]


def simulated_retina(
    tables: RetinaTables, movie: np.ndarray, rate: float, pixel: float
) -> np.ndarray:
    """Rates (T', cells) of a retina in the middle of a movie (T, n, n) of contrasts, by loops.

    Interneurons 0 to 3 are bipolar: ON transient, ON sustained, OFF transient, OFF sustained; 4 is
    wide-field, 5 and 6 ON and OFF crossover, 7 to 10 starbursts right, left, up, down.
    """
    grey = np.zeros((200, *movie.shape[1:]))
    resting = _retina_drives(tables, grey, rate, pixel)[0]
    rest = np.array([cell[3] for cell in tables.cells])
    drives = _retina_drives(tables, movie, rate, pixel) - resting + rest
    return 50.0 * np.log1p(np.exp(10.0 * drives)) / 10.0


def _retina_drives(
    tables: RetinaTables, movie: np.ndarray, rate: float, pixel: float
) -> np.ndarray:
    n = movie.shape[1]
    light = 1 + movie
    y_kernel, slow = _gamma(0.36, rate, 0.018, 2), _gamma(0.36, rate, 0.07, 1)
    y = _in_time(light, y_kernel)
    z = _in_time(light, 0.3 * y_kernel + 0.7 * slow)
    cones = (1 + 2.0) * y / (1 + 2.0 * z) - 1

    quick = 2 * (_gamma(0.3, rate, 0.02, 1) - _gamma(0.3, rate, 0.045, 1))
    lasting = _gamma(0.3, rate, 0.03, 1) - 0.4 * _gamma(0.3, rate, 0.07, 1)
    recovery = np.concatenate([[0.0], _gamma(0.24 - 1 / rate, rate, 0.08, 0)])
    bipolar = []
    for number, (sign, kernel) in enumerate([(1, quick), (1, lasting), (-1, quick), (-1, lasting)]):
        filtered = _in_time(cones, kernel)
        seen = _in_space(filtered, 40, pixel) - 0.7 * _in_space(filtered, 150, pixel)
        drive = tables.bipolar_gain[number] * sign * seen - tables.bipolar_threshold[number]
        release = np.log1p(np.exp(6 * drive)) / 6
        spent = _in_time(release, recovery)
        bipolar.append(release[-len(spent) :] / (1 + tables.depression[number] * spent))

    fast, late = _gamma(0.12, rate, 0.01, 1), _gamma(0.12, rate, 0.03, 2)
    membrane = _gamma(0.12, rate, 0.03, 1)
    transient = bipolar[0] + bipolar[2]
    drives = [
        _in_time(_in_space(transient, 150, pixel), _gamma(0.12, rate, 0.005, 1)),
        _in_time(_in_space(bipolar[1], 60, pixel), membrane),
        _in_time(_in_space(bipolar[3], 60, pixel), membrane),
    ]
    now, before = _in_time(transient, fast), _in_time(transient, late)
    for x, y_up in ((75, 0), (-75, 0), (0, 75), (0, -75)):
        behind = _in_space(before, 40, pixel, (-x, -y_up))
        ahead = _in_space(before, 40, pixel, (x, y_up))
        drives.append(_in_space(now, 40, pixel) + behind - tables.veto * ahead)
    amacrine = [
        np.log1p(np.exp(6 * (gain * drive - threshold))) / 6
        for gain, drive, threshold in zip(
            tables.amacrine_gain, drives, tables.amacrine_threshold, strict=True
        )
    ]

    length = len(amacrine[0])
    heard = [signal[-length:] for signal in (*bipolar, *amacrine)]
    kernel = _gamma(0.06, rate, 0.01, 1)
    found = np.zeros((length - len(kernel) + 1, len(tables.cells)))
    along = (np.arange(n) - (n - 1) / 2) * pixel
    far = np.hypot(along[None, :], along[:, None])
    for cell, (weights, sigma, ring, _) in enumerate(tables.cells):
        for unit, weight in weights.items():
            shape = np.exp(-0.5 * (far / sigma) ** 2)
            if unit == 4 and ring is not None:
                shape = np.exp(-0.5 * ((far - ring) / 80) ** 2)
            pooled = (heard[unit] * shape / shape.sum()).sum(axis=(1, 2))
            found[:, cell] += weight * _in_time(pooled, kernel)
    return found


def _gamma(duration: float, rate: float, tau: float, order: int) -> np.ndarray:
    t = (np.arange(round(duration * rate)) + 0.5) / rate
    kernel = (t / tau) ** order * np.exp(-t / tau)
    return np.asarray(kernel / kernel.sum())


def _in_time(signal: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.stack(
        [
            sum(kernel[lag] * signal[time - lag] for lag in range(len(kernel)))
            for time in range(len(kernel) - 1, len(signal))
        ]
    )


def _in_space(
    signal: np.ndarray, sigma: float, pixel: float, shift: tuple[float, float] = (0, 0)
) -> np.ndarray:
    """Each pixel gathers from a Gaussian around the place `shift` µm (x, y up) away from it."""
    n, s = signal.shape[1], sigma / pixel
    offsets = np.arange(-100, 101)
    x_norm, y_norm = (np.exp(-0.5 * ((offsets - part / pixel) / s) ** 2).sum() for part in shift)
    gathered = np.zeros_like(signal)
    for row in range(n):
        for column in range(n):
            dx = np.arange(n)[None, :] - column - shift[0] / pixel
            dy = np.arange(n)[:, None] - row + shift[1] / pixel
            weights = np.exp(-0.5 * (dx**2 + dy**2) / s**2) / (x_norm * y_norm)
            gathered[:, row, column] = (signal * weights).sum(axis=(1, 2))
    return gathered


def field_by_differences(rate: TargetFunction, window: Tensor, step: float = 1e-5) -> Tensor:
    """How the rate of one window changes with each of its pixels, by moving one after another."""
    found = torch.zeros_like(window)
    for pixel in np.ndindex(*window.shape):
        moved = window.expand(2, *window.shape).clone()
        moved[0][pixel] += step
        moved[1][pixel] -= step
        with torch.no_grad():
            up, down = rate(moved)
        found[pixel] = (up - down) / (2 * step)
    return found


def mode_shares_by_hand(
    loadings: Sequence[float], dictionary: np.ndarray, contributions: np.ndarray
) -> np.ndarray:
    """The share of every mode, and last the remainder, at each place of a window's site.

    `dictionary` `(K, 2U)` has what excites in its first columns, what suppresses in the others;
    `contributions` `(U, P)` tell by their sign which of them a place belongs to.
    """
    modes, columns = dictionary.shape
    units, positions = contributions.shape
    shares = np.zeros((modes + 1, units, positions))
    for u in range(units):
        for p in range(positions):
            column = u if contributions[u, p] > 0 else columns // 2 + u
            sign = 1 if contributions[u, p] > 0 else -1
            there = sum(max(sign * value, 0.0) for value in contributions[u])
            total = max(sum(loadings[m] * dictionary[m, column] for m in range(modes)), there)
            for m in range(modes):
                if total > 0:
                    shares[m, u, p] = loadings[m] * dictionary[m, column] / total
            shares[modes, u, p] = 1 - shares[:modes, u, p].sum()
    return shares


class OneInput(nn.Module):
    """A model of several inputs as one of a single input `(B, D)`: all that moves, side by side.

    `fixed` holds the other arguments for the whole batch; it is the batch that the model was made
    for, and no other. Token ids move by vectors, which `embedding` (a name) gives in their place.
    """

    def __init__(
        self,
        model: nn.Module,
        shapes: dict[int | str, tuple[int, ...]],
        fixed: dict[int | str, object],
        embedding: str | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.shapes = shapes
        self.fixed = fixed
        self.embedding = embedding

    def forward(self, x: Tensor) -> Tensor:
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        parts = x.split(sizes, dim=1)
        moved = {
            place: part.reshape(len(x), *shape)
            for (place, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        handle = None
        if self.embedding is not None:
            (vectors,) = (moved.pop(place) for place in list(moved) if place in self.fixed)
            module = self.model.get_submodule(self.embedding)
            handle = module.register_forward_hook(lambda _m, _args, _given: vectors, prepend=True)
        # The pilot of a method has fewer samples: the first ones. Ablations run several copies.
        values = dict({**self.fixed, **moved})
        for place, value in values.items():
            if isinstance(value, Tensor) and value.ndim > 1:
                copies = max(1, len(x) // len(value))
                values[place] = torch.cat([value] * copies)[: len(x)]
        args = [values[place] for place in sorted(p for p in values if isinstance(p, int))]
        try:
            output = self.model(*args, **{k: v for k, v in values.items() if isinstance(k, str)})
        finally:
            if handle is not None:
                handle.remove()
        logits: Tensor = output if isinstance(output, Tensor) else output.logits
        return logits


def continuation(logits: Tensor, ids: Tensor, counts: Sequence[int], length: int) -> list[float]:
    """The log-probability of the last tokens of each sample, by one softmax after another."""
    found = []
    for sample, count in enumerate(counts):
        total = 0.0
        for place in range(count - length, count):
            chances = logits[sample, place - 1].double().softmax(dim=0)
            total += math.log(float(chances[ids[sample, place]]))
        found.append(total)
    return found


def shares_of_ranks(z0: Tensor, z1: Tensor, points: int = 4001) -> Tensor:
    """For how much of the straight line an entry has a rank `(B, rank, entry)`, by counting."""
    shares = torch.zeros(len(z0), z0.shape[1], z0.shape[1], dtype=z0.dtype)
    for alpha in (torch.arange(points) + 0.5) / points:
        order = torch.lerp(z0, z1, alpha.to(z0)).argsort(dim=1)
        shares += torch.nn.functional.one_hot(order, z0.shape[1])
    return shares / points
