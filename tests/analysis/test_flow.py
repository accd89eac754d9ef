"""Flow between modes: against one backward a pair, its sums, planted pathways, interventions."""

from __future__ import annotations

import csv
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import Tensor, nn

import codeclens as cl
import networks
import reference
from codeclens.analysis import (
    Agreement,
    FlowModel,
    PairFlow,
    flow,
    flow_agreement,
    save_dataset,
)
from codeclens.attribution import Contributions
from codeclens.decomposition import NMF, PCA, Fitted, Modes
from codeclens.decomposition.matrices import View
from codeclens.decomposition.shares import mode_shares
from codeclens.errors import CodeclensError
from codeclens.zoo import digits_data, load

NODES = (0.0, 0.2, 1.0)
METHOD = cl.Conductance(nodes=NODES)


def modes_of(
    model: nn.Module,
    x: Tensor,
    sites: list[str],
    method: Any = None,
    view: View = "concat",
    labels: np.ndarray[Any, Any] | None = None,
) -> dict[str, Modes]:
    found = cl.contributions(model, x, sites=sites, method=METHOD)
    made = {}
    for site in sites:
        fitted = (method or NMF(n_modes=4)).fit(data_of(found, site, view))
        made[site] = Modes(
            site, view, fitted, fitted.encode(data_of(found, site, view)), labels=labels
        )
    return made


def data_of(found: Contributions, site: str, view: View) -> np.ndarray[Any, Any]:
    one = found[site]
    views = {
        "concat": torch.cat([one.positive, -one.negative], dim=1),
        "sum": one.net,
        "positive": one.positive,
        "negative": one.negative,
        "activation": one.activation,
    }
    return views[view].numpy()


def two_layers() -> nn.Sequential:
    return networks.seeded(
        lambda: nn.Sequential(
            *(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 4))
        )
    ).double()


@dataclass(frozen=True, eq=False, repr=False)
class Given(Fitted):
    """A dictionary that is given, with loadings by products: nothing that rounding could sway."""

    rows: Any

    @staticmethod
    def of(rows: Any) -> Given:
        nothing = np.zeros(0, np.int64)
        return Given(NMF(n_modes=len(rows)), 1.0, rows.shape[1], 0, 1.0, 1.0, nothing, rows)

    @staticmethod
    def modes(
        model: nn.Module, x: Tensor, patterns: dict[str, np.ndarray[Any, Any]], target: Any = None
    ) -> dict[str, Modes]:
        found = cl.contributions(model, x, sites=list(patterns), target=target, method=METHOD)
        made = {}
        for site, rows in patterns.items():
            fitted = Given.of(rows.astype(np.float32))
            loadings = fitted.encode(data_of(found, site, "concat"))
            made[site] = Modes(site, "concat", fitted, loadings)
        return made

    @property
    def dictionary(self) -> Any:
        return self.rows

    def encode(self, X: Any) -> Any:
        # Rounded, or the last bit of a contribution would sway the last bit of float32.
        return np.round(X @ self.rows.T.astype(np.float64), 5).astype(np.float32)

    def tensors(self) -> Any:
        return {}


