"""Contributions: what each hidden unit contributed to the target, for one batch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from codeclens.attribution.capture import Pass, Probe, Selector
from codeclens.attribution.conductance import Conductance
from codeclens.attribution.methods import Method, wide
from codeclens.attribution.reduction import split_signs
from codeclens.attribution.sites import Site, find_sites
from codeclens.attribution.surveys import Survey, survey
from codeclens.attribution.targets import Bound, Predicted, Target, bind
from codeclens.errors import CodeclensError, CompletenessWarning

Baseline = float | Tensor
Reduce = Literal["sum"] | None

# The median gap, relative to the median change of the target, from which on a user should know.
GAP_WORTH_A_WARNING = 0.25


@dataclass(frozen=True)
class SiteContributions:
    """The contributions of one site's units `(B, U)`, in the target's own units (logits, Hz …).

    `positive` ≥ 0 and `negative` ≤ 0 are summed over positions with their signs apart;
    `activation` is the mean over positions at x. `completeness` `(B,)` is ΣC − (T(x) − T(x0)), NaN
    where the site is no cut or the method has no baseline. `full` holds the contributions in the
    activation's own layout where `reduce=None` asked for them.
    """

    site: Site
    positive: Tensor
    negative: Tensor
    activation: Tensor
    completeness: Tensor
    is_cut: bool
    full: Tensor | None = None

    @property
    def net(self) -> Tensor:
        """Positive and negative contributions together `(B, U)`."""
        return self.positive + self.negative

    def __repr__(self) -> str:
        samples, units = self.positive.shape
        return f"SiteContributions({self.site.key!r}: {samples} samples × {units} units)"


class Contributions(Mapping[str, SiteContributions]):
    """A mapping from site key to `SiteContributions`, with what belongs to the samples.

    `target` and `baseline_target` `(B,)` are T(x) and T(x0) (NaN where the method has no
    baseline); `prediction` `(B,)` is the class with the largest output at x (−1 where the output
    has no classes). Where the method adapts to a tolerance, `steps` `(B,)` says how many it took
    and `estimate` `(B,)` the relative change of the contributions in the last doubling (else None
    and NaN). `uncovered` names operations of the model that have no secant rule.
    """

    def __init__(
        self,
        sites: Mapping[str, SiteContributions],
        target: Tensor,
        baseline_target: Tensor,
        prediction: Tensor,
        estimate: Tensor,
        steps: Tensor | None = None,
        uncovered: Iterable[str] = (),
    ) -> None:
        self._sites = dict(sites)
        self.target = target
        self.baseline_target = baseline_target
        self.prediction = prediction
        self.estimate = estimate
        self.steps = steps
        self.uncovered = frozenset(uncovered)

    def __getitem__(self, key: str) -> SiteContributions:
        try:
            return self._sites[key]
        except KeyError:
            known = ", ".join(f'"{k}"' for k in self._sites)
            raise KeyError(f'No contributions of site "{key}"; there are {known}.') from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def __repr__(self) -> str:
        return f"Contributions({len(self.target)} samples at {', '.join(self._sites)})"


class Attributor:
    """What `contributions` prepares once: the sites of a model, a method and a target.

    Call it with one batch after another. The first batch tells which sites are cuts, which modules
    are called several times (each call its own site), which tensors are changed in place, and
    where the nodes of a path best lie; `prepare` does the same with samples of your choice.
    `sites` are the sites asked for, before that.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        sites: str | Site | Iterable[str | Site],
        method: Method | None = None,
        target: Target | Bound | None = None,
        baseline: Baseline = 0.0,
        reduce: Reduce = "sum",
        output: Selector = None,
    ) -> None:
        self.model = model
        self.sites = find_sites(model, sites)
        self.method: Method = Conductance() if method is None else method
        self.target: Target | Bound = Predicted() if target is None else target
        self.baseline = baseline
        self.reduce = reduce
        self.output = output
        self._survey: Survey | None = None

    def survey(self, x: Tensor) -> Survey:
        """What the sites are, found out with the first samples of `x` and remembered."""
        if self._survey is None:
            # Two, where there are two: one would not tell an axis of samples from one of length 1.
            self._survey = survey(self.model, self.sites, x[:2], self.output)
        return self._survey

    def prepare(self, x: Tensor) -> Method:
        """Let the method learn what it needs from a few samples `x` `(B, …)`, once for a data set.

        Returns the method as it is used from then on: `Conductance` with its nodes placed.
        """
        _require_usable(x)
        if self.method.pilot:
            x = x[: self.method.pilot]
            found = self.survey(x)
            with Probe(self.model, found.sites, self.output, found.overwritten) as probe:
                self.method = self.method.prepare(probe, x, _resolve(self.baseline, x))
        return self.method

    def __call__(self, x: Tensor, labels: Tensor | None = None) -> Contributions:
        """Contributions of one batch `x` `(B, …)`; `labels` `(B,)` for targets that need them."""
        # Whatever the caller's mode, gradients are needed here, and none beyond this call.
        with torch.inference_mode(False), torch.enable_grad():
            x = x.clone() if x.is_inference() else x.detach()
            self.prepare(x)
            return self._attribute(x, labels)

    def _attribute(self, x: Tensor, labels: Tensor | None) -> Contributions:
        baseline = _resolve(self.baseline, x)
        found = self.survey(x)
        seen: dict[str, Tensor] = {}
        outputs: list[Tensor] = []

        def at_x(here: Pass) -> Bound:
            output = here.output.detach()
            outputs.append(output)
            for site in found.sites:
                activation = wide(here.activations[site.key].detach())
                seen[site.key] = site.units(activation).mean(dim=2)
            return bind(self.target, output, labels)

        with Probe(self.model, found.sites, self.output, found.overwritten) as probe:
            result = self.method.attribute(probe, x, baseline, at_x)
        target = wide(result.target)
        none = torch.full_like(target, math.nan)
        start = none if result.baseline_target is None else wide(result.baseline_target)
        sites = {}
        for site in found.sites:
            contributions = result.contributions.pop(site.key)
            _require_finite(site, contributions)
            positive, negative = split_signs(site.units(contributions))
            is_cut = site.key in found.cuts
            total = (positive + negative).sum(dim=1)
            gap = total - (target - start) if is_cut and self.method.complete else none
            full = contributions if self.reduce is None else None
            sites[site.key] = SiteContributions(
                site, positive, negative, seen[site.key], gap, is_cut, full
            )
        output = outputs[0]
        prediction = output.argmax(dim=1) if output.ndim == 2 else torch.full_like(target, -1)
        estimate = none if result.estimate is None else result.estimate.to(target)
        return Contributions(
            sites, target, start, prediction.long(), estimate, result.steps, result.uncovered
        )


