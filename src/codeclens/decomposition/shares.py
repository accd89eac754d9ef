"""Shares: how much of each unit's contribution is due to each mode, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64

from codeclens.attribution import Division, SiteContributions
from codeclens.decomposition.matrices import View
from codeclens.decomposition.modes import Modes
from codeclens.errors import CodeclensError, counted, require_kind
from codeclens.labelled import Labelled

if TYPE_CHECKING:
    import pandas
    import xarray

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Shares(Labelled):
    """How each unit's contributions divide among the modes that are active in each sample.

    `mode` `(B, A)` holds the numbers of the modes with a share, K for the unexplained remainder,
    which comes last, and −1 where a sample has fewer. `positive` and `negative` `(B, A, U)` are
    their shares in [0, 1] of a unit's positive and negative contributions, which sum to 1 over A;
    `contribution` `(B, A)` is the contribution of each to the target.
    """

    mode: Int64[np.ndarray, "sample part"]
    positive: Float[np.ndarray, "sample part unit"]
    negative: Float[np.ndarray, "sample part unit"]
    contribution: Float[np.ndarray, "sample part"]

    def only(self, numbers: Sequence[int]) -> Shares:
        """The shares of some modes, the same in every sample; an inactive mode has no share."""
        here = self.mode[:, None, :] == np.asarray(numbers, np.int64)[None, :, None]
        positive, negative = (
            np.einsum("bna,bau->bnu", here, part) for part in (self.positive, self.negative)
        )
        contribution = np.einsum("bna,ba->bn", here, self.contribution)
        mode = np.tile(np.asarray(numbers, np.int64), (len(self.mode), 1))
        return Shares(mode, positive, negative, contribution)

    def to_dataframe(self) -> pandas.DataFrame:
        """One row for each mode with a share in a sample: its number and its contribution."""
        import pandas

        sample, part = np.nonzero(self.mode >= 0)
        return pandas.DataFrame(
            {
                "sample": sample,
                "mode": self.mode[sample, part],
                "contribution": self.contribution[sample, part],
            }
        )

    def to_xarray(self) -> xarray.Dataset:
        """The arrays with the dimensions sample, part and unit."""
        import xarray

        parts = ("sample", "part")
        return xarray.Dataset(
            {
                "mode": (parts, self.mode),
                "contribution": (parts, self.contribution),
                "positive": ((*parts, "unit"), self.positive),
                "negative": ((*parts, "unit"), self.negative),
            }
        )

    def title(self) -> str:
        """One line that says what this is; the remainder has the largest number."""
        samples, parts, units = self.positive.shape
        return (
            f"Shares of up to {counted(parts, 'mode')} in {counted(units, 'unit')}, "
            f"{counted(samples, 'sample')}"
        )


def mode_shares(
    modes: Modes,
    positive: Float[np.ndarray, "sample unit"],
    negative: Float[np.ndarray, "sample unit"],
    activation: Float[np.ndarray, "sample unit"],
    most: int = 32,
) -> Shares:
    """Divide contributions `(B, U)`, with their signs, among the modes of their site.

    The part of mode k in a unit's contribution x_u is its loading times its pattern, `l_k D_ku`;
    the rest is the remainder. Where the parts sum to more than the contribution, they are scaled
    down: the share is `l_k D_ku / max(Σ l D, |x_u|)`. Entries of the opposite sign count as zero,
    and the constant offset of a method belongs to the remainder. Modes of the views "sum" and
    "activation" have the same share of both signs; modes of one sign have no share of the other.
    If more than `most` modes have a share, those with the largest contributions are kept and the
    others are added to the remainder.

    >>> from codeclens.decomposition import NMF
    >>> X = np.random.default_rng(0).gamma(0.5, size=(30, 4))
    >>> modes = Modes("a", "positive", (nmf := NMF(n_modes=2).fit(X)), nmf.encode(X))
    >>> shares = mode_shares(modes, X, 0 * X, X)
    >>> shares.mode.shape, bool(np.allclose(shares.contribution.sum(1), X.sum(1)))
    ((30, 3), True)
    """
    seen = _view(modes.view, positive, negative, activation)
    given = [positive, negative] if modes.view in ("concat", "sum") else [seen]
    loadings = modes.project(*given).astype(np.float64)
    offset = modes.decode(np.zeros((1, len(modes)), np.float32))[0].astype(np.float64)
    kept = [
        _divided(modes, z, x, offset, plus, minus, most)
        for z, x, plus, minus in zip(loadings, seen, positive, negative, strict=True)
    ]
    return _padded(kept, positive, negative, len(modes))


def shares_of(modes: Modes, found: SiteContributions, most: int = 32) -> Shares:
    """The same for the result of `contributions` at the site of the modes."""
    require_kind(
        "found", found, SiteContributions, "the contributions of one site, contributions(…)[site]"
    )
    positive, negative, activation = (
        part.detach().cpu().double().numpy()
        for part in (found.positive, found.negative, found.activation)
    )
    return mode_shares(modes, positive, negative, activation, most)


def division(shares: Shares, found: SiteContributions) -> Division:
    """Shares as a division of the site's contributions at every position, for `Attributor.joint`.

    Raises CodeclensError if `found` holds no contributions at positions (`reduce=None`).
    """
    if found.full is None:
        raise CodeclensError(
            f'The contributions of "{found.site.key}" are summed over positions; pass '
            "reduce=None to keep them apart."
        )
    units = found.site.units(found.full)
    return Division(
        torch.from_numpy(shares.positive).to(units),
        torch.from_numpy(shares.negative).to(units),
        units > 0,
    )


_Part = tuple[Int64[np.ndarray, " part"], Float[np.ndarray, "sign part unit"]]


def _view(
    view: View,
    positive: Float[np.ndarray, "sample unit"],
    negative: Float[np.ndarray, "sample unit"],
    activation: Float[np.ndarray, "sample unit"],
) -> Float[np.ndarray, "sample column"]:
    if view == "concat":
        return np.concatenate([positive, -negative], axis=1)
    if view == "sum":
        return np.asarray(positive + negative)
    if view in ("positive", "negative"):
        return positive if view == "positive" else negative
    return activation


def _divided(
    modes: Modes,
    loadings: Float[np.ndarray, " mode"],
    seen: Float[np.ndarray, " column"],
    offset: Float[np.ndarray, " column"],
    positive: Float[np.ndarray, " unit"],
    negative: Float[np.ndarray, " unit"],
    most: int,
) -> _Part:
    """The modes of one sample with their shares of both signs."""
    present = np.flatnonzero(loadings)
    sign = np.sign(seen)
    towards = np.maximum(loadings[present, None] * modes.dictionary[present] * sign, 0)
    total = towards.sum(axis=0) + np.maximum(offset * sign, 0)
    # Where modes sum to less than the contribution, the rest is the remainder.
    whole = np.maximum(total, np.abs(seen))
    share = towards / np.where(whole > 0, whole, 1)
    both = _of_signs(modes.view, share)
    contribution = both[0] @ positive + both[1] @ negative
    chosen = np.flatnonzero(both.any(axis=(0, 2)))
    if len(chosen) > most:
        largest = np.argsort(-np.abs(contribution[chosen]), kind="stable")[:most]
        chosen = np.sort(chosen[largest])
    return present[chosen].astype(np.int64), both[:, chosen]


def _of_signs(
    view: View, share: Float[np.ndarray, "part column"]
) -> Float[np.ndarray, "sign part unit"]:
    if view == "concat":
        return np.stack(np.split(share, 2, axis=1))
    none = np.zeros_like(share)
    return np.stack([none if view == "negative" else share, none if view == "positive" else share])


def _padded(
    kept: list[_Part],
    positive: Float[np.ndarray, "sample unit"],
    negative: Float[np.ndarray, "sample unit"],
    modes: int,
) -> Shares:
    """One array for all samples, with the remainder as the last part."""
    samples, units = positive.shape
    parts = max(len(numbers) for numbers, _ in kept) + 1
    mode = np.full((samples, parts), -1, np.int64)
    mode[:, -1] = modes
    both = np.zeros((2, samples, parts, units))
    for row, (numbers, shares) in enumerate(kept):
        mode[row, : len(numbers)] = numbers
        both[:, row, : len(numbers)] = shares
    left = 1 - both.sum(axis=2)
    both[:, :, -1] = np.where(np.abs(left) < _ROUNDING, 0, left)
    contribution = np.einsum("bau,bu->ba", both[0], positive.astype(np.float64))
    contribution += np.einsum("bau,bu->ba", both[1], negative.astype(np.float64))
    return Shares(mode, both[0], both[1], contribution)
