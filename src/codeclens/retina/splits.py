"""Splits: frames to learn from, and stretches of film that are held out whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

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
