"""What surrounds the package: citation, policies, templates, metadata."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text("CITATION.cff"))
    return found


def test_the_citation_has_what_the_format_requires(citation: dict[str, Any]) -> None:
    for key in ("cff-version", "message", "title", "authors"):
        assert citation[key], key
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert all({"name"} <= set(one) or {"family-names"} <= set(one) for one in citation["authors"])


def test_the_citation_and_the_project_agree(citation: dict[str, Any]) -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert citation["title"] == project["name"]
    assert citation["license"] == project["license"]
    assert citation["version"] == project["version"]


def test_the_paper_is_cited_completely(citation: dict[str, Any]) -> None:
    (paper,) = citation["references"]
    names = [author["family-names"] for author in paper["authors"]]
    assert names == ["Melander", "Alaoui", "Liu", "Ganguli", "Baccus"]
    assert paper["year"] == 2026
    (identifier,) = paper["identifiers"]
    number = identifier["value"].removeprefix("arXiv:")
    assert paper["url"].endswith(number)
    assert number in text("README.md")
    assert number in text("docs/index.md")


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md", "docs/versions.md"])
def test_policies_ship_with_the_sources(name: str) -> None:
    assert text(name).startswith("# ")
    included = tomllib.loads(text("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert any(f"/{name}".startswith(part) for part in included["include"])


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_issue_templates_are_forms(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": True}
        return
    assert form["name"]
    assert form["description"]
    names = [part["id"] for part in form["body"]]
    assert len(names) == len(set(names))
    assert all(part["attributes"]["label"] for part in form["body"])
    asked = " ".join(re.findall(r"`(codeclens \w+)`", path.read_text(encoding="utf-8")))
    assert asked in ("", "codeclens doctor")


def test_there_are_issue_templates() -> None:
    assert {path.stem for path in TEMPLATES} == {"config", "fault", "wish", "wrong_number"}


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_targets_that_the_makefile_has(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE))
    commands = [step["run"] for step in steps(path) if "run" in step]
    made = [name for line in commands if line.startswith("make ") for name in line.split()[1:]]
    assert made
    assert set(made) <= targets


def test_workflows_test_every_python_that_the_project_names() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    named = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    checks = yaml.safe_load(text(".github/workflows/checks.yml"))["jobs"]
    assert checks["test"]["strategy"]["matrix"]["python"] == named


def test_what_lands_is_checked_by_the_workflows_too() -> None:
    local = set(re.findall(r"make (\w+)", text(".ci/run")))
    (checks,) = [path for path in WORKFLOWS if path.name == "checks.yml"]
    assert local <= {word for step in steps(checks) for word in step.get("run", "").split()}


def broken_links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", page.read_text(encoding="utf-8"))
    files = [target for target in targets if re.match(r"[a-z]+:", target) is None]
    return [f"{page.name}: {target}" for target in files if not (page.parent / target).exists()]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](page.md#x) [b](none.md) [c](https://example.org/none.md)\n")
    assert broken_links(page) == ["page.md: none.md"]


def test_links_between_files_of_the_repository_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    built = {ROOT / "docs" / name for name in ("_build", "reference", "jupyter_execute")}
    assert [link for p in pages if not built & {*p.parents} for link in broken_links(p)] == []
