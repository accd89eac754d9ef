"""Modes as people use them: by number, by class, by unit."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codeclens.decomposition import PCA, Mode, Modes, TopK
from codeclens.decomposition.face_files import encoded
from codeclens.decomposition.modes import _FILE
from codeclens.decomposition.pairs import read_pair, write_pair
from codeclens.errors import CodeclensError

Make = Callable[..., Modes]


@pytest.fixture(scope="module")
def modes(make_modes: Make) -> Modes:
    return make_modes()


def mode(positive: list[float], negative: list[float]) -> Mode:
    return Mode("conv", 3, np.array(positive, "f8"), np.array(negative, "f8"), np.ones(5))


def test_a_sequence_of_modes(modes: Modes) -> None:
    assert len(modes) == len(list(modes)) == len(modes.dictionary) > 1
    assert [m.index for m in modes] == list(range(len(modes)))
    assert modes[-1].index == len(modes) - 1
    assert modes[np.int64(1)].index == 1
    assert [m.index for m in modes[:2]] == [0, 1]
    for number in (len(modes), -len(modes) - 1):
        with pytest.raises(CodeclensError, match=rf'no mode {number} at "layer3\.5": it has') as e:
            modes[number]
        assert isinstance(e.value, IndexError)


def test_a_mode_is_its_row(modes: Modes) -> None:
    for i, one in enumerate(modes):
        row = modes.dictionary[i]
        assert np.array_equal(one.positive, row[:4])
        assert np.array_equal(one.negative, -row[4:])
        assert np.array_equal(one.weights, row[:4] - row[4:])
        assert np.array_equal(one.loadings, modes.loadings[:, i])
        assert one.site == "layer3.5"
    assert np.array_equal(modes.weights, modes.positive + modes.negative)
    assert modes.n_units == 4


def test_strongest_first(modes: Modes) -> None:
    shares = [m.share for m in modes]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1)
    assert [m.firing_rate for m in modes] == (modes.loadings > 0).mean(axis=0).tolist()


def test_the_mode_of_a_class(modes: Modes) -> None:
    cat, espresso = modes.for_class("cat"), modes.for_class(1)
    assert modes.for_class("espresso").index == espresso.index != cat.index
    assert set(cat.top_units(count=2)) == {0, 1}
    assert set(espresso.top_units(count=2)) == {2, 3}
    correlation = modes.class_correlation()
    assert correlation.shape == (len(modes), 2)
    assert correlation[:, 0].argmax() == cat.index
    assert cat.best_class == ("cat", pytest.approx(correlation[cat.index, 0]))
    expected = np.corrcoef(cat.loadings, modes.labels == 0)[0, 1]
    assert correlation[cat.index, 0] == pytest.approx(expected, abs=1e-6)


def test_unknown_labels_are_left_out(make_modes: Make, modes: Modes) -> None:
    labels = np.arange(60) % 2
    labels[::2][:10] = -1
    some = make_modes(labels=labels)
    known = labels >= 0
    expected = np.corrcoef(some.loadings[known, 0], labels[known] == 1)[0, 1]
    assert some.class_correlation()[0, 1] == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(some.class_correlation(), modes.class_correlation())


@pytest.mark.parametrize(
    ("changed", "which", "said"),
    [
        ({}, "expresso", 'no class "expresso"; the nearest names are "espresso", "cat"'),
        ({}, 2, "no class 2: there are 2 classes (0 to 1)"),
        ({}, -1, "no class -1"),
        ({"classes": None}, "cat", 'have no names; give the index of "cat"'),
        (
            {"classes": ("cat", "espresso", "dog")},
            "dog",
            "class 'dog': none or all of the 60 samples",
        ),
        ({"labels": None}, "cat", 'The modes of "layer3.5" have no class labels'),
        ({"labels": np.full(60, -1)}, 0, "have no class labels"),
        ({"classes": ("cat",)}, 0, "Label 1 is out of range: there are 1 classes"),
    ],
)
def test_classes_that_have_no_mode(
    make_modes: Make, changed: dict[str, object], which: str | int, said: str
) -> None:
    with pytest.raises(CodeclensError, match=re.escape(said)):
        make_modes(**changed).for_class(which)


def test_without_labels_modes_still_describe_themselves(make_modes: Make) -> None:
    silent = make_modes(labels=None, classes=None)
    assert silent[0].best_class is None
    assert "best class" not in repr(silent[0])
    assert "class" not in silent.to_dataframe()
    assert len(repr(silent).splitlines()) == 2 + len(silent)
    unnamed = make_modes(classes=None)
    assert unnamed.class_correlation().shape[1] == 2
    assert unnamed[0].best_class is not None
    assert unnamed[0].best_class[0].startswith("class ")


def test_top_units_by_the_larger_entry() -> None:
    one = mode([0.5, 0.1, 0.0, 0.9], [-0.5, -0.7, 0.0, -0.8])
    assert one.top_units(count=4).tolist() == [3, 1, 0, 2]
    assert one.top_units(2).tolist() == [3, 1]
    assert one.top_units(0).tolist() == []
    assert one.top_units(fraction=0.5).tolist() == [3, 1]
    assert one.top_units(fraction=0.01).tolist() == [3]
    assert one.top_units(fraction=0).tolist() == []
    assert len(one.top_units(fraction=1.0)) == 4
    assert mode([1, 2, 2, 1], [0, 0, 0, 0]).top_units(count=4).tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Give either count or fraction of the units, not neither"),
        ({"count": 1, "fraction": 0.1}, "not count=1 and fraction=0.1"),
        (
            {"count": 5},
            'count (=5) must be a whole number at least 0 and at most 4; "conv" has 4 units',
        ),
        ({"count": -1}, "count (=-1)"),
        ({"fraction": 1.5}, "fraction (=1.5) must be at least 0 and at most 1"),
        ({"fraction": float("nan")}, "fraction (=nan)"),
    ],
)
def test_units_that_cannot_be_asked_for(asked: dict[str, float], said: str) -> None:
    with pytest.raises(CodeclensError, match=re.escape(said)):
        mode([1, 2, 2, 1], [0, 0, 0, 0]).top_units(**asked)  # type: ignore[arg-type]


def test_new_data_through_the_same_encoder(modes: Modes) -> None:
    X = np.random.default_rng(1).random((5, 8)).astype(np.float32)
    Z = modes.encode(X)
    assert Z.shape == (5, len(modes))
    np.testing.assert_allclose(modes.decode(Z), Z @ modes.dictionary, rtol=1e-6)
    with pytest.raises(CodeclensError, match="4 columns, but this was fitted to 8"):
        modes.encode(X[:, :4])


def test_reprs_for_people(modes: Modes) -> None:
    text = modes.title()
    assert repr(modes).splitlines()[0] == text
    assert text.startswith(
        f'Modes of "layer3.5" (concat): {len(modes)} modes of 4 units, 60 samples'
    )
    assert "R² " in text
    assert repr(modes.method) in text
    one = repr(modes.for_class("espresso"))
    assert 'best class "espresso" (r = 0.8' in one
    assert "strongest units" in one


def test_modes_print_as_a_short_table(modes: Modes, make_modes: Make) -> None:
    lines = repr(modes).splitlines()
    assert len(lines) == 2 + len(modes)
    assert lines[1].split() == [
        *("mode", "share", "firing_rate", "stability", "class", "class_correlation", "top_units")
    ]
    assert lines[2].split()[0] == "0"
    assert modes._repr_html_().count("<tr") == 1 + len(modes)
    X = np.random.default_rng(0).gamma(0.3, size=(90, 8))
    fitted = PCA(n_modes=8).fit(X)
    quality = {"r2": 0.3, "r2_train": 0.9, "samples_train": 80, "stability_seeds": np.ones(8)}
    many = make_modes(fitted=fitted, loadings=np.tile(fitted.encode(X[:60]), 1), quality=quality)
    assert len(repr(many).splitlines()) <= 20
    assert many.sentences() == [many.sentences()[0], many.caution()]


def test_modes_as_a_table_and_a_data_set(modes: Modes, make_modes: Make) -> None:
    table = modes.to_dataframe()
    assert table["share"].tolist() == modes.share.tolist()
    assert table["class"].tolist() == [mode.best_class[0] for mode in modes if mode.best_class]
    assert table["top_units"][0] == " ".join(str(unit) for unit in modes[0].top_units(4))
    assert np.isnan(table["stability_seeds"]).all()
    data = modes.to_xarray()
    assert dict(data.sizes) == {"mode": len(modes), "unit": 4, "sample": 60, "class": 2}
    np.testing.assert_array_equal(data.positive, modes.positive)
    np.testing.assert_array_equal(data.loadings, modes.loadings)
    np.testing.assert_array_equal(data.class_correlation, modes.class_correlation())
    assert data["class"].values.tolist() == ["cat", "espresso"]
    assert data["key"].values[:2].tolist() == ["0.png", "1.png"]
    assert (data.attrs["site"], data.attrs["r2"]) == ("layer3.5", modes.r2)
    bare = make_modes(labels=None, classes=None, keys=None).to_xarray()
    assert not {"label", "key", "class_correlation"} & set(bare.variables)


def test_parts_that_do_not_belong_together(make_modes: Make, modes: Modes) -> None:
    for changed, said in (
        ({"view": "both"}, 'no view "both"'),
        ({"loadings": modes.loadings[:, :1]}, f"1 columns for {len(modes)} modes"),
        ({"labels": np.zeros(3, dtype=int)}, "3 labels for the 60 samples"),
        ({"keys": np.array(["a"])}, "1 keys for the 60 samples"),
    ):
        with pytest.raises(CodeclensError, match=re.escape(said)):
            Modes(
                **{
                    "site": "s",
                    "view": "concat",
                    "fitted": modes.fitted,
                    "loadings": modes.loadings,
                    **changed,  # type: ignore[arg-type]
                }
            )
    X = np.random.default_rng(0).random((40, 5)).astype(np.float32)
    method = TopK(n_modes=4, k=2, epochs=1).fit(X)
    with pytest.raises(CodeclensError, match="two columns for each unit, but there are 5"):
        Modes("s", "concat", method, method.encode(X))


def test_measured_figures(modes: Modes, make_modes: Make) -> None:
    assert modes.r2 == modes.fitted.r2
    assert modes.l0 == modes.quality["l0"]
    bare = make_modes(quality={})
    assert np.isnan(bare.r2)
    assert bare.l0 == pytest.approx((bare.loadings > 0).sum(axis=1).mean())
    assert "R²" not in bare.title()


def test_projecting_new_contributions(make_modes: Make) -> None:
    modes = make_modes()
    rng = np.random.default_rng(1)
    positive, negative = rng.random((7, 4)), -rng.random((7, 4))
    expected = modes.encode(np.concatenate([positive, -negative], axis=1))
    assert np.array_equal(modes.project(positive, negative), expected)
    tensors = (torch.from_numpy(positive), torch.from_numpy(negative))
    assert np.array_equal(modes.project(*tensors), expected)
    method = TopK(n_modes=4, k=2, epochs=2).fit(rng.random((60, 4)))
    whole = make_modes(view="sum", fitted=method, loadings=method.encode(rng.random((60, 4))))
    assert np.array_equal(whole.project(positive, negative), whole.encode(positive + negative))
    one = make_modes(view="activation", fitted=method, loadings=whole.loadings)
    assert np.array_equal(one.project(positive), one.encode(positive))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((np.ones((2, 4)),), 'view "concat", which takes both signs, not 1'),
        ((np.ones((2, 5)), np.ones((2, 5))), r"positive has shape \(2, 5\); it must be \(2, 4\)"),
        ((np.ones((2, 4)), np.ones((3, 4))), r"negative has shape \(3, 4\); .* be \(2, 4\)"),
        ((np.ones(4), np.ones(4)), r"positive has shape \(4\)"),
        ((np.full((2, 4), np.nan), np.zeros((2, 4))), "NaN or infinite"),
    ],
)
def test_what_cannot_be_projected(modes: Modes, given: Any, said: str) -> None:
    with pytest.raises(CodeclensError, match=said):
        modes.project(*given)


def test_another_order(modes: Modes) -> None:
    by_rate = modes.sorted("firing_rate")
    rates = [mode.firing_rate for mode in by_rate]
    assert rates == sorted(rates, reverse=True)
    assert sorted(mode.index for mode in by_rate) == list(range(len(modes)))
    rising = modes.sorted(lambda mode: float(mode.loadings.max()), descending=False)
    peaks = [mode.loadings.max() for mode in rising]
    assert peaks == sorted(peaks)
    with pytest.raises(CodeclensError, match='no order of modes "size"; the nearest names are'):
        modes.sorted("size")


def test_modes_that_learned_samples_by_heart(make_modes: Callable[..., Modes]) -> None:
    sure = make_modes(quality={"r2": 0.9, "r2_train": 0.95, "samples_train": 54})
    assert sure.caution() == ""
    unsure = make_modes(quality={"r2": 0.33, "r2_train": 0.95, "samples_train": 54})
    told = unsure.caution()
    assert told.startswith("R² is 0.33 on held-out samples and 0.95 on training samples: 54 ")
    assert told in unsure.sentences()
    assert told in repr(unsure)
    assert make_modes(quality={}).caution() == ""


def test_names_evidence_and_faces_travel_with_the_modes(modes: Modes, tmp_path: Path) -> None:
    count = len(modes)
    pictures = [np.full((8, 8, 3), 20 * n, np.uint8) for n in range(count - 1)]
    known = replace(
        modes,
        names=tuple(f"name {n}" for n in range(count)),
        evidence=tuple(f"because {n}" for n in range(count)),
        faces=(*map(encoded, pictures), b""),
    )
    again = Modes.load(known.save(tmp_path / "modes"))
    for one in (known, again):
        assert [(m.name, m.evidence) for m in one] == [
            (f"name {n}", f"because {n}") for n in range(count)
        ]
        assert one[count - 1].face is None
        for mode, picture in zip(one, pictures, strict=False):
            assert mode.face is not None
            assert np.abs(mode.face.astype(int) - picture).max() <= 8
    assert again.faces == known.faces
    plain = Modes.load(modes.save(tmp_path / "plain"))
    assert (plain.names, plain.evidence, plain.faces) == (None, None, None)
    assert (plain[0].name, plain[0].evidence, plain[0].face) == ("", "", None)
    for what in ("names", "evidence", "faces"):
        with pytest.raises(CodeclensError, match=f"There are 1 {what} for the {count} modes"):
            replace(modes, **{what: ("one",)})
    with pytest.raises(CodeclensError, match="not an image"):
        _ = replace(modes, faces=(b"?",) * count)[0].face


def test_half_precision_in_a_file_is_read_as_more(modes: Modes, tmp_path: Path) -> None:
    modes.save(tmp_path / "modes")
    facts, tensors, file = read_pair(tmp_path / "modes", _FILE)
    facts = {n: v for n, v in facts.items() if n not in ("format", "version", "sha256")}
    halved = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    write_pair(file, _FILE, halved, facts)
    again = Modes.load(tmp_path / "modes")
    assert again.dictionary.dtype == np.float32
    assert np.allclose(again.dictionary, modes.dictionary, atol=1e-2)
    assert again.encode(modes.dictionary).dtype == np.float32
