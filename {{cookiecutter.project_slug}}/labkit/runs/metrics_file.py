"""metrics.csv, and how a checkpoint knows that the rows it counts on are still there."""

import csv
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from labkit.runs.files import naming


class MetricsFile:
    """One row per evaluation: only ever appended to, and cut back to the checkpoint on resume."""

    def __init__(self, path: Path, position: int) -> None:
        """`position`: how many bytes to keep; 0 starts over."""
        self._path = path
        with naming(path):
            self._file = path.open("a+", encoding="utf-8", newline="")
            self._file.truncate(position)
            self._file.seek(0)
            self._columns = next(csv.reader(self._file), [])
        self._writer = csv.writer(self._file, lineterminator="\n")

    @staticmethod
    def holds(path: Path, mark: Mapping[str, int]) -> bool:
        """Whether the rows up to a `mark` are there as they were written."""
        kept = path.read_bytes()[: mark["bytes"]] if path.exists() else b""
        return _mark_of(kept) == mark

    def append(self, row: Mapping[str, float | int]) -> None:
        with naming(self._path):
            if not self._columns:
                self._columns = list(row)
                self._writer.writerow(self._columns)
            assert list(row) == self._columns, f"columns changed from {self._columns} to {list(row)}"
            self._writer.writerow(row.values())
            self._file.flush()

    def mark(self) -> dict[str, int]:
        """Puts every row on the disk before a checkpoint counts on it; returns what recognises these rows later."""
        with naming(self._path):
            os.fsync(self._file.fileno())
            return _mark_of(self._path.read_bytes())

    def close(self) -> None:
        with naming(self._path):
            self._file.close()


def _mark_of(content: bytes) -> dict[str, int]:
    return {"bytes": len(content), "crc32": zlib.crc32(content)}
