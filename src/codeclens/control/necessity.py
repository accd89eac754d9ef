"""Necessity: the effects of removing a mode and of keeping it alone, compared with predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import (
    Attributor,
    Contributions,
    Inputs,
    Label,
    Method,
    Predicted,
    Selector,
    Site,
    SiteContributions,
    Target,
)
from codeclens.attribution.inputs import Batch
from codeclens.attribution.targets import bind
from codeclens.control.edits import one_site
from codeclens.control.effects import Effects, effects_of
from codeclens.control.estimates import two_digits
from codeclens.control.off import Off, counts_from_baseline, off_name, off_value
from codeclens.control.removal import Acting, removing, whole_units
from codeclens.control.sweep import Progress, outputs_under
from codeclens.decomposition import Modes
from codeclens.draws import Draws
from codeclens.errors import CodeclensError, counted
from codeclens.labelled import Labelled, labels

if TYPE_CHECKING:
    import pandas
    import xarray

# Modes in one sweep, each once removed and once kept alone.
_AT_ONCE = 32
# Images whose contributions are computed at once.
_BATCH = 32
_WORDS = {
    "as predicted": "does about what its contributions predict",
    "less": "does less than half of what its contributions predict",
    "more": "does more than twice what its contributions predict",
    "opposite": "does the opposite of what its contributions predict",
    "undecided": "has an effect too uncertain to compare with the prediction",
}


@dataclass(frozen=True, repr=False)
class Necessity(Labelled):
    """For some modes of a site, in some images: the effect of removing each, and of each alone.

    `numbers` `(K,)` are the modes, `unit_counts` `(K,)` the number of units acted on for each.
    `removed` holds the change of the target without the mode, predicted as minus its contribution.
    `alone` holds the change of the target by the mode where the rest of the site is switched off,
    counted from the site all switched off, predicted as its contribution. `channels` `(N, K)` is
    what all contributions of the removed units, of every mode together, predict for `removed`; NaN
    where each unit loses a share. `off` names what units are set to.
    """

    site: str
    names: tuple[str, ...]
    numbers: Int[np.ndarray, " mode"]
    unit_counts: Int[np.ndarray, " mode"]
    samples: int
    target: Float[np.ndarray, " sample"]
    removed: Effects
    alone: Effects
    channels: Float[np.ndarray, "sample mode"]
    off: str = "the baseline activation"

    def __len__(self) -> int:
        return len(self.numbers)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode: predicted and measured effects, and a reading of both.

        Effects are means over the images in which the mode is active, in the target's units.
        """
        import pandas

        rows = []
        for place, number in enumerate(self.numbers):
            active = self.removed.active[:, place]
            row: dict[str, Any] = {
                "site": self.site,
                "mode": int(number),
                "name": self.names[place],
                "off": self.off,
                "units": int(self.unit_counts[place]),
                "images": int(active.sum()),
            }
            for name, effects in (("removed", self.removed), ("alone", self.alone)):
                row |= effects.row(place, name)
            channels = self.channels[active, place]
            row["channels_predicted"] = float(channels.mean()) if len(channels) else float("nan")
            row["reading"] = self.reading(place)
            rows.append(row)
        return pandas.DataFrame(rows)

    def shown(self) -> pandas.DataFrame:
        """Predicted and measured effects and their reading, for the screen."""
        effects = [f"{kind}_{what}" for kind in ("removed", "alone") for what in
                   ("predicted", "measured")]  # fmt: skip
        return self.to_dataframe()[["mode", "name", "images", *effects, "reading"]]

    def to_xarray(self) -> xarray.Dataset:
        """Predicted and measured changes by image and mode, removed and alone."""
        import xarray

        parts = {"removed": self.removed, "alone": self.alone}
        data: dict[str, Any] = {
            f"{name}_{of}": variable
            for name, effects in parts.items()
            for of, variable in effects.to_xarray().data_vars.items()
            if of != "active"
        }
        dims = ("sample", "mode")
        data |= {"active": (dims, self.removed.active), "channels": (dims, self.channels)}
        coordinates = {"mode": self.numbers, "name": ("mode", labels(self.names))}
        about = {"site": self.site, "off": self.off}
        return xarray.Dataset({**data, "target": ("sample", self.target)}, coordinates, about)

    def title(self) -> str:
        """How well contributions predict removal and keeping alone."""
        return (
            f"{counted(len(self), 'mode')} of {self.site} in {counted(self.samples, 'image')}: "
            f"measured and predicted effects correlate with {self.removed.correlation} (removed), "
            f"{self.alone.correlation} (alone)"
        )

    def reading(self, place: int) -> str:
        """What removal and keeping alone show together for one mode, in a few words."""
        without, alone = self.removed.verdict(place), self.alone.verdict(place)
        if without in ("less", "opposite") and alone in ("as predicted", "more"):
            return "sufficient but not necessary: other modes compensate for it"
        if without in ("as predicted", "more") and alone in ("less", "opposite"):
            return "necessary but not sufficient: it acts only with others"
        if without in ("less", "opposite") and alone in ("less", "opposite"):
            return "neither necessary nor sufficient: its contribution overstates what it does"
        if "undecided" in (without, alone):
            return "undecided"
        return "necessary and sufficient"

    def sentences(self, listed: int = 10) -> list[str]:
        """How well contributions predict interventions, then the modes where they fail most."""
        verdicts = [self.removed.verdict(place) for place in range(len(self))]
        counts = {word: verdicts.count(word) for word in _WORDS if word in verdicts}
        lines = [
            f"{self.site}: {len(self)} modes were removed one at a time, and kept alone, in "
            f"{self.samples} images; units return to {self.off}. The measured effect of removal "
            f"correlates with the prediction over modes (r = {self.removed.correlation}) and is "
            f"{self.removed.slope} times as large; for modes kept alone: "
            f"r = {self.alone.correlation}, {self.alone.slope} times.",
            "After removal, "
            + "; ".join(f"{n} {_several(n, _WORDS[word])}" for word, n in counts.items())
            + ".",
        ]
        readings = [self.reading(place) for place in range(len(self))]
        lines += [
            f"Of {len(self)} modes, {readings.count(one)}: {one}."
            for one in sorted(set(readings))
            if one != "undecided"
        ]
        failed = [
            place
            for place in self.removed.by_gap()
            if verdicts[place] in ("less", "more", "opposite")
        ]
        if not failed:
            lines.append("There is no mode whose measured effect clearly differs from prediction.")
        lines += [self._failure(place) for place in failed[:listed]]
        if len(failed) > listed:
            lines.append(f"… and {len(failed) - listed} more modes, in the table.")
        return lines

    def _failure(self, place: int) -> str:
        removed, alone = self.removed, self.alone
        channels = float(self.channels[removed.active[:, place], place].mean())
        count = self.unit_counts[place]
        units = ""
        if not np.isnan(channels):
            units = f" (all contributions of its {count} units: {two_digits(channels)})"
        return (
            f"{self.names[place]} {_WORDS[removed.verdict(place)]}: without it the target changes "
            f"by {removed.measured(place)}, predicted was "
            f"{two_digits(removed.predicted(place))}{units}; "
            f"alone it changes the target by {alone.measured(place)}, predicted was "
            f"{two_digits(alone.predicted(place))}. "
            f"Reading: {self.reading(place)}."
        )


