"""Directions: what a mode looks like in activations, so that a network can be steered along it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.control.edits import Value
from codeclens.control.shares import Found, Which, numbers_of, of_site, unit_share
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError


def mode_direction(
    modes: Modes,
    which: Which,
    found: Found | Mapping[str, Found],
    *,
    baseline: Value = 0.0,
    by: Literal["share", "presence"] = "share",
) -> Float[Tensor, " unit"]:
    """The direction of a mode in activation space, one number for each unit `(U,)`.

    A mode's entries are contributions, products of how the target depends on a unit and how the
    unit departs from its baseline: their sign and size are not those of an activation. The
    direction is therefore taken from activations of the samples `found` in which the mode is
    present, weighted by its loading l:

    - `by="share"`: `d_u = Σ_n l_n s_nu (a_nu − a_u(x0)) / Σ_n l_n`, where s is the mode's share of
      the unit (`mode_share`): what `remove` takes away, on average. Units that the mode does not
      hold do not move. `baseline` is the activation at x0, one number, one for each unit, or a
      tensor in the layout of the site.
    - `by="presence"`: `d_u = Σ_n l_n a_nu / Σ_n l_n − mean of a_u where l = 0`, the difference of
      means with which steering vectors are commonly made. All units that go with the mode move.

    So the sign is that of the activations when the mode is there, whether it speaks for the target
    or against it, and a strength of 1 is as much of it as its samples have. Activations are means
    over positions, and so is the direction.

    Raises CodeclensError where the mode is absent from all samples (for `"presence"`, also from
    none), and as `mode_share` does.

    >>> import numpy as np
    >>> from codeclens.attribution import SiteContributions, Site
    >>> from codeclens.decomposition import NMF
    >>> a = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 1.0]]).repeat(10, 1)
    >>> c = SiteContributions(Site("1"), a, 0 * a, a, a[:, 0], True)
    >>> nmf = NMF(n_modes=2).fit(a)
    >>> modes = Modes("1", "positive", nmf, nmf.encode(a))
    >>> first = int(np.argmax(modes.dictionary[:, 0]))
    >>> bool(torch.allclose(mode_direction(modes, first, c), torch.tensor([10 / 3, 0]), atol=0.01))
    True
    """
    if by not in ("share", "presence"):
        raise CodeclensError(f'by="{by}" is not known; choose "share" or "presence".')
    here = of_site(modes, found)
    activation = here.activation.detach().double()
    loading = _loading(modes, which, here).to(activation.device)
    present = loading > 0
    number = ", ".join(str(n) for n in numbers_of(modes, which))
    if not bool(present.any()) or (by == "presence" and bool(present.all())):
        raise CodeclensError(
            f'Mode {number} of "{modes.site}" is present in {int(present.sum())} of the '
            f"{len(loading)} samples, so no direction can be told from them; pass more samples."
        )
    weight = loading / loading.sum()
    if by == "presence":
        return (weight @ activation - activation[~present].mean(dim=0)).to(here.activation.dtype)
    share = unit_share(modes, which, here)
    departure = activation - _by_unit(baseline, here).to(activation)
    return (weight @ (share * departure)).to(here.activation.dtype)


def _loading(modes: Modes, which: Which, here: Found) -> Float[Tensor, " sample"]:
    """How strongly a mode, or several together, is present in each sample."""
    signs = (here.positive, here.negative)
    given = {"concat": signs, "sum": signs, "positive": signs[:1], "negative": signs[1:]}
    loadings = modes.project(*given.get(modes.view, (here.activation,)))
    return torch.from_numpy(loadings[:, numbers_of(modes, which)].sum(axis=1)).double()


def _by_unit(baseline: Value, here: Found) -> Tensor:
    """A baseline as one number for each sample and unit, or fewer that broadcast."""
    found = torch.as_tensor(baseline)
    if found.ndim > 1:
        found = here.site.units(found).mean(dim=2)
    units, samples = here.activation.shape[1], len(here.activation)
    if found.shape not in ((), (units,), (1, units), (samples, units)):
        raise CodeclensError(
            f'baseline is {tuple(found.shape)} in units of site "{here.site.key}"; pass one '
            f"number, one for each of its {units} units, or an activation of one sample or of "
            f"{samples}."
        )
    return found
