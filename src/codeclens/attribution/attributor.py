"""The attributor: a model, its sites, a method and a target, prepared once for many batches."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from codeclens.attribution.baselines import Baseline, as_baseline
from codeclens.attribution.capture import Pass, Probe, Selector, SiteNotReachedError
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.embeddings import moved_inputs
from codeclens.attribution.inputs import Batch, Inputs, Place, fitted, plain, require_usable
from codeclens.attribution.joint import Division, Pair, joint_along, pixels_along, secants_of
from codeclens.attribution.methods import Attributed, Explained, Method, is_exact, wide
from codeclens.attribution.results import (
    UNSEEN,
    Contributions,
    SiteContributions,
    cast_to,
    mean_over_positions,
    split_signs,
    unreached,
    warn_of_gaps,
    warn_of_tolerance,
)
from codeclens.attribution.secant.mode import OTHER_WAY
from codeclens.attribution.sites import Site, find_sites
from codeclens.attribution.surveys import Survey, survey
from codeclens.attribution.targets import (
    Bound,
    Predicted,
    Target,
    bind,
    predicted_classes,
    require_gradient,
    require_labels_for,
    target_unit,
    target_words,
)
from codeclens.errors import CodeclensError, CompletenessWarning, require_number

Reduce = Literal["sum"] | None
Labels = Tensor | Sequence[int] | None
# A number, a tensor, an object or a word; of several inputs a tuple or a dict of these and None.
AnyBaseline = Any
_Found = TypeVar("_Found")

# The memory in bytes of the samples that are computed at once on the CPU, as the survey estimates
# it. Secants take half as much again.
MEMORY_AT_ONCE = 400_000_000


# In a model with branches, so many samples are tried to reach every site.
SAMPLES_TRIED = 16
# A gap below this share of the sum of all magnitudes is rounding (docs/completeness.md: at most
# 3e-7 and 9e-16 in ten networks).
ROUNDING = {torch.float32: 1e-5, torch.float64: 1e-10}


class Attributor:
    """The sites of a model, a method and a target, to compute the contributions of many batches.

    `prepared(x)` returns an attributor that was prepared with a few samples. It knows what all
    batches share: which sites are cuts, which modules are called several times (each call is a
    site), which tensors are changed in place, and the nodes of the path. Call it for every batch.
    An attributor that is not prepared determines all this for each batch again. An attributor never
    changes. `sites` are the requested sites, before any preparation.

    `at_once` samples are computed at a time; by default as many as need about 0.4 GB on the CPU,
    where larger portions are no faster, and the whole batch on other devices.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        sites: str | Site | Iterable[str | Site],
        method: Method | None = None,
        target: Target | Bound | None = None,
        baseline: AnyBaseline = 0.0,
        reduce: Reduce = "sum",
        output: Selector = None,
        at_once: int | None = None,
    ) -> None:
        if at_once is not None:
            require_number("at_once", at_once, least=1)
        if reduce not in ("sum", None):
            raise CodeclensError(
                f'reduce={reduce!r} is not known; use "sum", or None to keep positions.'
            )
        if isinstance(method, type) or not (method is None or hasattr(method, "attribute")):
            raise CodeclensError(
                f"{method!r} is not a method; pass for example Conductance() or "
                "ActivationGradient()."
            )
        if not isinstance(model, nn.Module):
            raise CodeclensError(
                f"The model is a {type(model).__name__}; pass a torch.nn.Module, whose modules are "
                "the sites."
            )
        self.model = model
        self.sites = find_sites(model, sites)
        self.method: Method = Conductance() if method is None else method
        self.target: Target | Bound = Predicted() if target is None else target
        self.baseline = as_baseline(baseline)
        self.reduce = reduce
        self.output = find_sites(model, output)[0] if isinstance(output, Site) else output
        self.at_once = at_once
        self._survey: Survey | None = None
        self._embeddings: Mapping[Place, str] | None = None

    def replaced(
        self, *, model: nn.Module | None = None, method: Method | None = None
    ) -> Attributor:
        """The same attributor with another model or method; the preparation is kept."""
        made = copy(self)
        made.model = self.model if model is None else model
        made.method = self.method if method is None else method
        return made

    def inputs(self, x: Any) -> Batch:
        """The input of a batch: several inputs as `Inputs`, token ids with their vectors.

        A tensor of floating-point numbers alone stays as it is.
        """
        with torch.inference_mode(False), torch.enable_grad():
            return moved_inputs(self.model, x, self.baseline, self._embeddings)

    def starts(self, x: Any) -> list[Batch]:
        """The baseline inputs of a batch, one for each draw of the baseline."""
        here = self.inputs(x)
        return [_start(self.model, self.baseline, here, n) for n in range(self.baseline.draws)]

    def survey(self, x: Batch) -> Survey:
        """What the sites are, from the first samples of `x` unless the attributor is prepared."""
        if self._survey is not None:
            return self._survey
        # Two, where there are two: one would not tell an axis of samples from one of length 1.
        try:
            return survey(self.model, self.sites, x[:2], self.output)
        except SiteNotReachedError:
            # In a model with branches, other samples may reach the sites.
            found = self._by_branch(x)
            if found is None:
                raise
            return found

    def _by_branch(self, x: Batch) -> Survey | None:
        """The survey of sites that some samples reach and others do not; None for other sites."""
        found: dict[Site, Survey] = {}
        missed = False
        for site in self.sites:
            for row in range(min(len(x), SAMPLES_TRIED)):
                try:
                    one = survey(self.model, [site], x[row : row + 1], self.output)
                except SiteNotReachedError:
                    missed = True
                else:
                    found.setdefault(site, one)
                if missed and site in found:
                    break
        # A constant with one row passes the check of a single sample, so these surveys count only
        # if some sample did not reach a site.
        every = missed and len(found) == len(self.sites)
        return Survey.joined([found[site] for site in self.sites]) if every else None

    def prepared(self, x: Any) -> Attributor:
        """The same attributor, prepared with a few samples `x` `(B, …)` for a whole data set.

        This surveys the sites and places the nodes of the `method`. Returns the attributor itself
        if it is already prepared.
        """
        x = self.inputs(x)
        require_usable(x)
        if self._survey is not None and not self.method.pilot:
            return self
        made = copy(self)
        made._embeddings = x.embeddings if isinstance(x, Inputs) else None
        with torch.inference_mode(False), torch.enable_grad():
            x = plain(x)
            found = made._survey = self.survey(x)
            if getattr(self.method, "by_gradients", True):
                _require_reached(found, is_exact(self.method))
            if pilot := self.method.pilot:
                # Before the pilot is taken: there may be a baseline for each sample of the batch.
                start = _start(self.model, self.baseline, x)[:pilot]
                with made._probe(found, partial=True) as probe:
                    made.method = self.method.prepare(probe, x[:pilot], start)
        return made

    def __call__(self, x: Any, labels: Labels = None) -> Contributions:
        """Contributions of one batch `x` `(B, …)`; `labels` `(B,)` for targets that need them.

        `x` is a tensor, a tuple or dict of several inputs, or `Inputs.of(x, model_kwargs)`.
        """
        return self.several(x, [self.target], labels)[0]

    def several(
        self, x: Any, targets: Sequence[Target | Bound], labels: Labels = None
    ) -> list[Contributions]:
        """Contributions to several targets: one forward per node, one backward per target."""
        x = self.inputs(x)
        labels = _as_labels(labels)
        if not targets:
            raise CodeclensError("There is no target to explain; pass at least one.")
        # Gradients are needed here in any mode of the caller, and none outside this call.
        with torch.inference_mode(False), torch.enable_grad():
            x = plain(x)
            ready = self.prepared(x)
            require_labels_for(labels, len(x))
            starts = self.starts(x)
            parts = [
                ready._attribute_by_way(
                    x[rows],
                    [start[rows] for start in starts],
                    targets,
                    None if labels is None else labels[rows],
                )
                for rows in ready._portions(x, targets)
            ]
        return [Contributions.joined(each) for each in zip(*parts, strict=True)]

    def joint(
        self,
        x: Any,
        divisions: Mapping[str, Division],
        pairs: Sequence[Pair],
        labels: Tensor | None = None,
    ) -> dict[Pair, Tensor]:
        """Contributions through every part of one site and then every part of another `(B, A, A)`.

        `divisions` says for each site how the contributions of its units divide into parts; `pairs`
        are keys of sites, the earlier first. If both sites are cuts, rows sum to the contribution
        of each part of the earlier one, columns to that of each part of the later one. Raises
        CodeclensError unless the method is Conductance with secants.
        """
        draws = self._walked(x, labels, partial(joint_along, divisions=divisions, pairs=pairs))
        return {pair: torch.stack([draw[pair] for draw in draws]).mean(dim=0) for pair in pairs}

    def pixels(
        self,
        x: Any,
        divisions: Mapping[str, Division],
        labels: Tensor | None = None,
        *,
        signs: bool = True,
    ) -> dict[str, Tensor]:
        """Contributions from each pixel through every part of each site `(A, 2, B, …)`, by site.

        The two maps of a part sum over pixels exactly to its contribution; without `signs` they are
        one map `(A, 1, B, …)`, in half of the time. Raises CodeclensError unless the method is
        Conductance with secants.
        """
        if isinstance(self.inputs(x), Inputs):
            raise CodeclensError(
                "Maps of pixels are of one input of floating-point numbers, and here are several "
                "inputs or token ids; contributions with reduce=None show the positions of tokens."
            )
        draws = self._walked(x, labels, partial(pixels_along, divisions=divisions, signs=signs))
        return {key: torch.stack([draw[key] for draw in draws]).mean(dim=0) for key in divisions}

    def _walked(self, x: Any, labels: Tensor | None, walk: Callable[..., _Found]) -> list[_Found]:
        """The result of a walk along the path, for every baseline of the batch."""
        with torch.inference_mode(False), torch.enable_grad():
            x = plain(self.inputs(x))
            ready = self.prepared(x)
            method = secants_of(ready.method)
            starts = self.starts(x)
            found = ready.survey(x)
            with self._probe(found) as probe:

                def at_x(here: Pass) -> list[Bound]:
                    return [bind(self.target, here.output.detach(), labels, x)]

                # Schedules without a pilot place their nodes for each run.
                placed = method.prepare(probe, x, starts[0])
                return [walk(placed, probe, x, start, at_x) for start in starts]

    def _probe(self, found: Survey, partial: bool = False) -> Probe:
        return Probe(self.model, found.sites, self.output, found.overwritten, partial)

    def _portions(self, x: Batch, targets: Sequence[Target | Bound]) -> list[slice]:
        """The portions of a batch that are computed at once, of nearly equal size."""
        count = self.at_once or len(x)
        if self.at_once is None and x.device.type == "cpu":
            count = max(1, MEMORY_AT_ONCE // max(1, self.survey(x).memory))
        if any(not isinstance(target, Target) or target.whole_batch for target in targets):
            # A function may be written for this batch as a whole, too.
            count = len(x)
        ends = torch.arange(len(x)).tensor_split(-(-len(x) // count))
        return [slice(int(rows[0]), int(rows[-1]) + 1) for rows in ends]

    def _attribute_by_way(
        self,
        x: Batch,
        starts: list[Batch],
        targets: Sequence[Target | Bound],
        labels: Tensor | None,
    ) -> list[Contributions]:
        """The contributions of a portion; of each sample alone, if samples take different ways."""
        together = self._attribute(x, starts, targets, labels)
        whole = any(not isinstance(target, Target) or target.whole_batch for target in targets)
        ways = {OTHER_WAY, *(unreached(site.key) for site in self.survey(x).sites)}
        met = {name for each in together for name in each.uncovered}
        if len(x) == 1 or whole or ways.isdisjoint(met):
            return together
        alone = [
            self._attribute(
                x[n : n + 1],
                [start[n : n + 1] for start in starts],
                targets,
                None if labels is None else labels[n : n + 1],
            )
            for n in range(len(x))
        ]
        return [Contributions.joined(each) for each in zip(*alone, strict=True)]

    def _attribute(
        self,
        x: Batch,
        starts: list[Batch],
        targets: Sequence[Target | Bound],
        labels: Tensor | None,
    ) -> list[Contributions]:
        found = self.survey(x)
        seen: dict[str, Tensor] = {}
        outputs: list[Tensor] = []
        attended = x.attended if isinstance(x, Inputs) else None

        def at_x(here: Pass) -> list[Bound]:
            output = here.output.detach()
            # A walk may begin again.
            seen.clear()
            outputs[:] = [output]
            for site in found.sites:
                if site.key in here.activations:
                    activation = wide(here.activations[site.key].detach())
                    seen[site.key] = mean_over_positions(site, activation, attended)
            bounds = [bind(target, output, labels, x) for target in targets]
            if getattr(self.method, "by_gradients", True):
                for target, bound in zip(targets, bounds, strict=True):
                    require_gradient(target, bound, output)
            return bounds

        with self._probe(found, partial=True) as probe:
            result = _averaged([self.method.attribute(probe, x, x0, at_x) for x0 in starts])
        output = outputs[0]
        none = output.new_full((len(x),), math.nan)
        estimate = none if result.estimate is None else result.estimate
        made = []
        for target, explained in zip(targets, result.explained, strict=True):
            sites = self._reduced(explained, found, seen, probe.missed)
            baseline = none if explained.baseline_target is None else explained.baseline_target
            ends = wide(explained.target), wide(baseline)
            made.append(
                Contributions(
                    sites,
                    *ends,
                    predicted_classes(output),
                    wide(estimate),
                    result.steps,
                    self._missed(
                        sites, *ends, result.uncovered | set(map(unreached, probe.missed)), found
                    ),
                    target_words(target),
                    target_unit(target),
                    x.words() if isinstance(x, Inputs) else "",
                )
            )
        return made

    def _missed(
        self,
        sites: dict[str, SiteContributions],
        target: Tensor,
        baseline: Tensor,
        uncovered: set[str],
        found: Survey,
    ) -> frozenset[str]:
        """What keeps the sums from being exact, by name; nothing where they are."""
        names = uncovered | found.parted
        gaps = [
            (site.completeness.abs(), (site.positive - site.negative).sum(dim=1))
            for site in sites.values()
            if site.is_cut and not site.completeness.isnan().all()
        ]
        scale = target.abs() + baseline.abs()
        rounding = ROUNDING.get(target.dtype, ROUNDING[torch.float32])
        if all(bool((gap <= rounding * (size + scale)).all()) for gap, size in gaps):
            # The sum at the first site shows all that is missed; later ones show less.
            if gaps and found.first_is_cut:
                names = {name for name in names if name.startswith("the site ")}
            return frozenset(names)
        if names or not is_exact(self.method):
            return frozenset(names)
        if torch.finfo(found.lowest).eps > torch.finfo(target.dtype).eps:
            casts = 16 * torch.finfo(found.lowest).eps
            if all(bool((gap <= casts * (size + scale)).all()) for gap, size in gaps):
                return frozenset({cast_to(found.lowest)})
        if any(bool((gap > 100 * rounding * (size + scale)).any()) for gap, size in gaps):
            return frozenset({UNSEEN})
        return frozenset()

    def _reduced(
        self, explained: Explained, found: Survey, seen: dict[str, Tensor], missed: set[str]
    ) -> dict[str, SiteContributions]:
        sites = {}
        for site in found.sites:
            contributions = explained.contributions.pop(site.key, None)
            if contributions is None:
                # No sample of the batch reaches the site.
                contributions = wide(explained.target.new_zeros(1)).new_zeros(
                    len(explained.target), *found.shapes[site.key]
                )
            _require_finite(site, contributions)
            positive, negative = split_signs(site.units(contributions))
            gap = torch.full_like(positive[:, 0], math.nan)
            is_cut = site.key in found.cuts
            if (
                is_cut
                and site.key not in missed
                and self.method.complete
                and explained.baseline_target is not None
            ):
                change = wide(explained.target) - wide(explained.baseline_target)
                gap = (positive + negative).sum(dim=1) - change
            full = contributions if self.reduce is None else None
            activation = seen.get(site.key, torch.zeros_like(positive))
            sites[site.key] = SiteContributions(
                site, positive, negative, activation, gap, is_cut, full
            )
        return sites


def _require_reached(found: Survey, secants: bool) -> None:
    """Raise CodeclensError for sites whose gradient is stopped; warn of those without effect."""
    stopped = {key: reason for key, reason in found.interrupted.items() if reason}
    if not secants:
        reason = "an operation without a derivative, which only secants can follow"
        stopped |= dict.fromkeys(sorted(found.secants_only), reason)
    if stopped:
        key, reason = next(iter(stopped.items()))
        others = ", ".join(f'"{s.key}"' for s in found.sites if s.key not in found.interrupted)
        more = f" (and {len(stopped) - 1} more of the sites)" if len(stopped) > 1 else ""
        advice = (
            f"leave out these sites. The gradient reaches {others}"
            if others
            else "choose sites behind that, or change the model so that the gradient passes"
        )
        raise CodeclensError(
            f'No gradient reaches the output from site "{key}"{more}: it is stopped by {reason}. '
            f"Contributions there would be 0 although the output depends on it; {advice}."
        )
    if found.interrupted:
        names = ", ".join(f'"{key}"' for key in found.interrupted)
        warnings.warn(
            f"The output does not depend on {names}: contributions there are 0.",
            CompletenessWarning,
            stacklevel=4,
        )


def _require_finite(site: Site, contributions: Tensor) -> None:
    if not torch.isfinite(contributions).all():
        raise CodeclensError(
            f'Contributions at "{site.key}" are NaN or infinite although the input is finite; '
            "look for a division by zero or an overflow in the model."
        )


def _start(model: nn.Module, baseline: Baseline, x: Batch, draw: int = 0) -> Batch:
    """The baseline of a batch, in its shape; raises CodeclensError if it does not fit."""
    if isinstance(x, Inputs):
        return x.started(model, baseline, draw)
    return fitted(baseline.at(x, draw), x)


def _as_labels(labels: Any) -> Tensor | None:
    """Labels as a tensor, from a list or an array too."""
    if labels is None or isinstance(labels, Tensor):
        return labels
    try:
        return torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise CodeclensError(f"Labels are {labels!r}; pass one integer for each sample.") from None


def _averaged(draws: list[Attributed]) -> Attributed:
    """The mean over several baselines, in place of the first."""
    first, *others = draws
    if not others:
        return first
    for other in others:
        for mine, theirs in zip(first.explained, other.explained, strict=True):
            for key, total in theirs.contributions.items():
                if key in mine.contributions:
                    mine.contributions[key].add_(total)
                else:
                    mine.contributions[key] = total
            if mine.baseline_target is not None and theirs.baseline_target is not None:
                mine.baseline_target.add_(theirs.baseline_target)
        first.uncovered.update(other.uncovered)
    # The mean has the steps and the error of its worst part.
    steps = [draw.steps for draw in draws if draw.steps is not None]
    estimates = [draw.estimate for draw in draws if draw.estimate is not None]
    for mine in first.explained:
        for total in mine.contributions.values():
            total.div_(len(draws))
        if mine.baseline_target is not None:
            mine.baseline_target.div_(len(draws))
    return replace(
        first,
        steps=torch.stack(steps).amax(dim=0) if steps else None,
        estimate=torch.stack(estimates).amax(dim=0) if estimates else None,
    )


def contributions(
    model: nn.Module,
    x: Any,
    *,
    sites: str | Site | Iterable[str | Site],
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: AnyBaseline = 0.0,
    reduce: Reduce = "sum",
    output: Selector = None,
    labels: Labels = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> Contributions:
    """Compute how much each hidden unit at `sites` contributed to the target, for every sample.

    `x` is `(B, …)`; `sites` are module names, globs, presets such as `"@blocks"` or `Site`s (see
    `find_sites`); `method` is `Conductance()` and `target` is `Predicted()` by default;
    contributions are relative to `baseline`, a number, a tensor that broadcasts to `x`, or an
    object of `codeclens.attribution.baselines`; `output` selects from a dict, tuple or dataclass
    output; `reduce=None` also keeps positions. The results, `(B, U)` for each site, are in the unit
    of the target. The model is left as it was.

    A model with several inputs gets them as a tuple or dict `x`, and keyword arguments as
    `model_kwargs`. With a tuple or dict as the `baseline`, each input has its own; one with None,
    and one of whole numbers, is held fixed (`Contributions.inputs` says which). Token ids move in
    the space of their embedding: from 0, from a `TokenEmbedding(id)`, or from the mean `"mean"`.

    Warns with CompletenessWarning if the contributions at a cut miss T(x) − T(x0) by much, and if a
    tolerance was not reached. Raises CodeclensError for an unknown site, labels out of range, NaN
    in the input, an output that is not a tensor. (arXiv 2603.06557, contributions by integrated
    gradients.)

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> c = contributions(model, torch.randn(5, 4), sites="1")
    >>> c["1"].positive.shape
    torch.Size([5, 8])
    >>> bool(((c.target - c.baseline_target) - c["1"].net.sum(1)).abs().max() < 1e-5)
    True
    """
    attributor = Attributor(
        model,
        sites=sites,
        method=method,
        target=target,
        baseline=baseline,
        reduce=reduce,
        output=output,
    )
    found = attributor(Inputs.of(x, model_kwargs), labels)
    warn_of_gaps(
        {key: site.completeness for key, site in found.items()},
        found.target - found.baseline_target,
        found.uncovered,
        lambda key: (found[key].positive - found[key].negative).sum(dim=1),
        is_exact(attributor.method),
    )
    warn_of_tolerance(getattr(attributor.method, "tolerance", None), found.estimate)
    return found
