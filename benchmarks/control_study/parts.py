"""The parts of the study: what each measures, saved when it is finished, so that a run resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import codeclens as cl
from benchmarks.control_study import halves, merged
from benchmarks.material import Material
from codeclens.control import (
    ByMode,
    ControlCurves,
    RankingInputs,
    by_modes_of,
    control_curves,
    mode_of,
    off_value,
    outputs_under,
    removal,
)
from codeclens.control.controls import by_summed_modes
from codeclens.control.edits import one_site
from codeclens.decomposition import Modes

MODES = 20
STEPS = 5
FRACTIONS = (0.02, 0.05, 0.1, 0.25, 0.5)


@dataclass(frozen=True)
class Sizes:
    """Images that modes are found in, images measured on, and those for merged classes."""

    found: int = 240
    measured: int = 100
    merged: int = 200


@dataclass(frozen=True)
class Data:
    """A network, its sites, and images of `classes` in two disjoint halves."""

    of: Material
    sites: tuple[str, ...]
    sizes: Sizes
    folder: Path

    @cached_property
    def classes(self) -> list[int]:
        """The classes that the images are of."""
        return [int(which) for which in np.unique(self.of.labels)]

    @cached_property
    def training(self) -> tuple[Tensor, Tensor]:
        """The first images, in which modes are found."""
        return self._images(range(self.sizes.found))

    @cached_property
    def held_out(self) -> tuple[Tensor, Tensor]:
        """The last images, which are measured on."""
        return self._last(self.sizes.measured)

    @cached_property
    def merged(self) -> tuple[Tensor, Tensor]:
        """The last images, for the benchmark of merged classes, which needs more of each class."""
        return self._last(self.sizes.merged)

    def _last(self, count: int) -> tuple[Tensor, Tensor]:
        total = len(self.of.labels)
        return self._images(range(total - count, total))

    def _images(self, rows: range) -> tuple[Tensor, Tensor]:
        return self.of.images(list(rows)), torch.from_numpy(self.of.labels[list(rows)])

    def store(self, name: str, target: Any, data: tuple[Tensor, Tensor]) -> cl.ContributionStore:
        """Contributions to a target at all sites, extracted once; extraction resumes by itself."""
        return cl.extract(
            self.of.model, data, sites=list(self.sites), method=cl.Conductance(steps=STEPS),
            target=target, to=self.folder / f"{name}.zarr", batch_size=20,
        )  # fmt: skip

    @cached_property
    def found(self) -> cl.ContributionStore:
        """Contributions to the predicted class, counted from a grey image."""
        return self.store("found", cl.Predicted(), self.training)

    @cached_property
    def fixed(self) -> cl.ContributionStore:
        """Contributions to one fixed target for all images: the sum of the classes' logits."""
        return self.store("fixed", cl.Output(self.classes), self.training)

    def modes(self, site: str, seed: int, fixed: bool = False) -> Modes:
        """Twenty modes of contributions by NMF, positive and negative parts apart."""
        store = self.fixed if fixed else self.found
        return cl.decompose(store, cl.NMF(n_modes=MODES), sites=[site], seed=seed)[site]

    def activation_modes(self, site: str, seed: int, from_baseline: bool = False) -> Modes:
        """Twenty modes of activations by NMF, positive and negative parts apart in the same way.

        Mean activations over positions, or with `from_baseline` their differences from those at
        the baseline.
        """
        values = np.asarray(self.found.view(site, "activation"), np.float32)
        if from_baseline:
            place = one_site(self.of.model, site)
            rest = off_value(self.of.model, place, self.training[0], "baseline")
            values = values - place.units(torch.as_tensor(rest)).mean(dim=2).numpy()
        table = np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], axis=1)
        method = cl.NMF(n_modes=MODES).fit(table, seed=seed)
        return Modes(
            site, "concat", method, method.encode(table), labels=np.asarray(self.found.label)
        )


Part = Callable[[Data, str], list[dict[str, Any]]]


