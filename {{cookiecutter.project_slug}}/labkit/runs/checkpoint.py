"""Reading and writing checkpoints. They hold only tensors and plain values, so that loading one runs no code."""

import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from labkit.runs.files import atomic_file

FORMAT = 3
BEST = ("step", "network")  # the parts of a best.pt
READABLE = (2, 3)  # best.pt is the same in both; a run cannot be resumed from a last.pt of format 2


class Unusable(ValueError):
    """A checkpoint that is damaged or belongs to another run; the one before may do."""


def save_checkpoint(path: Path, state: dict[str, Any], keep_as: Path | None = None) -> None:
    """Replaces the file, which is kept under the name `keep_as`. OSError, naming it, if it cannot be written."""
    with atomic_file(path, keep_as) as file:
        try:
            torch.save({"format": FORMAT, **state}, file)
        except RuntimeError as error:  # torch hides the reason, such as a full disk
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise


def load_checkpoint(
    path: Path, run_id: str, parts: Collection[str], formats: Collection[int] = (FORMAT,)
) -> dict[str, Any]:
    """Onto the CPU, with these parts in it.

    `Unusable` if it is damaged or another run's; ValueError if other code wrote it.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not notice a flipped bit
            # testzip ignores the attributes, where one flipped bit turns a tensor into a folder for torch.
            if archive.testzip() or any(part.external_attr for part in archive.infolist()):
                raise EOFError("its checksums are wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise Unusable(f"{path}: the checkpoint is missing") from error
    except Exception as error:  # a damaged file fails in a dozen ways
        if isinstance(error, PermissionError | MemoryError) or "memory" in str(error):
            raise
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise Unusable(f"{path}: the checkpoint is damaged ({reason})") from error
    if not isinstance(state, dict) or not {"format", "run_id"} <= state.keys():
        raise Unusable(f"{path}: is not a checkpoint of this project")
    if state["format"] not in formats:
        raise ValueError(f"{path}: not a checkpoint of this version (format {FORMAT}); use the code that wrote it")
    if state["run_id"] != run_id:
        raise Unusable(f"{path}: the checkpoint belongs to another run ({state['run_id']})")
    if missing := sorted({*parts} - state.keys()):
        raise Unusable(f"{path}: the checkpoint is damaged (it has no {missing[0]})")
    return state
