"""The rules of the house, read off the source: who imports whom, size, safety, wording."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import codeclens

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "codeclens"
FILES = sorted(SOURCE.rglob("*.py"))

# Each room and the rooms that it may import. docs/architecture.md says why.
PATH = ("attribution", "extraction", "decomposition")
SHOWN = (*PATH, "visualization")
FOUND = (*SHOWN, "analysis", "control", "pages", "zoo", "explanation", "reporting")
ROOMS: dict[str, tuple[str, ...]] = {
    "attribution": (),
    "extraction": PATH[:1],
    "decomposition": PATH[:2],
    "visualization": PATH,
    "analysis": SHOWN,
    "control": SHOWN,
    "zoo": PATH[:1],
    "pages": (),
    "explanation": (*SHOWN, "analysis", "control", "pages"),
    "reporting": (*SHOWN, "analysis", "control", "pages", "zoo", "explanation"),
    "retina": FOUND,
    "explorer": FOUND,
    "demo": (*FOUND, "retina", "explorer"),
    "cli": (*FOUND, "retina", "explorer", "demo"),
}
FOR_ALL = (
    *("errors", "files", "labelled", "pictures", "progress", "text", "yaml_files", "draws"),
    "_compat",
)
ARRAYS_ONLY = ("analysis/statistics.py", "decomposition/quality.py")

HEAVY = ("torchvision", "timm", "sklearn", "matplotlib")
UNSAFE = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
HARMLESS = "pickle.UnpicklingError"  # raised by torch.load for more than tensors
LONGEST_FILE = 600
# Put together here so that this file, which is searched like the others, holds none of them.
FORBIDDEN = {
    "a registry's host": re.compile("py" + r"pi\.org|python" + r"hosted\.org"),
    "somebody's folder": re.compile(r"(?<![\w.])/(?:home|Users|work|ro" + r"ot|opt)/[\w.]"),
    "a file address": re.compile("file:" + r"//"),
    "unfinished work": re.compile(
        r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b|NotImplemented" + "Error"
    ),
}


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(module: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere in the file, in functions and type-only blocks too."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module is not None
            yield node.module
            if node.module == "codeclens":  # `from codeclens import zoo` names a room too
                yield from (f"codeclens.{alias.name}" for alias in node.names)


def rooms_imported(module: ast.Module) -> set[str]:
    parts = [target.split(".") for target in imported(module)]
    rooms = {part[1] for part in parts if part[0] == "codeclens" and len(part) > 1}
    return rooms - {"__version__"}


def calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def unsafe(module: ast.Module) -> set[str]:
    """Every name that is taken from a module that can run what it loads."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):  # under another name it could not be followed
            found |= {f"{alias.name}.{alias.asname}" for alias in node.names if alias.asname}
    return {used for used in found if used.partition(".")[0] in UNSAFE}


def test_the_source_is_found() -> None:
    assert SOURCE / "__init__.py" in FILES