def curves(seed: int, kind: str, off: Any, wide: bool) -> Part:
    """Control curves of every class, with the off value that contributions count from, or 0.

    `wide` measures every control; otherwise only rankings that depend on the seed.
    """

    def part(data: Data, site: str) -> list[dict[str, Any]]:
        modes = data.modes(site, seed)
        activations = data.activation_modes(site, seed)
        departures = data.activation_modes(site, seed, from_baseline=True)

        def summed_activations(inputs: RankingInputs, members: Sequence[int]) -> Any:
            own = RankingInputs(inputs.model, activations, inputs.store)
            return replace(by_summed_modes(own, members), name="summed activation modes")

        # Activations have no sign with respect to the target, so their modes rank by strength, as
        # is published; the net entries are shown, too.
        controls: list[Any] = [
            "strength", "summed modes", strongest(activations, "activation modes"),
            by_modes_of(activations, "activation modes, net"),
            strongest(departures, "modes of activations from the baseline"), summed_activations,
        ]  # fmt: skip
        if wide:
            controls += ["class contrast", "gradient"]
        if wide and off == "baseline":
            controls += ["random", "best channels", "class mean"]
        found = control_curves(
            data.of.model, data.held_out, modes, classes=data.classes, kind=kind,
            fractions=FRACTIONS, off=off, baseline=0.0, controls=controls, store=data.found,
            training=data.training, trials=2, seed=seed,
            resamples=100,
        )  # fmt: skip
        return _rows(found, site, seed)

    return part


def strongest(modes: Modes, name: str) -> Callable[[RankingInputs, Sequence[int]], ByMode]:
    """A control: units by the strength of the mode that follows the class best."""

    def make(inputs: RankingInputs, members: Sequence[int]) -> ByMode:
        mode = mode_of(modes, members)
        return ByMode(mode, name, f"mode {mode.index} of {name}", "strength")

    return make


def _rows(found: ControlCurves, site: str, seed: int) -> list[dict[str, Any]]:
    rows = []
    for curve in found:
        for name, condition in zip(found.names, curve.conditions, strict=True):
            rows.append(
                {
                    "site": site, "seed": seed, "kind": curve.kind, "off": curve.off,
                    "class": curve.members[0], "condition": name,
                    "selectivity": float(condition.selectivity.value),
                    "logit_effect": float(condition.logit_effect.value),
                    "target": condition.target.value.tolist(),
                    "others": condition.others.value.tolist(),
                    "before": [float(curve.target_before.value), float(curve.others_before.value)],
                }
            )  # fmt: skip
    return rows


def strict(data: Data, site: str) -> list[dict[str, Any]]:
    """Curves of the controls that take long: a cluster's gradient, and a learned mask."""
    found = control_curves(
        data.of.model, data.held_out, data.modes(site, 0), classes=data.classes,
        fractions=FRACTIONS, off="baseline", baseline=0.0, store=data.found, resamples=100,
        training=data.training, controls=["k-means gradient", "learned mask"],
    )  # fmt: skip
    return [row for row in _rows(found, site, 0) if row["condition"] != "modes"]


def fixed_target(data: Data, site: str) -> list[dict[str, Any]]:
    """Curves of modes of contributions to one fixed target for all images."""
    found = control_curves(
        data.of.model, data.held_out, data.modes(site, 0), classes=data.classes,
        fractions=FRACTIONS, off="baseline", baseline=0.0, store=data.found, resamples=100,
        controls=[by_modes_of(data.modes(site, 0, fixed=True), "fixed target")],
    )  # fmt: skip
    return [row for row in _rows(found, site, 0) if row["condition"] == "fixed target"]


# What is removed, from which units: the mode's share by sign, and its two controls.
SHARES = (
    ("both signs", "both", "mode"),
    ("support", "positive", "mode"),
    ("opposition", "negative", "mode"),
    ("support, permuted units", "positive", "permuted"),
    ("support, the image's own units", "positive", "own"),
)


def shares(data: Data, site: str) -> list[dict[str, Any]]:
    """Exact removal of the share of each class's best mode, by sign, with controls."""
    x, labels = data.held_out
    place = one_site(data.of.model, site)
    stored = data.store("measured", cl.Predicted(), data.held_out)
    modes = data.modes(site, 0)
    parts = [torch.from_numpy(np.asarray(stored.view(site, view))) for view in
             ("positive", "negative", "activation")]  # fmt: skip
    found = _Stored(place, *parts)
    rest = off_value(data.of.model, place, x, "baseline")
    rows = []
    for which in data.classes:
        mode = mode_of(modes, [which])
        acts = [
            removal(modes, mode, found, baseline=rest, sign=sign, pattern=pattern)
            for _, sign, pattern in SHARES
        ]
        scores = outputs_under(data.of.model, x, acts, batch_size=len(x))
        hits = scores.argmax(axis=2) == labels.numpy()
        member = labels.numpy() == which
        for (name, _, _), hit in zip((("before", "", ""), *SHARES), hits, strict=True):
            rows.append(
                {"site": site, "class": which, "condition": name,
                 "target": float(hit[member].mean()), "others": float(hit[~member].mean())}
            )  # fmt: skip
    return rows