def necessity(
    model: nn.Module,
    data: Any,
    modes: Modes,
    *,
    chosen: Sequence[int] | None = None,
    acting: Acting | None = None,
    off: Off | None = None,
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
    """Compare what modes' contributions predict with the effects of removing or isolating them.

    `data` is images `(N, …)`, several inputs (a dict, or `Inputs.of`), or a pair of one of these
    and labels for the target `Label`. Contributions of the
    images are computed with `method`, `target` and `baseline` (as for `contributions`) and encoded.
    A mode contributes its loading times the sum of its weights, in the target's units, so removing
    it should change the target by minus that. The change is measured for the modes `chosen` by
    number (default: all that are active in an image) while `acting` intervenes. By default exactly
    the mode's share of every activation returns to `off`, or all but it (`removing`).
    `covering(0.5)` ablates, or preserves, whole units, which serve other modes as well: the table
    also gives what all their contributions predict. `progress(done, total)` counts modes.

    `off` is what units return to, as in `control_curve`. The default matches the method: the
    activation at the baseline, or 0 for gradient × activation, which does not count from a
    baseline. Another one is not what contributions predict, and a warning says so.

    A mode does `as predicted` where the 95 % bootstrap interval, over images, of measured ÷
    predicted lies within ½ and 2, `less` or `more` where it lies outside, `opposite` where it lies
    below zero. It is undecided elsewhere, and where the mode is active in fewer than 5 images.
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
    given, labels = data if isinstance(data, tuple | list) else (data, None)
    x = Inputs.of(given)
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
    matched: Off = "baseline" if counts_from_baseline(method) else 0.0
    off = matched if off is None else off
    if off_name(off) in ("0", off_name("baseline")) and off_name(off) != off_name(matched):
        warnings.warn(
            f"Contributions by {type(method).__name__ if method else 'Conductance'} predict what "
            f"happens when units return to {off_name(matched)}, and here they return to "
            f"{off_name(off)}; leave out off=…, or choose another method.",
            stacklevel=2,
        )
    act = removing(off_value(model, place, x, off, baseline)) if acting is None else acting
    found = made.of(x, labels)
    net = found.net.cpu().numpy()
    loadings = np.asarray(modes.project(found.positive, found.negative))
    numbers = _numbers(modes, chosen, loadings)
    total = modes.weights.sum(axis=1, dtype=np.float64)
    contributed = loadings[:, numbers].astype(np.float64) * total[numbers]
    bound = made.bound(x, labels, batch_size)
    removed, alone, unit_counts, channels = [], [], [], []
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
            whole = whole_units(intervention)
            unit_counts.append(modes.n_units if whole is None else len(whole))
            lost = np.full(len(net), np.nan) if whole is None else net[:, whole].sum(axis=1)
            channels.append(-lost.astype(np.float64))
        if progress is not None:
            progress(start + len(some), len(numbers))
    active, draws = loadings[:, numbers] > 0, Draws(resamples, seed)
    return Necessity(
        site=place.key,
        names=tuple(_name(modes, int(k)) for k in numbers),
        numbers=numbers,
        unit_counts=np.array(unit_counts, np.int64),
        samples=len(x),
        target=before,
        removed=effects_of(-contributed, np.stack(removed, axis=1), active, draws),
        alone=effects_of(contributed, np.stack(alone, axis=1), active, draws),
        channels=np.stack(channels, axis=1),
        off=off_name(off),
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

    def of(self, x: Batch, labels: Any) -> SiteContributions:
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
                attributor = attributor.prepared(batch)
            parts.append(attributor(batch, None if labels is None else labels[rows]))
        (found,) = Contributions.joined(parts).values()
        return found

    def bound(self, x: Batch, labels: Any, batch_size: int) -> Callable[[Tensor], np.ndarray]:
        """The target of outputs `(N, classes)`, fixed at those of the undisturbed network."""
        scores = outputs_under(self.model, x, [], batch_size=batch_size, output=self.output)
        target = Predicted() if self.target is None else self.target
        known = None if labels is None else torch.as_tensor(np.asarray(labels))
        if isinstance(target, Label) and known is None:
            raise CodeclensError("The target Label() needs labels; pass data=(images, labels).")
        fixed = bind(target, torch.as_tensor(np.asarray(scores[0])), known, x)
        return lambda output: fixed(output).double().numpy()


def _numbers(
    modes: Modes, chosen: Sequence[int] | None, loadings: Float[np.ndarray, "sample mode"]
) -> Int[np.ndarray, " chosen"]:
    if chosen is None:
        found = np.flatnonzero((loadings > 0).any(axis=0))
        if not len(found):
            raise CodeclensError(
                f'No mode of "{modes.site}" is active in {counted(len(loadings), "image")}; pass '
                "more."
            )
        return found.astype(np.int64)
    for number in chosen:
        modes[number]  # raises where there is no such mode
    return np.array([range(len(modes))[number] for number in chosen], np.int64)


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
