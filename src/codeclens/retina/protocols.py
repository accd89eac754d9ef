"""Protocols: the films of an experiment, the responses to them, and what units contribute."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Conductance, Output, Site
from codeclens.attribution.attributor import Attributor
from codeclens.attribution.methods import Method
from codeclens.control import Intervention, activation_at, outputs_under
from codeclens.control.edits import Withdraw
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.extraction.data import spread
from codeclens.retina.movies import Movie, Screen
from codeclens.retina.response import ResponseModel

if TYPE_CHECKING:
    import xarray

Array = np.ndarray[Any, Any]
# The number of windows that place the nodes of the path.
_PILOTS = 16
Measured = Mapping[str, Any]
HERTZ = {"units": "Hz"}
SECONDS = {"units": "s"}


@dataclass(frozen=True)
class Axis:
    """A condition of an experiment: its name, the value in each film, and their unit."""

    name: str
    values: Sequence[Any]
    unit: str = ""

    def coordinate(self) -> tuple[str, Array, dict[str, str]]:
        """The coordinate of a data set."""
        text = any(isinstance(value, str) for value in self.values)
        found = np.array(self.values, object) if text else np.array(self.values)
        return self.name, found, {"units": self.unit} if self.unit else {}


@dataclass(frozen=True, eq=False)
class Protocol:
    """The films of an experiment, the frame of the event in each, and what is measured.

    `movies` and `events` are one for each combination of the `axes`, the last axis fastest. Rates
    begin `earlier` frames before the event and end `count` after it, or at the last frame that all
    movies have. `measure` maps rates with the dimensions of the axes, `time` and `cell` to numbers
    by cell, of which `strength` says how much of the phenomenon a cell shows.
    """

    name: str
    axes: Sequence[Axis]
    movies: Sequence[Movie]
    events: Sequence[int]
    measure: Callable[[xarray.DataArray], Measured]
    earlier: int = 0
    count: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of films along each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def rows(self, model: ResponseModel) -> list[slice]:
        """The rows of `model.respond(movie)` around the event of each movie."""
        starts = [model.row_of(event - self.earlier) for event in self.events]
        have = [
            len(movie) - model.history + 1 - start
            for movie, start in zip(self.movies, starts, strict=True)
        ]
        length = min(have) if self.count is None else min(*have, self.earlier + self.count)
        if min(starts) < 0 or length < 1:
            raise CodeclensError(
                f'The films of "{self.name}" are too short for a history of {model.history} frames '
                f"with ahead={model.ahead}; pass longer times."
            )
        return [slice(start, start + length) for start in starts]

    def labelled(
        self,
        model: ResponseModel,
        values: Array,
        after: Mapping[str, Sequence[Any] | Array] | None = None,
        units: str = "Hz",
    ) -> xarray.DataArray:
        """Values `(movie, time, cell, …)` with the axes of the experiment; `after` names the rest.

        `after` may name the cells, `cell`, where the values are not those of all of them.
        """
        import xarray

        names = {"cell": list(model.cells)} | dict(after or {})
        clock = np.arange(-self.earlier, values.shape[1] - self.earlier) / model.rate
        coordinates: dict[str, Any] = {axis.name: axis.coordinate() for axis in self.axes}
        coordinates["time"] = ("time", clock, {"units": "s"})
        for name, labels in names.items():
            coordinates[name] = (name, np.array([str(one) for one in labels], object))
        shaped = values.reshape(*self.shape, *values.shape[1:])
        return xarray.DataArray(shaped, coordinates, list(coordinates), attrs={"units": units})

    def measured(self, rates: xarray.DataArray) -> xarray.Dataset:
        """The numbers of the experiment for some rates."""
        import xarray

        return xarray.Dataset(self.measure(rates)).drop_vars(
            [name for name in rates.coords if name not in rates.dims], errors="ignore"
        )

    def run(self, model: ResponseModel) -> xarray.Dataset:
        """The numbers by cell, the rates that they come from, and the films that were shown."""
        rows = self.rows(model)
        answers = [model.respond(movie).cpu().numpy() for movie in self.movies]
        found = np.stack([answer[part] for answer, part in zip(answers, rows, strict=True)])
        rates = self.labelled(model, found)
        film = self._film(model, found.shape[1])
        return self.measured(rates).assign(rate=rates, film=film)

    def _film(self, model: ResponseModel, length: int) -> xarray.DataArray:
        """The frames that the responses depend on, from a history before the event."""
        import xarray

        back = min(*self.events, self.earlier + model.history)
        frames = np.stack(
            [
                movie.frames[event - back : event - self.earlier + length].cpu().numpy()
                for movie, event in zip(self.movies, self.events, strict=True)
            ]
        )
        clock = np.arange(-back, frames.shape[1] - back) / model.rate
        coordinates: dict[str, Any] = {axis.name: axis.coordinate() for axis in self.axes}
        coordinates["frame"] = ("frame", clock, {"units": "s"})
        dims = [*coordinates, *self.movies[0].dims[1:]]
        return xarray.DataArray(
            frames.reshape(*self.shape, *frames.shape[1:]), coordinates, dims,
            attrs={"units": "contrast"},
        )  # fmt: skip


def build(
    make: Callable[..., Protocol], model: ResponseModel, screen: Screen, settings: Mapping[str, Any]
) -> Protocol:
    """The protocol of an experiment; raises CodeclensError for settings that it does not have."""
    named = inspect.signature(make).parameters.values()
    known = sorted(one.name for one in named if one.kind is one.KEYWORD_ONLY)
    for name in settings:
        if name not in known:
            raise unknown("setting", name, known, f"{make.__name__.removesuffix('_protocol')} has")
    return make(model, screen, **settings)


def before(model: ResponseModel) -> float:
    """The duration of mean light that fills the history of a model with some frames to spare, s."""
    return (model.history + abs(model.ahead) + 5) / model.rate


def peaks(**traces: xarray.DataArray) -> dict[str, Any]:
    """The largest rate of each trace by its name, and the time of the first trace's peak."""
    first = next(iter(traces.values()))
    peaks: dict[str, Any] = {
        name: trace.max("time").assign_attrs(HERTZ) for name, trace in traces.items()
    }
    return {**peaks, "peak_time": first.idxmax("time").assign_attrs(SECONDS)}


