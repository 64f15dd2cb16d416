"""Data of any size: inputs-000.npy, inputs-001.npy, ... and targets-000.npy, ..., never read as a whole by a run."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labkit.runs.files import read_json, write_json
from modules.data.base import ArrayData, Loaded
from modules.data.checks import check_finite, fingerprint_of

CHECKED = ".checked.json"  # what the shards were when they were last read as a whole; hidden: it is no data
BLOCK = 2**26  # bytes that are checked at once


@dataclass(kw_only=True)
class MemoryMap(ArrayData):
    """Shards of rows, addressed by one index over all of them. Targets are class numbers (n,)."""

    folder: str
    class_names: list[str]

    def load(self) -> Loaded:
        if self.in_memory:
            raise ValueError(
                "data.in_memory: must be false for a memory map; smaller data is for data=table or your own"
            )
        root = Path(self.folder)
        inputs = Shards(root, "inputs")
        targets = Shards(root, "targets")
        if inputs.lengths != targets.lengths:
            raise ValueError(
                f"data.folder: the shards of inputs and targets in {root} are not equally long; correct them"
            )
        about = checked(root, inputs, targets, len(self.class_names))
        facts = {"input_shape": inputs.shape[1:], "class_names": self.class_names}
        arrays: dict[str, Any] = {"input": inputs, "target": targets}
        return Loaded(arrays, facts, about["fingerprint"], [root])

    def check(self) -> list[str]:
        return []  # `checked` has read all of it, and found nothing


class Shards:
    """Memory-mapped files in the order of their names, as one array (n, ...). Files are opened by each process."""

    def __init__(self, root: Path, name: str) -> None:
        self.files = sorted(root.glob(f"{name}-*.npy"))
        if not self.files:
            raise ValueError(f"data.folder: there is no {name}-*.npy in {root.resolve()}; correct the path")
        self._open()
        kinds = {(shard.dtype.str, shard.shape[1:]) for shard in self.maps}
        if len(kinds) > 1:
            raise ValueError(f"data.folder: the shards {name}-*.npy in {root} differ in type or shape: {sorted(kinds)}")
        self.lengths = [len(shard) for shard in self.maps]
        self.ends = np.cumsum(self.lengths)
        self.shape = (int(self.ends[-1]), *self.maps[0].shape[1:])
        self.dtype = self.maps[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        shards = np.searchsorted(self.ends, rows, side="right")
        for shard in np.unique(shards):
            chosen = shards == shard
            found[chosen] = self.maps[shard][rows[chosen] - (self.ends[shard] - self.lengths[shard])]
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "maps"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def _open(self) -> None:
        self.maps = []
        for path in self.files:
            try:
                self.maps.append(np.load(path, mmap_mode="r"))
            except (OSError, ValueError, EOFError) as error:
                raise ValueError(f"data.folder: {path} is no array of numbers ({error}); write it again") from error


def checked(root: Path, inputs: Shards, targets: Shards, classes: int) -> dict[str, Any]:
    """What the shards are. Where a size or a time has changed, all are read: once after they were written.

    ValueError for numbers that are NaN or infinite, which would later be blamed on the learning rate, and for targets
    that are no class numbers.
    """
    files = [*inputs.files, *targets.files]
    looks: dict[str, Any] = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files}
    looks["classes"] = classes
    before = read_json(root / CHECKED)
    if before and before.get("files") == looks:
        return before
    digests = []
    for path, array in zip(files, [*inputs.maps, *targets.maps], strict=True):
        rows = max(1, BLOCK // max(1, array[:1].nbytes))
        for start in range(0, len(array), rows):
            block = np.asarray(array[start : start + rows])
            check_finite(f"{path.name} from row {start} on", block)
            if path in targets.files and (block.dtype.kind not in "iu" or block.min() < 0 or block.max() >= classes):
                raise ValueError(f"data: {path.name} must hold whole numbers from 0 to {classes - 1}; correct it")
            digests.append(fingerprint_of(block))
    about = {"files": looks, "fingerprint": fingerprint_of(np.frombuffer(json.dumps(digests).encode(), np.uint8))}
    write_json(root / CHECKED, about)
    return about