def random_rows(units: dict[str, int], modes: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Sparse rows that leave some units to the remainder."""
    random = np.random.default_rng(0)
    found = {}
    for site, count in units.items():
        rows = random.gamma(0.5, size=(modes, 2 * count)) * (
            random.random((modes, 2 * count)) < 0.6
        )
        rows[:, ::5] = 0
        found[site] = rows
    return found


def test_flow_equals_one_backward_for_each_pair_of_modes() -> None:
    model, x = networks.residual_cnn().double(), networks.noise(2, 3, 12, 12)
    sites = ["layer1.0", "layer2.0"]
    modes = Given.modes(model, x, random_rows({"layer1.0": 6, "layer2.0": 8}))
    found = flow(model, x, modes, method=METHOD)
    one = found["layer1.0", "layer2.0"]
    target = reference.predicted(model, x[:2])
    slow = reference.conductance(model, x[:2], sites, target, 0 * x[:2], NODES, "left")
    full = cl.contributions(model, x[:2], sites=sites, method=METHOD, reduce=None)
    fields = [slow_shares(modes[site], full, site, slow[site].shape) for site in sites]
    wanted = reference.joint_flow(
        model, x[:2], (sites[0], sites[1]), target, 0 * x[:2], NODES, (fields[0], fields[1])
    )
    ours = torch.stack([torch.from_numpy(one.of(n).toarray()) for n in range(2)])
    assert reference.difference(ours, wanted) < 1e-9
    assert float(wanted[:, -1].abs().max()) > 1e-3, "the remainder was put to the test, too"


def slow_shares(modes: Modes, found: Contributions, site: str, shape: Any) -> Tensor:
    """Each mode's share at each place, one number after another, and what is left."""
    one = found[site]
    loadings = modes.project(one.positive, one.negative)
    units = one.positive.shape[1]
    field = torch.zeros(shape[0], len(modes) + 1, *shape[1:], dtype=torch.float64)
    assert one.full is not None
    for b in range(shape[0]):
        for u in range(units):
            for row in range(shape[2]):
                for column in range(shape[3]):
                    excites = one.full[b, u, row, column] > 0
                    entry = u if excites else units + u
                    parts = [
                        float(loadings[b, k]) * float(modes.dictionary[k, entry])
                        for k in range(len(modes))
                    ]
                    there = one.positive[b, u] if excites else -one.negative[b, u]
                    total = max(sum(parts), float(there))
                    own = [part / total if total > 0 else 0.0 for part in parts]
                    field[b, :, u, row, column] = torch.tensor(
                        [*own, 1 - sum(own)], dtype=torch.float64
                    )
    return field


@pytest.mark.parametrize("view", ["concat", "sum", "positive", "negative", "activation"])
@pytest.mark.parametrize("method", [NMF(n_modes=3), PCA(n_modes=3)], ids=["nmf", "pca"])
def test_every_mode_has_its_contribution_in_every_view(view: View, method: Any) -> None:
    if isinstance(method, NMF) and view in ("sum", "negative"):
        pytest.skip("NMF takes nothing below zero")
    model, x = two_layers(), networks.noise(12, 6)
    modes = modes_of(model, x, ["1", "3"], method, view)
    found = flow(model, x, modes, method=METHOD, batch_size=5)
    one = found["1", "3"]
    assert one.cut
    assert float(np.abs(one.completeness).max()) < 1e-9
    assert float(one.gaps.max()) < 1e-9
    stored = cl.contributions(model, x, sites="3", method=METHOD)
    net = stored["3"].net.sum(dim=1).numpy()
    np.testing.assert_allclose(found.contributions["3"].sum(axis=1), net, atol=1e-9)
    columns = one.joint.toarray().reshape(12, 4, 4).sum(axis=1)
    np.testing.assert_allclose(columns, found.contributions["3"].toarray(), atol=1e-9)


def test_shares_of_one_sign_leave_the_other_to_the_remainder() -> None:
    X = np.random.default_rng(0).gamma(0.5, size=(30, 4))
    nmf = NMF(n_modes=2).fit(X)
    shares = mode_shares(Modes("a", "positive", nmf, nmf.encode(X)), X, -X, X)
    assert not shares.negative[:, :-1].any()
    assert (shares.negative[:, -1] == 1).all()
    assert (shares.mode[:, -1] == 2).all()


def test_more_modes_than_are_kept_join_the_remainder() -> None:
    model, x = two_layers(), networks.noise(12, 6)
    modes = modes_of(model, x, ["1", "3"])
    whole, few = (flow(model, x, modes, method=METHOD, most=most) for most in (32, 1))
    assert float(few["1", "3"].gaps.max()) < 1e-9
    assert few["1", "3"].explained < whole["1", "3"].explained
    assert (np.diff(few.contributions["3"].indptr) <= 2).all()


def test_completeness_on_the_digits() -> None:
    ready, (x, y) = load("digits-resnet"), digits_data("held_out")
    model, x = ready.model.double(), x[:24].double()
    sites = ["blocks.1", "blocks.3", "blocks.5"]
    modes = modes_of(model, x, sites, NMF(n_modes=5))
    found = flow(model, (x[:6], y[:6]), modes, method=METHOD, target=cl.Label())
    assert found.sites == sites
    for one in found.values():
        assert float(np.abs(one.completeness).max()) < 1e-9
        assert float(one.gaps.max()) < 1e-9
        np.testing.assert_allclose(one.mean.sum(), np.mean(found.target - found.baseline_target))
    rows = found.completeness_table().to_dict("records")
    assert len(rows) == 12
    assert max(abs(row["total_gap"]) for row in rows) < 1e-9


@settings(max_examples=8)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_modes_in_another_order_are_a_matrix_in_another_order(
    first: list[int], second: list[int]
) -> None:
    model, x = two_layers(), networks.noise(10, 6)
    modes = modes_of(model, x, ["1", "3"])
    turned = {
        "1": reordered(modes["1"], first),
        "3": reordered(modes["3"], second),
    }
    before = flow(model, x, modes, method=METHOD)["1", "3"].mean.toarray()
    after = flow(model, x, turned, method=METHOD)["1", "3"].mean.toarray()
    np.testing.assert_allclose(after, before[np.ix_([*first, 4], [*second, 4])], atol=1e-9)


@dataclass(frozen=True, eq=False, repr=False)
class Turned(Given):
    """The same factorisation with its modes in another order."""

    order: list[int]
    whole: Fitted

    def encode(self, X: Any) -> Any:
        return self.whole.encode(X)[:, self.order]


def reordered(modes: Modes, order: list[int]) -> Modes:
    given = vars(Given.of(modes.dictionary[order]))
    turned = Turned(**given, order=order, whole=modes.fitted)
    return replace(modes, fitted=turned, loadings=modes.loadings[:, order])


def planted(
    samples: int = 80,
) -> tuple[nn.Sequential, Tensor, dict[str, Modes], np.ndarray[Any, Any]]:
    """Four pathways of four units each; each feeds two of three groups of the next layer."""
    source = np.random.default_rng(0)
    feeds = np.array([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]])
    into = np.kron(np.eye(4), np.ones((4, 1)))
    onward = np.kron(feeds.T, source.uniform(0.5, 1, (3, 4)))
    signs = np.repeat([1.0, 1.0, -1.0], 3)
    model = nn.Sequential(
        nn.Linear(4, 16, bias=False), nn.ReLU(), nn.Linear(16, 9, bias=False), nn.ReLU(),
        nn.Linear(9, 1, bias=False),
    ).double()  # fmt: skip
    with torch.no_grad():
        for number, weight in ((0, into), (2, onward), (4, signs[None])):
            layer = model[number]
            assert isinstance(layer, nn.Linear)
            layer.weight.copy_(torch.from_numpy(weight))
    strength = source.gamma(2.0, 0.5, (samples, 4)) * (source.random((samples, 4)) < 0.5)
    x = torch.from_numpy(strength)
    one, two = np.kron(np.eye(4), np.ones(4)), np.kron(np.eye(3), np.ones(3))
    patterns = {"1": np.concatenate([one, one], axis=1), "3": np.concatenate([two, two], axis=1)}
    return model, x, Given.modes(model, x, patterns, cl.Output(0)), feeds


