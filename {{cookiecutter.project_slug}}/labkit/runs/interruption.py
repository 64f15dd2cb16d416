"""Signals that ask a process to stop: remembered at once, acted on where nothing is lost, then passed on.

The same rule fits a laptop, a sweep and a scheduler: once everything is saved, the handler from before gets the signal.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")  # SIGHUP: the terminal or the ssh session has gone
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class Interrupted(Exception):
    """Raised where everything can be saved; its text is the name of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interruption:
    """Inside its `with` block a signal is only remembered; a second Ctrl-C raises KeyboardInterrupt at once.

    When an `Interrupted` leaves the block, the signal is sent again, to the handler that was there before. A block
    inside another one starts with what the outer one has received.
    """

    def __init__(self) -> None:
        self.received: int | None = None  # the first signal
        self._ctrl_c = False
        self._before: dict[int, Any] = {}
        self._process = os.getpid()

    def check(self) -> None:
        if self.received:
            raise Interrupted(self.received)

    def __enter__(self) -> Self:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._remember)
        outer = [getattr(handler, "__self__", None) for handler in self._before.values()]
        self.received = next((o.received for o in outer if isinstance(o, Interruption) and o.received), None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if isinstance(error, Interrupted):
            sys.stdout.flush()
            sys.stderr.flush()
            signal.raise_signal(error.number)

    def _remember(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker of a DataLoader inherits the handler; its parent ends it
            return
        if number == signal.SIGINT:
            # torchrun passes on a Ctrl-C that the terminal has already sent to this process.
            if self._ctrl_c and "TORCHELASTIC_RUN_ID" not in os.environ:
                raise KeyboardInterrupt
            self._ctrl_c = True
        self.received = self.received or number


def end_with_parent() -> None:
    """Ends this process when torchrun is killed with -9: it would go on, or wait for the others for ever."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.name == "posix":
        threading.Thread(target=watch, daemon=True).start()
