"""Acting on modes: what removes a mode, or keeps it alone, in images that are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codeclens.attribution import SiteContributions
from codeclens.control.edits import Value
from codeclens.control.interventions import Intervention, Kind
from codeclens.control.removal import removal
from codeclens.decomposition import Mode, Modes
from codeclens.errors import CodeclensError

# What removes, or keeps alone, some modes by number in images of which contributions are known; no
# mode kept alone is the site with everything switched off.
Acting = Callable[[Modes, tuple[int, ...], SiteContributions, Kind], Intervention]


def removing(baseline: Value) -> Acting:
    """Act on exactly a mode's share of the activation, sample by sample, as `remove` and `keep` do.

    `baseline` is the activation at the input from which contributions were counted, in the layout
    of the site, or one number.

    >>> import torch
    >>> from codeclens.attribution import Sum, contributions
    >>> from codeclens.decomposition import NMF
    >>> x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Flatten())
    >>> c = contributions(model, x, sites="0", target=Sum())["0"]
    >>> nmf = NMF(n_modes=3).fit(c.activation)
    >>> modes = Modes("0", "activation", nmf, nmf.encode(c.activation))
    >>> removing(0.0)(modes, (2,), c, "ablate").site.key
    '0'
    """

    def act(
        modes: Modes, which: tuple[int, ...], found: SiteContributions, kind: Kind
    ) -> Intervention:
        return removal(modes, list(which), found, baseline=baseline, alone=kind == "preserve")

    return act


def covering(share: float = 0.5) -> Acting:
    """Act on the strongest units of a mode, as many as hold that share of its strength.

    The strength of a unit is its larger entry, as in `Mode.top_units`. Raises CodeclensError for a
    share outside (0, 1].

    >>> strongest(Mode("0", 0, np.array([0.6, 0.1, 0.3]), np.zeros(3), np.ones(1)), 0.8)
    (0, 2)
    """
    if not 0 < share <= 1:
        raise CodeclensError(f"share (={share}) must lie above 0 and at most at 1.")

    def act(
        modes: Modes, which: tuple[int, ...], found: SiteContributions, kind: Kind
    ) -> Intervention:
        chosen = {unit for number in which for unit in strongest(modes[number], share)}
        return Intervention(found.site, kind, tuple(sorted(chosen)), units=modes.n_units)

    return act


def strongest(mode: Mode, share: float) -> tuple[int, ...]:
    """The strongest units of a mode that hold a share of its strength, strongest first."""
    order = mode.top_units(len(mode.positive))
    held = np.maximum(mode.positive, -mode.negative)[order].cumsum()
    count = int(np.searchsorted(held, share * held[-1] * (1 - 1e-9))) + 1
    return tuple(int(unit) for unit in order[:count])


def whole_units(intervention: Intervention) -> list[int] | None:
    """The units that are taken out as a whole; None where all are, each by a share."""
    chosen = np.asarray(intervention.chosen)
    if chosen.ndim == 0:
        return None
    return [int(i) for i in (np.flatnonzero(chosen) if chosen.dtype == bool else chosen)]
