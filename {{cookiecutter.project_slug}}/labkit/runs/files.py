"""The files of a run folder: their names, and how they are written so that a kill leaves each of them whole."""

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from labkit.runs.liveness import is_alive
from labkit.secrets import redact_leaves

CONFIG = "config.yaml"  # the resolved configuration; a folder that has one is a run's
RESULT = "run.json"  # written last: without it the run is not finished
STATE = "state.json"  # what the run is doing now, or how it ended
METRICS = "metrics.csv"  # one row per evaluation
TEST = "test.json"  # the metrics of the test set, of the best weights
TEST_LAST = "test_last.json"  # ... and of the last ones
PREDICTIONS = "predictions.npz"  # of each test example, where they were asked for
PREDICTIONS_LAST = "predictions_last.npz"
PROVENANCE = "provenance.json"  # one entry per launch
LOG = "train.log"
LOCK = ".lock"
PLANS = ".sweeps"  # in a study's folder: the members of its sweeps
SEARCH = "search-*.json"  # ... of which these hold the trials of a search
SLURM = ".slurm"  # beside the studies: what Slurm jobs run and print
SCRIPT = "job.sh"  # ... in a folder of its own for each array
JOB = "job.txt"  # ... whose id stands there as soon as sbatch has told it
COPIES = ".code"  # ... and the copies of the code from which they run; those of another user have other names
DISCARDED = ".discarded"  # ... and what the runs took that a restart has deleted


@contextlib.contextmanager
def atomic_file(path: Path, keep_as: Path | None = None) -> Iterator[BinaryIO]:
    """Writes next to the file, flushes to the disk and renames: a reader or a crash sees the old file or the new one.

    `keep_as`: the name under which the old file is kept.
    """
    remove_left_over(path.parent)
    new = beside(path)
    try:
        with naming(path):
            with new.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if keep_as and path.exists():
                os.replace(path, keep_as)
            os.replace(new, path)
            _sync_folder(path.parent)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def beside(path: Path) -> Path:
    """Where this process makes what is to replace `path`; the name tells others whose it is."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")


@contextlib.contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """An empty folder for what is to replace `path`, or to be moved into it; it is gone at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_over(path.parent)
    new = beside(path)
    new.mkdir()
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def remove_left_over(folder: Path, *, alone: bool = False) -> None:
    """Deletes what processes made under a name of `beside` and did not rename, because they were killed.

    Whether one on another host lives cannot be asked: what that left goes only where this process writes `alone`.
    """
    for path in folder.glob(".*.part"):
        name, _, pid = path.name.removesuffix(".part").rpartition(".")
        may_ask = os.name == "posix" and pid.isdecimal() and name.endswith(f".{socket.gethostname()}")
        with suppress(OSError):  # its maker, or another one like this, may be quicker
            gone = not is_alive(int(pid), time.time() - path.lstat().st_mtime) if may_ask else alone
            if gone and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif gone:
                path.unlink()


def own_place(path: Path) -> Path:
    """The path, or one beside it if that is another user's."""
    if path.exists() and os.name == "posix" and path.stat().st_uid != os.getuid():
        return path.with_name(f"{path.name}-{os.getuid()}")
    return path


def private_folder(path: Path) -> Path:
    """The folder, made where there is none, for this user alone; another name beside it, if it is another user's.
    ValueError where it is a link."""
    path = own_place(path)
    if path.is_symlink():
        raise ValueError(f"{path}: is a link, through which nothing is written; replace it by what it leads to")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(path.stat().st_mode & 0o700)  # one that was made before; never more than there is
    return path


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Makes an OSError from inside name the file, which that of a full disk does not do by itself."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_json(path: Path, value: Any) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(redact_leaves(value), indent=1, ensure_ascii=False).encode())


def read_json(path: Path) -> Any:
    """The content, or None if the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _sync_folder(folder: Path) -> None:
    """Puts a rename on the disk; Windows cannot be asked to, and does it by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
