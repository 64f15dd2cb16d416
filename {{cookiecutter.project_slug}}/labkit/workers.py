"""The processes that fetch batches: they end with the one that trains, and what goes wrong in them is said there."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from multiprocessing import ProcessError
from multiprocessing.queues import Queue
from typing import Any, TypeVar

from labkit.runs.interruption import SIGNALS

T = TypeVar("T")


def begin_worker(_: int) -> None:
    """A signal that goes to all processes of a run is for the one that trains, which then ends its workers. Where that
    one is killed, they end at once and in silence; torch's own watch would take five seconds."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.excepthook = lambda *_: None  # torch sends what the data set raises to the process that trains
    Queue._on_queue_feeder_error = staticmethod(_cannot_hand_over)  # pyright: ignore[reportAttributeAccessIssue]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, see prctl(2)
    trainer = multiprocessing.parent_process()
    if trainer and multiprocessing.get_start_method() != "forkserver" and os.getppid() != trainer.pid:
        os._exit(1)  # it was killed before this one could notice


def next_of(batches: Iterator[T], workers: int) -> T | None:
    """The next batch of a DataLoader with so many workers; None after the last one. ValueError where they fail."""
    try:
        return next(batches, None)
    except Exception as error:
        for worker in multiprocessing.active_children():  # Python would ask them to end, which they ignore
            worker.kill()
        if "unable to allocate shared memory" in str(error):
            raise ValueError(
                "system.loader_workers: the batches do not fit into /dev/shm, through which workers hand them over; "
                "make it larger (docker run --shm-size=2g), use fewer workers, or set it to 0"
            ) from error
        ended = isinstance(error, RuntimeError | OSError | EOFError | ProcessError)
        if not workers or not ended or str(error).startswith("Caught "):  # raised by the data set
            raise
        lost = "a process that fetches batches was killed, as by a lack of memory; the same command resumes the run"
        raise ValueError(f"system.loader_workers: {lost}") from error


def _cannot_hand_over(error: Exception, _: Any) -> None:
    """Python would print a traceback and lose the batch, for which the process that trains then waits for ever."""
    print(f"a process that fetches batches cannot hand one over: {error}", file=sys.stderr, flush=True)
    os._exit(1)
