"""Text from strangers, made safe to show on terminals, pages and figures; and tokenizers of it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codeclens.errors import CodeclensError, in_one_line

# Control characters, marks and overrides of direction, line separators, halves of surrogate pairs
# (bytes of file names that are not UTF-8), what XML does not allow, and characters of no width that
# hide text. Joiners stay, since Persian, Hindi and emoji are written with them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# Marks, joiners and spaces: a name of these alone shows nothing.
_NOTHING = frozenset(("Cf", "Mn", "Me", "Zs"))
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# How a formula begins in a spreadsheet, also in full width.
_FORMULA = tuple("=+-@＝＋－＠")


def visible(text: object, keep: str = "") -> str:
    r"""Text whose control, direction and undecodable characters are written as escapes.

    Characters in `keep` stay.

    >>> visible("red\x1b[31m\u202e\n"), visible("caf\udce9")
    ('red\\x1b[31m\\u202e\\n', 'caf\\xe9')
    """

    def escaped(found: re.Match[str]) -> str:
        character = found[0]
        if character in keep:
            return character
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as Python reads file names
            code -= 0xDC00
        written = f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
        return _NAMED.get(character) or (f"\\x{code:02x}" if code < 256 else written)

    return _UNSAFE.sub(escaped, str(text))


def class_labels(names: Sequence[object]) -> list[str]:
    r"""Names of classes as all files and figures show them: visible, not empty, each only once.

    A name that several classes have gets the number of the class. Letters with accents are composed
    (NFC), since some systems decompose them in the names of folders.

    >>> class_labels(["cat", "dog", "cat", "", "a\tb"])
    ['cat (0)', 'dog', 'cat (2)', 'class 3', 'a\\tb']
    """
    shown = [_named(name) or f"class {place}" for place, name in enumerate(names)]
    while True:
        taken = Counter(shown)
        if len(taken) == len(shown):
            return shown
        shown = [
            f"{name} ({place})" if taken[name] > 1 else name for place, name in enumerate(shown)
        ]


def composed(text: str) -> str:
    r"""Text whose letters with accents are single characters, as most keyboards write them.

    >>> composed("cafe\u0301") == "caf\xe9"
    True
    """
    return unicodedata.normalize("NFC", text)


def _named(name: object) -> str:
    text = composed(visible(name)).strip()
    return "" if all(unicodedata.category(one) in _NOTHING for one in text) else text


def table_cell(value: Any) -> Any:
    """A value as a cell of a CSV file, in which no text can become a formula of a spreadsheet.

    Numbers stay numbers; text that begins like a formula gets an apostrophe in front.

    >>> [table_cell(value) for value in (-0.5, "-0.5", "=1+1", "@x", "café")]
    [-0.5, '-0.5', "'=1+1", "'@x", 'café']
    """
    if not isinstance(value, str):
        return value
    shown = visible(value)
    if not shown.startswith(_FORMULA):
        return shown
    try:
        float(shown)
    except ValueError:
        return f"'{shown}"
    return shown


def saved_tokenizer(folder: str | os.PathLike[str]) -> Callable[[str], Any]:
    """The tokenizer that transformers saved in a folder; nothing is downloaded.

    Raises CodeclensError if there is none, or transformers is not installed.
    """
    if not Path(folder).is_dir():
        raise CodeclensError(
            f'There is no folder "{folder}"; pass the folder of a saved tokenizer, or a function '
            "from a text to token ids."
        )
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise CodeclensError(
            'The package transformers is not installed; run pip install "codeclens[hf]".'
        ) from error
    try:
        made: Callable[[str], Any] = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise CodeclensError(
            f'"{folder}" does not hold a tokenizer ({in_one_line(error)}).'
        ) from error
    return made
