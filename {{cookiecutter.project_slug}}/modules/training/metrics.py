"""Metrics with exact sums over examples: never a mean of batch means, whatever the size of the last batch."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from labkit.distributed import gather


@dataclass(frozen=True)
class Evaluation:
    """One pass over a part of the data: the metrics by name, and the confusion matrix (rows: true class) if any."""

    metrics: dict[str, float]
    confusion_matrix: list[list[int]] | None


class ExampleMeans:
    """Means over examples of what `Trainer.step` returns for batches of any size: a scalar is the mean of its batch, a
    vector (batch,) holds a value for each example. The device is waited for at the end."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._examples = 0

    def add(self, means: Mapping[str, Tensor], examples: int) -> None:
        for name, mean in means.items():
            total = mean.sum(dtype=torch.double) if _per_example(mean) else mean.double() * examples
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._examples += examples

    def evaluation(self) -> Evaluation:
        """Over the examples of all processes. A matrix named "confusion_matrix" also gives accuracy, macro F1 and the
        accuracy of each class."""
        everyone = gather(({name: total.tolist() for name, total in self._sums.items()}, self._examples))
        examples = sum(number for _, number in everyone)
        metrics = {}
        counts = None
        for name in everyone[0][0]:
            total = torch.tensor([sums[name] for sums, number in everyone if number], dtype=torch.double).sum(0)
            if name == "confusion_matrix":
                counts = total.round().numpy()
                metrics |= classification_metrics(counts)
            else:
                metrics[name] = total.item() / examples
        return Evaluation(metrics, None if counts is None else counts.astype(int).tolist())


class RunningMeans:
    """Means over equal batches since the last row. Values stay on the device until somebody asks; they are then summed
    one after the other in double precision, so that when they are read does not change a bit of the sum."""

    def __init__(self, state: Mapping[str, list[float]] | None = None) -> None:
        self._sums = {name: list(value) for name, value in (state or {}).items()}  # name: [sum, batches]
        self._unread: dict[str, list[Tensor]] = {}
        self._newest: dict[str, float] = {}

    def add(self, **means: Tensor) -> None:
        for name, mean in means.items():
            self._unread.setdefault(name, []).append(mean.detach())

    def leave_out(self, names: Iterable[str]) -> None:
        """The names of a step that does not count: their means are NaN where no other step does."""
        for name in names:
            self._sums.setdefault(name, [0.0, 0])

    def latest(self, name: str) -> float:
        """The newest value, NaN where there is none yet. Waits for the device."""
        self.state()
        return self._newest.get(name, math.nan)

    def take(self) -> dict[str, float]:
        """The means by name, over the batches of all processes; then starts over."""
        everyone = gather(self.state())
        self._sums = {}
        means = {}
        for name in everyone[0]:
            total, batches = (sum(parts) for parts in zip(*(sums[name] for sums in everyone), strict=True))
            means[name] = total / batches if batches else math.nan
        return means

    def state(self) -> dict[str, list[float]]:
        """The sums and numbers of batches of this process."""
        for name, tensors in self._unread.items():
            total = self._sums.setdefault(name, [0.0, 0])
            values = torch.stack(tensors)
            if _per_example(tensors[0]):
                values = values.sum(1, dtype=torch.double) / values.shape[1]
            for value in values.tolist():
                total[0] += value
                self._newest[name] = value
            total[1] += len(tensors)
        self._unread = {}
        return self._sums


def _per_example(values: Tensor) -> bool:
    return values.ndim == 1


def confusion_matrix(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (batch, classes), targets (batch,) -> (classes, classes) float64: the share of the batch that has the row
    as true and the column as predicted class."""
    classes = logits.shape[1]
    counts = torch.bincount(targets * classes + logits.argmax(1), minlength=classes * classes)
    return counts.view(classes, classes).double() / len(targets)


def classification_metrics(counts: np.ndarray) -> dict[str, float]:
    """From a confusion matrix of counts (classes, classes), rows the true class: accuracy; macro F1, the mean over
    classes of 2 TP / (2 TP + FP + FN), 0 for a class that neither occurs nor is predicted; accuracy_class_<k>, the
    share of class k that is recognised (its recall), NaN where it does not occur."""
    right = counts.diagonal()
    true = counts.sum(1)
    predicted = counts.sum(0)
    f1 = 2 * right / np.maximum(true + predicted, 1)
    recall = np.divide(right, true, out=np.full(len(counts), np.nan), where=true > 0)
    per_class = {f"accuracy_class_{k}": value for k, value in enumerate(recall.tolist())}
    return {"accuracy": float(right.sum() / true.sum()), "macro_f1": float(f1.mean()), **per_class}
