"""What a command prints to: there may be nothing, as under cron, or nobody who reads it any more, as after `| head`."""

import errno
import io
import os
import sys
from typing import Any

NOBODY = (errno.EPIPE, errno.EIO)  # EIO: the terminal has gone


class Stream(io.TextIOWrapper):
    """Goes on in silence once nobody reads it: a run must not end for that. `unread` says that it has come to it."""

    unread = False

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._go_on(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._go_on(error)

    def _go_on(self, error: OSError) -> None:
        if error.errno not in NOBODY:
            raise error
        self.unread = True
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), self.fileno())  # what is still held back goes there as well


def keep_streams() -> None:
    """Gives this process a standard output and error that are open, and that it survives."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        stream: Any = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__"):
            continue  # something else stands in for it, as in a notebook or a test
        if stream is None:  # closed: the next file that is opened would get its number, and what is printed
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            stream = os.fdopen(number, mode, encoding="utf-8")
        if mode == "w":
            how = {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}
            stream = Stream(stream.detach(), **how)
        setattr(sys, name, stream)
