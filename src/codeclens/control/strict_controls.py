"""Stricter controls: other modes, clusters inside a class, and a mask trained with labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from codeclens.attribution import Replay, Selector, Site, frozen
from codeclens.control.controls import (
    CONTROLS,
    ByMode,
    ByScore,
    Maker,
    Ranking,
    RankingInputs,
    mode_of,
)
from codeclens.control.edits import Frame, Value, one_site
from codeclens.control.off import off_value
from codeclens.decomposition import Modes
from codeclens.errors import CodeclensError, require_number

# Images of the class, and as many others, in each batch that a mask is trained on.
_HALF = 10
_BATCHES = 4


def by_modes_of(modes: Modes, name: str, source: str = "") -> Maker:
    """A control: units by the best mode for the class among other `modes` of the same site.

    For modes of activations, or of contributions to one fixed target for all images: most of the
    correlation of a mode with its class may come from each image being explained for its own class.

    >>> from codeclens.decomposition import NMF
    >>> x = np.eye(3)[np.arange(30) % 3].astype(np.float32)
    >>> method = NMF(n_modes=3).fit(x)
    >>> modes = Modes("0", "activation", method, method.encode(x), labels=np.arange(30) % 3)
    >>> by_modes_of(modes, "fixed target")(None, [1]).orders(3, 1, 0)[0, 0]
    np.int64(1)
    """

    def make(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
        mode = mode_of(modes, members)
        return ByMode(mode, name, source or f"mode {mode.index} of {name}")

    return make


def by_cluster_gradient(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by the gradient control in the larger of two clusters of the class's activations.

    k-means splits the class's training images by their mean activations, without sub-labels; the
    ranking is gradient × (activation − off value), a mean over the larger cluster.
    """
    product, activation = products(inputs, members)
    cluster = clusters(activation, inputs.seed)
    chosen = cluster == np.bincount(cluster).argmax()
    source = (
        f"the gradient, mean over the larger of two activation clusters ({chosen.sum()} images)"
    )
    return ByScore("k-means gradient", product[chosen].mean(axis=0), source, True)


def by_learned_mask(inputs: RankingInputs, members: Sequence[int]) -> Ranking:
    """Units by a mask that is trained for the purpose, with gradients and labels."""
    x, labels = inputs.images()
    site = one_site(inputs.model, inputs.modes.site if inputs.site is None else inputs.site)
    value = off_value(inputs.model, site, x, inputs.off, inputs.baseline)
    scores = learned_mask(
        inputs.model, site, (x, torch.from_numpy(labels)), members, value=value,
        output=inputs.output, seed=inputs.seed,
    )  # fmt: skip
    source = "a mask trained by gradient on labelled images"
    return ByScore("learned mask", scores, source, True)


STRICT: dict[str, Maker] = {
    "k-means gradient": by_cluster_gradient,
    "learned mask": by_learned_mask,
}
# They can be named as the others can, but take longer and are not among ALL.
CONTROLS.update(STRICT)


def products(
    inputs: RankingInputs, members: Sequence[int]
) -> tuple[Float[np.ndarray, "sample unit"], Float[np.ndarray, "sample unit"]]:
    """Gradient × (activation − off value) and mean activations of the class's images."""
    found = [inputs.products(which) for which in members]
    product, activation = (np.concatenate([one[part] for one in found]) for part in (0, 1))
    return product, activation


def clusters(
    activation: Float[np.ndarray, "sample unit"], seed: int = 0
) -> Int[np.ndarray, " sample"]:
    """Two clusters of samples by k-means on standardised activations, as 0 and 1.

    >>> clusters(np.array([[0.0, 1.0], [0.1, 1.0], [5.0, 1.0], [5.2, 1.0]])).tolist() in (
    ...     [0, 0, 1, 1], [1, 1, 0, 0])
    True
    """
    spread = activation.std(axis=0)
    scaled = (activation - activation.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    if len(scaled) < 2:
        return np.zeros(len(scaled), np.int64)
    from sklearn.cluster import KMeans as Clustering

    return np.asarray(Clustering(2, n_init=10, random_state=seed).fit_predict(scaled), np.int64)


def learned_mask(
    model: nn.Module,
    site: str | Site,
    data: tuple[Tensor, Tensor],
    members: Sequence[int],
    *,
    value: Value = 0.0,
    steps: int = 20,
    rate: float = 0.3,
    output: Selector = None,
    seed: int = 0,
) -> Float[np.ndarray, " unit"]:
    """How far each unit should be switched off to hurt the class and spare the others, `(U,)`.

    A mask in (0, 1) moves each unit from its activation to the off `value`. It is trained by Adam
    on labelled images to lower the probability of the label on the class's images and to keep the
    log-probability of the label on others. The result is the mask before its sigmoid: the larger,
    the more the unit serves the class alone.

    Raises CodeclensError without images of the class or of others.

    >>> x = torch.eye(3).repeat(8, 1) + 0.1
    >>> mask = learned_mask(nn.Sequential(nn.Identity()), "0", (x, torch.arange(24) % 3), [1])
    >>> int(mask.argmax())
    1
    """
    require_number("steps", steps, least=1, whole=True)
    place = one_site(model, site)
    x, labels = data[0], torch.as_tensor(np.asarray(data[1]))
    member = torch.isin(labels, torch.as_tensor(list(members)))
    if not member.any() or member.all():
        raise CodeclensError("A mask is trained on images of the class and of others; pass both.")
    generator = torch.Generator().manual_seed(seed)
    sides = [torch.nonzero(side).flatten() for side in (member, ~member)]
    sides = [side[torch.randperm(len(side), generator=generator)] for side in sides]
    rows = [
        torch.cat([_turn(side, number) for side in sides])
        for number in range(min(_BATCHES, -(-len(sides[0]) // _HALF)))
    ]
    with ExitStack() as entered, frozen(model):
        replays = [entered.enter_context(Replay(model, place, x[some], output)) for some in rows]
        frames = [Frame(place, replay.activation.detach()) for replay in replays]
        departures = [
            (frame.values - frame.fit("value", _of(value, some, len(x)))).detach()
            for frame, some in zip(frames, rows, strict=True)
        ]
        logit = torch.full((frames[0].values.shape[1], 1), -2.0, requires_grad=True)
        trainer = torch.optim.Adam([logit], lr=rate)
        for step in range(steps):
            number = step % len(rows)
            some, frame = rows[number], frames[number]
            with torch.enable_grad():
                edited = frame.values - torch.sigmoid(logit) * departures[number]
                scores = replays[number](place.restore(edited, like=frame.activation))
                likely = scores.log_softmax(dim=1)[torch.arange(len(some)), labels[some]]
                hurt = likely[member[some]].exp().mean() - likely[~member[some]].mean()
                trainer.zero_grad()
                (logit.grad,) = torch.autograd.grad(hurt, [logit])
            trainer.step()
    return logit.detach().flatten().double().numpy()


def _turn(side: Tensor, number: int) -> Tensor:
    """The next few images of one side, from the start again when they end."""
    return side[(torch.arange(_HALF) + number * _HALF) % len(side)]


def _of(value: Value, rows: Tensor, total: int) -> Value:
    """An off value for some images, where it is given for each of them."""
    if isinstance(value, Tensor) and value.ndim >= 2 and len(value) == total > 1:
        return value[rows]
    return value
