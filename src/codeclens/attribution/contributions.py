"""Contributions: what each hidden unit contributed to the target, for one batch."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from codeclens.attribution.attributor import Attributor, Labels, Reduce
from codeclens.attribution.baselines import Baseline
from codeclens.attribution.capture import Selector
from codeclens.attribution.completeness import warn_of_gaps, warn_of_tolerance
from codeclens.attribution.methods import Method
from codeclens.attribution.results import Contributions
from codeclens.attribution.sites import Site
from codeclens.attribution.targets import Bound, Target


def contributions(
    model: nn.Module,
    x: Tensor,
    *,
    sites: str | Site | Iterable[str | Site],
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: float | Tensor | Baseline = 0.0,
    reduce: Reduce = "sum",
    output: Selector = None,
    labels: Labels = None,
) -> Contributions:
    """Compute how much each hidden unit at `sites` contributed to the target, for every sample.

    `x` is `(B, …)`; `sites` are module names, globs, presets such as `"@blocks"` or `Site`s (see
    `find_sites`); `method` is `Conductance()` and `target` is `Predicted()` unless given;
    contributions are counted from `baseline`, a number, a tensor that broadcasts to `x`, or an
    object of `codeclens.attribution.baselines`;
    `output` selects from a dict, tuple or dataclass output; `reduce=None` keeps positions too.
    The results, `(B, U)` for each site, are in the target's units. The model is left as it was.

    Warns with CompletenessWarning where the contributions of a cut miss T(x) − T(x0) by much, and
    where a tolerance was not reached.
    Raises CodeclensError for an unknown site, labels out of range, NaN in the input, an output
    that is no tensor. (arXiv 2603.06557, contributions by integrated gradients.)

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
    found = attributor(x, labels)
    warn_of_gaps(
        {key: site.completeness for key, site in found.items()},
        found.target - found.baseline_target,
        found.uncovered,
    )
    warn_of_tolerance(getattr(attributor.method, "tolerance", None), found.estimate)
    return found
