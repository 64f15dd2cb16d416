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

from labkit.runs.files import (
    CONFIG,
    LOCK,
    LOG,
    METRICS,
    PREDICTIONS,
    PREDICTIONS_LAST,
    PROVENANCE,
    RESULT,
    STATE,
    TEST,
    TEST_LAST,
    read_json,
    write_json,
)

LEASE_S = 30.0  # a holder on another machine that is silent for this long is dead
SURE_S = 1.0  # nobody can have taken the lock so soon after we saw that it is ours
HEARTBEAT_S = 5.0  # how often state.json is written; liveness.py calls a run dead after 60 s of silence


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
        self.test_last = path / TEST_LAST
        self.predictions = path / PREDICTIONS
        self.predictions_last = path / PREDICTIONS_LAST
        self.provenance = path / PROVENANCE
        self.log = path / LOG
        self.checkpoints = path / "checkpoints"
        self.last = self.checkpoints / "last.pt"  # everything that is needed to resume
        self.previous = self.checkpoints / "previous.pt"  # the one before
        self.best = self.checkpoints / "best.pt"  # the best weights
        self._state: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
        self._lock: SoftFileLease | None = None
        self._sure_at = 0.0
        self._probe = SoftFileLease(path / LOCK, lease_duration=LEASE_S, timeout=0)
        self._writing = threading.Lock()

    def read_result(self) -> dict[str, Any] | None:
        """run.json of a finished run; None if it is missing, or damaged: then the run's command writes it again."""
        result = read_json(self.result)
        return result if isinstance(result, dict) and result.get("format") == 1 else None

    def read_config(self) -> dict[str, Any]:
        """config.yaml, or {} if there is none. ValueError if it cannot be read."""
        config = None
        with contextlib.suppress(yaml.YAMLError, UnicodeDecodeError):
            config = yaml.safe_load(self.config.read_text(encoding="utf-8")) if self.config.exists() else {}
        if not isinstance(config, dict):
            raise ValueError(f"{self.config}: is damaged; restore it, or remove the folder to start over")
        return config

    def read_state(self) -> dict[str, Any]:
        state = read_json(self.state)
        return state if isinstance(state, dict) else {}

    def is_held(self) -> bool:
        """Whether the lock belongs to a process that is alive, or was within the last lease."""
        if not (self.path / LOCK).exists():
            return False
        try:
            with self._probe:  # always the same one: it has to see that a lease elsewhere is not renewed
                return False
        except Timeout:
            return True

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Creates the folder and keeps every other process out of it. `Held`, naming the holder, if there is one.

        It is a lease, because `flock` excludes nobody on some network file systems: a living holder renews it, a dead
        one is replaced, at once on this machine, elsewhere after a lease.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock = self._acquired(self.path / LOCK)
        try:
            for left_behind in self.path.glob("**/.*.part"):  # by a process that was killed while it wrote
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
        """ValueError if the run was taken over, as after this process was suspended for longer than a lease."""
        if self._lock is None or 0 <= time.time() - self._sure_at < SURE_S:
            return
        if not self._lock.is_lock_held_by_us:
            raise ValueError(
                f"{self.path}: this process has lost its lock, and ends: it was suspended, or the lock was removed"
            )
        self._sure_at = time.time()  # not the monotonic clock, which stands still while a machine sleeps

    def clear(self) -> None:
        """Deletes everything but the lock.

        What a run resumes from goes first, so that a run killed in here starts over. config.yaml, which says that the
        folder is a run's, goes last.
        """
        order = {self.result: 0, self.checkpoints: 1, self.config: 3}
        for entry in sorted(self.path.iterdir(), key=lambda entry: order.get(entry, 2)):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink(missing_ok=True)

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Keeps writing state.json, from a thread, for as long as this process lives."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT_S):
                with contextlib.suppress(OSError):  # the checkpoint will report a full disk
                    self._write_state()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def note(self, **values: Any) -> None:
        """For the next heartbeat. What `values` do not name stays as it was in this launch."""
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
    """The holder (pid, host) in filelock's file, and when it renewed its lease, in ns; None if there is no lock."""
    try:
        lines = lock.read_text(encoding="utf-8").splitlines()
        renewed = lock.stat().st_mtime_ns
    except (OSError, ValueError):
        return {}, None
    return {name: value for name, _, value in (line.partition("=") for line in lines) if value}, renewed
