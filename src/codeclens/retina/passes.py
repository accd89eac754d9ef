"""Passes: forward passes from the stimulus through a site to the rates, and their derivatives."""

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
from codeclens.attribution.capture import leaf
from codeclens.decomposition import Modes, mode_shares
from codeclens.decomposition.shares import division
from codeclens.errors import CodeclensError, shortened, unknown, wrong_shape
from codeclens.labelled import labels
from codeclens.retina.movies import Movie, Sampling
from codeclens.retina.places import is_by_place, place_shares
from codeclens.retina.response import ResponseModel

if TYPE_CHECKING:
    import xarray


@dataclass
class ForwardPass:
    """One forward pass of some windows with its graph: `r(a(s))`, `a` the activation of a site.

    `rates` is `(B, cells)`. Without a site only `field` is defined. A derivative has the layout of
    the tensor it is taken by.
    """

    start: Tensor
    rates: Tensor
    activation: Tensor | None
    _pulled: tuple[Tensor, Tensor] | None = field(default=None, repr=False)

    def field(self, cell: int) -> Tensor:
        """The instantaneous receptive field `∂r/∂s`, `(B, history, H, W)`."""
        return self._gradient(self.rates[:, cell].sum(), self.start)

    def gain(self, cell: int) -> Tensor:
        """The derivative of the rate by the activation, `∂r/∂a`."""
        return self._gradient(self.rates[:, cell].sum(), self._at_site)

    def back(self, cotangent: Tensor) -> Tensor:
        """`Jᵀ g`: a cotangent at the site passed back to the stimulus, with `J = ∂a/∂s`."""
        return self._gradient(self._at_site, self.start, cotangent)

    def push(self, direction: Tensor) -> Tensor:
        """`J d`: the derivative of the activation along a direction of the stimulus.

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
    """Runs forward passes of a model with or without a site.

    `site` is the site of the units; `is_cut` says whether all paths to the rates pass through it.
    """

    def __init__(self, probe: Probe, site: Site | None, is_cut: bool, device: torch.device) -> None:
        self.site = site
        self.is_cut = is_cut
        self._probe = probe
        self._device = device

    def __call__(self, windows: Tensor) -> ForwardPass:
        """Run some windows; raises CodeclensError where rates are not (windows, cells)."""
        start = leaf(windows.detach().to(self._device).clone())
        here = self._probe(start)
        if here.output.ndim != 2 or len(here.output) != len(windows):
            raise CodeclensError(
                f"The model returns {tuple(here.output.shape)} for {len(windows)} windows, not "
                "rates (windows, cells); select them with output=…."
            )
        activation = None if self.site is None else here.activations[self.site.key]
        return ForwardPass(start, here.output, activation)


@contextmanager
def passes(
    model: nn.Module, windows: Tensor, site: str | Site | None = None, output: Selector = None
) -> Iterator[Passes]:
    """Prepare a model for forward passes in evaluation mode; its state is restored at the end.

    With a site, two windows are run to find its shape; without one nothing is run, so that
    interventions that fit only the given windows can be active. Raises CodeclensError for a site
    that is not reached, and for a name of several sites.
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
            raise CodeclensError(f'"{site}" matches {len(found.sites)} sites, {keys}; choose one.')
        with Probe(model, found.sites, output, found.overwritten) as probe:
            yield Passes(probe, found.sites[0], bool(found.cuts), device)


def as_output(model: nn.Module, output: Selector) -> Selector:
    """The output that is explained; text is the name of a module, such as `ResponseModel.drive`."""
    if isinstance(output, str | Site):
        return find_sites(model, output)[0]
    return output


REMAINDER = "remainder"
BYPASS = "bypass"
# A site, whose channels are the parts, or modes of a site.
Where = str | Site | Modes
Found = SiteContributions | Mapping[str, SiteContributions] | None


