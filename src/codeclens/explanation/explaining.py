"""Explain: the output for one input as an exact sum over the modes of one site or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from codeclens.analysis import Hierarchy, names_beyond_chance
from codeclens.attribution import (
    Attributor,
    Conductance,
    Contributions,
    Inputs,
    Method,
    Predicted,
    Selector,
    SiteContributions,
    Target,
    Token,
)
from codeclens.attribution.embeddings import starts_of
from codeclens.attribution.inputs import Batch, shape_words
from codeclens.attribution.targets import Bound, bind, target_name, target_unit
from codeclens.control import Intervention, activation_at, outputs_under, removal
from codeclens.decomposition import Modes, Shares, shares_of
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.explanation.explanations import Explanation
from codeclens.explanation.sums import SiteExplanation, Term
from codeclens.visualization.galleries import Exemplar, exemplars
from codeclens.visualization.overlays import Picture, as_pixels
from codeclens.visualization.pixel_maps import net_maps_of_modes
from codeclens.visualization.place_maps import place_maps

Maps = Literal["places", "pixels"]
MAPS = ("places", "pixels")
# Number of modes of a site whose effects are measured, the largest contributions first.
_MEASURED = 32
# Modes per batch.
_AT_ONCE = 8


def explain(
    model: nn.Module,
    x: Any,
    modes: Modes | Mapping[str, Modes],
    *,
    sites: str | Iterable[str] | None = None,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: Any = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
    most: int = 6,
    maps: bool | Maps = "places",
    effects: bool = True,
    examples: int = 4,
    classes: Sequence[str] | None = None,
    names: Mapping[str, Sequence[str]] | Hierarchy | None = None,
    picture: Picture | None = None,
    tokens: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    model_kwargs: Mapping[str, Any] | None = None,
) -> Explanation:
    """Explain the output for one input `x` `(1, …)` as a sum over modes, at each of their sites.

    `T(x) − T(x0) = Σ contributions of modes + remainder`, exactly: of what each unit contributes a
    mode has its share (`mode_shares`), summed over units and positions. For the 32 modes of a site
    that contribute most, the effect of removing them is measured (`remove`); the `most` modes with
    the largest effects come first. Each of these gets a place map, which sums to its contribution
    and costs nothing, and `examples` samples in which it is most active. `maps="pixels"` adds pixel
    maps along the path (`path_maps`), which sum to the contribution too; `maps=False` draws none.
    Modes are named by the given `names` (one for each mode of a site), else by their own names,
    else by the classes that they follow beyond chance, with a `Hierarchy` as `names` by its
    superclasses too. Modes with faces are drawn with them.

    `modes` are those of one site or of several (`sites` picks some). `target=Contrast(a, b)` asks
    why a and not b. `method` (by default 20 steps at geometric nodes, which need no pilot),
    `target`, `baseline`, `output`, `labels` and `model_kwargs` are those of `contributions`;
    `x` may be several inputs or token ids as there. `classes` names the outputs; `picture` is what
    the network saw, or `tokens` what it read, for drawings; `progress(done, total)` counts the
    steps.

    Raises CodeclensError for more than one input, for sites without modes, for pixel maps with a
    method that is not secants along a path, and as `contributions` does.

    >>> from codeclens.attribution import contributions
    >>> from codeclens.decomposition import NMF
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 3))
    >>> x = torch.rand(20, 1, 6, 6)
    >>> c = contributions(model, x, sites="1")["1"].positive
    >>> nmf = NMF(n_modes=3).fit(c)
    >>> e = explain(model, x[:1], Modes("1", "positive", nmf, nmf.encode(c)))
    >>> total = sum(term.contribution for term in e["1"].terms) + e["1"].remainder
    >>> abs(total - (e.target - e.baseline_target)) < 1e-12
    True
    """
    x = Inputs.of(x, model_kwargs)
    _require_one(x, most, examples)
    kind = _kind_of_maps(maps)
    by_site = _chosen(modes, sites)
    chosen_target: Target | Bound = Predicted() if target is None else target
    attributor = Attributor(
        model, sites=list(by_site), target=chosen_target, baseline=baseline, output=output,
        method=Conductance(nodes="geometric") if method is None else method, reduce=None,
    ).prepared(x)  # fmt: skip
    found = attributor(x, labels)
    if progress is not None:
        progress(1, 1)
    change = float((found.target.double() - found.baseline_target.double())[0])
    parts = {site: _divided(one, found, change) for site, one in by_site.items()}
    result = _output_of(model, x, output)
    _require_names(classes, result)
    if effects:
        runs = _Runs(model, x, found, baseline, output, bind(chosen_target, result, labels, x))
        _measure(list(parts.values()), runs, most, progress)
    shown = {site: part.first(most) for site, part in parts.items()}
    pixels = (
        net_maps_of_modes(attributor, x, found, by_site, shown, labels)
        if kind == "pixels" and isinstance(x, Tensor) and x.ndim == 4
        else {}
    )
    for site, part in parts.items():
        if kind is not None:
            places = place_maps(part.modes, found, shown[site])
            part.amend({mode: {"places": places.of(0, mode)} for mode in shown[site]})
        part.amend({mode: {"pixels": map_[0]} for mode, map_ in pixels.get(site, {}).items()})
        loadings = {mode: term.loading for mode, term in part.terms.items()}
        part.amend(_known(part.modes, loadings, names, examples))
    return Explanation(
        {site: part.explained(most) for site, part in parts.items()},
        target=float(found.target[0]),
        baseline_target=float(found.baseline_target[0]),
        words=target_name(_located(chosen_target, x), result, classes, labels),
        prediction=target_name(
            _located(Predicted() if result.ndim < 3 else Token(), x), result, classes
        ),
        picture=_picture(x, picture),
        tokens=tokens,
        unit=target_unit(chosen_target),
    )


@dataclass
class _Parts:
    """The active modes of one site while what is known of them is gathered."""

    modes: Modes
    is_cut: bool
    change: float
    terms: dict[int, Term]
    rest: float
    shares: Shares

    def first(self, count: int) -> list[int]:
        """The modes that come first: those with the largest effects, or contributions."""
        order = sorted(self.terms.values(), key=lambda term: term.size, reverse=True)
        return [term.mode for term in order[:count]]

    def amend(self, known: Mapping[int, Mapping[str, Any]]) -> None:
        for mode, values in known.items():
            self.terms[mode] = replace(self.terms[mode], **values)

    def explained(self, shown: int) -> SiteExplanation:
        terms = tuple(self.terms[mode] for mode in self.first(len(self.terms)))
        return SiteExplanation(
            self.modes.site, self.is_cut, self.change, terms, self.rest, self.modes.r2, shown
        )


def _divided(modes: Modes, found: Contributions, change: float) -> _Parts:
    """The active modes of a site with their contributions and loadings, the largest first."""
    if modes.site not in found:
        raise CodeclensError(
            f'Site "{modes.site}" runs several times, as {", ".join(found)}; explaining needs the '
            "modes of one of its calls."
        )
    here = found[modes.site]
    units = here.positive.shape[1]
    if units != modes.n_units:
        raise CodeclensError(
            f'The modes of "{modes.site}" are of {modes.n_units} units and the model has {units} '
            "there: they are of another network."
        )
    shares: Shares = shares_of(modes, here, most=len(modes))
    amounts, loadings, rest = amounts_of(modes, here, shares)
    terms = {k: Term(modes.site, k, "", amounts[k], float(loadings[k])) for k in amounts}
    return _Parts(modes, here.is_cut, change, terms, rest, shares)


def amounts_of(
    modes: Modes, here: SiteContributions, shares: Shares
) -> tuple[dict[int, float], Float[np.ndarray, " mode"], float]:
    """What each active mode contributes for one input, the largest first, and what they leave.

    Returns the contributions by mode, the loadings of all modes, and the part in no mode.
    """
    given = [here.positive, here.negative] if modes.view in ("concat", "sum") else [
        {"positive": here.positive, "negative": here.negative}.get(modes.view, here.activation)
    ]  # fmt: skip
    loadings = modes.project(*[part.detach().cpu().numpy() for part in given])[0]
    amounts = {
        int(mode): float(amount)
        for mode, amount in zip(shares.mode[0], shares.contribution[0], strict=True)
        if mode >= 0
    }
    rest = amounts.pop(len(modes), 0.0)
    order = sorted(amounts, key=lambda mode: -abs(amounts[mode]))
    return {mode: amounts[mode] for mode in order}, loadings, rest


@dataclass(frozen=True)
class _Runs:
    """The network with modes removed, or kept alone, for one input."""

    model: nn.Module
    x: Batch
    found: Contributions
    baseline: Any
    output: Selector
    bound: Bound

    def resting(self, site: str) -> Tensor:
        """The activation at the baseline, the mean of all its draws."""
        starts = starts_of(self.model, self.x, self.baseline)
        at = [activation_at(self.model, self.found[site].site, start) for start in starts]
        return torch.stack(at).mean(dim=0)

    def targets(
        self, cuts: Sequence[Intervention], progress: Callable[[int, int], None] | None = None
    ) -> list[float]:
        """The target of the network as it is, and under each intervention."""
        outputs = outputs_under(
            self.model, self.x, cuts, output=self.output, at_once=_AT_ONCE, progress=progress
        )
        return [float(self.bound(one)[0]) for one in torch.from_numpy(outputs)]


def _measure(
    parts: Sequence[_Parts],
    runs: _Runs,
    most: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Measure what removing each mode costs, and for those that cost little what they make alone.

    The latter only for modes that are shown: it says whether others make up for them.
    """
    resting = {part.modes.site: runs.resting(part.modes.site) for part in parts}
    pairs = [(part, mode) for part in parts for mode in list(part.terms)[:_MEASURED]]

    def cut(part: _Parts, which: int | Sequence[int], alone: bool = False) -> Intervention:
        rest = resting[part.modes.site]
        return removal(
            part.modes, which, runs.found, baseline=rest, alone=alone, shares=part.shares
        )

    before, *after = runs.targets([cut(part, mode) for part, mode in pairs], progress)
    for (part, mode), target in zip(pairs, after, strict=True):
        part.amend({mode: {"effect": before - target}})
    costly = [
        (part, mode)
        for part in parts
        for mode in part.first(most)
        if part.terms[mode].reading(part.change) == "saturation"
    ]
    if costly:
        sites = list({id(part): part for part, _ in costly}.values())
        cuts = [cut(part, (), alone=True) for part in sites]
        cuts += [cut(part, mode, alone=True) for part, mode in costly]
        _, *kept = runs.targets(cuts)
        off = {id(part): kept[place] for place, part in enumerate(sites)}
        for (part, mode), target in zip(costly, kept[len(sites) :], strict=True):
            part.amend({mode: {"alone": target - off[id(part)]}})


