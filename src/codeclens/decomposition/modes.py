"""Modes: the recurring patterns of contributions at one site, with all that belongs to them."""

from __future__ import annotations

import difflib
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float, Float32, Int, Int64
from torch import Tensor

from codeclens.decomposition import files, hub, quality
from codeclens.decomposition.estimator import Array, Estimator
from codeclens.decomposition.matrices import View, check_view, signed_parts, units_of
from codeclens.decomposition.stability import sentence
from codeclens.errors import CodeclensError


@dataclass(frozen=True, eq=False, repr=False)
class Mode:
    """One mode: which units excite and suppress the target together, and in which samples.

    `positive` `(U,)` ≥ 0 and `negative` `(U,)` ≤ 0 are what one unit of loading contributes through
    each hidden unit, `weights` `(U,)` is their sum; `loadings` `(N,)` ≥ 0 says how strongly the
    mode is present in each sample. `share` is its share of the reconstructed contributions,
    `firing_rate` the share of samples with a loading above zero, and `best_class` the class whose
    indicator correlates best with the loadings, with that correlation (None without labels).
    `stability` is the cosine with which it is found again elsewhere (NaN where nobody looked).

    >>> mode = Mode("conv", 0, np.array([0.9, 0.0, 0.1]), np.array([0.0, -0.5, 0.0]), np.ones(4))
    >>> mode.weights, mode.top_units(count=2)
    (array([ 0.9, -0.5,  0.1]), array([0, 1]))
    """

    site: str
    index: int
    positive: Float[np.ndarray, " unit"]
    negative: Float[np.ndarray, " unit"]
    loadings: Float[np.ndarray, " sample"]
    share: float = float("nan")
    firing_rate: float = float("nan")
    best_class: tuple[str, float] | None = None
    stability: float = float("nan")

    @property
    def weights(self) -> Float[np.ndarray, " unit"]:
        """The net contribution of each unit, `positive + negative`, `(U,)`."""
        return np.asarray(self.positive + self.negative)

    def top_units(
        self, count: int | None = None, *, fraction: float | None = None
    ) -> Int64[np.ndarray, " top"]:
        """The units with the strongest entries, strongest first: so many, or a fraction of all.

        The strength of a unit is its larger entry, `max(positive, |negative|)`; equal ones come in
        the order of the units. A fraction above zero gives at least one. Raises CodeclensError
        unless exactly one of `count` (0 to U) and `fraction` (0 to 1) is given.
        """
        units = len(self.positive)
        if (count is None) == (fraction is None):
            given = "neither" if count is None else f"count={count} and fraction={fraction}"
            raise CodeclensError(f"Give either count or fraction of the units, not {given}.")
        if fraction is not None:
            if not 0 <= fraction <= 1:
                raise CodeclensError(f"fraction={fraction} is not between 0 and 1.")
            count = max(1, round(fraction * units)) if fraction > 0 else 0
        if not isinstance(count, int | np.integer) or not 0 <= count <= units:
            raise CodeclensError(
                f'count={count} is not a whole number from 0 to {units}, the units of "{self.site}"'
                "; for a share of them write fraction=."
            )
        strength = np.maximum(self.positive, -self.negative)
        return np.argsort(-strength, kind="stable")[:count].astype(np.int64)

    def __repr__(self) -> str:
        top = ", ".join(
            f"{unit} ({self.weights[unit]:+.2g})"
            for unit in self.top_units(count=min(3, len(self.positive)))
        )
        best = ""
        if self.best_class is not None:
            best = f', most like "{self.best_class[0]}" (r {self.best_class[1]:.2f})'
        return (
            f'Mode {self.index} of "{self.site}": {self.share:.1%} of the contributions, '
            f"in {self.firing_rate:.0%} of the samples{best}; strongest units {top}"
        )


class UnknownModeError(CodeclensError, IndexError):
    """There is no mode of that number."""


