"""What must hold for a data set before anything is trained on it, and what its readers should know."""

import hashlib
import os
from typing import Any

import numpy as np

from modules.data.splits import PARTS, Split

UNLABELLED = -100  # PyTorch's own mark of a pixel or token that counts nowhere
LARGEST_BYTES = 100_000_000  # of the inputs that are searched for doubles at each start


def check(arrays: dict[str, np.ndarray], split: Split, facts: dict[str, Any], *, all_in_memory: bool) -> list[str]:
    """Returns warnings. ValueError in a sentence for what cannot be trained on.

    Inputs in memory-mapped files are checked once, when they are prepared: they may be too large to be read here.
    """
    warnings = []
    if all_in_memory:
        for name, array in arrays.items():
            check_finite(name, array)
        warnings += _strange_inputs(arrays["input"]) + _doubles(arrays["input"], split)
    if "class_names" in facts:
        warnings += _check_classes(arrays["target"], split, facts["class_names"])
    return warnings


def check_finite(name: str, array: np.ndarray) -> None:
    """ValueError where a number is NaN or infinite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array).reshape(len(array), -1).all(1))[:, 0]
        raise ValueError(
            f"data: {name} holds NaN or infinite values in {len(bad)} examples, the first is {bad[0]}; correct the data"
        )


def check_memory(key: str, needed: int) -> None:
    """ValueError where so many bytes are more than this machine has; asked before they are asked for."""
    if not hasattr(os, "sysconf"):  # Windows
        return
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        sizes = f"{needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f}"
        raise ValueError(f"{key}: the examples take {sizes}; ask for fewer or smaller ones")


def fingerprint_of(*arrays: np.ndarray) -> str:
    """16 hex digits of the content: types, shapes and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _check_classes(targets: np.ndarray, split: Split, names: list[str]) -> list[str]:
    if targets.dtype.kind not in "iu":
        raise ValueError(f"data: target holds {targets.dtype}; the number of a class is an integer: convert it")
    if len(names) < 2:
        raise ValueError(f"data: there must be at least 2 classes, not {len(names)}")
    labelled = targets[targets != UNLABELLED] if targets.ndim > 1 else targets
    if not labelled.size:
        raise ValueError(f"data: every target is {UNLABELLED}, which means no label; correct the data")
    low = int(labelled.min())
    high = int(labelled.max())
    if low < 0 or high >= len(names):
        raise ValueError(
            f"data: labels run from {low} to {high}, and {len(names)} classes need 0 to {len(names) - 1}; renumber them"
            + (f", and give what has no label {UNLABELLED}" if targets.ndim > 1 else "")
        )
    if low == high:
        raise ValueError(f'data: every example is of class "{names[low]}": there is nothing to learn; correct the data')
    warnings = []
    everywhere = set(np.unique(labelled).tolist())
    for part in PARTS:
        missing = everywhere - set(np.unique(targets[split.part(part)]).tolist())
        if missing and len(split.part(part)):
            lacking = ", ".join(names[k] for k in sorted(missing)[:10])
            left_out = "means over classes (macro F1, mean IoU) leave them out there"
            warnings.append(f"data: the {part} part has no example of {lacking}; {left_out}")
    return warnings


def _strange_inputs(inputs: np.ndarray) -> list[str]:
    if inputs.dtype.kind != "f" or inputs.size == 0:
        return []
    low = float(inputs.min())
    high = float(inputs.max())
    if low == high:
        raise ValueError(f"data: every input value is {low:g}: there is nothing to learn from; correct the data")
    if inputs.ndim == 4 and low >= 0 and high > 100:
        return [f"data: pixels run from {low:g} to {high:g}; networks learn better from 0 to 1: divide by 255"]
    return []


def _doubles(inputs: np.ndarray, split: Split) -> list[str]:
    """Examples of the validation and the test part that are in the training part as well, to the last bit."""
    if inputs.nbytes > LARGEST_BYTES:
        return []
    rows = np.ascontiguousarray(inputs).reshape(len(inputs), -1)
    keys = [hash(row.tobytes()) for row in rows]
    trained = {keys[i] for i in split.train}
    warnings = []
    for part in ("validation", "test"):
        if twice := sum(keys[i] in trained for i in split.part(part)):
            warnings.append(
                f"data: {twice} of {len(split.part(part))} {part} examples are in the training part as well"
            )
    return warnings
