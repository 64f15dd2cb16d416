"""What a task is: the loss that a step minimises, the metrics that come with it, and what the network predicts.

The shortest task writes one method, `step`; see modules/tasks/classification.py. What it returns by name is averaged
over examples. What is no mean of examples is returned as a `Mean` with counts of its own (pixels, tokens), as a `Sum`,
or as `Each`, and `derive` makes metrics of the last two.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Metric:
    """What a report has to know of a number: whether "max" or "min" is better, its name in a sentence, its unit, and
    the bounds that it never leaves."""

    direction: str
    title: str
    unit: str = ""
    bounds: tuple[float | None, float | None] = (None, None)  # (0, None): at least 0


@dataclass(frozen=True)
class Mean:
    """A mean with counts of its own: `total` / `count`, each added up over batches before they are divided."""

    total: Tensor  # scalar
    count: Tensor  # scalar: pixels, tokens, ...


@dataclass(frozen=True)
class Sum:
    """Added up over all batches, and given to `Task.derive`."""

    value: Tensor  # of any shape


@dataclass(frozen=True)
class Each:
    """One row for each example, kept and given to `Task.derive` in the order of the examples."""

    values: Tensor  # (batch, ...)


Value = Tensor | Mean | Sum | Each  # a tensor: the mean over the batch, (), or a value for each example, (batch,)


class Task(ABC):
    """Is made with the facts of the data set that its signature asks for, and with the settings of its YAML file."""

    metrics: ClassVar[Mapping[str, Metric]] = {}  # by name, without the split; "loss" is known
    turns: ClassVar[tuple[str, ...]] = ("",)  # one optimizer for each, stepped one after the other in every step
    network: Callable[..., Any]  # set by the trainer: wrapped or averaged while it trains or evaluates
    chance_loss: float | None = None  # of a network that knows nothing of its input; None: not worked out
    training = True  # whether `step` is asked in training or in evaluation
    turn = ""  # whose turn it is, of `turns`
    steps = 0  # done so far, for what changes while it trains

    @abstractmethod
    def step(self, batch: Batch) -> tuple[Tensor | Mean, dict[str, Value]]:
        """The mean loss over a batch, and by name what else to report; the names of evaluation may be others.

        Random draws come from torch's default generator only.
        """

    def output(self, batch: Batch) -> Any:
        """What the network gives for a batch, whose mask it is given where there is one."""
        mask = {"mask": batch["mask"]} if "mask" in batch else {}
        return self.network(batch["input"], **mask)

    def derive(self, sums: dict[str, np.ndarray], each: dict[str, np.ndarray]) -> dict[str, float]:
        """Metrics of what `step` returned in evaluation as `Sum` and as `Each`, over all examples and processes."""
        return {}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """By name, a row for each example of what a user of the network wants to know."""
        return {"output": self.output(batch)}

    def parameters(self, network: nn.Module, turn: str) -> Iterable[Any]:
        """What the optimizer of a turn is built with: parameters, or groups of them with settings of their own."""
        return network.parameters()

    def visualise(self, batch: Batch, folder: Path) -> None:  # noqa: B027 -- a task may leave it empty
        """Called in each evaluation with its first batch, without gradients: to draw into the run's `folder`."""
