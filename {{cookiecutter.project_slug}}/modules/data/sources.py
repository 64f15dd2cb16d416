"""The data sets: where the examples come from. A new one is a class here, named by a file of config/data/."""

import hashlib
import json
from pathlib import Path

import numpy as np

from modules.data.splits import Split, stable_random, stratified_split


class DataSet:
    """All examples of a classification task, and which of them are for training, validation and test.

    inputs (examples, channels, height, width) float32, which may be a memory map of a file; targets (examples,) int64.
    """

    def __init__(
        self,
        *,
        inputs: np.ndarray,
        targets: np.ndarray,
        classes: int,
        fingerprint: str,
        split: Split,
        in_memory: bool,
        max_shift: int,
    ) -> None:
        """`fingerprint`: of the content. `max_shift`: see augmentation.py. ValueError: labels that are no class."""
        if max_shift < 0:
            raise ValueError(f"data.max_shift: must be at least 0 pixels, not {max_shift}")
        if classes < 2 or targets.min() < 0 or targets.max() >= classes:
            raise ValueError(f"data: labels must lie in 0..{classes - 1} and there must be 2 classes; correct the data")
        if in_memory and not np.isfinite(inputs).all():
            raise ValueError("data: the inputs hold NaN or infinite values; correct the data")
        self.inputs = inputs
        self.targets = targets
        self.classes = classes
        self.fingerprint = fingerprint
        self.split = split
        self.in_memory = in_memory
        self.max_shift = max_shift

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.inputs.shape[1:]


class PreparedArrays(DataSet):
    """What modules/data/prepare.py wrote: inputs.npy, targets.npy and dataset.json in one folder."""

    def __init__(
        self,
        *,
        datasets_dir: str,
        folder: str,
        in_memory: bool,
        max_shift: int,
        split_seed: int,
        validation_fraction: float,
        test_fraction: float,
    ) -> None:
        """ValueError where the files are missing, or are not those that were prepared."""
        path = Path(datasets_dir) / folder
        remedy = f"run: python runs/prepare.py datasets=[{folder}]"
        try:
            about = json.loads((path / "dataset.json").read_text(encoding="utf-8"))
            inputs, targets = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("inputs", "targets"))
            classes = about["classes"]
            fingerprint = about["fingerprint"]
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename}: the data set is missing; {remedy}") from error
        except (ValueError, KeyError, EOFError) as error:
            raise ValueError(f"{path}: the data set is damaged ({error}); {remedy}") from error
        # A memory map is too large to be read at each start: there only its shape is checked.
        if len(inputs) != len(targets) or (in_memory and fingerprint_of(inputs, targets) != fingerprint):
            raise ValueError(f"{path}: the data set was changed after it was prepared; {remedy}")
        super().__init__(
            inputs=np.array(inputs) if in_memory else inputs,
            targets=np.array(targets),
            classes=classes,
            fingerprint=fingerprint,
            split=stratified_split(targets, split_seed, validation_fraction, test_fraction),
            in_memory=in_memory,
            max_shift=max_shift,
        )


class Synthetic(DataSet):
    """Noisy copies of one random image per class: any number, any size, nothing to fetch."""

    def __init__(
        self,
        *,
        datasets_dir: str,
        examples: int,
        input_shape: list[int],
        classes: int,
        noise: float,
        generation_seed: int,
        in_memory: bool,
        max_shift: int,
        split_seed: int,
        validation_fraction: float,
        test_fraction: float,
    ) -> None:
        """`noise`: standard deviation, where that of the images is 1. `datasets_dir` is not read."""
        if examples < 1 or classes < 2 or len(input_shape) != 3 or min(input_shape) < 1:
            raise ValueError("data: needs examples >= 1, classes >= 2 and an input_shape of three sizes >= 1")
        random = stable_random("generation_seed", generation_seed)
        images = random.standard_normal((classes, *input_shape))
        targets = np.arange(examples) % classes
        inputs = (images[targets] + noise * random.standard_normal((examples, *input_shape))).astype(np.float32)
        super().__init__(
            inputs=inputs,
            targets=targets,
            classes=classes,
            fingerprint=fingerprint_of(inputs, targets),
            split=stratified_split(targets, split_seed, validation_fraction, test_fraction),
            in_memory=in_memory,
            max_shift=max_shift,
        )


def fingerprint_of(inputs: np.ndarray, targets: np.ndarray) -> str:
    """16 hex digits of the content: types, shapes and values."""
    digest = hashlib.sha256()
    for array in (inputs, targets):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
