"""Python imports this file by itself where its folder is on PYTHONPATH. It meets a process with its fault at an exact
event: FAULT is {"events": [[event, pattern of the path, how often], ...], "action": ..., "folder": ...} as JSON, and
"process", a pattern of its command, where another one starts it.

Events, each counted once the one before it has come: "rename" (to the path), "write" (a file is opened to be written),
"remove", "any" (of these), "read" (a file is opened to be read), "said" (in the run's log).
CLOCK_OFF_S turns the clock.
"""

import json
import logging
import os
import re
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

PLACES = {"os.rename": 1, "os.link": 1, "os.remove": 0, "open": 0}  # of the path among an audit event's arguments


def watch(events: list[list[Any]], action: str, folder: Path) -> None:
    process, seen = os.getpid(), 0
    handle = logging.Logger.handle

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event in PLACES:
            on(kind_of(event, arguments), str(arguments[PLACES[event]]))

    def on_record(self: logging.Logger, record: logging.LogRecord) -> None:
        handle(self, record)
        on("said", record.getMessage())

    def on(kind: str, about: str) -> None:
        nonlocal seen
        if not events or os.getpid() != process:
            return
        wanted, pattern, times = events[0]
        if kind in ((wanted,) if wanted != "any" else KINDS) and re.search(pattern, about):
            seen += 1
            if seen == times:
                events.pop(0)
                seen = 0
                if not events:
                    ACTIONS[action](folder)

    sys.addaudithook(on_event)
    logging.Logger.handle = on_record


KINDS = ("rename", "write", "remove")


def kind_of(event: str, arguments: tuple[Any, ...]) -> str:
    if event == "open":
        return "write" if arguments[2] & (os.O_WRONLY | os.O_RDWR) else "read"
    return "remove" if event == "os.remove" else "rename"


def kill(_: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hold(folder: Path) -> None:
    """As a file system does that does not answer for a while; every other thread goes on."""
    (folder / "held").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)


def wait(folder: Path) -> None:
    """For a signal, which meets the process there for certain."""
    heard, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = signal.set_wakeup_fd(wakes)
    (folder / "held").touch()
    select.select([heard], [], [])
    signal.set_wakeup_fd(before)


def limit(_: Path) -> None:
    """No file may grow beyond 16 KiB from now on, as under `ulimit -f`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, 2**14))


def tear(folder: Path) -> None:
    """The process dies within the write that reaches 16 KiB: the system itself kills it there."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    limit(folder)


ACTIONS = {"kill": kill, "hold": hold, "wait": wait, "limit": limit, "tear": tear}


def turn_clock(seconds: float) -> None:
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + seconds
    time.time_ns = lambda: right_ns() + int(seconds * 1e9)


fault = json.loads(os.environ.get("FAULT", "{}"))
if fault and re.search(fault.get("process", ""), " ".join(sys.argv)):
    del os.environ["FAULT"]  # processes that this one starts are spared
    watch(fault["events"], fault["action"], Path(fault["folder"]))
if "CLOCK_OFF_S" in os.environ:
    turn_clock(float(os.environ["CLOCK_OFF_S"]))
