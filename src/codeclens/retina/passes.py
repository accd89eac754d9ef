"""Passes: forwards from the stimulus through a site to the rates, with the derivatives between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray
from jaxtyping import Float, Int64
from torch import Tensor, nn

from codeclens.attribution import (
    Division,
    Probe,
    Selector,
    Site,
    SiteContributions,
    find_sites,
    survey,
)
from codeclens.decomposition import Modes, mode_shares
from codeclens.decomposition.shares import division
from codeclens.errors import CodeclensError
from codeclens.retina.movies import Movie
from codeclens.retina.response import ResponseModel

if TYPE_CHECKING:
    import xarray


@dataclass
class Passage:
    """One forward of some windows, its graph kept: `r(a(s))` with `a` the activation of a site.

    `rates` is `(B, cells)`. Without a site only `field` is there. Derivatives come in the layout
    of what they belong to.
    """

    start: Tensor
    rates: Tensor
    activation: Tensor | None
    _pulled: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def field(self, cell: int) -> Tensor:
        """The instantaneous receptive field `∂r/∂s`, `(B, history, H, W)`."""
        return self._gradient(self.rates[:, cell].sum(), self.start)

    def gain(self, cell: int) -> Tensor:
        """What the rate gains for each unit of activation, `∂r/∂a`."""
        return self._gradient(self.rates[:, cell].sum(), self._at_site)

    def back(self, cotangent: Tensor) -> Tensor:
        """`Jᵀ g`: a cotangent at the site as a field, with `J = ∂a/∂s`."""
        return self._gradient(self._at_site, self.start, cotangent)

    def push(self, direction: Tensor) -> Tensor:
        """`J d`: how the activation changes with the stimulus in a direction.

        `Jᵀ v` is linear in v, so its derivative with respect to v is J, without forward mode.
        """
        if self._pulled is None:
            vector = torch.zeros_like(self._at_site, requires_grad=True)
            (pulled,) = torch.autograd.grad(
                self._at_site, self.start, vector, create_graph=True, materialize_grads=True
            )
            self._pulled = vector, pulled
        vector, pulled = self._pulled
        return self._gradient(pulled, vector, direction)

    @property
    def _at_site(self) -> Tensor:
        assert self.activation is not None
        return self.activation

    @staticmethod
    def _gradient(of: Tensor, by: Tensor, cotangent: Tensor | None = None) -> Tensor:
        if not of.requires_grad:
            return torch.zeros_like(by)
        (found,) = torch.autograd.grad(of, by, cotangent, retain_graph=True, materialize_grads=True)
        derivative: Tensor = found.detach()
        return derivative


class Passes:
    """A model made ready for passages through one site, or through none.

    `site` says where the units are; `is_cut` whether all that reaches the rates passes there.
    """

    def __init__(self, probe: Probe, site: Site | None, is_cut: bool, device: torch.device) -> None:
        self.site = site
        self.is_cut = is_cut
        self._probe = probe
        self._device = device

    def __call__(self, windows: Tensor) -> Passage:
        """Run some windows; raises CodeclensError where rates are not (windows, cells)."""
        start = windows.detach().to(self._device).clone().requires_grad_()
        here = self._probe(start)
        if here.output.ndim != 2 or len(here.output) != len(windows):
            raise CodeclensError(
                f"The model gives {tuple(here.output.shape)} for {len(windows)} windows; fields "
                "are those of rates (windows, cells). Pass output=… to select them."
            )
        activation = None if self.site is None else here.activations[self.site.key]
        return Passage(start, here.output, activation)


@contextmanager
def passes(
    model: nn.Module, windows: Tensor, site: str | Site | None = None, output: Selector = None
) -> Iterator[Passes]:
    """Make a model ready, in evaluation mode; it is afterwards as it was.

    With a site some windows run once to see what it is; without one nothing runs yet, so that a
    model may be changed in a way that fits these windows alone. Raises CodeclensError for a site
    that is not reached, or is several.
    """
    device = next((parameter.device for parameter in model.parameters()), windows.device)
    output = as_output(model, output)
    with torch.inference_mode(False), torch.enable_grad():
        if site is None:
            with Probe(model, [], output) as probe:
                yield Passes(probe, None, True, device)
            return
        found = survey(model, find_sites(model, site), windows[:2].to(device).clone(), output)
        if len(found.sites) > 1:
            keys = ", ".join(f'"{one.key}"' for one in found.sites[:4])
            raise CodeclensError(f'"{site}" means {len(found.sites)} sites, {keys}; name one.')
        with Probe(model, found.sites, output, found.overwritten) as probe:
            yield Passes(probe, found.sites[0], bool(found.cuts), device)


def as_output(model: nn.Module, output: Selector) -> Selector:
    """What is explained: text names a module of the model, such as `ResponseModel.drive`."""
    if isinstance(output, str | Site):
        return find_sites(model, output)[0]
    return output


REMAINDER = "remainder"
BYPASS = "bypass"
# What is divided: the channels of a site, or the contributions at the site of some modes.
Where = str | Site | Modes
Found = SiteContributions | Mapping[str, SiteContributions] | None


@dataclass(frozen=True)
class Parts:
    """A division of a site's units into named parts that together are everything.

    `kind` is "channel" or "mode", the name of the axis; of modes the last part is the remainder,
    which no mode carries.
    """

    kind: str
    names: tuple[str, ...]
    division: Division
    site: Site

    def rows(self, rows: np.ndarray[Any, Any]) -> Parts:
        """The division of some windows."""
        at = torch.from_numpy(rows)
        divided = self.division
        return replace(
            self,
            division=Division(divided.positive[at], divided.negative[at], divided.excites[at]),
        )

    def share(self, part: int, like: Tensor) -> Tensor:
        """The share that a part has of everything at the site, in the activation's layout."""
        return self.site.restore(self.division.field(part).to(like), like=like)

    def sums(self, values: Tensor) -> Float[Tensor, "window part"]:
        """What each part has of values at the site, summed over units and positions, in float64."""
        units = self.site.units(values).double()
        divided = self.division
        exciting = units.where(divided.excites.to(units.device), 0).sum(dim=2)
        rest = units.sum(dim=2) - exciting
        return torch.einsum("bau,bu->ba", divided.positive.to(units), exciting) + torch.einsum(
            "bau,bu->ba", divided.negative.to(units), rest
        )


