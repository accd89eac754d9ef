"""Configurations: file, flags, defaults; unknown keys and bad values; the round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from codeclens.cli.config import (
    SETTINGS,
    DecomposeSettings,
    ExtractSettings,
    ReportSettings,
    Settings,
    read_section,
)
from codeclens.cli.config_files import configuration, write_section
from codeclens.errors import CodeclensError


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    text = "model: digits-resnet\nimages: pictures\nto: out\nsteps: 20\nsites: a.*, b\n"
    return written(tmp_path / "run.yaml", text)


def test_flags_override_the_file_and_the_file_overrides_defaults(file: Path) -> None:
    flags = ExtractSettings(steps=5, limit=3)
    settings = ExtractSettings.resolve(flags, file)
    assert (settings.steps, settings.limit, settings.batch_size) == (5, 3, 16)
    assert settings.sites == ["a.*", "b"]
    assert settings.images == Path("pictures")


def test_a_flag_set_to_its_default_still_overrides(file: Path) -> None:
    assert ExtractSettings.resolve(ExtractSettings(steps=10), file).steps == 10
    assert ExtractSettings.resolve(None, file).steps == 20


def test_what_a_run_leaves_behind_repeats_it(tmp_path: Path, file: Path) -> None:
    settings = ExtractSettings.resolve(ExtractSettings(target="output:3"), file)
    left = write_section(tmp_path / "run", settings)
    assert ExtractSettings.resolve(None, left) == settings


def test_commands_into_one_folder_share_one_file(tmp_path: Path, file: Path) -> None:
    extract = ExtractSettings.resolve(None, file)
    report = ReportSettings(store=Path("s.zarr"), to=Path("r.html"))
    write_section(tmp_path, extract)
    left = write_section(tmp_path, report)
    write_section(tmp_path, extract)
    assert list(yaml.safe_load(left.read_text(encoding="utf-8"))) == ["extract", "report"]
    assert ReportSettings.resolve(None, left) == report
    assert ExtractSettings.resolve(None, left) == extract
    with pytest.raises(CodeclensError, match="configures extract, report but not decompose"):
        DecomposeSettings.resolve(None, left)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_every_field_has_a_description(settings: type[Settings]) -> None:
    assert all(field.description for field in settings.model_fields.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("setps: 3", r'run.yaml has the unknown key "setps"; the nearest key is "steps"\.'),
        ("steps: none", r"run.yaml: steps \(='none'\) should be a valid integer"),
        ("steps: 0", r"run.yaml: steps \(=0\) should be greater than or equal to 1\."),
        ("target: ''", r"target \(=''\) .* at least 1 character"),
        (
            "method: ig",
            r"method \(='ig'\) should be 'conductance', .* or 'activation-gradient'\.",
        ),
        ("limit: -1\nsteps: 0", r"steps \(=0\) should be .* \(also wrong: limit\)\."),
        ("sites: 3", r"sites \(=3\) should be a valid list"),
        ("- a\n- b", "holds a list; it must hold keys and values"),
        ("steps: [1", "is not valid YAML: while parsing"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML: could not determine"),
        (
            "extract: {}\nexrtact: {}",
            'the unknown section "exrtact"; the nearest section is "extract"',
        ),
        ("extract:\n  setps: 3", 'the unknown key "setps"'),
        ("", r"codeclens extract needs a model: pass --model NAME"),
    ],
)
def test_mistakes_in_the_file_get_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path / "run.yaml", text)
    with pytest.raises(CodeclensError, match=message) as caught:
        ExtractSettings.resolve(None, file)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodeclensError, match=r"There is no configuration file .*none\.yaml"):
        ExtractSettings.resolve(None, tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(CodeclensError, match=r"binary\.yaml is not text in UTF-8"):
        ExtractSettings.resolve(None, tmp_path / "binary.yaml")
    with pytest.raises(CodeclensError, match="cannot be read"):
        ExtractSettings.resolve(None, tmp_path)


def test_a_second_result_in_a_folder_has_a_file_of_its_own(tmp_path: Path) -> None:
    first = ExtractSettings(model="a", to=str(tmp_path / "a.zarr"))
    second = ExtractSettings(model="b", to=str(tmp_path / "b.zarr"))
    assert write_section(tmp_path, first).name == "config.yaml"
    assert write_section(tmp_path, first).name == "config.yaml"
    assert write_section(tmp_path, second).name == "b.config.yaml"
    # The same results by other paths keep their file.
    assert write_section(tmp_path, ExtractSettings(to="elsewhere/a.zarr")).name == "config.yaml"
    assert write_section(tmp_path, first).name == "config.yaml"
    assert configuration(tmp_path / "a.zarr").name == "config.yaml"
    assert configuration(tmp_path / "b.zarr").name == "b.config.yaml"
    assert read_section(tmp_path / "config.yaml", "extract")["model"] == "a"
    assert read_section(tmp_path / "b.config.yaml", "extract")["model"] == "b"


def test_a_folder_that_is_the_result_has_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "modes"
    assert write_section(folder, DecomposeSettings(to=folder)).name == "config.yaml"
    monkeypatch.chdir(tmp_path)
    assert write_section(folder, DecomposeSettings(to=Path("modes"))).name == "config.yaml"
    assert [path.name for path in folder.iterdir()] == ["config.yaml"]
