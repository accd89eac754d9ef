"""Errors and warnings that codeclens raises on purpose, and the sentences that recur in them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class CodeclensError(ValueError):
    """Something the user handed over cannot be used; the message says in a sentence what to do.

    The command line prints the message alone and exits with code 2.
    """


class CompletenessWarning(UserWarning):
    """Contributions of a cut miss the change of the target, or a tolerance was not reached."""


def shortened(value: Any, most: int = 80) -> str:
    """A value as it stands in a message: its `repr`, cut to `most` characters.

    >>> shortened("a" * 100, 12)
    "'aaaaaaaaaa…"
    """
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def in_one_line(error: BaseException, most: int = 200) -> str:
    """The message of another library's error in one line, without its end mark, cut to `most`.

    >>> in_one_line(OSError("no\\n space.")), in_one_line(KeyError())
    ('no space', 'KeyError')
    """
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 1]}…"


@contextmanager
def as_sentence(sentence: str) -> Iterator[None]:
    """Any error of reading a foreign file as a CodeclensError: the sentence and, why, in brackets.

    Readers of foreign formats raise errors of a dozen kinds for damaged files.

    >>> with as_sentence('"a.npz" cannot be read'):
    ...     raise RecursionError("too deep")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: "a.npz" cannot be read (too deep).
    """
    try:
        yield
    except CodeclensError:
        raise
    except Exception as error:
        raise CodeclensError(f"{sentence} ({in_one_line(error)}).") from error


def nearest(name: object, known: Iterable[str], count: int = 3) -> str:
    """The known names nearest to one that is not known, quoted, in a list for a message.

    >>> nearest("layer3", ["layer1", "layer2", "fc"], 2)
    '"layer2", "layer1"'
    """
    names = [str(one) for one in known]
    found = difflib.get_close_matches(str(name), names, n=count, cutoff=0.0) or names[:count]
    return ", ".join(f'"{_short(one)}"' for one in found)


def _short(name: str, most: int = 80) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def unknown(
    what: str, name: object, known: Iterable[str], where: str = "There is"
) -> CodeclensError:
    """The error for a name that nothing has, with the nearest names that something has.

    `where` begins the sentence: "There is", "The store has".

    >>> print(unknown("site", "layer9", ["layer1", "fc"], "The store has"))
    The store has no site "layer9"; the nearest names are "layer1", "fc".
    """
    names = [str(one) for one in known]
    asked = _short(str(name))
    if not names:
        return CodeclensError(f'{where} no {what} "{asked}", nor any other.')
    near = nearest(name, names)
    verb = "the nearest name is" if "," not in near else "the nearest names are"
    return CodeclensError(f'{where} no {what} "{asked}"; {verb} {near}.')


def require_number(
    name: str,
    value: Any,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    whole: bool = False,
    hint: str = "",
) -> None:
    """Raise CodeclensError unless `value` is a finite number within the bounds.

    `least` and `most` belong to the range, `above` and `below` do not. `hint` ends the sentence.

    >>> require_number("share", 0.5, above=0, most=1)
    >>> try:
    ...     require_number("share", 95, above=0, most=1, hint="95 % is 0.95")
    ... except CodeclensError as error:
    ...     print(error)
    share (=95) must be above 0 and at most 1; 95 % is 0.95.
    """
    number = isinstance(value, int | float) or hasattr(value, "__float__")
    if number and not isinstance(value, bool | str) and math.isfinite(float(value)):
        inside = least <= value <= most and above < value < below
        if inside and (not whole or float(value).is_integer()):
            return
    bounds = [
        *([f"above {above:g}"] if above > -math.inf else []),
        *([f"at least {least:g}"] if least > -math.inf else []),
        *([f"at most {most:g}"] if most < math.inf else []),
        *([f"below {below:g}"] if below < math.inf else []),
    ]
    kind = "a whole number" if whole else "a number" if not bounds else ""
    must = " ".join(part for part in (kind, " and ".join(bounds)) if part)
    end = f"; {hint}" if hint else ""
    raise CodeclensError(f"{name} (={shortened(value)}) must be {must}{end}.")


def wrong_shape(name: str, shape: Iterable[int], wanted: str, hint: str = "") -> CodeclensError:
    """The error for an array of another shape than is needed.

    >>> print(wrong_shape("responses", (3, 4), "(samples, 8)", "a column for each cell"))
    responses has shape (3, 4); it must be (samples, 8): a column for each cell.
    """
    end = f": {hint}" if hint else ""
    got = "(" + ", ".join(str(int(size)) for size in shape) + ")"
    return CodeclensError(f"{name} has shape {got}; it must be {wanted}{end}.")


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun in the singular or plural.

    >>> counted(1, "site"), counted(5000, "class", "classes")
    ('1 site', '5,000 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def require_kind(what: str, value: Any, kinds: type | tuple[type, ...], hint: str) -> None:
    """Raise CodeclensError unless `value` is of one of the `kinds`; `hint` says what to pass.

    >>> try:
    ...     require_kind("modes", [1, 2], dict, "modes by site, as decompose returns them")
    ... except CodeclensError as error:
    ...     print(error)
    modes is a list; pass modes by site, as decompose returns them.
    """
    if not isinstance(value, kinds):
        name = type(value).__name__
        article = "an" if name[0] in "AEIOUaeiou" else "a"
        raise CodeclensError(f"{what} is {article} {name}; pass {hint}.")