def parts_of(
    model: nn.Module, where: Where, found: Found, site: Site, units: int, windows: int
) -> Parts:
    """The parts that are meant: each channel of a site, or each mode of it and the remainder.

    Channels have the names that the model's `units` gives them by site, if it does, else numbers.
    `found` are the contributions of all `windows`, by which modes divide. Raises CodeclensError
    where they are missing, of another site, or of another number of windows.
    """
    if not isinstance(where, Modes):
        each = torch.eye(units).expand(windows, -1, -1)
        known = getattr(model, "units", None)
        given = known.get(site.name, ()) if isinstance(known, Mapping) else ()
        names = tuple(str(unit) for unit in (given if len(given) == units else range(units)))
        everywhere = torch.ones(windows, units, 1, dtype=torch.bool)
        return Parts("channel", names, Division(each, each, everywhere), site)
    here = found.get(where.site) if isinstance(found, Mapping) else found
    if isinstance(found, xarray.Dataset) or not isinstance(here, SiteContributions | None):
        raise CodeclensError(
            "Modes are divided by contributions with their positions, not by a "
            f"{type(found).__name__}; pass found=contributions(model, windows, "
            f'sites="{where.site}", reduce=None) of all windows.'
        )
    if here is None or here.site.key != where.site:
        raise CodeclensError(
            f'The modes are of site "{where.site}"; pass found=contributions(model, windows, '
            f'sites="{where.site}", …) of all windows.'
        )
    if len(here.positive) != windows:
        raise CodeclensError(
            f"There are contributions of {len(here.positive)} windows and {windows} windows of the "
            "movie; pass those of all its windows, in their order."
        )
    names = (*(str(number) for number in range(len(where))), REMAINDER)
    return Parts("mode", names, _by_mode(where, here), site)


def _by_mode(modes: Modes, here: SiteContributions) -> Division:
    positive, negative, activation = (
        values.detach().cpu().double().numpy()
        for values in (here.positive, here.negative, here.activation)
    )
    shares = mode_shares(modes, positive, negative, activation, most=len(modes))
    # The same parts in every window; the number after the last mode is the remainder's.
    every = shares.only(range(len(modes) + 1))
    if here.full is not None:
        divided = division(every, here)
        return Division(*(v.cpu() for v in (divided.positive, divided.negative, divided.excites)))
    # Signs at the positions are not known: a unit's share is the mean of both, by their weight.
    gain, loss = positive[:, None], -negative[:, None]
    total = gain + loss
    mean = (every.positive * gain + every.negative * loss) / np.where(total > 0, total, 1)
    mean[:, -1] = 1 - mean[:, :-1].sum(axis=1)
    both = torch.from_numpy(mean)
    return Division(both, both, torch.ones(*positive.shape, 1, dtype=torch.bool))


def named(parts: Parts, is_cut: bool) -> Sequence[str]:
    """The names of the parts, and of what passes by the site where something does."""
    return parts.names if is_cut else (*parts.names, BYPASS)


# Text where names are known, numbers else.
Cells = Sequence[str | int] | str | int | None


