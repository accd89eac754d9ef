"""The sections on a store: its completeness and its provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from codeclens.analysis.correlations import best_follower
from codeclens.attribution.target_forms import described_target
from codeclens.attribution.targets import target_words
from codeclens.decomposition import Modes
from codeclens.errors import counted
from codeclens.extraction import ContributionStore
from codeclens.pages.document import Block, Facts, Section, Table, Text
from codeclens.pages.words import Cell, percent

SOURCES = ("modes", "contributions", "activations")


@dataclass(frozen=True)
class ClassSelectivity:
    """The class selectivity at one site, `(classes,)` each, NaN where it is unknown.

    For modes, for net contributions and for activations of single units: the correlation of the
    class's indicator with the best mode or unit for that class. It is selected on one half of the
    samples and evaluated on the other, because the best of many correlates by chance. `candidates`
    holds the number of modes or units among which it was selected.
    """

    site: str
    modes: Float[np.ndarray, " class"]
    contributions: Float[np.ndarray, " class"]
    activations: Float[np.ndarray, " class"]
    candidates: dict[str, int]

    def mean(self, source: str) -> float:
        """The mean over classes with samples in both halves."""
        values = getattr(self, source)
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def class_selectivity(
    store: ContributionStore, modes: dict[str, Modes], seed: int = 0
) -> list[ClassSelectivity]:
    """The class selectivity at every site with modes; empty without labels."""
    labels = np.asarray(store.label)
    if not (labels >= 0).any():
        return []
    classes = int(labels.max()) + 1 if store.classes is None else len(store.classes)
    half = np.random.default_rng(seed).permutation(len(labels)) % 2 == 0
    found = []
    for site, one in modes.items():
        values = {
            "modes": one.loadings,
            "contributions": store.view(site, "sum"),
            "activations": store.view(site, "activation"),
        }
        best = {name: best_follower(v, labels, classes, half) for name, v in values.items()}
        candidates = {name: v.shape[1] for name, v in values.items()}
        found.append(ClassSelectivity(site, **best, candidates=candidates))
    return found


# Gaps below 0.1 % count as none.
_EXACT = 0.001


@dataclass(frozen=True)
class Gap:
    """The gap ΣC − (T(x) − T(x0)) at one site, as a share of the median change of the target.

    `median` and `high` are the median and the 95th percentile of the magnitude over `samples`; both
    are NaN where the site is not a cut or the method has no baseline.
    """

    site: str
    is_cut: bool
    median: float
    high: float
    samples: int

    @property
    def known(self) -> bool:
        """Whether the gap of the site is known."""
        return not np.isnan(self.median)


def gaps(store: ContributionStore) -> list[Gap]:
    """The completeness gap of every site of a store, in the order of depth."""
    change = np.abs(np.asarray(store.target) - np.asarray(store.baseline_target))
    # Without samples or without a baseline the gap is unknown.
    scale = float(np.median(change)) if len(change) else float("nan")
    found = []
    for site in store.sites:
        size = np.abs(np.asarray(store.completeness(site), np.float64))
        size = size[np.isfinite(size)]
        if len(size) and scale > 0:
            median, high = (float(q) for q in np.quantile(size, [0.5, 0.95]) / scale)
        else:
            median = high = float("nan")
        found.append(Gap(site, store.is_cut(site), median, high, len(size)))
    return found


def gap_sentence(found: list[Gap]) -> str:
    """One sentence on the largest gap, or on why there is none.

    >>> gap_sentence([Gap("a", True, 0.021, 0.09, 100), Gap("b", True, 0.004, 0.01, 100)])
    'Contributions of a cut sum to the change of the target. The median gap is largest at `a`:
    2.1 % of the change (95th percentile 9.0 %), and smallest at `b`: 0.4 %.'
    """
    known = [gap for gap in found if gap.known]
    if not known:
        why = (
            "no site is a cut that every path passes"
            if not any(gap.is_cut for gap in found)
            else "the method has no baseline"
        )
        return f"The sums of contributions cannot be checked: {why}."
    worst = max(known, key=lambda gap: gap.median)
    widest = max(known, key=lambda gap: gap.high)
    if widest.high < _EXACT:
        return (
            "Contributions of a cut sum to the change of the target: at "
            f"{counted(len(known), 'cut')} the gap is below 0.1 % in 95 % of samples."
        )
    best = min(known, key=lambda gap: gap.median)
    largest = "largest at" if len(known) > 1 else "at"
    text = (
        f"Contributions of a cut sum to the change of the target. The median gap is {largest} "
        f"`{worst.site}`: {percent(worst.median, 1)} of the change (95th percentile "
        f"{percent(worst.high, 1)})"
    )
    if len(known) > 1:
        text += f", and smallest at `{best.site}`: {percent(best.median, 1)}"
    return f"{text}."


def estimate_sentence(estimate: np.ndarray, steps: np.ndarray) -> str:
    """One sentence on the error that a method with a tolerance estimates; empty without one.

    >>> estimate_sentence(np.array([0.02, 0.01, 0.04, 0.03]), np.array([8, 8, 16, 32]))
    'The method took 8 to 32 steps a sample (median 12). In the last doubling of the steps the
    contributions changed by 2.5 % in the median sample and by 3.9 % at the 95th percentile, which
    estimates their error. Exact sums alone do not.'
    """
    known = np.isfinite(estimate) & (steps > 0)
    if not known.any():
        return ""
    median, high = np.quantile(estimate[known], [0.5, 0.95])
    few, middle, many = np.quantile(steps[known], [0, 0.5, 1])
    return (
        f"The method took {few:.0f} to {many:.0f} steps a sample (median {middle:.0f}). In the "
        f"last doubling of the steps the contributions changed by {percent(float(median), 1)} in "
        f"the median sample and by {percent(float(high), 1)} at the 95th percentile, which "
        "estimates their error. Exact sums alone do not."
    )


def completeness_section(store: ContributionStore) -> Section:
    """The section on the gap between sums of contributions and changes of the target."""
    found = gaps(store)
    rows: list[list[Cell]] = [
        [
            gap.site,
            store.units(gap.site),
            "yes" if gap.is_cut else "no",
            percent(gap.median, 1) if gap.known else None,
            percent(gap.high, 1) if gap.known else None,
        ]
        for gap in found
    ]
    bypassed = sum(not gap.is_cut for gap in found)
    note = (
        f" {bypassed} of {len(found)} sites are not cuts: their sums lack paths that bypass them."
        if bypassed
        else ""
    )
    caption = (
        "Magnitude of the gap between the sum of contributions and the change of the target, as a "
        f"share of the median change, over {max((gap.samples for gap in found), default=0):,} "
        f"samples.{note}"
    )
    header = ["site", "units", "cut", "gap, median", "gap, 95th percentile"]
    finding = gap_sentence(found)
    texts = [Text(finding)]
    estimate = estimate_sentence(np.asarray(store.estimate), np.asarray(store.steps))
    if estimate:
        texts.append(Text(estimate))
    return Section("Do the contributions add up?", [*texts, Table(header, rows, caption)], finding)


_SHOWN_SKIPPED = 10
_SHOWN_DIGITS = 16


def provenance_section(
    store: ContributionStore, more: Sequence[tuple[str, Cell]] = (), notes: Sequence[str] = ()
) -> Section:
    """The section on the provenance of the numbers of a page; `more` facts come last."""
    settings = store.metadata["settings"]
    facts: list[tuple[str, Cell]] = [
        ("model", model_words(settings["model"])),
        ("data", data_words(settings["data"])),
        ("samples", samples_words(store)),
        ("sites", ", ".join(f"`{site}`" for site in store.sites)),
        ("method", f"`{call_words(settings['method'])}`"),
        ("target", f"{explained_words(settings)}, `{call_words(settings['target'])}`"),
        ("baseline", f"`{call_words(settings['baseline'])}`"),
        ("completeness", gap_sentence(gaps(store))),
        ("extracted", store.metadata["created"]),
        ("versions", versions_words(store.metadata["versions"])),
        *more,
    ]
    skipped = [f"`{key}` was skipped: {reason}." for key, reason in store.skipped[:_SHOWN_SKIPPED]]
    if len(store.skipped) > _SHOWN_SKIPPED:
        skipped.append(f"{len(store.skipped) - _SHOWN_SKIPPED:,} more samples were skipped.")
    blocks: list[Block | Section] = [
        Facts(facts),
        *(Text(note, "small") for note in (*skipped, *notes)),
    ]
    return Section("Where the numbers come from", blocks)


def samples_words(store: ContributionStore) -> str:
    """The numbers of samples, of skipped samples and of labels."""
    labelled = int((store.label >= 0).sum())
    text = f"{len(store):,}"
    if store.skipped:
        text += f"; {len(store.skipped):,} more could not be used"
    if not store.finished:
        text += "; the extraction is not finished"
    if labelled < len(store):
        text += f"; {labelled:,} have a label" if labelled else "; none has a label"
    return text


def model_words(model: Mapping[str, Any]) -> str:
    """The class of the model, and the beginning of the digest of its weights."""
    return f"{model['class']}, state `{str(model['state'])[:_SHOWN_DIGITS]}…`"


def data_words(data: Mapping[str, Any]) -> str:
    """The kind of data, and what identifies it.

    >>> data_words({"kind": "array", "samples": 5000, "shape": [5000, 1, 28, 28], "content": "ab"})
    'array of 5,000 samples, 1 × 28 × 28, content `ab…`'
    """
    text = f"{data['kind']} of {counted(data['samples'], 'sample')}"
    if "shape" in data:
        text += f", {' × '.join(str(size) for size in data['shape'][1:])}"
    for name in ("content", "pixels", "files"):
        if name in data:
            return f"{text}, {name} `{str(data[name])[:_SHOWN_DIGITS]}…`"
    return text


def explained_words(settings: Mapping[str, Any]) -> str:
    """What a store's contributions explain, by its settings: "the logit of output 3"."""
    return target_words(described_target(settings["target"]), settings.get("classes"))


def call_words(description: Any) -> str:
    """The call that makes a described object.

    >>> call_words({"class": "Conductance", "steps": 10, "rule": "left"})
    "Conductance(steps=10, rule='left')"
    """
    if not isinstance(description, Mapping):
        return str(description)
    options = ", ".join(f"{k}={v!r}" for k, v in description.items() if k != "class")
    return f"{description.get('class', 'a function')}({options})"


def versions_words(versions: Mapping[str, str]) -> str:
    """Packages and their versions."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def lead(store: ContributionStore, modes: Mapping[str, Modes]) -> str:
    """What was done, in one sentence or two."""
    units = sum(store.units(site) for site in store.sites)
    settings = store.metadata["settings"]
    text = (
        f"The network ({settings['model']['class']}) was analysed on "
        f"{counted(len(store), 'sample')}. For each of {counted(units, 'hidden unit')} at "
        f"{counted(len(store.sites), 'site')} the contribution to "
        f"{explained_words(settings)} was computed."
    )
    if modes:
        found = sum(len(one) for one in modes.values())
        text += f" The contributions were decomposed into {counted(found, 'mode')}."
    return text
