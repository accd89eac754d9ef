"""Locks: which process may write to a store, or to one of its shards."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from codeclens.errors import CodeclensError

_TAKEN = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}


class Lock:
    """A lock on `file`, which is created if missing; the system releases it if this process dies.

    Several processes may hold a `shared` lock at once, which excludes exclusive ones. Unless
    `kept`, the file is deleted on leaving the `with`. Raises CodeclensError if another process has
    the lock, unless `wait`; `what` says in the message what that process is writing.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "lock")
    >>> with Lock(file, "the store"):
    ...     Lock(file, "the store")
    Traceback (most recent call last):
    codeclens.errors.CodeclensError: Another process is writing the store (process ... on ...); ...
    """

    def __init__(
        self,
        file: Path,
        what: str,
        *,
        shared: bool = False,
        wait: bool = False,
        kept: bool = True,
    ) -> None:
        self.file = file
        self.what = what
        self.shared = shared
        self.kept = kept
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        stream = self._taken(mode)
        while stream is None:
            # The previous owner deleted the file.
            stream = self._taken(mode)
        self._stream = stream
        if not shared:
            self._say(f"process {os.getpid()} on {socket.gethostname()}")

    def alone(self) -> bool:
        """Turn a shared lock into an exclusive one, and return whether that succeeded.

        Call it last: if another process has the lock, this one is released.
        """
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.kept:
            self.file.unlink(missing_ok=True)
        elif not self.shared:
            # Leave no host name in a finished store.
            self._say("")
        self._stream.close()

    def _taken(self, mode: int) -> BinaryIO | None:
        """The locked file, or None if another file has its name by now."""
        try:
            stream = self.file.open("a+b")
        except FileNotFoundError:
            raise CodeclensError(
                f'"{self.file.parent}" was removed in the meantime; run the same again.'
            ) from None
        try:
            fcntl.flock(stream, mode)
            if os.fstat(stream.fileno()).st_ino == self.file.stat().st_ino:
                return stream
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _TAKEN:
                stream.close()
                raise
            owner = self._owner(stream)
            stream.close()
            raise CodeclensError(
                f"Another process is writing {self.what} ({owner}); "
                "wait until it is done, or choose another path."
            ) from None
        stream.close()
        return None

    def _owner(self, stream: BinaryIO) -> str:
        stream.seek(0)
        return stream.read(200).decode(errors="replace") or "unknown process"

    def _say(self, text: str) -> None:
        self._stream.truncate(0)
        self._stream.write(text.encode())
        self._stream.flush()
