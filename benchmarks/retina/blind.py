"""A fair comparison of ways to find pathways: equal candidates, blind assignment, true blocks.

    python -m benchmarks.retina.blind --keep FOLDER

Every method offers the same number of candidates for each cell, each with a signed effect in Hz. No
candidate is chosen by the truth of the reported film. Rules, stated before anything was computed:

- *Blind.* A candidate excites or inhibits by the sign of its mean effect on the training film. In
  the order of the standard deviations of their effects there, the k-th inhibitory candidate of a
  cell is assigned to its k-th inhibitory pathway, in the order of the circuit's weights.
- *One to one.* The assignment of candidates to the inhibitory pathways of a cell with the largest
  sum of |r| on the training film.
- The effect of a contribution mode is its loading times the sum of its entries. The effect of an
  activation is that of a ridge regression of the cell's rate on the method's candidates, on the
  training film (strength by cross-validation in five blocks): its coefficient times the activation.
  The rate alone is taken for inhibition.

Scores are of the reported film: |r| with the pathway, and r and slope of the true block regressed
on the predicted one, minus the effect. Supervised readouts, ridge regressions of the true pathway
on all units on the training film, are the reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment, nnls

from benchmarks.retina.blocks import block_effects
from benchmarks.retina.evidence import kept
from benchmarks.retina.films import recording
from benchmarks.retina.networks import CONFIGURATIONS
from benchmarks.retina.recovery import shown, table
from benchmarks.retina.scores import Pathway, correlations
from benchmarks.retina.study import QUICK, Film, Size, Study
from codeclens import Conductance
from codeclens.decomposition import NMF
from codeclens.retina import ResponseModel, movie_contributions, ready_cnn
from codeclens.retina.circuit import TYPES
from codeclens.retina.places import fit_apart

Array = np.ndarray[Any, Any]
SEEDS = (0, 1, 2)
MODES = 8
EVERY, STEPS = 16, 4
STRENGTHS = 10.0 ** np.arange(-4, 5)


@dataclass(frozen=True, eq=False)
class Seen:
    """Some frames of a film: rates, contributions by unit and place, and activations.

    `rates` `(T, cells)`, `contribution` `(T, cells, U, P)`, `activation` `(T, U)`.
    """

    rates: Array
    contribution: Array
    activation: Array

    def signs(self, cell: int) -> Array:
        """Excitation and inhibition of every unit, summed over places, `(T, 2 U)`."""
        one = self.contribution[:, cell]
        gain, loss = np.maximum(one, 0).sum(axis=2), np.maximum(-one, 0).sum(axis=2)
        return np.concatenate([gain, loss], axis=1)

    def places(self, cell: int) -> Array:
        """The same at every place, `(T, 2 U P)`."""
        one = self.contribution[:, cell].reshape(len(self.rates), -1)
        return np.concatenate([np.maximum(one, 0), np.maximum(-one, 0)], axis=1)


def seen(study: Study, name: str, seed: int, model: ResponseModel, which: Film) -> Seen:
    """What a network does during a film, from the folder of the study if it is there."""
    every = EVERY if study.size.every == Size().every else study.size.every
    film = recording(study.circuit, study.film(which), model.history).movie
    times = film.window_times(model.history)[::every].tolist()

    def made() -> dict[str, Array]:
        found = movie_contributions(
            model, film, sites=["second"], times=times, method=Conductance(STEPS), places=True,
            batch_size=32,
        ).isel(layer=0)  # fmt: skip
        return {
            "rates": found.rate.to_numpy(),
            "contribution": found.contribution.to_numpy().astype(np.float32),
            "activation": found.activation.to_numpy(),
        }

    folder = study.keep
    file = None if folder is None else folder / f"{name}-{seed}" / f"places-{which}-{every}.npz"
    arrays = kept(file, made)
    contribution = arrays["contribution"]
    return Seen(
        arrays["rates"], contribution.reshape(*contribution.shape[:3], -1), arrays["activation"]
    )


def ridge(X: Array, Y: Array, strength: float) -> tuple[Array, Array, Array]:
    """Coefficients of a ridge regression with an intercept, and the means of both sides."""
    x, y = X.mean(axis=0), Y.mean(axis=0)
    scale = np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    Z = (X - x) / scale
    if Z.shape[1] <= len(Z):
        inner = Z.T @ Z + strength * len(Z) * np.eye(Z.shape[1])
        weights = np.linalg.solve(inner, Z.T @ (Y - y))
    else:
        weights = Z.T @ np.linalg.solve(Z @ Z.T + strength * len(Z) * np.eye(len(Z)), Y - y)
    return weights / scale.reshape(-1, *[1] * (Y.ndim - 1)), x, y


def chosen_ridge(X: Array, y: Array) -> tuple[Array, Array, Array]:
    """Ridge with the strength that predicts best in five blocks that are left out in turn."""
    X, y = X.astype(np.float64), y.astype(np.float64)
    blocks = np.array_split(np.arange(len(X)), 5)
    errors = []
    for strength in STRENGTHS:
        missed = 0.0
        for block in blocks:
            rest = np.setdiff1d(np.arange(len(X)), block)
            weights, x_mean, y_mean = ridge(X[rest], y[rest], strength)
            missed += float(np.square(y[block] - y_mean - (X[block] - x_mean) @ weights).sum())
        errors.append(missed)
    return ridge(X, y, float(STRENGTHS[int(np.argmin(errors))]))


# Signed effects in Hz on the training frames and on the reported ones, `(T, candidates)`.
Effects = tuple[Array, Array]
Method = Callable[[Seen, Seen, int], Effects]


def _of_modes(fitted: Any, X: Array, Y: Array) -> Effects:
    dictionary = np.asarray(fitted.dictionary, np.float64)
    exciting, inhibiting = np.split(dictionary, 2, axis=1)
    size = exciting.sum(axis=1) - inhibiting.sum(axis=1)
    return fitted.encode(X) * size, fitted.encode(Y) * size


def contribution_modes(train: Seen, held: Seen, cell: int) -> Effects:
    X, Y = train.signs(cell), held.signs(cell)
    return _of_modes(NMF(n_modes=MODES).fit(X, seed=0), X, Y)


def signs_apart(train: Seen, held: Seen, cell: int) -> Effects:
    X, Y = train.signs(cell), held.signs(cell)
    return _of_modes(fit_apart(NMF(n_modes=MODES // 2), X), X, Y)


def by_place(train: Seen, held: Seen, cell: int) -> Effects:
    X, Y = train.places(cell), held.places(cell)
    return _of_modes(fit_apart(NMF(n_modes=MODES // 2), X), X, Y)


def units(train: Seen, held: Seen, cell: int) -> Effects:
    """The columns, unit and sign, with the largest standard deviation on the training film."""
    X, Y = train.signs(cell), held.signs(cell)
    sign = np.repeat([1.0, -1.0], X.shape[1] // 2)
    best = np.sort(np.argsort(-X.std(axis=0), kind="stable")[:MODES])
    return (X * sign)[:, best], (Y * sign)[:, best]


def _read_out(X: Array, Y: Array, rate: Array, most: int = MODES) -> Effects:
    # Activations are not negative, so that the sign of an effect is that of its weight.
    weights, _, _ = chosen_ridge(X, rate)
    effects = X * weights, Y * weights
    best = np.sort(np.argsort(-effects[0].std(axis=0), kind="stable")[:most])
    return effects[0][:, best], effects[1][:, best]


def activation_modes(train: Seen, held: Seen, cell: int) -> Effects:
    fitted = NMF(n_modes=MODES).fit(train.activation, seed=0)
    X, Y = fitted.encode(train.activation), fitted.encode(held.activation)
    return _read_out(X, Y, train.rates[:, cell])


def pooled(train: Seen, held: Seen, cell: int) -> Effects:
    return _read_out(train.activation, held.activation, train.rates[:, cell])


def activation_times_rate(train: Seen, held: Seen, cell: int) -> Effects:
    X, Y = (one.activation * one.rates[:, [cell]] for one in (train, held))
    return _read_out(X, Y, train.rates[:, cell])


def rate_alone(train: Seen, held: Seen, cell: int) -> Effects:
    return -train.rates[:, [cell]], -held.rates[:, [cell]]


METHODS: Mapping[str, Method] = {
    "contribution modes": contribution_modes,
    "contribution modes, signs apart": signs_apart,
    "contribution modes by place, signs apart": by_place,
    "contributions of units": units,
    "activation modes": activation_modes,
    "pooled activations": pooled,
    "activation × rate": activation_times_rate,
    "rate alone (1 candidate)": rate_alone,
}
SUPERVISED = ("readout of activations", "readout of contributions")


@dataclass(frozen=True)
class Score:
    """Of one pathway: |r| with it, and r and slope of the true block on the predicted one."""

    r: float
    block: float
    slope: float


def scored(effect: Array, truth: Array, block: Array) -> Score:
    """The scores of one effect on the reported film."""
    size = float(np.abs(correlations(effect[:, None], truth)[0]))
    expected = -effect.astype(np.float64)
    r = float(correlations(expected[:, None], block)[0])
    centred = expected - expected.mean()
    power = float(centred @ centred)
    slope = float(centred @ (block - block.mean())) / power if power > 0 else 0.0
    return Score(size, r, slope)


def weight_order(study: Study, pathways: Sequence[Pathway]) -> list[Pathway]:
    """A cell's inhibitory pathways in the order of the circuit's weights, strongest first."""
    kind = study.circuit.types[pathways[0].cell]
    weights = TYPES[kind].inhibition
    names = study.circuit.units["interneurons"]
    return sorted(pathways, key=lambda one: -weights[names[one.unit]])


def assigned(study: Study, mine: Sequence[Pathway], effects: Effects, truths: Sequence[Array],
             how: str) -> list[int | None]:  # fmt: skip
    """The number of the candidate of each pathway of a cell; None where there is none."""
    train = effects[0]
    if how == "one to one":
        r = np.stack([np.abs(correlations(train, truth)) for truth in truths])
        rows, columns = linear_sum_assignment(r, maximize=True)
        found: list[int | None] = [None] * len(mine)
        for row, column in zip(rows, columns, strict=True):
            found[row] = int(column)
        return found
    inhibits = np.flatnonzero(train.mean(axis=0) < 0)
    order = inhibits[np.argsort(-train[:, inhibits].std(axis=0), kind="stable")]
    ranked = weight_order(study, mine)
    return [int(order[k]) if (k := ranked.index(one)) < len(order) else None for one in mine]


def known(study: Study, every: int) -> tuple[list[Pathway], dict[str, list[Array]], list[Array]]:
    """The inhibitory pathways that matter, their time courses in both films, and true blocks."""
    strong = [one for one in study.pathways if not one.excitatory]

    def made() -> dict[str, Array]:
        effects = block_effects(study.circuit, study.film("reported"), strong)
        return {
            "blocks": np.stack([one[::every] for one in effects]),
            **{
                which: np.stack(
                    [
                        study.truth(which).contributions[::every, one.cell, one.unit].numpy()
                        for one in strong
                    ]
                )
                for which in ("training", "reported")
            },
        }

    file = None if study.keep is None else study.keep / f"inhibition-{every}.npz"
    arrays = kept(file, made)
    truth = {which: list(arrays[which]) for which in ("training", "reported")}
    return strong, truth, list(arrays["blocks"])


def run(study: Study, name: str, seeds: Sequence[int]) -> dict[str, dict[str, list[list[Score]]]]:
    """Scores by rule and method, for each seed those of all inhibitory pathways."""
    every = EVERY if study.size.every == Size().every else study.size.every
    chosen, truth, blocks = known(study, every)
    found: dict[str, dict[str, list[list[Score]]]] = {"blind": {}, "one to one": {}}
    found["supervised"] = {}
    for seed in seeds:
        model = model_of(study, name, seed)
        train, held = (
            seen(study, name, seed, model, which)  # type: ignore[arg-type]
            for which in ("training", "reported")
        )
        for method, make in METHODS.items():
            by_cell: dict[int, Effects] = {}
            scores: dict[str, list[Score]] = {"blind": [], "one to one": []}
            for number, one in enumerate(chosen):
                if one.cell not in by_cell:
                    by_cell[one.cell] = make(train, held, one.cell)
                effects = by_cell[one.cell]
                mine = [n for n, other in enumerate(chosen) if other.cell == one.cell]
                for how, kept_scores in scores.items():
                    which = assigned(
                        study, [chosen[n] for n in mine], effects,
                        [truth["training"][n] for n in mine], how,
                    )[mine.index(number)]  # fmt: skip
                    kept_scores.append(
                        Score(0.0, 0.0, 0.0)
                        if which is None
                        else scored(effects[1][:, which], truth["reported"][number], blocks[number])
                    )
            for how, values in scores.items():
                found[how].setdefault(method, []).append(values)
        for method in SUPERVISED:
            values = []
            for number, one in enumerate(chosen):
                X, Y = (
                    (e.activation if method == SUPERVISED[0] else e.signs(one.cell))
                    for e in (train, held)
                )
                weights, mean, start = chosen_ridge(X, truth["training"][number])
                effect = start + (Y - mean) @ weights
                values.append(scored(effect, truth["reported"][number], blocks[number]))
            found["supervised"].setdefault(method, []).append(values)
    return found


def model_of(study: Study, name: str, seed: int) -> ResponseModel:
    """The network; the one that ships is the first of its kind."""
    if name == "relu" and seed == 0:
        return ready_cnn()
    return study.network(name, CONFIGURATIONS[name], seed).model


def bounds(values: Array, cells: Sequence[int], draws: int = 2000) -> tuple[float, float, float]:
    """Mean over seeds and pathways with 95 % bounds, by draws of seeds and of cells."""
    owner = np.asarray(cells)
    groups = [np.flatnonzero(owner == cell) for cell in np.unique(owner)]
    random = np.random.default_rng(0)
    means = []
    for _ in range(draws):
        rows = random.integers(len(values), size=len(values))
        picked = [groups[g] for g in random.integers(len(groups), size=len(groups))]
        means.append(values[np.ix_(rows, np.concatenate(picked))].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def report(study: Study, name: str, seeds: Sequence[int]) -> None:
    """Print every table."""
    chosen = [one for one in study.pathways if not one.excitatory]
    counts = {one.cell: sum(other.cell == one.cell for other in chosen) for one in chosen}
    kinds = {
        "one inhibitory pathway": [n for n, one in enumerate(chosen) if counts[one.cell] == 1],
        "several inhibitory pathways": [n for n, one in enumerate(chosen) if counts[one.cell] > 1],
    }
    found = run(study, name, seeds)
    for how, methods in found.items():
        for kind, here in kinds.items():
            cells = [chosen[n].cell for n in here]
            print(f"## {how}: cells with {kind} ({len(here)} pathways, {len(seeds)} networks)\n")
            rows = []
            for method, by_seed in methods.items():
                columns = [
                    np.array([[getattr(one[n], score) for n in here] for one in by_seed])
                    for score in ("r", "block", "slope")
                ]
                rows.append((method, *(shown(bounds(column, cells)) for column in columns)))
            print(table(("method", "|r| with the pathway", "block: r", "slope"), rows), "\n",
                  flush=True)  # fmt: skip
    print("## One to one, |r| by pathway, mean over networks\n")
    some = [m for m in METHODS if m.startswith("contribution modes")]
    some += ["activation modes", "pooled activations"]
    rows = [
        (
            one.name,
            *(f"{np.mean([s[n].r for s in found['one to one'][m]]):.2f}" for m in some),
        )
        for n, one in enumerate(chosen)
    ]
    print(table(("pathway", *some), rows), "\n", flush=True)
    print("## By place minus signs apart, one to one, |r|\n")
    ahead = [
        np.array([[one[n].r for n in range(len(chosen))] for one in found["one to one"][m]])
        for m in ("contribution modes by place, signs apart", "contribution modes, signs apart")
    ]
    for kind, here in {"crossover": [n for n, one in enumerate(chosen) if "cross" in one.name],
                       "all": list(range(len(chosen)))}.items():  # fmt: skip
        change = (ahead[0] - ahead[1])[:, here]
        print(f"{kind}: {shown(bounds(change, [chosen[n].cell for n in here]))}")
    print("\n## Numbers of modes of inhibition, mean |r|\n")
    head = ("pathways", "modes", "learned from", "best mode", "best combination")
    print(table(head, inhibition_rows(study, name, seeds)), flush=True)


def inhibition_rows(study: Study, name: str, seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """For numbers of modes of inhibition, |r| of the best one and of their best combination.

    The mode, or the non-negative combination of all, is chosen by the truth of the training film:
    this says where a pathway is, not whether it can be found without the truth.
    """
    every = EVERY if study.size.every == Size().every else study.size.every
    chosen, truth, _ = known(study, every)
    rows = []
    scores: dict[tuple[str, int, bool], list[tuple[float, float]]] = {}
    for seed in seeds:
        model = model_of(study, name, seed)
        train, held = (seen(study, name, seed, model, which) for which in ("training", "reported"))  # type: ignore[arg-type]
        for number, one in enumerate(chosen):
            kind = next((each for each in ("crossover", "starburst") if each in one.name), None)
            if kind is None:
                continue
            for count in (2, 4, 8):
                for places in (False, True):
                    X, Y = (
                        np.split(e.places(one.cell) if places else e.signs(one.cell), 2, axis=1)[1]
                        for e in (train, held)
                    )
                    fitted = NMF(n_modes=count).fit(X, seed=0)
                    pair = fitted.encode(X), fitted.encode(Y)
                    scores.setdefault((kind, count, places), []).append(
                        _best_and_joint(pair, truth["training"][number], truth["reported"][number])
                    )
    for (kind, count, places), found in scores.items():
        best, joint = np.mean(found, axis=0)
        where = "by place" if places else "sums over places"
        rows.append((kind, str(count), where, f"{best:.2f}", f"{joint:.2f}"))
    return rows


def _best_and_joint(pair: tuple[Array, Array], train: Array, held: Array) -> tuple[float, float]:
    r = np.abs(correlations(pair[0], train))
    best = float(np.abs(correlations(pair[1][:, [int(r.argmax())]], held)[0]))
    constant = np.ones((len(train), 1))
    weights, _ = nnls(np.hstack([pair[0], constant]).astype(np.float64), train.max() - train)
    joint = pair[1] @ weights[:-1]
    return best, float(np.abs(correlations(joint[:, None], held)[0]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="where fits and contributions are kept")
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if given.quick:
        report(Study(QUICK, given.keep), "relu", [0])
        return
    report(Study(Size(), given.keep), "relu", SEEDS)


if __name__ == "__main__":
    main()
