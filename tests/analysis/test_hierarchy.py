"""Hierarchies from every kind of file, and what they say of ImageNet's kind of class names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from codeclens import Hierarchy
from codeclens.errors import CodeclensError

TREE = """
animal:
  dog: [beagle, pug]
  cat:
    - tabby
    - tiger cat
pet: [pug, tabby]
0: [1, 2]
"""

# Lines as WordNet's data.noun has them: a licence, then offset, file, kind, words, pointers, gloss.
WORDNET = """\
  1 This software and database is being provided to you, the LICENSEE, by
  2 Princeton University under the following license.
00001740 03 n 01 entity 0 002 ~ 00015388 n 0000 ~ 00003553 n 0000 | that which exists
00003553 03 n 02 whole 0 unit 0 001 @ 00001740 n 0000 | an assemblage | of parts
00015388 05 n 03 animal 0 beast 0 brute 1 002 @ 00001740 n 0000 ~ 02084071 n 0000 | a living thing
02084071 05 n 02 dog 0 domestic_dog 0 001 @ 00015388 n 0000 | a member of the genus Canis
02012849 05 n 01 crane 4 001 @ 00015388 n 0000 | large long-necked wading bird
03126707 06 n 01 crane 0 001 @ 00003553 n 0000 | lifts and moves heavy objects
02123045 05 n 02 tabby 0 tabby_cat 0 002 @ 00015388 n 0000 + 00015388 v 0101 | a cat with stripes
02110958 05 n 0a pug 0 pug-dog 0 a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 001 @i 02084071 n 0000 | a dog
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_tree_in_yaml(tmp_path: Path) -> None:
    tree = Hierarchy.from_yaml(written(tmp_path, "tree.yaml", TREE))
    assert tree.superclasses == ["0", "animal", "pet", "cat", "dog"]
    assert tree.members("animal") == ["beagle", "pug", "tabby", "tiger cat"]
    assert tree.members("pet") == ["pug", "tabby"]
    assert [tree.depth(name) for name in ("animal", "dog", "beagle")] == [0, 1, 2]
    found = tree.matrix(["pug", "tabby, tabby cat", "2"])
    assert found.astype(int).tolist() == [[0, 1, 1, 0, 1], [0, 1, 1, 1, 0], [1, 0, 0, 0, 0]]
    assert Hierarchy.from_file(tmp_path / "tree.yaml").superclasses == tree.superclasses


def test_wordnets_own_file(tmp_path: Path) -> None:
    path = written(tmp_path, "data.noun", WORDNET)
    for tree in (Hierarchy.from_wordnet(path), Hierarchy.from_wordnet(tmp_path)):
        assert tree.superclasses == ["entity", "animal", "whole", "dog"]
        assert tree.members("animal") == ["crane (n02012849)", "pug", "tabby"]
        assert tree.depth("n02110958") == 3  # by an instance's pointer, after ten words
        assert tree.nodes(["tabby, tabby cat", "Pug-dog", "domestic dog"]) == [
            "n02123045", "n02110958", "n02084071",
        ]  # fmt: skip
        # A class that lies above others is a member of itself.
        assert tree.matrix(["dog", "pug", "tabby"])[:, 3].tolist() == [True, True, False]


def test_names_of_several_nodes_are_reported(tmp_path: Path) -> None:
    tree = Hierarchy.from_wordnet(written(tmp_path, "data.noun", WORDNET))
    names = ["crane", "crane (517)", "tabby", "n03126707"]
    both = ["n02012849", "n03126707"]
    assert tree.ambiguous(names) == {"crane": both, "crane (517)": both}
    assert tree.nodes(names) == ["n02012849", "n02012849", "n02123045", "n03126707"]


@pytest.mark.parametrize(
    "text",
    ["pug dog\nbeagle dog\ndog animal\n", "pug, pug-dog\tdog\nbeagle\tdog\ndog\tanimal\n# end\n"],
    ids=["spaces", "tabs"],
)
def test_a_list_of_pairs(tmp_path: Path, text: str) -> None:
    tree = Hierarchy.from_wordnet(written(tmp_path, "is_a.txt", text))
    assert tree.superclasses == ["animal", "dog"]
    assert tree.members("animal") == ["beagle", "pug"]
    assert tree.matrix(["pug", "beagle"]).all()
    assert Hierarchy.from_file(tmp_path / "is_a.txt").superclasses == tree.superclasses


def test_only_superclasses_that_distinguish_classes(tmp_path: Path) -> None:
    tree = Hierarchy.from_yaml(
        written(tmp_path, "t.yaml", "all: {thing: {vehicle: {car: [cab, van]}, tool: [saw]}}")
    )
    found = tree.among(["cab", "saw", "van"])
    # "vehicle" and "car" hold the same; "thing" and "all" everything, "tool" a single one.
    assert found.names == ("car",)
    assert found.members.tolist() == [[True], [False], [True]]
    assert found.depth.tolist() == [3]
    nothing = tree.among(["cab", "saw"])
    assert nothing.names == ()
    assert nothing.members.shape == (2, 0)


