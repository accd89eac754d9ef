"""The page of the retina demo: a section for each question, with its result in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

import codeclens
from codeclens.analysis import save_table
from codeclens.demo import retina_figures as draw
from codeclens.demo.retina_questions import Showcase
from codeclens.draws import pearson
from codeclens.errors import CodeclensError, counted
from codeclens.files import write_whole
from codeclens.labelled import save_dataset
from codeclens.pages import Facts, Figure, Image, Page, Points, Section, Table, Text
from codeclens.pages.words import Cell, listed, percent
from codeclens.retina.figures import explained_figure, loadings_figure, matrix_figure
from codeclens.retina.population import sign_balance
from codeclens.retina.removals import removal_agreement
from codeclens.visualization import save

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Canvas:
    """Draws figures once: into files next to the page, and onto the page."""

    folder: Path

    def image(self, name: str, figure: Drawing) -> Image:
        """The figure for the page; PNG and SVG lie in the folder."""
        save(figure, self.folder / f"{name}.png")
        image = Image.of_figure(figure)
        write_whole(self.folder / f"{name}.svg", image.data)
        return image


def showcase_page(shown: Showcase, folder: Path, facts: Sequence[tuple[str, Cell]] = ()) -> Page:
    """One page about a showcase; its figures are written into `folder`, too."""
    canvas = Canvas(folder)
    sections = [
        part(shown, canvas)
        for part in (_fit, _modes, _matrix, _together, _fields, _change, _explained, _removals)
    ]
    return Page(
        "A retina and a network fitted to it",
        subtitle="Every panel compares the network with the simulated retina.",
        opening=[Text(_lead(shown), "lead"), Points([one.finding for one in sections])],
        sections=[*sections, Section("Where the numbers come from", [Facts(_about(shown, facts))])],
        footer=f"Written by codeclens {codeclens.__version__}.",
    )


def _lead(shown: Showcase) -> str:
    channels = shown.contributions.activation.notnull().any("time").sum("channel").to_numpy()
    return (
        f"A network with {listed([str(int(n)) for n in channels])} channels in "
        f"{counted(len(channels), 'layer')} was fitted to the rates of "
        f"{counted(len(shown.model.cells), 'ganglion cell')} of a simulated retina, whose "
        f"{len(shown.paths.names)} types of interneurons are known. Both are analysed in the same "
        f"way on {shown.film.duration:.0f} s of film."
    )


def _about(shown: Showcase, facts: Sequence[tuple[str, Cell]]) -> list[tuple[str, Cell]]:
    film = shown.film
    return [
        ("film", f"{film.duration:.1f} s at {film.rate:g} Hz, {film.pixel:g} µm a pixel"),
        ("frames with a history", len(shown.times)),
        ("training, held-out frames", f"{len(shown.split.train)}, {len(shown.split.held_out)}"),
        ("frames with fields", len(shown.rows)),
        ("cells with fields", listed(list(shown.looked))),
        *facts,
    ]


def _fit(shown: Showcase, canvas: Canvas) -> Section:
    r, cells = shown.r, shown.model.cells
    gaps = np.abs(shown.contributions.completeness.to_numpy())
    worst = float(gaps.max()) / float(shown.rates.max())
    finding = (
        f"On film that it has not seen the network follows the circuit's cells with a median r of "
        f"{np.median(r):.2f}: {r.max():.2f} for {cells[int(r.argmax())]}, {r.min():.2f} for "
        f"{cells[int(r.argmin())]}."
    )
    sums = (
        f"Contributions of the channels of {listed([f'`{s}`' for s in shown.model.sites])} to each "
        f"of {counted(len(cells), 'cell')} were counted from grey at {len(shown.times):,} frames, "
        f"in Hz; their sums miss the rates by {gaps.max():.1e} Hz at worst, {worst:.0e} of the "
        "largest rate."
    )
    figure = Figure(
        canvas.image("fit", draw.fit_figure(shown)),
        "Rates in the network and in the circuit; r over the whole film.",
        wide=True,
    )
    return Section("Fit", [Text(finding), figure, Text(sums)], finding)


def _modes(shown: Showcase, canvas: Canvas) -> Section:
    found = shown.recovery
    r = np.nan_to_num(found.r.to_numpy())
    names = found.interneuron.to_numpy()
    half = int((r >= 0.5).sum())
    reused = len(r) - len({*zip(found.best_layer.values, found.best_mode.values, strict=True)})
    layers = {site: one.quality for site, one in shown.modes.items()}
    last = layers[shown.layer]
    finding = (
        f"{len(shown.modes[shown.layer])} modes of `{shown.layer}` explain "
        f"{percent(max(float(last['r2']), 0))} of the contributions on held-out film "
        f"({percent(max(float(last['r2_train']), 0))} in training). With one mode for each true "
        f"interneuron type and none used twice, {half} of {len(r)} types have a mode with r of 0.5 "
        f"or more on held-out film (median {np.median(r):.2f}; {names[r.argmax()]} highest, "
        f"{r.max():.2f}); if modes could be used again, {reused} would be repeats."
    )
    some = draw.stretch(shown)
    columns = [list(shown.model.cells).index(cell) for cell in shown.looked]
    figure = Figure(
        canvas.image(
            "loadings",
            loadings_figure(
                shown.modes[shown.layer].loadings[some],
                shown.rates[some][:, columns],
                shown.times[some],
                cells=list(shown.looked),
            ),
        ),
        f"Loadings of the modes of `{shown.layer}`, each on its own scale, above the rates of "
        f"{counted(len(shown.looked), 'cell')}.",
        wide=True,
    )
    fits = Table(
        ["layer", "modes", "R², training", "R², held out", "modes a frame"],
        [
            [site, len(shown.modes[site]), float(q["r2_train"]), float(q["r2"]), float(q["l0"])]
            for site, q in layers.items()
        ],
        "Modes of contributions to the summed rate, excitation and inhibition apart.",
    )
    truth = Table(
        ["interneuron", "mean, Hz", "layer", "mode", "sign", "r, held out", "r, modes reused"],
        [
            [str(name), float(found["mean"][n]), str(found.layer.values[n]),
             str(found["mode"].values[n]), str(found.sign.values[n]), float(found.r[n]),
             float(found.best_r[n])]
            for n, name in enumerate(names)
        ],
        "The circuit's interneurons with their mean contribution to all cells, and the mode "
        "assigned to each on training frames, one to one. r is signed: a mode of excitation cannot "
        "stand for an inhibitory type.",
    )  # fmt: skip
    kernels = Figure(
        canvas.image("kernels", draw.kernels_figure(shown)),
        "The mean white noise before each mode, as the best product of a map and a time course, "
        "with the mode's sign and the cell that it correlates with most on the film.",
        wide=True,
    )
    last_modes = shown.modes[shown.layer]
    each = Table(
        ["mode", "excitation − inhibition", "cells (q < 0.05, highest r first)"],
        [
            [str(number), float(balance), draw.mode_cells(shown, number)]
            for number, balance in enumerate(sign_balance(last_modes))
        ],
        f"The modes of `{shown.layer}`: from 1 for excitation to −1 for inhibition.",
    )
    return Section("Modes over time", [Text(finding), figure, kernels, each, fits, truth], finding)


def _matrix(shown: Showcase, canvas: Canvas) -> Section:
    from sklearn.metrics import adjusted_rand_score

    mine, true = shown.clusters, shown.true_clusters
    same = float(adjusted_rand_score(true.labels, mine.labels))
    beyond = float((shown.matrix.q < 0.05).mean())
    finding = (
        f"By their modes the network's cells form {mine.count} groups (silhouette "
        f"{mine.score:.2f}; cells without groups reach that with p = {mine.p:.2g}), by their "
        f"interneurons the circuit's form {true.count} (silhouette {true.score:.2f}, "
        f"p = {true.p:.2g}); the two groupings agree with an adjusted Rand index of {same:.2f}."
    )
    network = matrix_figure(shown.matrix, mine)
    circuit = matrix_figure(shown.true_matrix, true)
    circuit.axes[0].set_ylabel("interneuron")
    figures = [
        Figure(
            canvas.image("matrix", network),
            f"Network: correlation over time of loadings and rates; {percent(beyond)} of them are "
            "beyond chance (dots: false discovery rate below 0.05 against shifts).",
        ),
        Figure(
            canvas.image("true-matrix", circuit),
            "Circuit: correlation over time of what each interneuron type gives to all cells, and "
            "rates.",
        ),
    ]
    return Section("Modes and cells", [Text(finding), *figures], finding)


def _together(shown: Showcase, canvas: Canvas) -> Section:
    found = shown.together
    count = found.sizes["combination"]
    if not count:
        finding = "No modes were active together often enough to be counted."
        return Section("Modes that are active together", [Text(finding)], finding)
    more = int((found.q < 0.05).sum())
    first = found.isel(combination=0)
    finding = (
        f"{counted(count, 'combination')} of modes occur in 10 frames or more, {more} of them more "
        f"often than by chance; the most frequent is {first.combination.item()} "
        f"({int(first['count'])} frames, {float(first.expected):.1f} expected). Counts of the two "
        f"halves of the film correlate with {float(found.stability):.2f}."
    )
    figure = Figure(
        canvas.image("combinations", draw.combinations_figure(found)),
        "The most frequent combinations; * marks a false discovery rate below 0.05.",
    )
    return Section("Modes that are active together", [Text(finding), figure], finding)


def _fields(shown: Showcase, canvas: Canvas) -> Section:
    cosine = shown.cosine.median("time").to_numpy()
    between, null = shown.groups.between.to_numpy(), shown.groups.null.to_numpy()
    high = shown.groups.null_high.to_numpy()
    cells = list(shown.looked)
    told = listed([f"{c:.2f} ({cell})" for c, cell in zip(cosine, cells, strict=True)])
    finding = (
        f"The receptive fields of network and circuit at the same moments have median cosines of "
        f"{told}. The strongest mode explains at most {percent(float(between.max()))} of the "
        f"variance of the network's fields ({percent(float(null[between.argmax()]))} by chance), "
        f"the strongest two {percent(float(shown.pairs.between.max()))} "
        f"({percent(float(shown.pairs.null[int(shown.pairs.between.argmax('cell'))]))})."
    )
    figures = [
        Figure(
            canvas.image(f"fields-{cell}", draw.groups_figure(shown, cell)),
            f"Mean receptive fields of {cell} while each mode is the strongest, as the best "
            "product of a map and a time course, in the network and in the circuit in the same "
            "frames. All maps have one scale; signs of time courses are aligned.",
        )
        for cell in cells
    ]
    figures += [
        Figure(
            canvas.image(f"pairs-{cell}", draw.groups_figure(shown, cell, together=2)),
            f"The same for {cell} while each combination of two modes is the strongest.",
        )
        for cell in cells
    ]
    rows: list[list[Cell]] = [
        [cell, float(cosine[n]), float(between[n]), float(null[n]), float(high[n])]
        for n, cell in enumerate(cells)
    ]
    table = Table(
        ["cell", "median cosine", "between groups", "by chance", "97.5 % of chance"],
        rows,
        "The similarity of the fields, and the share of their variance between groups.",
    )
    return Section("Receptive fields at moments", [Text(finding), *figures, table], finding)


def _change(shown: Showcase, canvas: Canvas) -> Section:
    told = [_carried(name, found) for name, found in shown.changes.items()]
    before, after = (float(shown.times[row]) for row in shown.pair)
    finding = (
        f"Between {before:.2f} and {after:.2f} s the field of {shown.changed} changed most: in the "
        f"network {told[0]} and {told[1]}, in the circuit {told[2]}."
    )
    moments = Figure(
        canvas.image("moments", draw.moments_figure(shown)),
        "The field at the two moments and its change, at the lag where the circuit's changed most. "
        "All maps have one scale.",
        wide=True,
    )
    figure = Figure(
        canvas.image("carriers", draw.carriers_figure(shown)),
        "Shares of that change: gain is a change of the unit's effect, gating a change of its "
        "input; dots are both, and sum to 1 over all parts (sb: starburst).",
        wide=True,
    )
    return Section("Attribution of a change", [Text(finding), moments, figure], finding)


def _carried(name: str, found: Any) -> str:
    kind = str(found.share.dims[-1])
    one = found.isel(pair=0, cell=0)
    one = one.isel({kind: (one.part == kind).to_numpy()})
    share = np.nan_to_num(one.share.to_numpy())
    best = int(np.abs(share).argmax())
    gating = np.nansum(one.gating.to_numpy())
    part = str(one[kind].to_numpy()[best])
    called = part if name == "interneurons" or not part.isdigit() else f"{name[:-1]} {part}"
    return f"{called} has {share[best]:.2f} of it (gating {gating:.2f} over all {name})"


def _explained(shown: Showcase, canvas: Canvas) -> Section:
    table = shown.explained
    mean = {str(p): float(table.r2.sel(predictor=p).mean()) for p in table.predictor.to_numpy()}
    ours = max((p for p in mean if p.startswith("modes, ")), key=lambda p: mean[p])
    acts = max((p for p in mean if p.startswith("activation modes")), key=lambda p: mean[p])
    finding = (
        f"On held-out film the loadings of {ours.replace('modes, ', 'modes of `')}` explain "
        f"{mean[ours]:.2f} of the change of the network's fields (mean R² of "
        f"{counted(len(shown.looked), 'cell')}); the rate explains {mean['rate']:.2f}, modes of "
        f"activations {mean[acts]:.2f}, and the best gain of a fixed field, known in hindsight, "
        f"{mean['gain, known']:.2f}."
    )
    figure = Figure(
        canvas.image("explained", explained_figure(table)),
        "How much of the change of receptive fields each predictor explains, with 95 % intervals.",
        wide=True,
    )
    return Section("Prediction of fields", [Text(finding), figure], finding)


def _removals(shown: Showcase, canvas: Canvas) -> Section:
    table = removal_agreement(shown.removals)
    x, y = (
        shown.blocks[name].to_numpy().ravel().astype(np.float64)
        for name in ("rate_predicted", "rate_measured")
    )
    r, slope = pearson(x, y), float(np.polyfit(x, y, 1)[0])
    mean = {
        name: float(table[name].mean())
        for name in ("rate_correlation", "rate_slope", "field_cosine")
    }
    finding = (
        f"Contributions predict how removing a mode from the network changes rates with r = "
        f"{mean['rate_correlation']:.2f} and a slope of {mean['rate_slope']:.2f}, and fields with "
        f"a cosine of {mean['field_cosine']:.2f}; for blocking a true interneuron of the circuit "
        f"r = {r:.2f} and the slope is {slope:.2f}."
    )
    figure = Figure(
        canvas.image("removals", draw.removal_figure(shown)),
        "Changes of rates, predicted by contributions and measured; the line is equality.",
        wide=True,
    )
    rows: list[list[Cell]] = [
        [
            str(cell),
            *(
                float(table[name][n])
                for name in ("rate_correlation", "rate_slope", "field_cosine", "field_slope")
            ),
        ]
        for n, cell in enumerate(table.cell.to_numpy())
    ]
    numbers = Table(
        ["cell", "rates, r", "rates, slope", "fields, cosine", "fields, slope"],
        rows,
        "Modes removed from the network, by cell: measured against predicted.",
    )
    return Section("Removal of modes", [Text(finding), figure, numbers], finding)


STORE, MADE_BY = "retina.zarr", "codeclens retina demo"
TABLES = (
    "fit", "modes", "recovery", "matrix", "combinations", "changes", "explained", "removals",
)  # fmt: skip


def showcase_dataset(shown: Showcase) -> xr.Dataset:
    """Contributions, rates, pathways and modes, by time, cell, layer, channel and mode.

    `dictionary` has the exciting and the inhibiting half of each mode by `sign`; layers with fewer
    channels or modes are filled up with NaN.
    """
    found = shown.contributions
    layers = [str(name) for name in found.layer.to_numpy()]
    modes = [shown.modes[layer] for layer in layers]
    channels, most = found.sizes["channel"], max(len(one) for one in modes)
    loadings = np.full((len(shown.times), len(layers), most), np.nan)
    dictionary = np.full((len(layers), most, 2, channels), np.nan)
    for place, one in enumerate(modes):
        loadings[:, place, : len(one)] = one.loadings
        halves = np.asarray(one.dictionary).reshape(len(one), 2, -1)
        dictionary[place, : len(one), :, : halves.shape[2]] = halves
    whole = np.isin(np.arange(len(shown.times)), shown.split.held_out)
    return found.assign(
        circuit_rate=(("time", "cell"), shown.truth, {"units": "Hz"}),
        pathway=(("time", "cell", "interneuron"), shown.paths.contributions.numpy(),
                 {"units": "Hz"}),
        loading=(("time", "layer", "mode"), loadings, {"units": "Hz"}),
        dictionary=(("layer", "mode", "sign", "channel"), dictionary),
        held_out=("time", whole),
        r=("cell", shown.r),
    ).assign_coords(
        mode=np.arange(most),
        sign=np.array(["positive", "negative"], object),
        interneuron=np.array(shown.paths.names, object),
    )  # fmt: skip


def save_showcase(shown: Showcase, folder: Path) -> list[Path]:
    """Write `retina.zarr` and the tables into a folder, in the place of those of another run.

    The store is a tree (`xarray.open_datatree`): `film` holds contributions, rates, pathways and
    modes; the other groups are `fields` (of network and circuit, by time, cell, lag, y, x),
    `groups` and `pairs` (mean fields by strongest modes), `kernels`, `matrix`, `explained`,
    `removals` and `blocks`. Raises CodeclensError where a store of that name is not of this demo.
    """
    refuse_others(folder)
    fields = xr.Dataset(
        {"field": shown.fields, "circuit_field": shown.true_fields, "cosine": shown.cosine}
    )
    parts = {
        "film": showcase_dataset(shown),
        "fields": fields,
        "groups": shown.groups.assign(circuit_field=shown.true_groups),
        "pairs": shown.pairs.assign(circuit_field=shown.true_pairs),
        "kernels": shown.kernels.to_dataset(name="kernel"),
        "matrix": shown.matrix,
        "explained": shown.explained,
        "removals": shown.removals,
        "blocks": shown.blocks,
    }
    tree = xr.DataTree.from_dict({name: _plain(part) for name, part in parts.items()})
    tree.attrs["made_by"] = MADE_BY
    store = save_dataset(folder / STORE, tree)
    tables = {
        "fit": [
            {"cell": str(cell), "r": float(r), "rate": float(a), "circuit_rate": float(b)}
            for cell, r, a, b in zip(shown.model.cells, shown.r, shown.rates.mean(axis=0),
                                     shown.truth.mean(axis=0), strict=True)
        ],
        "modes": [
            {"layer": site, "modes": len(one), **{k: float(one.quality[k])
                                                  for k in ("r2_train", "r2", "l0")}}
            for site, one in shown.modes.items()
        ],
        "recovery": _rows(shown.recovery),
        "matrix": _rows(shown.matrix),
        "combinations": _rows(shown.together),
        "changes": [
            {"of": name, "part": row[str(found.share.dims[-1])],
             **{key: row[key] for key in ("cell", "before", "after", "share", "gain", "gating")}}
            for name, found in shown.changes.items()
            for row in _rows(found)
        ],
        "explained": _rows(shown.explained),
        "removals": _rows(removal_agreement(shown.removals)
                          [["rate_correlation", "rate_slope", "field_cosine", "field_slope"]]),
    }  # fmt: skip
    return [store, *(save_table(folder / f"{name}.csv", rows) for name, rows in tables.items())]


def refuse_others(folder: Path) -> None:
    """Raises CodeclensError where what would be replaced is no showcase's."""
    about = folder / STORE / "zarr.json"
    if about.is_file() and MADE_BY in about.read_text(encoding="utf-8"):
        return
    names = (STORE, "report.html", *(f"{name}.csv" for name in TABLES))
    there = [name for name in names if (folder / name).exists()]
    if there:
        raise CodeclensError(
            f"{folder / there[0]} is there and was not written by {MADE_BY}; pass another --to."
        )


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Text as objects, which Zarr has a specification for."""
    texts: Mapping[Any, Any] = {
        name: (one.dims, np.array([str(value) for value in one.to_numpy()], object))
        for name, one in dataset.coords.items()
        if one.dtype.kind in "OU" and one.ndim == 1
    }
    return dataset.assign_coords(texts)


def _rows(dataset: xr.Dataset) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = dataset.to_dataframe().reset_index().to_dict("records")
    return rows
