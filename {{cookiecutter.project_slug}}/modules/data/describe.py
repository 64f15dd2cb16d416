"""What a batch holds, and how the targets of a part are spread: a line each, with advice where it looks wrong."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modules.data.base import ArrayData, Batch, Data

MOST = 5_000  # examples that are looked at: enough for shares, however large the data is
MOST_PIXELS = 10_000_000
MOST_FETCHED = 500  # examples whose targets come only with their inputs
NAMED = 6  # classes whose shares are given one by one
RARE = 0.1  # of the share of the most frequent one
OUTLIER = 10  # standard deviations


def describe_batch(batch: Batch) -> tuple[str, str]:
    """What is found in each tensor, and advice or ""."""
    found = "; ".join(f"{name} {_described(tensor)}" for name, tensor in batch.items())
    for name, tensor in batch.items():
        if not tensor.isfinite().all():
            return found, f"{name} holds NaN or infinite values: correct the data"
    values = batch.get("input")
    if values is None or not values.is_floating_point() or (0.01 < values.std() < 10 and abs(values.mean()) < 10):
        return found, ""
    return found, "networks learn best from inputs with mean 0 and standard deviation 1: scale them"


def describe_targets(data: Data, part: str) -> tuple[str, str] | None:
    """What is found, and advice or ""; None for a part that is empty or has no targets."""
    values = _sample(data, part)
    if values is None:
        return None
    where = part if len(values) == len(data.split.part(part)) else f"{part}, {len(values):,} examples of it"
    if "class_names" in data.facts and values.dtype.kind in "iu":
        names = data.facts["class_names"]
        known = values[(values >= 0) & (values < len(names))]  # a mask may have pixels that nobody has labelled
        found, advice = _shares(np.bincount(known.ravel(), minlength=len(names)) / max(1, known.size), names)
    elif "label_names" in data.facts:
        found, advice = _shares(values.mean(0), data.facts["label_names"])
    else:
        found, advice = _numbers(values.astype(float), **_scale(data))
    return f"{where}: {found}", advice if part == "train" else ""  # said once


def _described(tensor: Tensor) -> str:
    kind = f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.dtype == torch.bool:
        return f"{kind}, {tensor.float().mean():.0%} True"
    if not tensor.is_floating_point():
        return f"{kind} from {tensor.min()} to {tensor.max()}"
    return f"{kind} from {tensor.min():.3g} to {tensor.max():.3g}, mean {tensor.mean():.3g}, std {tensor.std():.3g}"


def _shares(shares: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
    order = np.argsort(-shares, kind="stable").tolist()
    each = [f"{names[k]} ({shares[k]:.1%})" for k in order]
    extremes = f"{len(each)} classes, most often {each[0]}, least often {each[-1]}"
    found = ", ".join(each) if len(each) <= NAMED else extremes
    rare = shares[order[-1]] < RARE * shares[order[0]]
    return found, f"{names[order[-1]]} is rare: a mean over all of them hides it" if rare else ""


def _numbers(values: np.ndarray, *, mean: float, scale: float) -> tuple[str, str]:
    outliers = np.abs(values - values.mean()).max() > OUTLIER * values.std()
    values = values * scale + mean
    found = f"from {values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}, std {values.std():.4g}"
    return found, "squared errors follow the outliers: try the logarithm" if outliers else ""


def _scale(data: Data) -> dict[str, float]:
    """Back to the target's own unit."""
    return {"mean": data.facts.get("target_mean", 0.0), "scale": data.facts.get("target_scale", 1.0)}


def _sample(data: Data, part: str) -> np.ndarray | None:
    rows = data.split.part(part)
    if not len(rows):
        return None
    if isinstance(data, ArrayData):
        targets = data.arrays["target"]
        chosen = _chosen(len(rows), min(MOST, max(1, MOST_PIXELS // math.prod(targets.shape[1:]))))
        return np.asarray(targets[rows[chosen]])
    batch = data.part(part).fetch(torch.from_numpy(_chosen(len(rows), MOST_FETCHED)), None)
    return batch["target"].numpy() if "target" in batch else None


def _chosen(examples: int, most: int) -> np.ndarray:
    """Random rows in their order, in which a disk reads them faster."""
    if examples <= most:
        return np.arange(examples)
    return np.unique(np.random.default_rng(0).integers(examples, size=most))
