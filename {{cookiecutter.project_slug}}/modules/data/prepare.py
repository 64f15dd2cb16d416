"""Fetches or builds data sets once, on a machine that has a network: one function per data set.

Each returns inputs (examples, channels, height, width) float32, targets (examples,) int64 and the names of the classes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labkit.runs.files import atomic_file, write_json
from labkit.text import nearest
from modules.data.sources import fingerprint_of

Prepared = tuple[np.ndarray, np.ndarray, list[str]]


@dataclass
class PrepareConfig:
    """config/prepare.yaml, explained there."""

    datasets: list[str]
    datasets_dir: str


def digits() -> Prepared:
    """The test set of UCI's Optical Recognition of Handwritten Digits, as scikit-learn ships it; pixels in 0..1."""
    from sklearn.datasets import load_digits  # takes a second to import, and only this needs it

    bunch: Any = load_digits()
    inputs = (bunch.images[:, None] / 16).astype(np.float32)  # (1797, 1, 8, 8)
    return inputs, bunch.target.astype(np.int64), [str(name) for name in bunch.target_names]


DATASETS = {"digits": digits}


def prepare(config: PrepareConfig) -> None:
    """Writes each data set into its folder; one that is there already stays. ValueError for an unknown one."""
    for name in config.datasets:
        if name not in DATASETS:
            raise ValueError(f'datasets: "{name}" is not one of {", ".join(DATASETS)}{nearest(name, DATASETS)}')
    for name in config.datasets:
        folder = Path(config.datasets_dir) / name
        if _intact(folder):
            print(f"{folder}: is there already")
            continue
        inputs, targets, class_names = DATASETS[name]()
        about = {
            "name": name,
            "examples": len(targets),
            "classes": len(class_names),
            "class_names": class_names,
            "fingerprint": fingerprint_of(inputs, targets),
        }
        _write(folder, inputs, targets, about)
        print(f"{folder}: {len(targets)} examples of shape {inputs.shape[1:]} in {len(class_names)} classes")


def _intact(folder: Path) -> bool:
    try:
        about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        inputs, targets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("inputs", "targets"))
        return fingerprint_of(inputs, targets) == about["fingerprint"]
    except (OSError, ValueError, KeyError, EOFError):
        return False


def _write(folder: Path, inputs: np.ndarray, targets: np.ndarray, about: dict[str, object]) -> None:
    """dataset.json comes last and goes first: while it is missing, so is the data set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").unlink(missing_ok=True)
    for name, array in (("inputs", inputs), ("targets", targets)):
        with atomic_file(folder / f"{name}.npy") as file:
            np.save(file, array)
    write_json(folder / "dataset.json", about)
