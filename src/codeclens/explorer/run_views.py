"""The views of the explorer as plain data: one function each, for server, snapshot and notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import numpy as np

from codeclens.attribution.target_forms import described_target
from codeclens.attribution.targets import target_unit
from codeclens.control.filing import Filed
from codeclens.decomposition import Modes
from codeclens.decomposition.loadings import Loadings
from codeclens.errors import CodeclensError
from codeclens.explorer.run_code import code_of
from codeclens.explorer.run_folder import SHOWN, RunFolder
from codeclens.explorer.sample_views import comparison, sample_page, samples, similar
from codeclens.explorer.story import story
from codeclens.explorer.view_parts import (
    View,
    about_sample,
    command,
    whole_number,
)
from codeclens.pages.front_end import plain_numbers
from codeclens.reporting import lead
from codeclens.reporting.mode_section import SELECTIVITY
from codeclens.reporting.store_sections import (
    explained_words,
)

_BINS = 32
_UNITS, _CLASSES, _FACES, _EDGES = 16, 10, 4, 300


def view(run: RunFolder, address: str) -> View:
    """The data of the view with an address: "overview", "modes/SITE", "mode/SITE/3" …

    Parts of an address are percent-encoded. Raises CodeclensError for an address that names
    nothing. All numbers are finite or None.
    """
    kind, *parts = [unquote(part) for part in address.split("/")]
    if kind not in VIEWS or len(parts) not in VIEWS[kind][1]:
        raise CodeclensError(f'There is no view "{address[:200]}"; there are {", ".join(VIEWS)}.')
    found = VIEWS[kind][0](run, *parts)
    found["python"] = code_of(run, kind, parts)
    plain: View = plain_numbers(found)
    return plain


def overview(run: RunFolder) -> View:
    """What was done, at which sites, and what is missing: what every other view needs first."""
    store, settings = run.store, run.settings()
    missing = {
        "modes": not run.modes,
        "flow": run.flow_edges is None,
        "control": run.control is None,
        "effects": bool(run.modes) and run.gallery is None and run.control is None,
    }
    return {
        "title": run.telling.title
        or f"What the hidden units of {settings['model']['class']} contribute",
        "subtitle": run.telling.subtitle,
        "lead": lead(store, run.modes),
        "unit": target_unit(described_target(settings["target"])),
        "target": explained_words(settings),
        "samples": len(store),
        "classes": run.classes,
        "sites": [_site(run, place) for place in range(len(store.sites))],
        "missing": {part: command(run, part) for part, lacks in missing.items() if lacks},
    }


def _site(run: RunFolder, place: int) -> View:
    store, site, gap = run.store, run.store.sites[place], run.gaps[place]
    modes = run.modes.get(site)
    return {
        "site": site,
        "units": store.units(site),
        "cut": gap.is_cut,
        "gap": gap.median,
        "gap_high": gap.high,
        "modes": None if modes is None else len(modes),
        "view": None if modes is None else modes.view,
        "r2": math.nan if modes is None else modes.r2,
        "l0": math.nan if modes is None else modes.l0,
        "caution": "" if modes is None else modes.caution(),
    }


# The charts of the layers: column of the table, title, axis.
_CHARTS = (
    ("sparsity_median", "Sparsity", "Hoyer sparsity of a sample"),
    ("class_components", "Dimensionality", "components for 95 % of the variance of class means"),
    ("class_participation", "Participation ratio", "participation ratio of class means"),
)


def layers(run: RunFolder) -> View:
    """What changes from layer to layer, for contributions and for activations."""
    table, sentences = run.layers
    rows = table.to_dict("records")

    def series(column: str, ends: tuple[str, str], label: str, kind: str) -> View | None:
        if column not in table:
            return None
        low, high = (list(table[end]) if end in table else None for end in ends)
        return {"label": label, "kind": kind, "values": list(table[column]), "low": low,
                "high": high}  # fmt: skip

    charts: list[View] = []
    for column, title, axis in _CHARTS:
        stem = column.removesuffix("_median")
        found = [
            series(f"{source}_{column}", (f"{source}_{stem}_low", f"{source}_{stem}_high"),
                   f"{source}s", source)
            for source in ("contribution", "activation")
        ]  # fmt: skip
        nulls = [
            series(f"contribution_{stem}_{null}", ("", ""), words, "null")
            for null, words in (("shuffled", "shuffled labels"), ("equal_units", "equal units"))
        ]
        charts.append({"title": title, "axis": axis, "series": [s for s in found + nulls if s]})
    signs = series(
        "sign_correlation_median", ("sign_correlation_low", "sign_correlation_high"),
        "positive with negative", "contribution",
    )  # fmt: skip
    if signs:
        charts.append(
            {"title": "Signs", "axis": "correlation of excitation and suppression",
             "series": [signs]}
        )  # fmt: skip
    if run.modes and run.selectivity:
        charts.append(_selectivity(run))
    return {
        "sites": [row["site"] for row in rows],
        "charts": [chart for chart in charts if chart["series"]],
        "sentences": sentences,
        "table": {
            "columns": [str(name) for name in table],
            "rows": [list(row.values()) for row in rows],
        },
        "computed": run.analysis is None,
    }


def _selectivity(run: RunFolder) -> View:
    by_site = {one.site: one for one in run.selectivity}
    kinds = {"modes": "mode", "contributions": "contribution", "activations": "activation"}
    return {
        "title": SELECTIVITY,
        "axis": "correlation with a class, best mode or unit",
        "series": [
            {"label": source, "kind": kind, "low": None, "high": None,
             "values": [by_site[site].mean(source) if site in by_site else math.nan
                        for site in run.layers[0]["site"]]}
            for source, kind in kinds.items()
        ],
    }  # fmt: skip


def modes_list(run: RunFolder, site: str) -> View:
    """All modes of a site, column by column."""
    modes = run.modes_of(site)
    best, correlation = _best_classes(modes)
    found = run.exemplars(site)
    effects = run.effects(site)
    return {
        "site": site,
        "view": modes.view,
        "r2": modes.r2,
        "l0": modes.l0,
        "samples": len(modes.loadings),
        "units": modes.n_units,
        "method": repr(modes.method),
        "classes": [run.class_name(number) for number in range(_classes(modes))],
        "names": run.names(site),
        "best": best,
        "specificity": correlation,
        "share": modes.share,
        "firing": modes.firing_rate,
        "stability": modes.stability,
        "effect": [effects.get(mode, math.nan) for mode in range(len(modes))],
        "faces": found.sample[:, :_FACES],
        "sentences": modes.sentences(),
    }


def _classes(modes: Modes) -> int:
    if modes.classes is not None:
        return len(modes.classes)
    return 0 if modes.labels is None else int(modes.labels.max(initial=-1)) + 1


def _labelled(modes: Modes) -> bool:
    return modes.labels is not None and bool((modes.labels >= 0).any())


def _best_classes(modes: Modes) -> tuple[list[int], list[float]]:
    """For each mode the class that correlates best with its loadings, −1 where there is none."""
    if not _labelled(modes):
        return [-1] * len(modes), [math.nan] * len(modes)
    correlation = np.where(np.isnan(found := modes.class_correlation()), -np.inf, found)
    best = correlation.argmax(axis=1)
    values = correlation[np.arange(len(modes)), best]
    known = np.isfinite(values)
    return np.where(known, best, -1).tolist(), np.where(known, values, math.nan).tolist()


def mode_page(run: RunFolder, site: str, number: str) -> View:
    """One mode: its exemplars, units, loadings, classes, flow, control and measured effect."""
    mode = whole_number(number, "mode")
    modes = run.require_mode(site, mode)
    rows, values = Loadings.of(modes.loadings).active(mode)
    best, correlation = _best_classes(modes)
    best_class = best[mode]
    name = run.computed_names(site)[mode]
    return {
        "site": site,
        "mode": mode,
        "of": len(modes),
        "name": run.names(site)[mode],
        "computed_name": name,
        **{f"given_{key}": text for key, text in run.notes.of(site, mode).items()},
        "view": modes.view,
        "share": modes.share[mode],
        "firing": modes.firing_rate[mode],
        "stability": modes.stability[mode],
        "best_class": run.class_name(best_class),
        "specificity": correlation[mode],
        "effect": run.effects(site).get(mode, math.nan),
        "active": len(rows),
        "samples": len(modes.loadings),
        "exemplars": [
            {"row": one.sample, "loading": one.loading, **about_sample(run, one.sample)}
            for one in run.exemplars(site)[mode][:SHOWN]
        ],
        "units": _units(modes, mode),
        "histogram": _histogram(values),
        "classes": _class_rows(run, modes, mode),
        "flow": _neighbours(run, site, mode),
        "control": _curves_of(run, site, best_class, best, correlation, mode),
        "necessity": _necessity_of(run, site, mode),
        "missing": {
            part: command(run, part)
            for part, lacks in (("flow", run.flow_edges is None), ("control", not run.controlled))
            if lacks
        },
    }


# Kinds of samples beyond the strongest, as the gallery calls them and in words.
_KINDS = {
    "diverse": "Strong samples that differ most in other modes",
    "typical": "Typical samples",
    "near misses": "Near misses: inactive, although the contributions are similar",
}


def kinds(run: RunFolder, site: str, number: str) -> View:
    """Further samples of a mode: diverse and typical ones, and near misses."""
    mode = whole_number(number, "mode")
    run.require_mode(site, mode)
    found = run.kinds(site)[mode]
    return {
        "site": site,
        "mode": mode,
        "kinds": [
            {
                "title": words,
                "samples": [
                    {"row": one.sample, "loading": one.loading, **about_sample(run, one.sample)}
                    for one in found.get(kind, ())
                ],
            }
            for kind, words in _KINDS.items()
        ],
    }


def _units(modes: Modes, mode: int) -> View:
    positive, negative = modes.positive[mode], modes.negative[mode]
    order = np.argsort(-np.maximum(positive, -negative), kind="stable")
    order = order[np.maximum(positive, -negative)[order] > 0]
    strength = np.maximum(positive, -negative)
    total = float(strength.sum())
    half = int(np.searchsorted(np.cumsum(strength[order]), total / 2)) + 1 if total else 0
    return {
        "all": modes.n_units,
        "used": len(order),
        "half": half,
        "unit": order[:_UNITS],
        "positive": positive[order[:_UNITS]],
        "negative": negative[order[:_UNITS]],
        "net": positive + negative,
    }


def _histogram(values: np.ndarray[Any, Any]) -> View:
    if not len(values):
        return {"edges": [], "counts": []}
    counts, edges = np.histogram(np.asarray(values, np.float64), bins=_BINS)
    return {"edges": edges, "counts": counts}


def _class_rows(run: RunFolder, modes: Modes, mode: int) -> list[View]:
    if not _labelled(modes):
        return []
    assert modes.labels is not None
    correlation = modes.class_correlation()[mode]
    rows, values = Loadings.of(modes.loadings).active(mode)
    size = len(correlation)
    labels = np.asarray(modes.labels)
    known = labels[rows] >= 0
    active = np.bincount(labels[rows][known], minlength=size)
    loading = np.bincount(labels[rows][known], values[known], minlength=size)
    count = np.bincount(labels[labels >= 0], minlength=size)
    order = np.argsort(-np.nan_to_num(correlation, nan=-np.inf), kind="stable")[:_CLASSES]
    return [
        {
            "class": run.class_name(int(number)),
            "correlation": correlation[number],
            "active": active[number] / count[number],
            "loading": loading[number] / count[number],
            "samples": count[number],
        }
        for number in order
        if count[number]
    ]


def _number_of(name: str) -> int | None:
    """The number of a mode in a table of the flow: "12 (dog)" → 12; None for the remainder."""
    first = str(name).removeprefix("mode ").partition(" ")[0]
    return int(first) if first.isdigit() else None


def _neighbours(run: RunFolder, site: str, mode: int) -> View | None:
    edges = run.flow_edges
    if edges is None:
        return None
    found: View = {}
    for way, here, there in (("from", "sink", "source"), ("to", "source", "sink")):
        mine = edges[edges[here] == site]
        mine = mine[np.array([_number_of(name) == mode for name in mine[f"{here}_mode"]], bool)]
        mine = mine.reindex(mine["magnitude"].sort_values(ascending=False).index)[:8]
        found[way] = [_edge(run, row, there) for row in mine.to_dict("records")]
    return found


def _edge(run: RunFolder, row: Mapping[Any, Any], end: str) -> View:
    site, mode = str(row[end]), _number_of(row[f"{end}_mode"])
    return {"site": site, "mode": mode, "name": _known_name(run, site, mode),
            "flow": row["flow"], "share": row["share"], "of_sink": row["of_sink"],
            "samples": row["samples"]}  # fmt: skip


def _known_name(run: RunFolder, site: str, mode: int | None) -> str:
    if mode is None or site not in run.modes or mode >= len(run.modes[site]):
        return ""
    return run.names(site)[mode]


def flow(run: RunFolder) -> View:
    """Which modes drive which: the largest edges between consecutive sites."""
    edges = run.flow_edges
    if edges is None:
        return {"missing": command(run, "flow"), "pairs": []}
    said = run.analysis / "flow.txt" if run.analysis else None
    pairs: list[View] = []
    for source, sink in dict.fromkeys(zip(edges["source"], edges["sink"], strict=True)):
        of_pair = edges[(edges["source"] == source) & (edges["sink"] == sink)]
        largest = of_pair.sort_values("share", ascending=False, kind="stable")[:_EDGES]
        pairs.append(
            {
                "source": source,
                "sink": sink,
                "all": len(of_pair),
                "edges": [
                    {
                        "from": _number_of(row["source_mode"]),
                        "to": _number_of(row["sink_mode"]),
                        "flow": row["flow"],
                        "share": row["share"],
                        "of_sink": row["of_sink"],
                        "samples": row["samples"],
                    }
                    for row in largest.to_dict("records")
                ],
            }
        )
    met: dict[str, dict[str, str]] = {}
    for pair in pairs:
        for edge in pair["edges"]:
            for site, mode in ((pair["source"], edge["from"]), (pair["sink"], edge["to"])):
                if mode is not None:
                    met.setdefault(site, {})[str(mode)] = _known_name(run, site, mode)
    return {
        "missing": None,
        "pairs": pairs,
        "names": met,
        "sentences": said.read_text(encoding="utf-8").splitlines()
        if said is not None and said.is_file()
        else [],
    }


def control(run: RunFolder) -> View:
    """The control curves of every site and class, with their controls, and the necessities."""
    if not run.controlled:
        return {"missing": command(run, "control"), "sites": []}
    return {"missing": None, "sites": [_controlled(one) for one in run.controlled]}


def _controlled(one: Filed) -> View:
    sentences = [line for curves in one.curves for line in curves.sentences()]
    if one.necessity is not None:
        sentences += one.necessity.sentences()
    return {
        "site": one.site,
        "curves": [_curve(curve) for curves in one.curves for curve in curves],
        "comparisons": [
            {"kind": curves.kind, **{str(k): v for k, v in row.items()}}
            for curves in one.curves
            for row in curves.to_dataframe("controls").to_dict("records")
        ],
        "necessity": None
        if one.necessity is None
        else one.necessity.to_dataframe().to_dict("records"),
        "sentences": sentences,
    }


def _curve(curve: Any) -> View:
    def band(estimate: Any) -> View:
        return {"value": estimate.value, "low": estimate.low, "high": estimate.high}

    return {
        "site": curve.site,
        "kind": curve.kind,
        "class": curve.class_name,
        "fractions": curve.fractions,
        "before": {"target": float(curve.target_before.value),
                   "others": float(curve.others_before.value)},
        "sentence": curve.sentence(),
        "conditions": [
            {
                "name": one.name,
                "target": band(one.target),
                "others": band(one.others),
                "selectivity": str(one.selectivity),
                "advantage": None if one.advantage is None else str(one.advantage),
            }
            for one in curve.conditions
        ],
    }  # fmt: skip


def _curves_of(
    run: RunFolder,
    site: str,
    number: int,
    best: list[int],
    correlation: list[float],
    mode: int,
) -> list[View]:
    """The curves of the class whose best mode this is."""
    if number < 0:
        return []
    ahead = [correlation[m] for m in range(len(best)) if best[m] == number]
    if correlation[mode] < max(ahead):
        return []
    return [
        _curve(curve)
        for one in run.controlled
        if one.site == site
        for curves in one.curves
        for curve in curves
        if tuple(curve.members) == (number,)
    ]


def _necessity_of(run: RunFolder, site: str, mode: int) -> View | None:
    for one in run.controlled:
        if one.site == site and one.necessity is not None:
            for row in one.necessity.to_dataframe().to_dict("records"):
                if row["mode"] == mode:
                    return {str(key): value for key, value in row.items()}
    return None


# Each view with the numbers of parts that its address may have after its name.
VIEWS: dict[str, tuple[Callable[..., View], tuple[int, ...]]] = {
    "overview": (overview, (0,)),
    "story": (story, (0,)),
    "layers": (layers, (0,)),
    "modes": (modes_list, (1,)),
    "mode": (mode_page, (2,)),
    "kinds": (kinds, (2,)),
    "samples": (samples, (0,)),
    "sample": (sample_page, (1,)),
    "similar": (similar, (3,)),
    "flow": (flow, (0,)),
    "control": (control, (0,)),
    "compare": (comparison, (2,)),
}