def test_every_room_has_its_directions() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(ROOMS), "enter the new room in ROOMS"
    modules = {path.stem for path in SOURCE.glob("*.py")}
    assert modules <= {*FOR_ALL, "__init__", "__main__"}, "a helper lives in the room that uses it"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_room_imports_only_from_rooms_before_it(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    if room not in ROOMS:
        if path.stem in FOR_ALL:
            assert rooms_imported(tree(path)) <= set(FOR_ALL)
        return
    foreign = rooms_imported(tree(path)) - {room, *FOR_ALL}
    assert foreign <= set(ROOMS[room]), f"{name(path)} imports {sorted(foreign - set(ROOMS[room]))}"


def module(path: Path) -> str:
    parts = ("codeclens", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows() -> dict[str, set[str]]:
    """Which files each file imports: at the top, in functions and under TYPE_CHECKING alike."""
    files = {module(path): path for path in FILES}
    found: dict[str, set[str]] = {}
    for here, path in files.items():
        found[here] = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                found[here] |= {alias.name for alias in node.names if alias.name in files}
            elif isinstance(node, ast.ImportFrom) and node.module in files:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found[here] |= (inner & set(files)) or {node.module}
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some files that import each other in a circle, or none."""
    left = {here: set(there) & set(graph) - {here} for here, there in graph.items()}
    while ends := [here for here, there in left.items() if not there]:
        for end in ends:
            del left[end]
        left = {here: there - set(ends) for here, there in left.items()}
    path = [min(left)] if left else []
    while path and path[-1] not in path[:-1]:
        path.append(min(left[path[-1]]))
    return path[path.index(path[-1]) :] if path else []


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(arrows()) == []


def test_no_two_files_have_one_name() -> None:
    names = sorted(path.name for path in FILES if path.name != "__init__.py")
    assert [name for name, after in pairwise(names) if name == after] == []


def test_no_two_classes_have_one_name() -> None:
    classes = sorted(
        node.name
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    )
    assert [one for one, after in pairwise(classes) if one == after] == []


@pytest.mark.parametrize("path", [SOURCE / part for part in ARRAYS_ONLY], ids=name)
def test_statistics_and_quality_know_only_arrays(path: Path) -> None:
    assert rooms_imported(tree(path)) <= set(FOR_ALL)


@pytest.mark.parametrize("use", ["codeclens", "[getattr(codeclens, n) for n in codeclens.__all__]"])
def test_import_brings_in_no_heavy_package(use: str) -> None:
    code = f"import sys, codeclens; {use}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_holds_one_subject(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_FILE, f"{name(path)} has {lines} lines: does it still hold one subject?"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_unpickled(path: Path) -> None:
    module = tree(path)
    assert unsafe(module) <= {HARMLESS}
    for function, call in calls(module):
        given = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert given.get("allow_pickle", "False") == "False", f"line {call.lineno}: {function}"
        if function == "torch.load":
            assert given.get("weights_only") == "True", f"line {call.lineno}: weights_only=True"


@pytest.mark.parametrize("path", [path for path in FILES if "cli" not in path.parts], ids=name)
def test_the_library_prints_nothing(path: Path) -> None:
    printing = [call.lineno for function, call in calls(tree(path)) if function == "print"]
    assert not printing, f"{name(path)} prints on lines {printing}"


@pytest.mark.parametrize("public", sorted(set(codeclens.__all__) - {"__version__"}))
def test_a_public_name_explains_itself(public: str) -> None:
    thing = getattr(codeclens, public)
    text = thing.__doc__ or ""
    assert text.strip(), f"{public} has no docstring"
    if not (isinstance(thing, type) and issubclass(thing, BaseException)):
        assert ">>>" in text, f"{public}'s docstring shows no example"


def test_public_names_are_sorted_and_single() -> None:
    def place(name: str) -> tuple[bool, bool, str]:  # as ruff sorts: NMF, then Modes, then ablate
        return not name.isupper(), not name[0].isupper(), name

    assert all(place(before) < place(after) for before, after in pairwise(codeclens.__all__))


@pytest.mark.parametrize(
    "room",
    [
        *("attribution", "analysis", "control", "decomposition", "explanation", "extraction"),
        *("explorer", "pages", "reporting", "retina", "visualization", "zoo"),
    ],
)
def test_a_room_lists_its_public_names_alone(room: str) -> None:
    module = importlib.import_module(f"codeclens.{room}")
    assert dir(module) == sorted(module.__all__)


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == codeclens.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {codeclens.__version__}\n" in citation


def test_the_page_of_files_lists_the_files_that_are_there() -> None:
    command = [sys.executable, str(ROOT / "docs" / "contents.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout: nobody knows which files are tracked")
    paths = [ROOT / part for part in done.stdout.decode().split("\0") if part]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_says(what: str) -> None:
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data:
            continue
        lines = data.decode("utf-8").splitlines()
        where = path.relative_to(ROOT).as_posix()
        found += [f"{where}:{i}" for i, line in enumerate(lines, 1) if FORBIDDEN[what].search(line)]
    assert not found, f"{what}: {found}"
