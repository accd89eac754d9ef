"""`codeclens doctor`: facts, faults and remedies, also in installations that are broken."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from codeclens.cli import doctor_command as doctor
from codeclens.cli.doctor_command import CORE, FEATURES, Examined, Feature, examined

Told = Callable[..., tuple[int, str, str]]
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]
# Extras for people who work on codeclens itself.
OWN = {"test", "dev", "docs", "cluster", "mutants"}


def packages(lines: list[str]) -> set[str]:
    return {Requirement(line).name for line in lines} - {"codeclens"}


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that packages are not installed, or have other versions."""

    def pretend(**versions: str | None) -> None:
        real = doctor.version

        def version(name: str) -> str:
            if name in versions and versions[name] is None:
                raise PackageNotFoundError(name)
            return versions.get(name) or real(name)

        monkeypatch.setattr(doctor, "version", version)

    return pretend


def test_the_core_is_what_the_project_declares() -> None:
    assert set(CORE.packages) == packages(PROJECT["dependencies"])


def test_every_extra_for_users_is_a_feature() -> None:
    extras = {name: packages(lines) for name, lines in PROJECT["optional-dependencies"].items()}
    features = {feature.extra: set(feature.packages) for feature in FEATURES if feature.extra}
    assert features == {name: found for name, found in extras.items() if name not in OWN}


def test_the_core_installs_only_what_the_package_imports() -> None:
    source = Path(doctor.__file__).parents[1]
    text = "\n".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    for module in CORE.packages.values():
        assert re.search(rf"^\s*(?:from|import) {module}\b", text, re.MULTILINE), module


def test_it_reports_the_machine_the_core_and_the_features(told: Told) -> None:
    code, out, err = told("doctor")
    assert (code, err) == (0, "")
    for name in ("codeclens", "python", "processor", "cores", "memory", "disk", "threads", "GPU"):
        assert f"\n{name} " in f"\n{out}"
    assert f"torch {torch.__version__}" in out
    assert "The core: complete" in out
    assert all(feature.name in out for feature in FEATURES)


def test_json_holds_versions_and_verdicts(told: Told) -> None:
    code, out, err = told("doctor", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["core"] == "complete"
    assert found["packages"]["torch"] == torch.__version__
    assert [one["name"] for one in found["features"]] == [feature.name for feature in FEATURES]


def test_a_missing_extra_is_no_error_and_has_a_remedy(
    told: Told, lacking: Callable[..., None]
) -> None:
    lacking(transformers=None)
    code, out, _ = told("doctor")
    assert code == 0
    assert "no  networks of transformers, text" in out
    assert "transformers is not installed" in out
    assert 'pip install "codeclens[hf]"' in out


def test_a_package_of_the_core_that_is_missing_is_an_error(
    told: Told, lacking: Callable[..., None]
) -> None:
    lacking(scipy=None)
    code, out, err = told("doctor")
    assert code == 2
    assert "The core: 1 package wrong" in out
    assert err.startswith("codeclens cannot work: scipy is not installed. Install it again: ")


def test_a_version_below_the_minimum_is_named(lacking: Callable[..., None]) -> None:
    lacking(scipy="1.2.0")
    oldest = {"scipy": Requirement("scipy>=1.12")}
    assert str(examined("scipy", "scipy", oldest)) == (
        "scipy 1.2.0 is not >=1.12, which codeclens needs"
    )
    lacking(scipy="1.13.0rc1")
    assert examined("scipy", "scipy", oldest).fault == ""


def test_a_package_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: Callable[..., None]
) -> None:
    (tmp_path / "broken_here.py").write_text("raise OSError('libfoo.so:\\n not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    lacking(broken="1.0")
    assert str(examined("broken", "broken_here", {})) == (
        "broken 1.0 cannot be imported (libfoo.so: not found)"
    )


def test_a_feature_without_an_extra_names_its_packages() -> None:
    assert Feature("x", {"a": "a", "b-c": "b_c"}).remedy == "pip install a b-c"
    assert str(Examined("a", "1.0")) == "a 1.0"


def test_it_explains_an_installation_without_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; sys.modules['numpy'] = None\n"
        "from codeclens.cli import main; main(['doctor'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "torch cannot be imported" in done.stdout
    assert done.stderr.startswith("codeclens cannot work: torch ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("built", "tool", "words"),
    [
        ("12.8", None, "none is visible, though torch is built for 12.8"),
        (None, "/usr/bin/nvidia-smi", "install torch without the constraint file"),
        (None, None, "is a build for processors only)"),
    ],
)
def test_why_there_is_no_gpu(
    built: str | None, tool: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: tool)
    assert words in doctor.gpu()
