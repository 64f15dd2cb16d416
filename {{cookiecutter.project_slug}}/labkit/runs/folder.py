"""One run's folder: its paths, its state, and the lock that keeps every other process out of it."""

import contextlib
import os
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
    remove_left_over,
    write_json,
)
from labkit.runs.json_shapes import RESULT_SHAPE, Unreadable, read_record

LEASE_S = 30.0  # a holder on another machine that is silent for this long is dead
SURE_S = 1.0  # nobody can have taken the lock so soon after we saw that it is ours
HEARTBEAT_S = 5.0  # how often state.json is written; liveness.py calls a run dead after 60 s of silence


# What this project writes into a run's folder, in the order in which a restart deletes it. What a run resumes from goes
# first, so that a run killed in there starts over. config.yaml, which says that the folder is a run's, goes last.
WRITTEN = (
    *(RESULT, "checkpoints/last.pt", "checkpoints/previous.pt", "checkpoints/best.pt", STATE, METRICS, TEST, TEST_LAST),
    *(PREDICTIONS, PREDICTIONS_LAST, PROVENANCE, LOG, "train-rank*.log", "code-*.diff", "split.npz", ".hydra/*.yaml"),
    *("tensorboard/events.out.*", CONFIG),
)


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
        try:
            return read_record(str(self.result), RESULT_SHAPE)
        except Unreadable:
            return None

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
        self.refuse_links()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = lock = self._acquired(self.path / LOCK)
        try:
            for written in (self.path, self.checkpoints):
                remove_left_over(written, alone=True)
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
                # For a moment the file may name one that tries to take the place of a holder who is dead.
                sure = not any(path.parent.glob(f"{LOCK}.break.*")) and _read_holder(path)[0] == holder
                who = f"process {holder['pid']} on {holder['host']}" if sure and "host" in holder else "another process"
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

    def refuse_links(self) -> None:
        """ValueError where the folder or something in it is a link: what is elsewhere would be changed or deleted."""
        for path in (self.path, *self.path.rglob("*")):
            if path.is_symlink():
                raise ValueError(
                    f"{path}: is a link, through which nothing is written or deleted; replace it by what it leads to"
                )

    def written(self) -> list[Path]:
        """The files in the folder that this project has written, in the order in which `clear` deletes them."""
        return [path for name in WRITTEN for path in sorted(self.path.glob(name))]

    def clear(self) -> None:
        """Deletes them. The lock stays, and so does everything of yours."""
        for path in self.written():
            path.unlink(missing_ok=True)
        for folder in {self.path / name.split("/")[0] for name in WRITTEN if "/" in name}:
            with contextlib.suppress(OSError):  # there is none, or it holds something of yours
                folder.rmdir()

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
