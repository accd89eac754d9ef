"""Every result that a user gets is labelled data: short on the screen, a data set, a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas
import pytest
import torch
import xarray
from torch import Tensor, nn

import codeclens as cl
from codeclens.control import control_curves, necessity
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


def test_a_long_table_is_cut_and_says_so() -> None:
    table = pandas.DataFrame({f"column{i}": range(1000) for i in range(40)})
    text = table_text("A thousand rows", table)
    assert len(text.splitlines()) <= LINES
    assert text.endswith("… and 986 more rows: to_dataframe() has all")
    assert max(map(len, text.splitlines())) <= 120


def test_dir_shows_public_names_only() -> None:
    assert set(dir(cl)) == {*cl.__all__, "zoo"}
