"""Measurements: predictions for labelled images while units are off, each set run once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from codeclens.attribution import Inputs, Selector, Site
from codeclens.attribution.inputs import Batch, shape_words
from codeclens.control.edits import Intervention, Kind, Value
from codeclens.control.sweep import Progress, count_units, outputs_under
from codeclens.draws import Draws
from codeclens.errors import CodeclensError


class Predictions(NamedTuple):
    """For every run and image `(R, N)`: whether the class is right, and the label's own logit."""

    correct: Bool[np.ndarray, "run sample"]
    logit: Float[np.ndarray, "run sample"]


class Measurements:
    """A network's predictions for labelled images while some units of a site are off.

    Units that are off are set to `value`. Measurements are kept, so that a set of units that
    several classes, kinds or controls share runs once. `labels` is `(N,)`, `units` the number of
    units of the site. Raises CodeclensError for data that do not fit.

    >>> import torch
    >>> measure = Measurements(nn.Sequential(nn.Identity()), (torch.eye(2), [0, 1]), Site("0"))
    >>> measure("ablate", [(0,)]).correct.tolist()  # undisturbed first
    [[True, True], [True, True]]
    >>> measure("preserve", [(0,)]).logit.tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """

    def __init__(
        self,
        model: nn.Module,
        data: tuple[Any, Tensor],
        site: Site,
        *,
        value: Value = 0.0,
        batch_size: int = 256,
        output: Selector = None,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.site, self.value = model, site, value
        self.x, self.labels = checked(data)
        self.units = count_units(model, site, self.x[:1])
        self._options: dict[str, Any] = {
            "batch_size": batch_size,
            "output": output,
            "progress": progress,
        }
        self._known: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self._classes = 1000  # a guess, until the first run shows how many there are

    def __call__(self, kind: Kind, sets: Sequence[tuple[int, ...]]) -> Predictions:
        """The undisturbed network, and each set of units ablated or preserved, `(1 + M, N)`."""
        keys = [self._off(kind, chosen) for chosen in sets]
        nothing = self._off("ablate", ())
        new = {
            key: chosen
            for key, chosen in zip(keys, sets, strict=True)
            if key not in self._known and key != nothing
        }
        waiting = list(new.items())
        while waiting or nothing not in self._known:
            # As many at once as fit into memory: each call runs what lies before the site again.
            step = max(1, _SCORES // (len(self.labels) * self._classes))
            self._run(kind, nothing, dict(waiting[:step]))
            waiting = waiting[step:]
        rows = [self._known[key] for key in (nothing, *keys)]
        return Predictions(np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]))

    def _run(self, kind: Kind, nothing: bytes, sets: Mapping[bytes, tuple[int, ...]]) -> None:
        acting = [
            Intervention(self.site, kind, chosen, self.value, self.units)
            for chosen in sets.values()
        ]
        scores = np.asarray(outputs_under(self.model, self.x, acting, **self._options))
        self._keep([nothing, *sets], scores)
        self._classes = scores.shape[2]

    def _keep(self, keys: Sequence[bytes], scores: Float[np.ndarray, "run sample classes"]) -> None:
        if self.labels.max() >= scores.shape[2]:
            raise CodeclensError(
                f"A label is {self.labels.max()}, but the model's output has {scores.shape[2]} "
                "classes; check the labels, or pass output=… to select it."
            )
        for key, of_run in zip(keys, scores, strict=True):
            own = of_run[np.arange(len(self.labels)), self.labels]
            self._known[key] = of_run.argmax(axis=1) == self.labels, own

    def _off(self, kind: Kind, chosen: tuple[int, ...]) -> bytes:
        """The units that are off, whether by ablation or by preservation of the others."""
        off = np.full(self.units, kind == "preserve")
        off[list(chosen)] = kind == "ablate"
        return np.packbits(off).tobytes()