def test_planted_pathways_are_found_and_no_others() -> None:
    model, x, modes, feeds = planted()
    one = flow(model, x, modes, method=METHOD, target=cl.Output(0))["1", "3"]
    mean = one.mean.toarray()
    np.testing.assert_array_equal(np.abs(mean[:4, :3]) > 1e-9, feeds > 0)
    assert (mean[:4, 2] <= 0).all()
    assert (mean[:4, :2] >= 0).all()
    assert not np.abs(mean[4]).max() > 1e-9
    # What one pathway adds to the output is known: linear, since all that is driven is positive.
    alone = x * torch.eye(4, dtype=torch.float64)[1]
    wanted = float(model(alone).detach().mean())
    assert mean[1].sum() == pytest.approx(wanted)


def test_interventions_confirm_planted_pathways() -> None:
    model, x, modes, _ = planted()
    pathways = FlowModel(model, modes, method=METHOD, target=cl.Output(0))
    found = flow_agreement(pathways, [(x[:30], None), (x[30:50], None)], source="1")
    # Everything is linear on the way, so that what is taken out is what had flowed.
    np.testing.assert_allclose(found.effect, found.predicted["flow"], atol=1e-5)
    np.testing.assert_allclose(found.effect_fixed, found.predicted["flow"], atol=1e-9)
    ranks = found.ranks(fixed=True, resamples=50)
    assert ranks["flow"].rho > 0.99
    assert ranks["correlation of loadings"].high < ranks["flow"].low
    assert "flow 1.00 [" in found.sentence(20)
    assert {*found.to_dataframe(20).predictor} == set(found.predicted)


