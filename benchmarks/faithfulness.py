"""Faithfulness: how well contributions predict the effects of ablating channels.

For every image and site the net contributions of all channels are compared with the exact effects
of ablating each channel (set to its activation at the baseline, or to zero), by Spearman's rank
correlation over channels. Random halves of the channels, set to baseline at once, are compared in
the same way, over halves. Activations and a random order are the controls. The target is the logit
of the predicted class. Intervals are 95 % bootstrap intervals over images, the same draws for all;
differences are paired by image, without correction for multiple comparisons.

    python -m benchmarks.faithfulness                              # the digits network
    CODECLENS_BENCH=… python -m benchmarks.faithfulness efficientnet-lite0 --figures docs
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from captum.attr import LayerIntegratedGradients
from scipy.stats import rankdata
from torch import Tensor, nn

from benchmarks.material import NAMES, material
from codeclens import CompletenessWarning
from codeclens.attribution import (
    AblationEffect,
    ActivationGradient,
    ActivationPath,
    Attributor,
    Captum,
    Conductance,
    Contributions,
    Method,
    Probe,
    Replay,
    find_sites,
)
from codeclens.attribution.methods import AtInput, Attributed, Explained, gradients_of
from codeclens.visualization.canvas import CONTROLS, WIDTH, blank, name_sites, save, styled

Trial = Literal["baseline", "zero", "halves"]
TRIALS: dict[Trial, str] = {
    "baseline": "each channel to baseline",
    "zero": "each channel to zero",
    "halves": "random halves to baseline",
}


@dataclass(frozen=True)
class GradientChange:
    """Gradient at x times the change since the baseline: the first-order guess, `(a − a0) ⊙ g`.

    What gradient times activation is for channels set to zero, this is for those set to baseline.
    """

    complete: ClassVar[bool] = False
    pilot: ClassVar[int] = 0

    def prepare(self, probe: Probe, x: Tensor, baseline: Tensor) -> GradientChange:
        return self

    def attribute(self, probe: Probe, x: Tensor, baseline: Tensor, at_x: AtInput) -> Attributed:
        here = probe(x)
        targets = [bound(here.output) for bound in at_x(here)]
        starts = probe.look(baseline)
        explained = []
        for target, found in zip(targets, gradients_of(targets, here.activations), strict=True):
            total = {k: (a.detach() - starts[k]) * found[k] for k, a in here.activations.items()}
            explained.append(Explained(total, target.detach(), None))
        return Attributed(explained)


DEFAULT = "conductance (default)"
# Gradients that are normalised for each image rank its channels as they are: left out.
METHODS: dict[str, Method] = {
    DEFAULT: Conductance(),
    "conductance, published": Conductance(10, "trapezoid", "uniform"),
    "one secant step": Conductance(1, "secant", "uniform"),
    "activation path": ActivationPath(),
    "activation path, last half": ActivationPath(start=0.5),
    "Captum's layer IG": Captum(LayerIntegratedGradients, n_steps=10),
    "gradient × activation": ActivationGradient(),
    "gradient × change": GradientChange(),
}
CONTROL_NAMES = ("activation", "magnitude of activation", "random")
IMAGES = {"digits-resnet": 40, "cifar-resnet20": 32, "cifar-resnet56": 20, "efficientnet-lite0": 8}
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the blocks but the last
PILOT = 2
DRAWS = 2000
HALVES = 32


@dataclass(frozen=True)
class Faithfulness:
    """Rank correlations `(N, L)` of N images at L sites, by trial and method."""

    sites: Sequence[str]
    found: Mapping[Trial, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Estimate:
    """A median over images with its 95 % bootstrap interval, each `()` or `(L,)`."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, seed: int = 0) -> Estimate:
        """The median over the first axis of `values`; one seed, the same draws."""
        rows = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
        low, high = np.quantile(np.median(values[rows], axis=1), [0.025, 0.975], axis=0)
        return cls(np.median(values, axis=0), low, high)

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def sites_of(model: nn.Module, blocks: str) -> list[str]:
    """Five blocks from early to late, without the last, which only linear layers may follow."""
    keys = [site.key for site in find_sites(model, blocks)][:-1]
    return list(dict.fromkeys(keys[round(share * (len(keys) - 1))] for share in SHARES))


def judge(
    model: nn.Module,
    x: Tensor,
    sites: Sequence[str],
    pilot: Tensor,
    methods: Mapping[str, Method] = METHODS,
) -> Faithfulness:
    """Compare every method and control with the exact effects on the images `x` `(N, …)`."""

    def attributed(method: Method) -> Contributions:
        return Attributor(model, sites=sites, method=method).prepared(pilot)(x)

    zero = attributed(AblationEffect("zero", batch_size=16))
    scores = {name: _table(attributed(method)) for name, method in methods.items()}
    activations = {key: zero[key].activation.double().numpy() for key in sites}
    random = np.random.default_rng(0)
    scores["activation"] = activations
    scores["magnitude of activation"] = {key: np.abs(a) for key, a in activations.items()}
    scores["random"] = {key: random.permuted(a, axis=1) for key, a in activations.items()}
    each = {"zero": _table(zero), "baseline": _table(attributed(AblationEffect(batch_size=16)))}
    groups = {key: halves(model, key, x) for key in sites}

    def compared(trial: Trial, score: np.ndarray, key: str) -> np.ndarray:
        if trial != "halves":
            return spearman(score, each[trial][key])
        chosen, effects = groups[key]
        return spearman(score @ chosen.T, effects)

    found: dict[Trial, dict[str, np.ndarray]] = {
        trial: {
            name: np.stack([compared(trial, score[key], key) for key in sites], axis=1)
            for name, score in scores.items()
        }
        for trial in TRIALS
    }
    return Faithfulness(sites, found)


