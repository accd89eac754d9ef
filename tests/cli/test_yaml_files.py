"""YAML files from strangers: one short sentence, whatever they hold."""

from __future__ import annotations

import random
import time
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
        ("a: " + "[" * 300, "nests more than 20 levels"),
        ("a: " + "[" * 300_000, "nest"),
        ("steps: " + "9" * 5000, "is not valid YAML"),
        ("steps: 2001-99-99", "is not valid YAML"),
        ("1: 2", "has the key 1, which is not text"),
        ("- a", "holds a list; it must hold keys and values"),
        ("steps: 3\nseed: 1\nsteps: 4", "gives the key 'steps' twice, again in line 3"),
        ("extract: [1]", 'section "extract" of .* holds a list'),
        ('to: "a\\0b"', r"to \(='a\\x00b'\) holds a character that no file name may hold"),
        ("size: 9999999", "size .* should be one or two whole numbers"),
        ("mean: .nan", "mean .* should be one number or three"),
        ("steps: 99999999999999999999", "steps .* should be less than or equal to 1000000"),
        ("stpes: 1\nsede: 2", 'keys "stpes", "sede"; the nearest key to "stpes" is "steps"'),
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


def test_a_long_list_is_read_in_moments(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"sites: [{'a, ' * 100_000}a]", encoding="utf-8")
    begun = time.process_time()
    assert len(read_yaml(tmp_path / "a.yaml")["sites"]) == 100_001
    assert time.process_time() - begun < 20


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.yaml").write_bytes("model: caf\xe9\n".encode(encoding))
    with pytest.raises(CodeclensError, match="is not text in UTF-8"):
        read_yaml(tmp_path / "a.yaml")