def test_too_few_images_are_reported() -> None:
    model, x, modes, _ = planted()
    pathways = FlowModel(model, modes, method=METHOD, target=cl.Output(0))
    few = flow_agreement(pathways, [(x[:3], None)], source="1")
    assert f"This is from 3 samples and {len(few.sample)} triples: too few" in few.sentence(20)
    whole = flow_agreement(pathways, [(x[:30], None)], source="1")
    assert len(whole.sample) >= 100
    assert whole.caution == ""
    assert "too few" not in whole.sentence(20)
    assert "3 samples are few" in "\n".join(flow(model, x[:3], modes, method=METHOD).sentences())
    assert " few" not in "\n".join(flow(model, x[:30], modes, method=METHOD).sentences())


def test_interventions_without_an_active_mode_are_reported() -> None:
    none = np.zeros(0)
    found = Agreement("1", "3", *np.zeros((3, 0), int), none, none, {"flow": none})
    assert "No mode is active at both 1 and 3" in found.sentence()
    assert np.isnan(found.to_dataframe()["rho"][0])
    one = np.ones(4)
    same = Agreement("1", "3", *np.zeros((3, 4), int), one, one, {"flow": one})
    assert np.isnan([same.ranks(resamples=5)["flow"].low]).all()


def test_datasets_hold_what_the_tables_hold(tmp_path: Path) -> None:
    model, x, modes, _ = planted()
    found = flow(model, x[:20], modes, method=METHOD, target=cl.Output(0))
    data = xarray.open_zarr(
        save_dataset(tmp_path / "flow.zarr", found.to_xarray()), consolidated=False
    )
    with found.to_csv(tmp_path / "flow.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert data.sizes["edge"] == len(written)
    for name in ("flow", "magnitude", "share", "of_sink", "samples"):
        np.testing.assert_array_equal(data[f"edge_{name}"], [float(row[name]) for row in written])
    for name in ("source", "source_mode", "sink", "sink_mode"):
        assert data[f"edge_{name}"].values.tolist() == [row[name] for row in written]
    np.testing.assert_array_equal(
        data.total_gap[0],
        [row["total_gap"] for row in found.completeness_table().to_dict("records")],
    )
    # Every sample's matrix can be put together again from its entries.
    own = data.isel(entry=np.flatnonzero(data.entry_sample.values == 7))
    matrix = np.zeros((5, 4))
    matrix[own.entry_source_mode.values, own.entry_sink_mode.values] = own.entry_flow
    np.testing.assert_array_equal(matrix, found["1", "3"].of(7).toarray())
    there = data.isel(part=np.flatnonzero(data.part_site.values == "3"))
    np.testing.assert_array_equal(there.contribution, found.contributions["3"].toarray())
    assert there.part_name.values.tolist()[-1] == "remainder"


def test_interventions_have_a_dataset(tmp_path: Path) -> None:
    model, x, modes, _ = planted()
    pathways = FlowModel(model, modes, method=METHOD, target=cl.Output(0))
    found = flow_agreement(pathways, [(x[:6], None)], source="1")
    data = xarray.open_zarr(
        save_dataset(tmp_path / "a.zarr", found.to_xarray()), consolidated=False
    )
    np.testing.assert_array_equal(data.effect, found.effect)
    np.testing.assert_array_equal(data.predicted.sel(predictor="flow"), found.predicted["flow"])
    rows = found.to_dataframe().to_dict("records")
    np.testing.assert_array_equal(data.rank_rho, [row["rho"] for row in rows])
    assert data.rank_effect.values.tolist() == [row["effect"] for row in rows]
    assert data.attrs == {"source": "1", "sink": "3"}


def test_half_of_what_flows_between_modes_is_counted_without_the_remainder() -> None:
    joint = np.array([[3.0, 1, 50], [2, 4, 0], [0, 0, 40]]).reshape(1, -1)
    one = PairFlow("a", "b", (2, 2), sparse.csr_array(joint), np.zeros(1), np.zeros((1, 2)), True)
    assert one.fewest(0.5) == (2, 4)
    assert one.fewest(0.39) == (1, 4)
    assert one.fewest(1.0) == (4, 4)
    none = PairFlow("a", "b", (2, 2), sparse.csr_array((1, 9)), np.zeros(1), np.zeros((1, 2)), True)
    assert none.fewest() == (0, 0)


def test_an_intervention_is_what_a_slow_one_does() -> None:
    """Of one sample and one mode: the share taken out by hand, at every node."""
    model, x = two_layers(), networks.noise(10, 6)
    modes = modes_of(model, x, ["1", "3"])
    pathways = FlowModel(model, modes, method=METHOD)
    found = flow_agreement(pathways, [(x[:1], None)], source="1")
    whole = pathways(x[:1])
    number = int(found.i[0])
    part = int(np.flatnonzero(whole.shares["1"].mode[0] == number)[0])
    share = whole.divisions["1"].field(part)[0, :, 0]
    with torch.no_grad():
        before = model[1](model[0](0 * x[:1]))

    def take(_module: object, _inputs: object, output: Tensor) -> Tensor:
        return output - share * (output - before)

    target = reference.predicted(model, x[:1])
    handle = model[1].register_forward_hook(take)
    try:
        left = cl.contributions(model, x[:1], sites="3", method=METHOD, target=target)
    finally:
        handle.remove()
    there = whole.shares["3"]
    held = there.positive[0] @ left["3"].positive[0].numpy()
    held += there.negative[0] @ left["3"].negative[0].numpy()
    mine = found.i == number
    wanted = {int(m): there.contribution[0, a] - held[a] for a, m in enumerate(there.mode[0])}
    for j, effect in zip(found.j[mine], found.effect_fixed[mine], strict=True):
        assert effect == pytest.approx(wanted[int(j)], abs=1e-9)
    assert not model[1]._forward_hooks


def test_an_unsuitable_site_is_reported() -> None:
    model, x = two_layers(), networks.noise(10, 6)
    modes = modes_of(model, x, ["1", "3"])
    with pytest.raises(CodeclensError, match='The modes have no site "2"; the nearest names are "'):
        flow(model, x, modes, sites=["1", "2"])
    with pytest.raises(CodeclensError, match="two or more different"):
        flow(model, x, modes, sites=["1"])
    with pytest.raises(CodeclensError, match="no joint contributions"):
        flow(model, x, modes, method=cl.ActivationGradient())
    with pytest.raises(CodeclensError, match='Site "1" does not depend on'):
        flow(model, x, modes, sites=["3", "1"], method=METHOD)
    with pytest.raises(CodeclensError, match=r"most \(=0\) must be at least 1"):
        flow(model, x, modes, most=0)
    with pytest.raises(CodeclensError, match="no samples"):
        flow(model, x, modes, rows=[], method=METHOD)
    with pytest.raises(CodeclensError, match='no flow from "3"'):
        flow_agreement(FlowModel(model, modes, method=METHOD), [(x, None)], source="3")


def test_table_graph_and_words(tmp_path: Path) -> None:
    model, x = two_layers(), networks.noise(30, 6)
    labels = np.arange(30) % 2
    modes = modes_of(model, x, ["1", "3"], labels=labels)
    found = flow(model, x, modes, method=METHOD, names={"1": ["a", "b", "c", "d"]})
    one = found["1", "3"]
    rows = found.to_dataframe().to_dict("records")
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["share"] for row in rows] == sorted((row["share"] for row in rows), reverse=True)
    assert {row["source_mode"] for row in rows} <= {"a", "b", "c", "d", "remainder"}
    assert sum(row["flow"] for row in rows) == pytest.approx(one.mean.sum())
    graph = found.graph(threshold=0.05, most=3)
    assert len(graph.edges) <= 3
    assert all(edge.share > 0.05 for edge in graph.edges)
    assert graph.shown["1", "3"] == pytest.approx(sum(edge.share for edge in graph.edges))
    assert set(graph.nodes) == {end for edge in graph.edges for end in (edge.source, edge.sink)}
    text = found.to_csv(tmp_path / "flow.csv").read_text(encoding="utf-8")
    assert len(text.splitlines()) == len(rows) + 1
    assert any("carry half of the flow between modes" in line for line in found.sentences())
    with pytest.raises(KeyError, match="1 → 3"):
        found["3", "1"]
    with pytest.raises(CodeclensError, match=r"sample \(=30\) must be"):
        one.of(30)


