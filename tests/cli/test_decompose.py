"""`codeclens decompose`: every method by name, and the comparison of all."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import codeclens as cl
from codeclens.cli.config import DecomposeSettings
from codeclens.cli.decompose_command import method_of
from codeclens.decomposition import load_modes
from codeclens.decomposition.registry import METHODS

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contributions of 120 samples at six hidden units that everything passes."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))
    images = torch.randn(120, 4, generator=torch.Generator().manual_seed(0))
    to = tmp_path_factory.mktemp("store") / "contributions.zarr"
    cl.extract(model, (images, torch.arange(120) % 3), sites="1", to=to)
    return to


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_what_was_named(name: str) -> None:
    method = method_of(DecomposeSettings.model_validate({"method": name, "k": 4}))
    assert isinstance(method, METHODS[name])
    classical = name in ("pca", "ica", "nmf", "semi-nmf", "kmeans")
    assert (method.n_modes, method.expansion) == ((4, None) if classical else (None, 3))
    assert getattr(method, "k", 4) == 4


def test_a_classical_method_from_the_command_line(store: Path, told: Told, tmp_path: Path) -> None:
    code, out, err = told("decompose", store, "--method", "nmf", "--k", 3, "--to", tmp_path / "m")
    assert code == 0, err
    assert "NMF(n_modes=3)" in out
    assert load_modes(tmp_path / "m")["1"].method == cl.NMF(n_modes=3)


def test_modes_of_other_settings_are_kept(store: Path, told: Told, tmp_path: Path) -> None:
    command = ("decompose", store, "--method", "nmf", "--to", tmp_path)
    assert told(*command, "--k", 3)[0] == 0
    assert told(*command, "--k", 3, "--workers", 2)[0] == 0
    code, _, err = told(*command, "--k", 4)
    assert code == 2
    assert "contains modes made with k = 3, but now k = 4; choose another folder" in err
    assert len(load_modes(tmp_path)["1"]) == 3
    assert told(*command, "--k", 4, "--overwrite")[0] == 0
    assert len(load_modes(tmp_path)["1"]) == 4


def test_comparing_writes_a_table_and_a_summary(
    store: Path, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeclens.decomposition.autoencoders.base._EPOCHS", (1, 3))
    code, out, err = told(
        *("decompose", store, "--compare", "--k", 2, "--expansion", 2, "--seeds", "0,1"),
        *("--to", tmp_path),
    )
    assert code == 0, err
    with (tmp_path / "comparison.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    assert "Left out: ThresholdSAE(n_modes=12" in out  # for which so few steps are too few
    pca = next(row for row in rows if row["method"] == "PCA(n_modes=2)")
    expected = cl.compare(cl.ContributionStore(store), [cl.PCA(n_modes=2)], seeds=[0, 1])
    figures = expected.to_dataframe().iloc[0]
    for name in ("r2", "l0", "stability_seeds", "stability_halves", "target_r2", "target_error"):
        assert float(pca[name]) == pytest.approx(figures[name])
        assert f"{float(pca['r2']):.3f}" in out
    words = (tmp_path / "comparison.txt").read_text(encoding="utf-8").splitlines()
    assert len(words) == 1
    assert words[0] in out
    assert "over 2 seeds" in words[0]
    assert (tmp_path / "config.yaml").exists()


def test_only_some_methods_are_compared(store: Path, told: Told, tmp_path: Path) -> None:
    code, out, err = told(
        *("decompose", store, "--compare", "--methods", "nmf,kmeans", "--k", 2, "--to", tmp_path)
    )
    assert code == 0, err
    with (tmp_path / "comparison.csv").open(newline="", encoding="utf-8") as file:
        assert [row["method"][:4] for row in csv.DictReader(file)] == ["NMF(", "KMea"]
    assert "no autoencoder was compared" in out


def test_modes_report_their_stability(store: Path, told: Told, tmp_path: Path) -> None:
    command = ("decompose", store, "--k", 2, "--expansion", 1, "--epochs", 3, "--to", tmp_path)
    code, out, err = told(*command, "--seeds", "0,1", "--halves")
    assert code == 0, err
    assert "Reproducible (cosine of 0." in out
    assert "by chance" in out
    assert "in other seeds" in out
    assert "in halves of the samples" in out
    modes = load_modes(tmp_path / "seed-1")["1"]
    with (tmp_path / "seed-1" / "quality.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(modes)
    for row, mode in zip(rows, modes, strict=True):
        low = min(float(row["stability_seeds"]), float(row["stability_halves"]))
        assert low == pytest.approx(mode.stability)
        assert float(row["firing_rate"]) == pytest.approx(mode.firing_rate)
        assert row["dense"] == str(mode.firing_rate > 0.5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--method", "pca", "--epochs", "3"], "--epochs 3 means nothing to pca"),
        (["--compare", "--n-modes", "3"], "--compare sets the number of modes by --expansion"),
        (["--seeds", "0,1,0"], "--seeds 0,1,0 names a seed twice"),
        (["--methods", "pca,nmf"], "--methods says what --compare compares"),
        (["--method", "pca", "--n-modes", "99"], "99 modes are more than PCA can find in 120"),
        (["--method", "matryoshka", "--k", "99"], r"k (=99) must not exceed"),
    ],
)
def test_what_cannot_be_asked_for(
    flags: list[str], said: str, store: Path, told: Told, tmp_path: Path
) -> None:
    code, _, err = told("decompose", store, *flags, "--to", tmp_path / "m")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