def checked(data: tuple[Any, Tensor]) -> tuple[Batch, Int[np.ndarray, " sample"]]:
    """Images and labels, as a tensor `(N, …)` or several inputs, and integers `(N,)`.

    Raises CodeclensError where they do not fit each other or are of another type.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise CodeclensError(
            f"data is a {type(data).__name__}; pass a pair (images, labels) of tensors."
        )
    if not isinstance(data[0], Tensor | Mapping | Inputs | tuple):
        kind = type(data[0]).__name__
        raise CodeclensError(f"The images are a {kind}; pass a tensor (samples, …).")
    x, labels = Inputs.of(data[0]), np.asarray(data[1])
    if labels.shape != (len(x),) or not len(x):
        raise CodeclensError(
            f"The images are {shape_words(x)} and the labels of shape {tuple(labels.shape)}; "
            "pass one label for each image, and at least one image."
        )
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise CodeclensError(
            f"The labels have type {labels.dtype} and smallest value {labels.min()}; control needs "
            "the true class of every image, counted from 0."
        )
    return x, labels.astype(np.int64)


# Weights held at once (32 MiB), and scores (256 MiB).
_BLOCK = 1 << 22
_SCORES = 1 << 26


Members = int | Sequence[int]


def members_of(class_index: Members) -> tuple[int, ...]:
    """The classes of one side, each once.

    >>> members_of(3), members_of([5, 2, 5])
    ((3,), (2, 5))
    """
    given: Any = class_index
    members = [given] if isinstance(given, int | np.integer) else given
    numbers = isinstance(members, Iterable) and not isinstance(members, str | bytes)
    if not numbers or any(
        isinstance(one, bool) or not isinstance(one, int | np.integer) for one in members
    ):
        raise CodeclensError(
            f"class_index={class_index!r} is not a class; pass its number, or several numbers."
        )
    return tuple(sorted({int(one) for one in members}))


@dataclass(frozen=True)
class Sides:
    """A class, or a superclass of several, on one side, and all other classes on the other.

    `labels` is `(N,)`, `members` the classes on one side. A side's mean is the mean of its
    classes' means: it gives each of them the same weight, however many images it has. Raises
    CodeclensError where a member does not occur, or no other class does.
    """

    labels: Int[np.ndarray, " sample"]
    members: tuple[int, ...]

    def __post_init__(self) -> None:
        present = np.unique(self.labels)
        for member in self.members:
            if member not in present:
                some = ", ".join(str(label) for label in present[:10])
                raise CodeclensError(
                    f"No image has the label class_index={member}; "
                    f"the labels that occur are {some}{' …' if len(present) > 10 else ''}."
                )
        if not self.members or not self.others:
            which = "label" if len(self.members) == 1 else "labels"
            raise CodeclensError(
                f"All images have the {which} {', '.join(map(str, self.members)) or '(none)'}; "
                "other classes are needed to see whether the effect is specific to that side."
            )

    @property
    def others(self) -> int:
        """How many other classes there are."""
        return len(np.setdiff1d(self.labels, self.members))

    def measure(
        self, values: Shaped[np.ndarray, "condition sample"]
    ) -> Float[np.ndarray, "condition 2"]:
        """The mean on the class and on the others `(R, 2)` of a value per image `(R, N)`.

        The mean of hits and misses is accuracy.

        >>> sides = Sides(np.array([0, 0, 1, 2, 2, 2]), members=(0,))
        >>> sides.measure(np.array([[True, False, True, False, False, False]]))
        array([[0.5, 0.5]])
        """
        weights = self._weights(np.ones((1, len(self.labels)), np.int64))
        return np.stack([values.astype(np.float64) @ weight[0] for weight in weights], axis=1)

    def redraw(
        self, values: Shaped[np.ndarray, "condition sample"], draws: Draws
    ) -> Float[np.ndarray, "draw condition 2"]:
        """The same means in bootstrap draws of the images, drawn within each class.

        All conditions see the same draws, so that differences between them are paired.
        """
        columns = values.T.astype(np.float64)
        found = [
            np.stack([weight @ columns for weight in self._weights(counts)], axis=-1)
            for counts in self._counts(draws.n, draws.random())
        ]
        return np.concatenate(found)

    def _counts(
        self, n: int, random: np.random.Generator
    ) -> Iterator[Int[np.ndarray, "draw sample"]]:
        """How often each image is drawn, a block of draws at a time."""
        samples = len(self.labels)
        step = max(1, _BLOCK // samples)
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        for start in range(0, n, step):
            counts = np.empty((min(step, n - start), samples), np.int64)
            for rows in members:
                even = np.full(len(rows), 1 / len(rows))
                counts[:, rows] = random.multinomial(len(rows), even, size=len(counts))
            yield counts

    def _weights(
        self, counts: Shaped[np.ndarray, "draw sample"]
    ) -> tuple[Float[np.ndarray, "draw sample"], Float[np.ndarray, "draw sample"]]:
        _, index, sizes = np.unique(self.labels, return_inverse=True, return_counts=True)
        within = counts / sizes[index]
        target = self._is_member
        return within * target / len(set(self.members)), within * ~target / self.others

    @property
    def _is_member(self) -> Bool[np.ndarray, " sample"]:
        return np.isin(self.labels, self.members)


def mean_height(
    places: Float[np.ndarray, " point"], heights: Float[np.ndarray, "*draw point"]
) -> Float[np.ndarray, "*draw"]:
    """The area under a curve by the trapezoid rule, divided by its width: its mean height.

    `places` `(F,)` ascend, `heights` are `(…, F)`. Where all places are one, the plain mean.

    >>> mean_height(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.0, 0.0]))
    array(0.16666667)
    """
    width = places[-1] - places[0]
    if width == 0:
        return np.asarray(heights.mean(axis=-1))
    middles = (heights[..., 1:] + heights[..., :-1]) / 2
    return np.asarray((middles * np.diff(places)).sum(axis=-1) / width)
