"""The result types of contributions: one mapping from sites to signed sums over units."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from codeclens.attribution.sites import Site
from codeclens.errors import CompletenessWarning, counted, unknown
from codeclens.labelled import Labelled, labels, node_name

if TYPE_CHECKING:
    import numpy as np
    import pandas
    import xarray


@dataclass(frozen=True, eq=False, repr=False)
class SiteContributions(Labelled):
    """The contributions of one site's units `(B, U)`, in the unit of the target (logits, Hz …).

    `positive` ≥ 0 and `negative` ≤ 0 are summed over positions, each sign separately; `activation`
    is the mean over positions at x. `completeness` `(B,)` is ΣC − (T(x) − T(x0)), NaN if the site
    is not a cut or the method has no baseline. `full` holds the contributions in the layout of the
    activation, if `reduce=None` asked for them.
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

    def title(self) -> str:
        samples, units = self.positive.shape
        return f'{units} units at "{self.site.key}", means over {counted(samples, "sample")}'

    def to_xarray(self) -> xarray.Dataset:
        """`contribution` over sample, unit and sign, `activation` and `completeness`."""
        import xarray

        signed = torch.stack([self.positive, self.negative], dim=2)
        return xarray.Dataset(
            {
                "contribution": (("sample", "unit", "sign"), _array(signed)),
                "activation": (("sample", "unit"), _array(self.activation)),
                "completeness": ("sample", _array(self.completeness)),
            },
            {"sign": labels(["positive", "negative"])},
            {"site": self.site.key, "is_cut": int(self.is_cut)},
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each unit, with means over the samples."""
        import pandas

        return pandas.DataFrame(
            {
                "unit": range(self.positive.shape[1]),
                "positive": _array(self.positive).mean(axis=0),
                "negative": _array(self.negative).mean(axis=0),
                "net": _array(self.net).mean(axis=0),
                "activation": _array(self.activation).mean(axis=0),
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class Contributions(Labelled, Mapping[str, SiteContributions]):
    """A mapping from site key to `SiteContributions`, with what is known of every sample.

    `target` and `baseline_target` `(B,)` are T(x) and T(x0) (NaN if the method has no baseline);
    `prediction` `(B,)` is the class with the largest output at x (−1 if the output has no classes).
    If the method adapts to a tolerance, `steps` `(B,)` is the number of steps and `estimate` `(B,)`
    the relative change of the contributions in the last doubling (otherwise None and NaN).
    `uncovered` names what keeps the sums from being exact: operations of the model without a
    secant rule, interrupted gradients, casts; it is empty where the sums are exact. `words` and
    `unit` say what was explained. `inputs` says, of several inputs, which moved along the path and
    which were held fixed.
    """

    sites: Mapping[str, SiteContributions]
    target: Tensor
    baseline_target: Tensor
    prediction: Tensor
    estimate: Tensor
    steps: Tensor | None = None
    uncovered: frozenset[str] = frozenset()
    words: str = "the target"
    unit: str = ""
    inputs: str = ""

    @staticmethod
    def joined(parts: Sequence[Contributions]) -> Contributions:
        """Contributions of several batches as those of one, in their order."""
        first, *others = parts
        if not others:
            return first
        steps = [part.steps for part in parts if part.steps is not None]
        return replace(
            first,
            sites={key: _joined([part[key] for part in parts]) for key in first},
            steps=torch.cat(steps) if steps else None,
            uncovered=frozenset().union(*(part.uncovered for part in parts)),
            **_concatenated(parts, "target", "baseline_target", "prediction", "estimate"),
        )

    def __getitem__(self, key: str) -> SiteContributions:
        if key not in self.sites:
            raise KeyError(str(unknown("site", key, self.sites, "The contributions have")))
        return self.sites[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def title(self) -> str:
        named = not self.unit or self.unit.removesuffix("s") in self.words
        unit = "" if named else f" ({self.unit})"
        inputs = f"; {self.inputs}" if self.inputs else ""
        return f"Contributions to {self.words}{unit}, {counted(len(self.target), 'sample')}{inputs}"

    def to_xarray(self) -> xarray.DataTree:
        """A tree: at its root what is known of every sample, below it a data set for each site."""
        import xarray

        samples = {
            name: ("sample", _array(getattr(self, name)))
            for name in ("target", "baseline_target", "prediction", "estimate", "steps")
            if getattr(self, name) is not None
        }
        about = {
            "explained": self.words,
            "unit": self.unit,
            "uncovered": ", ".join(sorted(self.uncovered)),
            "inputs": self.inputs,
        }
        root = xarray.Dataset(samples, {"sample": range(len(self.target))}, about)
        # The site of the whole model has the empty name, which is that of the root.
        below = {node_name(key or "model"): site.to_xarray() for key, site in self.items()}
        return xarray.DataTree.from_dict({"/": root, **below})

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each site: its units, the gap of completeness and mean sums over units.

        `relative_gap` is the median gap relative to the median change of the target.
        """
        import pandas

        change = self.target - self.baseline_target
        return pandas.DataFrame(
            {
                "site": key,
                "samples": len(self.target),
                "units": site.positive.shape[1],
                "is_cut": site.is_cut,
                "relative_gap": _relative_gap(site.completeness, change),
                "positive": float(site.positive.sum(dim=1).mean()),
                "negative": float(site.negative.sum(dim=1).mean()),
            }
            for key, site in self.items()
        )


def _joined(parts: Sequence[SiteContributions]) -> SiteContributions:
    full = [part.full for part in parts if part.full is not None]
    names = ("positive", "negative", "activation", "completeness")
    return replace(parts[0], full=torch.cat(full) if full else None, **_concatenated(parts, *names))


def _concatenated(parts: Sequence[Any], *names: str) -> dict[str, Any]:
    return {name: torch.cat([getattr(part, name) for part in parts]) for name in names}


def _array(values: Tensor) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = values.detach().cpu().numpy()
    return found


def _relative_gap(gap: Tensor, change: Tensor) -> float:
    """The median gap relative to the median change of the target; NaN if there is no change."""
    scale = change.abs().median().item()
    return gap.abs().median().item() / scale if scale > 0 else math.nan


# Users are warned from this relative gap on.
GAP_WORTH_A_WARNING = 0.25
# A gap of exact sums that has no other name.
UNSEEN = "an operation that the secant rules do not see"


def cast_to(dtype: torch.dtype) -> str:
    """The name of a cast in `Contributions.uncovered`."""
    return f"a cast to {str(dtype).removeprefix('torch.')}"


def unreached(site: str) -> str:
    """The name, in `Contributions.uncovered`, of a site that some inputs do not reach."""
    return f'the site "{site}"'


def warn_of_gaps(
    gaps: Mapping[str, Tensor],
    change: Tensor,
    uncovered: Iterable[str] = (),
    sizes: Callable[[str], Tensor] | None = None,
    exact: bool = False,
) -> None:
    """Warn once, naming the worst site, if contributions miss the change of the target by much.

    `gaps` holds the completeness `(B,)` of every site and `change` `(B,)` is T(x) − T(x0).
    Whatever is `uncovered` by secant rules is named with the gap that it causes, however small it
    is. `sizes` gives the sum of the magnitudes of a site's contributions `(B,)`. `exact` says that
    the method's sums are exact at any number of steps, so that what remains is rounding.
    """
    relative = {key: _relative_gap(gap, change) for key, gap in gaps.items()}
    known = {key: gap for key, gap in relative.items() if not math.isnan(gap)}
    worst = max(known, key=lambda key: known[key], default=None)
    missed = (
        "no site is a cut, so their effect is not known"
        if worst is None
        else f'contributions at "{worst}" miss the change of the target by {known[worst]:.1%} '
        "(median over samples)"
    )
    names = sorted(uncovered)
    if names:
        message = f"{_causes(names)}: {missed}."
    elif worst is None or known[worst] <= GAP_WORTH_A_WARNING:
        return
    elif exact:
        size = "" if sizes is None else _share(gaps[worst], sizes(worst))
        message = (
            f"This is rounding{size}: {missed}, because large contributions cancel in it. Use "
            "double precision, or a target that changes more."
        )
    else:
        message = f"Too few steps: {missed}."
    warnings.warn(message, CompletenessWarning, stacklevel=3)


def _causes(names: Sequence[str]) -> str:
    """What is missed, in a sentence; operations without a rule apart from everything else."""
    casts = [name for name in names if name.startswith("a cast to")]
    stopped = [name for name in names if name.startswith(_STOPS)]
    missed = [name for name in names if name.startswith("the site ")]
    rest = [name for name in names if name not in (*casts, *stopped, *missed, UNSEEN)]
    parts = []
    if rest:
        parts.append(f"no secant rule for {', '.join(rest)} (derivatives are used instead)")
    if stopped:
        parts.append(f"no gradient through {', '.join(stopped)}")
    if casts:
        parts.append(f"rounding by {', '.join(casts)} inside the model")
    if missed:
        where = " or ".join(missed)
        parts.append(f"an input that does not reach {where} (its contributions there are 0)")
    if UNSEEN in names:
        parts.append(UNSEEN)
    return f"There is {' and '.join(parts)}"


# How the interruptions of a gradient begin that the survey finds.
_STOPS = (".detach()", ".data", "torch.no_grad()", "torch.autograd.grad")


def _share(gap: Tensor, size: Tensor) -> str:
    scale = size.abs().median().item()
    return f", {gap.abs().median().item() / scale:.1e} of the sum of magnitudes" if scale else ""


def warn_of_tolerance(tolerance: float | None, estimate: Tensor) -> None:
    """Warn once if the estimated error `(B,)` of some samples is above the tolerance."""
    missed = estimate > (math.inf if tolerance is None else tolerance)
    if missed.any():
        warnings.warn(
            f"The tolerance {tolerance} was not reached within max_steps for "
            f"{int(missed.sum())} of {len(estimate)} samples; the largest estimate of the error is "
            f"{estimate[missed].max().item():.2g}.",
            CompletenessWarning,
            stacklevel=3,
        )


def split_signs(contributions: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the positive and the negative contributions of every unit over its positions.

    Signs are split before the sum; otherwise excitation at one position of a channel and
    suppression at another would cancel: `C⁺_u = Σ_p max(C_{u,p}, 0)`, `C⁻_u = Σ_p min(C_{u,p}, 0)`.
    Takes `(B, U, P)`, gives two `(B, U)`: the first ≥ 0, the second ≤ 0. (arXiv 2603.06557.)

    >>> import torch
    >>> split_signs(torch.tensor([[[1.0, -2.0, 3.0]]]))
    (tensor([[4.]]), tensor([[-2.]]))
    """
    return contributions.clamp(min=0).sum(dim=2), contributions.clamp(max=0).sum(dim=2)


def mean_over_positions(site: Site, activation: Tensor, attended: Tensor | None) -> Tensor:
    """The mean of each unit over positions `(B, U)`; over tokens without padding, if it is known.

    >>> import torch
    >>> known = torch.tensor([[True, True, False]])
    >>> mean_over_positions(Site("h.0"), torch.tensor([[[1.0], [3.0], [9.0]]]), known)
    tensor([[2.]])
    """
    units = site.units(activation)
    grid = site.grid(activation)
    if attended is None or grid[-1:] != attended.shape[1:]:
        return units.mean(dim=2)
    shape = (len(attended), *[1] * (len(grid) - 1), grid[-1])
    weights = attended.reshape(shape).expand(-1, *grid).reshape(len(attended), 1, -1).to(units)
    return (units * weights).sum(dim=2) / weights.sum(dim=2).clamp(min=1)