@torch.no_grad()
def halves(model: nn.Module, site: str, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Random halves of a site's channels `(G, U)`, and their effects on the targets `(N, G)`.

    An effect is what the predicted logit loses when those channels are as at the zero input.
    """
    start = Replay(model, site, torch.zeros_like(x)).activation
    with Replay(model, site, x) as replay:
        activation, (best, classes) = replay.activation, replay.output.max(dim=1, keepdim=True)
        units = np.tile(np.arange(activation.shape[1]), (HALVES, 1))
        chosen = np.random.default_rng(1).permuted(units, axis=1) < units.shape[1] // 2
        masks = torch.from_numpy(chosen)[:, :, None, None]
        outputs = [replay(torch.where(mask, start, activation)) for mask in masks]
    effects = [best - output.gather(1, classes) for output in outputs]
    return chosen.astype(float), torch.cat(effects, dim=1).double().numpy()


def _table(found: Contributions) -> dict[str, np.ndarray]:
    return {key: site.net.double().numpy() for key, site in found.items()}


def spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of every row of a with that of b, `(N, U)` each, ties averaged.

    A row that is constant tells nothing of the other: 0.

    >>> spearman(np.array([[1.0, 2, 9], [1, 1, 1]]), np.array([[0.0, 1, 2], [0, 1, 2]])).round(6)
    array([1., 0.])
    """
    ranks = [rankdata(values, axis=1) for values in (a, b)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), size, out=np.zeros(len(a)), where=size > 0)


def table(judged: Faithfulness, trial: Trial) -> str:
    """Medians over images by site, then the mean over sites and how far the default is ahead."""
    head = [*(f"`{site}`" for site in judged.sites), "mean of sites", "default ahead by"]
    lines = [f"| {TRIALS[trial]} | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for name, rho in judged.found[trial].items():
        cells = [str(Estimate.of(column)) for column in rho.T]
        ahead = "" if name == DEFAULT else str(lead(judged, trial, name))
        lines.append(f"| {name} | {' | '.join([*cells, str(Estimate.of(rho.mean(1))), ahead])} |")
    return "\n".join(lines)


def lead(judged: Faithfulness, trial: Trial, name: str) -> Estimate:
    """The median over images of the default's mean over sites minus that of another."""
    found = judged.found[trial]
    return Estimate.of(found[DEFAULT].mean(axis=1) - found[name].mean(axis=1))


def sentence(judged: Faithfulness, trial: Trial) -> str:
    """Which methods the default is ahead of, behind, or not significantly different from."""
    leads = {name: lead(judged, trial, name) for name in judged.found[trial] if name != DEFAULT}
    groups = {
        "is ahead of": [name for name, one in leads.items() if one.low > 0],
        "is behind": [name for name, one in leads.items() if one.high < 0],
        "does not differ significantly from": [
            name for name, one in leads.items() if one.low <= 0 <= one.high
        ],
    }
    told = "; ".join(f"{what} {', '.join(names)}" for what, names in groups.items() if names)
    means = {name: np.median(rho.mean(axis=1)) for name, rho in judged.found[trial].items()}
    best = max(means, key=lambda name: means[name])
    return f"{TRIALS[trial].capitalize()}: the default {told}. Highest: {best}, {means[best]:+.2f}."


def figure(judged: Faithfulness, network: str) -> Any:
    """Medians with intervals from early to late sites, one panel for each trial."""
    colours = dict(zip(METHODS, ("#1b1b1b", "#c2410c", "#3b7dd8", *CONTROLS[1:]), strict=False))
    drawn = blank(WIDTH, 3.2)
    panels = drawn.subplots(1, len(judged.found), sharey=True, squeeze=False)[0]
    for axes, (trial, found) in zip(panels, judged.found.items(), strict=True):
        for number, (name, rho) in enumerate(found.items()):
            estimate = Estimate.of(rho)
            place = np.arange(len(judged.sites)) + 0.06 * (number - (len(found) - 1) / 2)
            bars = np.abs(np.stack([estimate.low, estimate.high]) - estimate.value)
            style = {"color": colours.get(name, "#9ca3af"), "label": name, "elinewidth": 0.6}
            marker = "o" if name in METHODS else "xv."[CONTROL_NAMES.index(name)]
            line = "-" if name in METHODS else ":"
            axes.errorbar(place, estimate.value, bars, marker=marker, linestyle=line, **style)
        name_sites(axes, list(judged.sites))
        axes.set_title(TRIALS[trial])
    panels[0].set_ylabel("rank correlation with the effect")
    drawn.suptitle(network, x=0, ha="left")
    drawn.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return drawn


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NAMES[:1], help=", ".join(NAMES))
    parser.add_argument("--images", type=int)
    parser.add_argument("--figures", type=Path, help="a folder for one SVG a network")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    # How far sums are off is another benchmark's question.
    warnings.simplefilter("ignore", CompletenessWarning)
    for name in given.networks:
        one = material(name)
        count = given.images or IMAGES[name]
        sites = sites_of(one.model, one.sites)
        judged = judge(one.model, one.spread(count, PILOT), sites, one.images(range(PILOT)))
        print(f"\n## {name}, {count} images\n")
        for trial in judged.found:
            print(f"{table(judged, trial)}\n\n{sentence(judged, trial)}\n", flush=True)
        if given.figures:
            with styled():
                save(figure(judged, name), given.figures / f"faithfulness-{name}.svg")


if __name__ == "__main__":
    main()
