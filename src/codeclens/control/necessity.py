"""Necessity: what removing a mode, or keeping it alone, does beside what contributions predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Contributions,
    Label,
    Method,
    Predicted,
    Selector,
    Site,
    SiteContributions,
    Target,
)
from codeclens.attribution.baselines import as_baseline
from codeclens.control.edits import activation_at, one_site
from codeclens.control.effects import Effects, effects_of
from codeclens.control.estimates import two_digits
from codeclens.control.removal import Acting, removing, whole_units
from codeclens.control.sweep import Progress, outputs_under
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError

# Modes that one sweep takes out, each once ablated and once preserved.
_AT_ONCE = 32
# Images whose contributions are computed at once.
_BATCH = 32
_WORDS = {
    "as predicted": "does about what its contributions predict",
    "less": "does less than half of what its contributions predict",
    "more": "does more than twice what its contributions predict",
    "opposite": "does the opposite of what its contributions predict",
    "undecided": "has an effect too uncertain to be held against the prediction",
}


@dataclass(frozen=True)
class Necessity:
    """For some modes of a site, in some images: what happens without each, and with it alone.

    `numbers` `(K,)` are the modes, `acted` `(K,)` how many units each was removed by. `removed` is
    the change of the target without the mode, beside minus what it contributes; `alone` what the
    mode makes of the target where the rest of the site is switched off, counted from the site all
    switched off, beside what it contributes. `channels` `(N, K)` is what the contributions of the
    removed units, of all modes together, predict for `removed`; NaN where each unit lost a share.
    """

    site: str
    names: tuple[str, ...]
    numbers: Int[np.ndarray, " mode"]
    acted: Int[np.ndarray, " mode"]
    samples: int
    target: Float[np.ndarray, " sample"]
    removed: Effects
    alone: Effects
    channels: Float[np.ndarray, "sample mode"]

    def __len__(self) -> int:
        return len(self.numbers)

    def table(self) -> list[dict[str, Any]]:
        """One row for each mode: predicted and measured effects, and how they part.

        Effects are means over the images in which the mode is present, in the target's units.
        """
        rows = []
        for place, number in enumerate(self.numbers):
            present = self.removed.present[:, place]
            row: dict[str, Any] = {
                "site": self.site,
                "mode": int(number),
                "name": self.names[place],
                "units": int(self.acted[place]),
                "images": int(present.sum()),
            }
            for name, effects in (("removed", self.removed), ("alone", self.alone)):
                row |= effects.row(place, name)
            channels = self.channels[present, place]
            row["channels_predicted"] = float(channels.mean()) if len(channels) else float("nan")
            row["reading"] = self.reading(place)
            rows.append(row)
        return rows

    def reading(self, place: int) -> str:
        """What removal and keeping alone say together of one mode, in few words."""
        without, alone = self.removed.verdict(place), self.alone.verdict(place)
        if without in ("less", "opposite") and alone in ("as predicted", "more"):
            return "sufficient but not necessary: others stand in for it"
        if without in ("as predicted", "more") and alone in ("less", "opposite"):
            return "necessary but not sufficient: it acts only with others"
        if without in ("less", "opposite") and alone in ("less", "opposite"):
            return "neither necessary nor sufficient: its contribution overstates what it does"
        if "undecided" in (without, alone):
            return "undecided"
        return "necessary and sufficient"

    def sentences(self, listed: int = 10) -> list[str]:
        """How well contributions predict interventions, then the modes where they part most."""
        verdicts = [self.removed.verdict(place) for place in range(len(self))]
        counts = {word: verdicts.count(word) for word in _WORDS if word in verdicts}
        lines = [
            f"{self.site}: {len(self)} modes were removed one at a time, and kept alone, in "
            f"{self.samples} images. Over modes, the measured effect of removal correlates with "
            f"the predicted one with {self.removed.correlation}, and has {self.removed.slope} of "
            f"its size; that of keeping alone with {self.alone.correlation}, and "
            f"{self.alone.slope} of its size.",
            "Removed, "
            + "; ".join(f"{n} {_several(n, _WORDS[word])}" for word, n in counts.items())
            + ".",
        ]
        readings = [self.reading(place) for place in range(len(self))]
        lines += [
            f"Of {len(self)} modes, {readings.count(one)}: {one}."
            for one in sorted(set(readings))
            if one != "undecided"
        ]
        parted = [
            place for place in self.removed.by_gap()
            if verdicts[place] in ("less", "more", "opposite")
        ]  # fmt: skip
        if not parted:
            lines.append("There is no mode where prediction and measurement clearly part.")
        lines += [self._parting(place) for place in parted[:listed]]
        if len(parted) > listed:
            lines.append(f"… and {len(parted) - listed} more modes, in the table.")
        return lines

    def _parting(self, place: int) -> str:
        removed, alone = self.removed, self.alone
        channels = float(self.channels[removed.present[:, place], place].mean())
        units = (
            ""
            if np.isnan(channels)
            else f" (all contributions of its {self.acted[place]} units: {two_digits(channels)})"
        )
        return (
            f"{self.names[place]} {_WORDS[removed.verdict(place)]}: without it the target changes "
            f"by {removed.measured(place)}, predicted was "
            f"{two_digits(removed.predicted(place))}{units}; "
            f"alone it makes {alone.measured(place)} of {two_digits(alone.predicted(place))}. "
            f"Reading: {self.reading(place)}."
        )


def necessity(
    model: nn.Module,
    data: Tensor | tuple[Tensor, Tensor],
    modes: Modes,
    *,
    chosen: Sequence[int] | None = None,
    acting: Acting | None = None,
    site: str | Site | None = None,
    method: Method | None = None,
    target: Target | None = None,
    baseline: Any = 0.0,
    output: Selector = None,
    batch_size: int = 256,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Necessity:
    """Hold what modes' contributions predict against what removing them, or all else, really does.

    `data` is images `(N, …)`, or images and labels for the target `Label`. Contributions of the
    images are computed with `method`, `target` and `baseline` (as for `contributions`) and encoded;
    a mode contributes its loading times the sum of its weights, in the target's units, so removing
    it should change the target by minus that. The change is measured for the modes `chosen` by
    number (default: all that are present in an image) while `acting` intervenes; by default exactly
    the mode's share of every activation goes back to the baseline, or all but it (`removing`).
    `covering(0.5)` ablates, or preserves, whole units, which serve other modes as well: what all
    their contributions predict is told beside it. `progress(done, total)` counts modes.

    A mode does `as predicted` where the 95 % bootstrap interval, over images, of measured ÷
    predicted lies within ½ and 2, `less` or `more` where it lies outside, `opposite` where it lies
    below zero, and is undecided elsewhere, and where the mode is present in fewer than 5 images.
    (Contribution is not necessity: method.md §7.)

    Raises CodeclensError for modes of a view that does not hold all contributions, and unknown
    numbers.

    >>> import torch
    >>> from codeclens.decomposition import NMF
    >>> model = nn.Sequential(nn.Identity(), nn.Linear(3, 2, bias=False))
    >>> _ = nn.init.constant_(model[1].weight, 1.0)  # a linear network: prediction is exact
    >>> x = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    >>> modes = Modes("0", "sum", NMF(n_modes=3).fit(x), np.zeros((0, 3), np.float32))
    >>> found = necessity(model, x, modes)
    >>> bool(np.allclose(found.removed.effect.sum(), -found.alone.effect.sum(), atol=1e-3))
    True
    """
    x, labels = data if isinstance(data, tuple | list) else (data, None)
    if modes.view not in ("concat", "sum"):
        raise CodeclensError(
            f'The modes of "{modes.site}" are of the view "{modes.view}", which holds only a part '
            'of the contributions and predicts no change; take modes of "concat" or "sum".'
        )
    if not len(x):
        raise CodeclensError("There are no images; pass at least one.")
    if chosen is not None and not len(chosen):
        raise CodeclensError("chosen names no mode; pass some numbers, or None for all.")
    place = one_site(model, modes.site if site is None else site)
    made = _Contributed(model, place, method, target, baseline, output)
    act = removing(made.rest(x)) if acting is None else acting
    found = made.of(x, labels)
    net = found.net.cpu().numpy()
    loadings = np.asarray(modes.project(found.positive, found.negative))
    numbers = _numbers(modes, chosen, loadings)
    total = modes.weights.sum(axis=1, dtype=np.float64)
    contributed = loadings[:, numbers].astype(np.float64) * total[numbers]
    bound = made.bound(x, labels, batch_size)
    removed, alone, acted, channels = [], [], [], []
    for start in range(0, len(numbers), _AT_ONCE):
        some = [int(number) for number in numbers[start : start + _AT_ONCE]]
        without = [act(modes, (number,), found, "ablate") for number in some]
        only = [act(modes, (number,), found, "preserve") for number in some]
        none = act(modes, (), found, "preserve")
        scores = outputs_under(
            model, x, [none, *without, *only], batch_size=batch_size, output=output
        )
        values = np.stack([bound(torch.as_tensor(np.asarray(run))) for run in scores])
        before = values[0]
        removed += [run - before for run in values[2 : 2 + len(some)]]
        alone += [run - values[1] for run in values[2 + len(some) :]]
        for intervention in without:
            off = whole_units(intervention)
            acted.append(modes.n_units if off is None else len(off))
            lost = np.full(len(net), np.nan) if off is None else net[:, off].sum(axis=1)
            channels.append(-lost.astype(np.float64))
        if progress is not None:
            progress(start + len(some), len(numbers))
    present = loadings[:, numbers] > 0
    options: dict[str, Any] = {"present": present, "resamples": resamples, "seed": seed}
    return Necessity(
        site=place.key,
        names=tuple(_name(modes, int(k)) for k in numbers),
        numbers=numbers,
        acted=np.array(acted, np.int64),
        samples=len(x),
        target=before,
        removed=effects_of(-contributed, np.stack(removed, axis=1), **options),
        alone=effects_of(contributed, np.stack(alone, axis=1), **options),
        channels=np.stack(channels, axis=1),
    )


@dataclass(frozen=True)
class _Contributed:
    """Contributions of images in batches, and the target fixed at the undisturbed network."""

    model: nn.Module
    site: Site
    method: Method | None
    target: Target | None
    baseline: Any
    output: Selector

    def of(self, x: Tensor, labels: Any) -> SiteContributions:
        """The contributions of all images at the site."""
        attributor = Attributor(
            self.model, sites=self.site, method=self.method, target=self.target,
            baseline=self.baseline, output=self.output,
        )  # fmt: skip
        device = next((parameter.device for parameter in self.model.parameters()), x.device)
        parts = []
        for start in range(0, len(x), _BATCH):
            rows = slice(start, start + _BATCH)
            batch = x[rows].to(device)
            if start == 0:
                attributor.prepare(batch)
            parts.append(attributor(batch, None if labels is None else labels[rows]))
        (found,) = Contributions.joined(parts).values()
        return found

    def rest(self, x: Tensor) -> Tensor:
        """The activation of the site at the baseline of every image, the mean over draws."""
        start = as_baseline(self.baseline)
        parts = []
        for batch in x.split(_BATCH):
            draws = [start.at(batch, draw).to(x).expand_as(batch) for draw in range(start.draws)]
            found = [activation_at(self.model, self.site, one.contiguous()) for one in draws]
            parts.append(torch.stack(found).mean(dim=0))
        return torch.cat(parts)

    def bound(self, x: Tensor, labels: Any, batch_size: int) -> Callable[[Tensor], np.ndarray]:
        """The target of outputs `(N, classes)`, fixed at those of the undisturbed network."""
        scores = outputs_under(self.model, x, [], batch_size=batch_size, output=self.output)
        target = Predicted() if self.target is None else self.target
        known = None if labels is None else torch.as_tensor(np.asarray(labels))
        if isinstance(target, Label) and known is None:
            raise CodeclensError("The target Label() needs labels; pass data=(images, labels).")
        fixed = target.bind(torch.as_tensor(np.asarray(scores[0])), known)
        return lambda output: fixed(output).double().numpy()


def _numbers(
    modes: Modes, chosen: Sequence[int] | None, loadings: Float[np.ndarray, "sample mode"]
) -> Int[np.ndarray, " chosen"]:
    if chosen is None:
        found = np.flatnonzero(_present(loadings))
        if not len(found):
            raise CodeclensError(
                f'No mode of "{modes.site}" is present in the {len(loadings)} images; pass more.'
            )
        return found.astype(np.int64)
    for number in chosen:
        modes[number]  # says what is wrong with a number
    return np.array([range(len(modes))[number] for number in chosen], np.int64)


def _present(loadings: Float[np.ndarray, "sample mode"]) -> Bool[np.ndarray, " mode"]:
    return np.asarray((loadings > 0).any(axis=0))


def _name(modes: Modes, number: int) -> str:
    best = modes[number].best_class
    followed = "" if best is None or not best[1] > 0 else f' (most like "{best[0]}")'
    return f"Mode {number}{followed}"


def _several(count: int, words: str) -> str:
    return (
        words
        if count == 1
        else words.replace("does", "do", 1)
        .replace("has", "have", 1)
        .replace("its contributions predict", "their contributions predict")
    )
