"""Which examples are for training, for validation and for the final test: fixed, whatever the training seed."""

import hashlib
import io
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Indices (n,) int64 into the data set, disjoint and sorted."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(f"{len(part)}:".encode() + part.astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The content of split.npz."""
        file = io.BytesIO()
        np.savez_compressed(file, train=self.train, validation=self.validation, test=self.test)
        return file.getvalue()


def stratified_split(targets: np.ndarray, seed: int, validation_fraction: float, test_fraction: float) -> Split:
    """Gives each part its fraction of every class. ValueError where a class is too small for one example in each."""
    if not (validation_fraction > 0 and test_fraction > 0 and validation_fraction + test_fraction < 1):
        raise ValueError("data: validation_fraction and test_fraction must be above 0 and their sum below 1")
    random = stable_random("split_seed", seed)
    parts: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for label in np.unique(targets):
        indices = random.permutation(np.flatnonzero(targets == label))
        validation = round(len(indices) * validation_fraction)
        test = round(len(indices) * test_fraction)
        if min(validation, test, len(indices) - validation - test) < 1:
            raise ValueError(f"data: class {label} has {len(indices)} examples, too few for every part of the split")
        cuts = np.split(indices, [validation, validation + test])
        for name, cut in zip(("validation", "test", "train"), cuts, strict=True):
            parts[name].append(cut)
    return Split(**{name: np.sort(np.concatenate(cuts)) for name, cuts in parts.items()})


def stable_random(key: str, seed: int) -> np.random.RandomState:
    """The one generator whose stream numpy promises never to change. ValueError: not a seed."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"data.{key}: must be at least 0 and below 2**32, not {seed}")
    return np.random.RandomState(seed)
