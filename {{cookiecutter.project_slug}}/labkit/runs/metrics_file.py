"""metrics.csv, and how a checkpoint knows that the rows it counts on are still there."""

import contextlib
import csv
import io
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.runs.files import naming


class MetricsFile:
    """One row per evaluation, only ever appended to, and cut back to the checkpoint on resume."""

    def __init__(self, path: Path, position: int) -> None:
        """`position`: bytes to keep, 0 to begin anew."""
        self._path = path
        with naming(path):
            self._file = path.open("r+b" if position else "w+b")
            self._file.truncate(position)
            kept = self._file.read()
        self._checksum = zlib.crc32(kept)
        self._columns = next(csv.reader([kept.decode().partition("\n")[0]]), []) if kept else []

    @staticmethod
    def holds(path: Path, mark: Mapping[str, int]) -> bool:
        """Whether the rows up to a `mark` are there as they were written."""
        with contextlib.suppress(FileNotFoundError):
            return zlib.crc32(path.read_bytes()[: mark["bytes"]]) == mark["crc32"]
        return not mark["bytes"]

    def append(self, row: Mapping[str, float | int]) -> None:
        lines = b""
        if not self._columns:
            self._columns = list(row)
            lines = _csv_line(self._columns)
        assert list(row) == self._columns, f"columns changed from {self._columns} to {list(row)}"
        lines += _csv_line(list(row.values()))
        with naming(self._path):
            self._file.write(lines)
            self._file.flush()
        self._checksum = zlib.crc32(lines, self._checksum)

    def mark(self) -> dict[str, int]:
        """Puts every row on the disk, before a checkpoint counts on it; returns what tells them again."""
        with naming(self._path):
            os.fsync(self._file.fileno())
        return {"bytes": self._file.tell(), "crc32": self._checksum}

    def close(self) -> None:
        with naming(self._path):
            self._file.close()


def _csv_line(fields: list[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue().encode()
