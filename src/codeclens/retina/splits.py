"""Splits: frames to learn from, and stretches of film that are held out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from codeclens.errors import CodeclensError


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to learn from (`train`) and rows held out, with the number of the block of each."""

    train: Int64[np.ndarray, " trained"]
    held_out: Int64[np.ndarray, " held"]
    block: Int64[np.ndarray, " held"]


def held_out_blocks(count: int, *, share: float = 0.25, blocks: int = 8, gap: int = 0) -> Split:
    """Hold out the end of each of `blocks` equal stretches of `count` frames.

    Frames near each other are alike, so that frames held out one by one would be known already:
    whole stretches are, together about a `share` of the frames, and `gap` frames on either side of
    each are used for nothing. Windows share frames: take the model's history less one. Raises
    CodeclensError where too little is left to learn from.

    >>> split = held_out_blocks(20, share=0.3, blocks=2, gap=1)
    >>> split.held_out, split.block
    (array([ 7,  8,  9, 17, 18, 19]), array([0, 0, 0, 1, 1, 1]))
    >>> split.train
    array([ 0,  1,  2,  3,  4,  5, 11, 12, 13, 14, 15])
    """
    if not 0 < share < 1 or blocks < 1 or gap < 0:
        raise CodeclensError(
            f"share={share}, blocks={blocks} and gap={gap} hold nothing out; share lies between "
            "0 and 1, there is a block or more, and the gap is not negative."
        )
    ends = np.linspace(0, count, blocks + 1).round().astype(np.int64)
    lengths = np.maximum(np.round(np.diff(ends) * share), 1).astype(np.int64)
    held = [np.arange(end - length, end) for end, length in zip(ends[1:], lengths, strict=True)]
    rows = np.arange(count)
    free = np.ones(count, bool)
    for one in held:
        free &= (rows < one[0] - gap) | (rows > one[-1] + gap)
    if free.sum() < max(2, blocks) or (np.diff(ends) < 2).any():
        raise CodeclensError(
            f"Of {count} frames {int(free.sum())} are left to learn from beside {blocks} blocks "
            f"with gaps of {gap}; take fewer blocks, a smaller share or a longer movie."
        )
    numbers = np.repeat(np.arange(blocks), lengths)
    return Split(np.flatnonzero(free), np.concatenate(held), numbers)


class Division(NamedTuple):
    """Numbers of the windows to train on and of those held out, each sorted."""

    train: Int64[Tensor, " train"]
    held_out: Int64[Tensor, " held_out"]


def divide(frames: int, history: int, *, share: float, blocks: int) -> Division:
    """Hold out about a `share` of the windows in contiguous blocks, spread evenly over time.

    Neighbouring windows have all but one frame in common, so that windows held out here and there
    would have been seen. Beside every block a gap of `history` frames belongs to neither side.
    Raises CodeclensError where that leaves nothing to train on or to hold out.

    >>> train, held_out = divide(100, 10, share=0.2, blocks=1)
    >>> held_out.tolist() == list(range(36, 54)), len(train)
    (True, 53)
    """
    windows = frames - history + 1
    length = round(windows * share / max(blocks, 1))
    if not 0 < share < 1 or blocks < 1 or length < 2:
        raise CodeclensError(
            f"held_out={share} in {blocks} blocks of {max(windows, 0)} windows holds out too "
            "little; pass a larger share, fewer blocks or a longer recording."
        )
    owner = np.zeros(windows, dtype=np.int64)
    for block in range(blocks):
        first = round((block + 0.5) * windows / blocks - length / 2)
        near = slice(max(0, first - history), first + length + history)
        owner[near] = np.where(owner[near] == 1, 1, 2)
        owner[first : first + length] = 1
    train, held_out = (torch.from_numpy(np.flatnonzero(owner == side)) for side in (0, 1))
    if len(train) < 2:
        raise CodeclensError(
            f"{blocks} held-out blocks with gaps of {history} frames leave nothing of {windows} "
            "windows to train on; pass fewer blocks or a longer recording."
        )
    return Division(train, held_out)


def correlation(
    predicted: Float[Tensor, "time cell"], measured: Float[Tensor, "time cell"]
) -> Float[Tensor, " cell"]:
    """Pearson's r of every cell; NaN where one of the two is constant.

    >>> correlation(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[1.0], [3.0], [5.0]]))
    tensor([1.], dtype=torch.float64)
    """
    ours, theirs = (x.double() - x.double().mean(dim=0) for x in (predicted, measured))
    size = (ours.square().sum(dim=0) * theirs.square().sum(dim=0)).sqrt()
    r = (ours * theirs).sum(dim=0) / size
    return torch.where(size > 0, r, torch.full_like(r, torch.nan))
