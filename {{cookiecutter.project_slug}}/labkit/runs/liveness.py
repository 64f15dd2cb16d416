"""Whether a run that calls itself running still is.

Its process can be looked up on the host where it runs. From another host there is only its heartbeat, and the clocks of
two hosts may differ.
"""

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HEARTBEAT_TIMEOUT_S = 60.0  # a run writes its state about every 5 s


def sign_of_death(path: str, state: dict[str, Any]) -> str:
    """Why the run of this state.json, at `path`, is dead; empty if it is alive."""
    now = time.time()
    heartbeat = state["heartbeat"]
    # Windows has no harmless signal to ask with: there os.kill(pid, 0) would interrupt the run.
    if os.name == "posix" and state["host"] == socket.gethostname():
        if is_alive(state["pid"], now - heartbeat):
            return ""
        return f"its process {state['pid']} is gone, last sign of life {_clock(heartbeat)}"
    signs = [heartbeat]
    with suppress(OSError):
        signs.append(os.stat(path).st_mtime)  # by the clock of the file server
    # A sign from the future says nothing, unless both are: then it is the clock here that is wrong.
    last = max((sign for sign in signs if sign < now + HEARTBEAT_TIMEOUT_S), default=now)
    return f"no sign of life on {state['host']} since {_clock(last)}" if now - last > HEARTBEAT_TIMEOUT_S else ""


def is_alive(pid: int, silent_s: float) -> bool:
    """Whether the process that wrote a heartbeat that long ago is alive; another one may have its number by now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        pass
    if sys.platform == "linux":
        with suppress(OSError):
            status, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[18]) / os.sysconf("SC_CLK_TCK")
            return status not in "ZX" and age_s > silent_s - 1  # Z: killed, but its parent has not noticed yet
    return silent_s < 60 * HEARTBEAT_TIMEOUT_S  # after an hour of silence the number belongs to another process


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
