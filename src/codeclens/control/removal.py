"""Removal: exactly a mode's share of an activation, or all but it, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.attribution import Site, SiteContributions
from codeclens.control.edits import Intervention, Kind, Value, Withdraw
from codeclens.control.units import Positions
from codeclens.decomposition import Mode, Modes, Shares, mode_shares
from codeclens.errors import CodeclensError, require_number, unknown

Which = int | Mode | Sequence[int]
# Which contributions of a mode are removed, by their sign.
Sign = Literal["both", "positive", "negative"]
# Where the removed share is taken from: the mode's own units, or a control for them.
Pattern = Literal["mode", "permuted", "own"]


class SignedContributions(Protocol):
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


def mode_share(
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
    *,
    sign: Sign = "both",
    shares: Shares | None = None,
) -> Tensor:
    """The share of each unit's contributions that is due to a mode, or to several, in [0, 1].

    Of a unit's positive contributions mode j has the share `l_j D_ju / max(|x_u|, Σ_k l_k D_ku)`,
    of the negative ones likewise (`mode_shares`); the unexplained remainder has no mode. Where
    `found` holds contributions at all positions (`contributions(…, reduce=None)`), the share is a
    tensor in the layout of the activation: at each position that of the sign that the unit has
    there. Otherwise it is `(B, U)`, the mean over both signs, weighted by how much the unit
    contributes with either sign. `sign="positive"` or `"negative"` counts the contributions of that
    sign alone; the two add up to the share of both. `shares` are those of all modes
    (`shares_of(modes, found, most=len(modes))`), where they are known already.

    Raises CodeclensError for modes of another site, for a mode that does not exist and for another
    sign.

    >>> from codeclens.attribution import Sum, contributions
    >>> from codeclens.decomposition import NMF
    >>> x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    >>> model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Flatten())
    >>> c = contributions(model, x, sites="0", target=Sum())["0"]
    >>> modes = Modes("0", "positive", (nmf := NMF(n_modes=3).fit(x)), nmf.encode(x))
    >>> mode_share(modes, 2, c).shape, bool((mode_share(modes, [0, 1, 2], c) <= 1).all())
    (torch.Size([20, 4]), True)
    """
    if sign not in get_args(Sign):
        raise unknown("sign", sign, get_args(Sign))
    here = of_site(modes, found)
    plus, minus = _by_sign(modes, which, here, shares)
    if here.full is None:
        return _by_unit(here, plus, minus, sign)
    units = here.site.units(here.full)
    gone = torch.zeros((), dtype=plus.dtype, device=plus.device)
    plus, minus = (
        gone if sign == without else part[:, :, None]
        for part, without in ((plus, "negative"), (minus, "positive"))
    )
    share = torch.where(units > 0, plus, minus)
    return here.site.restore(share.expand_as(units), like=here.full)


def unit_share(
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
) -> Float[Tensor, "sample unit"]:
    """The same for units as a whole `(B, U)`, also where positions are known."""
    here = of_site(modes, found)
    return _by_unit(here, *_by_sign(modes, which, here))


def _by_sign(
    modes: Modes, which: Which, here: SignedContributions, shares: Shares | None = None
) -> tuple[Tensor, Tensor]:
    numbers = numbers_of(modes, which)
    if shares is None:
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


def _by_unit(here: SignedContributions, plus: Tensor, minus: Tensor, sign: Sign = "both") -> Tensor:
    gain, loss = here.positive.double(), -here.negative.double()
    total = gain + loss
    mine = (plus * gain if sign != "negative" else 0) + (minus * loss if sign != "positive" else 0)
    return torch.where(total > 0, mine / total.clamp(min=1e-300), 0.0).clamp(max=1)


def _elsewhere(
    share: Tensor, here: SignedContributions, pattern: Pattern, sign: Sign, seed: int
) -> Tensor:
    """A mode's share `(B, …)` moved to other units: a control for its pattern.

    "permuted" gives each unit the share of another one. "own" removes as much of each image's
    contributions as the mode's share does, but evenly from all its contributions of that sign.
    """
    if pattern == "mode":
        return share
    site = here.site
    if pattern == "permuted":
        order = torch.randperm(
            here.positive.shape[1], generator=torch.Generator().manual_seed(seed)
        )
        if here.full is None:
            return share[:, order]
        return site.restore(site.units(share)[:, order], like=here.full)
    if here.full is not None:
        signed = site.units(here.full).double()
        shares = site.units(share).double()
        gain, loss = signed.clamp(min=0), -signed.clamp(max=0)
    else:
        gain, loss = here.positive.double()[..., None], -here.negative.double()[..., None]
        shares = share.double()[..., None]
    total = gain + loss
    wanted = {"both": total, "positive": gain, "negative": loss}[sign]
    removed = (shares * total).sum(dim=(1, 2), keepdim=True)
    gate = (removed / wanted.sum(dim=(1, 2), keepdim=True).clamp(min=1e-300)).clamp(max=1)
    moved = torch.where(total > 0, gate * wanted / total.clamp(min=1e-300), 0.0)
    return moved[..., 0] if here.full is None else site.restore(moved, like=here.full)


def of_site(
    modes: Modes, found: SignedContributions | Mapping[str, SignedContributions]
) -> SignedContributions:
    """The contributions of the modes' own site; raises CodeclensError where there are none."""
    if isinstance(found, Mapping):
        if modes.site not in found:
            known = ", ".join(f'"{key}"' for key in found)
            raise CodeclensError(
                f'The modes are of site "{modes.site}", but the contributions are of {known}; '
                "compute them at the site of the modes."
            )
        found = found[modes.site]
    if found.site.key != modes.site:
        raise CodeclensError(
            f'The modes are of site "{modes.site}", the contributions of "{found.site.key}"; '
            "pass those of the same site."
        )
    return found