def test_batches_do_not_matter() -> None:
    model, x = two_layers(), networks.noise(11, 6)
    modes = Given.modes(model, x, random_rows({"1": 8, "3": 7}))
    one, other = (flow(model, x, modes, method=METHOD, batch_size=size) for size in (2, 11))
    difference = abs(one["1", "3"].joint - other["1", "3"].joint)
    assert float(difference.max()) < 1e-12


def test_uniform_nodes_sum_as_well() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)]
    model, x = nn.Sequential(*layers), torch.randn(40, 4)
    store = cl.extract(model, x, sites=["1", "3"], to=tempfile.mkdtemp() + "/store.zarr")
    modes = cl.decompose(store, cl.NMF(n_modes=3))
    found = cl.flow(model, x, modes, method=cl.Conductance(5, nodes="uniform"))
    assert float(abs(found["1", "3"].completeness).max()) < 1e-5
    sentence = found.sentences()[1]
    assert " of 9 pairs of modes" in sentence
    with pytest.raises(cl.CodeclensError, match="1 names for the 3 modes"):
        cl.flow(model, x, modes, names={"1": ["a"]})
    with pytest.raises(cl.CodeclensError, match="There is no row 9999: the data have 40 samples"):
        cl.flow(model, x, modes, rows=[0, 9999])


def test_the_screen_shows_short_tables() -> None:
    model, x, modes, _ = planted()
    found = flow(model, x[:20], modes, method=METHOD, target=cl.Output(0))
    assert repr(found).startswith("Flow of 20 samples, 1 → 3\n")
    prepared = FlowModel(model, modes, method=METHOD, target=cl.Output(0))
    agreement = flow_agreement(prepared, [(x[:5], None)], source="1")
    assert repr(agreement).startswith("Agreement of flow with interventions, 1 → 3: 5 samples")
    for one in (found, found["1", "3"], agreement, prepared(x[:5])):
        assert repr(one).count("\n") < 20
    assert "of_sink" in found._repr_html_()
    assert "fixed shares" in agreement._repr_html_()