def _known(
    modes: Modes,
    active: Mapping[int, float],
    names: Mapping[str, Sequence[str]] | Hierarchy | None,
    examples: int,
) -> dict[int, dict[str, Any]]:
    """What is known of active modes (with their loadings) from the samples they were found in."""
    called = _called(modes, names)
    best = exemplars(modes, examples) if examples > 0 and len(modes.loadings) else None
    known: dict[int, dict[str, Any]] = {}
    own = called is modes.names
    for mode, loading in active.items():
        one = modes[mode]
        samples = () if best is None else tuple(best[mode])
        weak = own and bool(one.name) and loading < one.named_from
        known[mode] = {
            "name": called[mode] if called and not weak else "",
            "usually": one.name if weak else "",
            "exemplars": samples,
            "shows": tuple(_shown(modes, sample) for sample in samples),
            "face": one.face,
            "evidence": one.evidence,
        }
    return known


def _kind_of_maps(maps: bool | Maps) -> Maps | None:
    if isinstance(maps, bool):
        return "places" if maps else None
    if maps not in MAPS:
        raise unknown("kind of maps", maps, MAPS)
    return maps


def _located(target: Target | Bound, x: Batch) -> Target | Bound:
    """The target for these inputs, where it depends on their tokens."""
    if isinstance(target, Target) and isinstance(x, Inputs):
        return target.given(x)
    return target