@dataclass(frozen=True)
class Parts:
    """A division of a site's units into named parts that add up to the whole.

    `kind` is "channel" or "mode", the name of the axis. The last part of modes is the remainder,
    which no mode explains.
    """

    kind: str
    names: tuple[str, ...]
    division: Division
    site: Site

    def rows(self, rows: np.ndarray[Any, Any]) -> Parts:
        """The division of the windows with these numbers."""
        at = torch.from_numpy(rows)
        divided = self.division
        return replace(
            self,
            division=Division(divided.positive[at], divided.negative[at], divided.excites[at]),
        )

    def share(self, part: int, like: Tensor) -> Tensor:
        """The share of one part at the site, in the activation's layout."""
        return self.site.restore(self.division.field(part).to(like), like=like)

    def sums(self, values: Tensor) -> Float[Tensor, "window part"]:
        """Each part's share of values at the site, summed over units and positions, in float64."""
        units = self.site.units(values).double()
        divided = self.division
        if divided.positive.ndim == 4:
            parts = [(units * divided.field(k).to(units)).sum((1, 2)) for k in range(divided.parts)]
            return torch.stack(parts, dim=1)
        exciting = units.where(divided.excites.to(units.device), 0).sum(dim=2)
        rest = units.sum(dim=2) - exciting
        return torch.einsum("bau,bu->ba", divided.positive.to(units), exciting) + torch.einsum(
            "bau,bu->ba", divided.negative.to(units), rest
        )


