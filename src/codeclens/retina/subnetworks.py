"""Subnetworks: the fewest units with which a phenomenon remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Site, find_sites
from codeclens.control import Intervention, activation_at
from codeclens.control.edits import Withdraw
from codeclens.errors import CodeclensError, require_kind, require_number, unknown
from codeclens.labelled import Labelled, labels
from codeclens.retina.phenomena import Phenomenon
from codeclens.retina.protocols import rates_without, whole_units, windows_of
from codeclens.retina.response import ResponseModel
from codeclens.visualization.canvas import MODE, WIDTH, blank, styled

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]


class HeldAtRest(ResponseModel):
    """A model in which some units of a site stay at their activation in the mean light.

    All else is that of the `whole` model, whose sites are `"whole.NAME"`. `size` is the height and
    width of the film in pixels, where the model takes any. Raises CodeclensError for a site that
    does not exist and units that it does not have.

    >>> from codeclens.retina import RetinaCNN
    >>> cnn = RetinaCNN(["on"], rate=50.0, pixel=50.0, unit="um", size=(8, 8), history=4,
    ...                 kernels=(3, 3)).eval()
    >>> still, light = HeldAtRest(cnn, "second", range(8)), torch.randn(2, 4, 8, 8)
    >>> bool(torch.allclose(still(light), cnn(0 * light), atol=1e-5))
    True
    """

    share: Tensor
    rest: Tensor

    def __init__(
        self,
        whole: ResponseModel,
        site: str | Site,
        units: Sequence[int],
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            history=whole.history, rate=whole.rate, pixel=whole.pixel, unit=whole.unit,
            cells=whole.cells,
        )  # fmt: skip
        self.whole = whole
        self.ahead, self.film_colours = whole.ahead, whole.film_colours
        self.field = whole.field or size
        self.sites = tuple(f"whole.{name}" for name in whole.sites)
        self.drive = None if whole.drive is None else f"whole.{whole.drive}"
        self.place = find_sites(whole, site)[0]
        rest = activation_at(whole, self.place, _grey(whole, self.field))
        count = self.place.units(rest).shape[1]
        for unit in units:
            require_number("units", unit, least=0, most=count - 1, whole=True)
        (share,) = whole_units(self.place, rest, [list(units)])
        self.register_buffer("rest", rest)
        self.register_buffer("share", share)

    def forward(self, x: Tensor) -> Float[Tensor, "batch cell"]:
        held = Intervention(
            self.place, Withdraw(self.share, self.rest), torch.ones((), dtype=torch.bool)
        )
        with held.applied(self.whole):
            rates: Tensor = self.whole(x)
        return rates


def _grey(model: ResponseModel, size: tuple[int, int] | None) -> Tensor:
    """A window of the mean light, in the size of the film that the model takes."""
    if size is None:
        raise CodeclensError(
            f"A {type(model).__name__} takes films of any size; pass size=(height, width)."
        )
    like = next(iter((*model.parameters(), *model.buffers())), torch.zeros(1))
    colours = max(model.film_colours)
    return like.new_zeros(1, *((colours,) if colours else ()), model.history, *size)


@dataclass(frozen=True, eq=False, repr=False)
class Subnetwork(Labelled):
    """The fewest units of a site with which one cell still shows a phenomenon.

    `data` holds by `rank`, from the unit that contributes most, the `unit`, its `contribution`
    (mean absolute, in Hz), whether it was `kept`, and `score`, the R² of the cell's rates with the
    units up to this rank alone; `rate` and `reduced_rate` over the conditions and `time`;
    `strength` and `reduced_strength` of the phenomenon. `kept` are the names of the units, `r2` is
    the R² with them alone, and `model` is the reduced model.
    """

    phenomenon: str
    cell: str
    kept: tuple[str, ...]
    r2: float
    data: xarray.Dataset
    model: HeldAtRest

    def title(self) -> str:
        words = self.phenomenon.replace("_", " ")
        return (
            f"{words.capitalize()} of {self.cell} with {len(self.kept)} of "
            f"{self.data.sizes['rank']} units: R² {self.r2:.3f}, strength "
            f"{float(self.data.reduced_strength):.3g} (intact {float(self.data.strength):.3g})"
        )

    def to_xarray(self) -> xarray.Dataset:
        """Everything, as described above."""
        return self.data

    def to_dataframe(self) -> pandas.DataFrame:
        """A row for each unit, the one that contributes most first."""
        some = self.data[["unit", "contribution", "kept", "score"]]
        return some.to_dataframe().reset_index()

    def figure(self) -> Figure:
        """Draw the R² by the number of units, and the rates of the intact and the reduced model."""
        data = self.data
        dims = [dim for dim in data.rate.dims if dim != "time"]
        flat = data[["rate", "reduced_rate"]].transpose(*dims, "time")
        count = int(np.prod([data.sizes[dim] for dim in dims], dtype=int))
        rates = flat.rate.to_numpy().reshape(count, -1)
        reduced = flat.reduced_rate.to_numpy().reshape(count, -1)
        chosen = np.unique(np.linspace(0, count - 1, 3).round().astype(int))
        with styled():
            figure = blank(WIDTH, 2.2)
            axes = figure.subplots(1, 1 + len(chosen))
            rank = np.arange(1, data.sizes["rank"] + 1)
            axes[0].plot(rank, data.score, color="#6b7280", label="largest contributions")
            axes[0].plot([len(self.kept)], [self.r2], "o", color=MODE, label="subnetwork")
            axes[0].set(xlabel="units", ylabel="R² of the rates", ylim=(min(-0.05, self.r2), 1.05))
            axes[0].legend()
            for panel, number in zip(axes[1:], chosen, strict=True):
                panel.plot(data.time, rates[number], color="#1b1b1b", label="intact")
                panel.plot(data.time, reduced[number], color=MODE, label="subnetwork")
                panel.set(title=f"film {number + 1} of {count}", xlabel="time (s)")
            axes[1].set_ylabel(f"rate of {self.cell} (Hz)")
            axes[1].legend()
        return figure


def minimal_subnetwork(
    model: ResponseModel,
    found: Phenomenon,
    cell: str | None = None,
    *,
    least: float = 0.9,
    at_once: int = 64,
) -> Subnetwork:
    """Reduce a model to the fewest units with which a cell's responses in a phenomenon remain.

    `found` is the result of `explain_phenomenon` for the model; `cell` is one of its cells (by
    default the one with the largest strength). Units are added in the order of their mean absolute
    contribution during the phenomenon until the R² of the cell's rates, with all other units held
    at rest, is `least`; then each of them, the weakest first, is removed again where the R² remains
    at least that. No single unit of the result can be left out; a smaller set of other units is not
    excluded. (After Tanaka et al. 2019, NeurIPS 32, who reduce networks by attributions.) Raises
    CodeclensError for a cell that is not explained, and where the cell's rates are constant.

    >>> from codeclens.retina import RetinaCNN, Screen, explain_phenomenon
    >>> cnn = RetinaCNN(["on"], rate=50.0, pixel=50.0, unit="um", size=(10, 10), history=10,
    ...                 kernels=(3, 3), channels=(2, 4)).eval()
    >>> found = explain_phenomenon("omitted_stimulus", cnn, Screen(10), modes=None)
    >>> reduced = minimal_subnetwork(cnn, found)
    >>> len(reduced.kept) <= 4, reduced.r2 >= 0.9
    (True, True)
    """
    require_kind("found", found, Phenomenon, "the result of explain_phenomenon")
    require_number("least", least, above=0, most=1, hint="R² of the cell's rates")
    strength = np.nan_to_num(found.data.strength.to_numpy(), nan=-np.inf)
    name = found.cells[int(strength.argmax())] if cell is None else cell
    if name not in found.cells:
        raise unknown("cell", name, found.cells, "Explained is")
    windows = windows_of(model, found.protocol)
    site = find_sites(model, found.data.attrs["site"])[0]
    number = model.cells.index(name)
    one = found.data.sel(cell=name)
    size = abs(one.contribution)
    strongest = size.mean([dim for dim in size.dims if dim != "unit"]).to_numpy()
    order = np.argsort(-strongest, kind="stable")
    rest = activation_at(model, site, torch.zeros_like(windows[:1]))
    axes = [axis.name for axis in found.protocol.axes]
    intact = one.rate.transpose(*axes, "time").to_numpy().ravel()
    if np.ptp(intact) <= 1e-9 * max(np.abs(intact).max(), 1e-9):
        raise CodeclensError(
            f'The rate of "{name}" is constant in this phenomenon; choose another cell.'
        )

    def responses(sets: list[list[int]]) -> Array:
        held = [[u for u in range(len(order)) if u not in some] for some in sets]
        shares = whole_units(site, rest, held)
        return rates_without(model, windows, site, shares, at_once)[..., number]

    def scores(rates: Array) -> Array:
        missed = np.square(rates.astype(np.float64) - intact).sum(axis=1)
        return np.asarray(1 - missed / np.square(intact - intact.mean()).sum())

    prefixes = [order[: k + 1].tolist() for k in range(len(order))]
    score = scores(responses(prefixes))
    enough = np.flatnonzero(score >= least)
    # With all units the score is 1 but for rounding.
    chosen = prefixes[int(enough[0]) if len(enough) else len(order) - 1]
    for unit in reversed(chosen.copy()):
        fewer = [other for other in chosen if other != unit]
        if fewer and scores(responses([fewer]))[0] >= least:
            chosen = fewer
    final = responses([chosen])
    rates = found.protocol.labelled(
        model, final[0].reshape(len(found.protocol.movies), -1, 1), {"cell": [name]}
    )
    names = one.unit.to_numpy()
    measured = found.protocol.measured(rates)
    data = one[["rate", "strength"]].drop_vars("cell").assign(
        reduced_rate=rates.isel(cell=0, drop=True),
        reduced_strength=measured.strength.isel(cell=0, drop=True),
        unit=("rank", labels([str(names[unit]) for unit in order])),
        contribution=("rank", strongest[order], {"units": "Hz"}),
        kept=("rank", np.isin(order, chosen)),
        score=("rank", score),
    )  # fmt: skip
    kept = tuple(str(names[unit]) for unit in chosen)
    others = [unit for unit in range(len(order)) if unit not in chosen]
    size = (int(windows.shape[-2]), int(windows.shape[-1]))
    reduced = HeldAtRest(model, site, others, size)
    return Subnetwork(found.name, name, kept, float(scores(final)[0]), data, reduced)