def contributions(
    model: nn.Module,
    x: Tensor,
    *,
    sites: str | Site | Iterable[str | Site],
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: Baseline = 0.0,
    reduce: Reduce = "sum",
    output: Selector = None,
    labels: Tensor | None = None,
) -> Contributions:
    """Compute how much each hidden unit at `sites` contributed to the target, for every sample.

    `x` is `(B, …)`; `sites` are module names, globs, presets such as `"@blocks"` or `Site`s (see
    `find_sites`); `method` is `Conductance()` and `target` is `Predicted()` unless given;
    contributions are counted from `baseline`, a number or a tensor that broadcasts to `x`;
    `output` selects from a dict, tuple or dataclass output; `reduce=None` keeps positions too.
    The results, `(B, U)` for each site, are in the target's units. The model is left as it was.

    Warns with CompletenessWarning where the contributions of a cut miss T(x) − T(x0) by much.
    Raises CodeclensError for an unknown site, labels out of range, NaN in the input, an output
    that is no tensor. (arXiv 2603.06557, contributions by integrated gradients.)

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
    found = attributor(x, labels)
    warn_of_gaps(
        {key: site.completeness for key, site in found.items()},
        found.target - found.baseline_target,
        found.uncovered,
    )
    return found


def warn_of_gaps(gaps: Mapping[str, Tensor], change: Tensor, uncovered: Iterable[str] = ()) -> None:
    """Warn once, naming the worst site, where contributions miss the change of the target by much.

    `gaps` holds the completeness `(B,)` of every site and `change` `(B,)` is T(x) − T(x0).
    Operations that are `uncovered` by secant rules are named with the gap they cause, however
    small it is.
    """
    scale = change.abs().median().item()
    relative = {key: gap.abs().median().item() / scale for key, gap in gaps.items() if scale > 0}
    known = {key: gap for key, gap in relative.items() if not math.isnan(gap)}
    worst = max(known, key=lambda key: known[key], default=None)
    missed = (
        "no site is a cut, so that their effect is not known"
        if worst is None
        else f'contributions at "{worst}" miss the change of the target by {known[worst]:.1%} '
        "(median over samples)"
    )
    names = ", ".join(sorted(uncovered))
    if names:
        message = f"There is no secant rule for {names} (derivatives are used instead): {missed}."
    elif worst is not None and known[worst] > GAP_WORTH_A_WARNING:
        message = f"Too few steps: {missed}."
    else:
        return
    warnings.warn(message, CompletenessWarning, stacklevel=3)


def _require_usable(x: Tensor) -> None:
    if not x.is_floating_point():
        raise CodeclensError(
            f"The input is {x.dtype}; contributions need a floating-point input to follow "
            "(convert images with .float(), pass token embeddings instead of token ids)."
        )
    if x.ndim < 2 or not len(x):
        raise CodeclensError(
            f"The input has shape {tuple(x.shape)}; pass a batch, for example x[None]."
        )
    usable = torch.isfinite(x).flatten(1).all(dim=1)
    if not usable.all():
        bad = (~usable).nonzero().flatten().tolist()
        raise CodeclensError(
            f"The input holds NaN or infinite values in {len(bad)} of {len(x)} samples "
            f"(first: sample {bad[0]}); clean or drop them."
        )


def _require_finite(site: Site, contributions: Tensor) -> None:
    if not torch.isfinite(contributions).all():
        raise CodeclensError(
            f'Contributions at "{site.key}" are NaN or infinite although the input is finite; '
            "look for a division by zero or an overflow in the model."
        )


def _resolve(baseline: Baseline, x: Tensor) -> Tensor:
    given = torch.as_tensor(baseline).detach()
    try:
        resolved = (given.clone() if given.is_inference() else given).to(x).expand_as(x)
    except RuntimeError:
        raise CodeclensError(
            f"The baseline has shape {tuple(given.shape)}, which does not fit inputs of shape "
            f"{tuple(x.shape)}; pass one sample {tuple(x.shape[1:])} or one for each."
        ) from None
    if not torch.isfinite(resolved).all():
        raise CodeclensError("The baseline holds NaN or infinite values.")
    return resolved
