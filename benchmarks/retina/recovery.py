"""Do contribution modes find the pathways of a retina whose pathways are known?

    python -m benchmarks.retina.recovery --keep FOLDER              # every table
    python -m benchmarks.retina.recovery --keep FOLDER --figure docs/retina-recovery.svg
    python -m benchmarks.retina.recovery --quick

On the circuit itself, and on networks fitted to its rates. What is chosen, epochs and candidates,
is chosen on other photographs than those reported. With `--keep` a run that was cut off goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.retina.blocks import block_effects, predicted, through_softplus
from benchmarks.retina.candidates import Makers, makers, signs_apart
from benchmarks.retina.evidence import Evidence, gathered
from benchmarks.retina.figure import draw
from benchmarks.retina.networks import CONFIGURATIONS, Configuration
from benchmarks.retina.scores import best, correlations, interval, summary
from benchmarks.retina.study import QUICK, Network, Size, Study, of_cells
from benchmarks.retina.turned import NATURAL, TURNED, turned
from codeclens.decomposition import NMF, TopK

MODES = 8
SEEDS = (0, 1, 2)
CELLS = ("on.transient", "on.sustained", "off.transient", "off.sustained", "oms", "ds (4)", "mean")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def shown(bounds: tuple[float, float, float]) -> str:
    """A mean and its 95 % bounds."""
    return f"{bounds[0]:.2f} ({bounds[1]:.2f} to {bounds[2]:.2f})"


def circuit_rows(study: Study) -> list[tuple[str, ...]]:
    """On the circuit itself: |r| of every method, interneurons as they are and turned."""
    model, every = turned(study.circuit), study.size.circuit
    found = {
        which: gathered(
            model,
            study.film(which),
            sites=[NATURAL, TURNED],
            every=every,
            keep=study.keep
            and study.keep / f"circuit-{which}-{study.seconds(which):g}s-{every}.npz",
        )
        for which in ("training", "reported")
    }
    scores: dict[str, dict[str, list[float]]] = {}
    for site in (NATURAL, TURNED):
        train, held = (one_site(found[which], site) for which in ("training", "reported"))
        make = makers(NMF(n_modes=MODES)) | {
            "contribution modes, signs apart": signs_apart(NMF(n_modes=MODES // 2))
        }
        for name, candidates in make.items():
            scores.setdefault(name, {})[site] = [
                best(
                    candidates(train, held, one.cell),
                    study.truth("training").contributions[::every, one.cell, one.unit].numpy(),
                    study.truth("reported").contributions[::every, one.cell, one.unit].numpy(),
                ).held
                for one in study.pathways
            ]
    rows = []
    for name, by_site in scores.items():
        bounds = []
        for site in (NATURAL, TURNED):
            for excitatory in (True, False):
                here = [n for n, p in enumerate(study.pathways) if p.excitatory == excitatory]
                values = [by_site[site][n] for n in here]
                bounds.append(shown(interval(values, [study.pathways[n].cell for n in here])))
        rows.append((name, *bounds))
    return rows


def one_site(found: Evidence, site: str) -> Evidence:
    """The evidence of one site alone."""
    return Evidence(
        found.rates,
        {site: found.positive[site]},
        {site: found.negative[site]},
        {site: found.activation[site]},
        found.gap,
    )


def offered(study: Study) -> Makers:
    """All that is compared: modes by NMF, and by TopK, which are the stronger baseline."""
    apart = {"contribution modes, signs apart": signs_apart(NMF(n_modes=MODES // 2))}
    both = makers(NMF(n_modes=MODES)) | apart
    if not study.size.topk:
        return both
    sparse = makers(TopK(n_modes=2 * MODES, k=4))
    return both | {
        f"{name}, TopK": sparse[name] for name in ("contribution modes", "activation modes")
    }


def recovery_scores(network: Network) -> dict[str, list[float]]:
    """|r| of every method for every pathway, on the reported film."""
    return {
        name: [one.held for one in network.recovery(make, "reported")]
        for name, make in offered(network.study).items()
    }


def candidate_counts(network: Network) -> dict[str, int]:
    """How many candidates every method offers for a pathway."""
    units = sum(each.shape[1] for each in network.evidence("training").activation.values())
    known = {"contributions of units": 2 * units, "rate alone": 1}
    known |= {"pooled activations": units, "activation × rate": units}
    return {
        name: known.get(name, 2 * MODES if name.endswith("TopK") else MODES)
        for name in offered(network.study)
    }


def margins(study: Study, scores: Mapping[str, Sequence[float]]) -> list[tuple[str, str, str]]:
    """How far contribution modes are ahead of each baseline, pathway by pathway."""
    rows = []
    for kind in (True, False):
        here = [n for n, one in enumerate(study.pathways) if one.excitatory == kind]
        cells = [study.pathways[n].cell for n in here]
        for ours in ("contribution modes", "contribution modes, signs apart"):
            for name, values in scores.items():
                if not name.startswith("contribution"):
                    ahead = [scores[ours][n] - values[n] for n in here]
                    label = "excitatory" if kind else "inhibitory"
                    rows.append((f"{label}: {ours}", name, shown(interval(ahead, cells))))
    return rows


def block_rows(network: Network, modes: int = MODES) -> list[tuple[str, ...]]:
    """For every inhibitory pathway, r of the true block with what is predicted of it."""
    study, every = network.study, network.study.size.every
    chosen = [one for one in study.pathways if not one.excitatory]
    film = study.film("reported")
    true = [effect[::every] for effect in block_effects(study.circuit, film, chosen)]
    exact = predicted(study.circuit, film, chosen)
    make = offered(study)
    columns: list[list[float]] = [list(column) for column in zip(*exact, strict=True)]
    pairs = list(zip(chosen, true, strict=True))
    compared = (
        "contribution modes", "contribution modes, signs apart", "activation modes",
        "pooled activations", "activation × rate", "rate alone",
    )  # fmt: skip
    columns += [
        [_predicted(network, one, effect, make[name]) for one, effect in pairs] for name in compared
    ]
    columns.append([_through(network, one, effect, modes) for one, effect in pairs])
    rows = [(one.name, *(f"{column[n]:.2f}" for column in columns)) for n, one in enumerate(chosen)]
    cells = [one.cell for one in chosen]
    means = []
    for column in columns:
        there = [(v, c) for v, c in zip(column, cells, strict=True) if not np.isnan(v)]
        means.append(shown(interval(*zip(*there, strict=True))) if there else "")
    return [*rows, ("mean", *means)]


def _predicted(network: Network, one: Any, effect: Any, make: Any) -> float:
    """r of the block with the candidate that is most like the pathway, its sign as there."""
    train, held = network.evidence("training"), network.evidence("reported")
    pair = make(train, held, one.cell)
    r = correlations(pair[0], network.truth(one, "training"))
    which = int(np.abs(r).argmax())
    return -float(np.sign(r[which])) * float(correlations(pair[1][:, [which]], effect)[0])


def _through(network: Network, one: Any, effect: Any, modes: int) -> float:
    """The same by the drive: what a mode of inhibition takes from it, given back before rates."""
    train, held = (network.evidence(which, "drive") for which in ("training", "reported"))
    truth = network.truth(one, "training", "drive")
    found = []
    for site in train.positive:
        X, Y = (-e.negative[site][:, one.cell] for e in (train, held))
        fitted = NMF(n_modes=modes // 2).fit(X, seed=0)
        Z, W = fitted.encode(X), fitted.encode(Y)
        r = correlations(Z, truth)
        which = int(np.abs(r).argmax())
        found.append((abs(r[which]), -W[:, which] * fitted.dictionary[which].sum() * X.std()))
    part = max(found, key=lambda each: each[0])[1]
    gain = float(network.model.output.gain[one.cell])
    change = through_softplus(held.rates[:, one.cell], part.astype(np.float64), gain)
    return float(correlations(change[:, None], effect)[0])


def report(study: Study, networks: Mapping[str, Configuration], seeds: Sequence[int]) -> None:
    """Print every table."""
    print("## The circuit itself\n")
    head = ("", "natural: excitatory", "inhibitory", "turned: excitatory", "inhibitory")
    print(table(head, circuit_rows(study)), "\n", flush=True)
    for name, about in networks.items():
        fitted = [study.network(name, about, seed) for seed in seeds]
        print(f"## {name}: Pearson's r with the circuit, photographs not fitted on\n")
        rows = [(f"seed {n.seed}", of_cells(n.r("reported"))) for n in fitted]
        print(table(("", *CELLS), rows), "\n", flush=True)
        scores = [recovery_scores(one) for one in fitted]
        counts = candidate_counts(fitted[0])
        print(f"## {name}: recovery of pathways, |r|\n")
        columns = [dict(((k, m), b) for k, m, b in summary(study.pathways, s)) for s in scores]
        rows = [
            (
                kind,
                method,
                str(counts[method]),
                *(shown(column[kind, method]) for column in columns),
            )
            for kind, method in columns[0]
        ]
        print(
            table(("", "method", "candidates", *(f"seed {n.seed}" for n in fitted)), rows),
            "\n",
            flush=True,
        )
        print(f"## {name}: contribution modes less each baseline, |r|\n")
        ahead = [margins(study, s) for s in scores]
        rows = [(*ahead[0][k][:2], *(a[k][2] for a in ahead)) for k in range(len(ahead[0]))]
        print(table(("", "baseline", *(f"seed {n.seed}" for n in fitted)), rows), "\n", flush=True)
        print(f"## {name}: cosine of receptive fields with the circuit's\n")
        rows = []
        for one in fitted:
            each, together = one.cosines("reported")
            rows += [
                (f"seed {one.seed}, mean over frames", of_cells(each)),
                (f"seed {one.seed}, all frames together", of_cells(together)),
            ]
        print(table(("", *CELLS), rows), "\n", flush=True)
        print(f"## {name}: what blocks do, and what is predicted, r\n")
        head = (
            "pathway", "circuit: contribution", "the same, silent", "circuit: by the drive",
            "contribution modes", "signs apart", "activation modes", "pooled activations",
            "activation × rate", "rate alone", "inhibition of the drive",
        )  # fmt: skip
        print(table(head, block_rows(fitted[0])), "\n", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where fits and contributions are kept")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    parser.add_argument("--networks", nargs="+", default=["relu"], choices=CONFIGURATIONS)
    parser.add_argument("--figure", type=Path, help="draw there, and print nothing")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.quick:
        about = Configuration(channels=(4, 4), natural=5.0, white=0.0, epochs=1)
        report(Study(QUICK, given.keep), {"quick": about}, [0])
        return
    chosen = {name: CONFIGURATIONS[name] for name in given.networks}
    if given.figure:
        name = given.networks[0]
        one = Study(Size(), given.keep).network(name, CONFIGURATIONS[name], SEEDS[0])
        draw(one, recovery_scores(one), MODES, given.figure)
        return
    report(Study(Size(), given.keep), chosen, SEEDS)


if __name__ == "__main__":
    main()
