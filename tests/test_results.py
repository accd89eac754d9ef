"""Every result that a user gets is labelled data: short on the screen, a data set, a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
import xarray
from torch import Tensor, nn

import codeclens as cl
from codeclens.analysis import semantics
from codeclens.control import control_curves, necessity
from codeclens.decomposition import PCA, compare, shares_of
from codeclens.errors import CodeclensError
from codeclens.explorer import report
from codeclens.labelled import Labelled, table_text
from codeclens.visualization import exemplars, gallery
from networks import residual_cnn

LINES = 20
METHOD = cl.Conductance(steps=2)
SITES = ["layer1.0", "layer2.0"]


class Run:
    """Sixty noise images of three classes `(60, 3, 12, 12)`, a store and its modes."""

    def __init__(self, to: Any) -> None:
        torch.set_num_threads(1)
        self.model: nn.Module = residual_cnn().eval()
        self.x: Tensor = torch.rand(60, 3, 12, 12, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            output = self.model(self.x)
            self.model.fc.bias -= output.mean(dim=0)  # type: ignore[union-attr, operator]
        self.labels: Tensor = (output - output.mean(dim=0)).argmax(dim=1)
        self.data = (self.x, self.labels)
        self.store = cl.extract(
            self.model, self.data, sites=SITES, method=METHOD, to=to / "contributions.zarr"
        )
        self.modes = cl.decompose(self.store, cl.NMF(n_modes=4), seed=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("results"))


def first_class(run: Run) -> int:
    return int(run.labels[0])


RESULTS: dict[str, Callable[[Run], Any]] = {
    "contributions": lambda run: cl.contributions(run.model, run.x[:5], sites=SITES),
    "contributions of a site": lambda run: cl.contributions(run.model, run.x[:5], sites=SITES)[
        SITES[0]
    ],
    "store": lambda run: run.store,
    "plan": lambda run: cl.plan(run.model, run.data, sites=SITES, method=METHOD),
    "modes by site": lambda run: run.modes,
    "modes": lambda run: run.modes[SITES[0]],
    "comparison": lambda run: cl.compare(
        run.store, sites=SITES[:1], kinds=[cl.PCA, cl.NMF], seeds=[0], k=3
    ),
    "layer statistics": lambda run: cl.layer_statistics(run.store, resamples=20),
    "semantics": lambda run: cl.semantics(run.store, run.modes, permutations=20),
    "flow": lambda run: cl.flow(run.model, run.x[:6], run.modes, method=METHOD),
    "control curve": lambda run: cl.control_curve(
        run.model, run.data, run.modes[SITES[0]], class_index=first_class(run),
        fractions=(0.2, 0.5), trials=1, resamples=20,
    ),
    "control curves": lambda run: control_curves(
        run.model, run.data, run.modes[SITES[0]], controls=["random"], fractions=(0.2, 0.5),
        trials=1, resamples=20,
    ),
    "necessity": lambda run: necessity(
        run.model, run.x[:8], run.modes[SITES[0]], method=METHOD, resamples=20
    ),
    "explanation": lambda run: cl.explain(
        run.model, run.x[:1], run.modes, sites=SITES[0], method=METHOD
    ),
    "pixel map": lambda run: cl.pixel_map(run.model, run.x[:2], mode=run.modes[SITES[0]][0]),
    "exemplars": lambda run: exemplars(run.modes[SITES[0]], count=3),
    "gallery": lambda run: gallery(run.modes[SITES[0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_is_labelled_data(name: str, run: Run) -> None:
    result = RESULTS[name](run)
    assert isinstance(result, Labelled)
    assert 1 <= len(repr(result).splitlines()) <= LINES
    assert "<" in result._repr_html_()
    assert isinstance(result.to_xarray(), xarray.Dataset | xarray.DataTree)
    assert isinstance(result.to_dataframe(), pandas.DataFrame)


def test_a_long_table_is_cut_with_a_note() -> None:
    table = pandas.DataFrame({f"column{i}": range(1000) for i in range(40)})
    text = table_text("A thousand rows", table)
    assert len(text.splitlines()) <= LINES
    assert text.splitlines()[1].split() == [f"column{i}" for i in range(12)]
    assert text.endswith("… 986 more rows and 28 more columns; to_dataframe() returns all of them")
    assert max(map(len, text.splitlines())) <= 110


def test_what_is_the_same_in_all_rows_stands_once_above_a_wide_table() -> None:
    table = pandas.DataFrame(
        {
            "site": "blocks.5",
            **{f"constant {i}": "the same long text in every row" for i in range(3)},
            "condition": ["modes", "random " * 30],
            "nothing": None,
            "accuracy": [0.25, float("nan")],
        }
    )
    first, same, names, row, other = table_text("Curves", table).splitlines()
    assert (first, names.split()) == ("Curves", ["condition", "accuracy"])
    assert same.startswith("site blocks.5, constant 0 the same long text in every row, ")
    assert "nothing" not in same
    assert row.split() == ["modes", "0.250"]
    assert other.split()[-1] == "–"
    assert max(map(len, (same, row, other))) <= 110


def test_a_cut_table_reports_all_rows() -> None:
    table = pandas.DataFrame({"mode": range(3)})
    assert table_text("Edges", table, 628).splitlines()[-1] == (
        "… 625 more rows; to_dataframe() returns all of them"
    )
    assert "1 more row;" in table_text("Edges", table, 4)


def test_dir_shows_public_names_only() -> None:
    assert set(dir(cl)) == {*cl.__all__, "zoo"}


def test_swapped_and_wrong_arguments_get_a_sentence(tmp_path: Path) -> None:
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(40, 6)
    store = cl.extract(
        model, (x, torch.arange(40) % 3), sites="1", method=METHOD, to=tmp_path / "c.zarr"
    )
    modes, page = cl.decompose(store, PCA(n_modes=2)), tmp_path / "a.html"
    found = cl.contributions(model, x, sites="1")
    for call, sentence in (
        (lambda: semantics(modes, store), "store is a ModesBySite; pass a ContributionStore"),
        (lambda: semantics(store, modes["1"]), 'modes is a Modes; pass modes by site.*"1": modes'),
        (lambda: report(modes, to=page), "store is a ModesBySite; pass a"),
        (lambda: report(str(store.path), modes=modes, to=page), "store is a str; pass a"),
        (lambda: cl.layer_statistics(found), "store is a Contributions; pass a ContributionStore"),
        (lambda: cl.flow(model, modes, x), "modes is a Tensor; pass modes by site"),
        (lambda: cl.save_modes(modes["1"], tmp_path / "m"), "modes is a Modes; pass modes by site"),
        (lambda: shares_of(modes["1"], found), "found is a Contributions; pass the contributions"),
        (lambda: compare(store, PCA(n_modes=2)), r"methods is a PCA; pass a list of methods"),
    ):
        with pytest.raises(CodeclensError, match=sentence):
            call()
    with pytest.raises(KeyError, match='"2"'):
        modes["2"]
    assert not (tmp_path / "m").exists()


def test_names_with_a_slash_are_no_levels_of_a_tree() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict({"we/ird": nn.Linear(6, 4)})

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.parts["we/ird"](x))

    found = cl.contributions(Odd(), torch.randn(3, 6), sites="parts.we/ird")
    assert list(found.to_xarray().children) == ["parts.we%2Fird"]
