from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import codeclens
from codeclens import (
    CodeclensError,
    CompletenessWarning,
    Conductance,
    ContributionStore,
    ImageFolder,
    Label,
    Output,
    Predicted,
    extract,
)

METHOD = Conductance(4, "trapezoid", "uniform")
Run = Callable[..., ContributionStore]
Content = Callable[[Path], dict[str, bytes]]


def test_numbers_are_those_of_contributions(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    store = run(x, tmp_path / "s.zarr", target=Output(2))
    direct = codeclens.contributions(model, x, sites=["1", "3"], method=METHOD, target=Output(2))
    close = {"rtol": 1e-4, "atol": 1e-6}
    for site in ("1", "3"):
        for part in ("positive", "negative", "activation"):
            np.testing.assert_allclose(store.view(site, part), getattr(direct[site], part), **close)
        np.testing.assert_allclose(store.completeness(site), direct[site].completeness, atol=1e-5)
    np.testing.assert_allclose(store.target, direct.target, **close)
    np.testing.assert_allclose(store.baseline_target, direct.baseline_target, **close)
    np.testing.assert_array_equal(store.prediction, direct.prediction)


def test_the_same_batches_give_the_same_bits(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    store = run(x, tmp_path / "s.zarr", channels_last=False)
    direct = codeclens.contributions(model, x[16:21], sites="3", method=METHOD)
    np.testing.assert_array_equal(store.view("3", "positive")[16:21], direct["3"].positive)


def test_the_batch_size_changes_nothing_beyond_rounding(
    run: Run, x: Tensor, tmp_path: Path
) -> None:
    one, many = (run(x, tmp_path / str(b), batch_size=b, shard_size=32) for b in (1, 50))
    for site in ("1", "3"):
        np.testing.assert_allclose(one.view(site), many.view(site), rtol=1e-4, atol=1e-6)


def test_kinds_of_data_give_the_same_store(
    run: Run, x: Tensor, labels: Tensor, tmp_path: Path
) -> None:
    loader = DataLoader(TensorDataset(x, labels), batch_size=3)
    stores = [
        run(data, tmp_path / str(i))
        for i, data in enumerate([(x, labels), (x.numpy(), labels.numpy()), loader])
    ]
    for other in stores[1:]:
        np.testing.assert_array_equal(other.view("3"), stores[0].view("3"))
        np.testing.assert_array_equal(other.label, labels)


def test_other_precisions_of_the_data_suit_the_model(run: Run, x: Tensor, tmp_path: Path) -> None:
    stores = [run(x.to(t), tmp_path / str(t)) for t in (torch.float32, torch.float64)]
    np.testing.assert_array_equal(stores[0].view("3"), stores[1].view("3"))


def test_half_precision_is_the_rounded_single(run: Run, x: Tensor, tmp_path: Path) -> None:
    single, half = (run(x, tmp_path / d, dtype=d) for d in ("float32", "float16"))
    rounded = single.view("3").astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(half.view("3"), rounded)
    np.testing.assert_array_equal(half.target, single.target)


def test_labels_reach_the_target(
    run: Run, model: nn.Module, x: Tensor, labels: Tensor, tmp_path: Path
) -> None:
    store = run((x, labels), tmp_path / "s.zarr", target=Label())
    with torch.no_grad():
        logits = model(x)
    np.testing.assert_allclose(store.target, logits[torch.arange(50), labels], rtol=1e-4)


def test_the_model_stays_as_it_was(run: Run, model: nn.Module, x: Tensor, tmp_path: Path) -> None:
    model.train()
    state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    run(x, tmp_path / "s.zarr")
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_folder_of_images_with_damaged_ones(
    run: Run, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="codeclens"):
        store = run(ImageFolder(pictures), tmp_path / "s.zarr", shard_size=4)
    assert len(store) == 10
    assert [key for key, _ in store.skipped] == ["cat/2.png", "dog/4.png"]
    assert store.key[2] == "cat/3.png"
    assert store.label.tolist() == [0] * 5 + [1] * 5
    assert store.classes == ["cat", "dog"]
    assert '2 of 12 samples were skipped (first: "cat/2.png", OSError: ' in caplog.text


def test_strict_makes_a_damaged_image_fatal(run: Run, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r'"cat/2.png" cannot be used: OSError: .*truncated'):
        run(ImageFolder(pictures), tmp_path / "s.zarr", strict=True)
    assert not (tmp_path / "s.zarr").exists()
    run(ImageFolder(pictures), tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match="2 of 12 samples were skipped"):
        run(ImageFolder(pictures), tmp_path / "s.zarr", strict=True)


def test_a_sample_of_another_shape_is_skipped(run: Run, x: Tensor, tmp_path: Path) -> None:
    store = run([*x[:5], torch.zeros(3, 9, 8), *x[5:9]], tmp_path / "s.zarr")
    assert store.skipped == [("5", "shape (3, 9, 8) where other samples have (3, 8, 8)")]
    assert len(store) == 9


def test_a_whole_shard_may_be_skipped(run: Run, x: Tensor, tmp_path: Path) -> None:
    data = x.clone()
    data[:32] = float("inf")
    store = run(data, tmp_path / "s.zarr")
    assert store.sample.tolist() == list(range(32, 50))
    assert len(store.skipped) == 32


def test_progress_reports_the_finished_images(run: Run, x: Tensor, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run(x, tmp_path / "s.zarr", progress=lambda done, total: told.append((done, total)))
    assert told[:3] == [(0, 50), (5, 50), (10, 50)]
    assert told[-1] == (50, 50)
    (tmp_path / "s.zarr" / "shard_record" / "c" / "1").unlink()
    told.clear()
    run(x, tmp_path / "s.zarr", progress=lambda done, total: told.append((done, total)))
    assert told == [(34, 50), (39, 50), (44, 50), (49, 50), (50, 50)]
    told.clear()
    run(x, tmp_path / "s.zarr", progress=lambda done, total: told.append((done, total)))
    assert told == [(50, 50)]


def test_a_finished_store_is_only_opened(
    run: Run, model: nn.Module, x: Tensor, tmp_path: Path
) -> None:
    first = run(x, tmp_path / "s.zarr")
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    again = run(x, tmp_path / "s.zarr", batch_size=7)
    assert not calls
    np.testing.assert_array_equal(first.view("1"), again.view("1"))


def test_sites_may_have_awkward_names(x: Tensor, tmp_path: Path) -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 1), relu, nn.Conv2d(4, 4, 1), relu, nn.Flatten(1))
    store = extract(model, x[:4], sites=["1", "2:input"], to=tmp_path / "s.zarr", method=METHOD)
    assert store.sites == ["1#0", "1#1", "2:input"]
    np.testing.assert_array_equal(store.view("1#0"), store.view("2:input"))


def test_completeness_is_warned_of_once_naming_the_worst_site(
    run: Run, x: Tensor, tmp_path: Path
) -> None:
    few = {"method": Conductance(nodes=(0.0, 1.0), rule="left"), "batch_size": 5}
    with pytest.warns(CompletenessWarning, match='"[13]" miss the change of the target') as caught:
        store = run(x, tmp_path / "s.zarr", **few)
    assert len(caught) == 1
    gap = {site: np.median(np.abs(store.completeness(site))) for site in store.sites}
    assert f'"{max(gap, key=gap.__getitem__)}"' in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(x, tmp_path / "s.zarr", **few)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": Conductance(5, "trapezoid", "uniform")}, "method.steps = 4, but now it is 5;"),
        ({"target": Output(1)}, r"target.class = 'Predicted', but now it is 'Output' \(also"),
        ({"target": Predicted("probabilities")}, "target.of = 'logits', but now .*'probabilities'"),
        ({"baseline": 0.5}, "baseline.value = 0.0, but now it is 0.5"),
        ({"baseline": torch.zeros(3, 8, 8)}, "baseline.class = 'Constant', but now it is 'Given'"),
        ({"output": lambda o: o}, "output = None, but now it is {'function'"),
        ({"sites": ["1"]}, "with sites = '1, 3', but now it is '1'; choose"),
        ({"dtype": "float16"}, "dtype = 'float32', but now it is 'float16'"),
        ({"shard_size": 8}, "shard_size = 16, but now it is 8"),
        ({"classes": list("abcde")}, "classes = None, but now it is"),
    ],
)
def test_other_settings_are_refused(
    run: Run, x: Tensor, tmp_path: Path, content: Content, options: dict[str, Any], words: str
) -> None:
    run(x, tmp_path / "s.zarr")
    before = content(tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match=words):
        run(x, tmp_path / "s.zarr", **options)
    assert content(tmp_path / "s.zarr") == before


