"""White noise: checks whose light is drawn anew again and again."""

from __future__ import annotations

import math
from typing import Literal

import torch

from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie
from codeclens.retina.screens import Screen


def white_noise(
    duration: float,
    screen: Screen,
    *,
    kind: Literal["binary", "gaussian"] = "binary",
    contrast: float = 1.0,
    check: int = 1,
    every: int = 1,
    seed: int = 0,
) -> Movie:
    """Independent checks of `check` pixels for `duration` s, drawn anew `every` so many frames.

    Values are contrasts from the mean light: −`contrast` or `contrast` with even chances, or
    Gaussian with that standard deviation, cut where light would be negative and as far above, so
    that the mean stays. `check` as large as the screen flickers the whole field. Raises
    CodeclensError for a contrast outside (0, 1], checks or frames fewer than 1, another kind.

    >>> movie = white_noise(2.0, Screen(), contrast=0.5, seed=1)
    >>> movie.frames.shape, movie.frames.unique()
    (torch.Size([100, 22, 22]), tensor([-0.5000,  0.5000]))
    """
    if kind not in ("binary", "gaussian"):
        raise CodeclensError(f'White noise is "binary" or "gaussian", not {kind!r}.')
    if not 0 < contrast <= 1:
        raise CodeclensError(f"White noise of contrast {contrast!r}: give one in (0, 1].")
    if check < 1 or every < 1:
        raise CodeclensError(
            f"White noise has check={check} and every={every}; give 1 or more of each."
        )
    frames = screen.frames(duration)
    checks = math.ceil(screen.size / check)
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randn(math.ceil(frames / every), checks, checks, generator=source)
    values = contrast * (drawn.sign() if kind == "binary" else drawn)
    wide = values.clamp(-1, 1).repeat_interleave(every, dim=0)[:frames]
    wide = wide.repeat_interleave(check, dim=1).repeat_interleave(check, dim=2)
    return screen.movie(wide[:, : screen.size, : screen.size])
