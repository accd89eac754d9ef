"""Sums over modes: what each mode of a site adds to the target, and what all of them leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from codeclens.visualization.galleries import Exemplar

UNNAMED = "no clear name"
# Of a mode whose name does not hold for so small a loading.
USUALLY = "usually "

Reading = Literal["as contributed", "backup", "saturation", "dependence", "opposite", "small"]
# Below this share of the change of the target, two numbers are not worth comparing.
_SMALL = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class Term:
    """One mode in the sum: its contribution, its measured effect, and what is known of it.

    Both numbers are in the target's units, and positive where the mode supports the target.
    `contribution` is the mode's part of the exact sum. `effect` is by how much the target falls
    when exactly the mode's share is removed from the activation, and `alone` by how much it rises
    above the site at the baseline when the mode alone is kept (None where not measured). `loading`
    says how active the mode is, `name` which classes it follows ("" where none is beyond chance),
    and `evidence` why (where the modes carry it). `usually` is the name of a mode whose loading
    here is too small for it (`Mode.named_from`): it says what the mode follows where it is strong.
    `places` is the contribution at each place of the site, `pixels` `(C, H, W)` that of each pixel
    along the path; both sum to the contribution. `exemplars` are the samples in which the mode is
    most active, `shows` their classes, or keys where these are unknown. `face` is a small picture
    that drives the mode, where the modes have faces.
    """

    site: str
    mode: int
    name: str
    contribution: float
    loading: float
    effect: float | None = None
    alone: float | None = None
    places: Float[np.ndarray, "*place"] | None = None
    pixels: Float[Tensor, "*input"] | None = None
    exemplars: tuple[Exemplar, ...] = ()
    shows: tuple[str, ...] = ()
    evidence: str = ""
    usually: str = ""
    face: UInt8[np.ndarray, "row column 3"] | None = None

    @property
    def title(self) -> str:
        """The mode's number and what it is called here."""
        return f"mode {self.mode} ({self.called})"

    @property
    def called(self) -> str:
        """The mode's name, what it usually is where it is too weak here for it, or neither."""
        return self.name or (USUALLY + self.usually if self.usually else UNNAMED)

    @property
    def size(self) -> tuple[bool, float]:
        """What terms are ordered by: the measured effect first, else the contribution."""
        amount = self.contribution if self.effect is None else self.effect
        return self.effect is not None, abs(amount)

    def reading(self, change: float) -> Reading:
        """Why effect and contribution differ by more than half of the larger, if they do.

        - "backup": removal costs less, but the mode alone makes more than half of its
          contribution, so other modes make up for it;
        - "saturation": removal costs less, and the mode alone makes little: on the path from the
          baseline it contributed together with others, and at the input the target is saturated;
        - "dependence": removal costs more, so what other modes contribute depends on it;
        - "opposite": the two have different signs.

        >>> Term("a", 0, "", contribution=2.0, loading=1.0, effect=0.5, alone=1.8).reading(4.0)
        'backup'
        """
        if self.effect is None:
            return "small"
        larger = max(abs(self.effect), abs(self.contribution))
        if larger <= _SMALL * abs(change):
            return "small"
        if abs(self.effect - self.contribution) <= larger / 2:
            return "as contributed"
        if self.effect * self.contribution < 0:
            return "opposite"
        if abs(self.effect) > abs(self.contribution):
            return "dependence"
        made = 0.0 if self.alone is None else self.alone * np.sign(self.contribution)
        return "backup" if made > abs(self.contribution) / 2 else "saturation"

    def __repr__(self) -> str:
        effect = "" if self.effect is None else f"effect {self.effect:+.3g}, "
        return f"Term({self.title} of {self.site!r}: {effect}contribution {self.contribution:+.3g})"


@dataclass(frozen=True, eq=False, repr=False)
class SiteExplanation:
    """The change of the target as a sum over the modes of one site.

    `terms` are all active modes: those whose effect was measured first, the largest effect first,
    then the others by their contribution. What they leave has two parts: `unexplained` passes
    through the site but is in no mode, since no mode has more of a unit than its loading times its
    pattern makes (`mode_shares`); `elsewhere` does not pass through the site (0 up to rounding
    where the site `is_cut`, or the method's quadrature error). `r2` is that of all units'
    contributions on samples held out of training (NaN where it was not measured). The first
    `shown` terms are drawn and told one by one.
    """

    site: str
    is_cut: bool
    change: float
    terms: tuple[Term, ...]
    unexplained: float
    r2: float = float("nan")
    shown: int = 6

    @property
    def explained(self) -> float:
        """The contributions of all modes together."""
        return sum(term.contribution for term in self.terms)

    @property
    def elsewhere(self) -> float:
        """What reaches the target without passing through the site."""
        return self.change - self.explained - self.unexplained

    @property
    def remainder(self) -> float:
        """All that is in no mode: `change` = the sum over modes + `remainder`, exactly."""
        return self.change - self.explained

    @property
    def parts(self) -> tuple[tuple[str, float], ...]:
        """What the modes leave, by name; `elsewhere` only where it is not next to nothing."""
        unexplained = ("unexplained", self.unexplained)
        if self.is_cut and abs(self.elsewhere) <= 0.005 * abs(self.change):
            return (unexplained,)
        return unexplained, ("elsewhere", self.elsewhere)

    @property
    def mapped(self) -> tuple[Term, ...]:
        """The modes that have a pixel map."""
        return tuple(term for term in self.terms if term.pixels is not None)

    def __repr__(self) -> str:
        return f"SiteExplanation({self.site!r}: {len(self.terms)} modes, change {self.change:+.3g})"


class SumsOverModes(Mapping[str, SiteExplanation]):
    """A mapping from sites to sums over modes, and what they share: the target and the picture.

    `target` and `baseline_target` are T(x) and T(x0), `words` is the target's name, `prediction`
    the class with the largest output, `picture` what the network saw, `tokens` what it read.
    """

    def __init__(
        self,
        sites: Mapping[str, SiteExplanation],
        *,
        target: float,
        baseline_target: float,
        words: str,
        prediction: str,
        picture: UInt8[np.ndarray, "rows columns 3"] | None = None,
        tokens: Sequence[str] | None = None,
        unit: str = "logits",
    ) -> None:
        self._sites = dict(sites)
        self.target = target
        self.baseline_target = baseline_target
        self.words = words
        self.prediction = prediction
        self.picture = picture
        self.tokens = None if tokens is None else list(tokens)
        self.unit = unit

    @property
    def change(self) -> float:
        """T(x) − T(x0), which the sums of all sites share."""
        return self.target - self.baseline_target

    def __getitem__(self, key: str) -> SiteExplanation:
        try:
            return self._sites[key]
        except KeyError:
            known = ", ".join(f'"{site}"' for site in self._sites)
            raise KeyError(f'Site "{key}" is not explained; there are {known}.') from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)
