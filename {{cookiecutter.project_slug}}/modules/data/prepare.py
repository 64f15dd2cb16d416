"""Fetches or builds data sets once, on a machine that has a network: one function per data set.

Each returns inputs (examples, ...), targets (examples,) and the names of the classes, in whatever form it has them:
`converted` makes of it what is meant, and refuses the rest in a sentence.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from labkit.runs.files import atomic_file, write_json
from labkit.text import nearest
from modules.data.checks import fingerprint_of
from modules.data.conversion import converted

Prepared = tuple[Any, Any, list[str]]
CONFIG = Path(__file__).resolve().parents[2] / "config" / "data"


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
    return inputs, bunch.target, [str(name) for name in bunch.target_names]


DATASETS = {"digits": digits}


def fetched(name: str) -> tuple[Any, Any, list[str], dict[str, int]]:
    """The same, also from a class that fetches its own, as modules/data/hub.py does; and the sizes of its parts."""
    if name in DATASETS:
        return *DATASETS[name](), {}
    from labkit.build import located
    from modules.data.sources import PreparedArrays  # imports torch

    settings: Any = OmegaConf.to_container(OmegaConf.load(CONFIG / f"{name}.yaml"))
    return located("data", settings["_target_"], PreparedArrays).fetch(settings)


def prepare(config: PrepareConfig) -> None:
    """Writes each data set into its folder; one that is there already stays. ValueError for an unknown one."""
    for name in config.datasets:
        known = list(dict.fromkeys([*DATASETS, *_fetching()]))
        if name not in known:
            raise ValueError(f'datasets: "{name}" is not one of {", ".join(known)}{nearest(name, known)}')
    for name in config.datasets:
        folder = Path(config.datasets_dir) / name
        if _intact(folder):
            print(f"{folder}: is there already")
            continue
        *found, parts = fetched(name)
        inputs, targets, class_names = converted(name, *found)
        about = {
            "name": name,
            "examples": len(targets),
            "classes": len(class_names),
            "class_names": class_names,
            "fingerprint": fingerprint_of(inputs, targets),
            **({"parts": parts} if parts else {}),
        }
        _write(folder, inputs, targets, about)
        print(f"{folder}: {len(targets)} examples of shape {inputs.shape[1:]} in {len(class_names)} classes")


def _fetching() -> list[str]:
    """The files of config/data/ that name a folder of their own for what is fetched."""
    paths = sorted(CONFIG.glob("[!_.]*.yaml"))
    return [path.stem for path in paths if OmegaConf.select(OmegaConf.load(path), "folder") == path.stem]


def _intact(folder: Path) -> bool:
    try:
        about = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        inputs, targets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("inputs", "targets"))
        return fingerprint_of(inputs, targets) == about["fingerprint"]
    except (OSError, ValueError, KeyError, EOFError, TypeError):
        return False


def _write(folder: Path, inputs: np.ndarray, targets: np.ndarray, about: dict[str, object]) -> None:
    """dataset.json comes last and goes first: while it is missing, so is the data set."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").unlink(missing_ok=True)
    for name, array in (("inputs", inputs), ("targets", targets)):
        with atomic_file(folder / f"{name}.npy") as file:
            np.save(file, array)
    write_json(folder / "dataset.json", about)
