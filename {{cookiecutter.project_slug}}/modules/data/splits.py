"""Which examples are for training, for validation and for the final test: fixed, whatever the training seed."""

import hashlib
import io
import zipfile
from dataclasses import dataclass

import numpy as np

PARTS = ("train", "validation", "test")
BLOCK = 2**20  # indices that are hashed at once


@dataclass(frozen=True)
class Split:
    """Indices (n,) int64 into the data set, disjoint and sorted. ValueError where they overlap, or train is empty."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    kind: str = "split"  # what a report calls one of several: split, fold

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            if not len(self.part(name)):
                raise ValueError(f"data: the {name} part is empty; correct the split")
        parts = [self.train, self.validation, self.test]
        if any(part.min(initial=0) < 0 for part in parts):
            raise ValueError("data: the split holds an index below 0; indices begin at 0")
        used = np.zeros(1 + max(int(part.max(initial=0)) for part in parts), bool)
        for part in parts:
            used[part] = True
        if twice := sum(map(len, parts)) - int(used.sum()):
            raise ValueError(f"data: {twice} examples are in the split twice, in one part or in two; correct the split")

    def part(self, name: str) -> np.ndarray:
        return {"train": self.train, "validation": self.validation, "test": self.test}[name]

    def with_fraction(self, fraction: float, seed: int) -> "Split":
        """The same with this share of the training part, the other parts as they are; ValueError unless 0 < share <= 1.

        Nested: a smaller share holds a part of a larger one.
        """
        if not 0 < fraction <= 1:
            raise ValueError(f"data.fraction: must be above 0 and at most 1, not {fraction}")
        if fraction == 1:
            return self
        chosen = stable_random("split_seed", seed).permutation(self.train)[: max(1, round(fraction * len(self.train)))]
        return Split(np.sort(chosen), self.validation, self.test, self.kind)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in PARTS:
            part = self.part(name)
            digest.update(f"{len(part)}:".encode())
            for start in range(0, len(part), BLOCK):
                digest.update(part[start : start + BLOCK].astype("<i8").tobytes())
        return digest.hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """The content of split.npz."""
        file = io.BytesIO()
        # numpy's own way compresses five times as long, for a tenth of the size: a start must not wait for it.
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name in PARTS:
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, self.part(name), allow_pickle=False)
        return file.getvalue()


def random_split(examples: int, seed: int, validation_fraction: float, test_fraction: float) -> Split:
    """Gives each part its fraction of all examples, drawn without regard to their targets."""
    return stratified_split(np.zeros(examples, np.int64), seed, validation_fraction, test_fraction)


def stratified_split(targets: np.ndarray, seed: int, validation_fraction: float, test_fraction: float) -> Split:
    """Gives each part its fraction of every class; of rows of labels (n, labels), of every combination.

    ValueError where a class is too small for one example in each part. A combination that is too small is drawn with
    the other rare ones.
    """
    check_fractions(validation_fraction, test_fraction)
    labels = targets if targets.ndim == 1 else _combinations(targets, validation_fraction, test_fraction)
    random = stable_random("split_seed", seed)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in PARTS}
    for label in np.unique(labels):
        indices = random.permutation(np.flatnonzero(labels == label))
        validation = round(len(indices) * validation_fraction)
        test = round(len(indices) * test_fraction)
        if min(validation, len(indices) - validation - test) < 1 or (test < 1 and test_fraction):
            raise ValueError(f"data: class {label} has {len(indices)} examples, too few for every part of the split")
        cuts = np.split(indices, [validation, validation + test])
        for name, cut in zip(("validation", "test", "train"), cuts, strict=True):
            parts[name].append(cut)
    return split_of({name: np.sort(np.concatenate(cuts)) for name, cuts in parts.items()})


def stable_random(key: str, seed: int) -> np.random.RandomState:
    """The one generator whose stream numpy promises never to change. ValueError: not a seed."""
    if not 0 <= seed < 2**32:
        raise ValueError(f"data.{key}: must be at least 0 and below 2**32, not {seed}")
    return np.random.RandomState(seed)


def split_of(parts: dict[str, np.ndarray]) -> Split:
    return Split(parts["train"], parts["validation"], parts["test"])


def check_fractions(validation: float, test: float) -> None:
    if not (validation > 0 and test >= 0 and validation + test < 1):
        raise ValueError("data: validation_fraction must be above 0, test_fraction at least 0, and their sum below 1")


def _combinations(labels: np.ndarray, validation_fraction: float, test_fraction: float) -> np.ndarray:
    """A number for each row's combination of labels; rare combinations share one, -1."""
    _, number, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    enough = int(np.ceil(1 / min(share for share in (validation_fraction, test_fraction or 1.0)))) + 1
    number = np.where(counts[number] < enough, -1, number)
    return np.zeros_like(number) if (number == -1).sum() in range(1, enough) else number
