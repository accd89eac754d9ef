"""How targets are written: on the command line, and in the settings of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

from codeclens.attribution.dense_targets import BoxScore, Pixels, Positive
from codeclens.attribution.surprisal import Surprisal
from codeclens.attribution.targets import (
    Contrast,
    Entropy,
    Label,
    Output,
    Predicted,
    Scale,
    Sum,
    Target,
    TopKSum,
)
from codeclens.attribution.token_targets import Continuation, Token
from codeclens.errors import CodeclensError, unknown

# All targets by the names of their classes, as the settings of a store and the command line name
# them.
TARGETS: dict[str, type[Target]] = {
    target.__name__: target
    for target in (
        *(
            Predicted,
            Label,
            Output,
            TopKSum,
            Contrast,
            Sum,
            Entropy,
            Token,
            Continuation,
            Surprisal,
        ),
        *(Positive, Pixels, BoxScore),
    )
}
TARGET_FORMS = [target.form for target in TARGETS.values() if target.form]


def parse_target(text: str, of: Scale = "logits") -> Target:
    """The target that a text names on the command line, in one of `TARGET_FORMS`.

    Raises CodeclensError for an unknown name and for numbers that do not fit the target.

    >>> parse_target("output:3"), parse_target("contrast:3,5"), parse_target("entropy")
    (Output(index=3, of='logits'), Contrast(first=3, second=5, of='logits'), Entropy())
    >>> parse_target("token:-1,output:3")
    Token(position=-1, target=Output(index=3, of='logits'))
    """
    name, _, rest = text.partition(":")
    named: dict[str, Any] = {
        target.form.partition(":")[0]: target for target in TARGETS.values() if target.form
    }
    if name not in named:
        raise unknown("target", name, named)
    made = named[name]
    if made is Token:
        return _at_token(text, rest, of)
    scale = {"of": of} if any(one.name == "of" for one in fields_of(made)) else {}
    try:
        numbers: list[Any] = [int(number) for number in rest.split(",")] if rest else []
        given = [numbers] if made is Output and len(numbers) > 1 else numbers
        target: Target = made(*given, **scale)
    except CodeclensError:
        raise
    except (TypeError, ValueError):
        raise CodeclensError(f'The target "{text}" is not of the form {made.form}.') from None
    return target


def _at_token(text: str, rest: str, of: Scale) -> Token:
    """The target of a token: `token`, `token:POSITION` or `token:POSITION,TARGET`."""
    position, _, inner = rest.partition(",")
    try:
        place = int(position) if position else -1
    except ValueError:
        raise CodeclensError(f'The target "{text}" is not of the form {Token.form}.') from None
    return Token(place, parse_target(inner, of) if inner else Predicted(of))


def described_target(description: Any) -> Target | None:
    """The target that the settings of a store describe; None for a function.

    >>> described_target({"class": "Output", "index": 3, "of": "logits"})
    Output(index=3, of='logits')
    """
    if not isinstance(description, Mapping) or description.get("class") not in TARGETS:
        return None
    options: dict[str, Any] = {
        name: (described_target(value) or value) if isinstance(value, Mapping) else value
        for name, value in description.items()
        if name != "class"
    }
    return TARGETS[description["class"]](**options)
