"""What follows from the monitored metric: the best weights, early stopping, and the plateau's learning rate."""

import math
from collections.abc import Mapping
from typing import Any

from labkit.text import BETTER, quantity_of
from modules.config import TrainingConfig
from modules.training.task import Metric


class Monitor:
    """Follows `training.monitor` from one evaluation to the next. All that it knows is in its `state_dict`."""

    def __init__(self, config: TrainingConfig, metrics: Mapping[str, Metric]) -> None:
        """`metrics`: of the task. ValueError where the direction is unknown, or not that of the metric."""
        self._config = config
        self.direction = _direction(config, metrics)
        self.best: dict[str, Any] | None = None  # step, epoch, metrics and confusion matrix of the best evaluation
        self.last: dict[str, Any] | None = None  # the same of the newest one
        self.stopped_early = False
        self.rate_scale = 1.0  # the plateau schedule's factor on the learning rate
        self._evaluations_since_best = 0

    def follow(self, evaluation: dict[str, Any]) -> bool:
        """Whether the evaluation is a new best; if it is not, it counts towards early stopping and the plateau."""
        config = self._config
        self.last = evaluation
        sign = 1 if self.direction == "max" else -1
        best = -math.inf if self.best is None else sign * self.best["metrics"][config.monitor]
        if sign * evaluation["metrics"][config.monitor] > best:  # never for NaN
            self.best = evaluation
            self._evaluations_since_best = 0
            return True
        self._evaluations_since_best += 1
        if config.schedule == "plateau" and self._evaluations_since_best % config.plateau_patience == 0:
            self.rate_scale *= config.plateau_factor
        self.stopped_early = self._evaluations_since_best == config.early_stopping
        return False

    def state_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_config", "direction")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


def _direction(config: TrainingConfig, metrics: Mapping[str, Metric]) -> str:
    name = quantity_of(config.monitor)
    known = {"loss": "min", **{metric: about.direction for metric, about in metrics.items()}}.get(name)
    if known is None and config.direction is None:
        raise ValueError(
            f"training.direction: is {config.monitor} better when it is higher or lower? Set max or min, or let the "
            "task say it in its metrics"
        )
    if known and config.direction not in (None, known):
        raise ValueError(
            f"training.direction: {config.monitor} is better when it is {BETTER[known]}: leave direction null"
        )
    return known or str(config.direction)
