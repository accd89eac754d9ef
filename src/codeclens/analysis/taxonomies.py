"""Taxonomies as they lie in files: trees in YAML, WordNet's database, lists of pairs, nltk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from codeclens.errors import CodeclensError


class Taxonomy(NamedTuple):
    """Which nodes lie above each node, and what the nodes are called.

    >>> Taxonomy({"pug": ["dog"]}, {"pug": ("pug", "pug-dog")}).parents
    {'pug': ['dog']}
    """

    parents: dict[str, list[str]]
    names: dict[str, tuple[str, ...]]


def yaml_tree(path: Path) -> Taxonomy:
    """The tree of a YAML file: mappings from superclasses to what is below, lists of classes.

    Raises CodeclensError where the file cannot be read or holds anything but names.
    """
    import yaml

    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise CodeclensError(f"The hierarchy {path} is no valid YAML: {reason}.") from error
    if not isinstance(content, dict):
        raise CodeclensError(
            f"The hierarchy {path} holds no superclass with classes; write, for example, "
            '"dog: [beagle, pug]".'
        )
    parents: dict[str, list[str]] = {}
    try:
        pairs = list(_walk(content, None, path))
    except RecursionError:
        raise CodeclensError(f"The hierarchy {path} holds itself by an alias (*).") from None
    for name, above in pairs:
        known = parents.setdefault(name, [])
        if above is not None and above not in known:
            known.append(above)
    return Taxonomy(parents, {})


def wordnet_file(path: Path) -> Taxonomy:
    """WordNet's `data.noun` (or the folder that it lies in), or a list of "child parent".

    Raises CodeclensError where the file cannot be read or is neither.
    """
    if path.is_dir():
        path = path / "data.noun"
    lines = [line for line in _text(path).splitlines() if line.strip()]
    # The database begins with its licence, whose lines are indented.
    entries = [line for line in lines if not line.startswith(("  ", "#"))]
    if not entries:
        raise CodeclensError(f"The hierarchy {path} is empty; name WordNet's data.noun.")
    if " | " in entries[0] and entries[0][:8].isdigit():
        return _database(entries, path)
    return _pairs(entries, path)


def nltk_nouns() -> Taxonomy:
    """The nouns of nltk's WordNet; raises CodeclensError where nltk or its corpus is missing."""
    try:
        from nltk.corpus import wordnet
    except ImportError:
        raise CodeclensError(
            "nltk is not installed; pip install nltk, or name WordNet's data.noun instead."
        ) from None
    parents: dict[str, list[str]] = {}
    names: dict[str, tuple[str, ...]] = {}
    try:
        for synset in wordnet.all_synsets("n"):
            node = _node(synset.offset())
            names[node] = tuple(str(name).replace("_", " ") for name in synset.lemma_names())
            above = [*synset.hypernyms(), *synset.instance_hypernyms()]
            parents[node] = [_node(one.offset()) for one in above]
    except LookupError:
        raise CodeclensError(
            "nltk has no WordNet here; run nltk.download('wordnet'), or name WordNet's data.noun."
        ) from None
    return Taxonomy(parents, names)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CodeclensError(f"There is no hierarchy {path}: check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f"The hierarchy {path} cannot be read: {error}.") from error


def _walk(content: Any, above: str | None, path: Path) -> Iterator[tuple[str, str | None]]:
    """Every name of a tree with the one above it."""
    if content is None:
        return
    if isinstance(content, dict):
        for name, below in content.items():
            word = _word(name, path)
            yield word, above
            yield from _walk(below, word, path)
    elif isinstance(content, list):
        for item in content:
            yield from _walk(item, above, path)
    else:
        yield _word(content, path), above


def _word(name: Any, path: Path) -> str:
    # Classes may be called 0 … 9; but YAML reads no as False, and 1_0 as 10.
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise CodeclensError(
            f"The hierarchy {path} holds {name!r}, which is no name; put it in quotes."
        )
    return str(name)


def _database(entries: list[str], path: Path) -> Taxonomy:
    """Lines `offset file n words(hex) word id … pointers(3 digits) symbol offset pos parts … |`."""
    parents: dict[str, list[str]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for line in entries:
        parts = line.split(" | ", 1)[0].split()
        try:
            node, count = _node(int(parts[0])), int(parts[3], 16)
            pointers = parts[4 + 2 * count :]
            below = [pointers[1 + 4 * i : 5 + 4 * i] for i in range(int(pointers[0]))]
            parents[node] = [
                _node(int(offset))
                for symbol, offset, pos, _ in below
                if symbol in ("@", "@i") and pos == "n"
            ]
        except (ValueError, IndexError):
            raise CodeclensError(
                f'The hierarchy {path} has a line that is none of WordNet\'s: "{line[:40]}…".'
            ) from None
        names[node] = tuple(word.replace("_", " ") for word in parts[4 : 4 + 2 * count : 2])
    return Taxonomy(parents, names)


def _pairs(entries: list[str], path: Path) -> Taxonomy:
    parents: dict[str, list[str]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for line in entries:
        pair = [part.strip() for part in (line.split("\t") if "\t" in line else line.split())]
        if len(pair) != 2 or not all(pair):
            raise CodeclensError(
                f'The hierarchy {path} has the line "{line[:60]}", which is no pair of child and '
                "parent; separate them by a tab where names hold spaces."
            )
        child, parent = pair
        known = parents.setdefault(child, [])
        if parent not in known:
            known.append(parent)
        for node in pair:
            if "," in node:
                synonyms = tuple(name.strip() for name in node.split(",") if name.strip())
                names[node] = synonyms or (node,)
    return Taxonomy(parents, names)


def _node(offset: int) -> str:
    """WordNet's number of a noun, as ImageNet calls its folders."""
    return f"n{offset:08d}"