def _require_one(x: Batch, most: int, examples: int) -> None:
    if (isinstance(x, Tensor) and x.ndim < 2) or len(x) != 1:
        shape = tuple(x.shape) if isinstance(x, Tensor) else shape_words(x)
        raise CodeclensError(
            f"The input is {shape}; one input is explained at a time, as a batch of one: x[None] "
            "of a single image, x[:1] of a batch."
        )
    require_number("most", most, least=0, whole=True, hint="it is a number of modes")
    require_number("examples", examples, least=0, whole=True, hint="it is a number of samples")


def _chosen(modes: Modes | Mapping[str, Modes], sites: Any) -> dict[str, Modes]:
    if not isinstance(modes, Modes | Mapping):
        raise CodeclensError(
            f"modes is a {type(modes).__name__}; pass the modes of one site, or a dict of them by "
            "site, as decompose gives it."
        )
    given = {modes.site: modes} if isinstance(modes, Modes) else dict(modes)
    wanted = list(given) if sites is None else [sites] if isinstance(sites, str) else list(sites)
    if not wanted:
        known = ", ".join(f'"{site}"' for site in given) or "none"
        raise CodeclensError(f"No site was given; there are modes of {known}.")
    for site in wanted:
        if site not in given:
            raise unknown("site", site, given, "Among these modes there is")
    return {site: given[site] for site in wanted}