def parts_of(
    model: nn.Module, where: Where, found: Found, site: Site, units: int, windows: int
) -> Parts:
    """The parts of a site: its channels, or its modes and the remainder.

    Channels have the names in the model's `units` where it has them, else numbers. `found` are the
    contributions of all `windows`, which modes divide. Raises CodeclensError where they are
    missing, of another site, or of another number of windows.
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
            "Modes divide contributions with their positions, not a "
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
            f"found has contributions of {len(here.positive)} windows, but the movie has "
            f"{windows}; pass the contributions of all its windows, in order."
        )
    names = (*(str(number) for number in range(len(where))), REMAINDER)
    return Parts("mode", names, _by_mode(where, here), site)


def _by_mode(modes: Modes, here: SiteContributions) -> Division:
    if is_by_place(modes, here.positive.shape[1]):
        if here.full is None:
            raise CodeclensError(
                f'The modes of "{modes.site}" are by place; pass found=contributions(…, '
                "reduce=None), with its places."
            )
        full = here.site.units(here.full).detach().cpu()
        by_place, _ = place_shares(modes, full)
        return Division(by_place, by_place, full > 0)
    positive, negative, activation = (
        values.detach().cpu().double().numpy()
        for values in (here.positive, here.negative, here.activation)
    )
    shares = mode_shares(modes, positive, negative, activation, most=len(modes))
    # The same parts in every window; the last one is the remainder.
    every = shares.only(range(len(modes) + 1))
    if here.full is not None:
        divided = division(every, here)
        return Division(*(v.cpu() for v in (divided.positive, divided.negative, divided.excites)))
    # Signs at single positions are unknown: a unit's share is the weighted mean of both signs.
    gain, loss = positive[:, None], -negative[:, None]
    total = gain + loss
    mean = (every.positive * gain + every.negative * loss) / np.where(total > 0, total, 1)
    mean[:, -1] = 1 - mean[:, :-1].sum(axis=1)
    both = torch.from_numpy(mean)
    return Division(both, both, torch.ones(*positive.shape, 1, dtype=torch.bool))


def named(parts: Parts, is_cut: bool) -> Sequence[str]:
    """The names of the parts, with "bypass" where paths to the rates avoid the site."""
    return parts.names if is_cut else (*parts.names, BYPASS)


def part_kinds(names: Sequence[str], kind: str) -> np.ndarray[Any, Any]:
    """What each part is: "channel" or "mode", "remainder", "bypass"; the coordinate `part`.

    >>> part_kinds(["0", "1", REMAINDER], "mode").tolist()
    ['mode', 'mode', 'remainder']
    """
    return np.array([name if name in (REMAINDER, BYPASS) else kind for name in names], object)


# Names or numbers of cells.
Cells = Sequence[str | int] | str | int | None


@dataclass(frozen=True, eq=False)
class Clips:
    """Windows `(N, history, H, W)`, or with `colours` behind N, with times, clock and scale.

    `rows` are the numbers of the windows in the movie, which are the rows of
    `ResponseModel.respond`. `times` are those of the responses in s, or window numbers where the
    times are unknown (`timed=False`). Lags are relative to the frame of the response: negative for
    later frames, where the model looks ahead.
    """

    windows: Float[Tensor, "window *colour history y x"]
    rows: Int64[np.ndarray, " window"]
    times: Float[np.ndarray, " window"]
    sampling: Sampling
    timed: bool
    ahead: int = 0
    colours: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.windows)

    def labelled(
        self, values: np.ndarray[Any, Any], names: Mapping[str, Sequence[Any]], units: str
    ) -> xarray.DataArray:
        """Values `(time, …, lag, y, x)` with their coordinates; `names` label the axes between.

        In colour the axis `colour` is before `lag`.
        """
        import xarray

        history, height, width = self.windows.shape[-3:]
        names = dict(names) | ({"colour": self.colours} if self.colours else {})
        rate, pixel = self.sampling.rate, self.sampling.pixel
        seconds = {"units": "s"}
        distance = {"units": self.sampling.unit}
        coordinates: dict[str, Any] = {
            "time": ("time", self.times, seconds if self.timed else {"units": "window"}),
            **{
                name: (name, labels([str(entry) for entry in entries]))
                for name, entries in names.items()
            },
            "lag": ("lag", (np.arange(history - 1, -1, -1) - self.ahead) / rate, seconds),
            "y": ("y", (np.arange(height) + 0.5) * pixel, distance),
            "x": ("x", (np.arange(width) + 0.5) * pixel, distance),
        }
        return xarray.DataArray(values, coordinates, list(coordinates), attrs={"units": units})


def clips_of(
    model: nn.Module,
    movie: Movie | Tensor,
    frames: Sequence[int] | np.ndarray[Any, Any] | slice | None = None,
    history: int | None = None,
) -> Clips:
    """The chosen windows of a movie, or of windows that are already cut.

    `frames` are rows of `ResponseModel.respond(movie)`, so 0 is the first frame with a whole
    history; None means all. A model that is not a ResponseModel has no clock and no history: it
    needs a Movie and `history`. Raises CodeclensError where these are missing or the clock differs,
    and for rows that do not exist.

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
                f"A {type(model).__name__} has no history of its own; pass history=…, or a "
                "ResponseModel."
            )
        windows = movie.windows(history) if known is None else known.windows(movie)
        times = movie.window_times(history) - ahead / movie.rate
        sampling, timed, colours = movie.sampling, True, tuple(movie.colours)
    else:
        if known is None:
            raise CodeclensError(
                f"Neither these windows nor a {type(model).__name__} have a clock and a scale; "
                "pass a Movie, or a ResponseModel."
            )
        count = int(movie.shape[1]) if movie.ndim == 5 else 0
        whole = movie.ndim in (4, 5) and movie.shape[-3] == known.history
        if not whole or count not in known.film_colours:
            shown = "" if max(known.film_colours) == 0 else f"{max(known.film_colours)}, "
            raise wrong_shape(
                "windows",
                movie.shape,
                f"(windows, {shown}{known.history}, height, width)",
                "or a Movie",
            )
        colours = tuple(str(number) for number in range(count))
        windows, times, timed = movie, np.arange(len(movie), dtype=np.float64), False
        sampling = known.sampling
    rows = _rows(frames, len(windows))
    chosen = windows[torch.from_numpy(rows)] if frames is not None else windows
    shown_at = np.asarray(times, np.float64)[rows]
    return Clips(chosen, rows, shown_at, sampling, timed, ahead, colours)


def _rows(frames: Any, count: int) -> np.ndarray[Any, Any]:
    every = np.arange(count, dtype=np.int64)
    if frames is None:
        return every
    try:
        rows = every[frames] if isinstance(frames, slice) else np.asarray(frames)
        if rows.dtype == bool:
            rows = every[rows]  # a mask over all windows
        if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
            raise IndexError
        return every[rows]
    except (IndexError, ValueError, TypeError):
        raise CodeclensError(
            f"frames={shortened(frames)} are not rows of the {count} windows; pass numbers from 0 "
            f"to {count - 1}, a slice or a mask."
        ) from None


def cells_of(model: nn.Module, cells: Cells, count: int) -> tuple[list[int], list[str]]:
    """Numbers and names of the chosen cells of `count` outputs; None means all.

    Raises CodeclensError for a cell that does not exist.
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
            raise unknown("cell", cell, names, "The model has")
    return numbers, [names[number] for number in numbers]
