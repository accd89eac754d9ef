"""Samples of text: the lines of a file, or a field of JSON lines, as token ids of one length."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from codeclens.attribution import Inputs
from codeclens.errors import CodeclensError, in_one_line, require_number, unknown
from codeclens.extraction.data import SampleSource, stratified
from codeclens.extraction.fingerprint import digest
from codeclens.text import saved_tokenizer

# A function from a text to its token ids; a tokenizer of transformers is one, too.
Tokenizer = Callable[[str], Any]
# So much of a text is part of the key of its sample.
_SHOWN = 200


class TextLines(SampleSource):
    """Texts as token ids: a list, the lines of a file, or one `field` of a JSON-lines file.

    `tokenizer` is a function from a text to a list of token ids, a tokenizer of transformers, or
    the folder of a saved one. All samples are padded to the longest with the id `padding`, at the
    end, and the model gets an `attention_mask`. `most` shortens longer texts to so many tokens. The
    key of a sample is the number of its line with its text, so that exemplars can be read. In JSON
    lines, `label` is the field of the label: a whole number, or a name, numbered as in `classes` or
    in alphabetical order. Empty lines are left out. `limit` keeps so many lines, drawn at random
    with `seed`, from every label its share.

    Raises CodeclensError for a file that cannot be read or has no text, for a line without the
    field, for a label that is none of the classes, and for a tokenizer that does not return token
    ids.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "lines.txt")
    >>> _ = file.write_text("a cat\\na dog barks\\n")
    >>> words = ["", "a", "cat", "dog", "barks"]
    >>> lines = TextLines(file, lambda text: [words.index(word) for word in text.split()])
    >>> lines.key(1), lines.load(0).image.values["input_ids"]
    ('2: a dog barks', tensor([[1, 2, 0]]))
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Sequence[str],
        tokenizer: Tokenizer | str | os.PathLike[str],
        *,
        field: str | None = None,
        label: str | None = None,
        classes: Sequence[str] | None = None,
        padding: int | None = None,
        most: int | None = None,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        if most is not None:
            require_number("most", most, least=1, whole=True)
        if isinstance(path, str | os.PathLike):
            self.path = Path(path)
            content = _content(self.path)
        else:
            self.path = Path("texts")
            content = [str(text) for text in path]
        self.tokenizer = tokenizer if callable(tokenizer) else saved_tokenizer(tokenizer)
        lines, found = _lines(self.path, content, field, label)
        self.classes, labels = _numbered(found, classes)
        kept = stratified(labels, limit, seed)
        self.lines = [lines[row] for row in kept]
        self.labels = [labels[row] for row in kept]
        self.ids = [self._ids(number, text)[:most] for number, text in self.lines]
        if padding is None:
            padding = getattr(self.tokenizer, "pad_token_id", None) or 0
        self.padding = int(padding)
        self.length = max(map(len, self.ids))

    def __len__(self) -> int:
        return len(self.lines)

    def __repr__(self) -> str:
        return f"TextLines({str(self.path)!r}: {len(self)} texts of up to {self.length} tokens)"

    def key(self, index: int) -> str:
        number, text = self.lines[index]
        short = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
        return f"{number}: {short}"

    def label(self, index: int) -> int:
        return self.labels[index]

    def words(self, index: int) -> list[str]:
        """The tokens of a sample as text, with padding as empty text; ids if nothing decodes them.

        >>> TextLines(["a b", "c"], lambda text: [ord(word) for word in text.split()]).words(1)
        ['99', '']
        """
        decode = getattr(self.tokenizer, "decode", None)
        found = [
            str(decode([token])) if callable(decode) else str(token) for token in self.ids[index]
        ]
        return [*found, *[""] * (self.length - len(found))]

    def read(self, index: int) -> tuple[Any, Any]:
        ids = self.ids[index]
        rest = self.length - len(ids)
        values = {
            "input_ids": torch.tensor([[*ids, *[self.padding] * rest]]),
            "attention_mask": torch.tensor([[1] * len(ids) + [0] * rest]),
        }
        return Inputs.of(values), self.labels[index]

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "text",
            "samples": len(self),
            "texts": digest([repr(self.lines).encode()]),
            "labels": digest([str(self.labels).encode()]),
            "tokens": digest([repr((self.ids, self.padding)).encode()]),
            "transform": getattr(self.tokenizer, "__qualname__", type(self.tokenizer).__name__),
        }

    def _ids(self, number: int, text: str) -> list[int]:
        given = self.tokenizer(text)
        ids = given["input_ids"] if hasattr(given, "keys") else given
        try:
            found = [int(token) for token in ids]
        except (TypeError, ValueError):
            found = []
        if not found:
            raise CodeclensError(
                f'The tokenizer gives {type(given).__name__} for line {number} of "{self.path}"; '
                "it must return a list of one token id or more."
            )
        return found


def _content(path: Path) -> list[str]:
    try:
        # Lines end as in a text editor: texts may hold other separators.
        return re.split(r"\r\n|\n|\r", path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CodeclensError(f'"{path}" cannot be read as text ({in_one_line(error)}).') from error


def _lines(
    path: Path, content: Sequence[str], field: str | None, label: str | None
) -> tuple[list[tuple[int, str]], list[Any]]:
    """The numbered texts that are not empty, and their labels (None if unknown)."""
    if label is not None and field is None:
        raise CodeclensError('Labels are a field of JSON lines; pass field="NAME" of the text too.')
    texts: list[tuple[int, str]] = []
    labels: list[Any] = []
    for number, line in enumerate(content, start=1):
        if not line.strip():
            continue
        text, own = (line, None) if field is None else _fields(path, number, line, field, label)
        if text.strip():
            texts.append((number, text))
            labels.append(own)
    if not texts:
        raise CodeclensError(f'"{path}" has no text; write one sample in each line.')
    return texts, labels


def _fields(path: Path, number: int, line: str, field: str, label: str | None) -> tuple[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise CodeclensError(f'Line {number} of "{path}" is not a JSON object.')
    for name in filter(None, (field, label)):
        if name not in row:
            raise unknown("field", name, row, f'Line {number} of "{path}" has')
    if not isinstance(row[field], str):
        raise CodeclensError(f'The field "{field}" of line {number} of "{path}" is not a text.')
    return row[field], None if label is None else row[label]


def _numbered(
    labels: Sequence[Any], classes: Sequence[str] | None
) -> tuple[list[str] | None, list[int]]:
    """The names of the classes, if they are known, and their numbers; −1 if unknown."""
    known = None if classes is None else list(classes)
    if all(label is None for label in labels):
        return known, [-1] * len(labels)
    if all(isinstance(label, int) and not isinstance(label, bool) for label in labels):
        return known, [int(label) for label in labels]
    names = sorted({str(label) for label in labels}) if known is None else known
    strange = next((str(label) for label in labels if str(label) not in names), None)
    if strange is not None:
        raise unknown("label", strange, names, "Among the classes there is")
    return names, [names.index(str(label)) for label in labels]
