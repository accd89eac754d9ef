"""Parts: how the units of a site are divided, by channel or by mode, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Division, Site, SiteContributions
from codeclens.decomposition import Modes, mode_shares
from codeclens.decomposition.shares import division
from codeclens.errors import CodeclensError

REMAINDER = "remainder"
BYPASS = "bypass"
# What is divided: the channels of a site, or the contributions at the site of some modes.
Where = str | Site | Modes
Found = SiteContributions | Mapping[str, SiteContributions] | None


@dataclass(frozen=True)
class Parts:
    """A division of a site's units into named parts that together are everything.

    `kind` is "channel" or "mode", the name of the axis; of modes the last part is the remainder,
    which no mode carries.
    """

    kind: str
    names: tuple[str, ...]
    division: Division
    site: Site

    def rows(self, rows: np.ndarray[Any, Any]) -> Parts:
        """The division of some windows."""
        at = torch.from_numpy(rows)
        divided = self.division
        return replace(
            self,
            division=Division(divided.positive[at], divided.negative[at], divided.excites[at]),
        )

    def share(self, part: int, like: Tensor) -> Tensor:
        """The share that a part has of everything at the site, in the activation's layout."""
        return self.site.restore(self.division.field(part).to(like), like=like)

    def sums(self, values: Tensor) -> Float[Tensor, "window part"]:
        """What each part has of values at the site, summed over units and positions, in float64."""
        units = self.site.units(values).double()
        divided = self.division
        exciting = units.where(divided.excites.to(units.device), 0).sum(dim=2)
        rest = units.sum(dim=2) - exciting
        return torch.einsum("bau,bu->ba", divided.positive.to(units), exciting) + torch.einsum(
            "bau,bu->ba", divided.negative.to(units), rest
        )


def parts_of(
    model: nn.Module, where: Where, found: Found, site: Site, units: int, windows: int
) -> Parts:
    """The parts that are meant: each channel of a site, or each mode of it and the remainder.

    Channels have the names that the model's `units` gives them by site, if it does, else numbers.
    `found` are the contributions of all `windows`, by which modes divide. Raises CodeclensError
    where they are missing, of another site, or of another number of windows.
    """
    if not isinstance(where, Modes):
        each = torch.eye(units).expand(windows, -1, -1)
        known = getattr(model, "units", None)
        given = known.get(site.name, ()) if isinstance(known, Mapping) else ()
        names = tuple(str(unit) for unit in (given if len(given) == units else range(units)))
        everywhere = torch.ones(windows, units, 1, dtype=torch.bool)
        return Parts("channel", names, Division(each, each, everywhere), site)
    here = found.get(where.site) if isinstance(found, Mapping) else found
    if isinstance(found, xarray.Dataset) or not isinstance(here, SiteContributions | None):
        raise CodeclensError(
            "Modes are divided by contributions with their positions, not by a "
            f"{type(found).__name__}; pass found=contributions(model, windows, "
            f'sites="{where.site}", reduce=None) of all windows.'
        )
    if here is None or here.site.key != where.site:
        raise CodeclensError(
            f'The modes are of site "{where.site}"; pass found=contributions(model, windows, '
            f'sites="{where.site}", …) of all windows.'
        )
    if len(here.positive) != windows:
        raise CodeclensError(
            f"There are contributions of {len(here.positive)} windows and {windows} windows of the "
            "movie; pass those of all its windows, in their order."
        )
    names = (*(str(number) for number in range(len(where))), REMAINDER)
    return Parts("mode", names, _by_mode(where, here), site)


def _by_mode(modes: Modes, here: SiteContributions) -> Division:
    positive, negative, activation = (
        values.detach().cpu().double().numpy()
        for values in (here.positive, here.negative, here.activation)
    )
    shares = mode_shares(modes, positive, negative, activation, most=len(modes))
    # The same parts in every window; the number after the last mode is the remainder's.
    every = shares.only(range(len(modes) + 1))
    if here.full is not None:
        divided = division(every, here)
        return Division(*(v.cpu() for v in (divided.positive, divided.negative, divided.excites)))
    # Signs at the positions are not known: a unit's share is the mean of both, by their weight.
    gain, loss = positive[:, None], -negative[:, None]
    total = gain + loss
    mean = (every.positive * gain + every.negative * loss) / np.where(total > 0, total, 1)
    mean[:, -1] = 1 - mean[:, :-1].sum(axis=1)
    both = torch.from_numpy(mean)
    return Division(both, both, torch.ones(*positive.shape, 1, dtype=torch.bool))


def named(parts: Parts, is_cut: bool) -> Sequence[str]:
    """The names of the parts, and of what passes by the site where something does."""
    return parts.names if is_cut else (*parts.names, BYPASS)
