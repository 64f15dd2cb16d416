"""Reading and writing checkpoints. They hold tensors and plain values only, so that loading one runs no code."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from modules.utils.run_folder import atomic_file

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    with atomic_file(path) as file:
        torch.save({"format": FORMAT, **state}, file)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """ValueError where the file is damaged or was written by another version of this code."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load itself does not notice a flipped bit
            if part := archive.testzip():
                raise EOFError(f"checksum of {part}")
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: the checkpoint is damaged ({error}); remove the file to start again") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(f"{path}: not a checkpoint of this version (format {FORMAT}); use the code that wrote it")
    return state
