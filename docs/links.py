"""Check every link of the built site, without a network: files, anchors, and how addresses look.

python docs/links.py docs/_build      # exit code 1 and a list if a link leads nowhere
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The targets that a page links to, and the anchors that it has."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what the element links to and how it is called."""
        given = dict(attrs)
        self.anchors |= {given[key] or "" for key in ("id", "name") if key in given}
        wanted = {"a": "href", "link": "href", "img": "src", "script": "src"}.get(tag)
        if wanted and given.get(wanted):
            self.links.append(str(given[wanted]))


def broken(folder: Path) -> list[str]:
    """Every link of the site's pages that leads nowhere, with its page."""
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        faults = ((link, _fault(path, link, pages)) for link in page.links)
        where = path.relative_to(folder.resolve())
        found += [f"{where}: {link} ({fault})" for link, fault in faults if fault]
    return found


def _fault(path: Path, link: str, pages: dict[Path, Page]) -> str:
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto"):
        return ""
    if parts.scheme or parts.netloc:
        return "" if parts.scheme == "https" and "." in parts.netloc else "not an https address"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "no such file"
    if target in pages and unquote(parts.fragment) not in pages[target].anchors:
        return "no such anchor"
    return ""


def main(folder: Path) -> int:
    """Print the broken links of a site; return the exit code."""
    if not (folder / "index.html").is_file():
        sys.stderr.write(f"{folder} holds no site: build it first (make docs)\n")
        return 1
    found = broken(folder)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
