"""Modes: the recurring patterns of contributions at one site, with their loadings and quality."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64, Num, UInt8
from torch import Tensor

from codeclens.decomposition import quality
from codeclens.decomposition.estimator import Array, Estimator, Fitted
from codeclens.decomposition.face_files import decoded, divided, joined
from codeclens.decomposition.loadings import Loadings, packed, unpacked
from codeclens.decomposition.matrices import View, check_view, signed_parts, units_of
from codeclens.decomposition.pairs import Kind, larger, paths, read_pair, smaller, write_pair
from codeclens.decomposition.registry import method_class
from codeclens.decomposition.stability import sentence
from codeclens.decomposition.training import under
from codeclens.errors import (
    CodeclensError,
    as_sentence,
    counted,
    require_number,
    unknown,
    wrong_shape,
)
from codeclens.labelled import Labelled, labels, table_html, table_text

if TYPE_CHECKING:
    import pandas
    import xarray

# Version 1 kept all loadings as one dense array.
_FILE = Kind("codeclens modes", 2, "modes", older=(1,))
# Entries of `Modes.quality` on how reproducible each mode is, and the fits that were compared.
STABILITY = {"stability_seeds": "other seeds", "stability_halves": "halves of the samples"}
# A larger difference of R² between training and held-out samples is overfitting.
_GAP = 0.1
# Facts of a file that are words for each mode; older files have none.
_WORDS = ("names", "evidence")
# Columns that are shown if modes are printed.
_SHOWN = ["mode", "share", "firing_rate", "stability", "class", "class_correlation", "top_units"]


@dataclass(frozen=True, eq=False, repr=False)
class Mode:
    """One mode: hidden units that excite or suppress the target together, and in which samples.

    `positive` `(U,)` ≥ 0 and `negative` `(U,)` ≤ 0 are the contributions of each hidden unit for a
    loading of 1, `weights` `(U,)` is their sum; `loadings` `(N,)` ≥ 0 is how strongly the mode is
    active in each sample, read from the `source`, these very numbers or the loadings of all modes
    of the site. `share` is its share of the reconstructed contributions, `firing_rate` the share of
    samples with a loading above zero, and `best_class` the class whose indicator
    correlates best with the loadings, with that correlation (None without labels). `stability` is
    the cosine with its partner in other fits (NaN where there are none). `direction` `(U,)` is what
    the mode looks like in activations, at its typical loading (the mean where it is active): the
    slope of mean activations over loadings, times that loading; None where it was not computed.
    `name` and `evidence` say what the mode was found to follow ("" where it has no name),
    `named_from` from which loading on the name holds, and `picture` is its face as the bytes of an
    image file.

    >>> mode = Mode("conv", 0, np.array([0.9, 0.0, 0.1]), np.array([0.0, -0.5, 0.0]), np.ones(4))
    >>> mode.weights, mode.top_units(count=2)
    (array([ 0.9, -0.5,  0.1]), array([0, 1]))
    """

    site: str
    index: int
    positive: Float[np.ndarray, " unit"]
    negative: Float[np.ndarray, " unit"]
    source: Num[np.ndarray, " sample"] | Loadings
    share: float = float("nan")
    firing_rate: float = float("nan")
    best_class: tuple[str, float] | None = None
    stability: float = float("nan")
    direction: Float[np.ndarray, " unit"] | None = None
    name: str = ""
    evidence: str = ""
    named_from: float = 0.0
    picture: bytes | None = None

    @property
    def face(self) -> UInt8[np.ndarray, "row column 3"] | None:
        """A small picture that drives the mode, from `mode_faces`; None where there is none."""
        return None if self.picture is None else decoded(self.picture)

    @property
    def loadings(self) -> Num[np.ndarray, " sample"]:
        """How strongly the mode is active in each sample, `(N,)`."""
        source = self.source
        return np.asarray(source[:, self.index]) if isinstance(source, Loadings) else source

    @property
    def weights(self) -> Float[np.ndarray, " unit"]:
        """The net contribution of each unit, `positive + negative`, `(U,)`."""
        return np.asarray(self.positive + self.negative)

    def top_units(
        self, count: int | None = None, *, fraction: float | None = None
    ) -> Int64[np.ndarray, " top"]:
        """The units with the strongest entries, strongest first: a count, or a fraction of all.

        The strength of a unit is its larger entry, `max(positive, |negative|)`; equal units keep
        their order. A fraction above zero gives at least one unit. Raises CodeclensError unless
        exactly one of `count` (0 to U) and `fraction` (0 to 1) is given.
        """
        units = len(self.positive)
        if (count is None) == (fraction is None):
            given = "neither" if count is None else f"count={count} and fraction={fraction}"
            raise CodeclensError(f"Give either count or fraction of the units, not {given}.")
        if fraction is not None:
            require_number("fraction", fraction, least=0, most=1)
            count = max(1, round(fraction * units)) if fraction > 0 else 0
        hint = f'"{self.site}" has {units} units; for a share of them write fraction='
        require_number("count", count, least=0, most=units, whole=True, hint=hint)
        assert count is not None
        strength = np.maximum(self.positive, -self.negative)
        return np.argsort(-strength, kind="stable")[: int(count)].astype(np.int64)

    def __repr__(self) -> str:
        top = ", ".join(
            f"{unit} ({self.weights[unit]:+.2g})"
            for unit in self.top_units(count=min(3, len(self.positive)))
        )
        best = ""
        if self.best_class is not None:
            best = f', best class "{self.best_class[0]}" (r = {self.best_class[1]:.2f})'
        return (
            f'Mode {self.index} of "{self.site}": {self.share:.1%} of the contributions, '
            f"in {self.firing_rate:.0%} of the samples{best}; strongest units {top}"
        )


class UnknownModeError(CodeclensError, IndexError):
    """There is no mode with that number."""


@dataclass(frozen=True, eq=False, repr=False)
class Modes(Labelled, Sequence[Mode]):
    """The modes of one site, strongest first, with the loadings of the samples.

    `fitted` is what a method learned from the contributions in a `view`. `loadings` `(N, K)` are
    Loadings, sparse in memory and read like an array; dense or sparse arrays are converted.
    `labels` `(N,)` (−1 unknown), `classes` and `keys` `(N,)` describe the samples where they are
    known. `quality` holds numbers, and arrays per mode or unit; `provenance` records the origin of
    the modes. Where known, `names` are what modes follow ("" for none), `evidence` why, and `faces`
    pictures as bytes of image files (b"": none). Raises CodeclensError if shapes do not match.

    >>> from codeclens.decomposition import TopK
    >>> X = np.random.default_rng(0).gamma(0.3, size=(200, 6)).astype(np.float32)
    >>> fitted = TopK(n_modes=8, k=3, epochs=2).fit(X)
    >>> modes = Modes("conv1", "activation", fitted, fitted.encode(X), labels=np.arange(200) % 2)
    >>> modes.dictionary.shape[1], modes[0].positive.shape, modes.class_correlation().shape[1]
    (6, (6,), 2)
    """

    site: str
    view: View
    fitted: Fitted
    loadings: Loadings | Float32[np.ndarray, "sample mode"]
    labels: Int[np.ndarray, " sample"] | None = None
    classes: tuple[str, ...] | None = None
    keys: np.ndarray[Any, Any] | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    evidence: tuple[str, ...] | None = None
    faces: tuple[bytes, ...] | None = None

    def __post_init__(self) -> None:
        check_view(self.view)
        object.__setattr__(self, "loadings", Loadings.of(self.loadings))
        n_modes, columns = self.dictionary.shape
        units_of(columns, self.view)
        if self.loadings.shape[1] != n_modes:
            raise CodeclensError(
                f'The loadings at "{self.site}" have {self.loadings.shape[1]} columns for '
                f"{n_modes} modes."
            )
        samples, modes = (len(self.loadings), "samples"), (n_modes, "modes")
        wanted = dict.fromkeys(("labels", "keys"), samples)
        for name, (count, what) in (wanted | dict.fromkeys((*_WORDS, "faces"), modes)).items():
            given = getattr(self, name)
            if given is not None and len(given) != count:
                raise CodeclensError(
                    f'There are {len(given)} {name} for the {count} {what} at "{self.site}".'
                )

    @cached_property
    def dictionary(self) -> Float32[np.ndarray, "mode column"]:
        """The modes, one per row, in the columns of the view, `(K, D)`."""
        return self.fitted.dictionary

    @property
    def method(self) -> Estimator:
        """The estimator that found the modes."""
        return self.fitted.method

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
        """Mean number of modes that are active in a sample."""
        return float(self.quality.get("l0", quality.l0(self.loadings)))

    @cached_property
    def share(self) -> Float[np.ndarray, " mode"]:
        """Each mode's share of the reconstructed contributions, `(K,)`."""
        return quality.loading_share(self.loadings, self.dictionary)

    @cached_property
    def firing_rate(self) -> Float[np.ndarray, " mode"]:
        """The share of samples in which each mode is active, `(K,)`."""
        return quality.firing_rate(self.loadings)

    @property
    def stability(self) -> Float[np.ndarray, " mode"]:
        """The cosine of each mode with its partner in fits of other seeds or of halves, `(K,)`.

        The lower of the two; NaN where `decompose` made neither (method.md §3).
        """
        known = [self.quality[name] for name in STABILITY if name in self.quality]
        return np.fmin.reduce(known) if known else np.full(len(self), np.nan)

    def encode(self, X: Array) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of new data in the same view, `(N, D)`.

        Raises CodeclensError if the number of columns differs.
        """
        return self.fitted.encode(X)

    def project(
        self, positive: Array, negative: Array | None = None
    ) -> Float32[np.ndarray, "sample mode"]:
        """The loadings `(N, K)` of new contributions, `(N, U)` each with their signs.

        `positive` ≥ 0 and `negative` ≤ 0 are those of `contributions(…)[site]`. Modes of a view of
        one sign take that sign alone, and modes of the view "activation" the activations, as the
        first argument. Raises CodeclensError if the number of units differs or a sign is
        missing.
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
                wanted_shape = f"({len(arrays[0])}, {self.n_units})"
                raise wrong_shape(name, array.shape, wanted_shape, f'the units of "{self.site}"')
        if self.view == "concat":
            return self.encode(np.concatenate([arrays[0], 0 - arrays[1]], axis=1))
        return self.encode(sum(arrays[1:], arrays[0]))

    def decode(self, Z: Array) -> Float32[np.ndarray, "sample column"]:
        """The reconstruction from loadings `(N, K)`, in the columns of the view."""
        return self.fitted.decode(Z)

    def class_correlation(self) -> Float[np.ndarray, "mode class"]:
        """Correlation of each mode's loadings with each class's indicator, `(K, classes)`.

        NaN for classes without samples; samples of unknown class are left out (method.md §4).
        Raises CodeclensError if there are no labels.
        """
        if not self._labelled:
            raise CodeclensError(
                f'The modes of "{self.site}" have no class labels; extract with labels first.'
            )
        return self._class_correlation

    def for_class(self, which: str | int) -> Mode:
        """The mode whose loadings correlate best with a class, by its name or index.

        Raises CodeclensError if there is no such class, where it has no samples, and where there
        are no labels (method.md §5).
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
        """The modes in another order: by `share`, `firing_rate`, `stability`, or a function.

        Modes for which the number is NaN come last. Raises CodeclensError for another key.
        """
        known = ("share", "firing_rate", "stability")
        if isinstance(key, str) and key not in known:
            raise unknown("order of modes", key, known)
        by = operator.attrgetter(key) if isinstance(key, str) else key
        finite = [mode for mode in self if not np.isnan(by(mode))]
        return sorted(finite, key=by, reverse=descending) + [m for m in self if np.isnan(by(m))]

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per mode: how reliable it is, its strongest units, and its best class.

        `r2` is that of all modes of the site together, `sparsity` is Hoyer's over the entries,
        `redundancy` the largest cosine with another mode; `dead` and `dense` modes are active in
        no sample or in more than half of them. Classes are there where the samples have labels.
        """
        import pandas

        missing = np.full(len(self), np.nan)
        units = [mode.top_units(min(5, self.n_units)) for mode in self]
        table = {
            "site": self.site,
            "mode": np.arange(len(self)),
            "r2": self.r2,
            "share": self.share,
            "firing_rate": self.firing_rate,
            "dead": self.firing_rate == 0,
            "dense": self.firing_rate > 0.5,
            "sparsity": quality.mode_sparsity(self.dictionary),
            "redundancy": quality.redundancy(self.dictionary),
            **{name: self.quality.get(name, missing) for name in STABILITY},
            "top_units": [" ".join(str(unit) for unit in top) for top in units],
        }
        if self._labelled:
            best = [mode.best_class or ("", math.nan) for mode in self]
            table["class"] = [name for name, _ in best]
            table["class_correlation"] = [correlation for _, correlation in best]
        return pandas.DataFrame(table)

    def to_xarray(self) -> xarray.Dataset:
        """The modes with the dimensions mode, unit and sample, and class where there are labels.

        Variables are `positive`, `negative`, `loadings`, the columns of `to_dataframe`, and
        `class_correlation`; `loadings` are dense here. The attributes are site, view, method, R²
        and L0.
        """
        import xarray

        table = self.to_dataframe().drop(columns=["site", "mode", "r2"])
        table = table.drop(columns=["class", "class_correlation"], errors="ignore")
        coordinates: dict[str, Any] = {"mode": np.arange(len(self))}
        variables: dict[str, Any] = {
            "positive": (("mode", "unit"), self.positive),
            "negative": (("mode", "unit"), self.negative),
            "loadings": (("sample", "mode"), np.asarray(self.loadings)),
            **{str(name): ("mode", labels(list(table[name]))) for name in table},
        }
        if self.keys is not None:
            variables["key"] = ("sample", labels(list(self.keys)))
        if self.labels is not None:
            variables["label"] = ("sample", self.labels)
        if self._labelled:
            variables["class_correlation"] = (("mode", "class"), self.class_correlation())
            if self.classes is not None:
                coordinates["class"] = labels(self.classes)
        known = {"site": self.site, "view": self.view, "method": repr(self.method)}
        return xarray.Dataset(variables, coordinates, known | {"r2": self.r2, "l0": self.l0})

    def title(self) -> str:
        """One line: the site, how many modes, and how good they are."""
        measured = f", R² {self.r2:.3f}" if np.isfinite(self.r2) else ""
        return (
            f'Modes of "{self.site}" ({self.view}): {counted(len(self), "mode")} of '
            f"{counted(self.n_units, 'unit')}, {counted(len(self.loadings), 'sample')}{measured}, "
            f"{self.l0:.1f} modes per sample, {self.method!r}"
        )

    def sentences(self) -> list[str]:
        """How many modes are reproducible, and whether they overfit; empty where unknown."""
        again = {
            where: self.quality[name] for name, where in STABILITY.items() if name in self.quality
        }
        by_chance = float(self.quality.get("stability_chance", np.nan))
        found = [sentence(self.share, again, by_chance)] if again else []
        return [*found, *filter(None, [self.caution()])]

    def caution(self) -> str:
        """A warning where R² is far lower on held-out than on training samples; empty otherwise.

        With few samples per mode, modes fit single samples.
        """
        held_out, trained = self.r2, float(self.quality.get("r2_train", np.nan))
        if not trained - held_out > _GAP:
            return ""
        samples = int(self.quality.get("samples_train", 0))
        return (
            f"R² is {held_out:.2f} on held-out samples and {trained:.2f} on training samples: "
            f'{samples:,} samples are few for {len(self)} modes of "{self.site}"; use more '
            "samples, or fewer modes."
        )

    def __repr__(self) -> str:
        return table_text("\n".join([self.title(), *self.sentences()]), self._shown())

    def _repr_html_(self) -> str:
        return table_html(" ".join([self.title() + ".", *self.sentences()]), self._shown())

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> Path:
        """Write `path.safetensors` and `path.json` atomically; returns the first path.

        The fitted method is written too, so that loaded modes encode exactly like these. `compact`
        rounds numbers to half precision (a relative error of 0.05 %), so that files are less than
        half as large, and leaves out the dictionary, which the fitted method gives.
        Raises CodeclensError if the quality or provenance cannot be written as JSON.
        """
        tensors = {f"method.{name}": value for name, value in self.fitted.tensors().items()}
        if not compact:
            tensors["dictionary"] = torch.from_numpy(self.dictionary)
        tensors |= packed(self.loadings)
        if self.labels is not None:
            tensors["labels"] = torch.from_numpy(self.labels.astype(np.int64))
        if self.keys is not None:
            text = "\0".join(str(key) for key in self.keys).encode()
            tensors["keys"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        if self.faces is not None:
            tensors |= joined(self.faces)
        numbers: dict[str, Any] = {}
        for name, value in self.quality.items():
            if isinstance(value, np.ndarray):
                tensors[f"quality.{name}"] = torch.from_numpy(value)
            else:  # JSON has no NaN
                numbers[name] = None if isinstance(value, float) and math.isnan(value) else value
        facts = {
            "site": self.site,
            "view": self.view,
            "samples": len(self.loadings),
            "modes": len(self),
            "units": self.n_units,
            "method": {
                "name": type(self.method).__name__,
                "config": self.method.config(),
                "fitted": self.fitted.summary(),
            },
            "quality": numbers,
            "classes": None if self.classes is None else list(self.classes),
            **{n: None if (one := getattr(self, n)) is None else list(one) for n in _WORDS},
            "provenance": self.provenance,
        }
        if compact:
            tensors = {name: smaller(value) for name, value in tensors.items()}
        return write_pair(path, _FILE, tensors, facts)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Modes:
        """Read what `save` wrote; raises CodeclensError if the files are missing or damaged."""
        if Path(path).is_dir() and not paths(path)[1].is_file():
            raise CodeclensError(
                f'"{path}" is a folder, perhaps with the modes of several sites; read them by '
                "load_modes(folder)."
            )
        facts, tensors, file = read_pair(path, _FILE)
        with as_sentence(f'"{file}" does not describe modes'):
            return cls._from_file(facts, tensors)

    @classmethod
    def _from_file(cls, facts: dict[str, Any], tensors: dict[str, Tensor]) -> Modes:
        tensors = {name: larger(value) for name, value in tensors.items()}
        about = facts["method"]
        method = method_class(about["name"])(**about["config"])
        numbers = {name: math.nan if n is None else n for name, n in facts["quality"].items()}
        arrays = {name: value.numpy() for name, value in under(tensors, "quality.").items()}
        keys = None
        if "keys" in tensors:
            keys = np.array(tensors["keys"].numpy().tobytes().decode().split("\0"))
        names, evidence = (None if (one := facts.get(n)) is None else tuple(one) for n in _WORDS)
        faces = divided(tensors["faces"], tensors["faces.lengths"]) if "faces" in tensors else None
        return cls(
            site=facts["site"],
            view=facts["view"],
            fitted=method.restore(about["fitted"], under(tensors, "method.")),
            loadings=unpacked(tensors, int(facts["modes"])),
            labels=tensors["labels"].numpy() if "labels" in tensors else None,
            classes=None if facts["classes"] is None else tuple(facts["classes"]),
            keys=keys,
            quality=numbers | arrays,
            provenance=facts["provenance"],
            names=names,
            evidence=evidence,
            faces=faces,
        )

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
        directions = self.quality.get("direction")
        levels = self.quality.get("named_from", np.zeros(len(self)))
        return Mode(
            site=self.site,
            index=number,
            positive=self.positive[number],
            negative=self.negative[number],
            source=Loadings.of(self.loadings),
            share=float(self.share[number]),
            firing_rate=float(self.firing_rate[number]),
            best_class=self._best_class(number),
            stability=float(self.stability[number]),
            direction=None if directions is None else directions[number],
            name="" if self.names is None else self.names[number],
            evidence="" if self.evidence is None else self.evidence[number],
            named_from=float(levels[number]),
            picture=(self.faces[number] or None) if self.faces else None,
        )

    @cached_property
    def _parts(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        return signed_parts(self.dictionary, self.view)

    @property
    def _labelled(self) -> bool:
        return self.labels is not None and bool((self.labels >= 0).any())

    @cached_property
    def _class_correlation(self) -> np.ndarray[Any, Any]:
        assert self.labels is not None
        return quality.indicator_correlation(self.loadings, self.labels, self._n_classes)

    def _shown(self) -> pandas.DataFrame:
        table = self.to_dataframe().assign(stability=self.stability)
        return table[[name for name in _SHOWN if name in table]]

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
                raise unknown("class", which, self.classes)
            return self.classes.index(which)
        if not 0 <= which < self._n_classes:
            raise CodeclensError(
                f"There is no class {which}: there are {self._n_classes} classes "
                f"(0 to {self._n_classes - 1})."
            )
        return operator.index(which)

    def _best_class(self, number: int) -> tuple[str, float] | None:
        if not self._labelled:
            return None
        correlation = self.class_correlation()[number]
        if np.isnan(correlation).all():
            return None
        best = int(np.nanargmax(correlation))
        name = f"class {best}" if self.classes is None else self.classes[best]
        return name, float(correlation[best])