def test_another_model_or_other_data_are_refused(
    run: Run, model: nn.Module, x: Tensor, labels: Tensor, tmp_path: Path
) -> None:
    run(x, tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match=r"data\.labels = None"):
        run((x, labels), tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match=r"data\.samples = 50, but now it is 49"):
        run(x[:49], tmp_path / "s.zarr")
    with pytest.raises(CodeclensError, match=r"data\.content = "):
        run(x + 1, tmp_path / "s.zarr")
    with torch.no_grad():
        model[0].bias.add_(1)
    with pytest.raises(CodeclensError, match=r"model\.state = '[0-9a-f]{64}', but now"):
        run(x, tmp_path / "s.zarr")


def test_what_the_pilot_learnt_holds_for_all_shards(
    run: Run, x: Tensor, tmp_path: Path, content: Content
) -> None:
    data = x.clone()
    data[:3] *= 100  # the pilot is not the first batch
    options = {"method": Conductance(6, "trapezoid", "arc"), "batch_size": 16}
    whole = run(data, tmp_path / "whole.zarr", **options)
    nodes = whole.metadata["learned"]["nodes"]
    assert len(nodes) == 7
    other = run(data, tmp_path / "other.zarr", **(options | {"batch_size": 7}))
    np.testing.assert_allclose(other.view("1"), whole.view("1"), rtol=1e-4, atol=1e-5)
    given = run(
        data,
        tmp_path / "given.zarr",
        **(options | {"method": Conductance(nodes=nodes, rule="trapezoid")}),
    )
    np.testing.assert_array_equal(given.view("3"), whole.view("3"))
    before = content(whole.path)
    (whole.path / "shard_record" / "c" / "2").unlink()
    run(data, whole.path, **options)
    assert content(whole.path) == before