@dataclass(frozen=True, eq=False)
class Clips:
    """Windows `(N, history, H, W)` with their times, clock and scale.

    `rows` are the numbers of the windows among all that the movie has, which are the rows of
    `ResponseModel.respond`; `times` are in s, or the same numbers where nobody knows when they were
    shown. A response that belongs to the frame `ahead` before the newest has that frame's time, and
    lags are counted from there: below 0 for frames still to come.
    """

    windows: Float[Tensor, "window history y x"]
    rows: Int64[np.ndarray, " window"]
    times: Float[np.ndarray, " window"]
    rate: float
    pixel: float
    unit: str
    timed: bool
    ahead: int = 0

    def __len__(self) -> int:
        return len(self.windows)

    def labelled(
        self, values: np.ndarray[Any, Any], names: Mapping[str, Sequence[Any]], units: str
    ) -> xarray.DataArray:
        """Values `(time, …, lag, y, x)` with their coordinates; `names` label the axes between."""
        import xarray

        history, height, width = self.windows.shape[1:]
        seconds = {"units": "s"}
        distance = {"units": self.unit}
        coordinates: dict[str, Any] = {
            "time": ("time", self.times, seconds if self.timed else {"units": "window"}),
            **{name: (name, _labels(entries)) for name, entries in names.items()},
            "lag": ("lag", (np.arange(history - 1, -1, -1) - self.ahead) / self.rate, seconds),
            "y": ("y", (np.arange(height) + 0.5) * self.pixel, distance),
            "x": ("x", (np.arange(width) + 0.5) * self.pixel, distance),
        }
        return xarray.DataArray(values, coordinates, list(coordinates), attrs={"units": units})


def _labels(entries: Sequence[Any]) -> np.ndarray[Any, Any]:
    # Text as objects: of a fixed length it has no specification in Zarr 3.
    return np.array([str(entry) for entry in entries], object)


def clips_of(
    model: nn.Module,
    movie: Movie | Tensor,
    frames: Sequence[int] | np.ndarray[Any, Any] | slice | None = None,
    history: int | None = None,
) -> Clips:
    """The windows of a movie that are meant, or windows that were cut already.

    `frames` are rows of `ResponseModel.respond(movie)`, so 0 is the first frame with a whole
    history; None means all. A model that is no ResponseModel has no clock and no history of its
    own: it takes a Movie and `history`. Raises CodeclensError where these are missing or the clock
    is another, and for rows that there are not.

    >>> movie = Movie(torch.zeros(10, 4, 4), rate=50.0, pixel=50.0, unit="um")
    >>> clips_of(nn.Identity(), movie, [0, 6], history=3).times
    array([0.04, 0.16])
    """
    known = model if isinstance(model, ResponseModel) else None
    ahead = 0 if known is None else known.ahead
    if isinstance(movie, Movie):
        if known is not None:
            known.require_movie(movie)
            history = known.history
        if history is None:
            raise CodeclensError(
                f"A {type(model).__name__} does not say how many frames it looks back; pass "
                "history=…, or a ResponseModel."
            )
        windows = movie.windows(history) if known is None else known.windows(movie)
        times = movie.window_times(history) - ahead / movie.rate
        rate, pixel, unit, timed = movie.rate, movie.pixel, str(movie.unit), True
    else:
        if known is None:
            raise CodeclensError(
                f"Neither windows nor a {type(model).__name__} have a clock and a scale; pass a "
                "Movie, or a ResponseModel."
            )
        if movie.ndim != 4 or movie.shape[1] != known.history:
            raise CodeclensError(
                f"The windows have shape {tuple(movie.shape)}; pass (windows, {known.history}, "
                "height, width), or a Movie."
            )
        windows, times, timed = movie, np.arange(len(movie), dtype=np.float64), False
        rate, pixel, unit = known.rate, known.pixel, str(known.unit)
    rows = _rows(frames, len(windows))
    chosen = windows[torch.from_numpy(rows)] if frames is not None else windows
    return Clips(chosen, rows, np.asarray(times, np.float64)[rows], rate, pixel, unit, timed, ahead)


def _rows(frames: Any, count: int) -> np.ndarray[Any, Any]:
    every = np.arange(count, dtype=np.int64)
    if frames is None:
        return every
    try:
        rows = every[frames] if isinstance(frames, slice) else np.asarray(frames)
        if rows.dtype == bool:
            rows = every[rows]  # of every window, one by one
        if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
            raise IndexError
        return every[rows]
    except (IndexError, ValueError, TypeError):
        raise CodeclensError(
            f"frames={frames!r} are no rows of the {count} windows; pass numbers from 0 to "
            f"{count - 1}, a slice or a mask."
        ) from None


def cells_of(model: nn.Module, cells: Cells, count: int) -> tuple[list[int], list[str]]:
    """Numbers and names of the cells that are meant, of `count` outputs; None means all.

    Raises CodeclensError for a cell that there is not.
    """
    names = [str(name) for name in getattr(model, "cells", ())]
    if len(names) != count:
        names = [str(number) for number in range(count)]
    given = [cells] if isinstance(cells, str | int | np.integer) else cells
    numbers: list[int] = []
    for cell in range(count) if given is None else given:
        if isinstance(cell, str) and cell in names:
            numbers.append(names.index(cell))
        elif not isinstance(cell, str) and 0 <= int(cell) < count:
            numbers.append(int(cell))
        else:
            some = ", ".join(names[:6]) + (" …" if count > 6 else "")
            raise CodeclensError(f"There is no cell {cell!r} among the {count} cells: {some}.")
    return numbers, [names[number] for number in numbers]
