"""Merged classes: a benchmark of control that the mean over a class cannot win.

Two classes, or two groups of classes, become one output, their logsumexp, and the sub-labels are
hidden; or one class has two halves, such as fish alone and fish in hands. A method gives two
rankings of units for each such output; each should change one half and spare the other. The mean
over the whole gives one ranking for both halves, which cannot do that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from codeclens.attribution import ActivationPath, Attributor, Label
from codeclens.control import clusters, off_value, outputs_under
from codeclens.control.controls import GradientFrom
from codeclens.control.curves import selectivity
from codeclens.control.edits import Intervention, one_site
from codeclens.control.measurements import mean_height
from codeclens.control.units import share_to_count
from codeclens.decomposition import NMF

Group = tuple[int, ...]
Pair = tuple[Group, Group]
Half = tuple[Tensor, np.ndarray]


class Merged(nn.Module):
    """A classifier some of whose classes are merged: `(B, merged outputs + other classes)`.

    >>> model = Merged(nn.Identity(), [(0, 2)], classes=4)
    >>> model(torch.zeros(1, 4)).shape, round(float(model(torch.zeros(1, 4))[0, 0].exp()), 3)
    (torch.Size([1, 3]), 2.0)
    """

    def __init__(self, model: nn.Module, groups: Sequence[Group], classes: int) -> None:
        super().__init__()
        self.model = model
        merged = {which for group in groups for which in group}
        if len(merged) != sum(map(len, groups)):
            raise ValueError("a class is in more than one group")
        self.groups = [list(group) for group in groups]
        self.rest = [which for which in range(classes) if which not in merged]

    def forward(self, x: Tensor) -> Tensor:
        logits = self.model(x)
        joined = [logits[:, group].logsumexp(dim=1) for group in self.groups]
        return torch.cat([torch.stack(joined, dim=1), logits[:, self.rest]], dim=1)


def pairs_of(classes: Sequence[int], turn: int) -> list[Pair]:
    """Pairs of neighbours in a list of classes that is turned by so many places.

    >>> pairs_of([1, 2, 3, 4], 0), pairs_of([1, 2, 3, 4], 1)
    ([((1,), (2,)), ((3,), (4,))], [((2,), (3,)), ((4,), (1,))])
    """
    order = [*classes[turn:], *classes[:turn]]
    return [((a,), (b,)) for a, b in zip(order[::2], order[1::2], strict=False)]


@dataclass(frozen=True)
class Question:
    """One output with two hidden halves, which are to be controlled apart.

    `output` is its number among the model's outputs, `names` those of its halves. Images and their
    halves (0 or 1): `training`, in which rankings are made, and `held_out`.
    """

    model: nn.Module
    output: int
    names: tuple[str, str]
    training: Half
    held_out: Half


def questions_of_pairs(
    model: nn.Module,
    training: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    pairs: Sequence[Pair],
) -> list[Question]:
    """A question for each pair of classes, or of groups of classes, merged into one output."""
    with torch.no_grad():
        classes = model(training[0][:1]).shape[1]
    whole = Merged(model, [first + second for first, second in pairs], classes)

    def of(data: tuple[Tensor, Tensor], pair: Pair) -> Half:
        labels = data[1].numpy()
        rows = np.isin(labels, pair[0] + pair[1])
        return data[0][rows], np.where(np.isin(labels[rows], pair[0]), 0, 1)

    return [
        Question(whole, number, _names(pair), of(training, pair), of(held_out, pair))
        for number, pair in enumerate(pairs)
    ]


def _names(pair: Pair) -> tuple[str, str]:
    first, second = (", ".join(map(str, group)) for group in pair)
    return first, second


Two = tuple[np.ndarray, np.ndarray]
# Two rankings (2, U) by score, and how much each image belongs to each of them (N, 2).
Method = Callable[[dict[str, np.ndarray]], Two]


def of_mean(known: dict[str, np.ndarray]) -> Two:
    """The mean contribution to the merged class, twice."""
    mean = known["path"].mean(axis=0)
    return np.stack([mean, mean]), np.ones((len(known["path"]), 2))


def of_modes(name: str) -> Method:
    """Two modes by NMF within the class, of contributions or of activations."""

    def make(known: dict[str, np.ndarray]) -> Two:
        values = known[name]
        if name == "activation":
            table = np.concatenate([np.maximum(values, 0), np.maximum(-values, 0)], axis=1)
        else:
            table = np.concatenate([known[f"{name} +"], -known[f"{name} -"]], axis=1)
        method = NMF(n_modes=2).fit(table.astype(np.float32), seed=0)
        loadings, dictionary = method.encode(table.astype(np.float32)), method.dictionary
        units = values.shape[1]
        net = dictionary[:, :units] - dictionary[:, units:]
        return _apart(net * loadings.mean(axis=0)[:, None]), loadings

    return make


def of_clusters(known: dict[str, np.ndarray]) -> Two:
    """k-means on activations within the class, then the gradient of each cluster."""
    chosen = np.eye(2)[clusters(known["activation"])]
    return _apart(_means(known["gradient"], chosen)), chosen


def of_halves(known: dict[str, np.ndarray]) -> Two:
    """The true sub-labels, then the gradient of each half: an upper bound."""
    chosen = np.eye(2)[known["half"]]
    return _apart(_means(known["gradient"], chosen)), chosen


def of_chance(known: dict[str, np.ndarray]) -> Two:
    """Two random rankings."""
    random = np.random.default_rng(0)
    return random.normal(size=(2, known["path"].shape[1])), np.ones((len(known["path"]), 2))


METHODS: dict[str, Method] = {
    "class mean": of_mean,
    "random": of_chance,
    "activation modes": of_modes("activation"),
    "activation-path modes": of_modes("path"),
    "gradient modes": of_modes("gradient"),
    "k-means, then gradient": of_clusters,
    "true sub-labels, then gradient": of_halves,
}


def _means(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return (chosen.T @ values) / np.maximum(chosen.sum(axis=0), 1)[:, None]


def _apart(scores: np.ndarray) -> np.ndarray:
    """Each ranking less the other, both of unit length: what serves one half and not the other."""
    unit = scores / np.maximum(np.linalg.norm(scores, axis=1, keepdims=True), 1e-12)
    return unit - unit[::-1]


def assigned(belongs: np.ndarray, half: np.ndarray) -> list[int]:
    """Which ranking is meant for which half, by the images that rankings were made from.

    >>> assigned(np.array([[0.0, 1.0], [0.1, 2.0], [3.0, 0.0]]), np.array([0, 0, 1]))
    [1, 0]
    """
    scaled = belongs / np.maximum(belongs.sum(axis=0), 1e-12)
    mean = np.stack([scaled[half == which].mean(axis=0) for which in (0, 1)])
    return [0, 1] if mean[0, 0] + mean[1, 1] >= mean[0, 1] + mean[1, 0] else [1, 0]


def measure(
    question: Question,
    site: str,
    *,
    fractions: Sequence[float],
    methods: dict[str, Method] | None = None,
) -> list[dict[str, Any]]:
    """One row for each method and half: the selectivity of its ranking against the other half.

    Selectivity is `(AUC_half − AUC_other) / AUC_other` of the accuracy on the output, while the
    highest-ranked units are set to the baseline activation.
    """
    model, (x, half) = question.model, question.held_out
    inside = f"model.{site}" if isinstance(model, Merged) else site
    place = one_site(model, inside)
    rest = off_value(model, place, question.training[0], "baseline")
    known = _known(question, place, rest)
    rows = []
    for name, method in (methods or METHODS).items():
        scores, belongs = method(known)
        for which, ranking in enumerate(assigned(belongs, known["half"])):
            order = np.argsort(-scores[ranking], kind="stable")
            counts = [share_to_count(fraction, len(order)) for fraction in fractions]
            acts = [
                Intervention(place, "ablate", tuple(int(u) for u in order[:count]), rest)
                for count in counts
            ]
            found = outputs_under(model, x, acts, batch_size=max(len(x), 1)).argmax(axis=2)
            hits = np.stack([(found == question.output)[:, half == h].mean(axis=1) for h in
                             (which, 1 - which)], axis=1)  # fmt: skip
            shares = np.array(counts) / len(order)
            value = selectivity(shares, hits[1:], hits[0])
            left = mean_height(shares, (hits[1:] / np.maximum(hits[0], 1e-12)).T)
            rows.append(
                {"question": list(question.names), "half": question.names[which],
                 "condition": name, "selectivity": float(value),
                 "difference": float(left[0] - left[1]), "accuracy": hits.tolist()}
            )  # fmt: skip
    return rows


def _known(question: Question, place: Any, rest: Any) -> dict[str, np.ndarray]:
    """What methods may know of the output's images, and the hidden halves."""
    x, half = question.training
    found: dict[str, np.ndarray] = {"half": half}
    wanted = torch.full((len(x),), question.output)
    for name, method in (("gradient", GradientFrom(rest)), ("path", ActivationPath(steps=5))):
        attributor = Attributor(question.model, sites=place, method=method, target=Label())
        parts = [
            next(iter(attributor(x[start : start + 20], wanted[start : start + 20]).values()))
            for start in range(0, len(x), 20)
        ]
        for key, values in (("", "net"), (" +", "positive"), (" -", "negative")):
            found[name + key] = torch.cat([getattr(one, values) for one in parts]).double().numpy()
        found["activation"] = torch.cat([one.activation for one in parts]).double().numpy()
    return found