@dataclass(frozen=True, eq=False)
class UnitContributions:
    """What the units of a site contribute at the frames of a protocol, all films in one row.

    `positive` and `negative` `(frame, cell, unit)` are sums over positions with signs apart, in Hz;
    `full` `(frame, cell, unit, position)` are those at every position, and `activation` `(frame,
    unit)` is the mean over positions. `rate` and `baseline_rate` are
    `(frame, cell)`. `names` are those of the units.
    """

    site: Site
    names: Sequence[str]
    cells: Sequence[int]
    positive: Float[np.ndarray, "frame cell unit"]
    negative: Float[np.ndarray, "frame cell unit"]
    full: Float[Tensor, "frame cell unit position"]
    activation: Float[np.ndarray, "frame unit"]
    rate: Float[np.ndarray, "frame cell"]
    baseline_rate: Float[np.ndarray, "frame cell"]

    @property
    def net(self) -> Float[np.ndarray, "frame cell unit"]:
        """Both signs together."""
        return np.asarray(self.positive + self.negative)


def windows_of(model: ResponseModel, protocol: Protocol) -> Tensor:
    """The windows of all films around their events, one film after another."""
    rows = protocol.rows(model)
    return torch.cat(
        [model.windows(m)[part] for m, part in zip(protocol.movies, rows, strict=True)]
    )


def unit_contributions(
    model: ResponseModel,
    windows: Tensor,
    site: str | Site | None = None,
    cells: Sequence[int] | None = None,
    *,
    method: Method | None = None,
    at_once: int = 64,
) -> UnitContributions:
    """Contributions of the units of one site (the model's last by default) to some cells, in Hz.

    They count from the mean light, at which the film is 0. Raises CodeclensError for a site that
    does not exist and for a name of several sites.
    """
    require_number("at_once", at_once, least=1, whole=True)
    numbers = list(range(len(model.cells))) if cells is None else list(cells)
    attributor = Attributor(
        model,
        sites=model.sites[-1] if site is None else site,
        method=Conductance() if method is None else method,
        reduce=None,
    )
    if len(attributor.sites) > 1:
        keys = ", ".join(one.key for one in attributor.sites[:4])
        raise CodeclensError(f"{site!r} matches {len(attributor.sites)} sites, {keys}; choose one.")
    device = next((one.device for one in (*model.parameters(), *model.buffers())), windows.device)
    pilots = torch.tensor(list(spread(len(windows), _PILOTS)))
    parts: list[list[Any]] = []
    training = model.training
    model.eval()
    try:
        ready = attributor.prepared(windows[pilots].to(device))
        place = ready.sites[0]
        for some in windows.split(at_once):
            every = ready.several(some.to(device), [Output(cell) for cell in numbers])
            here = [one[place.key] for one in every]
            where = [place.units(one.full) for one in here if one.full is not None]
            parts.append(
                [
                    *(torch.stack([getattr(one, sign) for one in here], dim=1).cpu()
                      for sign in ("positive", "negative")),
                    torch.stack(where, dim=1).cpu(),
                    here[0].activation.cpu(),
                    torch.stack([one.target for one in every], dim=1).cpu(),
                    torch.stack([one.baseline_target for one in every], dim=1).cpu(),
                ]
            )  # fmt: skip
    finally:
        model.train(training)
    positive, negative, full, activation, rate, start = (
        torch.cat(column) for column in zip(*parts, strict=True)
    )
    units = positive.shape[2]
    return UnitContributions(
        place, unit_names(model, place, units), numbers, positive.numpy(), negative.numpy(),
        full, activation.numpy(), rate.numpy(), start.numpy(),
    )  # fmt: skip


def unit_names(model: ResponseModel, site: Site, units: int) -> list[str]:
    """The names of a site's channels in `model.units`, where it has them, else their numbers."""
    known = getattr(model, "units", None)
    given = known.get(site.name, ()) if isinstance(known, Mapping) else ()
    return [str(unit) for unit in (given if len(given) == units else range(units))]


def rates_without(
    model: ResponseModel, windows: Tensor, site: Site, shares: Sequence[Tensor], at_once: int = 64
) -> Float[np.ndarray, "share frame cell"]:
    """The rates of all cells while shares of a site's activation are moved back to its rest.

    Each share is a tensor in the layout of the site's activation, for all windows or for each; its
    rest is the activation in the mean light. A share of 1 holds a unit at rest: it is blocked.
    """
    device = next((one.device for one in (*model.parameters(), *model.buffers())), windows.device)
    rest = activation_at(model, site, torch.zeros_like(windows[:1]).to(device))
    everywhere = torch.ones((), dtype=torch.bool)
    blocks = [
        Intervention(site, Withdraw(share.to(rest), rest), everywhere) for share in shares
    ]  # fmt: skip
    return outputs_under(model, windows, blocks, batch_size=at_once)[1:]


def whole_units(site: Site, like: Tensor, chosen: Sequence[Sequence[int]]) -> list[Tensor]:
    """Shares of 1 for each set of units and 0 for all others, in the layout of the activation."""
    units = site.units(like)
    found = []
    for some in chosen:
        share = torch.zeros_like(units)
        share[:, list(some)] = 1.0
        found.append(site.restore(share, like=like))
    return found
