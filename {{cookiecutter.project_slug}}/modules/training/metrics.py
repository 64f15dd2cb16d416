"""Sums over examples: never a mean of batch means, whatever the size of the last batch."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labkit.distributed import gather
from modules.training.task import Each, Mean, Sum, Task, Value


@dataclass(frozen=True)
class Evaluation:
    """One pass over a part of the data."""

    metrics: dict[str, float]
    confusion_matrix: list[list[int]] | None  # of counts (rows: true class), where the task has a Sum of that name
    each: dict[str, np.ndarray]  # what the task returned as `Each`, in the order of the examples


class Tally:
    """What `Task.step` returned over a part of the data, added up batch by batch; waits for the device at the end."""

    def __init__(self) -> None:
        self._means: dict[str, tuple[Any, Any]] = {}  # total, count
        self._sums: dict[str, Tensor] = {}
        self._each: dict[str, list[Tensor]] = {}

    def add(self, values: Mapping[str, Value], examples: int) -> None:
        """ValueError for a tensor that is neither one number nor one number for each example."""
        for name, value in values.items():
            if isinstance(value, Each):
                self._each.setdefault(name, []).append(value.values)
            elif isinstance(value, Sum):
                total = value.value.double()
                self._sums[name] = self._sums[name] + total if name in self._sums else total
            else:
                check_value(name, value, examples)
                mean = value if isinstance(value, Mean) else _counted(value, examples)
                total, count = self._means.get(name, (0.0, 0.0))
                self._means[name] = (total + mean.total.double(), count + mean.count)

    def evaluation(self, task: Task) -> Evaluation:
        """Over the examples of all processes: the means, and what the task derives from the rest."""
        everyone = gather(self._plain())
        means = {}
        for name in dict.fromkeys(name for process in everyone for name in process["means"]):
            parts = [process["means"][name] for process in everyone if name in process["means"]]
            count = sum(count for _, count in parts)
            means[name] = sum(total for total, _ in parts) / count if count else math.nan
        sums: dict[str, np.ndarray] = {}
        for name in dict.fromkeys(name for process in everyone for name in process["sums"]):
            parts = [np.array(process["sums"][name], float) for process in everyone if name in process["sums"]]
            sums[name] = np.sum(parts, axis=0)
        each = _joined([process["each"] for process in everyone])
        matrix = sums.get("confusion_matrix")
        return Evaluation(
            metrics=means | task.derive(sums, each),
            confusion_matrix=None if matrix is None else matrix.astype(int).tolist(),
            each=each,
        )

    def _plain(self) -> dict[str, Any]:
        return {
            "means": {name: (float(total), float(count)) for name, (total, count) in self._means.items()},
            "sums": {name: total.tolist() for name, total in self._sums.items()},
            "each": {name: [batch.tolist() for batch in batches] for name, batches in self._each.items()},
        }


def check_value(name: str, value: Value, examples: int) -> None:
    """ValueError for what is neither one number nor one number for each example."""
    if isinstance(value, Mean | Sum | Each):
        return
    if not isinstance(value, Tensor) or value.shape not in ((), (examples,)):
        found = f"has the shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
        raise ValueError(
            f"task: the metric {name} {found}; return a tensor with the mean of the batch, (), or with a value for "
            f"each of its examples, ({examples},), or wrap it in Mean, Sum or Each of modules/training/task.py"
        )


class RunningMeans:
    """Means over equal batches since the last row. Values stay on the device until somebody asks; they are then summed
    one after the other in double precision, so that when they are read does not change a bit of the sum."""

    def __init__(self, state: Mapping[str, list[float]] | None = None) -> None:
        self._sums = {name: list(value) for name, value in (state or {}).items()}  # name: [sum, batches or counts]
        self._unread: dict[str, list[Tensor]] = {}
        self._unread_counted: dict[str, list[Tensor]] = {}  # each (total, count)
        self._newest: dict[str, float] = {}

    def add(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            if isinstance(value, Mean):
                pair = torch.stack([value.total.double(), value.count.double()])
                self._unread_counted.setdefault(name, []).append(pair.detach())
            elif isinstance(value, Tensor):  # Sum and Each are for evaluation only
                self._unread.setdefault(name, []).append(value.detach())

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
            total, count = (sum(parts) for parts in zip(*(sums[name] for sums in everyone), strict=True))
            means[name] = total / count if count else math.nan
        return means

    def state(self) -> dict[str, list[float]]:
        """The sums of this process, and of how many batches, or the counts of a `Mean`."""
        for name, tensors in self._unread.items():
            values = torch.stack(tensors)
            if values.ndim == 2:  # a value for each example: (batches, batch)
                values = values.sum(1, dtype=torch.double) / values.shape[1]
            for value in values.tolist():
                self._count(name, value, 1)
        for name, pairs in self._unread_counted.items():
            for total, count in torch.stack(pairs).tolist():
                self._count(name, total, count)
        self._unread = {}
        self._unread_counted = {}
        return self._sums

    def _count(self, name: str, total: float, count: float) -> None:
        sums = self._sums.setdefault(name, [0.0, 0])
        sums[0] += total
        sums[1] += count
        self._newest[name] = total / count if count else math.nan


def _counted(value: Tensor, examples: int) -> Mean:
    total = value.sum(dtype=torch.double) if value.ndim else value.double() * examples
    return Mean(total, torch.tensor(float(examples), device=value.device))


def _joined(parts: list[dict[str, list[Any]]]) -> dict[str, np.ndarray]:
    """The batches of every process, which took turns, in the order of the examples."""
    names = dict.fromkeys(name for part in parts for name in part)
    joined = {}
    for name in names:
        turns = zip_longest(*(part.get(name, []) for part in parts))
        joined[name] = np.array(list(chain.from_iterable(batch for turn in turns for batch in turn if batch)))
    return joined