@dataclass(frozen=True, eq=False, repr=False)
class Modes(Sequence[Mode]):
    """The modes of one site, strongest first, with the samples' loadings and what made them.

    `method` is the fitted estimator, `view` the view of contributions that it decomposed.
    `loadings` is `(N, K)`; `labels` `(N,)` (−1 unknown), `classes` and `keys` `(N,)` name the
    samples where that is known. `quality` holds numbers, and arrays per mode or unit; `provenance`
    says where the modes come from. Raises CodeclensError where shapes do not belong together.

    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(200, 6)).astype(np.float32)
    >>> method = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> modes = Modes("conv1", "activation", method, method.encode(X), labels=np.arange(200) % 2)
    >>> modes.dictionary.shape[1], modes[0].positive.shape, modes.class_correlation().shape[1]
    (6, (6,), 2)
    """

    site: str
    view: View
    method: Estimator
    loadings: Float32[np.ndarray, "sample mode"]
    labels: Int[np.ndarray, " sample"] | None = None
    classes: tuple[str, ...] | None = None
    keys: np.ndarray[Any, Any] | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_view(self.view)
        n_modes, columns = self.dictionary.shape
        units_of(columns, self.view)
        if self.loadings.shape[1] != n_modes:
            raise CodeclensError(
                f'The loadings at "{self.site}" have {self.loadings.shape[1]} columns for '
                f"{n_modes} modes."
            )
        for name, rows in (("labels", self.labels), ("keys", self.keys)):
            if rows is not None and len(rows) != len(self.loadings):
                raise CodeclensError(
                    f"There are {len(rows)} {name} for the {len(self.loadings)} samples "
                    f'at "{self.site}".'
                )

    @cached_property
    def dictionary(self) -> Float32[np.ndarray, "mode column"]:
        """The modes, one a row, in the columns of the view, `(K, D)`."""
        return self.method.dictionary

    @property
    def n_units(self) -> int:
        """The number of units U of the site."""
        return units_of(self.dictionary.shape[1], self.view)

    @property
    def positive(self) -> Float[np.ndarray, "mode unit"]:
        """Excitation by each unit in each mode, `(K, U)` ≥ 0."""
        return self._parts[0]

    @property
    def negative(self) -> Float[np.ndarray, "mode unit"]:
        """Suppression by each unit in each mode, `(K, U)` ≤ 0."""
        return self._parts[1]

    @property
    def weights(self) -> Float[np.ndarray, "mode unit"]:
        """Net contribution of each unit in each mode, `(K, U)`."""
        return np.asarray(self.positive + self.negative)

    @property
    def r2(self) -> float:
        """R² about the mean on samples that were held out of training (NaN if not measured)."""
        return float(self.quality.get("r2", np.nan))

    @property
    def l0(self) -> float:
        """Mean number of modes that are present in a sample."""
        return float(self.quality.get("l0", quality.l0(self.loadings)))

    @cached_property
    def share(self) -> Float[np.ndarray, " mode"]:
        """Each mode's share of the reconstructed contributions, `(K,)`."""
        return quality.loading_share(self.loadings, self.dictionary)

    @cached_property
    def firing_rate(self) -> Float[np.ndarray, " mode"]:
        """The share of samples in which each mode is present, `(K,)`."""
        return quality.firing_rate(self.loadings)

    @property
    def stability(self) -> Float[np.ndarray, " mode"]:
        """How well each mode is found again, `(K,)`: with other seeds or in halves, the lower.

        NaN where `decompose` was not asked for either (method.md §3).
        """
        known = [self.quality[name] for name in STABILITY if name in self.quality]
        return np.fmin.reduce(known) if known else np.full(len(self), np.nan)

    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of new data in the same view, `(N, D)`.

        Raises CodeclensError where the columns are not those of this site and view.
        """
        return self.method.encode(X)

    def project(
        self, positive: Array, negative: Array | None = None
    ) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of new contributions: `(N, U)` each, signs as they are.

        `positive` ≥ 0 and `negative` ≤ 0 are those of `contributions(…)[site]`. A view of one sign
        takes its own, the view "activation" the activations, as the first argument. Raises
        CodeclensError where the units are not those of this site, or a sign is missing.
        """
        given = [positive] if negative is None else [positive, negative]
        wanted = 2 if self.view in ("concat", "sum") else 1
        if len(given) != wanted:
            raise CodeclensError(
                f'The modes of "{self.site}" are of the view "{self.view}", which takes '
                f"{'both signs' if wanted == 2 else 'one array'}, not {len(given)}."
            )
        arrays = [np.asarray(x.detach().cpu()) if isinstance(x, Tensor) else x for x in given]
        for name, array in zip(("positive", "negative"), arrays, strict=False):
            if array.ndim != 2 or array.shape[1] != self.n_units or len(array) != len(arrays[0]):
                raise CodeclensError(
                    f'`{name}` has shape {array.shape}; "{self.site}" has {self.n_units} units, so '
                    f"it must be ({len(arrays[0])}, {self.n_units})."
                )
        if self.view == "concat":
            return self.encode(np.concatenate([arrays[0], 0 - arrays[1]], axis=1))
        return self.encode(sum(arrays[1:], arrays[0]))

    def decode(self, Z: Array) -> Float32[np.ndarray, "sample column"]:
        """What loadings `(N, K)` make together, in the columns of the view."""
        return self.method.decode(Z)

    def class_correlation(self) -> Float[np.ndarray, "mode class"]:
        """Correlation of each mode's loadings with each class's indicator, `(K, classes)`.

        NaN for classes without samples; samples of unknown class are left out (method.md §4).
        Raises CodeclensError where there are no labels.
        """
        return self._class_correlation

    def for_class(self, which: str | int) -> Mode:
        """The mode whose loadings correlate best with a class, by its name or index.

        Raises CodeclensError, with the nearest names, where there is no such class, where it has
        no samples, and where there are no labels (method.md §5).
        """
        correlation = self.class_correlation()[:, self._class_index(which)]
        if np.isnan(correlation).all():
            raise CodeclensError(
                f'No mode of "{self.site}" can be correlated with class {which!r}: none or all '
                f"of the {len(self.loadings)} samples are of that class."
            )
        return self[int(np.nanargmax(correlation))]

    def sorted(
        self, key: str | Callable[[Mode], float] = "share", *, descending: bool = True
    ) -> list[Mode]:
        """The modes in another order: by one of `share`, `firing_rate`, `stability`, or a function.

        Modes whose stability is unknown come last. Raises CodeclensError for another word.
        """
        if isinstance(key, str) and key not in ("share", "firing_rate", "stability"):
            raise CodeclensError(
                f'Modes cannot be sorted by "{key}"; write "share", "firing_rate", "stability" or '
                "a function."
            )
        by = operator.attrgetter(key) if isinstance(key, str) else key
        known = [mode for mode in self if not np.isnan(by(mode))]
        unknown = [mode for mode in self if np.isnan(by(mode))]
        return sorted(known, key=by, reverse=descending) + unknown

    def table(self) -> list[dict[str, Any]]:
        """One row for each mode, plain numbers: which to trust, and what they are about.

        `r2` is that of all modes of the site together, `sparsity` is Hoyer's over the entries,
        `redundancy` the largest cosine with another mode; `dead` and `dense` say whether it is
        present in no sample or in more than half.
        """
        return table(self)

    def stability_sentence(self) -> str:
        """How many modes are found again, in words; empty where nobody looked."""
        return stability_sentence(self)

    def caution(self) -> str:
        """What to know before trusting these modes, in words; empty where nothing is.

        Said where R² on held-out samples is far below that on the samples that trained them.
        """
        return caution(self)

    def describe(self, count: int = 10) -> str:
        """A table of the strongest modes, for people to read."""
        return describe(self, count)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write `path.safetensors` and `path.json`, whole or not at all; returns the first.

        The encoder is written too, so that loaded modes encode exactly as these do. Raises
        CodeclensError where the quality or provenance cannot be written as JSON.
        """
        return files.write(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Modes:
        """Read what `save` wrote; raises CodeclensError where the files are missing or damaged."""
        return cls(**files.read(path))

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload these modes with a card that describes them; see `push_to_hub`."""
        return hub.push_to_hub({self.site: self}, repo_id, **options)

    @classmethod
    def from_hub(cls, repo_id: str, site: str | None = None, **options: Any) -> Modes:
        """The modes of one site of a repository, or of its only one; see `from_hub`."""
        return hub.one_of(hub.from_hub(repo_id, **options), repo_id, site)

    def __len__(self) -> int:
        return len(self.dictionary)

    @overload
    def __getitem__(self, index: int) -> Mode: ...
    @overload
    def __getitem__(self, index: slice) -> list[Mode]: ...
    def __getitem__(self, index: int | slice) -> Mode | list[Mode]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise UnknownModeError(
                f'There is no mode {number} at "{self.site}": it has {len(self)} modes '
                f"(0 to {len(self) - 1})."
            )
        number %= len(self)
        return Mode(
            site=self.site,
            index=number,
            positive=self.positive[number],
            negative=self.negative[number],
            loadings=self.loadings[:, number],
            share=float(self.share[number]),
            firing_rate=float(self.firing_rate[number]),
            best_class=self._best_class(number),
            stability=float(self.stability[number]),
        )

    def __repr__(self) -> str:
        measured = f", R² {self.r2:.3f}" if np.isfinite(self.r2) else ""
        return (
            f'Modes of "{self.site}" ({self.view}): {len(self)} modes of {self.n_units} units, '
            f"{len(self.loadings)} samples{measured}, {self.l0:.1f} modes a sample, {self.method!r}"
        )

    @cached_property
    def _parts(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return signed_parts(self.dictionary, self.view)

    @cached_property
    def _class_correlation(self) -> np.ndarray[Any, Any]:
        if self.labels is None or not (self.labels >= 0).any():
            raise CodeclensError(
                f'The modes of "{self.site}" carry no labels, so nothing is known about classes; '
                "extract with labels first."
            )
        return quality.indicator_correlation(self.loadings, self.labels, self._n_classes)

    @property
    def _n_classes(self) -> int:
        if self.classes is not None:
            return len(self.classes)
        return 0 if self.labels is None else int(self.labels.max(initial=-1)) + 1

    def _class_index(self, which: str | int) -> int:
        if isinstance(which, str):
            if self.classes is None:
                raise CodeclensError(
                    f'The classes at "{self.site}" have no names; give the index of "{which}".'
                )
            if which not in self.classes:
                near = difflib.get_close_matches(which, self.classes, n=3, cutoff=0.0)
                offered = ", ".join(f'"{name}"' for name in near)
                raise CodeclensError(
                    f'There is no class "{which}"; the nearest names are {offered}.'
                )
            return self.classes.index(which)
        if not 0 <= which < self._n_classes:
            raise CodeclensError(
                f"There is no class {which}: there are {self._n_classes} classes "
                f"(0 to {self._n_classes - 1})."
            )
        return operator.index(which)

    def _best_class(self, number: int) -> tuple[str, float] | None:
        if self.labels is None or not (self.labels >= 0).any():
            return None
        correlation = self.class_correlation()[number]
        if np.isnan(correlation).all():
            return None
        best = int(np.nanargmax(correlation))
        name = f"class {best}" if self.classes is None else self.classes[best]
        return name, float(correlation[best])


# What `Modes.quality` says of how well each mode is found again, and where.
STABILITY = {"stability_seeds": "other seeds", "stability_halves": "halves of the samples"}

# More R² than this between samples that were seen and others: modes were learned by heart.
_GAP = 0.1


def table(modes: Modes) -> list[dict[str, Any]]:
    """One row for each mode, plain numbers."""
    redundancy = quality.redundancy(modes.dictionary)
    sparsity = quality.mode_sparsity(modes.dictionary)
    unknown = np.full(len(modes), np.nan)
    stability = {name: modes.quality.get(name, unknown) for name in STABILITY}
    labelled = modes.labels is not None and (modes.labels >= 0).any()
    rows = []
    for mode in modes:
        number = mode.index
        row: dict[str, Any] = {
            "site": modes.site,
            "mode": number,
            "r2": modes.r2,
            "share": mode.share,
            "firing_rate": mode.firing_rate,
            "dead": mode.firing_rate == 0,
            "dense": mode.firing_rate > 0.5,
            "sparsity": float(sparsity[number]),
            "redundancy": float(redundancy[number]),
            **{name: float(values[number]) for name, values in stability.items()},
            "top_units": " ".join(str(u) for u in mode.top_units(min(5, modes.n_units))),
        }
        if labelled:
            row["class"], row["class_correlation"] = mode.best_class or ("", float("nan"))
        rows.append(row)
    return rows


def stability_sentence(modes: Modes) -> str:
    """How many modes are found again, in words; empty where nobody looked."""
    again = {told: modes.quality[name] for name, told in STABILITY.items() if name in modes.quality}
    by_chance = float(modes.quality.get("stability_chance", np.nan))
    return sentence(modes.share, again, by_chance) if again else ""


def caution(modes: Modes) -> str:
    """What to know before trusting modes that explain less of new samples; empty where none is due.

    Modes learn single samples by heart where there are few samples for each.
    """
    held_out, trained = modes.r2, float(modes.quality.get("r2_train", np.nan))
    samples = int(modes.quality.get("samples_train", 0))
    if not trained - held_out > _GAP:
        return ""
    return (
        f"R² is {held_out:.2f} on held-out samples and {trained:.2f} on those trained on: "
        f'{samples:,} samples are few for {len(modes)} modes of "{modes.site}"; take more '
        "samples, or fewer modes."
    )


def describe(modes: Modes, count: int) -> str:
    """The strongest modes, a line each."""
    lines = [repr(modes), *filter(None, (stability_sentence(modes), caution(modes)))]
    heads = f"{'mode':>6} {'share':>7} {'samples':>8} {'stable':>7}  best class and top units"
    lines.append(heads)
    for mode in modes[:count]:
        best = "" if mode.best_class is None else f"{mode.best_class[0]} ({mode.best_class[1]:.2f})"
        units = ", ".join(str(unit) for unit in mode.top_units(count=min(5, modes.n_units)))
        stable = "–" if np.isnan(mode.stability) else f"{mode.stability:.2f}"
        lines.append(
            f"{mode.index:>6} {mode.share:>7.1%} {mode.firing_rate:>8.0%} {stable:>7}  "
            f"{best:<24} {units}"
        )
    if len(modes) > count:
        lines.append(f"{'…':>6} and {len(modes) - count} more")
    return "\n".join(lines)