def _called(modes: Modes, names: Mapping[str, Sequence[str]] | Hierarchy | None) -> Sequence[str]:
    """The names of a site's modes, one for each, or none at all."""
    if names is None or isinstance(names, Hierarchy):
        if modes.names is not None:
            return modes.names
        return names_beyond_chance(modes, names)
    if not isinstance(names, Mapping):
        raise CodeclensError(
            f"names is a {type(names).__name__}; pass a dict from sites to lists of names, or a "
            "Hierarchy."
        )
    called = names.get(modes.site, ())
    if len(called) not in (0, len(modes)):
        raise CodeclensError(
            f'"{modes.site}" has {len(modes)} modes and {len(called)} names; pass one for each.'
        )
    return called


def _shown(modes: Modes, one: Exemplar) -> str:
    """What an exemplar shows: its class where that is known, else its key."""
    label = -1 if modes.labels is None else int(modes.labels[one.sample])
    if modes.classes is not None and label >= 0:
        return modes.classes[label]
    return str(one.sample if one.key is None else one.key)


def _output_of(model: nn.Module, x: Batch, output: Selector) -> Tensor:
    return torch.from_numpy(outputs_under(model, x, [], output=output))[0]


def _require_names(classes: Sequence[str] | None, result: Tensor) -> None:
    if classes is not None and result.ndim == 2 and len(classes) != result.shape[1]:
        raise CodeclensError(
            f"There are {len(classes)} names of classes for {result.shape[1]} outputs; pass one "
            "for each, in their order."
        )


def _picture(x: Batch, picture: Picture | None) -> np.ndarray[Any, Any] | None:
    if picture is None:
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] not in (1, 3):
            return None
        values = np.moveaxis(x[0].detach().cpu().double().numpy(), 0, 2)
        # Scaled to be seen; with the transform's mean and std, as_picture gives its true colours.
        picture = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    return np.round(255 * as_pixels(picture)).astype(np.uint8)