def numbers_of(modes: Modes, which: Which) -> list[int]:
    """The numbers of the modes that are meant; raises CodeclensError where one does not exist."""
    if isinstance(which, Mode):
        if which.site != modes.site:
            raise CodeclensError(
                f'Mode {which.index} is of site "{which.site}", the modes are of "{modes.site}".'
            )
        which = which.index
    given: list[Any] = [which] if isinstance(which, int | np.integer) else list(which)
    return [modes[number].index for number in given]


def removal(
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
    *,
    baseline: Value,
    alone: bool = False,
    sign: Sign = "both",
    pattern: Pattern = "mode",
    seed: int = 0,
    positions: Positions | None = None,
    shares: Shares | None = None,
) -> Intervention:
    """The intervention of `remove`, or with `alone` of `keep`: for sweeps (`outputs_under`).

    `pattern` makes controls for the units of the mode. "permuted" gives each unit the share of
    another unit, drawn with `seed`. "own" removes as much of each image's contributions as the mode
    does, but evenly from all of the image's contributions of that sign, whatever the mode. `shares`
    are those of `mode_share`, which save time for many modes of one batch.
    """
    if pattern not in get_args(Pattern):
        raise unknown("pattern", pattern, get_args(Pattern))
    here = of_site(modes, found)
    share = mode_share(modes, which, here, sign=sign, shares=shares)
    share = _elsewhere(share, here, pattern, sign, seed)
    edit = Withdraw(1 - share if alone else share, baseline)
    return Intervention(
        here.site, edit, torch.ones((), dtype=torch.bool), 0.0, modes.n_units, positions
    )


