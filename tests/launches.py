"""A sweep of chaos.py with all of its processes."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL, Signals


class Launch:
    """`python runs/train.py --multirun ...` and everything that it starts: they are one session of processes."""

    def __init__(self, project: Path, words: list[str], said: Path) -> None:
        self._said = said
        with said.open("wb") as file:
            given = {"stdout": file, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
            command = [sys.executable, "runs/train.py", "--multirun", *words]
            self._process = subprocess.Popen(command, cwd=project, start_new_session=True, **given)
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        """As a shell tells it; None while it runs."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    def wait(self) -> int:
        return self._process.wait()

    @property
    def said(self) -> str:
        return self._said.read_text(encoding="utf-8", errors="replace")

    def processes(self) -> dict[str, list[int]]:
        """The process ids by what they do: launcher, server (that the members come from), member, loader; all."""
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state, parent, _, session = _stat(folder)[:4]
                if int(session) == self.pid and state != "Z":
                    parents[int(folder.name)] = int(parent)
        server = [pid for pid, parent in parents.items() if parent == self.pid and _is_server(pid)]
        member = [pid for pid, parent in parents.items() if parent in server]
        loader = [pid for pid, parent in parents.items() if parent in member]
        launcher = [pid for pid in parents if pid == self.pid]
        return {"launcher": launcher, "server": server, "member": member, "loader": loader, "all": list(parents)}

    def end(self) -> None:
        for pid in self.processes()["all"]:
            send(pid, SIGKILL)
        self._process.wait()


def send(pid: int, number: Signals) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _stat(folder: Path) -> list[str]:
    """State, parent, group, session, ... of proc(5); the name before them may hold anything."""
    return (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _is_server(pid: int) -> bool:
    with suppress(OSError):
        return b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False
