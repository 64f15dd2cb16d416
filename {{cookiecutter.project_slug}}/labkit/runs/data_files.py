"""The files that a run's data came from, and whether they have changed: asked at each launch, at next to no cost."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCK = 2**20  # bytes
LARGE = 256 * BLOCK  # a larger file takes too long to be read at each start


def file_marks(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What tells later whether a file has changed, by path: its size, its time, and the hash of its content."""
    return {path.as_posix(): {**_look(path), "sha256": _hash(path)} for path in files}


def changed_files(marks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those whose content is another one now. A file that is gone has not changed: it may lie on another machine.

    Sizes and times are looked at first; only where they differ is the content read.
    """
    changed = []
    for name, mark in marks.items():
        path = Path(name)
        if not path.exists() or _look(path) == {"bytes": mark.get("bytes"), "mtime_ns": mark.get("mtime_ns")}:
            continue
        if _hash(path) != mark.get("sha256"):
            changed.append(name)
    return changed


def _look(path: Path) -> dict[str, Any]:
    about = path.stat()
    return {"bytes": about.st_size, "mtime_ns": about.st_mtime_ns}


def _hash(path: Path) -> str:
    """16 hex digits of the content; of a large file, of blocks that lie evenly in it."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    step = BLOCK if size <= LARGE else size // (LARGE // BLOCK)
    with path.open("rb") as file:
        for start in range(0, size, step):
            file.seek(start)
            digest.update(file.read(BLOCK))
    return digest.hexdigest()[:16]
