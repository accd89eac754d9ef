"""Shares: how much of each unit of a site is due to a mode, as tensors for interventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Site
from codeclens.decomposition import Mode, Modes, mode_shares
from codeclens.errors import CodeclensError

Which = int | Mode | Sequence[int]


class Found(Protocol):
    """Contributions of one site for a batch, as `contributions(…)[site]` gives them."""

    @property
    def site(self) -> Site: ...
    @property
    def positive(self) -> Tensor: ...
    @property
    def negative(self) -> Tensor: ...
    @property
    def activation(self) -> Tensor: ...
    @property
    def full(self) -> Tensor | None: ...


def mode_share(modes: Modes, which: Which, found: Found | Mapping[str, Found]) -> Tensor:
    """How much of what each unit contributes is due to a mode, or to several together, in [0, 1].

    Of a unit's positive contributions mode j has the share `l_j D_ju / max(|x_u|, Σ_k l_k D_ku)`,
    of the negative ones likewise (`mode_shares`); what no mode explains belongs to none. Where
    `found` holds contributions at all positions (`contributions(…, reduce=None)`) the share is a
    tensor in the layout of the activation: at each position the one of the sign that the unit has
    there. Else it is `(B, U)`, the mean of both, weighted by how much the unit contributes with
    either sign.

    Raises CodeclensError for modes of another site, and for a mode that there is not.

    >>> from codeclens.attribution import Sum, contributions
    >>> from codeclens.decomposition import NMF
    >>> x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Flatten())
    >>> c = contributions(model, x, sites="0", target=Sum())["0"]
    >>> modes = Modes("0", "positive", (nmf := NMF(n_modes=3).fit(x)), nmf.encode(x))
    >>> mode_share(modes, 2, c).shape, bool((mode_share(modes, [0, 1, 2], c) <= 1).all())
    (torch.Size([20, 4]), True)
    """
    here = of_site(modes, found)
    plus, minus = _by_sign(modes, which, here)
    if here.full is None:
        return _by_unit(here, plus, minus)
    units = here.site.units(here.full)
    share = torch.where(units > 0, plus[:, :, None], minus[:, :, None])
    return here.site.restore(share.expand_as(units), like=here.full)


def unit_share(
    modes: Modes, which: Which, found: Found | Mapping[str, Found]
) -> Float[Tensor, "sample unit"]:
    """The same for units as a whole `(B, U)`, where positions are known, too."""
    here = of_site(modes, found)
    return _by_unit(here, *_by_sign(modes, which, here))


def _by_sign(modes: Modes, which: Which, here: Found) -> tuple[Tensor, Tensor]:
    numbers = numbers_of(modes, which)
    positive, negative, activation = (
        part.detach().cpu().double().numpy()
        for part in (here.positive, here.negative, here.activation)
    )
    shares = mode_shares(modes, positive, negative, activation, most=len(modes))
    mine = np.isin(shares.mode, numbers)[:, :, None]
    # Sums of shares may exceed 1 by rounding.
    plus, minus = (
        torch.from_numpy(part.sum(axis=1)).clamp(max=1).to(here.positive.device)
        for part in (shares.positive * mine, shares.negative * mine)
    )
    return plus, minus


def _by_unit(here: Found, plus: Tensor, minus: Tensor) -> Tensor:
    gain, loss = here.positive.double(), -here.negative.double()
    total = gain + loss
    return torch.where(
        total > 0, (plus * gain + minus * loss) / total.clamp(min=1e-300), 0.0
    ).clamp(max=1)


def of_site(modes: Modes, found: Found | Mapping[str, Found]) -> Found:
    """The contributions of the modes' own site; raises CodeclensError where there are none."""
    if isinstance(found, Mapping):
        if modes.site not in found:
            known = ", ".join(f'"{key}"' for key in found)
            raise CodeclensError(
                f'The modes are of site "{modes.site}", of which there are no contributions; '
                f"there are those of {known}."
            )
        found = found[modes.site]
    if found.site.key != modes.site:
        raise CodeclensError(
            f'The modes are of site "{modes.site}", the contributions of "{found.site.key}"; '
            "pass those of the same site."
        )
    return found


def numbers_of(modes: Modes, which: Which) -> list[int]:
    """The numbers of the modes that are meant; raises CodeclensError where there are no such."""
    if isinstance(which, Mode):
        if which.site != modes.site:
            raise CodeclensError(
                f'Mode {which.index} is of site "{which.site}", the modes are of "{modes.site}".'
            )
        which = which.index
    given: list[Any] = [which] if isinstance(which, int | np.integer) else list(which)
    return [modes[number].index for number in given]
