"""The files of one run folder and how they are written, so that a kill at any moment leaves each of them whole."""

import contextlib
import csv
import io
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from filelock import SoftFileLease, Timeout

LEASE_S = 30.0  # a holder on another machine that gives no sign of life for so long is dead


class RunFolder:
    """Paths and states of one run: data/runs/<study>/<name>/."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.result = path / "run.json"
        self.log = path / "train.log"
        self._state: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}

    def read_result(self) -> dict[str, Any] | None:
        """run.json of a finished run; None where it is not there or damaged: the run's command writes it again."""
        result = read_json(self.result)
        return result if isinstance(result, dict) and result.get("format") == 1 else None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder and keeps every other process out of it. ValueError naming the holder if there is one.

        A lease and not `flock`, which excludes nobody on some network file systems; a dead holder is taken over.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        holder = read_json(self.path / "state.json") or {}
        here = holder.get("host") in (None, socket.gethostname())
        lock = SoftFileLease(self.path / ".lock", lease_duration=LEASE_S, timeout=1 if here else LEASE_S + 5)
        try:
            lock.acquire()
        except Timeout:
            who = f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another process"
            raise ValueError(f"{self.path}: {who} is writing this run; wait for it or stop it") from None
        try:
            yield
        finally:
            lock.release()

    def write_state(self, status: str, **values: Any) -> None:
        """state.json: what the run is doing now; what `values` do not name stays as it was in this launch."""
        self._state |= {"status": status, "heartbeat": time.time()} | values
        write_json(self.path / "state.json", self._state)


class MetricsFile:
    """metrics.csv: one row per evaluation, only ever appended to, and cut back to the checkpoint on resume."""

    def __init__(self, path: Path, position: int) -> None:
        """`position`: bytes to keep, 0 to begin anew. ValueError if the file is shorter."""
        if position and (not path.exists() or path.stat().st_size < position):
            raise ValueError(
                f"{path}: rows that the checkpoint counts on are missing; remove the run folder to restart"
            )
        self._file = path.open("r+b" if position else "w+b")
        self._file.truncate(position)
        self._columns = next(csv.reader([self._file.readline().decode()]), [])
        self._file.seek(0, os.SEEK_END)

    def append(self, row: Mapping[str, float | int]) -> None:
        if not self._columns:
            self._columns = list(row)
            self._file.write(_csv_line(self._columns))
        assert list(row) == self._columns, f"columns changed from {self._columns} to {list(row)}"
        self._file.write(_csv_line(list(row.values())))
        self._file.flush()

    def sync(self) -> int:
        """Puts every row on the disk, before a checkpoint counts on it; returns the position."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Writes beside, flushes to the disk and renames: a reader or a crash sees the old file or the new one."""
    beside = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(value, indent=1, ensure_ascii=False).encode())


def read_json(path: Path) -> Any:
    """The content, or None where there is no such file or only a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _csv_line(fields: list[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue().encode()
