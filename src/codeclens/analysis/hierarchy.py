"""Hierarchies: trees of class names with superclasses, from YAML, WordNet's files or nltk."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from codeclens.errors import CodeclensError, shortened, unknown
from codeclens.yaml_files import limited_text, plain_yaml

# Levels of a tree; WordNet has 20 above some classes.
_DEEPEST = 100


class Taxonomy(NamedTuple):
    """The parents of each node, and the names of the nodes.

    >>> Taxonomy({"pug": ["dog"]}, {"pug": ("pug", "pug-dog")}).parents
    {'pug': ['dog']}
    """

    parents: dict[str, list[str]]
    names: dict[str, tuple[str, ...]]


def yaml_tree(path: Path) -> Taxonomy:
    """The tree of a YAML file: mappings from superclasses to their members, lists of classes.

    Raises CodeclensError if the file cannot be read or contains anything but names.
    """
    content = plain_yaml(path, "hierarchy", 10_000_000, _DEEPEST)
    if not isinstance(content, dict):
        raise CodeclensError(
            f"The hierarchy {path} has no superclass with classes; write, for example, "
            '"dog: [beagle, pug]".'
        )
    parents: dict[str, list[str]] = {}
    for name, above in _walk(content, None, path):
        known = parents.setdefault(name, [])
        if above is not None and above not in known:
            known.append(above)
    return Taxonomy(parents, {})


def wordnet_file(path: Path) -> Taxonomy:
    """WordNet's `data.noun` (or its folder), or a list of "child parent".

    Raises CodeclensError if the file cannot be read or is neither.
    """
    if path.is_dir():
        path = path / "data.noun"
    lines = [
        line for line in limited_text(path, "hierarchy", 200_000_000).splitlines() if line.strip()
    ]
    # The database begins with its licence in indented lines.
    entries = [line for line in lines if not line.startswith(("  ", "#"))]
    if not entries:
        raise CodeclensError(f"The hierarchy {path} is empty; pass WordNet's data.noun.")
    if " | " in entries[0] and entries[0][:8].isdigit():
        return _database(entries, path)
    return _pairs(entries, path)


def nltk_nouns() -> Taxonomy:
    """The nouns of nltk's WordNet; raises CodeclensError if nltk or its corpus is missing."""
    try:
        from nltk.corpus import wordnet
    except ImportError:
        raise CodeclensError(
            "nltk is not installed; pip install nltk, or pass WordNet's data.noun instead."
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
            "nltk has no WordNet here; run nltk.download('wordnet'), or pass WordNet's data.noun."
        ) from None
    return Taxonomy(parents, names)