def test_the_longest_way_is_the_depth() -> None:
    tree = Hierarchy({"c": ["b", "a"], "b": ["a"], "d": ["c", "a"]})
    assert [tree.depth(name) for name in "abcd"] == [0, 1, 2, 3]


def test_unknown_classes_are_reported_in_one_sentence(tmp_path: Path) -> None:
    tree = Hierarchy.from_yaml(written(tmp_path, "tree.yaml", TREE))
    with pytest.raises(CodeclensError, match=r'no class "beagel"; the nearest names are "beagle"'):
        tree.matrix(["beagel", "pug"])
    with pytest.raises(CodeclensError, match=r'"xyz".*\(2 of 3 classes\)\.'):
        tree.among(["pug", "xyz", "uvw"])
    with pytest.raises(CodeclensError, match='no class "dgo"'):
        tree.members("dgo")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[beagle, pug]", "has no superclass with classes"),
        ("dog: [yes]", "contains True, which is not a name; put it in quotes"),
        ("dog: [1.5]", "contains 1.5"),
        ("dog: [", "is not valid YAML"),
        ("dog: {dog: [pug]}", '"dog" is in or below a circle'),
        ("dog: &a [pug, *a]", "uses the alias"),
    ],
)
def test_bad_yaml_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        Hierarchy.from_yaml(written(tmp_path, "bad.yaml", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b c\n", 'the line "a b c", which is not a pair'),
        ("a\t\n", "which is not a pair"),
        ("\n", "is empty"),
        (WORDNET + "00000009 03 n zz broken | gloss\n", "not in WordNet's"),
        ("a b\nb a\n", "circle"),
    ],
)
def test_bad_lists_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CodeclensError, match=message):
        Hierarchy.from_wordnet(written(tmp_path, "bad", text))


def test_files_that_are_not_there_are_one_sentence(tmp_path: Path) -> None:
    for read in (Hierarchy.from_yaml, Hierarchy.from_wordnet):
        with pytest.raises(CodeclensError, match="There is no hierarchy"):
            read(tmp_path / "none.yaml")
    (tmp_path / "latin").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(CodeclensError, match="is not text in UTF-8"):
        Hierarchy.from_wordnet(tmp_path / "latin")
    with pytest.raises(CodeclensError, match="is empty"):
        Hierarchy({})


class Synset:
    """What nltk calls a synset: as much of it as is looked at."""

    def __init__(self, offset: int, names: list[str], above: list[Synset], instance: bool) -> None:
        self.offset = lambda: offset
        self.lemma_names = lambda: names
        self.hypernyms = lambda: [] if instance else above
        self.instance_hypernyms = lambda: above if instance else []


def pretend(monkeypatch: pytest.MonkeyPatch, all_synsets: object) -> None:
    corpus = ModuleType("nltk.corpus")
    corpus.wordnet = SimpleNamespace(all_synsets=all_synsets)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nltk", ModuleType("nltk"))
    monkeypatch.setitem(sys.modules, "nltk.corpus", corpus)


def test_nltks_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    dog = Synset(2084071, ["dog", "domestic_dog"], [], instance=False)
    pug = Synset(2110958, ["pug"], [dog], instance=False)
    laika = Synset(99, ["Laika"], [dog], instance=True)
    pretend(monkeypatch, lambda kind: [dog, pug, laika] if kind == "n" else [])
    tree = Hierarchy.from_nltk()
    assert tree.superclasses == ["dog"]
    assert tree.members("domestic dog") == ["Laika", "pug"]
    assert tree.node("pug") == "n02110958"


def test_without_nltk_or_its_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(kind: str) -> list[Synset]:
        raise LookupError(f"no corpus for {kind}")

    pretend(monkeypatch, missing)
    with pytest.raises(CodeclensError, match=r"nltk\.download"):
        Hierarchy.from_nltk()
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    with pytest.raises(CodeclensError, match="nltk is not installed"):
        Hierarchy.from_nltk()


def test_the_matrix_holds_for_a_wordnet_of_thousands() -> None:
    random = np.random.default_rng(0)
    parents = {f"n{i:08d}": [f"n{int(random.integers(i)):08d}"] for i in range(1, 20_000)}
    tree = Hierarchy(parents)
    leaf = f"n{19_999:08d}"
    above, node = set(), leaf
    while node in parents:
        node = parents[node][0]
        above.add(node)
    row = tree.matrix([leaf])[0]
    assert {tree.superclasses[i] for i in np.flatnonzero(row)} == above
