"""Views of samples and of modes side by side: sums over modes, samples alike, partners of modes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codeclens.decomposition import Modes, mode_shares
from codeclens.decomposition.loadings import Loadings
from codeclens.errors import CodeclensError
from codeclens.explorer.run_folder import SHOWN, RunFolder
from codeclens.explorer.view_parts import (
    View,
    about_sample,
    command,
    predicts_classes,
    whole_number,
)


def samples(run: RunFolder) -> View:
    """All samples, column by column."""
    store = run.store
    return {
        "keys": [str(key) for key in store.key],
        "labels": np.asarray(store.label),
        "predictions": np.asarray(store.prediction),
        "targets": np.asarray(store.target),
        "classes": run.classes,
        "own_classes": not predicts_classes(run),
    }


def sample_page(run: RunFolder, number: str) -> View:
    """One sample: the change of the target as a sum over modes, at every site with modes."""
    row = run.require_row(whole_number(number, "sample"))
    store = run.store
    change = float(store.target[row]) - float(store.baseline_target[row])
    return {
        "row": row,
        **about_sample(run, row),
        "target": float(store.target[row]),
        "baseline": float(store.baseline_target[row]),
        "change": change,
        "sites": [_terms(run, site, row, change) for site in run.modes],
        "missing": {} if run.modes else {"modes": command(run, "modes")},
    }


def _terms(run: RunFolder, site: str, row: int, change: float) -> View:
    """The modes that are active in a sample with their contributions, and what they leave."""
    modes, store = run.modes[site], run.store
    positive, negative, activation = (
        np.asarray(store.view(site, part, [row]), np.float64)
        for part in ("positive", "negative", "activation")
    )
    # Stored negative contributions are not above zero, whatever the view is called.
    negative = -np.abs(negative)
    found = mode_shares(modes, positive, negative, activation, most=len(modes))
    names, loadings = run.names(site), modes.loadings
    terms: list[View] = []
    unexplained = 0.0
    for mode, amount in zip(found.mode[0], found.contribution[0], strict=True):
        if mode == len(modes):
            unexplained = float(amount)
        elif mode >= 0:
            terms.append(
                {"mode": int(mode), "name": names[mode], "contribution": float(amount),
                 "loading": float(loadings[row][mode])}
            )  # fmt: skip
    terms.sort(key=lambda term: -abs(term["contribution"]))
    total = sum(term["contribution"] for term in terms) + unexplained
    return {"site": site, "cut": store.is_cut(site), "r2": modes.r2, "terms": terms,
            "unexplained": unexplained, "elsewhere": change - total}  # fmt: skip


def similar(run: RunFolder, site: str, number: str, loading: str) -> View:
    """Samples in which the loading of a mode is nearest to a given one, the nearest first."""
    mode = whole_number(number, "mode")
    modes = run.require_mode(site, mode)
    try:
        wanted = float(loading)
    except ValueError:
        wanted = math.nan
    if not math.isfinite(wanted):
        raise CodeclensError(f'"{loading[:40]}" is not a loading; give a finite number.')
    rows, values = Loadings.of(modes.loadings).active(mode)
    nearest = np.argsort(np.abs(np.asarray(values, np.float64) - wanted), kind="stable")[:SHOWN]
    found = [(int(rows[place]), float(values[place])) for place in nearest]
    return {
        "site": site,
        "mode": mode,
        "loading": wanted,
        "rows": [{"row": row, "loading": value, **about_sample(run, row)} for row, value in found],
    }


def comparison(run: RunFolder, first: str, second: str) -> View:
    """For each mode of one site the mode of another whose loadings correlate best with its own."""
    one, other = run.modes_of(first), run.modes_of(second)
    found = _correlations(one, other)
    if first == second:
        np.fill_diagonal(found, -np.inf)
    best = found.argmax(axis=1)
    values = found[np.arange(len(one)), best]
    known = values[np.isfinite(values)]
    names, there = run.names(first), run.names(second)
    order = np.argsort(-one.share, kind="stable")
    return {
        "first": first,
        "second": second,
        "median": float(np.median(known)) if len(known) else math.nan,
        "rows": [
            {"mode": int(m), "name": names[m], "share": one.share[m], "partner": int(best[m]),
             "partner_name": there[best[m]], "correlation": values[m]}
            for m in order
            if np.isfinite(values[m])
        ],
    }  # fmt: skip


def _correlations(one: Modes, other: Modes) -> np.ndarray[Any, Any]:
    """Pearson correlation of the loadings of two sets of modes over the same samples `(K, L)`."""
    if len(one.loadings) != len(other.loadings):
        raise CodeclensError(
            f"The modes are of {len(one.loadings)} and of {len(other.loadings)} samples; compare "
            "modes of the same samples."
        )
    count = len(one.loadings)
    left, right = (Loadings.of(m.loadings).sparse.astype(np.float64) for m in (one, other))
    means = [np.asarray(part.mean(axis=0)).ravel() for part in (left, right)]
    spreads = [
        np.sqrt(np.maximum(np.asarray(part.multiply(part).mean(axis=0)).ravel() - mean**2, 0))
        for part, mean in zip((left, right), means, strict=True)
    ]
    joint = (left.T @ right).toarray() / count - np.outer(*means)
    scale = np.outer(*spreads)
    return np.where(scale > 1e-12, joint / np.where(scale > 1e-12, scale, 1), -np.inf)
