"""The files of a run folder: their names, and how they are written so that a kill leaves each of them whole."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

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
DISCARDED = ".discarded"  # ... and what the runs took that a restart has deleted


@contextlib.contextmanager
def atomic_file(path: Path, keep_as: Path | None = None) -> Iterator[BinaryIO]:
    """Writes next to the file, flushes to the disk and renames: a reader or a crash sees the old file or the new one.

    `keep_as`: the name under which the old file is kept.
    """
    beside = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    try:
        with naming(path):
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if keep_as and path.exists():
                os.replace(path, keep_as)
            os.replace(beside, path)
            _sync_folder(path.parent)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


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
