"""The front end in a notebook: a widget, which shows a page or asks Python for views."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from codeclens.errors import CodeclensError
from codeclens.pages.front_end import SCRIPT

Answer = Callable[[Any], dict[str, Any]]


def widget(
    *, document: Mapping[str, Any] | None = None, about: Mapping[str, Any] | None = None,
    answer: Answer | None = None,
) -> Any:  # fmt: skip
    """A widget for Jupyter, VS Code, Colab and marimo.

    It shows a `document` (`Page.data()`), or the explorer, whose questions Python answers: `about`
    says what there is, and `answer` maps a message of the browser to the answer. Raises
    CodeclensError where anywidget is not installed.
    """
    return _class()(document=dict(document or {}), about=dict(about or {}), answer=answer)


def bundle_of(
    document: Mapping[str, Any], html: Callable[[], str], text: str, options: Mapping[str, Any]
) -> Any:
    """What a notebook shows of a document: the widget, and `html` where widgets are not shown.

    A terminal shows the `text`.
    """
    if "IPython" in sys.modules and "ipykernel" not in sys.modules:
        return {"text/plain": text}
    plain = {"text/plain": text, "text/html": html()}
    try:
        shown = widget(document=document)
    except CodeclensError:
        return plain
    found = shown._repr_mimebundle_(**options)
    data, metadata = found if isinstance(found, tuple) else (found, {})
    return plain | dict(data or {}), metadata


@cache
def _class() -> Any:
    # Made on first use: anywidget is part of an extra.
    try:
        import anywidget
        import traitlets
    except ModuleNotFoundError as error:
        raise CodeclensError(
            f'A widget needs {error.name}: pip install "codeclens[explorer]".'
        ) from None

    class FrontEndWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
        """The widget; `answer` is what Python says to a message."""

        _esm = SCRIPT
        about = traitlets.Dict().tag(sync=True)
        document = traitlets.Dict().tag(sync=True)

        def __init__(
            self, *, document: dict[str, Any], about: dict[str, Any], answer: Answer | None
        ) -> None:
            super().__init__(document=document, about=about)
            self.answer = answer
            if answer is not None:
                self.on_msg(lambda _, message, buffers: self.send(answer(message)))

    return FrontEndWidget
