"""Explain: the output for one input as an exact sum over the modes of one site or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.analysis import Hierarchy, names_beyond_chance
from codeclens.analysis.semantics import short_names
from codeclens.attribution import (
    Attributor,
    Baseline,
    Contrast,
    Contributions,
    Label,
    Method,
    Output,
    Predicted,
    Selector,
    Target,
    TopKSum,
)
from codeclens.attribution.baselines import as_baseline
from codeclens.attribution.targets import Bound, bind
from codeclens.control import activation_at, outputs_under, removal
from codeclens.decomposition import Modes, shares_of
from codeclens.errors import CodeclensError
from codeclens.explanation.explanations import Explanation, SiteExplanation, Term
from codeclens.visualization import Exemplar, PixelMap, exemplars, maps_of_modes
from codeclens.visualization.overlays import Picture, as_pixels


def target_words(
    target: Target | Bound,
    output: Tensor,
    classes: Sequence[str] | None = None,
    labels: Tensor | None = None,
) -> str:
    """What the target of one sample is called, by its output `(1, …)` and the classes' names.

    >>> output = Tensor([[0.0, 3.0, 2.0]])
    >>> target_words(Predicted(), output, ["tub", "espresso", "cup"])
    'espresso'
    >>> target_words(Contrast(), output, ["tub", "espresso", "cup"])
    'espresso − cup'
    """
    if output.ndim != 2:
        return "the target"

    def called(index: int) -> str:
        index %= output.shape[1]
        named = classes is not None and index < len(classes)
        return str(classes[index]) if named and classes is not None else f"output {index}"

    scale = " (probability)" if getattr(target, "of", "logits") == "probabilities" else ""
    order = output[0].argsort(descending=True, stable=True).tolist()
    if isinstance(target, Predicted):
        words = called(order[0])
    elif isinstance(target, Label) and labels is not None:
        words = called(int(labels[0]))
    elif isinstance(target, Output):
        chosen = [target.index] if isinstance(target.index, int) else list(target.index)
        words = " + ".join(called(int(index)) for index in chosen)
    elif isinstance(target, Contrast):
        first, second = order[0], order[1]
        if target.first is not None and target.second is not None:
            first, second = target.first, target.second
        words = f"{called(first)} − {called(second)}"
    elif isinstance(target, TopKSum):
        words = " + ".join(called(index) for index in order[: target.k])
    else:
        return "the target"
    return words + scale


def explain(
    model: nn.Module,
    x: Tensor,
    modes: Modes | Mapping[str, Modes],
    *,
    sites: str | Iterable[str] | None = None,
    method: Method | None = None,
    target: Target | Bound | None = None,
    baseline: float | Tensor | Baseline = 0.0,
    output: Selector = None,
    labels: Tensor | None = None,
    most: int = 6,
    maps: bool = True,
    effects: bool = True,
    examples: int = 4,
    classes: Sequence[str] | None = None,
    names: Mapping[str, Sequence[str]] | Hierarchy | None = None,
    picture: Picture | None = None,
) -> Explanation:
    """Explain the output for one input `x` `(1, …)` as a sum over modes, at each of their sites.

    `T(x) − T(x0) = Σ modes + remainder`, exactly: of what each unit contributes a mode has its
    share (`mode_shares`), summed over units and positions. The `most` strongest modes of each site
    also get a pixel map that sums to their contribution (`path_maps`; not with `maps=False` and for
    inputs that are no images), the measured effect of taking them out (`remove`), and `examples`
    samples in which they are strongest. They are called by the classes that they follow beyond
    chance, with a `Hierarchy` as `names` by its superclasses, too, or by the given `names` (one for
    each mode of a site).

    `modes` are those of one site or of several (`sites` picks some). `target=Contrast(a, b)` asks
    why a and not b. `method`, `target`, `baseline`, `output` and `labels` are those of
    `contributions`; `classes` names the outputs; `picture` is what the network saw, for drawings.

    Raises CodeclensError for more than one input, for sites without modes, for maps with a method
    that is not secants along a path, and as `contributions` does.

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
    _require_one(x, most, examples)
    by_site = _chosen(modes, sites)
    chosen_target: Target | Bound = Predicted() if target is None else target
    attributor = Attributor(
        model, sites=list(by_site), method=method, target=chosen_target, baseline=baseline,
        output=output, reduce=None,
    )  # fmt: skip
    found = attributor(x, labels)
    drawn = _contributed(by_site, found, most)
    shown: dict[str, list[PixelMap]] = {}
    if maps and x.ndim == 4:
        shown = maps_of_modes(attributor, x, found, by_site, drawn, labels)
    result = _output_of(model, x, output)
    _require_names(classes, result)
    bound = bind(chosen_target, result, labels)
    fallen: dict[str, dict[int, float]] = {site: {} for site in by_site}
    if effects:
        fallen = _effects(model, x, by_site, found, drawn, baseline, output, bound)
    change = float((found.target.double() - found.baseline_target.double())[0])
    return Explanation(
        {
            site: _site(one, found, change, shown.get(site, ()), fallen[site], names, examples)
            for site, one in by_site.items()
        },
        target=float(found.target[0]),
        baseline_target=float(found.baseline_target[0]),
        words=target_words(chosen_target, result, classes, labels),
        prediction=target_words(Predicted(), result, classes),
        picture=_picture(x, picture),
        unit=_unit(chosen_target),
    )


