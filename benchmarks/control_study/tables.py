"""The study's tables: means over classes, and paired tests that were fixed beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from codeclens.control import Estimate, compare_pairs
from codeclens.control.estimates import holm, mean_estimate

Row = dict[str, Any]
Values = dict[str, dict[int, float]]
MEASURES = ("selectivity", "logit_effect")
BASELINE, ZERO = "the baseline activation", "0"

HALVES = {
    "pairs": "two classes merged into one output",
    "superclasses": "four classes merged into one output",
    "subclasses": "two halves of one class",
}

# The hypotheses, fixed before the first run. Each family is corrected by Holm on its own, over
# sites, kinds and measures; pairs are classes, and the test is the two-sided sign-flip test. On the
# left: contributions, units returned to the baseline activation. A condition with an off value is
# taken from the curves with that value.
FAMILIES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "best mode: contributions against activations, both to the baseline": (
        ("modes", BASELINE), ("activation modes", BASELINE)),
    "best mode: contributions to the baseline against activations to zero": (
        ("modes", BASELINE), ("activation modes", ZERO)),
    "sum of modes: contributions against activations, both to the baseline": (
        ("summed modes", BASELINE), ("summed activation modes", BASELINE)),
    "best mode against gradient × (activation − baseline), which uses labels": (
        ("modes", BASELINE), ("gradient", BASELINE)),
    "sum of modes against gradient × (activation − baseline), both use labels": (
        ("summed modes", BASELINE), ("gradient", BASELINE)),
    "sum of modes to the baseline against gradient × activation to zero": (
        ("summed modes", BASELINE), ("gradient", ZERO)),
}  # fmt: skip


def report(found: dict[str, list[Row]]) -> str:
    """All tables that the saved parts allow, as Markdown."""
    rows = [row for name, part in found.items() if name.startswith(("ablate", "preserve"))
            for row in part]  # fmt: skip
    lines: list[str] = []
    for kind in ("ablate", "preserve"):
        for off in (BASELINE, ZERO):
            chosen = [r for r in rows if (r["kind"], r["off"]) == (kind, off)]
            for measure in MEASURES if chosen else ():
                lines += ["", f"### {kind}, units set to {off}: {measure}", ""]
                lines += _conditions(chosen, measure)
    for kind in ("ablate", "preserve"):
        lines += families([row for row in rows if row["kind"] == kind], kind)
    lines += _shares(_part(found, "shares"))
    lines += _targets(_part(found, "targets"))
    for part, title in HALVES.items():
        lines += _halves(_part(found, part), title)
    return "\n".join(lines).strip() + "\n"


def _part(found: dict[str, list[Row]], name: str) -> list[Row]:
    return [row for part, rows in found.items() if part.startswith(f"{name}-") for row in rows]


def _sites(rows: Iterable[Row]) -> list[str]:
    return sorted({row["site"] for row in rows})


def values(rows: Sequence[Row], measure: str) -> Values:
    """The value of each condition and class, a mean over seeds.

    >>> rows = [{"condition": "a", "class": 3, "seed": s, "m": float(s)} for s in (0, 1)]
    >>> values(rows, "m")
    {'a': {3: 0.5}}
    """
    gathered: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        of = gathered.setdefault(row["condition"], {})
        of.setdefault(row["class"], []).append(float(row[measure]))
    return {
        name: {which: float(np.mean(found)) for which, found in by_class.items()}
        for name, by_class in gathered.items()
    }


def _conditions(rows: Sequence[Row], measure: str) -> list[str]:
    sites = _sites(rows)
    names = list(dict.fromkeys(row["condition"] for row in rows))
    lines = [f"| units ranked by | {' | '.join(sites)} |", f"|---{'|---' * len(sites)}|"]
    for name in names:
        cells = []
        for site in sites:
            of = values([r for r in rows if r["site"] == site], measure).get(name, {})
            cells.append(_short(mean_estimate(np.array(list(of.values())))) if of else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def families(rows: Sequence[Row], kind: str) -> list[str]:
    """The tests of each family for one kind, as a table."""
    better = -1.0 if kind == "ablate" else 1.0
    lines: list[str] = []
    for family, (tested, control) in FAMILIES.items():
        found = []
        for site in _sites(rows):
            here = [row for row in rows if row["site"] == site]
            for measure in MEASURES:
                sides = [
                    values([r for r in here if r["off"] == off], measure).get(name, {})
                    for name, off in (tested, control)
                ]
                shared = sorted(set(sides[0]) & set(sides[1]))
                if not shared:
                    continue
                a, b = (np.array([side[which] for which in shared]) * better for side in sides)
                found.append((site, measure, compare_pairs(a, {"control": b})[0]))
        if not found:
            continue
        corrected = holm(np.array([one.p for _, _, one in found]))
        lines += ["", f"### {kind}: {family}", "",
                  "| site | measure | difference | better : worse | p | corrected p |",
                  "|---|---|---|---|---|---|"]  # fmt: skip
        for (site, measure, one), p in zip(found, corrected, strict=True):
            lines.append(
                f"| {site} | {measure} | {_short(one.difference)} | {one.wins} : {one.losses} | "
                f"{one.p:.3f} | {'**' if p < 0.05 else ''}{p:.3f}{'**' if p < 0.05 else ''} |"
            )
    return lines


def _shares(rows: Sequence[Row]) -> list[str]:
    lines = []
    for side in ("target", "others") if rows else ():
        lines += ["", f"### exact removal of the best mode's share: accuracy, {side}", ""]
        lines += _conditions(rows, side)
    return lines


def _targets(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    renamed = [{**row, "condition": row["target"]} for row in rows]
    return ["", "### correlation of the best mode with its class", "", *_conditions(renamed, "r")]


def _halves(rows: Sequence[Row], title: str) -> list[str]:
    if not rows:
        return []
    # A class is in one pair of each pairing: both count as one.
    renamed = [{**row, "class": row["half"]} for row in rows]
    lines = ["", f"### {title}: selectivity for one half against the other", ""]
    return [*lines, *_conditions(renamed, "selectivity")]


def _short(estimate: Estimate) -> str:
    return str(estimate).replace("-", "−")
