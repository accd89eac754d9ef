"""The errors and warnings that codeclens raises on purpose."""

from __future__ import annotations


class CodeclensError(ValueError):
    """Something the user handed over cannot be used; the message says in a sentence what to do.

    The command line prints the message alone and exits with code 2.
    """


class CompletenessWarning(UserWarning):
    """Contributions of a cut miss the change of the target, or a tolerance was not reached."""
