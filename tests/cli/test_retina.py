"""`codeclens retina demo`: what it writes, what it says, and what it leaves alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from codeclens.cli import app
from codeclens.demo.retina_page import STORE, TABLES


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retina")
    (folder / "mine.txt").write_text("mine", encoding="utf-8")
    assert app.run(["retina", "demo", "--quick", "--to", str(folder)]) == 0
    return folder


def test_the_page_is_one_file_with_a_sentence_for_each_question(run: Path) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    page = json.loads(text.partition('id="codeclens-data">')[2].partition("</script>")[0])[
        "document"
    ]
    titles = [section["title"] for section in page["sections"]]
    # Figures are in sections within sections, too.
    assert json.dumps(page).count('"kind": "figure"') >= 14
    for title in ("Fit", "Modes over time", "Modes and cells", "Modes that are active together",
                  "Receptive fields at moments", "Attribution of a change", "Prediction of fields",
                  "Removal of modes", "Where the numbers come from"):  # fmt: skip
        assert title in titles
    findings = page["opening"][1]["items"]
    assert len(findings) >= 8
    assert "nan" not in " ".join(findings).lower()


def test_what_is_labelled_holds_together(run: Path) -> None:
    found = xr.open_datatree(run / STORE, engine="zarr", consolidated=False)["film"].to_dataset()
    assert {"time", "cell", "layer", "channel", "mode", "interneuron"} <= set(found.sizes)
    net = (found.positive + found.negative).sum("channel")
    gap = net - (found.rate - found.baseline_rate)
    assert float(abs(gap).max()) < 1e-2
    # The circuit's pathways are exact, too: they sum to its rate less one that does not change.
    rest = found.circuit_rate - found.pathway.sum("interneuron")
    assert float(rest.std("time").max()) < 1e-2
    r = xr.corr(found.rate, found.circuit_rate, "time")
    assert np.allclose(r, found.r, atol=1e-4)
    assert float(r.median()) > 0.5
    assert 0.1 < float(found.held_out.mean()) < 0.5


def test_fields_are_those_of_the_same_moments(run: Path) -> None:
    whole, fields = (
        xr.open_zarr(run / STORE, group=name, consolidated=False) for name in ("film", "fields")
    )
    assert fields.field.dims == fields.circuit_field.dims == ("time", "cell", "lag", "y", "x")
    assert set(fields.time.values) <= set(whole.time.values)
    one, other = fields.field, fields.circuit_field
    axes = ("lag", "y", "x")
    cosine = (one * other).sum(axes) / np.sqrt((one**2).sum(axes) * (other**2).sum(axes))
    assert np.allclose(cosine, fields.cosine, atol=1e-4)
    # A network that has learned the cells answers to the same places with the same sign.
    assert float(cosine.sel(cell="off.transient").median()) > 0.4


def test_tables_and_figures_lie_beside_it(run: Path) -> None:
    for name in TABLES:
        with (run / f"{name}.csv").open(encoding="utf-8") as file:
            assert list(csv.DictReader(file)), name
    pictures = {path.stem for path in run.glob("*.png")}
    assert pictures == {path.stem for path in run.glob("*.svg")}
    assert {"fit", "loadings", "matrix", "true-matrix", "combinations", "moments", "carriers",
            "explained", "removals"} <= pictures  # fmt: skip
    with (run / "changes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for of in ("modes", "channels", "interneurons"):
        shares = [float(row["share"]) for row in rows if row["of"] == of]
        assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_settings_are_written_and_files_of_others_stay(run: Path) -> None:
    settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert settings["retina demo"]["quick"] is True
    assert (run / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_store_of_somebody_else_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    xr.Dataset({"x": ("n", [1, 2])}).to_zarr(tmp_path / STORE, consolidated=False)
    assert app.run(["retina", "demo", "--to", str(tmp_path)]) == 2
    assert "pass another --to" in capsys.readouterr().err
    assert not (tmp_path / "config.yaml").exists()


def test_a_report_of_somebody_else_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").write_text("precious")
    assert app.run(["retina", "demo", "--to", str(tmp_path)]) == 2
    assert "report.html is there and was not written by" in capsys.readouterr().err
    assert (tmp_path / "report.html").read_text() == "precious"


def test_a_bad_setting_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["retina", "demo", "--seed", "-1"]) == 2
    assert "codeclens retina demo" in capsys.readouterr().err
