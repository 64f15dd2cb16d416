"""What a data set is: facts, parts whose examples are fetched a batch at a time, and a fingerprint of its content.

A data set of your own that is arrays, in memory or in memory-mapped files, inherits `ArrayData` and writes `load`. Any
other one inherits `Data` and gives parts of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from modules.data.augmentation import augment, normaliser
from modules.data.checks import check, fingerprint_of
from modules.data.split_settings import SplitSettings
from modules.data.splits import Split

Batch = dict[str, Tensor]
NORMALISED_BY = 10_000  # at most this many training examples, evenly spaced, give mean and standard deviation
Augment = Callable[[Batch, torch.Generator], Batch]  # of a whole batch: the same draws for an image and its mask


class Examples(ABC):
    """One part of a data set."""

    in_memory = False  # True: `fetch` works on the device, and no loader worker is needed
    draws = True  # False: nothing in `fetch` is random, and no generator is made for it

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def fetch(self, indices: Tensor, random: torch.Generator | None) -> Batch:
        """The examples with these numbers (batch,), 0 to len - 1, as one batch: padded, masked and augmented as needed.

        `random` is a function of (seed, epoch, batch), and None in evaluation: nothing is augmented then.
        """

    def to(self, device: torch.device) -> "Examples":
        """Moves what is held in memory; all else is moved batch by batch."""
        return self


class Data(ABC):
    """`facts` go to the model and to the task, each to the argument of its name, where their signature has one.

    Usual facts: input_shape, the shape of one input; class_names; outputs, how many numbers a regression predicts;
    target_mean and target_scale, of the training part; vocabulary, the number of different tokens.
    """

    facts: dict[str, Any]
    fingerprint: str  # of the content
    split: Split  # which examples are in which part
    files: list[Path]  # files and folders that it was read from: a run notices when they change
    warnings: list[str]  # what a reader of the results should know of the data

    @abstractmethod
    def part(self, name: str) -> Examples:
        """One of "train", "validation" and "test"; the last one may be empty."""


@dataclass
class Loaded:
    """What `ArrayData.load` returns."""

    arrays: dict[str, np.ndarray]  # a row for each example, by the name in a batch: "input", "target", ...
    facts: dict[str, Any]
    fingerprint: str | None = None  # None: it is computed from the arrays
    files: list[Path] | None = None  # None: what the settings name that is a file, or a folder with a / in its path
    column: Any = None  # for split_kind groups, time or given: the group, the moment or the part of each example


@dataclass(kw_only=True)
class ArrayData(SplitSettings, Data):
    """Arrays with a row for each example. The fields are the keys of its YAML file; a subclass adds its own."""

    in_memory: bool
    max_shift: int
    flip: bool
    normalise: bool

    change: ClassVar[Callable[[Batch], Batch] | None] = None  # is done to every batch, in evaluation as well

    def __post_init__(self) -> None:
        """ValueError in a sentence where the arrays, the split or the settings do not fit together."""
        if self.max_shift < 0:
            raise ValueError(f"data.max_shift: must be at least 0 pixels, not {self.max_shift}")
        loaded = self.load()
        lengths = {name: len(array) for name, array in loaded.arrays.items()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            raise ValueError(f"data: the arrays must be equally long and not empty; their lengths are {lengths}")
        self.split = self.make_split(loaded.arrays["target"], loaded.column)
        self.facts = loaded.facts
        if "class_names" in self.facts:
            classes = len(self.facts["class_names"])
            self.facts = {"classes": classes, "outputs": classes, **self.facts}
        self.files = _named_by(vars(self).values()) if loaded.files is None else loaded.files
        self.arrays = self.fit(loaded.arrays)
        self.fingerprint = loaded.fingerprint or fingerprint_of(*loaded.arrays.values())
        self.warnings = self.check()
        self._changes = [self.change] if self.change else []
        if self.normalise:
            examples = self.part("train")
            some = torch.arange(0, len(examples), -(-len(examples) // NORMALISED_BY))
            self._changes += [normaliser(examples.fetch(some, None)["input"])]

    @abstractmethod
    def load(self) -> Loaded:
        """Reads all examples; the split comes afterwards. ValueError in a sentence where that fails."""

    def check(self) -> list[str]:
        """Warnings; ValueError in a sentence for what cannot be trained on."""
        return check(self.arrays, self.split, self.facts, all_in_memory=self.in_memory)

    def fit(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Where a transformation is fitted to the training part (`self.split.train`), and facts are added."""
        return arrays

    def part(self, name: str) -> Examples:
        random_change = None
        if name == "train" and (self.max_shift or self.flip):
            random_change = partial(augment, max_shift=self.max_shift, flip=self.flip)
        chosen = self.split.part(name)
        examples: Examples = MappedExamples(self.arrays, chosen, random_change)
        if self.in_memory:
            arrays = {key: np.ascontiguousarray(array[chosen]) for key, array in self.arrays.items()}
            examples = TensorExamples({key: torch.from_numpy(array) for key, array in arrays.items()}, random_change)
        for change in self._changes:
            examples = ChangedExamples(examples, change)
        return examples


def _named_by(settings: Iterable[Any]) -> list[Path]:
    paths = [Path(value) for value in settings if isinstance(value, str)]
    return [path for path in paths if path.is_file() or (path.is_dir() and len(path.parts) > 1)]


class TensorExamples(Examples):
    """Held as tensors on the device, and batched by indexing: faster than any loader for what fits."""

    in_memory = True

    def __init__(self, tensors: Batch, change: Augment | None = None) -> None:
        self.tensors = tensors
        self.change = change
        self.draws = change is not None

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def fetch(self, indices: Tensor, random: torch.Generator | None) -> Batch:
        batch = {name: tensor.index_select(0, indices) for name, tensor in self.tensors.items()}  # [indices] is slower
        return self.change(batch, random) if self.change and random else batch

    def to(self, device: torch.device) -> Examples:
        return TensorExamples({name: tensor.to(device) for name, tensor in self.tensors.items()}, self.change)


class ChangedExamples(Examples):
    """Others, whose every batch is changed when it is fetched, in evaluation as in training."""

    def __init__(self, examples: Examples, change: Callable[[Batch], Batch]) -> None:
        self.examples = examples
        self.change = change
        self.in_memory = examples.in_memory
        self.draws = examples.draws

    def __len__(self) -> int:
        return len(self.examples)

    def fetch(self, indices: Tensor, random: torch.Generator | None) -> Batch:
        return self.change(self.examples.fetch(indices, random))

    def to(self, device: torch.device) -> Examples:
        return ChangedExamples(self.examples.to(device), self.change)


class MappedExamples(Examples):
    """Rows of arrays that need not fit into memory; they are copied when they are fetched."""

    def __init__(self, arrays: dict[str, np.ndarray], chosen: np.ndarray, change: Augment | None = None) -> None:
        self.arrays = arrays
        self.chosen = chosen
        self.change = change
        self.draws = change is not None

    def __len__(self) -> int:
        return len(self.chosen)

    def fetch(self, indices: Tensor, random: torch.Generator | None) -> Batch:
        rows = self.chosen[indices.numpy()]
        batch = {name: torch.from_numpy(np.asarray(array[rows])) for name, array in self.arrays.items()}
        return self.change(batch, random) if self.change and random else batch