def _require_one(x: Tensor, most: int, examples: int) -> None:
    if not isinstance(x, Tensor) or x.ndim < 2 or len(x) != 1:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise CodeclensError(
            f"The input is {shape}; one input is explained at a time, as a batch of one: x[None] "
            "of a single image, x[:1] of a batch."
        )
    for name, count in (("most", most), ("examples", examples)):
        if not isinstance(count, int) or count < 0:
            raise CodeclensError(
                f"{name} (={count!r}) is a number of a site's modes or samples; pass 0 or more."
            )


def _chosen(modes: Modes | Mapping[str, Modes], sites: Any) -> dict[str, Modes]:
    if not isinstance(modes, Modes | Mapping):
        raise CodeclensError(
            f"modes is a {type(modes).__name__}; pass the modes of one site, or a dict of them by "
            "site, as decompose gives it."
        )
    given = {modes.site: modes} if isinstance(modes, Modes) else dict(modes)
    wanted = list(given) if sites is None else [sites] if isinstance(sites, str) else list(sites)
    missing = [site for site in wanted if site not in given]
    if missing or not wanted:
        known = ", ".join(f'"{site}"' for site in given) or "none"
        which = f'There are no modes of site "{missing[0]}"' if missing else "No site was given"
        raise CodeclensError(f"{which}; there are modes of {known}.")
    return {site: given[site] for site in wanted}


def _contributed(
    by_site: Mapping[str, Modes], found: Contributions, most: int
) -> dict[str, list[int]]:
    """The modes of every site that contribute most, of either sign, the largest first."""
    chosen = {}
    for site, modes in by_site.items():
        if site not in found:
            raise CodeclensError(
                f'Site "{site}" runs several times, as {", ".join(found)}; explaining needs the '
                "modes of one of its calls."
            )
        units = found[site].positive.shape[1]
        if units != modes.n_units:
            raise CodeclensError(
                f'The modes of "{site}" are of {modes.n_units} units and the model has {units} '
                "there: they are of another network."
            )
        shares = shares_of(modes, found[site], most=len(modes))
        here = (shares.mode[0] >= 0) & (shares.mode[0] < len(modes))
        order = np.argsort(-np.abs(shares.contribution[0][here]), kind="stable")
        chosen[site] = [int(number) for number in shares.mode[0][here][order][:most]]
    return chosen