@dataclass(frozen=True)
class _Stored:
    """A store's rows of one site, as `removal` takes them."""

    site: Any
    positive: Tensor
    negative: Tensor
    activation: Tensor
    full: None = None


def targets(data: Data, site: str) -> list[dict[str, Any]]:
    """The correlation of each class's best mode with the class: own target, and a fixed one."""
    rows = []
    for name, modes in (
        ("each image's own class", data.modes(site, 0)),
        ("one fixed target", data.modes(site, 0, fixed=True)),
        ("activations", data.activation_modes(site, 0)),
    ):
        correlation = modes.class_correlation()[:, data.classes].max(axis=0)
        rows += [
            {"site": site, "class": which, "target": name, "r": float(r)}
            for which, r in zip(data.classes, correlation, strict=True)
        ]
    return rows


def pairs(data: Data, site: str) -> list[dict[str, Any]]:
    """Pairs of classes merged into one output: two rankings that should each hit one class."""
    rows = []
    for turn in (0, 1):
        asked = merged.pairs_of(data.classes, turn)
        rows += _answers(data, site, asked, turn)
    return rows


def superclasses(data: Data, site: str) -> list[dict[str, Any]]:
    """Groups of four classes merged into one output: two rankings that each hit two classes."""
    return _answers(data, site, halves.SUPERCLASSES, 0) if _is_imagenette(data) else []


def _answers(
    data: Data, site: str, asked: Sequence[merged.Pair], turn: int
) -> list[dict[str, Any]]:
    questions = merged.questions_of_pairs(data.of.model, data.training, data.merged, asked)
    return _measured(questions, site, turn)


def subclasses(data: Data, site: str) -> list[dict[str, Any]]:
    """Two halves of one class: two rankings that should each hit one half.

    Every second photograph of a half is used to find, the others to measure.
    """
    questions = []
    for place, output, names, members in halves.CLASSES if _is_imagenette(data) else ():
        sides = []
        for first in (0, 1):
            rows = [
                number * len(data.classes) + place for half in members for number in half[first::2]
            ]
            half = np.repeat([0, 1], [len(one[first::2]) for one in members])
            sides.append((data.of.images(rows), half))
        questions.append(merged.Question(data.of.model, output, names, *sides))
    return _measured(questions, site, 0)


def _measured(questions: Sequence[merged.Question], site: str, turn: int) -> list[dict[str, Any]]:
    return [
        {**row, "site": site, "pairing": turn}
        for question in questions
        for row in merged.measure(question, site, fractions=FRACTIONS)
    ]


def _is_imagenette(data: Data) -> bool:
    return data.of.name == "efficientnet-imagenette"


def all_parts(seeds: int) -> dict[str, Part]:
    """The parts by name, the most important first."""
    parts: dict[str, Part] = {
        "ablate-baseline-0": curves(0, "ablate", "baseline", True),
        "shares": shares,
        "ablate-zero-0": curves(0, "ablate", 0.0, True),
        "pairs": pairs,
        "superclasses": superclasses,
        "subclasses": subclasses,
        "preserve-baseline-0": curves(0, "preserve", "baseline", True),
        "targets": targets,
        "ablate-strict-0": strict,
        "ablate-fixed-0": fixed_target,
    }
    for seed in range(1, seeds):
        parts[f"ablate-baseline-{seed}"] = curves(seed, "ablate", "baseline", False)
    parts["preserve-zero-0"] = curves(0, "preserve", 0.0, True)
    return parts


def run(
    data: Data,
    sites: Sequence[str],
    seeds: int,
    only: Sequence[str] | None,
    tell: Callable[[str], None],
) -> None:
    """Measure every part that is not saved yet, part by part and site by site."""
    for name, part in all_parts(seeds).items():
        if only and not any(name.startswith(one) for one in only):
            continue
        for site in sites:
            file = data.folder / "parts" / f"{name}-{site}.json"
            if file.is_file():
                continue
            start, used = time.perf_counter(), time.process_time()
            rows = part(data, site)
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_suffix(".tmp")
            beside.write_text(json.dumps(rows))
            beside.replace(file)
            wall, cpu = time.perf_counter() - start, time.process_time() - used
            tell(f"{name} at {site}: {wall:.0f} s ({cpu:.0f} s of computing)")
