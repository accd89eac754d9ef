"""Write docs/files.md: the rooms and files of the package, from their own first sentences.

python docs/contents.py            # rewrite the page
python docs/contents.py --check    # exit code 1 if it is out of date
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("files.md")
SOURCE = PAGE.parents[1] / "src" / "codeclens"
ORDER = (
    *("attribution", "extraction", "decomposition", "visualization", "analysis", "control"),
    *("zoo", "pages", "explanation", "reporting", "explorer", "retina", "demo", "cli"),
)


def sentence(path: Path) -> str:
    """Return the first paragraph of a file's docstring on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    if not text:
        raise SystemExit(f"{path} does not say what it holds: begin it with a docstring")
    return " ".join(text.partition("\n\n")[0].split())


def section(folder: Path) -> list[str]:
    """Return a room's heading and sentence, then a table of its files, those of inner rooms too."""
    inside = sorted(path for path in folder.rglob("*.py") if path != folder / "__init__.py")
    rows = [f"| `{path.relative_to(folder).as_posix()}` | {sentence(path)} |" for path in inside]
    table = ["| file | holds |", "|---|---|", *rows, ""] if rows else []
    return [f"## {folder.name}", "", sentence(folder / "__init__.py"), "", *table]


def contents() -> str:
    """Return the whole page: rooms in the order of the data, unknown rooms at the end."""
    rooms = [path.parent for path in SOURCE.glob("*/__init__.py")]
    rooms.sort(key=lambda room: (ORDER.index(room.name) if room.name in ORDER else 99, room.name))
    shared = [path for path in sorted(SOURCE.glob("*.py")) if not path.stem.startswith("__")]
    rows = [f"| `{path.name}` | {sentence(path)} |" for path in shared]
    head = [
        "# Files", "",
        "Every file of the package with its first sentence. `make format` writes this page.", "",
        "## shared by all rooms", "", "| file | holds |", "|---|---|", *rows,
    ]  # fmt: skip
    return "\n".join([*head, *(line for room in rooms for line in ("", *section(room)))]).rstrip()


def main(check: bool) -> int:
    """Compare or rewrite the page; return the exit code."""
    fresh = contents() + "\n"
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == fresh:
        return 0
    if not check:
        PAGE.write_text(fresh, encoding="utf-8")
        return 0
    sys.stderr.write("docs/files.md is out of date: run `make format`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
