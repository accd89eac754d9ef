"""YAML files from strangers: one short sentence, whatever they hold."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from codeclens.cli.config import ExtractSettings
from codeclens.errors import CodeclensError
from codeclens.labelled import save_table
from codeclens.yaml_files import read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, r"uses the alias \*a; write the value out"),
        ("a: " + "[" * 3000, "nests more than 20 levels"),
        ("steps: " + "9" * 5000, "is not valid YAML"),
        ("steps: 2001-99-99", "is not valid YAML"),
        ("1: 2", "must hold keys and values"),
        ("steps: !!python/object/apply:os.system [ls]", "is not valid YAML"),
        ("sites: " + "x" * 1_100_000, "larger than 1 MB"),
        ("steps: " + "x" * 100_000, r"steps \(='xxx"),
        ("x" * 900 + ": 1", "unknown key"),
        ("seed: [" + "'a', " * 90_000 + "]", r"seed \(="),
    ],
)
def test_a_hostile_file_is_one_short_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CodeclensError, match=words) as caught:
        ExtractSettings.resolve(None, file)
    assert len(str(caught.value)) < 600


def test_no_damaged_file_raises_anything_else(tmp_path: Path) -> None:
    whole = b"extract:\n  steps: 20\n  sites: [layer1, layer2]\n  target: output:3\n\n"
    rng = random.Random(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "run.yaml").write_bytes(bytes(damaged))
        with suppress(CodeclensError):
            ExtractSettings.resolve(None, tmp_path / "run.yaml")


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("# nothing\n", encoding="utf-8")
    assert read_yaml(tmp_path / "run.yaml") == {}


def test_a_folder_is_no_file(tmp_path: Path, told: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = told("extract", "--config", tmp_path)
    assert code == 2
    assert "cannot be read" in err


def test_a_tilde_is_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = ExtractSettings.resolve(
        ExtractSettings(model="m", images=Path("~/photos"), to="~/run/store.zarr")
    )
    assert settings.images == tmp_path / "photos"
    assert settings.to == f"{tmp_path}/run/store.zarr"


def test_a_failed_write_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_table(tmp_path / "a.csv", [{"site": "conv1"}])

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        save_table(tmp_path / "a.csv", [{"site": "conv2"}])
    assert (tmp_path / "a.csv").read_text() == "site\nconv1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
