"""One run's folder: its paths, its state, and the lock that keeps every other process out of it."""

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from filelock import SoftFileLease, Timeout

from labkit.runs.files import CONFIG, LOG, METRICS, PROVENANCE, RESULT, STATE, TEST, read_json, write_json

LEASE_S = 30.0  # a holder on another machine that gives no sign of life for so long is dead
SURE_S = 1.0  # nobody else can have taken the lock so soon after it was seen to be ours
HEARTBEAT_S = 5.0  # state.json is written this often; status.py calls a run dead after 60 s of silence


class Held(ValueError):
    """Another process is writing this run."""


class RunFolder:
    """Paths and states of one run: data/runs/<study>/<name>/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG
        self.result = path / RESULT
        self.state = path / STATE
        self.metrics = path / METRICS
        self.test = path / TEST
        self.provenance = path / PROVENANCE
        self.log = path / LOG
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.pt"  # everything to resume
        self.previous = self.checkpoints / "previous.pt"  # the one before
        self.best = self.checkpoints / "best.pt"  # the best weights
        self._state: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
        self._lock: SoftFileLease | None = None
        self._sure_at = 0.0
        self._probe = SoftFileLease(path / ".lock", lease_duration=LEASE_S, timeout=0)
        self._writing = threading.Lock()

    def read_result(self) -> dict[str, Any] | None:
        """run.json of a finished run; None where it is not there or damaged: the run's command writes it again."""
        result = read_json(self.result)
        return result if isinstance(result, dict) and result.get("format") == 1 else None

    def read_config(self) -> dict[str, Any]:
        """config.yaml, {} where there is none. ValueError where it cannot be read."""
        path = self.config
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (yaml.YAMLError, UnicodeDecodeError):
            config = None
        if not isinstance(config, dict):
            raise ValueError(f"{path}: is damaged; restore it, or remove the folder to begin again")
        return config

    def read_state(self) -> dict[str, Any]:
        state = read_json(self.state)
        return state if isinstance(state, dict) else {}

    def is_held(self) -> bool:
        """Whether a process that is alive, or was within the last lease, holds the lock."""
        if not (self.path / ".lock").exists():
            return False
        try:
            with self._probe:  # the same one each time: it has to see that a lease elsewhere is not renewed
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps every other process out of it. `Held`, naming the holder, if there is one.

        A lease and not `flock`, which excludes nobody on some network file systems. A dead holder on this machine is
        taken over at once, one elsewhere after a lease; a living one shows itself by renewing its lease.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock = self._acquired(self.path / ".lock")
        try:
            for left_behind in self.path.glob("**/.*.part"):  # by a process that was killed while writing
                left_behind.unlink(missing_ok=True)
            yield
        finally:
            self._lock = None
            lock.release()

    def _acquired(self, path: Path) -> SoftFileLease:
        holder, renewed = _read_holder(path)
        here = holder.get("host") == socket.gethostname() or renewed is None
        lock = SoftFileLease(path, lease_duration=LEASE_S, timeout=1 if here else LEASE_S + 5)
        try:
            lock.acquire(cancel_check=lambda: _read_holder(path)[1] not in (renewed, None))
        except Timeout:
            holder, now = _read_holder(path)
            if "host" in holder or now != renewed:
                who = f"process {holder['pid']} on {holder['host']}" if "host" in holder else "another process"
                raise Held(f"{self.path}: {who} is writing this run; wait for it or stop it") from None
            path.unlink(missing_ok=True)  # it names nobody, as after a power cut, and nobody has renewed it
            return self._acquired(path)
        return lock

    def check_lock(self) -> None:
        """ValueError where the run has been taken over, as after this process was suspended for longer than a lease."""
        if self._lock is None or 0 <= time.time() - self._sure_at < SURE_S:
            return
        if not self._lock.is_lock_held_by_us:
            raise ValueError(f"{self.path}: its lock is gone, or was taken over while this process was silent; it ends")
        self._sure_at = time.time()  # not the monotonic clock, which stands still while a machine sleeps

    def clear(self) -> None:
        """Deletes everything in it but the lock: what a run goes on from first, so that one that is killed here begins
        again, and last what tells that it is a run's folder."""
        first, last = (self.result, self.checkpoints), (self.config, self.path / ".lock")
        others = [entry for entry in self.path.iterdir() if entry not in (*first, *last)]
        for entry in (*first, *others, last[0]):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """A thread that writes state.json, with what `note` was told, as long as this process lives."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_S):
                with contextlib.suppress(OSError):  # a full disk is for the checkpoint to report
                    self._write_state()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def note(self, **values: Any) -> None:
        """For the next heartbeat; what `values` do not name stays as it was in this launch."""
        with self._writing:
            self._state |= values

    def write_state(self, status: str, **values: Any) -> None:
        """state.json, now: what the run is doing."""
        self.note(status=status, **values)
        self._write_state()

    def _write_state(self) -> None:
        with self._writing:
            if self._lock is None or self._lock.is_lock_held_by_us:
                write_json(self.state, self._state | {"heartbeat": time.time()})


def _read_holder(lock: Path) -> tuple[dict[str, str], int | None]:
    """What filelock's marker says of the holder (pid, host), and when its lease was renewed, in ns; None: no lock."""
    try:
        lines = lock.read_text(encoding="utf-8").splitlines()
        renewed = lock.stat().st_mtime_ns
    except (OSError, ValueError):
        return {}, None
    return {name: value for name, _, value in (line.partition("=") for line in lines) if value}, renewed
