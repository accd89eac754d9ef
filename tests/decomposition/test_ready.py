"""Ready modes: whole, small, of this network, and good for photographs that they never saw."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from codeclens import (
    CodeclensError,
    Conductance,
    contributions,
    load_modes,
    ready_modes,
    steer,
    zoo,
)
from codeclens.attribution import find_sites, tapped
from codeclens.decomposition import Modes, ready_card, ready_names
from codeclens.decomposition.matrices import net_total
from codeclens.decomposition.site_modes import SHIPPED

NAME = "efficientnet-lite0"
FOLDER = SHIPPED / NAME


@pytest.fixture(scope="module")
def modes() -> dict[str, Modes]:
    return ready_modes(NAME)


def test_the_files_are_whole_and_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 6_000_000
    described = sorted(FOLDER.glob("blocks*.json"))
    assert len(described) == 16
    for file in described:
        packed = file.with_name(f"{file.name.removesuffix('.json')}.safetensors").read_bytes()
        facts = json.loads(file.read_text(encoding="utf-8"))
        assert hashlib.sha256(packed).hexdigest() == facts["sha256"]


def test_they_fit_the_network(modes: dict[str, Modes]) -> None:
    ready = zoo.load(NAME, weights="random")
    sites = find_sites(ready.model, ready.sites)
    assert list(modes) == [site.key for site in sites]
    units = {}
    with torch.no_grad(), tapped(
        ready.model, sites, lambda site, a: units.update({site.key: site.units(a).shape[1]})
    ):  # fmt: skip
        ready.model(torch.zeros(1, 3, 32, 32))
    assert units == {site: one.n_units for site, one in modes.items()}
    assert all(list(one.classes or ()) == list(ready.labels) for one in modes.values())


def test_each_is_measured_on_photographs_that_were_held_out(modes: dict[str, Modes]) -> None:
    for one in modes.values():
        assert 0 < one.r2 < 1
        assert one.quality["samples_held_out"] >= 30
        assert 100 < len(one.fitted.held_out_rows) <= one.quality["samples_held_out"]
        assert 10 * len(one) <= one.quality["samples_train"] + one.quality["samples_held_out"]
        assert np.isfinite(one.stability).all()
        assert (one.loadings >= 0).all()


def test_the_card_matches_the_files(modes: dict[str, Modes]) -> None:
    rows = re.findall(r"^\| `(.+?)` \| (\d+) \| (\d+) \| ([\d.-]+) \|", ready_card(NAME), re.M)
    told = {site: (int(units), int(count), float(r2)) for site, units, count, r2 in rows}
    assert told == {site: (one.n_units, len(one), round(one.r2, 3)) for site, one in modes.items()}


def test_keys_name_photographs_and_nothing_names_a_place(modes: dict[str, Modes]) -> None:
    first = next(iter(modes.values()))
    assert len(set(first.keys.tolist())) == len(first.loadings)
    for one in modes.values():
        assert one.keys.tolist() == first.keys.tolist()
        assert not any(re.search(r"[/\\.]", str(key)) for key in one.keys)
        assert "/" not in json.dumps(one.provenance)
        assert "created" not in json.dumps(one.provenance)


def test_a_photograph_that_they_never_saw_is_a_sum_of_them(modes: dict[str, Modes]) -> None:
    ready, one = zoo.load(NAME), modes["blocks.6.0"]
    name, photograph = zoo.demo_photographs()[1]
    assert name == "coffee"
    found = contributions(
        ready.model, ready.transform(photograph)[None], sites="blocks.6.0", method=Conductance(2)
    )
    here = found["blocks.6.0"]
    loadings = one.project(here.positive, here.negative)
    change = float(found.target - found.baseline_target)
    total = float(net_total(one.decode(loadings), one.view)[0])
    assert abs(total - change) < 0.3 * abs(change)


def test_a_name_stands_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (NAME, Path(NAME)):
        assert list(load_modes(given)) == list(ready_modes(NAME))
    (tmp_path / NAME).mkdir()
    with pytest.raises(CodeclensError, match=f'"{NAME}"; modes of "{NAME}" ship'):
        load_modes(NAME)  # a folder of one's own comes first


def test_modes_that_are_not_packaged_are_reported() -> None:
    assert ready_names() == [NAME]
    with pytest.raises(CodeclensError, match=f'ships no set of modes "resnet50"; .* is "{NAME}"'):
        ready_modes("resnet50")


def test_names_stand_with_their_evidence(modes: dict[str, Modes]) -> None:
    for one in modes.values():
        assert one.names is not None
        assert one.evidence is not None
        assert sum(map(bool, one.names)) == one.quality["named"]
        assert one.quality["named_shuffled"] <= 2
        for mode in one:
            counted = re.match(r"Of its (\d+) strongest samples (\d+) show ", mode.evidence)
            assert bool(mode.name) == bool(counted)
            if counted and " or " not in mode.name:
                assert int(counted[2]) >= 0.6 * int(counted[1])


def test_late_modes_have_faces(modes: dict[str, Modes]) -> None:
    faces = [mode.face for mode in modes["blocks.5.3"]]
    assert sum(face is not None for face in faces) >= 16
    shown = np.stack([face for face in faces if face is not None])
    assert shown.shape[1:] == (64, 64, 3)
    assert len(np.unique(shown.reshape(len(shown), -1), axis=0)) == len(shown)


def test_each_has_a_direction_to_steer_along(modes: dict[str, Modes]) -> None:
    ready = zoo.load(NAME)
    x = ready.transform(zoo.demo_photographs()[1][1])[None]
    mode = max(modes["blocks.5.3"], key=lambda one: one.share)
    with torch.no_grad():
        plain = ready.model(x)
        with steer(ready.model, mode, 2.0):
            steered = ready.model(x)
    assert torch.isfinite(steered).all()
    assert not torch.equal(plain, steered)
    for one in modes.values():
        assert all(np.isfinite(m.direction).all() and np.any(m.direction != 0) for m in one)


@pytest.mark.slow
def test_the_same_photographs_give_the_same_files(bench: Path, tmp_path: Path) -> None:
    from benchmarks import ready_modes as made

    sites, written = ["blocks.0.0", "blocks.1.0"], []
    for run in ("one", "two"):
        folder = tmp_path / run
        store = made.extract(folder, 80)
        made.fit(store, folder / "modes", sites)
        made.write(store, folder / "modes", folder / "shipped", sites)
        written.append({file.name: file.read_bytes() for file in (folder / "shipped").iterdir()})
    assert len(written[0]) == 6
    assert written[0] == written[1]
