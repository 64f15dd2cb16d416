"""Makes inputs, class numbers and names out of whatever form they come in; what cannot be meant is refused."""

from typing import Any

import numpy as np

from modules.data.checks import check_finite


def converted(name: str, inputs: Any, targets: Any, class_names: Any) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """inputs (n, ...) float32, targets (n,) int64 and names as text. ValueError, naming the array, for anything else.

    Bytes 0 to 255 become 0 to 1; targets may be whole numbers of any type, one-hot rows, (n, 1), or names of classes.
    """
    names = [str(one) for one in np.asarray(class_names).tolist()]
    inputs = np.asarray(inputs)
    targets = np.asarray(targets)
    if inputs.dtype.kind not in "biuf":
        raise ValueError(f"{name}: inputs hold {inputs.dtype}; make them numbers")
    if inputs.ndim < 2 or len(inputs) == 0:
        raise ValueError(f"{name}: inputs have the shape {inputs.shape}; they need a row for each example: (n, ...)")
    if len(inputs) != len(targets):
        raise ValueError(f"{name}: there are {len(inputs)} inputs and {len(targets)} targets; give one target each")
    scale = 255 if inputs.dtype == np.uint8 else 1
    inputs = np.ascontiguousarray(inputs.astype(np.float32) / np.float32(scale)) if scale > 1 else inputs
    inputs = np.ascontiguousarray(inputs, dtype=np.float32)
    check_finite(f"{name}: inputs", inputs)
    return inputs, _class_numbers(name, targets, names), names


def _class_numbers(name: str, targets: np.ndarray, names: list[str]) -> np.ndarray:
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim == 2 and targets.shape[1] == len(names) and set(np.unique(targets).tolist()) <= {0, 1}:
        if (targets.sum(1) != 1).any():
            raise ValueError(f"{name}: targets are rows of 0 and 1 with several ones; that is multi-label: see task")
        targets = targets.argmax(1)
    if targets.ndim != 1:
        raise ValueError(f"{name}: targets have the shape {targets.shape}; they need one class for each example: (n,)")
    if targets.dtype.kind in "UO":
        if unknown := sorted(set(map(str, targets.tolist())) - set(names)):
            raise ValueError(f"{name}: targets hold {unknown[0]!r}, which is none of the class names; add it to them")
        return np.array([names.index(str(one)) for one in targets.tolist()], np.int64)
    if targets.dtype.kind not in "biuf" or (targets != np.round(targets)).any():
        raise ValueError(f"{name}: targets hold {targets.dtype} that are no class numbers; give whole numbers or names")
    numbers = targets.astype(np.int64)
    if numbers.min() < 0 or numbers.max() >= len(names):
        raise ValueError(
            f"{name}: targets run from {numbers.min()} to {numbers.max()}, and {len(names)} classes need 0 to "
            f"{len(names) - 1}; renumber them"
        )
    return numbers
