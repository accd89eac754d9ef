"""Hubs of pretrained weights, and what to do where they cannot be reached."""

from __future__ import annotations

from codeclens.errors import CodeclensError

WITHOUT_HUB = (
    'pass a weights file (weights="FILE.safetensors", on the command line --weights FILE) '
    'or take an untrained network (weights="random", --weights random)'
)


def unreachable(name: str, error: BaseException, instead: str = WITHOUT_HUB) -> CodeclensError:
    """Return the error to raise where the pretrained weights of a model cannot be had.

    >>> str(unreachable("timm:resnet18", OSError("no route to host. Retry"), "try later"))
    'The pretrained weights of "timm:resnet18" cannot be fetched from their hub (no route to host):
    check the name and the connection, or try later'
    """
    return CodeclensError(
        f'The pretrained weights of "{name}" cannot be fetched from their hub '
        f"({first_sentence(error)}): check the name and the connection, or {instead}"
    )


def hub_errors() -> tuple[type[BaseException], ...]:
    """Return what an unreachable hub raises: OSError, and httpx's own errors in newer clients."""
    try:
        import httpx
    except ImportError:
        return (OSError,)
    return (OSError, httpx.HTTPError)


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error's message, in one line.

    >>> first_sentence(ValueError("No such model.\\nSee the manual."))
    'No such model'
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(". ")[0].rstrip(".")