def _walk(content: Any, above: str | None, path: Path) -> Iterator[tuple[str, str | None]]:
    """Every name of a tree with its parent."""
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
    # Classes may be called 0 … 9, but YAML reads no as False.
    if isinstance(name, bool) or not isinstance(name, str | int) or not str(name).strip():
        raise CodeclensError(
            f"The hierarchy {path} contains {shortened(name)}, which is not a name; put it in "
            "quotes."
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
                f'The hierarchy {path} has a line that is not in WordNet\'s format: "{line[:40]}…".'
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
                f'The hierarchy {path} has the line "{line[:60]}", which is not a pair of child '
                "and parent; separate them by a tab where names hold spaces."
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
    """WordNet's number of a noun, as in the names of ImageNet's folders."""
    return f"n{offset:08d}"


# Trees in the package, by name.
SHIPPED = {path.stem: path for path in (Path(__file__).parent / "hierarchies").glob("*.yaml")}
# Added to equal names by the labels of the zoo.
_NUMBERED = re.compile(r" \(\d+\)$")


@dataclass(frozen=True)
class Superclasses:
    """The superclasses that separate some of the given classes from others: `names`, S of them.

    `members` `(C, S)` says which classes belong to which superclass; `depth` `(S,)` counts the
    steps from the root of the whole hierarchy.
    """

    names: tuple[str, ...]
    members: Bool[np.ndarray, "class superclass"]
    depth: Int[np.ndarray, " superclass"]


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A tree of classes and their superclasses.

    `parents` maps every node to its parents (there may be several), `names` a node to its names;
    the default name is the node itself. Classes are found by node or by any name; each part of
    "tabby, tabby cat" is a name. Raises CodeclensError if a node is its own ancestor.

    >>> below = {"beagle": ["dog"], "pug": ["dog"], "dog": ["animal"], "tabby": ["animal"]}
    >>> tree = Hierarchy(below)
    >>> tree.superclasses, tree.members("dog"), tree.depth("beagle")
    (['animal', 'dog'], ['beagle', 'pug'], 2)
    >>> tree.matrix(["beagle", "tabby, tabby cat"])
    array([[ True,  True],
           [ True, False]])
    """

    parents: Mapping[str, Sequence[str]]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        above = {node: tuple(dict.fromkeys(up)) for node, up in self.parents.items()}
        for up in tuple(above.values()):
            for node in up:
                above.setdefault(node, ())
        for node in self.names:
            above.setdefault(node, ())
        if not above:
            raise CodeclensError("The hierarchy is empty; it needs a superclass with a class.")
        object.__setattr__(self, "parents", above)
        object.__setattr__(self, "names", {**{node: (node,) for node in above}, **self.names})
        self._depths  # noqa: B018  finds circles

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Hierarchy:
        """From a file of either kind: YAML if it ends in .yaml or .yml, else as `from_wordnet`.

        Without a file of that name, "imagenet" is the tree in the package: coarse kinds of the
        1,000 classes. Raises CodeclensError if the file cannot be read.

        >>> Hierarchy.from_file("imagenet").members("bear")
        ['American black bear', 'brown bear', 'ice bear', 'sloth bear']
        """
        if str(path) in SHIPPED and not Path(path).exists():
            path = SHIPPED[str(path)]
        is_yaml = Path(path).suffix.lower() in (".yaml", ".yml")
        return cls.from_yaml(path) if is_yaml else cls.from_wordnet(path)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Hierarchy:
        """A tree of nested mappings and lists of names: `animal: {dog: [beagle, pug], cat: []}`.

        A name in several places belongs to all of them. Raises CodeclensError if the file cannot be
        read or contains anything but names.
        """
        return cls(*yaml_tree(Path(path)))

    @classmethod
    def from_wordnet(cls, path: str | os.PathLike[str]) -> Hierarchy:
        """The nouns of WordNet from its database file `data.noun`, or any list "child parent".

        Nodes of WordNet are numbers such as n02123045, like ImageNet's folders. A list has one pair
        per line, separated by a tab (then names may contain spaces, and several names commas) or by
        a space. Raises CodeclensError if the file cannot be read or is neither.
        """
        return cls(*wordnet_file(Path(path)))

    @classmethod
    def from_nltk(cls) -> Hierarchy:
        """The nouns of WordNet from nltk's corpus; raises CodeclensError if either is missing."""
        return cls(*nltk_nouns())

    @cached_property
    def superclasses(self) -> list[str]:
        """The names of all nodes with children, S of them, sorted by depth and name."""
        return [self.title(node) for node in self._inner]

    def title(self, node: str) -> str:
        """The first name of a node, with the node itself if others have the same name."""
        first = self.names[node][0]
        shared = self._first_names[first] > 1 and first != node
        return f"{first} ({node})" if shared else first

    def titles(self, classes: Sequence[str]) -> list[str]:
        """The titles of classes that are nodes (such as n01440764); others stay as they are.

        >>> tree = Hierarchy({"n02": ["n01"]}, {"n01": ["fish"], "n02": ["tench", "Tinca tinca"]})
        >>> tree.titles(["n02", "Tinca tinca", "n03"])
        ['tench', 'Tinca tinca', 'n03']
        """
        return [self.title(name) if name in self.parents else name for name in classes]

    def depth(self, name: str) -> int:
        """The number of steps from the root to a class or superclass, by the longest path.

        Raises CodeclensError, with the nearest names, for an unknown name.
        """
        return self._depths[self.node(name)]

    def members(self, name: str) -> list[str]:
        """The names of the classes (nodes without children) of a superclass, sorted.

        Raises CodeclensError, with the nearest names, for an unknown name.
        """
        inner, wanted = set(self._inner), self.node(name)
        return sorted(
            self.title(node)
            for node in self.parents
            if node not in inner and wanted in self._above(node)
        )

    def matrix(self, classes: Sequence[str]) -> Bool[np.ndarray, "class superclass"]:
        """Which class belongs to which of the `superclasses`, `(C, S)`.

        Raises CodeclensError, with the nearest names, for a class that is not in the hierarchy.
        """
        place = {node: column for column, node in enumerate(self._inner)}
        table = np.zeros((len(classes), len(place)), dtype=bool)
        for row, node in enumerate(self.nodes(classes)):
            table[row, [place[up] for up in self._above(node) if up in place]] = True
        return table

    def among(self, classes: Sequence[str]) -> Superclasses:
        """The superclasses with at least two of these classes and not all of them.

        Of several with the same classes only the deepest is used.
        Raises CodeclensError as `matrix` does.

        >>> tree = Hierarchy({"pug": ["dog"], "beagle": ["dog"], "dog": ["pet"], "car": ["thing"]})
        >>> tree.among(["pug", "beagle", "car"]).names
        ('dog',)
        """
        table = self.matrix(classes)
        size = table.sum(axis=0)
        chosen: dict[bytes, int] = {}
        for column in np.flatnonzero((size > 1) & (size < len(classes))):
            chosen[table[:, column].tobytes()] = int(column)  # the last is the deepest
        columns = sorted(chosen.values())
        depth = np.array([self._depths[self._inner[column]] for column in columns], dtype=int)
        names = tuple(self.superclasses[column] for column in columns)
        return Superclasses(names, table[:, columns], depth)

    def nodes(self, classes: Sequence[str]) -> list[str]:
        """The node of each class; see `node`. One error counts all unknown classes."""
        found = [self._candidates(name) for name in classes]
        missing = [name for name, nodes in zip(classes, found, strict=True) if not nodes]
        if missing:
            more = f" ({len(missing)} of {len(classes)} classes)" if len(missing) > 1 else ""
            words = _plain(missing[0]).split(",")[0]
            error = unknown("class", words, self._by_name, "The hierarchy has")
            raise CodeclensError(f"{str(error)[:-1]}{more}.")
        return [nodes[0] for nodes in found]

    def node(self, name: str) -> str:
        """The node of that number or name: of several the one that matches most of the names.

        If several match equally, it is the first in the file; see `ambiguous`. Raises
        CodeclensError, with the nearest names, if there is none.
        """
        return self.nodes([name])[0]

    def ambiguous(self, classes: Sequence[str]) -> dict[str, list[str]]:
        """The classes whose names match several nodes equally well, with these; the first is used.

        To choose another, give the class by its node (n02012849).
        """
        found = {name: self._candidates(name) for name in classes}
        return {name: nodes for name, nodes in found.items() if len(nodes) > 1}

    def _candidates(self, name: str) -> list[str]:
        if name in self.parents:
            return [name]
        whole = _plain(_NUMBERED.sub("", name))
        parts = dict.fromkeys((whole, *(_plain(part) for part in whole.split(","))))
        votes = Counter(node for part in parts for node in self._by_name.get(part, []))
        most = max(votes.values(), default=0)
        return [node for node in votes if votes[node] == most]

    def _above(self, node: str) -> set[str]:
        """The node and all its ancestors."""
        found, waiting = {node}, [node]
        while waiting:
            new = set(self.parents[waiting.pop()]) - found
            found |= new
            waiting += new
        return found

    @cached_property
    def _inner(self) -> list[str]:
        inner = {up for ups in self.parents.values() for up in ups}
        return sorted(inner, key=lambda node: (self._depths[node], self.names[node][0], node))

    @cached_property
    def _first_names(self) -> Counter[str]:
        return Counter(self.names[node][0] for node in self.parents)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for node in self.parents:
            for name in dict.fromkeys(map(_plain, (node, *self.names[node]))):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def _depths(self) -> dict[str, int]:
        """By the longest path from a root, children after all of their parents."""
        below: dict[str, list[str]] = {node: [] for node in self.parents}
        waits = {node: len(up) for node, up in self.parents.items()}
        for node, ups in self.parents.items():
            for up in ups:
                below[up].append(node)
        depths = {node: 0 for node, count in waits.items() if not count}
        ready = list(depths)
        for node in ready:
            for child in below[node]:
                depths[child] = max(depths.get(child, 0), depths[node] + 1)
                waits[child] -= 1
                if not waits[child]:
                    ready.append(child)
        if len(ready) < len(self.parents):
            circle = next(node for node, count in waits.items() if count)
            raise CodeclensError(
                f'"{self.names[circle][0]}" is in or below a circle of superclasses; '
                "a class cannot be its own superclass."
            )
        return depths


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())