def test_a_resumed_run_uses_the_nodes_of_the_store(run: Run, x: Tensor, tmp_path: Path) -> None:
    options = {"method": Conductance(3, "trapezoid", "arc"), "batch_size": 16}
    store = run(x, tmp_path / "s.zarr", **options)
    root = json.loads((store.path / "zarr.json").read_text())
    learned = root["attributes"]["codeclens"]["learned"]
    learned["nodes"] = [0.0, 0.3, 0.6, 1.0]
    del root["attributes"]["checksums"]  # as in a store of an earlier version
    (store.path / "zarr.json").write_text(json.dumps(root))
    before = store.view("3")
    (store.path / "shard_record" / "c" / "2").unlink()
    after = run(x, store.path, **options).view("3")
    changed = (before != after).any(axis=1)
    assert changed[32:48].all()
    assert not changed[:32].any()


def test_a_method_with_a_tolerance_keeps_what_it_estimates(
    run: Run, x: Tensor, tmp_path: Path
) -> None:
    method = Conductance(2, "trapezoid", "uniform", tolerance=0.05, max_steps=16)
    with pytest.warns(CompletenessWarning, match=r"tolerance 0.05 was not reached") as seen:
        store = run(x, tmp_path / "s.zarr", method=method)
    assert len([each for each in seen if "tolerance" in str(each.message)]) == 1
    assert set(store.steps) <= {2, 4, 8, 16}
    assert np.isfinite(store.estimate).all()
    plain = run(x, tmp_path / "t.zarr")
    assert set(plain.steps) == {-1}
    assert np.isnan(plain.estimate).all()


