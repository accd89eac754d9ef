"""Figures of the retina: every number that is drawn is the number that was given."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

from cells import HISTORY, Small, film
from codeclens.errors import CodeclensError
from codeclens.retina import (
    changes_figure,
    cluster_cells,
    explained_figure,
    fields_figure,
    held_out_blocks,
    loadings_figure,
    matrix_figure,
    mode_cell_matrix,
    movie_changes,
    receptive_fields,
    separable,
    variance_explained,
)

MOVIE = film(64)


@pytest.fixture(scope="module")
def fields() -> xarray.DataArray:
    return receptive_fields(Small().double(), MOVIE)


def test_a_field_is_its_map_times_its_time_course(fields: xarray.DataArray) -> None:
    some = fields.isel(time=[3, 9, 27])
    axes = fields_figure(some, "b").axes
    split = separable(some.sel(cell="b"))
    for moment in range(3):
        drawn = axes[moment].images[0].get_array()
        course = axes[3 + moment].lines[1].get_ydata()
        whole = course[:, None, None] * drawn[None]
        given = split.temporal[moment].to_numpy()[:, None, None] * split.spatial[moment].to_numpy()
        assert np.allclose(whole, given)
        assert f"{float(split.power[moment]):.0%}" in axes[3 + moment].get_title(loc="left")
        assert np.allclose(course[np.abs(course).argmax()], 1)
    with pytest.raises(CodeclensError, match="at most 8 time points"):
        fields_figure(fields)


def test_bars_are_gain_and_gating() -> None:
    total = movie_changes(Small().double(), MOVIE, "first", count=40, block=0.1)
    axes = changes_figure(total).axes
    for cell in range(4):
        widths = [bar.get_width() for bar in axes[cell].patches]
        assert np.allclose(widths, [*total.gain[cell], *total.gating[cell]])
        assert np.allclose(axes[cell].lines[0].get_xdata(), total.share[cell])
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["0", "1", "2", "3"]


def test_a_matrix_is_drawn_in_the_order_of_the_groups(rng: np.random.Generator) -> None:
    loadings = rng.random((200, 4))
    rates = loadings[:, [2, 0, 2, 0, 1, 1]] + 0.2 * rng.random((200, 6))
    matrix = mode_cell_matrix(loadings, rates, cells=list("uvwxyz"))
    clusters = cluster_cells(matrix.correlation.to_numpy(), draws=9)
    axes = matrix_figure(matrix, clusters).axes[0]
    cells = [text.get_text() for text in axes.get_xticklabels()]
    modes = [text.get_text() for text in axes.get_yticklabels()]
    drawn = axes.images[0].get_array()
    assert np.allclose(drawn, matrix.correlation.sel(mode=modes, cell=cells))
    assert {"".join(cells[i : i + 2]) for i in (0, 2, 4)} <= {"uw", "wu", "vx", "xv", "yz", "zy"}
    marked = {(modes[int(y)], cells[int(x)]) for x, y in axes.lines[0].get_xydata()}
    assert {("2", "u"), ("0", "v"), ("1", "z")} <= marked
    assert len(axes.lines) == 3  # the marks, and a line between each two groups


def test_loadings_rates_and_spikes_share_their_time(rng: np.random.Generator) -> None:
    loadings, rates, times = rng.random((50, 4)), rng.random((50, 2)), np.arange(50) / 25
    spikes = [np.array([0.1, 0.7]), np.array([1.2])]
    heat, raster, below = loadings_figure(loadings, rates, times, spikes=spikes, count=2).axes
    strongest = np.argsort(-loadings.sum(axis=0))[:2]
    shown = loadings[:, strongest].T
    assert np.allclose(heat.images[0].get_array(), shown / shown.max(axis=1, keepdims=True))
    assert [list(one.get_positions()) for one in raster.collections] == [[0.1, 0.7], [1.2]]
    assert np.allclose(below.lines[1].get_ydata(), rates[:, 1])
    with pytest.raises(CodeclensError, match="49 rates"):
        loadings_figure(loadings, rates[1:], times)


def test_what_is_explained_is_a_row_a_predictor(fields: xarray.DataArray) -> None:
    rates = Small().double().respond(MOVIE).numpy()
    split = held_out_blocks(60, blocks=3, gap=HISTORY - 1)
    table = variance_explained(fields, rates, {"modes": rates}, split)
    axes = explained_figure(table).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(table.predictor.values)
    assert np.allclose(axes.lines[1].get_xdata(), table.r2[:, 1])