def _site(
    modes: Modes,
    found: Contributions,
    change: float,
    maps: Sequence[PixelMap],
    effects: Mapping[int, float],
    names: Mapping[str, Sequence[str]] | Hierarchy | None,
    examples: int,
) -> SiteExplanation:
    here = found[modes.site]
    shares = shares_of(modes, here, most=len(modes))
    called = _called(modes, names)
    given = [here.positive, here.negative] if modes.view in ("concat", "sum") else [
        {"positive": here.positive, "negative": here.negative}.get(modes.view, here.activation)
    ]  # fmt: skip
    loadings = modes.project(*[part.detach().cpu().numpy() for part in given])[0]
    best = exemplars(modes, examples) if examples > 0 and len(modes.loadings) else None
    by_mode = {one.mode: one for one in maps}
    terms = []
    for number, contribution in zip(shares.mode[0], shares.contribution[0], strict=True):
        if not 0 <= number < len(modes):
            continue
        k = int(number)
        term = Term(
            modes.site, k, called[k] if called else "", float(contribution), float(loadings[k]),
            effects.get(k),
            None if k not in by_mode else by_mode[k].positive[0],
            None if k not in by_mode else by_mode[k].negative[0],
            () if best is None else tuple(best[k]),
            () if best is None else tuple(_shown(modes, one) for one in best[k]),
        )  # fmt: skip
        terms.append(term)
    terms.sort(key=lambda term: -abs(term.contribution))
    rest = float(shares.contribution[0][shares.mode[0] == len(modes)].sum())
    return SiteExplanation(modes.site, here.is_cut, change, tuple(terms), rest, modes.r2)


def _called(modes: Modes, names: Mapping[str, Sequence[str]] | Hierarchy | None) -> Sequence[str]:
    """The names of a site's modes, one for each, or none at all."""
    if names is None or isinstance(names, Hierarchy):
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
        return short_names(modes.classes)[label]
    return str(one.sample if one.key is None else one.key)


def _effects(
    model: nn.Module,
    x: Tensor,
    by_site: Mapping[str, Modes],
    found: Contributions,
    which: Mapping[str, Sequence[int]],
    baseline: float | Tensor | Baseline,
    output: Selector,
    bound: Bound,
) -> dict[str, dict[int, float]]:
    """By how much the target falls when each mode's share goes back to the baseline."""
    given = as_baseline(baseline)
    starts = [given.at(x, draw).to(x).expand_as(x) for draw in range(given.draws)]
    pairs = [(site, number) for site, numbers in which.items() for number in numbers]
    resting = {
        site: torch.stack([activation_at(model, found[site].site, s) for s in starts]).mean(dim=0)
        for site in by_site
    }
    cuts = [removal(by_site[site], number, found, baseline=resting[site]) for site, number in pairs]
    outputs = torch.from_numpy(outputs_under(model, x, cuts, output=output))
    effects: dict[str, dict[int, float]] = {site: {} for site in by_site}
    before = float(bound(outputs[0])[0])
    for (site, number), after in zip(pairs, outputs[1:], strict=True):
        effects[site][number] = before - float(bound(after)[0])
    return effects


def _output_of(model: nn.Module, x: Tensor, output: Selector) -> Tensor:
    return torch.from_numpy(outputs_under(model, x, [], output=output))[0]


def _require_names(classes: Sequence[str] | None, result: Tensor) -> None:
    if classes is not None and result.ndim == 2 and len(classes) != result.shape[1]:
        raise CodeclensError(
            f"There are {len(classes)} names of classes for {result.shape[1]} outputs; pass one "
            "for each, in their order."
        )


def _picture(x: Tensor, picture: Picture | None) -> np.ndarray[Any, Any] | None:
    if picture is None:
        if x.ndim != 4 or x.shape[1] not in (1, 3):
            return None
        values = np.moveaxis(x[0].detach().cpu().double().numpy(), 0, 2)
        # Scaled to be seen; with the transform's mean and std, as_picture gives its true colours.
        picture = (values - values.min()) / max(float(np.ptp(values)), 1e-12)
    return np.round(255 * as_pixels(picture)).astype(np.uint8)


def _unit(target: Target | Bound) -> str:
    known = {"logits": "logits", "probabilities": "probability"}
    return known.get(getattr(target, "of", ""), "units")
