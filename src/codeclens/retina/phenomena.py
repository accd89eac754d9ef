"""Phenomena explained: what units and modes contribute to them, and what blocking each does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from codeclens.attribution import Division, Site
from codeclens.attribution.methods import Method
from codeclens.control import activation_at
from codeclens.decomposition import NMF, Estimator, Modes, mode_shares
from codeclens.errors import CodeclensError, require_number, unknown
from codeclens.labelled import Labelled, labels
from codeclens.retina import motion, physiology
from codeclens.retina.movies import Screen
from codeclens.retina.passes import Cells, cells_of
from codeclens.retina.places import is_by_place, place_shares
from codeclens.retina.protocols import (
    Protocol,
    UnitContributions,
    build,
    rates_without,
    unit_contributions,
    whole_units,
    windows_of,
)
from codeclens.retina.response import ResponseModel
from codeclens.visualization.canvas import CONTROLS, MODE, WIDTH, blank, styled

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
REMAINDER = "remainder"
# Experiments by name, with the settings in which they are explained: short films where the numbers
# of an experiment come from long ones.
PHENOMENA: dict[str, tuple[Callable[..., Protocol], dict[str, Any]]] = {
    "contrast_adaptation": (physiology.contrast_adaptation_protocol, {"duration": 15.0}),
    "direction_selectivity": (motion.direction_selectivity_protocol, {"directions": 4}),
    "frequency_doubling": (physiology.frequency_doubling_protocol, {}),
    "latency": (physiology.latency_protocol, {}),
    "motion_anticipation": (motion.motion_anticipation_protocol, {}),
    "motion_reversal": (motion.motion_reversal_protocol, {}),
    "object_motion": (motion.object_motion_protocol, {"duration": 8.0}),
    "omitted_stimulus": (physiology.omitted_stimulus_protocol, {}),
    "polarity_reversal": (physiology.polarity_reversal_protocol, {}),
}
# The films and parts that a figure shows at most.
_FILMS, _LINES, _BARS = 4, 5, 12


@dataclass(frozen=True, eq=False, repr=False)
class Phenomenon(Labelled):
    """A phenomenon with its explanation: the result of `explain_phenomenon`.

    `data` holds, over the conditions of the experiment, `time` (s from its event), `cell`, `unit`
    and `mode`:

    - `rate` and `baseline_rate` in Hz, `film`, and the numbers of the experiment, with `strength`;
    - `contribution` of units and `mode_contribution` of modes in Hz. Each sums to the rate minus
      the baseline rate; the mode "remainder" is what no mode explains;
    - `excitation` and `inhibition`, the contributions of units with signs apart;
    - `rate_without` each unit, held at its rest, and `mode_rate_without` each mode, removed;
    - every number of the experiment without each, `strength_without`, `mode_strength_without` …

    `modes` are the modes (None where there are none), `protocol` the films and events.
    """

    name: str
    data: xarray.Dataset
    modes: Modes | None
    protocol: Protocol

    @property
    def cells(self) -> list[str]:
        """The names of the explained cells."""
        return [str(name) for name in self.data.cell.to_numpy()]

    def title(self) -> str:
        words = self.name.replace("_", " ").capitalize()
        return f'{words}: {len(self.cells)} cells, units of "{self.data.attrs["site"]}"'

    def to_xarray(self) -> xarray.Dataset:
        """Everything, as described above."""
        return self.data

    def to_dataframe(self) -> pandas.DataFrame:
        """A row for each cell and part (unit or mode), those that matter most for a cell first.

        `strength` is that of the intact cell, `without` that with the part blocked, `change` their
        difference; `contribution` is the mean in Hz over the conditions and times.
        """
        import pandas

        rows = []
        for cell in self.cells:
            one = self.data.sel(cell=cell)
            for kind, prefix in self._kinds():
                net = one[f"{prefix}contribution"]
                mean = net.mean([dim for dim in net.dims if dim != kind])
                without = one[f"{prefix}strength_without"]
                for part in without[kind].to_numpy():
                    after = float(without.sel({kind: part}))
                    rows.append(
                        {
                            "cell": cell,
                            "kind": kind,
                            "part": str(part),
                            "contribution": float(mean.sel({kind: part})),
                            "strength": float(one.strength),
                            "without": after,
                            "change": after - float(one.strength),
                        }
                    )
        table = pandas.DataFrame(rows)
        order = table.assign(size=table.change.abs()).sort_values(
            "size", ascending=False, kind="stable"
        )
        place = {cell: number for number, cell in enumerate(self.cells)}
        order = order.sort_values("cell", key=lambda names: names.map(place), kind="stable")
        return order.drop(columns="size").reset_index(drop=True)

    def _kinds(self) -> list[tuple[str, str]]:
        return [("unit", ""), *([("mode", "mode_")] if self.modes is not None else [])]

    def figure(self, cell: str | None = None) -> Figure:
        """Draw one cell: its rates, contributions of units and of modes over time, and blocks.

        By default the cell with the largest strength. Columns are up to four conditions; conditions
        of a second axis are averaged. The bars are the strength without each part, the line that of
        the intact cell. Raises CodeclensError for a cell that is not explained.
        """
        if cell is not None and cell not in self.cells:
            raise unknown("cell", cell, self.cells, "Explained is")
        if cell is None:
            strength = np.nan_to_num(self.data.strength.to_numpy(), nan=-np.inf)
            cell = self.cells[int(strength.argmax())]
        return _drawn(self, self.data.sel(cell=cell), cell)


def explain_phenomenon(
    name: str,
    model: ResponseModel,
    screen: Screen,
    *,
    cells: Cells = None,
    site: str | Site | None = None,
    modes: Modes | Estimator | int | None = 4,
    method: Method | None = None,
    at_once: int = 64,
    **settings: Any,
) -> Phenomenon:
    """Explain one phenomenon in one call: response, contributions and what blocking does.

    `name` is that of an experiment: "contrast_adaptation", "direction_selectivity",
    "frequency_doubling", "latency", "motion_anticipation", "motion_reversal", "object_motion",
    "omitted_stimulus" or "polarity_reversal"; `settings` are those of the experiment.
    The units are the channels of `site` (by default the model's last, the input of its cells); a
    unit is blocked by holding it, at all positions, at its activation in the mean light. `modes`
    are Modes of that site, a method, or a number of modes that NMF finds in the contributions to
    all `cells` during these films (excitation and inhibition of a unit in columns of their own);
    None for no modes. Removing a mode moves its share of every unit back to rest, frame by frame,
    for the cell that is asked. `method` computes contributions, by default with exact sums.

    The data set holds contributions to the rates at every frame of the response, from the mean
    light (Tanaka et al. 2019, NeurIPS 32; Maheswaranathan et al. 2023, Neuron 111). Raises
    CodeclensError for an unknown phenomenon, setting, cell or site, and for modes of another site.

    >>> from codeclens.retina import RetinaCNN
    >>> cnn = RetinaCNN(["on", "off"], rate=50.0, pixel=50.0, unit="um", size=(10, 10), history=10,
    ...                 kernels=(3, 3), channels=(2, 3)).eval()
    >>> found = explain_phenomenon("omitted_stimulus", cnn, Screen(10), modes=2)
    >>> found.data.contribution.dims, found.data.mode.values.tolist()
    (('shown', 'time', 'cell', 'unit'), ['0', '1', 'remainder'])
    >>> gap = found.data.contribution.sum("unit") - (found.data.rate - found.data.baseline_rate)
    >>> bool(abs(gap).max() < 1e-4)
    True
    """
    if name not in PHENOMENA:
        raise unknown("phenomenon", name, PHENOMENA)
    make, usual = PHENOMENA[name]
    protocol = build(make, model, screen, usual | settings)
    numbers, names = cells_of(model, cells, len(model.cells))
    windows = windows_of(model, protocol)
    found = unit_contributions(model, windows, site, numbers, method=method, at_once=at_once)
    learned = _modes(modes, found)
    device = next((one.device for one in (*model.parameters(), *model.buffers())), windows.device)
    rest = activation_at(model, found.site, torch.zeros_like(windows[:1]).to(device))
    units = range(len(found.names))
    blocked = rates_without(
        model, windows, found.site, whole_units(found.site, rest, [[u] for u in units]), at_once
    )
    whole = _Films(model, protocol, names)
    intact = protocol.run(model).sel(cell=names)
    parts: dict[str, Any] = {
        "baseline_rate": whole.over_time(found.baseline_rate[:, :]),
        "contribution": whole.over_time(found.net, unit=found.names),
        "excitation": whole.over_time(found.positive, unit=found.names),
        "inhibition": whole.over_time(found.negative, unit=found.names),
        "activation": whole.activation(found.activation, found.names),
        **whole.without("", blocked[..., numbers], "unit", found.names),
    }
    if learned is not None:
        shared, removed = _by_mode(model, windows, found, learned, at_once)
        of = [str(number) for number in range(len(learned))]
        parts["mode_contribution"] = whole.over_time(shared, mode=[*of, REMAINDER])
        parts |= whole.without("mode_", removed, "mode", [*of, REMAINDER])
    data = intact.assign(parts)
    data.attrs = {"phenomenon": name, "site": found.site.key, "model": type(model).__name__}
    return Phenomenon(name, data, learned, protocol)


class _Films:
    """Values of all frames of a protocol, film after film, as arrays over its conditions."""

    def __init__(self, model: ResponseModel, protocol: Protocol, cells: Sequence[str]) -> None:
        self._model, self._protocol, self._cells = model, protocol, cells

    def over_time(self, values: Array, **after: Sequence[str]) -> xarray.DataArray:
        """`(frame, cell, …)` by conditions, time and cell."""
        films = values.reshape(len(self._protocol.movies), -1, *values.shape[1:])
        return self._protocol.labelled(self._model, films, {"cell": self._cells} | after)

    def activation(self, values: Array, units: Sequence[str]) -> xarray.DataArray:
        """`(frame, unit)`, the same for every cell."""
        alike = np.repeat(values[:, None], len(self._cells), axis=1)
        every = self.over_time(alike, unit=units).isel(cell=0, drop=True)
        return every.assign_attrs(units="activation")

    def without(
        self, prefix: str, rates: Array, kind: str, parts: Sequence[str]
    ) -> dict[str, xarray.DataArray]:
        """Rates `(part, frame, cell)` without each part, and the numbers of the experiment."""
        import xarray

        arrays = [self.over_time(one) for one in rates]
        coordinate = xarray.DataArray(labels(list(parts)), dims=kind, name=kind)
        numbers = [self._protocol.measured(one) for one in arrays]
        together = {f"{prefix}rate_without": xarray.concat(arrays, coordinate)}
        for name in numbers[0].data_vars:
            each = [one[name].reset_coords(drop=True) for one in numbers]
            each = [_with_cells(one, self._cells) for one in each]
            together[f"{prefix}{name}_without"] = xarray.concat(each, coordinate)
        return {
            name: values.transpose(..., kind).assign_coords({kind: labels(list(parts))})
            for name, values in together.items()
        }


def _with_cells(values: xarray.DataArray, cells: Sequence[str]) -> xarray.DataArray:
    return values.assign_coords(cell=labels(list(cells))) if "cell" in values.dims else values


def _modes(given: Modes | Estimator | int | None, found: UnitContributions) -> Modes | None:
    """Modes of the site: given ones, or those learned from the contributions to all cells."""
    if given is None:
        return None
    if isinstance(given, Modes):
        if given.site != found.site.key:
            raise CodeclensError(
                f'The modes are of site "{given.site}" and the contributions of '
                f'"{found.site.key}"; pass site="{given.site}".'
            )
        columns = found.full.shape[2] * found.full.shape[3]
        by_place = is_by_place(given, len(found.names)) and given.n_units == columns
        if given.n_units != len(found.names) and not by_place:
            raise CodeclensError(
                f"The modes have {given.n_units} units and the site {len(found.names)} channels; "
                "pass modes of this site."
            )
        return given
    if isinstance(given, int):
        require_number("modes", given, least=1, whole=True, hint="the number of modes")
        given = NMF(n_modes=int(given))
    both = np.concatenate([found.positive, 0 - found.negative], axis=2)
    X = both.reshape(-1, both.shape[2]).astype(np.float32)
    fitted = given.fit(X, seed=0)
    return Modes(found.site.key, "concat", fitted, fitted.encode(X))


def _by_mode(
    model: ResponseModel, windows: Tensor, found: UnitContributions, modes: Modes, at_once: int
) -> tuple[Float[np.ndarray, "frame cell part"], Float[np.ndarray, "part frame cell"]]:
    """Contributions of every mode and the remainder to each cell, and the rates without each."""
    device = next((one.device for one in (*model.parameters(), *model.buffers())), windows.device)
    rest = activation_at(model, found.site, torch.zeros_like(windows[:1]).to(device))
    parts = range(len(modes) + 1)
    contributed, removed = [], []
    for place, cell in enumerate(found.cells):
        positive, negative = found.positive[:, place], found.negative[:, place]
        full = found.full[:, place]
        if is_by_place(modes, len(found.names)):
            whole, contribution = place_shares(modes, full)
            divided = Division(whole, whole, full > 0)
            contributed.append(contribution.numpy())
        else:
            shares = mode_shares(modes, positive, negative, found.activation, most=len(modes))
            shares = shares.only(parts)
            contributed.append(shares.contribution)
            positive_share = torch.from_numpy(shares.positive)
            divided = Division(positive_share, torch.from_numpy(shares.negative), full > 0)
        without = []
        for rows in np.array_split(np.arange(len(windows)), -(-len(windows) // at_once)):
            at = torch.from_numpy(rows)
            some = Division(divided.positive[at], divided.negative[at], divided.excites[at])
            like = rest.cpu().expand(len(rows), *rest.shape[1:])
            fields = [found.site.restore(some.field(k), like=like) for k in parts]
            rates = rates_without(model, windows[at], found.site, fields, at_once)
            without.append(rates[..., cell])
        removed.append(np.concatenate(without, axis=1))
    return np.stack(contributed, axis=1), np.stack(removed, axis=2)


def _drawn(found: Phenomenon, one: xarray.Dataset, cell: str) -> Figure:
    first = found.protocol.axes[0]
    chosen = np.unique(np.linspace(0, len(first.values) - 1, _FILMS).round().astype(int))
    kinds = found._kinds()
    times = one.time.to_numpy()
    with styled():
        figure = blank(WIDTH, 1.5 * (1 + len(kinds)) + 0.5 + 0.18 * _BARS)
        heights = [1.5 * (1 + len(kinds)), 0.4 + 2.1]
        halves: Any = figure.subfigures(2, 1, height_ratios=heights)
        above, below = halves
        panels = above.subplots(
            1 + len(kinds), len(chosen), sharex=True, sharey="row", squeeze=False
        )
        for column, number in enumerate(chosen):
            here = _averaged(one.isel({first.name: int(number)}))
            panels[0, column].set_title(_condition(first.name, first.values[number], first.unit))
            _rates(panels[0, column], here, times)
            for row, (kind, prefix) in enumerate(kinds, start=1):
                _contributions(panels[row, column], one, here, times, kind, prefix)
            panels[-1, column].set_xlabel("time (s)")
        panels[0, 0].set_ylabel(f"rate of {cell}\n(Hz)")
        for row, (kind, _) in enumerate(kinds, start=1):
            panels[row, 0].set_ylabel(f"contribution\nof {kind}s (Hz)")
            handles, names = panels[row, 0].get_legend_handles_labels()
            panels[row, -1].legend(
                handles, names, loc="center left", bbox_to_anchor=(1.0, 0.5), title=kind
            )
        panels[0, -1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        bars = below.subplots(1, len(kinds), squeeze=False)[0]
        for axes, (kind, prefix) in zip(bars, kinds, strict=True):
            _blocks(axes, one, kind, prefix)
    return figure


def _averaged(one: xarray.Dataset) -> xarray.Dataset:
    keep = {"time", "unit", "mode"}
    some = [name for name in one.data_vars if "time" in one[name].dims]
    return one[some].mean([dim for dim in one[some].dims if dim not in keep])


def _condition(name: str, value: Any, unit: str) -> str:
    shown = value if isinstance(value, str) else f"{value:g}"
    units = {"degrees": "°", "um": " µm", "deg": "°"}
    return f"{name.replace('_', ' ')}: {shown}{units.get(unit, f' {unit}' if unit else '')}"


def _strongest(values: xarray.DataArray, kind: str) -> list[str]:
    """The parts whose contributions vary most over all conditions and times, strongest first."""
    spread = values.std([dim for dim in values.dims if dim != kind])
    order = np.argsort(-spread.to_numpy(), kind="stable")
    return [str(values[kind].to_numpy()[number]) for number in order[:_LINES]]


def _rates(axes: Axes, here: xarray.Dataset, times: Array) -> None:
    axes.plot(times, here.rate, color="#1b1b1b", label="intact")
    change = abs(here.rate_without - here.rate).max("time")
    part = str(change.unit.to_numpy()[int(change.argmax("unit"))])
    axes.plot(
        times, here.rate_without.sel(unit=part), color=MODE, linestyle="--", linewidth=1.0,
        label="one blocked",
    )  # fmt: skip
    axes.annotate(
        f"without {part}", (0.98, 0.97), xycoords="axes fraction", ha="right", va="top",
        fontsize=6.5, color=MODE,
    )  # fmt: skip
    axes.axvline(0, color="#9ca3af", linewidth=0.8)


def _contributions(
    axes: Axes, one: xarray.Dataset, here: xarray.Dataset, times: Array, kind: str, prefix: str
) -> None:
    name = f"{prefix}contribution"
    colours = ("#1b1b1b", MODE, "#3b7dd8", *CONTROLS[1:])
    for part, colour in zip(_strongest(one[name], kind), colours, strict=False):
        axes.plot(times, here[name].sel({kind: part}), color=colour, linewidth=1.0, label=part)
    axes.axhline(0, color="#9ca3af", linewidth=0.8)
    axes.axvline(0, color="#9ca3af", linewidth=0.8)


def _blocks(axes: Axes, one: xarray.Dataset, kind: str, prefix: str) -> None:
    without = one[f"{prefix}strength_without"]
    intact = float(one.strength)
    values = without.to_numpy()
    order = np.argsort(-np.nan_to_num(abs(values - intact)), kind="stable")[:_BARS]
    rows = np.arange(len(order))
    axes.barh(rows, np.nan_to_num(values[order]), 0.7, color=MODE)
    axes.axvline(intact, color="#1b1b1b", linewidth=1.2)
    axes.axvline(0, color="#9ca3af", linewidth=0.8)
    names = without[kind].to_numpy()[order]
    axes.set_yticks(
        rows,
        [
            f"{n} (none)" if np.isnan(v) else str(n)
            for n, v in zip(names, values[order], strict=True)
        ],
    )
    axes.set_ylabel(kind)
    axes.invert_yaxis()
    axes.grid(True, axis="x")
    axes.grid(False, axis="y")
    units = one.strength.attrs.get("units", "")
    axes.set_xlabel(f"strength without the {kind}{f' ({units})' if units else ''}; line: intact")
