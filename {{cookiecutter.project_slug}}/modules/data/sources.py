"""Data sets of arrays: prepared ones, and synthetic ones for tests. Others stand in files of their own."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modules.data.base import ArrayData, Loaded
from modules.data.checks import check_memory, fingerprint_of
from modules.data.splits import stable_random

Prepared = tuple[Any, Any, list[str], dict[str, int]]


@dataclass(kw_only=True)
class PreparedArrays(ArrayData):
    """What modules/data/prepare.py wrote: inputs.npy, targets.npy and dataset.json in one folder."""

    datasets_dir: str
    folder: str

    def load(self) -> Loaded:
        path = Path(self.datasets_dir) / self.folder
        remedy = f"run: python runs/prepare.py datasets=[{self.folder}]"
        files = [path / "dataset.json", path / "inputs.npy", path / "targets.npy"]
        try:
            about = json.loads(files[0].read_text(encoding="utf-8"))
            inputs, targets = (np.load(file, mmap_mode="r") for file in files[1:])
            class_names, fingerprint = about["class_names"], about["fingerprint"]
        except FileNotFoundError as error:
            raise ValueError(f"{error.filename}: the data set is missing; {remedy}") from error
        except (ValueError, KeyError, EOFError, TypeError) as error:
            raise ValueError(f"{path}: the data set is damaged ({error}); {remedy}") from error
        # A memory map is too large to be read at each start: there only its shape is checked.
        if len(inputs) != len(targets) or (self.in_memory and fingerprint_of(inputs, targets) != fingerprint):
            raise ValueError(f"{path}: the data set was changed after it was prepared; {remedy}")
        arrays = {"input": np.array(inputs) if self.in_memory else inputs, "target": np.array(targets)}
        facts = {"input_shape": inputs.shape[1:], "class_names": class_names}
        parts = about.get("parts")  # as published: how many examples each has, in their order
        return Loaded(
            arrays, facts, fingerprint, files, np.repeat(list(parts), list(parts.values())) if parts else None
        )

    @classmethod
    def fetch(cls, settings: Mapping[str, Any]) -> Prepared:
        """What runs/prepare.py writes: inputs, targets, class names and, where there are published parts, their sizes.

        `settings`: the keys of its own file in config/data/.
        """
        raise ValueError(f"datasets: {settings['name']} has no function in modules/data/prepare.py; add one")


@dataclass(kw_only=True)
class Synthetic(ArrayData):
    """Noisy copies of one random image per class: any number, any size, nothing to fetch."""

    examples: int
    input_shape: list[int]
    classes: int
    noise: float  # standard deviation, where that of the images is 1
    generation_seed: int

    def load(self) -> Loaded:
        shape = self.input_shape
        if self.examples < 1 or self.classes < 2 or len(shape) != 3 or min(shape) < 1:
            raise ValueError("data: needs examples >= 1, classes >= 2 and an input_shape of three sizes >= 1")
        check_memory("data", 8 * (self.examples + self.classes) * math.prod(shape))
        random = stable_random("generation_seed", self.generation_seed)
        images = random.standard_normal((self.classes, *shape))
        targets = np.arange(self.examples) % self.classes
        noise = self.noise * random.standard_normal((self.examples, *shape))
        inputs = (images[targets] + noise).astype(np.float32)
        facts = {"input_shape": tuple(shape), "class_names": [str(k) for k in range(self.classes)]}
        return Loaded({"input": inputs, "target": targets}, facts)
