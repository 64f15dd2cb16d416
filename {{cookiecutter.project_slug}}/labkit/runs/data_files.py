"""The files that a run's data came from, and whether they have changed: asked at each launch, at next to no cost."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

BLOCK = 2**20  # bytes
LARGE = 256 * BLOCK  # more than this takes too long to be read at each start


def file_marks(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What tells later whether a file or a folder has changed, by path: sizes, times, and the hash of the content."""
    return {path.as_posix(): {**_look(path), "sha256": content_hash(path)} for path in paths}


def changed_files(marks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Those whose content is another one now. What is gone has not changed: it may lie on another machine.

    Sizes and times are looked at first; only where they differ is the content read.
    """
    changed = []
    for name, mark in marks.items():
        path = Path(name)
        if not path.exists() or all(mark.get(key) == value for key, value in _look(path).items()):
            continue
        if content_hash(path) != mark.get("sha256"):
            changed.append(name)
    return changed


def content_hash(path: Path) -> str:
    """16 hex digits of a file's content, or of the names and contents in a folder, hidden files aside.

    Where it is large: of the names, the sizes, and blocks that lie evenly in all of it.
    """
    sizes = {file: file.stat().st_size for file in _files(path)}
    total = sum(sizes.values())
    step = BLOCK if total <= LARGE else total // (LARGE // BLOCK)
    digest = hashlib.sha256()
    first = 0  # where in a file the first block begins
    for file, size in sizes.items():
        digest.update(f"{file.relative_to(path).as_posix()}\0{size}\0".encode())
        if first < size:
            with file.open("rb") as opened:
                for start in range(first, size, step):
                    opened.seek(start)
                    digest.update(opened.read(BLOCK))
        first = 0 if total <= LARGE else (first - size) % step
    return digest.hexdigest()[:16]


def _look(path: Path) -> dict[str, Any]:
    if not path.is_dir():
        about = path.stat()
        return {"bytes": about.st_size, "mtime_ns": about.st_mtime_ns}
    digest = hashlib.sha256()
    for file in _files(path):
        about = file.stat()
        digest.update(f"{file.relative_to(path).as_posix()}\0{about.st_size}\0{about.st_mtime_ns}\0".encode())
    return {"looks": digest.hexdigest()[:16]}


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    below = (file for file in path.rglob("*") if not any(part.startswith(".") for part in file.relative_to(path).parts))
    return sorted(file for file in below if file.is_file())
