"""Splits and blocks: contiguous stretches of film, held out whole and resampled whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from codeclens.draws import interval
from codeclens.errors import CodeclensError, require_number

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on (`train`) and rows held out, each held-out row with its block's number."""

    train: Int64[np.ndarray, " trained"]
    held_out: Int64[np.ndarray, " held"]
    block: Int64[np.ndarray, " held"]


def held_out_blocks(count: int, *, share: float = 0.25, blocks: int = 8, gap: int = 0) -> Split:
    """Hold out the end of each of `blocks` equal stretches of `count` frames or windows.

    Neighbouring frames are similar, and neighbouring windows share all frames but one, so single
    frames cannot be held out. Whole stretches are, together about a `share` of the rows, and `gap`
    rows on either side of each are not used. For windows, the gap is the model's history. Raises
    CodeclensError where too little is left to train on.

    >>> split = held_out_blocks(20, share=0.3, blocks=2, gap=1)
    >>> split.held_out, split.block
    (array([ 7,  8,  9, 17, 18, 19]), array([0, 0, 0, 1, 1, 1]))
    >>> split.train
    array([ 0,  1,  2,  3,  4,  5, 11, 12, 13, 14, 15])
    """
    require_number("share", share, above=0, below=1, hint="the share of the rows held out")
    require_number("blocks", blocks, least=1, whole=True)
    require_number("gap", gap, least=0, whole=True)
    ends = np.linspace(0, count, blocks + 1).round().astype(np.int64)
    lengths = np.maximum(np.round(np.diff(ends) * share), 1).astype(np.int64)
    held = [np.arange(end - length, end) for end, length in zip(ends[1:], lengths, strict=True)]
    rows = np.arange(count)
    free = np.ones(count, bool)
    for one in held:
        free &= (rows < one[0] - gap) | (rows > one[-1] + gap)
    if free.sum() < max(2, blocks) or (np.diff(ends) < 2).any():
        raise CodeclensError(
            f"With {blocks} held-out blocks and gaps of {gap}, {int(free.sum())} of {count} rows "
            "are left to train on; use fewer blocks, a smaller share or a longer movie."
        )
    numbers = np.repeat(np.arange(blocks), lengths)
    return Split(np.flatnonzero(free), np.concatenate(held), numbers)


def block_draws(count: int, draws: int, seed: int) -> Float[np.ndarray, "draw block"]:
    """How often each of `count` blocks occurs in `draws` samples with replacement.

    >>> block_draws(4, 2, seed=0).sum(axis=1)
    array([4., 4.])
    """
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)


def with_bounds(name: str, dims: Any, value: Array, drawn: Array) -> dict[str, tuple[Any, Array]]:
    """A value and its 95 % bounds as variables `name`, `name_low` and `name_high` of a data set.

    `drawn` `(draw, …)` is the value in each bootstrap sample; samples without a value (NaN) are
    not counted, and bounds are NaN where the value is.

    >>> sorted(with_bounds("r", "cell", np.zeros(1), np.zeros((5, 1))))
    ['r', 'r_high', 'r_low']
    """
    low, high = np.where(np.isnan(value), np.nan, interval(drawn))
    return {name: (dims, value), f"{name}_low": (dims, low), f"{name}_high": (dims, high)}