def test_operations_without_a_rule_are_warned_of(x: Tensor, tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.erfcx(x)

    model = nn.Sequential(nn.Conv2d(3, 4, 1), Odd(), nn.Flatten(1))
    with pytest.warns(CompletenessWarning, match="no secant rule for special_erfcx"):
        extract(model, x[:4], sites="0", to=tmp_path / "s.zarr", method=Conductance(2, "secant"))


def test_the_order_of_sites_does_not_matter(run: Run, x: Tensor, tmp_path: Path) -> None:
    run(x, tmp_path / "s.zarr")
    assert run(x, tmp_path / "s.zarr", sites=["3", "1"]).sites == ["1", "3"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size \\(=0\\) must be a whole number at least 1"),
        ({"shard_size": 0}, "shard_size \\(=0\\) must be a whole number"),
        ({"dtype": "int8"}, 'no dtype "int8"; the nearest names are "float32"'),
        ({"engine": "spark"}, "engine='spark' is unknown"),
        ({"sites": ["layer7"]}, "layer7"),
        ({"baseline": torch.zeros(50, 3, 8, 8)}, r"baseline has shape \(50, 3, 8, 8\).*one"),
        ({"baseline": torch.zeros(4, 4)}, r'baseline has shape \(4, 4\).*in batch "0"'),
        ({"target": Label()}, 'needs labels.*in batch "0"'),
        ({"target": Output(5)}, r"Output\(5\) is out of range"),
        ({"output": "logits"}, "output='logits' selects nothing"),
    ],
)
def test_a_mistake_leaves_nothing_behind(
    run: Run, x: Tensor, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CodeclensError, match=words):
        run(x, tmp_path / "s.zarr", **options)
    assert not (tmp_path / "s.zarr").exists()


def test_labels_out_of_range_are_reported_with_their_samples(
    run: Run, x: Tensor, labels: Tensor, tmp_path: Path
) -> None:
    wrong = labels.clone()
    wrong[38] = 5
    with pytest.raises(CodeclensError, match=r'Label 5 .*out of range.*batch "37" to "41"'):
        run((x, wrong), tmp_path / "s.zarr", target=Label())
    assert len(ContributionStore(tmp_path / "s.zarr")) == 32, "finished shards are kept"
    with pytest.raises(CodeclensError, match=r'"38" has the label 5, but there are 5 classes'):
        run((x, wrong), tmp_path / "t.zarr", classes=list("abcde"))


def test_classes_unknown_to_the_model_are_reported(
    run: Run, x: Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    zeros = torch.zeros(50, dtype=torch.long)
    words = r"predicts class [1-4], but the data have 1 classes"
    with pytest.raises(CodeclensError, match=words):
        run((x, zeros), tmp_path / "s.zarr", classes=["a"], target=Label())
    with caplog.at_level(logging.WARNING, logger="codeclens"):
        run((x, zeros), tmp_path / "s.zarr", classes=["a"])
    assert caplog.text == "", "classes of one's own are no alarm"


def test_data_of_which_nothing_can_be_used_are_refused(run: Run, x: Tensor, tmp_path: Path) -> None:
    with pytest.raises(
        CodeclensError, match=r'None of the 50 samples can be used \("0": the image'
    ):
        run(x * float("nan"), tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_values_too_large_for_half_precision_are_refused(
    run: Run, x: Tensor, tmp_path: Path
) -> None:
    with pytest.raises(CodeclensError, match=r"reach \d.*, above the limit of float16 \(6\.55e"):
        run(x * 1e8, tmp_path / "s.zarr", dtype="float16")


def test_somebody_elses_folder_is_left_alone(run: Run, x: Tensor, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(CodeclensError, match="exists and is not a store of contributions"):
        run(x, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_empty_folder_will_do(run: Run, x: Tensor, tmp_path: Path) -> None:
    (tmp_path / "s.zarr").mkdir()
    assert len(run(x, tmp_path / "s.zarr")) == 50


def test_a_store_keeps_its_shards_when_batches_change(run: Run, x: Tensor, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    first = run(x, path, shard_size=None, batch_size=2)
    rows = first.metadata["settings"]["shard_size"]
    again = run(x, path, shard_size=None, batch_size=4 * rows)
    assert again.metadata["settings"]["shard_size"] == rows
    other = run(x, tmp_path / "o.zarr", shard_size=None, batch_size=40)
    np.testing.assert_allclose(other.view("3"), first.view("3"), rtol=1e-5, atol=1e-6)


def test_labels_without_an_output_are_reported(
    run: Run, x: Tensor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = torch.zeros(len(x), dtype=torch.long)
    labels[3] = 99
    with caplog.at_level(logging.WARNING, "codeclens"):
        run((x, labels), tmp_path / "s.zarr")
    told = [record.message for record in caplog.records if "has the label 99" in record.message]
    assert len(told) == 1
    assert 'Sample "3" has the label 99, but the model has' in told[0]
