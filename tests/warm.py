"""A process that has imported the libraries of a run, and forks one for each command of a project.

Importing them takes longer than most runs of these tests. What runs is the project's own code as it lies there, read
anew, in a process with a number, a session, an environment and files of its own. Linux only.
"""

import atexit
import functools
import gc
import json
import multiprocessing.process
import os
import runpy
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LIBRARIES = ["torch._dynamo", "torch.optim", "torch.utils.data", "hydra.core.plugins", "numpy", "yaml", "filelock"]
SITE = Path(__file__).parent / "at_event" / "sitecustomize.py"
LARGEST = 2**18


class Warm:
    """The process, as the tests see it."""

    def __init__(self) -> None:
        self._channel, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [sys.executable, __file__, str(other_end.fileno())]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
        self._process = subprocess.Popen(
            words, pass_fds=[other_end.fileno()], stdin=subprocess.DEVNULL, env=environment
        )
        other_end.close()

    def close(self) -> None:
        self._channel.close()
        self._process.wait()

    def start(self, words: list[str], cwd: Path, files: list[int], environment: dict[str, str]) -> "Forked":
        """`words`: a script and its arguments; `files`: what becomes its standard input, output and error."""
        about = {"words": words, "cwd": str(cwd), "environment": environment}
        socket.send_fds(self._channel, [json.dumps(about).encode()], files)
        return Forked(int(self._channel.recv(LARGEST)), self)

    def status_of(self, pid: int) -> int:
        """Of a process that has ended, as subprocess tells it."""
        self._channel.send(str(pid).encode())
        return int(self._channel.recv(LARGEST))


class Forked:
    """As a subprocess.Popen."""

    def __init__(self, pid: int, warm: Warm) -> None:
        self.pid = pid
        self._warm = warm
        self._descriptor = os.pidfd_open(pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        if self._status is None and select.select([self._descriptor], [], [], 0)[0]:
            self._status = self._warm.status_of(self.pid)
            os.close(self._descriptor)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        if self._status is None and not select.select([self._descriptor], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        status = self.poll()
        assert status is not None
        return status


@functools.cache
def warm() -> Warm | None:
    """One for all tests of this process; None where the system cannot wait for a process that is no child."""
    if not hasattr(os, "pidfd_open"):
        return None
    process = Warm()
    atexit.register(process.close)
    return process


def serve(channel: socket.socket) -> dict[str, Any]:
    """Returns in each process that it forks: what that is to be."""
    for name in LIBRARIES:
        __import__(name)
    gc.freeze()
    while True:
        asked, files, *_ = socket.recv_fds(channel, LARGEST, 3)
        if not asked:  # whoever asked is gone
            os._exit(0)
        if not files:
            channel.send(str(os.waitstatus_to_exitcode(os.waitpid(int(asked), 0)[1])).encode())
            continue
        pid = os.fork()
        if not pid:
            channel.close()
            os.setsid()
            for number, file in enumerate(files):
                os.dup2(file, number)
            os.closerange(3, max(files) + 1)
            return json.loads(asked)
        for file in files:
            os.close(file)
        channel.send(str(pid).encode())


def become(words: list[str], cwd: str, environment: dict[str, str]) -> None:
    """Runs `python <words>` there."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another one
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = words
    # From where its own children would look for the script.
    multiprocessing.process.ORIGINAL_DIR = cwd  # pyright: ignore[reportAttributeAccessIssue]
    paths = environment.get("PYTHONPATH", "").split(os.pathsep) if environment.get("PYTHONPATH") else []
    sys.path[:1] = [str(Path(words[0]).resolve().parent), *paths]
    if str(SITE.parent) in paths:
        runpy.run_path(str(SITE))
    runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    become(**serve(socket.socket(fileno=int(sys.argv[1]))))
