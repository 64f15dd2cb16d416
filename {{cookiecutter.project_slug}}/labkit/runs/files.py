"""The files of a run folder: their names, and how they are written so that a kill leaves each of them whole."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from labkit.secrets import redact_leaves

CONFIG = "config.yaml"  # the resolved configuration; makes a folder that of a run
RESULT = "run.json"  # written last: absent means not finished
STATE = "state.json"  # what the run is doing now, or how it ended
METRICS = "metrics.csv"  # a row per evaluation
TEST = "test.json"  # the test set's metrics
PROVENANCE = "provenance.json"  # an entry per launch
LOG = "train.log"
PLANS = ".sweeps"  # in a study's folder: the members of its sweeps


@contextlib.contextmanager
def atomic_file(path: Path, keep_as: Path | None = None) -> Iterator[BinaryIO]:
    """Writes beside, flushes to the disk and renames: a reader or a crash sees the old file or the new one. The old one
    stays under the name `keep_as`."""
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
    """An OSError from inside names the file: the one of a full disk does not by itself."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def write_json(path: Path, value: Any) -> None:
    with atomic_file(path) as file:
        file.write(json.dumps(redact_leaves(value), indent=1, ensure_ascii=False).encode())


def read_json(path: Path) -> Any:
    """The content, or None where there is no such file or only a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _sync_folder(folder: Path) -> None:
    """Puts a rename on the disk; Windows cannot, and does it by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
