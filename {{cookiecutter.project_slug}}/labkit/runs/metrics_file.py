"""metrics.csv, and how a checkpoint knows that the rows it counts on are still there."""

import csv
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from labkit.runs.files import naming


class MetricsFile:
    """One row per evaluation: only ever appended to, and cut back to the checkpoint on resume.

    It is closed between two rows, because a mounted bucket uploads only what no process holds open.
    """

    def __init__(self, path: Path, position: int) -> None:
        """`position`: how many bytes to keep; 0 starts over."""
        self._path = path
        with naming(path), path.open("a+", encoding="utf-8", newline="") as file:
            file.truncate(position)
            file.seek(0)
            self._columns = next(csv.reader(file), [])

    @staticmethod
    def holds(path: Path, mark: Mapping[str, int]) -> bool:
        """Whether the rows up to a `mark` are there as they were written."""
        kept = path.read_bytes()[: mark["bytes"]] if path.exists() else b""
        return _mark_of(kept) == mark

    def append(self, row: Mapping[str, float | int]) -> None:
        with naming(self._path), self._path.open("r+", encoding="utf-8", newline="") as file:
            file.seek(0, os.SEEK_END)
            writer = csv.writer(file, lineterminator="\n")
            if not self._columns:
                self._columns = list(row)
                writer.writerow(self._columns)
            assert list(row) == self._columns, f"columns changed from {self._columns} to {list(row)}"
            writer.writerow(row.values())

    def mark(self) -> dict[str, int]:
        """Puts every row on the disk before a checkpoint counts on it; returns what recognises these rows later."""
        with naming(self._path), self._path.open("r+b") as file:
            os.fsync(file.fileno())
            return _mark_of(file.read())


def rows_of(path: Path) -> Iterator[dict[str, float]]:
    """Each evaluation; NaN for an empty field."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: float(value or "nan") for name, value in row.items()}


def _mark_of(content: bytes) -> dict[str, int]:
    return {"bytes": len(content), "crc32": zlib.crc32(content)}