@contextmanager
def remove(
    model: nn.Module,
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
    *,
    baseline: Value,
    sign: Sign = "both",
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Remove exactly a mode's share of the activation, leaving the rest, while the `with` lasts.

    Each unit returns towards its baseline by the mode's share of it (`mode_share`):
    `a' = a − s_ju (a − a_baseline)`, sample by sample, so that a mode that is not active in a
    sample changes nothing there. `which` is the mode, or the numbers of several to remove together.
    (Nested removals would each remove a share of what the others left.) `found` holds the
    contributions of the images that will run, in their order, or of that batch in M copies.
    `baseline` is the activation at the input that contributions count from (`activation_at(model,
    site, x0)`), in the layout of the site, or one number. `sign="positive"` removes only what the
    mode contributes to the target, and `"negative"` only what it contributes against it: removing
    support alone changes the target far more than removing both (docs/control.md).

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
    done = removal(modes, which, found, baseline=baseline, sign=sign, positions=positions)
    with done.applied(model):
        yield done


@contextmanager
def keep(
    model: nn.Module,
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
    *,
    baseline: Value,
    positions: Positions | None = None,
) -> Iterator[Intervention]:
    """Keep only a mode's share of the activation: `a' = a − (1 − s_ju) (a − a_baseline)`.

    Everything else returns to the baseline, including what no mode explains. The opposite of
    `remove`, with the same arguments.
    """
    done = removal(modes, which, found, baseline=baseline, alone=True, positions=positions)
    with done.applied(model):
        yield done


def mode_direction(
    modes: Modes,
    which: Which,
    found: SignedContributions | Mapping[str, SignedContributions],
    *,
    baseline: Value = 0.0,
    by: Literal["share", "presence"] = "share",
) -> Float[Tensor, " unit"]:
    """The direction of a mode in activation space, one number for each unit `(U,)`.

    A mode's entries are contributions, products of how the target depends on a unit and how far the
    unit is from its baseline: their sign and size are not those of an activation. The direction is
    therefore computed from activations of the samples `found` in which the mode is active, weighted
    by its loading l:

    - `by="share"`: `d_u = Σ_n l_n s_nu (a_nu − a_u(x0)) / Σ_n l_n`, where s is the mode's share of
      the unit (`mode_share`): what `remove` removes, on average. Units without a share do not move.
      `baseline` is the activation at x0, one number, one for each unit, or a tensor in the layout
      of the site.
    - `by="presence"`: `d_u = Σ_n l_n a_nu / Σ_n l_n − mean of a_u where l = 0`, the difference of
      means that steering vectors commonly are. All units that vary with the mode move.

    The sign is that of the activations when the mode is active, whether it supports the target or
    suppresses it, and a strength of 1 is its mean size in its samples. Activations are means over
    positions, and so is the direction.

    Raises CodeclensError where the mode is active in no sample (for `"presence"`, also in all), and
    as `mode_share` does.

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
        raise unknown("way to find a direction", by, ("share", "presence"))
    here = of_site(modes, found)
    activation = here.activation.detach().double()
    loading = _loading(modes, which, here).to(activation.device)
    active = loading > 0
    number = ", ".join(str(n) for n in numbers_of(modes, which))
    if not bool(active.any()) or (by == "presence" and bool(active.all())):
        raise CodeclensError(
            f'Mode {number} of "{modes.site}" is active in {int(active.sum())} of the '
            f"{len(loading)} samples, which gives no direction; pass more samples."
        )
    weight = loading / loading.sum()
    if by == "presence":
        return (weight @ activation - activation[~active].mean(dim=0)).to(here.activation.dtype)
    share = unit_share(modes, which, here)
    departure = activation - _by_unit_directions(baseline, here).to(activation)
    return (weight @ (share * departure)).to(here.activation.dtype)


def _loading(modes: Modes, which: Which, here: SignedContributions) -> Float[Tensor, " sample"]:
    """The loading of a mode, or of several together, in each sample."""
    signs = (here.positive, here.negative)
    given = {"concat": signs, "sum": signs, "positive": signs[:1], "negative": signs[1:]}
    loadings = modes.project(*given.get(modes.view, (here.activation,)))
    return torch.from_numpy(loadings[:, numbers_of(modes, which)].sum(axis=1)).double()


def _by_unit_directions(baseline: Value, here: SignedContributions) -> Tensor:
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


# An intervention that removes, or keeps alone, some modes by number, in images whose contributions
# are known. Without modes, keeping alone switches the whole site off.
Acting = Callable[[Modes, tuple[int, ...], SiteContributions, Kind], Intervention]


def removing(baseline: Value, sign: Sign = "both") -> Acting:
    """Act on exactly a mode's share of the activation, sample by sample, as `remove` and `keep` do.

    `baseline` is the activation at the input that contributions count from, in the layout of the
    site, or one number. `sign` is that of `remove`.

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
        alone = kind == "preserve"
        return removal(modes, list(which), found, baseline=baseline, alone=alone, sign=sign)

    return act


def covering(share: float = 0.5) -> Acting:
    """Act on the strongest units of a mode, as many as have that share of its total strength.

    The strength of a unit is its larger entry, as in `Mode.top_units`. Raises CodeclensError for a
    share outside (0, 1].

    >>> strongest(Mode("0", 0, np.array([0.6, 0.1, 0.3]), np.zeros(3), np.ones(1)), 0.8)
    (0, 2)
    """
    require_number("share", share, above=0, most=1)

    def act(
        modes: Modes, which: tuple[int, ...], found: SiteContributions, kind: Kind
    ) -> Intervention:
        chosen = {unit for number in which for unit in strongest(modes[number], share)}
        return Intervention(found.site, kind, tuple(sorted(chosen)), units=modes.n_units)

    return act


def strongest(mode: Mode, share: float) -> tuple[int, ...]:
    """The strongest units of a mode that have a share of its strength, strongest first."""
    order = mode.top_units(len(mode.positive))
    total = np.maximum(mode.positive, -mode.negative)[order].cumsum()
    count = int(np.searchsorted(total, share * total[-1] * (1 - 1e-9))) + 1
    return tuple(int(unit) for unit in order[:count])


def whole_units(intervention: Intervention) -> list[int] | None:
    """The units that are removed as a whole; None where each is removed by a share."""
    chosen = np.asarray(intervention.chosen)
    if chosen.ndim == 0:
        return None
    return [int(i) for i in (np.flatnonzero(chosen) if chosen.dtype == bool else chosen)]
