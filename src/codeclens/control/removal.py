"""Removal: exactly one mode's share taken out of an activation, or all but it, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from codeclens.control.edits import Value, Withdraw
from codeclens.control.interventions import Intervention
from codeclens.control.masks import Positions
from codeclens.control.shares import Found, Which, mode_share, of_site
from codeclens.decomposition import Modes


def removal(
    modes: Modes,
    which: Which,
    found: Found | Mapping[str, Found],
    *,
    baseline: Value,
    alone: bool = False,
    positions: Positions | None = None,
) -> Intervention:
    """The intervention that `remove` does, or with `alone` `keep`: for sweeps (`outputs_under`)."""
    here = of_site(modes, found)
    share = mode_share(modes, which, here)
    edit = Withdraw(1 - share if alone else share, baseline)
    return Intervention(
        here.site, edit, torch.ones((), dtype=torch.bool), 0.0, modes.n_units, positions
    )


@contextmanager
def remove(
    model: nn.Module,
    modes: Modes,
    which: Which,
    found: Found | Mapping[str, Found],
    *,
    baseline: Value,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Take exactly a mode's share out of the activation, leaving the rest, while the `with` lasts.

    Each unit goes back towards its baseline by the mode's share of it (`mode_share`):
    `a' = a − s_ju (a − a_baseline)`, in each sample its own, so that a mode that is absent from a
    sample changes nothing there. `which` is the mode, or the numbers of several that go together.
    (Nested removals would each take their share of what the others left.) `found` is the
    contributions of the images that will run, in their order, or of that batch in M copies;
    `baseline` is the activation at the input from which they were counted (`activation_at(model,
    site, x0)`), in the layout of the site, or one number.

    Raises CodeclensError as `mode_share` does, for other samples than those of `found`, and as
    `ablate`.

    >>> from codeclens.attribution import Sum, contributions
    >>> from codeclens.control import activation_at
    >>> from codeclens.decomposition import NMF
    >>> x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    >>> model = nn.Sequential(nn.Identity(), nn.Flatten())
    >>> c = contributions(model, x, sites="0", target=Sum())["0"]
    >>> nmf = NMF(n_modes=3).fit(c.activation)
    >>> modes = Modes("0", "activation", nmf, nmf.encode(c.activation))
    >>> with remove(model, modes, 2, c, baseline=activation_at(model, "0", 0 * x[:1])):
    ...     model(x).shape
    torch.Size([20, 4])
    """
    done = removal(modes, which, found, baseline=baseline, positions=positions)
    with done.applied(model):
        yield done


@contextmanager
def keep(
    model: nn.Module,
    modes: Modes,
    which: Which,
    found: Found | Mapping[str, Found],
    *,
    baseline: Value,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Keep a mode's share of the activation alone: `a' = a − (1 − s_ju) (a − a_baseline)`.

    All else goes back to the baseline, what no mode explains too. The opposite of `remove`, with
    the same arguments.
    """
    done = removal(modes, which, found, baseline=baseline, alone=True, positions=positions)
    with done.applied(model):
        yield done
