"""The study: the circuit, its films and their truth, and what fitted networks make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.retina.evidence import Evidence, gathered
from benchmarks.retina.films import choosing_film, recording, reported_film, training_film
from benchmarks.retina.networks import Configuration, fitted
from benchmarks.retina.scores import Best, Pathway, best, correlations, lasting
from codeclens.retina import (
    Circuit,
    Movie,
    Pathways,
    RetinaCNN,
    field_cosine,
    pathways,
    receptive_fields,
)

Array = np.ndarray[Any, Any]
Film = Literal["training", "choosing", "reported"]
Target = Literal["rate", "drive"]
FILMS = {"training": training_film, "choosing": choosing_film, "reported": reported_film}


@dataclass(frozen=True)
class Size:
    """How much film, in s, and how coarse: one in `every` frames of contributions and fields."""

    training: float = 120.0
    held: float = 80.0
    every: int = 4
    fields: int = 20
    circuit: int = 8
    choose: float = 60.0
    topk: bool = True


QUICK = Size(training=5.0, held=3.0, every=4, fields=60, circuit=10, choose=2.0, topk=False)


class Study:
    """Films and truth once; networks and their evidence are kept in the folder `keep`."""

    def __init__(self, size: Size, keep: Path | None) -> None:
        self.size = size
        self.keep = keep
        self.circuit = Circuit()
        self._truth: dict[tuple[str, str], Pathways] = {}
        self._films: dict[str, Movie] = {}

    def seconds(self, which: Film) -> float:
        """How long a film is."""
        return self.size.training if which == "training" else self.size.held

    def film(self, which: Film) -> Movie:
        """A film as the circuit sees it."""
        if which not in self._films:
            self._films[which] = FILMS[which](self.circuit, self.seconds(which))
        return self._films[which]

    def truth(self, which: Film, target: Target = "rate") -> Pathways:
        """What every interneuron gave to every cell during a film."""
        if (which, target) not in self._truth:
            found = pathways(self.circuit, self.film(which), target=target)
            self._truth[which, target] = found
        return self._truth[which, target]

    @cached_property
    def pathways(self) -> list[Pathway]:
        """The pathways that matter, by the training film."""
        file = None if self.keep is None else self.keep / f"pathways-{self.size.training:g}s.json"
        if file is not None and file.is_file():
            return [Pathway(**one) for one in json.loads(file.read_text(encoding="utf-8"))]
        found = lasting(self.truth("training"))
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")
        return found

    def network(self, name: str, about: Configuration, seed: int) -> Network:
        """A fitted network, folded."""
        to = None if self.keep is None else self.keep / f"{name}-{seed}" / "fit"
        model = fitted(self.circuit, about, seed=seed, to=to, choose=self.size.choose).model
        assert isinstance(model, RetinaCNN)
        return Network(self, name, seed, model.fold().eval())


class Network:
    """A fitted network and what the study asks of it."""

    def __init__(self, study: Study, name: str, seed: int, model: RetinaCNN) -> None:
        self.study, self.name, self.seed, self.model = study, name, seed, model
        self._evidence: dict[tuple[str, str], Evidence] = {}

    def film(self, which: Film) -> Movie:
        """A film without the frames that only the circuit looks back to."""
        film = self.study.film(which)
        return recording(self.study.circuit, film, self.model.history).movie

    def evidence(self, which: Film, target: Target = "rate") -> Evidence:
        """What its units contribute during a film."""
        if (which, target) not in self._evidence:
            folder = self.study.keep
            seconds, every = self.study.seconds(which), self.study.size.every
            file = f"{self.name}-{self.seed}/{which}-{seconds:g}s-{every}-{target}.npz"
            self._evidence[which, target] = gathered(
                self.model,
                self.film(which),
                # The truth is what interneurons give to the cells themselves: the last layer.
                sites=["second"],
                drive=target == "drive",
                every=self.study.size.every,
                keep=None if folder is None else folder / file,
            )
        return self._evidence[which, target]

    def truth(self, one: Pathway, which: Film, target: Target = "rate") -> Array:
        """A pathway's true time course at the frames of the evidence."""
        found = self.study.truth(which, target).contributions[:, one.cell, one.unit]
        return found[:: self.study.size.every].numpy()

    def r(self, which: Film) -> list[float]:
        """Pearson's r of every cell with the circuit, at all frames of a film."""
        truth = self.study.truth(which).rates.numpy()
        rates = self.model.respond(self.film(which)).numpy()
        return [float(correlations(rates[:, [n]], truth[:, n])[0]) for n in range(truth.shape[1])]

    def recovery(self, make: Any, held: Film, target: Target = "rate") -> list[Best]:
        """How like each pathway the best candidate is, chosen on the training film."""
        train, other = self.evidence("training", target), self.evidence(held, target)
        return [
            best(
                make(train, other, one.cell),
                self.truth(one, "training", target),
                self.truth(one, held, target),
            )
            for one in self.study.pathways
        ]

    def cosines(self, which: Film) -> tuple[list[float], list[float]]:
        """By cell, the cosine of its fields with the circuit's: the mean, and of all together.

        The mean counts every frame alike; the second, one cosine of all frames, counts each by the
        size of its fields.
        """
        film, own = self.study.film(which), self.film(which)
        count = len(own) - self.model.history + 1
        frames = range(0, count, self.study.size.fields)
        ours = receptive_fields(self.model, own, frames=frames)
        # What the circuit looks back to beyond the network's history counts as missed.
        true = receptive_fields(self.study.circuit, film, frames=frames)
        lost = true.sizes["lag"] - ours.sizes["lag"]
        ours = ours.pad(lag=(lost, 0), constant_values=0.0)
        each = field_cosine(ours, true)
        a, b = ours.to_numpy().astype(np.float64), true.to_numpy().astype(np.float64)
        inner, one, two = ((x * y).sum((0, 2, 3, 4)) for x, y in ((a, b), (a, a), (b, b)))
        return each.mean("time").to_numpy().tolist(), (inner / np.sqrt(one * two)).tolist()


def of_cells(values: Sequence[float]) -> str:
    """Values of the nine cells in a row of a table; the four DS cells as their mean."""
    shown = [*values[:5], float(np.mean(values[5:]))]
    return " | ".join(f"{value:.2f}" for value in (*shown, float(np.mean(values))))
